// What the command line of BlueField's virtio-net controller answers: JSON, as read in its README and manuals
// (versions 1.x and 24.x; names of fields differ, and so do "84:0.0" and "84:00.0"). Text in, values out.
#pragma once

#include "base/error.h"
#include "base/mac_address.h"
#include "host/pci_address.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::host {

struct VirtnetDevice {
  PciAddress address;  // on the host's bus, domain 0: the DPU does not know the host's domains
  std::string id;      // of the PF, for "unplug -p"
  MacAddress mac;
};

// The device of "virtnet hotplug". UNAVAILABLE (VIRTNET_REFUSED) with the controller's own words when it
// could not; DATA_LOSS (VIRTNET_ANSWER) for what is no such answer.
Result<VirtnetDevice> parse_virtnet_hotplug(std::string_view text);
// All hot-plugged devices of "virtnet list".
Result<std::vector<VirtnetDevice>> parse_virtnet_list(std::string_view text);
Result<void> parse_virtnet_unplug(std::string_view text);

}  // namespace berth::host
