// The flow cache changes the speed and nothing else: what it answers is what the groups would have said.
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/switch_harness.h"

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::soft::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr PortIndex kWeb = 1;
constexpr PortIndex kLocal = 2;

Bytes udp_to(const std::string& address, std::uint16_t port = 53) {
  return Packet()
      .eth("02:00:00:00:00:01", "02:00:00:00:00:fe")
      .ipv4("10.1.0.5", address)
      .udp(1000, port)
      .bytes();
}

TEST(FlowCache, AChangedRuleActsOnKnownFlowsAtOnce) {
  SwitchHarness net;
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  rte_flow* rule =
      net.create("group 1 priority 5 pattern from:vf0 / eth / ipv4 / end actions count / to:vf1 / end");
  for (int i = 0; i < 3; ++i) {
    net.wire_in(kWeb, udp_to("10.1.0.6"));
    net.run_once();
  }
  EXPECT_EQ(net.wire_out(kLocal).size(), 3U);
  EXPECT_EQ(net.count(rule).hits, 3U);
  rte_flow* blocked =
      net.create("group 1 pattern from:vf0 / eth / ipv4 dst is 10.1.0.6 / end actions count / drop / end");
  net.wire_in(kWeb, udp_to("10.1.0.6"));
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), IsEmpty());
  EXPECT_EQ(net.count(blocked).hits, 1U);
  net.destroy(blocked);
  net.destroy(rule);
  net.wire_in(kWeb, udp_to("10.1.0.6"));
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), IsEmpty());
  EXPECT_THAT(net.agent_out(kWeb), ElementsAre(udp_to("10.1.0.6")));
}

// How many packets took the long way through the groups.
std::uint64_t walked(const SwitchHarness& net, PortIndex port = kWeb) {
  return net.xstat(port, "walked_packets");
}

TEST(FlowCache, AKnownFlowOutlivesChangesThatDoNotConcernIt) {
  SwitchHarness net;
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  const auto to = [&net](int last) {
    return net.create("group 1 pattern from:vf0 / eth / ipv4 dst is 10.1.0." + std::to_string(last) +
                      " / end actions count / to:vf1 / end");
  };
  rte_flow* rule = to(6);
  const auto send = [&net] {
    net.wire_in(kWeb, udp_to("10.1.0.6"));
    net.run_once();
  };
  send();
  EXPECT_EQ(walked(net), 1U);
  std::vector<rte_flow*> others;
  for (int i = 0; i < 30; ++i) {
    others.push_back(to(100 + i));
    send();
  }
  for (rte_flow* other : others) net.destroy(other);
  send();
  EXPECT_EQ(walked(net), 1U) << "thirty rules for others came and went";
  for (int i = 0; i < 600; ++i) net.destroy(to(100));
  send();
  EXPECT_EQ(walked(net), 2U) << "too many changes to look at each";
  net.destroy(rule);
  send();
  EXPECT_EQ(walked(net), 3U) << "its own rule went";
  EXPECT_EQ(net.agent_out(kWeb).size(), 1U);
  EXPECT_EQ(net.wire_out(kLocal).size(), 33U);
}

// The worker keeps notes of a few kinds of changes only; what it threw away may have concerned anybody.
TEST(FlowCache, ManyKindsOfChangesHideNone) {
  SwitchHarness net;
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  net.create("group 1 priority 5 pattern from:vf0 / eth / ipv4 / udp dst is 53 / end actions to:vf1 / end");
  const auto drop = [&net](const std::string& fields) {
    return net.create("group 1 pattern from:vf0 / eth / ipv4 " + fields + " / end actions drop / end");
  };
  const auto change_others = [&] {
    for (const char* bits :
         {"192.0", "224.0", "240.0", "248.0", "252.0", "254.0", "255.0", "255.128", "255.192"}) {
      net.destroy(drop(std::string("src spec 192.0.0.0 src mask ") + bits + ".0.0"));
    }
  };
  change_others();
  net.destroy(drop("dst is 10.1.0.9"));  // so that no key grows below, which would forget every flow
  for (int i = 0; i < 2; ++i) {
    net.wire_in(kWeb, udp_to("10.1.0.6"));
    net.run_once();
  }
  EXPECT_EQ(walked(net), 1U);
  EXPECT_EQ(net.wire_out(kLocal).size(), 2U);
  drop("dst is 10.1.0.6");
  change_others();
  net.wire_in(kWeb, udp_to("10.1.0.6"));
  net.run_once();
  EXPECT_THAT(net.wire_out(kLocal), IsEmpty());
}

// What a rule compares may have been written by another rule: then the packet as it arrived says nothing.
TEST(FlowCache, AChangeBehindAModificationConcernsTheFlow) {
  SwitchHarness net;
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  net.create(
      "group 1 pattern from:vf0 / eth / ipv4 / end actions modify_field op set dst_type ipv4_dst src_type "
      "value "
      "src_value 0a010009 width 32 / jump group 2 / end");
  net.create("group 2 priority 5 pattern from:vf0 / eth / ipv4 / end actions to:vf1 / end");
  // So that the change below makes no key wider: that alone would forget the flow.
  net.create("group 2 pattern from:vf0 / eth / ipv4 dst is 10.1.0.8 / end actions drop / end");
  for (int i = 0; i < 2; ++i) {
    net.wire_in(kWeb, udp_to("10.1.0.6"));
    net.run_once();
  }
  EXPECT_EQ(net.wire_out(kLocal).size(), 2U);
  net.create("group 2 pattern from:vf0 / eth / ipv4 dst is 10.1.0.9 / end actions drop / end");
  net.wire_in(kWeb, udp_to("10.1.0.6"));
  net.run_once();
  EXPECT_THAT(net.wire_out(kLocal), IsEmpty());
}

// Rules come and go from another thread while packets flow: every packet of a flow that they do not concern
// takes its way and is counted, every one of a flow that they do takes the old way or the new one. For the
// thread sanitizer.
TEST(FlowCache, RulesChangeUnderTraffic) {
  SwitchHarness net(2, ",flow_cache=64");
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  rte_flow* steady =
      net.create("group 1 pattern from:vf0 / eth / ipv4 dst is 10.1.0.6 / end actions count / to:vf1 / end");
  rte_flow* fallback =
      net.create("group 1 priority 5 pattern from:vf0 / eth / ipv4 / end actions count / to:uplink / end");
  std::atomic<bool> stop = false;
  std::uint64_t changes = 0;
  std::thread control([&] {
    for (std::uint32_t i = 0; !stop; ++i) {
      rte_flow* rule = net.create("group 1 pattern from:vf0 / eth / ipv4 dst is 10.1.0." +
                                  std::to_string(7 + i % 5) + " / end actions count / to:uplink / end");
      (void)net.count(rule);
      net.destroy(rule);
      changes += 2;
    }
  });
  std::size_t to_local = 0;
  std::size_t to_uplink = 0;
  constexpr int kRounds = 3000;
  for (int round = 0; round < kRounds; ++round) {
    for (const char* address : {"10.1.0.6", "10.1.0.7", "10.1.0.9"}) net.wire_in(kWeb, udp_to(address));
    net.run_once();
    to_local += net.wire_out(kLocal).size();
    to_uplink += net.wire_out(kUplink).size();
  }
  stop = true;
  control.join();
  EXPECT_EQ(to_local, std::size_t{kRounds});
  EXPECT_EQ(to_uplink, std::size_t{2 * kRounds});
  EXPECT_EQ(net.count(steady).hits, std::uint64_t{kRounds});
  EXPECT_LE(net.count(fallback).hits, std::uint64_t{2 * kRounds});
  EXPECT_GT(changes, 0U);
}

// And a rule behind a decapsulation compares what was inside.
TEST(FlowCache, AChangeBehindADecapsulationConcernsTheFlow) {
  SwitchHarness net;
  net.create("group 0 pattern from:uplink / end actions jump group 1 / end");
  net.create(
      "group 1 pattern from:uplink / eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni is 7 / end "
      "actions "
      "vxlan_decap / jump group 2 / end");
  net.create("group 2 priority 5 pattern from:uplink / eth / end actions to:vf1 / end");
  net.create(
      "group 2 pattern from:uplink / eth / ipv4 dst is 10.1.0.7 / udp dst is 53 / end actions drop / end");
  const Bytes inside = udp_to("10.1.0.6");
  Bytes packet = Packet()
                     .eth("02:aa:00:00:00:02", "02:aa:00:00:00:01")
                     .ipv4("10.0.0.2", "10.0.0.1")
                     .udp(50000, 4789)
                     .vxlan(7)
                     .payload(inside.size())
                     .bytes();
  std::copy(inside.begin(), inside.end(), packet.end() - static_cast<std::ptrdiff_t>(inside.size()));
  for (int i = 0; i < 2; ++i) {
    net.wire_in(kUplink, packet);
    net.run_once();
  }
  EXPECT_THAT(net.wire_out(kLocal), ElementsAre(inside, inside));
  net.create(
      "group 2 pattern from:uplink / eth / ipv4 dst is 10.1.0.6 / udp dst is 53 / end actions drop / end");
  net.wire_in(kUplink, packet);
  net.run_once();
  EXPECT_THAT(net.wire_out(kLocal), IsEmpty());
}

// Neither may be known by a key that does not look at what parts them.
TEST(FlowCache, FragmentsAndExtensionHeadersDoNotPassForTheirFlow) {
  SwitchHarness net;
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  net.create("group 1 pattern from:vf0 / eth / ipv6 / udp dst is 53 / end actions to:vf1 / end");
  net.create("group 1 pattern from:vf0 / eth / ipv4 / udp dst is 53 / end actions to:vf1 / end");
  const auto ethernet = [] { return Packet().eth("02:00:00:00:00:01", "02:00:00:00:00:fe"); };
  Bytes extended = ethernet().ipv6("fd00::5", "fd00::6").udp(1000, 53).payload(40).bytes();
  extended[20] = 60;  // destination options
  const std::vector<Bytes> unusual{
      ethernet().ipv6("fd00::5", "fd00::6").ipv6_fragment(8).udp(1000, 53).payload(40).bytes(),
      ethernet().ipv4("10.1.0.5", "10.1.0.6", 64, 5).udp(1000, 53).payload(40).bytes(), extended};
  for (int i = 0; i < 3; ++i) {
    net.wire_in(kWeb, ethernet().ipv6("fd00::5", "fd00::6").udp(1000, 53).payload(40).bytes());
    net.wire_in(kWeb, ethernet().ipv4("10.1.0.5", "10.1.0.6").udp(1000, 53).payload(40).bytes());
    for (const Bytes& packet : unusual) net.wire_in(kWeb, packet);
    net.run_once();
    EXPECT_EQ(net.wire_out(kLocal).size(), 2U);
    EXPECT_EQ(net.agent_out(kWeb), unusual);
  }
}

// A rule that looks at one more field must part flows that the cache knew as one.
TEST(FlowCache, AWiderKeyPartsKnownFlows) {
  SwitchHarness net;
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  net.create("group 1 priority 5 pattern from:vf0 / eth / ipv4 / end actions to:vf1 / end");
  for (std::uint16_t port : {std::uint16_t{53}, std::uint16_t{54}})
    net.wire_in(kWeb, udp_to("10.1.0.6", port));
  net.run();
  EXPECT_EQ(net.wire_out(kLocal).size(), 2U);
  net.create("group 1 pattern from:vf0 / eth / ipv4 / udp dst is 54 / end actions drop / end");
  for (int i = 0; i < 2; ++i) {
    for (std::uint16_t port : {std::uint16_t{53}, std::uint16_t{54}})
      net.wire_in(kWeb, udp_to("10.1.0.6", port));
    net.run();
    EXPECT_THAT(net.wire_out(kLocal), ElementsAre(udp_to("10.1.0.6", 53)));
  }
}

// A cache of four flows, so that flows of one burst push each other out.
TEST(FlowCache, FlowsThatPushEachOtherOutAreNotMixedUp) {
  SwitchHarness net(2, ",flow_cache=4");
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  std::map<std::string, rte_flow*> rules;
  for (int i = 0; i < 32; ++i) {
    const std::string address = "10.1.0." + std::to_string(i);
    rules[address] = net.create("group 1 pattern from:vf0 / eth / ipv4 dst is " + address +
                                " / end actions count / to:vf1 / end");
  }
  for (int round = 0; round < 5; ++round) {
    for (const auto& [address, rule] : rules) net.wire_in(kWeb, udp_to(address));
    net.run();
    EXPECT_EQ(net.wire_out(kLocal).size(), rules.size());
  }
  for (const auto& [address, rule] : rules) EXPECT_EQ(net.count(rule).hits, 5U) << address;
}

// The same rules and packets to a switch with a cache and to one without, while rules come and go.
TEST(FlowCache, AgreesWithTheLongWayOnRandomTraffic) {
  SwitchHarness cached(2, ",flow_cache=64");
  SwitchHarness plain(2, ",flow_cache=0");
  std::mt19937 random(7);
  const auto below = [&random](unsigned limit) { return static_cast<unsigned>(random() % limit); };
  const auto pick = [&](const std::vector<std::string>& from) {
    return from[below(static_cast<unsigned>(from.size()))];
  };
  const auto address = [&] { return "10.1.0." + std::to_string(below(6)); };
  const auto address6 = [&] { return "fd00::" + std::to_string(below(6)); };

  for (SwitchHarness* net : {&cached, &plain}) {
    net->create("group 0 pattern from:vf0 / end actions jump group 1 / end");
    net->create("group 0 pattern from:uplink / end actions jump group 1 / end");
  }
  struct Pair {
    rte_flow* cached;
    rte_flow* plain;
  };
  std::vector<Pair> rules;
  const auto random_rule = [&] {
    const bool from_uplink = below(3) == 0;
    const unsigned group = 1 + below(3);
    std::string text = "group " + std::to_string(group) + " priority " + std::to_string(below(8)) +
                       " pattern " +
                       (below(3) == 0 && !(from_uplink && group == 1) ? "represented_port"
                        : from_uplink                                 ? "from:uplink"
                                                                      : "from:vf0");
    if (from_uplink && group == 1) {
      return text + pick({" / eth / ipv4 dst is 10.0.0.1", " / eth / ipv6 dst is fd00::a"}) +
             " / udp dst is 4789 / vxlan vni is " + std::to_string(1 + below(2)) +
             " / end actions vxlan_decap / count / modify_field op set dst_type tag dst_level 0 src_type "
             "value src_value 0" +
             std::to_string(below(3)) + "000000 width 32 / jump group 2 / end";
    }
    if (below(3) == 0) text += " / tag index is 0 data is " + std::to_string(below(3));
    text += " / eth";
    if (below(3) == 0) {
      text += " / ipv6" + (below(2) == 0 ? " dst is " + address6() : std::string());
    } else if (below(4) != 0) {
      text += " / ipv4" + (below(2) == 0 ? " dst is " + address() : std::string());
    }
    if (text.ends_with("eth") == false && below(2) == 0)
      text += pick({" / udp", " / udp dst is 53", " / tcp dst is 80", " / tcp flags is 18"});
    text += " / end actions ";
    if (below(2) == 0) text += "count / ";
    if (text.find("ipv4") != std::string::npos && below(3) == 0) {
      text += "modify_field op set dst_type ipv4_dst src_type value src_value 0a01000" +
              std::to_string(below(6)) + " width 32 / ";
    }
    if (below(3) == 0) {
      text += "modify_field op set dst_type tag dst_level 0 src_type value src_value 0" +
              std::to_string(below(3)) + "000000 width 32 / ";
      return text + "jump group " + std::to_string(group + 1) + " / end";
    }
    return text + pick({"drop", "to:vf1", "jump group " + std::to_string(group + 1)}) + " / end";
  };
  const auto random_packet = [&](bool tunnelled) {
    Packet packet;
    if (tunnelled) {
      packet.eth("02:aa:00:00:00:02", "02:aa:00:00:00:01");
      below(2) == 0 ? packet.ipv4("10.0.0.2", "10.0.0.1") : packet.ipv6("fd00::b", "fd00::a");
      packet.udp(50000, 4789).vxlan(1 + below(3));
    }
    packet.eth("02:00:00:00:00:01", "02:00:00:00:00:fe");
    if (below(8) == 0) packet.vlan(5);
    if (below(10) == 0) return packet.arp().bytes();
    const bool is_v6 = below(3) == 0;
    if (is_v6) {
      packet.ipv6(address6(), address6());
      if (below(12) == 0) packet.ipv6_fragment(below(2) == 0 ? 1 : 8);
    } else {
      packet.ipv4(address(), address(), 64, below(12) == 0 ? 0x0003 : 0);
    }
    if (below(8) == 0) return is_v6 ? packet.icmp6(128).bytes() : packet.icmp(8).bytes();
    if (below(2) == 0) return packet.udp(1000, below(2) == 0 ? 53 : 54).bytes();
    return packet.tcp(1000, below(2) == 0 ? 80 : 81, below(2) == 0 ? 18 : 16).bytes();
  };

  std::size_t forwarded = 0;
  for (int step = 0; step < 1500; ++step) {
    if (rules.size() < 40 && below(3) != 0) {
      const std::string text = random_rule();
      if (plain.refusal(text).empty()) rules.push_back({cached.create(text), plain.create(text)});
    } else if (!rules.empty()) {
      std::swap(rules[below(static_cast<unsigned>(rules.size()))], rules.back());
      cached.destroy(rules.back().cached);
      plain.destroy(rules.back().plain);
      rules.pop_back();
    }
    for (int i = 0; i < 12; ++i) {
      const bool tunnelled = below(3) == 0;
      const Bytes packet = random_packet(tunnelled);
      for (SwitchHarness* net : {&cached, &plain}) net->wire_in(tunnelled ? kUplink : kWeb, packet);
    }
    for (SwitchHarness* net : {&cached, &plain}) net->run_once();
    for (PortIndex port : {kUplink, kWeb, kLocal}) {
      const std::vector<Bytes> out = cached.wire_out(port);
      forwarded += out.size();
      ASSERT_EQ(out, plain.wire_out(port)) << "step " << step;
      ASSERT_EQ(cached.agent_out(port), plain.agent_out(port)) << "step " << step;
    }
  }
  EXPECT_GT(forwarded, 300U);
  EXPECT_LT(walked(cached) + walked(cached, kUplink), walked(plain) + walked(plain, kUplink));
  EXPECT_EQ(cached.dump().size() > 0, true);
}

}  // namespace
}  // namespace berth::soft::test
