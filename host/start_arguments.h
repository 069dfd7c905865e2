// How a VM is started with a device of ours in it: QEMU's arguments and libvirt's XML. What a VMaaS needs for
// a VM that does not run yet, and again whenever it starts an attached VM anew.
#pragma once

#include "host/vm_plug.h"

#include <string>

namespace berth::host {

// Names inside the VMM. libvirt takes ids of others only with the prefix "ua-".
std::string chardev_id(const std::string& device_id);
std::string netdev_id(const std::string& device_id);
std::string libvirt_id(const std::string& device_id);

// QEMU: the device on a root port of its own, because what sits on pcie.0 itself cannot be unplugged; the
// port's chassis is 128 + number. A vhost-user device also needs a VM whose memory is shared
// (-object memory-backend-memfd,share=on; libvirt <access mode='shared'/>), which is not a device's to say.
StartArguments start_arguments(const VmDevice& device);

}  // namespace berth::host
