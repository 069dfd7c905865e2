// An agent with a VPC and two policy groups, for updates of what is attached.
#pragma once

#include "agent/records.h"
#include "dataplane/explain/explain.h"
#include "dataplane/wire_numbers.h"
#include "tests/flow/agent_world.h"

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::testing {

inline constexpr std::uint64_t kGbit = 1'000'000'000;

inline std::vector<dataplane::PolicyGroupId> groups(const std::vector<std::string>& names) {
  std::vector<dataplane::PolicyGroupId> ids;
  for (const std::string& name : names) ids.push_back(dataplane::PolicyGroupId::trusted(name));
  return ids;
}

inline dataplane::PolicyGroup make_group(const std::string& id,
                                         const std::vector<std::uint16_t>& denied_ports) {
  dataplane::PolicyGroup group{.id = dataplane::PolicyGroupId::trusted(id), .rules = {}};
  for (const std::uint16_t port : denied_ports) {
    for (const dataplane::Direction direction :
         {dataplane::Direction::kIngress, dataplane::Direction::kEgress})
      group.rules.push_back({direction, 5, dataplane::Verdict::kDeny, dataplane::kProtocolTcp, std::nullopt,
                             dataplane::PortRange{port, port}});
  }
  return group;
}

// Both deny port 22; web port 80, too, and mail port 25.
inline dataplane::Vpc make_blue() {
  auto vpc = make_vpc("blue", 7001);
  vpc.policy_groups = {make_group("web", {22, 80}), make_group("mail", {22, 25})};
  return vpc;
}

inline agent::UpdateIntent make_update(const AttachmentId& id, std::uint8_t number,
                                       const std::string& request = "change") {
  const auto named = make_interface("blue", number);
  return {.request = RequestId::trusted(request),
          .attachment = id,
          .interfaces = {{.vpc = named.vpc, .mac = named.mac}}};
}

inline agent::UpdateIntent to_groups(const AttachmentId& id, std::uint8_t number,
                                     const std::vector<std::string>& names,
                                     const std::string& request = "change") {
  agent::UpdateIntent intent = make_update(id, number, request);
  intent.interfaces[0].policy_groups = groups(names);
  return intent;
}

class Updates : public ::testing::Test {
 protected:
  Updates() { EXPECT_THAT(world.push({make_blue()}), ::testing::IsEmpty()); }

  AttachmentId attach(std::uint8_t number, const std::vector<std::string>& names,
                      dataplane::Rates rates = {}) {
    auto wanted = make_intent(fmt::format("vm-{}", number), "blue", number);
    wanted.interfaces[0].policy_groups = groups(names);
    wanted.interfaces[0].rates = rates;
    const auto attached = world.attach(wanted);
    EXPECT_TRUE(attached && !attached->error);
    return attached ? attached->attachment : AttachmentId();
  }
  Result<agent::Operation> update(const agent::UpdateIntent& intent) {
    const auto accepted = world.run(world.agent.update(intent));
    if (!accepted) return accepted;
    return world.run(world.agent.operations().wait(accepted->id));
  }
  std::string refusal(const agent::UpdateIntent& intent) {
    const auto asked = world.run(world.agent.check(intent));
    const auto refused = world.run(world.agent.update(intent));
    EXPECT_FALSE(refused);
    EXPECT_FALSE(asked);
    if (refused || asked) return "none";
    EXPECT_EQ(asked.error().reason, refused.error().reason) << "what is only asked about";
    return refused.error().reason;
  }
  agent::Attachment now(const AttachmentId& id) { return world.agent.attachments().get(id).value(); }

  // From VM `from` to VM `to` of this host, on functions in the order of their attaches.
  bool passes(std::uint16_t function, std::uint8_t from, std::uint8_t to, int port) {
    std::vector<dataplane::HeldRule> held;
    for (const auto& [key, rule] : world.eswitch.rules) held.push_back({.rule = rule});
    const dataplane::PacketDefaults defaults{.eth_src = {{0x02, 0, 0, 0, 1, from}}};
    const auto text = fmt::format("ipv4 10.1.0.{} > 10.1.0.{} / tcp 1 > {}", from, to, port);
    const auto headers = dataplane::parse_packet_text(text, defaults).value();
    const auto explanation = dataplane::explain(held, dataplane::EswitchPort::function(function), headers);
    return explanation.end == dataplane::Explanation::End::kDelivered;
  }
  // Of VM 5 and VM 6, which has no groups: what a move between web and mail must never do.
  void expect_no_gap() {
    for (const auto& [function, from, to] : {std::tuple(0, 5, 6), std::tuple(1, 6, 5)}) {
      const auto can_pass = [&](int port) {
        return passes(static_cast<std::uint16_t>(function), static_cast<std::uint8_t>(from),
                      static_cast<std::uint8_t>(to), port);
      };
      EXPECT_FALSE(can_pass(22)) << "both deny it";
      EXPECT_TRUE(can_pass(24)) << "both let it pass";
      EXPECT_NE(can_pass(80), can_pass(25)) << "one of the two judges, and no mixture";
    }
  }
  void expect_settled() {
    const auto resynced = world.run(world.agent.resync()).value();
    EXPECT_EQ(resynced.added_count + resynced.removed_count, 0U) << "rules are not those that are wanted";
  }

  AgentWorld world;
};

}  // namespace berth::testing
