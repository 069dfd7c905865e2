// Meters on packets: METER_MARK colours, METER_COLOR tells apart, METER drops red; buckets refill at their
// rate.
#include "tests/unit/soft/packet.h"
#include "tests/unit/soft/template_harness.h"

#include <cerrno>
#include <cstdint>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_mtr.h>

namespace berth::soft::test {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr PortIndex kWeb = 1;
constexpr PortIndex kLocal = 2;
constexpr std::size_t kPacketBytes = 100;
constexpr std::uint64_t kHardlyARate = 1;  // bytes a second

rte_mtr_meter_profile one_rate(std::uint64_t burst, std::uint64_t excess, std::uint64_t rate = kHardlyARate) {
  rte_mtr_meter_profile profile{};
  profile.alg = RTE_MTR_SRTCM_RFC2697;
  profile.srtcm_rfc2697 = {.cir = rate, .cbs = burst, .ebs = excess};
  return profile;
}

// VM 1's packets are coloured in group 1; in group 2 green ones go to VM 2, yellow ones to the wire, red ones
// nowhere.
class MeterMarkTest : public TemplateTest {
 protected:
  MeterMarkTest() {
    net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
    green = net.create(
        "group 2 pattern from:vf0 / meter_color color is 0 / eth / end actions count / to:vf1 / end");
    yellow = net.create(
        "group 2 pattern from:vf0 / meter_color color is 1 / eth / end actions count / to:uplink / end");
    red = net.create(
        "group 2 pattern from:vf0 / meter_color color is 2 / eth / end actions count / drop / end");
  }

  void add_profile(std::uint32_t id, rte_mtr_meter_profile profile) {
    rte_mtr_error failed{};
    ASSERT_EQ(rte_mtr_meter_profile_add(proxy(), id, &profile, &failed), 0) << failed.message;
  }

  rte_flow_action_meter_mark mark_of(std::uint32_t profile) const {
    rte_mtr_error failed{};
    rte_flow_action_meter_mark mark{};
    mark.profile = rte_mtr_meter_profile_get(proxy(), profile, &failed);
    mark.state = 1;
    return mark;
  }

  rte_flow_action_handle* create_mark(const rte_flow_action_meter_mark& mark) {
    const rte_flow_indir_action_conf attr{.ingress = 0, .egress = 0, .transfer = 1};
    const rte_flow_action action{RTE_FLOW_ACTION_TYPE_METER_MARK, &mark};
    return rte_flow_action_handle_create(proxy(), &attr, &action, &error);
  }

  FlowText marking(const std::string& pattern, rte_flow_action_handle* handle) const {
    FlowText text =
        flow("group 1 pattern from:vf0 / " + pattern + " / end actions meter_mark / jump group 2 / end");
    text.actions[0] = {RTE_FLOW_ACTION_TYPE_INDIRECT, handle};
    return text;
  }

  // Every packet of VM 1 is coloured by this profile.
  rte_flow_action_handle* meter_all(const rte_mtr_meter_profile& profile) {
    add_profile(1, profile);
    rte_flow_action_handle* handle = create_mark(mark_of(1));
    EXPECT_NE(handle, nullptr) << error.message;
    const FlowText text = marking("eth", handle);
    table_of(text, 4);
    EXPECT_NE(enqueue(text), nullptr) << error.message;
    EXPECT_THAT(pull(), SizeIs(1));
    return handle;
  }

  static Bytes packet(std::uint16_t port = 1, std::size_t bytes = kPacketBytes) {
    return Packet()
        .eth("02:00:00:00:00:01", "02:00:00:00:00:fe")
        .ipv4("10.1.0.5", "10.1.0.6")
        .udp(port, 2)
        .payload(bytes - 42)
        .bytes();
  }

  void send(int count, const Bytes& bytes = packet()) {
    for (int i = 0; i < count; ++i) net.wire_in(kWeb, bytes);
    net.run();
  }

  void expect_colours(std::uint64_t greens, std::uint64_t yellows, std::uint64_t reds) {
    EXPECT_THAT(net.wire_out(kLocal), SizeIs(greens));
    EXPECT_THAT(net.wire_out(kUplink), SizeIs(yellows));
    EXPECT_EQ(net.count(green, true).hits, greens);
    EXPECT_EQ(net.count(yellow, true).hits, yellows);
    EXPECT_EQ(net.count(red, true).hits, reds);
  }

  rte_flow* green = nullptr;
  rte_flow* yellow = nullptr;
  rte_flow* red = nullptr;
};

TEST_F(MeterMarkTest, OneRateColoursByBurstAndExcess) {
  meter_all(one_rate(3 * kPacketBytes, 2 * kPacketBytes));
  for (std::uint16_t i = 0; i < 10; ++i) net.wire_in(kWeb, packet(i));
  net.run();
  const auto passed = net.wire_out(kLocal);
  const auto exceeded = net.wire_out(kUplink);
  EXPECT_THAT(passed, testing::ElementsAre(packet(0), packet(1), packet(2)));
  EXPECT_THAT(exceeded, testing::ElementsAre(packet(3), packet(4)));
  EXPECT_EQ(net.count(red).hits, 5U);
  EXPECT_EQ(net.count(red).bytes, 5 * kPacketBytes);
}

TEST_F(MeterMarkTest, TwoRatesColourByCommittedAndPeakBurst) {
  rte_mtr_meter_profile profile{};
  profile.alg = RTE_MTR_TRTCM_RFC2698;
  profile.trtcm_rfc2698 = {
      .cir = kHardlyARate, .pir = kHardlyARate, .cbs = 2 * kPacketBytes, .pbs = 5 * kPacketBytes};
  meter_all(profile);
  send(10);
  expect_colours(2, 3, 5);
}

TEST_F(MeterMarkTest, TwoRatesOfRfc4115ColourByCommittedAndExcessBurst) {
  rte_mtr_meter_profile profile{};
  profile.alg = RTE_MTR_TRTCM_RFC4115;
  profile.trtcm_rfc4115 = {
      .cir = kHardlyARate, .eir = kHardlyARate, .cbs = 2 * kPacketBytes, .ebs = 5 * kPacketBytes};
  meter_all(profile);
  send(10);
  expect_colours(2, 5, 3);
}

TEST_F(MeterMarkTest, PacketsCanBeCountedInsteadOfBytes) {
  rte_mtr_meter_profile profile = one_rate(3, 2);
  profile.packet_mode = 1;
  meter_all(profile);
  send(2, packet(1, 60));
  send(8, packet(1, 1400));
  expect_colours(3, 2, 5);
}

// Offers more than passes, waits, and offers more again: what is green is the burst and what has trickled in
// since.
TEST_F(MeterMarkTest, BucketsRefillAtTheirRate) {
  constexpr std::uint64_t kRate = 2'000'000;  // bytes a second: 20 packets in a millisecond
  constexpr std::uint64_t kBurst = 500;       // packets
  meter_all(one_rate(kBurst * kPacketBytes, 0, kRate));
  const auto packets_in = [](std::uint64_t ticks) {
    return static_cast<double>(ticks) / static_cast<double>(rte_get_tsc_hz()) * kRate / kPacketBytes;
  };
  const std::uint64_t start = rte_rdtsc();
  const auto greens_of = [this](int packets) {
    send(packets);
    const std::size_t greens = net.wire_out(kLocal).size();
    EXPECT_EQ(net.count(green, true).hits, greens);
    EXPECT_EQ(net.count(red, true).hits, static_cast<std::size_t>(packets) - greens);
    return static_cast<double>(greens);
  };
  double greens = 0;
  // Until the bucket is empty, whatever trickles in meanwhile on a busy machine.
  double last = 400;
  for (int batch = 0; last == 400; ++batch) {
    ASSERT_LT(batch, 100) << "the meter lets everything pass";
    last = greens_of(400);
    greens += last;
  }
  const std::uint64_t emptied = rte_rdtsc();
  EXPECT_GE(greens, kBurst);
  EXPECT_LE(greens, kBurst + 1.02 * packets_in(emptied - start) + 1);

  rte_delay_us_block(10'000);
  const std::uint64_t waited = rte_rdtsc() - emptied;
  greens += greens_of(900);
  EXPECT_GE(greens, std::min<double>(kBurst + packets_in(waited) - 1, 2 * kBurst - 1));
  EXPECT_LE(greens, kBurst + 1.02 * packets_in(rte_rdtsc() - start) + 1);
}

TEST_F(MeterMarkTest, RulesWithOneHandleShareItsBuckets) {
  add_profile(1, one_rate(3 * kPacketBytes, 2 * kPacketBytes));
  rte_flow_action_handle* handle = create_mark(mark_of(1));
  const FlowText first = marking("eth / ipv4 / udp src is 1", handle);
  const FlowText second = marking("eth / ipv4 / udp src is 2", handle);
  table_of(first, 4);
  rte_flow* rules[] = {enqueue(first), enqueue(second)};
  EXPECT_THAT(pull(), SizeIs(2));
  for (int i = 0; i < 4; ++i) {
    net.wire_in(kWeb, packet(1));
    net.wire_in(kWeb, packet(2));
  }
  net.run();
  expect_colours(3, 2, 3);
  EXPECT_EQ(rte_flow_action_handle_destroy(proxy(), handle, &error), -EBUSY);
  for (rte_flow* rule : rules) EXPECT_EQ(destroy(rule), 0);
  EXPECT_EQ(rte_flow_action_handle_destroy(proxy(), handle, &error), 0);
}

TEST_F(MeterMarkTest, AColourEndsWithItsPacket) {
  net.create("group 0 pattern from:vf1 / end actions jump group 2 / end");
  net.create("group 2 pattern from:vf1 / meter_color color is 0 / eth / end actions to:vf0 / end");
  meter_all(one_rate(kPacketBytes, 0));
  send(3);
  EXPECT_EQ(net.count(red).hits, 2U) << "the last one that the worker saw was red";
  net.wire_in(kLocal, packet());
  net.run();
  EXPECT_THAT(net.wire_out(kWeb), SizeIs(1)) << "no meter coloured this one: it is green";
}

TEST_F(MeterMarkTest, AMeterInUseCanBeSwitchedOffAndGetAnotherProfile) {
  rte_flow_action_handle* handle = meter_all(one_rate(kPacketBytes, 0));
  send(4);
  expect_colours(1, 0, 3);
  rte_flow_update_meter_mark update{};
  update.state_valid = 1;
  ASSERT_EQ(rte_flow_action_handle_update(proxy(), handle, &update, &error), 0);
  send(4);
  expect_colours(4, 0, 0);

  // A bucket refills in microseconds now.
  add_profile(2, one_rate(4 * kPacketBytes, 0, 1'000'000'000));
  update.meter_mark = mark_of(2);
  update.profile_valid = 1;
  ASSERT_EQ(rte_flow_action_handle_update(proxy(), handle, &update, &error), 0);
  rte_delay_us_block(1000);
  send(4);
  expect_colours(4, 0, 0);
}

TEST_F(MeterMarkTest, OnlyPacketsThatStartGreenAreMetered) {
  add_profile(1, one_rate(kPacketBytes, 0));
  rte_flow_action_meter_mark mark = mark_of(1);
  mark.color_mode = 1;
  mark.init_color = RTE_COLOR_GREEN;  // the same as not looking at it
  EXPECT_NE(create_mark(mark), nullptr);
  mark.init_color = RTE_COLOR_YELLOW;
  EXPECT_EQ(create_mark(mark), nullptr);
  EXPECT_EQ(rte_errno, ENOTSUP);
  EXPECT_THAT(error.message, HasSubstr("HP-30"));
}

// METER, of the synchronous API: the default policy drops red, and yellow goes on as green does.
TEST(Meter, YellowGoesOnAndRedIsDropped) {
  SwitchHarness net(2);
  const std::uint16_t proxy = net.ethdev(kUplink);
  rte_mtr_error error{};
  rte_mtr_meter_profile profile = one_rate(3 * kPacketBytes, 2 * kPacketBytes);
  ASSERT_EQ(rte_mtr_meter_profile_add(proxy, 1, &profile, &error), 0);
  rte_mtr_params params{};
  params.meter_profile_id = 1;
  params.meter_enable = 1;
  ASSERT_EQ(rte_mtr_create(proxy, 1, &params, 1, &error), 0);
  net.create("group 0 pattern from:vf0 / end actions jump group 1 / end");
  rte_flow* rule =
      net.create("group 1 pattern from:vf0 / eth / end actions count / meter mtr_id 1 / to:vf1 / end");
  for (int i = 0; i < 10; ++i) net.wire_in(kWeb, Bytes(kPacketBytes, 1));
  net.run();
  EXPECT_THAT(net.wire_out(kLocal), SizeIs(5));
  EXPECT_EQ(net.count(rule).hits, 10U) << "the counter stands in front of the meter";
  rte_mtr_stats stats{};
  std::uint64_t mask = 0;
  ASSERT_EQ(rte_mtr_stats_read(proxy, 1, &stats, &mask, 0, &error), 0);
  EXPECT_EQ(stats.n_pkts[RTE_COLOR_GREEN], 3U);
  EXPECT_EQ(stats.n_pkts[RTE_COLOR_YELLOW], 2U);
  EXPECT_EQ(stats.n_pkts_dropped, 5U);
}

}  // namespace
}  // namespace berth::soft::test
