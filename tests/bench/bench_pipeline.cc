#include "tests/bench/bench_pipeline.h"

#include "dataplane/compile.h"
#include "dataplane/wire_numbers.h"
#include "tests/unit/soft/packet.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>

namespace berth::soft::bench {
namespace {

using namespace dataplane;
using test::Packet;

constexpr const char* kVmMac = "02:00:00:00:00:01";
constexpr const char* kGatewayMac = "02:00:00:00:00:fe";
constexpr const char* kVmIp = "10.255.0.1";
constexpr const char* kOwnVtep = "192.168.77.1";
constexpr const char* kPeerVtep = "192.168.77.2";
constexpr std::uint32_t kVni = 7001;

IpAddress ip(const char* text) {
  return IpAddress::parse("ip", text).value();
}
IpPrefix prefix(const std::string& text) {
  return IpPrefix::parse("prefix", text).value();
}
MacAddress mac(const char* text) {
  return MacAddress::parse("mac", text).value();
}

IpAddress flow_ip(std::uint32_t flow) {
  constexpr std::uint32_t kFirst = 10U << 24;  // where ovs_eswitch.sh begins, too
  return IpAddress::v4(kFirst + flow);
}
MacAddress flow_mac(std::uint32_t flow) {
  const std::array<std::uint8_t, 4> low = {
      static_cast<std::uint8_t>(flow >> 24), static_cast<std::uint8_t>(flow >> 16),
      static_cast<std::uint8_t>(flow >> 8), static_cast<std::uint8_t>(flow)};
  return {.bytes = {0x02, 0x10, low[0], low[1], low[2], low[3]}};
}

// Twenty rules of a security group, eighteen of which the packets do not match, in six shapes of masks.
void add_policy(Direction direction, std::vector<PolicyRule>& policy) {
  const auto add = [&](std::uint16_t priority, Verdict verdict, std::optional<std::uint8_t> protocol,
                       std::optional<IpPrefix> remote, std::optional<PortRange> ports) {
    policy.push_back({direction, priority, verdict, protocol, remote, ports});
  };
  const auto port = [](int number) {
    const auto one = static_cast<std::uint16_t>(number);
    return PortRange{one, one};
  };
  for (int i = 0; i < 4; ++i) add(10, Verdict::kDeny, kProtocolTcp, {}, port(22 + i));
  for (int i = 0; i < 4; ++i) add(12, Verdict::kDeny, kProtocolUdp, {}, port(137 + i));
  for (int i = 0; i < 4; ++i) {
    add(14, Verdict::kAllow, kProtocolTcp, prefix("172.16." + std::to_string(i) + ".0/24"), port(443));
  }
  for (int i = 0; i < 4; ++i)
    add(16, Verdict::kDeny, {}, prefix("172.2" + std::to_string(i) + ".0.0/16"), {});
  add(18, Verdict::kAllow, kProtocolIcmp, {}, {});
  add(18, Verdict::kDeny, kProtocolTcp, {}, PortRange{0x8000, 0xFFFF});
  add(20, Verdict::kAllow, kProtocolUdp, prefix("10.0.0.0/8"), {});
  add(kMaxPolicyPriority, Verdict::kDeny, {}, {}, {});
}

const Underlay& underlay() {
  static const Underlay kUnderlay{.vtep = ip(kOwnVtep),
                                  .mac = mac("02:aa:00:00:00:01"),
                                  .next_hops = {{ip(kPeerVtep), mac("02:aa:00:00:00:02")}}};
  return kUnderlay;
}

Vpc make_vpc(std::uint32_t flows) {
  Vpc vpc{.id = VpcId::trusted("bench"),
          .vni = Vni::trusted(kVni),
          .subnets = {{prefix("10.0.0.0/8"), ip("10.255.255.254")}}};
  add_policy(Direction::kEgress, vpc.policy);
  add_policy(Direction::kIngress, vpc.policy);
  for (std::uint32_t flow = 0; flow < flows; ++flow) {
    vpc.mappings.push_back({flow_ip(flow), flow_mac(flow), ip(kPeerVtep)});
  }
  return vpc;
}

}  // namespace

PortNumbering numbering(const PortIds& ports) {
  return [ports](EswitchPort port) { return port.is_uplink() ? ports.uplink : ports.vm; };
}

std::vector<Rule> host_rules(std::uint32_t flows) {
  const Vpc vpc = make_vpc(flows);
  const LocalEndpoint vm{
      .port = EswitchPort::function(0), .ips = {ip(kVmIp)}, .mac = mac(kVmMac), .rates = {}};
  std::vector<Rule> rules = compile_host(underlay());
  for (const auto& scope : {compile_vpc(vpc, {}, underlay()), compile_closed(vm.port), compile_port(vpc, vm),
                            compile_delivery(vpc, {}, vm)}) {
    rules.insert(rules.end(), scope.begin(), scope.end());
  }
  return rules;
}

Rule mapping_rule(std::uint32_t flow) {
  static const Rule kOne = [] {
    const std::vector<Rule> rules = compile_vpc(make_vpc(1), {}, underlay());
    return *std::ranges::find(rules, Purpose::kMapping, &Rule::purpose);
  }();
  Rule rule = kOne;
  rule.key.match.ip_dst = IpPrefix::host(flow_ip(flow));
  rule.actions.set_eth_dst = flow_mac(flow);
  return rule;
}

dpdk::InstalledRule install(dpdk::Steering& steering, const Rule& rule) {
  const auto installed = steering.create(rule, 0);
  if (!installed) throw std::runtime_error(installed.error().message);
  return *installed;
}

std::vector<std::vector<std::uint8_t>> encap_packets(std::uint32_t flows) {
  std::vector<std::vector<std::uint8_t>> packets;
  for (std::uint32_t flow = 0; flow < flows; ++flow) {
    packets.push_back(Packet()
                          .eth(kVmMac, kGatewayMac)
                          .ipv4(kVmIp, flow_ip(flow).str())
                          .udp(4000, 5000)
                          .payload(22)
                          .bytes());
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
                          .ipv4(flow_ip(flow).str(), kVmIp)
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
