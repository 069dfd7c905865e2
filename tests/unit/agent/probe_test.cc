// What a probe sends and expects, and how it judges what was counted.
#include "agent/probe.h"

#include "agent/probe_frames.h"
#include "dataplane/explain/headers.h"
#include "dataplane/pipeline.h"
#include "dataplane/slowpath/checksum.h"
#include "dataplane/wire_numbers.h"
#include "tests/fakes/whole_host.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using namespace berth::testing;
using dataplane::EswitchPort;
using dataplane::HeldRule;
using dataplane::Purpose;
using dataplane::Rule;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using State = ProbeVerdict::State;

std::vector<HeldRule> held(const std::vector<Rule>& rules) {
  std::vector<HeldRule> all;
  for (const Rule& rule : rules) all.push_back({.rule = rule});
  return all;
}

ProbeSubject web(const dataplane::Underlay& underlay = kUnderlay) {
  return {.port = kWeb.port,
          .mac = kWeb.mac,
          .ips = kWeb.ips,
          .vni = Vni::trusted(7001),
          .foreign_vni = Vni::trusted(Vni::kMax),
          .vtep = underlay.vtep,
          .uplink_mac = underlay.mac};
}

std::vector<Purpose> purposes(const ProbeFrame& frame) {
  std::vector<Purpose> all;
  for (const auto& step : frame.chain) all.push_back(step.rule.purpose);
  return all;
}

class ProbeTest : public ::testing::Test {
 protected:
  ProbePlan plan() { return plan_probe(web(), held(rules)).value(); }
  std::string refusal() {
    const auto planned = plan_probe(web(), held(rules));
    return planned ? "" : planned.error().reason + ": " + planned.error().message;
  }
  Rule& rule(Purpose purpose, EswitchPort owner = kWeb.port) {
    return *std::ranges::find_if(
        rules, [&](const Rule& one) { return one.purpose == purpose && one.owner == owner; });
  }
  // As if every frame had taken its way.
  Readings counted(const ProbePlan& planned, std::span<const ProbeFrame> sent) {
    Readings readings = index_readings(held(rules));
    std::erase_if(readings, [&](const auto& entry) {
      return !std::ranges::binary_search(planned.watched, entry.first);
    });
    for (const ProbeFrame& frame : sent) {
      for (const auto& step : frame.chain) ++readings.at(step.rule.key).packets;
    }
    return readings;
  }
  std::vector<Rule> rules = whole_host(make_vpc("blue", 7001));
};

TEST_F(ProbeTest, EveryFamilyIsTriedFromBothSidesAndAgainstSpoofing) {
  const ProbePlan planned = plan();
  ASSERT_EQ(planned.frames.size(), 8U);
  EXPECT_THAT(purposes(planned.frames[0]),
              ElementsAre(Purpose::kAdmit, Purpose::kEgressPolicy, Purpose::kLocalMapping,
                          Purpose::kIngressPolicy, Purpose::kDeliver));
  EXPECT_THAT(purposes(planned.frames[1]), ElementsAre(Purpose::kTerminate, Purpose::kInnerMac,
                                                       Purpose::kIngressPolicy, Purpose::kDeliver));
  EXPECT_THAT(purposes(planned.frames[2]), ElementsAre(Purpose::kSpoofDrop));
  EXPECT_THAT(purposes(planned.frames[3]), ElementsAre(Purpose::kUnknownVniDrop));
  EXPECT_EQ(planned.frames[4].name, "ipv6 from the VM");
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(purposes(planned.frames[4 + i]), purposes(planned.frames[i])) << i;
  EXPECT_EQ(planned.frames[0].end, "delivered to vf0");
}

TEST_F(ProbeTest, AnIpv6UnderlayIsProbedToo) {
  rules = whole_host(on_ipv6_underlay(make_vpc("blue", 7001)), kIpv6Underlay);
  const auto planned = plan_probe(web(kIpv6Underlay), held(rules));
  ASSERT_TRUE(planned) << planned.error().message;
  EXPECT_THAT(purposes(planned->frames[1]), ElementsAre(Purpose::kTerminate, Purpose::kInnerMac,
                                                        Purpose::kIngressPolicy, Purpose::kDeliver));
}

// Frames that a NIC would take: lengths and checksums are right, inside and outside.
TEST_F(ProbeTest, FramesAreWellFormed) {
  for (const Payload payload : kPayloads) {
    for (const IpAddress& ip : kWeb.ips) {
      const TestFrame made = frame_from_wire(web(), Vni::trusted(7001), ip, payload);
      const auto& bytes = made.frame.bytes;
      const auto headers = dataplane::parse_frame(bytes);
      ASSERT_TRUE(headers && headers->inner);
      EXPECT_EQ(headers->vni, Vni::trusted(7001));
      EXPECT_EQ(headers->inner->ip->dst, ip);
      EXPECT_EQ(dataplane::slowpath::checksum({bytes.data() + 14, 20}), 0U) << "outer IPv4 header";
      const std::size_t inner_ip = bytes.size() - made.inner_bytes + 14;
      EXPECT_EQ(inner_ip, 64U);
      const std::size_t header = ip.is_v4() ? 20 : 40;
      const std::span message(bytes.data() + inner_ip + header, bytes.size() - inner_ip - header);
      if (headers->inner->ip->protocol == dataplane::kProtocolIcmp) {
        EXPECT_EQ(dataplane::slowpath::checksum(message), 0U);
      } else {
        EXPECT_EQ(dataplane::slowpath::checksum(ip, ip, headers->inner->ip->protocol, message), 0U);
      }
      EXPECT_GE(made.inner_bytes, 60U) << "no wire pads them";
    }
  }
}

TEST_F(ProbeTest, CountsAreOfTheFrameAsItReachesTheRule) {
  const ProbePlan planned = plan();
  const auto& from_wire = planned.frames[1];
  EXPECT_EQ(from_wire.chain[0].bytes, from_wire.frame.bytes.size());
  EXPECT_EQ(from_wire.chain[1].bytes, from_wire.frame.bytes.size() - 50);
}

// What the policy lets through is tried, so that as much as possible is.
TEST_F(ProbeTest, APolicyThatLetsOnlyOnePortPassIsPassed) {
  using namespace dataplane;
  Vpc vpc = make_vpc("blue", 7001);
  vpc.policy = {{Direction::kIngress, 1, Verdict::kAllow, kProtocolTcp, std::nullopt, PortRange{443, 443}},
                {Direction::kIngress, 2, Verdict::kDeny, std::nullopt, std::nullopt, std::nullopt}};
  rules = whole_host(vpc);
  const ProbePlan planned = plan();
  EXPECT_FALSE(planned.frames[0].is_denied);
  EXPECT_EQ(planned.frames[1].chain.back().rule.purpose, Purpose::kDeliver);
}

TEST_F(ProbeTest, APolicyThatDeniesEverythingIsTheProof) {
  using namespace dataplane;
  Vpc vpc = make_vpc("blue", 7001);
  vpc.policy = {{Direction::kIngress, 2, Verdict::kDeny, std::nullopt, std::nullopt, std::nullopt}};
  rules = whole_host(vpc);
  const ProbePlan planned = plan();
  EXPECT_TRUE(planned.frames[1].is_denied);
  EXPECT_THAT(purposes(planned.frames[1]), ElementsAre(Purpose::kTerminate, Purpose::kInnerMac,
                                                       Purpose::kIngressDeny, Purpose::kIngressPolicyDrop));
}

TEST_F(ProbeTest, RulesThatLeadAFrameAstrayAreNamed) {
  rule(Purpose::kDeliver).actions.fate = dataplane::Deliver{kDb.port};
  EXPECT_THAT(refusal(), HasSubstr("PROBE_FAILED"));
  EXPECT_THAT(refusal(), HasSubstr("ipv4 from the VM is delivered to vf1"));
}

TEST_F(ProbeTest, RulesThatLetASpoofedFramePassAreNamed) {
  Rule& spoof_drop = rule(Purpose::kSpoofDrop);
  spoof_drop.actions = rule(Purpose::kAdmit).actions;
  EXPECT_THAT(refusal(), HasSubstr("ipv4 from a spoofed address is delivered to vf0"));
}

TEST_F(ProbeTest, RulesThatTerminateAForeignVniAreNamed) {
  Rule& unknown = rule(Purpose::kUnknownVniDrop, EswitchPort::uplink());
  unknown.actions = rule(Purpose::kTerminate, EswitchPort::uplink()).actions;
  EXPECT_THAT(refusal(), HasSubstr("ipv4 with a foreign VNI is delivered to vf0"));
}

TEST_F(ProbeTest, WhatCountedAsItShouldIsProven) {
  const ProbePlan planned = plan();
  EXPECT_EQ(judge(planned, planned.frames, counted(planned, {}), counted(planned, planned.frames)).state,
            State::kProven);
}

// Whichever rule of whichever chain it is, and the rule is named.
TEST_F(ProbeTest, ARuleThatDidNotCountIsFound) {
  const ProbePlan planned = plan();
  for (const ProbeFrame& frame : planned.frames) {
    for (const auto& step : frame.chain) {
      Readings after = counted(planned, planned.frames);
      --after.at(step.rule.key).packets;
      const auto verdict = judge(planned, planned.frames, counted(planned, {}), after);
      EXPECT_EQ(verdict.state, State::kShort);
      EXPECT_THAT(verdict.why, HasSubstr(std::string(purpose_name(step.rule.purpose)) + " ("));
    }
  }
}

TEST_F(ProbeTest, SharedRulesMayCountMoreAndThePortsOwnMayNot) {
  const ProbePlan planned = plan();
  for (const auto& key : planned.watched) {
    Readings after = counted(planned, planned.frames);
    ++after.at(key).packets;
    const bool is_own = after.at(key).rule.owner == kWeb.port;
    const auto verdict = judge(planned, planned.frames, counted(planned, {}), after);
    EXPECT_EQ(verdict.state, is_own ? State::kExcess : State::kProven);
  }
}

TEST_F(ProbeTest, ARuleThatChangedMeanwhileProvesNothing) {
  const ProbePlan planned = plan();
  const Readings before = counted(planned, {});
  const auto key = rule(Purpose::kAdmit).key;
  Readings after = counted(planned, planned.frames);
  after.erase(key);
  EXPECT_EQ(judge(planned, planned.frames, before, after).state, State::kChanged);
  after = counted(planned, planned.frames);
  after.at(key).rule.actions.set_policy_tag = 1;
  EXPECT_EQ(judge(planned, planned.frames, before, after).state, State::kChanged);
  Readings counted_before = before;
  counted_before.at(key).packets = 100;
  EXPECT_EQ(judge(planned, planned.frames, counted_before, counted(planned, planned.frames)).state,
            State::kChanged)
      << "a counter that begins anew";
}

TEST_F(ProbeTest, DiscountsAreWhatWasCounted) {
  const ProbePlan planned = plan();
  const Readings after = counted(planned, planned.frames);
  std::size_t discounted = 0;
  for (const auto& change : discounts_of(planned.frames)) {
    const auto& discount = std::get<dataplane::DiscountRule>(change);
    EXPECT_EQ(discount.packets, after.at(discount.key).packets);
    EXPECT_GT(discount.bytes, 0U);
    discounted += discount.packets;
  }
  std::size_t sent = 0;
  for (const ProbeFrame& frame : planned.frames) sent += frame.chain.size();
  EXPECT_EQ(discounted, sent);
}

}  // namespace
}  // namespace berth::agent
