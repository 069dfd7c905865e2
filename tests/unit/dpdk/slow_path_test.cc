// The slow path's thread on the software eSwitch: what misses is answered to the VM that sent it. There are
// no rules, so everything misses; the test's own thread is the worker.
#include "dataplane/dpdk/slow_path.h"

#include "tests/unit/slowpath/gateway.h"
#include "tests/unit/soft/switch_harness.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <sys/resource.h>
#include <thread>

#include <gtest/gtest.h>

namespace berth::dataplane::dpdk {
namespace {

using namespace slowpath::test;
using slowpath::Outcome;
using std::chrono::steady_clock;

constexpr soft::PortIndex kVm0 = 1;
constexpr soft::PortIndex kVm1 = 2;
const EswitchPort kVf0 = EswitchPort::function(0);
const EswitchPort kVf1 = EswitchPort::function(1);

Octets arp_request() {
  return eth(kBroadcast, kVmMac, 0x0806,
             hex("0001 0800 0604 0001") + mac(kVmMac) + ip(kVm) + Octets(6) + ip(kGateway));
}

PortAnswers answers_without_ipv6() {
  PortAnswers answers = make_answers();
  answers.addresses.pop_back();
  return answers;
}

class SlowPathTest : public ::testing::Test {
 protected:
  explicit SlowPathTest(const std::string& more_arguments = "")
      : net(2, ",flow_cache=1024" + more_arguments) {}
  void SetUp() override {
    std::vector<PortState> ports;
    for (std::uint16_t number = 0; number < 3; ++number) {
      const auto port = number == 0 ? EswitchPort::uplink() : EswitchPort::function(number - 1U);
      ports.push_back({.port = port, .ethdev_port_id = net.ethdev(number)});
    }
    auto started = SlowPath::start(ports, MtuOf::kPort,
                                   {.frames = {.per_second = 1'000'000, .burst = 1'000'000}, .errors = {}});
    ASSERT_TRUE(started) << started.error().message;
    slow_path = *std::move(started);
  }

  // False when it has not happened after ten seconds; the eSwitch stands still meanwhile.
  static bool wait_until(const std::function<bool()>& happened) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (!happened()) {
      if (steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // The same, while the eSwitch runs.
  bool run_until(const std::function<bool()>& happened) {
    return wait_until([&] {
      net.run_once();
      return happened();
    });
  }
  Octets next_frame_at(soft::PortIndex port) {
    std::vector<Octets> frames;
    EXPECT_TRUE(run_until([&] { return !(frames = net.wire_out(port)).empty(); })) << "nothing arrived";
    return frames.empty() ? Octets() : frames.front();
  }
  std::uint64_t count(EswitchPort port, Outcome outcome) const {
    return slow_path->read().at(port.number()).counters[outcome];
  }

  soft::test::SwitchHarness net;
  std::unique_ptr<SlowPath> slow_path;  // ends before the ports
};

TEST_F(SlowPathTest, WhatMissesIsAnsweredToItsSender) {
  ASSERT_TRUE(slow_path->set_answers(kVf0, answers_without_ipv6()));
  net.wire_in(kVm0, arp_request());
  const Octets reply = next_frame_at(kVm0);
  EXPECT_EQ(part(reply, 0, 22), to_hex(mac(kVmMac) + mac(kGatewayMac) + hex("0806 0001 0800 0604 0002")));
  EXPECT_TRUE(net.wire_out(kVm1).empty());
  EXPECT_TRUE(net.wire_out(soft::kUplink).empty());
  EXPECT_EQ(count(kVf0, Outcome::kArp), 1U);
  EXPECT_EQ(slow_path->read()[1].undelivered, 0U);
}

TEST_F(SlowPathTest, PortsWithoutAnswersAreSilent) {
  ASSERT_TRUE(slow_path->set_answers(kVf0, answers_without_ipv6()));
  net.wire_in(kVm1, arp_request());
  net.wire_in(soft::kUplink, arp_request());
  EXPECT_TRUE(run_until([&] {
    return count(kVf1, Outcome::kNoAnswers) == 1 && count(EswitchPort::uplink(), Outcome::kNoAnswers) == 1;
  }));
  for (const soft::PortIndex port : {soft::kUplink, kVm0, kVm1}) EXPECT_TRUE(net.wire_out(port).empty());
}

TEST_F(SlowPathTest, ANewConfigurationIsAdvertisedUnasked) {
  ASSERT_TRUE(slow_path->set_answers(kVf1, make_answers()));
  const Octets advertisement = next_frame_at(kVm1);
  EXPECT_EQ(part(advertisement, 0, 6), "333300000001");
  EXPECT_EQ(part(advertisement, 54, 1), "86");
  EXPECT_EQ(fault_of(advertisement), "");
}

TEST_F(SlowPathTest, APingOfAJumboPacketComesBackWhole) {
  PortAnswers answers = answers_without_ipv6();
  answers.mtu_bytes = 9000;
  ASSERT_TRUE(slow_path->set_answers(kVf0, answers));
  Octets data(8972);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 7);
  net.wire_in(kVm0, eth(kGatewayMac, kVmMac, 0x0800,
                        ipv4(kVm, kGateway, 1, icmp(hex("0800 0000 1234 0001") + data))));
  const Octets reply = next_frame_at(kVm0);
  EXPECT_EQ(reply.size(), 9014U);
  EXPECT_EQ(fault_of(reply), "");
  EXPECT_EQ(part(reply, 42, 8972), to_hex(data));
}

// A lock that is missing shows under the thread sanitizer; a lost or doubled reply shows always.
TEST_F(SlowPathTest, AnswersMayChangeUnderTraffic) {
  ASSERT_TRUE(slow_path->set_answers(kVf0, answers_without_ipv6()));
  std::atomic<bool> is_over = false;
  std::thread changes([&] {
    for (std::uint32_t i = 0; !is_over; ++i) {
      PortAnswers answers = answers_without_ipv6();
      answers.mtu_bytes = 1400 + i % 50;
      EXPECT_TRUE(slow_path->set_answers(kVf0, answers));
      EXPECT_TRUE(slow_path->set_answers(kVf1, i % 2 == 0 ? std::optional(answers) : std::nullopt));
      std::this_thread::sleep_for(std::chrono::microseconds(20));  // a mutex is not fair
    }
  });
  // Small bursts, so that changes fall in their midst: the thread takes the lock between bursts anyway.
  std::size_t replies = 0;
  for (std::size_t sent = 0; sent < 2000; sent += 4) {
    for (int i = 0; i < 4; ++i) net.wire_in(kVm0, arp_request());
    if (run_until([&] { return (replies += net.wire_out(kVm0).size()) == sent + 4; })) continue;
    ADD_FAILURE() << replies << " replies to " << sent + 4 << " requests";
    break;
  }
  is_over = true;
  changes.join();
  EXPECT_EQ(count(kVf0, Outcome::kArp), 2000U);
}

class FullRingTest : public SlowPathTest {
 protected:
  FullRingTest() : SlowPathTest(",agent_ring=32") {}
};

TEST_F(FullRingTest, RepliesThatNobodyTakesAreCounted) {
  PortAnswers answers = make_answers();
  // Every change is advertised, and the worker does not run: 32 advertisements fit the ring.
  for (std::uint32_t changes = 1; changes <= 40; ++changes) {
    answers.mtu_bytes = 1400 + changes;
    ASSERT_TRUE(slow_path->set_answers(kVf0, answers));
    ASSERT_TRUE(wait_until([&] { return count(kVf0, Outcome::kRouter) == changes; })) << changes;
  }
  wait_until([&] { return slow_path->read()[1].undelivered >= 8; });
  EXPECT_EQ(slow_path->read()[1].undelivered, 8U);
}

TEST_F(SlowPathTest, WaitingCostsNextToNothing) {
  const auto used = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  const auto before = used();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const auto cost = std::chrono::duration_cast<std::chrono::milliseconds>(used() - before);
  EXPECT_LT(cost.count(), 50) << "ms of CPU time in a second";
}

}  // namespace
}  // namespace berth::dataplane::dpdk
