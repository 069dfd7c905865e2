// The embedded engine on the software eSwitch, with ports that lead nowhere: no root, no hugepages.
#include "dataplane/compile.h"
#include "dataplane/dpdk/embedded_eswitch.h"
#include "tests/contract/eswitch_contract.h"

#include <cstdlib>

namespace berth::testing {
namespace {

using dataplane::dpdk::EmbeddedEswitch;

// DPDK starts once a process, so all tests share one.
struct Embedded {
  static dataplane::Eswitch& eswitch() {
    static const auto instance = [] {
      auto opened =
          EmbeddedEswitch::open_soft({.uplink = {"net_null0", "no-rx=1"},
                                      .functions = {{"net_null1", "no-rx=1"}, {"net_null2", "no-rx=1"}}});
      if (!opened) {
        ADD_FAILURE() << opened.error().message;
        std::abort();
      }
      return *std::move(opened);
    }();
    return *instance;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EswitchContract, Embedded);

// What the compiler makes, the software eSwitch takes: it enforces the hardware profile.
TEST(EmbeddedEswitch, TakesEveryRuleOfAWholeHost) {
  using namespace dataplane;
  const auto ip = [](std::string_view text) { return IpAddress::parse("ip", text).value(); };
  const auto mac = [](std::string_view text) { return MacAddress::parse("mac", text).value(); };
  const auto prefix = [](std::string_view text) { return IpPrefix::parse("prefix", text).value(); };
  const Underlay underlay{.vtep = ip("192.0.2.1"),
                          .mac = mac("02:00:00:00:ff:01"),
                          .next_hops = {{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}}};
  const Vpc vpc{
      .id = VpcId::trusted("blue"),
      .vni = Vni::trusted(7001),
      .subnets = {{prefix("10.1.0.0/24"), ip("10.1.0.1")}},
      .mappings = {{ip("10.1.0.200"), mac("02:00:00:00:01:c8"), ip("192.0.2.2")}},
      .policy = {{Direction::kIngress, 9999, Verdict::kDeny, 6, prefix("10.1.0.0/25"), PortRange{1, 65534}},
                 {Direction::kEgress, 0, Verdict::kDeny, 17, prefix("10.1.0.0/24"), PortRange{53, 53}},
                 {Direction::kIngress, 1, Verdict::kAllow, 1, std::nullopt, std::nullopt}}};
  const LocalEndpoint web{EswitchPort::function(0), ip("10.1.0.5"), mac("02:00:00:00:01:05")};
  const LocalEndpoint db{EswitchPort::function(1), ip("10.1.0.6"), mac("02:00:00:00:01:06")};

  std::vector<RuleChange> changes;
  const auto add = [&](const std::vector<Rule>& rules) {
    for (const Rule& rule : rules) changes.emplace_back(AddRule{rule});
  };
  add(compile_host(underlay));
  add(compile_vpc(vpc, underlay));
  for (const auto& [self, other] : {std::pair{web, db}, std::pair{db, web}}) {
    add(compile_closed(self.port));
    add(compile_port(vpc, self, underlay));
    add(compile_delivery(vpc, self, std::vector{other}));
  }

  asio::io_context io;
  const auto outcomes = run_until_done(io, Embedded::eswitch().apply(changes)).value();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_TRUE(outcomes[i]) << i << ": " << (outcomes[i] ? "" : outcomes[i].error().message);
  }
  EXPECT_EQ(run_until_done(io, Embedded::eswitch().read_rules(std::nullopt)).value().size(), changes.size());
  std::vector<RuleChange> removals;
  for (const RuleChange& change : changes)
    removals.emplace_back(RemoveRule{std::get<AddRule>(change).rule.key});
  for (const auto& outcome : run_until_done(io, Embedded::eswitch().apply(removals)).value())
    EXPECT_TRUE(outcome);
}

}  // namespace
}  // namespace berth::testing
