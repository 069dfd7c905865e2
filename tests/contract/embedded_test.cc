// The embedded engine on the software eSwitch, with ports that lead nowhere: no root, no hugepages.
#include "dataplane/dpdk/embedded_eswitch.h"
#include "dataplane/pipeline.h"
#include "dataplane/rule_text.h"
#include "tests/contract/eswitch_contract.h"
#include "tests/fakes/port_answers.h"
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
                                      .functions = {{"net_null1", "no-rx=1"}, {"net_null2", "no-rx=1"}},
                                      .steering = dataplane::dpdk::SteeringMode::BERTH_STEERING});
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
    EXPECT_TRUE(outcomes[i]) << format_rule_body(std::get<AddRule>(changes[i]).rule, berth_numbering) << "\n"
                             << (outcomes[i] ? "" : outcomes[i].error().message);
  }
  EXPECT_EQ(run_until_done(loop(), Embedded::eswitch().read_rules(std::nullopt)).value().size(),
            changes.size());
  std::vector<RuleChange> removals;
  for (const RuleChange& change : changes)
    removals.emplace_back(RemoveRule{std::get<AddRule>(change).rule.key});
  for (const auto& outcome : run_until_done(loop(), Embedded::eswitch().apply(removals)).value())
    EXPECT_TRUE(outcome);
}

// A VM that has just been attached must not wait for its address until another one's rules are in.
TEST(EmbeddedEswitch, AnswersDoNotWaitForRules) {
  using namespace dataplane;
  const auto vf0 = EswitchPort::function(0);
  std::vector<RuleChange> additions;
  std::vector<RuleChange> removals;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const Match match{
        .source = vf0, .ip = IpFamily::kV4, .ip_dst = IpPrefix::host(IpAddress::v4(0x0A010000U + i))};
    const Rule rule{.key = {group::kMapping, priority::kExact, match},
                    .actions = {.fate = Drop{}},
                    .purpose = Purpose::kMapping,
                    .owner = vf0};
    additions.emplace_back(AddRule{rule});
    removals.emplace_back(RemoveRule{rule.key});
  }
  bool rules_are_in = false;
  asio::co_spawn(loop(), Embedded::eswitch().apply(additions),
                 [&](const std::exception_ptr&, const Result<std::vector<Result<void>>>& outcomes) {
                   rules_are_in = outcomes && outcomes->back();
                 });
  bool came_first = false;
  asio::co_spawn(
      loop(), Embedded::eswitch().set_answers(vf0, make_answers()),
      [&](const std::exception_ptr&, const Result<void>& set) { came_first = set && !rules_are_in; });
  loop().restart();
  loop().run();
  EXPECT_TRUE(rules_are_in);
  EXPECT_TRUE(came_first);
  EXPECT_TRUE(run_until_done(loop(), Embedded::eswitch().set_answers(vf0, std::nullopt)));
  for (const auto& outcome : run_until_done(loop(), Embedded::eswitch().apply(removals)).value())
    EXPECT_TRUE(outcome);
}

}  // namespace
}  // namespace berth::testing
