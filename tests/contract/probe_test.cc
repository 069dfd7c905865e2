// An agent on the embedded engine: what the software eSwitch really does with a probe's frames, and whether
// the probe notices a rule that the device has acknowledged and does not act on.
#include "agent/agent.h"
#include "dataplane/soft/faults.h"
#include "tests/contract/embedded_backend.h"
#include "tests/fakes/fake_driver.h"
#include "tests/fakes/whole_host.h"

#include <gmock/gmock.h>

namespace berth::testing {
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EswitchContract);  // embedded_test.cc does
namespace {

using namespace dataplane;
using ::testing::HasSubstr;

// The embedded engine, whose device forgets what it is told to.
class ForgetfulEswitch : public Eswitch {
 public:
  std::optional<Purpose> forgotten;

  Task<std::vector<Result<void>>> apply(std::vector<RuleChange> changes) override {
    std::vector<Result<void>> outcomes;
    for (const RuleChange& change : changes) {
      const auto* add = std::get_if<AddRule>(&change);
      if (add != nullptr && add->rule.purpose == forgotten)
        soft::faults_of("net_berth0")->plan({.ignore_create = 1});
      const auto outcome = co_await Embedded::eswitch().apply({change});
      if (!outcome) co_return pass(outcome);
      outcomes.push_back(outcome->front());
    }
    co_return outcomes;
  }
  Task<std::vector<HeldRule>> read_rules(RuleFilter which) override {
    return Embedded::eswitch().read_rules(std::move(which));
  }
  Task<std::vector<RuleDigest>> read_digests() override { return Embedded::eswitch().read_digests(); }
  Task<std::vector<PortState>> read_ports() override { return Embedded::eswitch().read_ports(); }
  Task<void> set_answers(EswitchPort port, std::optional<PortAnswers> answers) override {
    return Embedded::eswitch().set_answers(port, std::move(answers));
  }
  Task<std::vector<SlowPathState>> read_slow_path(std::optional<EswitchPort> port) override {
    return Embedded::eswitch().read_slow_path(port);
  }
  Task<void> inject(std::vector<InjectedFrame> frames) override {
    return Embedded::eswitch().inject(std::move(frames));
  }
};

class SoftProbe : public ::testing::TestWithParam<Purpose> {
 protected:
  void start(const Underlay& underlay = kUnderlay) {
    agent.emplace(
        loop().get_executor(), eswitch, driver, std::vector<host::Function>{{.index = 0}, {.index = 1}},
        state,
        agent::AgentSettings{.underlay = underlay, .probe = {.patience = std::chrono::milliseconds(200)}});
    ASSERT_TRUE(run(agent->start({})));
  }
  void push(const Vpc& vpc) {
    auto vpcs = std::make_shared<VpcSet>();
    vpcs->emplace(vpc.id, std::make_shared<const Vpc>(vpc));
    const auto errors = run(agent->push_vpcs({.vpcs = vpcs, .version = 1}));
    ASSERT_TRUE(errors && errors->empty());
  }
  agent::Operation attach(const LocalEndpoint& vm) {
    const agent::AttachIntent intent{
        .request = RequestId::trusted("r-" + vm.mac.str()),
        .vm = VmId::trusted("vm-" + std::to_string(vm.port.number())),
        .interfaces = {{.vpc = VpcId::trusted("blue"), .ips = vm.ips, .mac = vm.mac, .rates = vm.rates}}};
    const auto accepted = run(agent->attach(intent));
    EXPECT_TRUE(accepted) << accepted.error().message;
    return run(agent->operations().wait(accepted->id)).value();
  }
  void TearDown() override {
    if (!agent) return;
    run_until_done(loop(), agent->stop());
    for (const auto& one : run(eswitch.read_slow_path(std::nullopt)).value())
      EXPECT_TRUE(run(eswitch.set_answers(one.port, std::nullopt)));
    std::vector<RuleChange> removals;
    for (const auto& held : run(eswitch.read_rules(std::nullopt)).value())
      removals.emplace_back(RemoveRule{held.rule.key});
    EXPECT_TRUE(run(eswitch.apply(removals)));
  }
  template <typename T>
  T run(asio::awaitable<T> task) {
    return run_until_done(loop(), std::move(task));
  }
  std::uint64_t packets_counted() {
    std::uint64_t packets = 0;
    for (const auto& held : run(eswitch.read_rules(std::nullopt)).value())
      packets += held.packets + held.bytes;
    return packets;
  }

  ForgetfulEswitch eswitch;
  FakeDriver driver;
  agent::StateDb state;
  std::optional<agent::Agent> agent;
};

// Twice, so that the second VM's frames meet flows and shared rules that the first one's have moved.
TEST_F(SoftProbe, ProvesEveryAttachAndLeavesNoTraceInTheCounters) {
  start();
  push(make_vpc("blue", 7001));
  for (const LocalEndpoint& vm : {kWeb, kDb}) {
    const auto operation = attach(vm);
    ASSERT_FALSE(operation.error) << operation.error->message;
    const auto step = std::ranges::find(operation.steps, "probe", &agent::StepRecord::name);
    EXPECT_EQ(step->detail, fmt::format("{} frames, {} rules: counters moved", 4 * vm.ips.size(),
                                        vm.ips.size() == 2 ? 14 : 9));
  }
  EXPECT_EQ(packets_counted(), 0U);
}

TEST_F(SoftProbe, ProvesAnIpv6Underlay) {
  start(kIpv6Underlay);
  push(on_ipv6_underlay(make_vpc("blue", 7001)));
  const auto operation = attach(kWeb);
  EXPECT_FALSE(operation.error) << operation.error->message;
}

TEST_F(SoftProbe, ProvesAPolicyThatDenies) {
  start();
  Vpc vpc = make_vpc("blue", 7001);
  vpc.policy = {{Direction::kIngress, 2, Verdict::kDeny, std::nullopt, std::nullopt, std::nullopt}};
  push(vpc);
  const auto operation = attach(kDb);
  ASSERT_FALSE(operation.error) << operation.error->message;
  const auto step = std::ranges::find(operation.steps, "probe", &agent::StepRecord::name);
  EXPECT_THAT(step->detail, HasSubstr("ipv4 from the wire: dropped by ingress-policy-drop"));
}

TEST_P(SoftProbe, FindsARuleThatIsAcknowledgedAndDoesNotAct) {
  eswitch.forgotten = GetParam();
  start();
  push(make_vpc("blue", 7001));
  const auto operation = attach(kWeb);
  ASSERT_TRUE(operation.error);
  EXPECT_EQ(operation.error->code, Code::kDataLoss);
  EXPECT_EQ(operation.error->reason, "PROBE_FAILED") << operation.error->message;
  EXPECT_TRUE(agent->attachments().list().empty());
  EXPECT_TRUE(driver.plugged.empty());
}

INSTANTIATE_TEST_SUITE_P(Rules, SoftProbe,
                         ::testing::Values(Purpose::kAdmit, Purpose::kAdmitIpv6, Purpose::kSpoofDrop,
                                           Purpose::kEgressPolicy, Purpose::kLocalMapping,
                                           Purpose::kTerminate, Purpose::kUnknownVniDrop, Purpose::kInnerMac,
                                           Purpose::kIngressPolicy, Purpose::kDeliver),
                         [](const auto& param) {
                           std::string name(purpose_name(param.param));
                           std::erase(name, '-');
                           std::erase(name, ' ');
                           return name;
                         });

}  // namespace
}  // namespace berth::testing
