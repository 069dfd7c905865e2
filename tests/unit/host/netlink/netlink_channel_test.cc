// A kernel that does not answer costs a caller its deadline, and nobody more.
#include "host/netlink/netlink_channel.h"

#include "tests/fakes/run_task.h"

#include <atomic>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
using berth::testing::run_until_done;

// Hangs in its first request until it is let go.
struct HangingKernel {
  std::promise<void> lets_go;
  std::promise<void> is_asked;
  std::shared_future<void> may_go{lets_go.get_future()};
  std::atomic<int> requests{0};

  Result<NlAnswer> answer() {
    if (++requests == 1) {
      is_asked.set_value();
      may_go.wait();
    }
    return NlAnswer{};
  }
};

TEST(NetlinkChannel, WhatHangsIsReportedAtItsDeadline) {
  asio::io_context io;
  const auto kernel = std::make_shared<HangingKernel>();
  {
    NetlinkChannel channel(io.get_executor(),
                           [kernel](NlProtocol, const Bytes&) { return kernel->answer(); });
    const auto answer = run_until_done(io, channel.call(NlProtocol::kRoute, {}, "set VF 3", 20ms));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().reason, "NETLINK_STUCK");
    EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
    EXPECT_THAT(answer.error().message, HasSubstr("set VF 3"));

    const auto next = run_until_done(io, channel.call(NlProtocol::kRoute, {}, "set VF 4", 20ms));
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().reason, "NETLINK_BUSY");
    EXPECT_THAT(next.error().message, HasSubstr("'set VF 3'")) << "who is to blame is named";
    EXPECT_EQ(kernel->requests, 1) << "what was reported as not sent was not sent";

    kernel->lets_go.set_value();
    EXPECT_TRUE(run_until_done(io, channel.call(NlProtocol::kRoute, {}, "set VF 5", 10s)));
    EXPECT_EQ(kernel->requests, 2);
  }
}

TEST(NetlinkChannel, ItsEndDoesNotWaitForWhatHangs) {
  const auto kernel = std::make_shared<HangingKernel>();
  auto io = std::make_unique<asio::io_context>();
  {
    NetlinkChannel channel(io->get_executor(),
                           [kernel](NlProtocol, const Bytes&) { return kernel->answer(); });
    EXPECT_FALSE(run_until_done(*io, channel.call(NlProtocol::kRoute, {}, "hangs", 20ms)));
  }
  io.reset();  // gone when the kernel answers at last
  kernel->lets_go.set_value();
}

TEST(NetlinkChannel, AnswersComeInTheOrderOfTheQuestions) {
  asio::io_context io;
  NetlinkChannel channel(io.get_executor(), [](NlProtocol, const Bytes& request) -> Result<NlAnswer> {
    return NlAnswer{.error_number = 0, .words = {}, .messages = {request}};
  });
  for (int i = 0; i < 10; ++i) {
    const Bytes question(4, static_cast<std::byte>(i));
    const auto answer = run_until_done(io, channel.call(NlProtocol::kRoute, question, "ask", 10s));
    ASSERT_TRUE(answer);
    EXPECT_THAT(answer->messages, ElementsAre(question));
  }
}

}  // namespace
}  // namespace berth::host
