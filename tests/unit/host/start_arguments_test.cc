#include "host/start_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(StartArguments, OfAFunction) {
  const auto start =
      start_arguments({.id = "berth-vf3",
                       .device = VfioDevice{{.domain = 0, .bus = 0x3b, .device = 1, .function = 3}},
                       .number = 3});
  EXPECT_THAT(start.qemu,
              ElementsAre("-device", "pcie-root-port,id=berth-vf3-port,bus=pcie.0,chassis=131", "-device",
                          "vfio-pci,id=berth-vf3,bus=berth-vf3-port,host=0000:3b:01.3"));
  EXPECT_EQ(start.libvirt_xml,
            "<hostdev mode='subsystem' type='pci' managed='no'>\n"
            "  <driver name='vfio'/>\n"
            "  <source>\n"
            "    <address domain='0x0000' bus='0x3b' slot='0x01' function='0x3'/>\n"
            "  </source>\n"
            "  <alias name='ua-berth-vf3'/>\n"
            "</hostdev>\n");
}

TEST(StartArguments, OfAVhostUserPort) {
  const auto start = start_arguments(
      {.id = "berth-vf0", .device = VhostUserDevice{"/run/berth/vf0.sock", {{2, 0, 0, 0, 1, 5}}}});
  EXPECT_THAT(start.qemu,
              ElementsAre("-chardev", "socket,id=berth-vf0-chr,path=/run/berth/vf0.sock", "-netdev",
                          "vhost-user,id=berth-vf0-net,chardev=berth-vf0-chr", "-device",
                          "pcie-root-port,id=berth-vf0-port,bus=pcie.0,chassis=128", "-device",
                          "virtio-net-pci,id=berth-vf0,bus=berth-vf0-port,netdev=berth-vf0-net,"
                          "mac=02:00:00:00:01:05"));
  EXPECT_EQ(start.libvirt_xml,
            "<interface type='vhostuser'>\n"
            "  <mac address='02:00:00:00:01:05'/>\n"
            "  <source type='unix' path='/run/berth/vf0.sock' mode='client'/>\n"
            "  <model type='virtio'/>\n"
            "  <alias name='ua-berth-vf0'/>\n"
            "</interface>\n");
}

TEST(StartArguments, PathsCannotSayMoreThanAPath) {
  const auto start =
      start_arguments({.id = "berth-vf0", .device = VhostUserDevice{"/run/a,server=on/<'\"&>.sock", {}}});
  EXPECT_EQ(start.qemu[1], "socket,id=berth-vf0-chr,path=/run/a,,server=on/<'\"&>.sock");
  EXPECT_THAT(start.libvirt_xml, HasSubstr("path='/run/a,server=on/&lt;&apos;&quot;&amp;&gt;.sock'"));
}

}  // namespace
}  // namespace berth::host
