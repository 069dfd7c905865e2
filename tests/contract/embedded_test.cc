// The embedded engine on the software eSwitch, with ports that lead nowhere: no root, no hugepages.
#include "dataplane/dpdk/embedded_eswitch.h"
#include "tests/contract/eswitch_contract.h"
#include "tests/fakes/whole_host.h"

#include <cstdlib>

namespace berth::testing {
namespace {

using dataplane::dpdk::EmbeddedEswitch;

// DPDK starts once a process, so all tests share one.
struct Embedded {
  static dataplane::Eswitch& eswitch() {
    (void)loop();
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
  std::vector<RuleChange> changes;
  for (const Rule& rule : whole_host(make_vpc_with_policy())) changes.emplace_back(AddRule{rule});

  const auto outcomes = run_until_done(loop(), Embedded::eswitch().apply(changes)).value();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    EXPECT_TRUE(outcomes[i]) << i << ": " << (outcomes[i] ? "" : outcomes[i].error().message);
  }
  EXPECT_EQ(run_until_done(loop(), Embedded::eswitch().read_rules(std::nullopt)).value().size(),
            changes.size());
  std::vector<RuleChange> removals;
  for (const RuleChange& change : changes)
    removals.emplace_back(RemoveRule{std::get<AddRule>(change).rule.key});
  for (const auto& outcome : run_until_done(loop(), Embedded::eswitch().apply(removals)).value())
    EXPECT_TRUE(outcome);
}

}  // namespace
}  // namespace berth::testing
