#include "tests/bench/bench_pipeline.h"

#include "tests/unit/soft/packet.h"

#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace berth::soft::bench {
namespace {

using test::Packet;

constexpr const char* kVmMac = "02:00:00:00:00:01";
constexpr const char* kGatewayMac = "02:00:00:00:00:fe";
constexpr const char* kVmIp = "10.255.0.1";
constexpr const char* kOwnVtep = "192.168.77.1";
constexpr const char* kPeerVtep = "192.168.77.2";
constexpr std::uint32_t kVni = 7001;

std::string address(std::uint32_t flow) {
  return "10." + std::to_string(flow >> 16 & 0x7f) + "." + std::to_string(flow >> 8 & 0xff) + "." +
         std::to_string(flow & 0xff);
}

std::string from(std::uint16_t port) {
  return "represented_port ethdev_port_id is " + std::to_string(port);
}

std::string set_tag(int index, std::uint32_t value) {
  char text[128];
  std::snprintf(
      text, sizeof(text),
      "modify_field op set dst_type tag dst_level %d src_type value src_value %02x%02x0000 width 32", index,
      value & 0xff, value >> 8 & 0xff);
  return text;
}

// Twenty rules of a security group, eighteen of which the packets do not match, in six shapes of masks.
std::vector<std::string> policy(const std::string& head, const std::string& match, const char* remote,
                                const std::string& jump) {
  std::vector<std::string> rules;
  const auto add = [&](int priority, const std::string& items, const std::string& actions) {
    rules.push_back("transfer " + head + " priority " + std::to_string(priority) + " pattern " + match +
                    " / " + items + " / end actions " + actions + " / end");
  };
  for (int i = 0; i < 4; ++i) add(10, "eth / ipv4 / tcp dst is " + std::to_string(22 + i), "count / drop");
  for (int i = 0; i < 4; ++i) add(12, "eth / ipv4 / udp dst is " + std::to_string(137 + i), "count / drop");
  for (int i = 0; i < 4; ++i) {
    add(14,
        std::string("eth / ipv4 ") + remote + " spec 172.16." + std::to_string(i) + ".0 " + remote +
            " mask 255.255.255.0 / tcp dst is 443",
        "jump group " + jump);
  }
  for (int i = 0; i < 4; ++i) {
    add(16,
        std::string("eth / ipv4 ") + remote + " spec 172.2" + std::to_string(i) + ".0.0 " + remote +
            " mask 255.255.0.0",
        "count / drop");
  }
  add(18, "eth / ipv4 / icmp", "jump group " + jump);
  add(18, "eth / ipv4 / tcp dst spec 0x8000 dst mask 0x8000", "count / drop");
  add(20, std::string("eth / ipv4 ") + remote + " spec 10.0.0.0 " + remote + " mask 255.0.0.0 / udp",
      "jump group " + jump);
  add(21000, "eth / ipv4", "count / drop");
  return rules;
}

}  // namespace

std::vector<std::string> encap_rules(const PortIds& ports) {
  const std::string vm = from(ports.vm);
  std::vector<std::string> rules{
      "transfer group 0 pattern " + vm + " / end actions jump group 1 / end",
      "transfer group 1 pattern " + vm + " / eth src is " + kVmMac + " has_vlan is 0 / ipv4 src is " + kVmIp +
          " / end actions count / jump group 2 / end",
      "transfer group 1 priority 1 pattern " + vm + " / eth src is " + kVmMac +
          " type is 0x0806 has_vlan is 0 / end actions count / jump group 6 / end",
      "transfer group 1 priority 21000 pattern " + vm + " / eth / end actions count / drop / end",
      "transfer group 3 priority 21000 pattern " + vm + " / eth / end actions count / drop / end",
  };
  for (std::string& rule : policy("group 2", vm, "dst", "3")) rules.push_back(std::move(rule));
  return rules;
}

std::string mapping_rule(const PortIds& ports, std::uint32_t flow) {
  char mac[16];
  std::snprintf(mac, sizeof(mac), "0210%08x", flow);
  return "transfer group 3 pattern " + from(ports.vm) + " / eth / ipv4 dst is " + address(flow) +
         " / end actions count / modify_field op set dst_type mac_dst src_type value src_value " + mac +
         " width 48 / vxlan_encap { eth src 02:aa:00:00:00:01 dst 02:aa:00:00:00:02 / ipv4 src " + kOwnVtep +
         " dst " + kPeerVtep + " / udp / vxlan vni " + std::to_string(kVni) +
         " } / represented_port ethdev_port_id " + std::to_string(ports.uplink) + " / end";
}

std::vector<std::string> decap_rules(const PortIds& ports) {
  const std::string uplink = from(ports.uplink);
  const std::string tunnel = uplink + " / eth / ipv4 dst is " + kOwnVtep + " / udp dst is 4789";
  std::vector<std::string> rules{
      "transfer group 0 pattern " + uplink + " / end actions jump group 1 / end",
      "transfer group 1 pattern " + tunnel + " / vxlan vni is " + std::to_string(kVni) +
          " / end actions vxlan_decap / count / " + set_tag(0, kVni) + " / jump group 2 / end",
      "transfer group 1 priority 21000 pattern " + tunnel + " / end actions count / drop / end",
      "transfer group 2 pattern " + uplink + " / tag index is 0 data is " + std::to_string(kVni) +
          " / eth dst is " + kVmMac + " / end actions count / " + set_tag(1, 1) + " / jump group 4 / end",
      "transfer group 2 priority 21000 pattern " + uplink + " / tag index is 0 data is " +
          std::to_string(kVni) + " / eth / end actions count / drop / end",
      "transfer group 5 pattern " + uplink +
          " / tag index is 1 data is 1 / eth / end actions count / represented_port "
          "ethdev_port_id " +
          std::to_string(ports.vm) + " / end",
  };
  for (std::string& rule : policy("group 4", uplink + " / tag index is 1 data is 1", "src", "5")) {
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::vector<std::vector<std::uint8_t>> encap_packets(std::uint32_t flows) {
  std::vector<std::vector<std::uint8_t>> packets;
  for (std::uint32_t flow = 0; flow < flows; ++flow) {
    packets.push_back(
        Packet().eth(kVmMac, kGatewayMac).ipv4(kVmIp, address(flow)).udp(4000, 5000).payload(22).bytes());
  }
  return packets;
}

std::vector<std::vector<std::uint8_t>> decap_packets(std::uint32_t flows) {
  std::vector<std::vector<std::uint8_t>> packets;
  for (std::uint32_t flow = 0; flow < flows; ++flow) {
    packets.push_back(Packet()
                          .eth("02:aa:00:00:00:02", "02:aa:00:00:00:01")
                          .ipv4(kPeerVtep, kOwnVtep)
                          .udp(static_cast<std::uint16_t>(49152 + flow % 16384), 4789)
                          .vxlan(kVni)
                          .eth(kGatewayMac, kVmMac)
                          .ipv4(address(flow), kVmIp)
                          .udp(4000, 5000)
                          .payload(22)
                          .bytes());
  }
  return packets;
}

void write_pcap(const std::string& path, const std::vector<std::vector<std::uint8_t>>& packets) {
  std::ofstream file(path, std::ios::binary);
  const auto put32 = [&file](std::uint32_t value) { file.write(reinterpret_cast<const char*>(&value), 4); };
  put32(0xa1b2c3d4);
  put32(2 | 4 << 16);
  for (const std::uint32_t word : {0U, 0U, 65535U, 1U}) put32(word);
  for (const auto& packet : packets) {
    const auto size = static_cast<std::uint32_t>(packet.size());
    for (const std::uint32_t word : {0U, 0U, size, size}) put32(word);
    file.write(reinterpret_cast<const char*>(packet.data()), size);
  }
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace berth::soft::bench
