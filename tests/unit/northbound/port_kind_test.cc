// What a VMaaS is told of a function: how to get it into the VM, or that this is not berthd's.
#include "northbound/convert.h"

#include <gtest/gtest.h>

namespace berth::northbound {
namespace {

v1::Port port_of(host::Function function) {
  agent::Interface interface;
  interface.function = std::move(function);
  const agent::Attachment attachment{
      .id = AttachmentId::trusted("att-1"), .vm = VmId::trusted("vm-1"), .interfaces = {interface}};
  return to_message(attachment).interfaces(0).port();
}

TEST(PortKind, SaysWhoGivesTheFunctionToTheVm) {
  const auto socket = port_of({.index = 1, .socket = "/run/vf1.sock"});
  EXPECT_EQ(socket.kind(), v1::Port::VHOST_USER);
  const auto vf = port_of({.index = 2, .address = host::PciAddress{0, 0x3b, 0, 4}});
  EXPECT_EQ(vf.kind(), v1::Port::VFIO);
  EXPECT_EQ(vf.pci_address(), "0000:3b:00.4");
  EXPECT_EQ(port_of({.index = 3, .is_unbacked = true}).kind(), v1::Port::UNBACKED);
}

TEST(PortKind, AnUnmanagedVfIsNamedAndNothingStartsAVmWithIt) {
  const auto port = port_of({.index = 3, .is_unmanaged = true});
  EXPECT_EQ(port.kind(), v1::Port::UNMANAGED);
  EXPECT_EQ(port.function(), "vf3");
  EXPECT_EQ(port.pci_address(), "");
  EXPECT_EQ(port.start_arguments().qemu_size(), 0);
}

}  // namespace
}  // namespace berth::northbound
