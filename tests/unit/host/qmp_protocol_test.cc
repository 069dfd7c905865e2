#include "host/qemu/qmp_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::host::qemu {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kGreeting =
    R"({"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}})"
    "\r\n";

QmpProtocol ready() {
  QmpProtocol protocol("us");
  EXPECT_TRUE(protocol.receive(kGreeting));
  EXPECT_TRUE(protocol.receive("{\"return\": {}, \"id\": \"us-1\"}\r\n"));
  (void)protocol.take_output();
  return protocol;
}

std::string broken_by(QmpProtocol protocol, std::string_view bytes) {
  const auto received = protocol.receive(bytes);
  if (received) return "";
  EXPECT_EQ(received.error().code, Code::kDataLoss);
  EXPECT_EQ(protocol.receive("{\"event\": \"STOP\"}\n"), received) << "broken is broken for good";
  return received.error().reason;
}

TEST(QmpProtocol, NegotiatesWhenGreeted) {
  QmpProtocol protocol("us");
  EXPECT_EQ(protocol.take_output(), "");
  ASSERT_TRUE(protocol.receive(kGreeting));
  EXPECT_EQ(protocol.version(), "10.0.2");
  EXPECT_FALSE(protocol.is_ready());
  EXPECT_EQ(protocol.take_output(), "{\"execute\":\"qmp_capabilities\",\"id\":\"us-1\"}\n");
  ASSERT_TRUE(protocol.receive("{\"return\": {}, \"id\": \"us-1\"}\r\n"));
  EXPECT_TRUE(protocol.is_ready());
}

TEST(QmpProtocol, BytesMayComeOneByOne) {
  QmpProtocol protocol("us");
  for (const char byte : kGreeting) ASSERT_TRUE(protocol.receive({&byte, 1}));
  EXPECT_EQ(protocol.version(), "10.0.2");
}

TEST(QmpProtocol, RepliesAndEventsKeepTheirOrder) {
  QmpProtocol protocol = ready();
  const auto id = protocol.request("device_del", {{"id", "berth-vf3"}});
  EXPECT_EQ(protocol.take_output(),
            "{\"execute\":\"device_del\",\"id\":\"us-2\",\"arguments\":{\"id\":\"berth-vf3\"}}\n");
  ASSERT_TRUE(
      protocol.receive("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"berth-vf3\"}}\n"
                       "\n{\"return\": [1], \"id\": \"us-2\"}\n"));
  const auto event = std::get<QmpEvent>(*protocol.take());
  EXPECT_EQ(event.name, "DEVICE_DELETED");
  EXPECT_EQ(event.data.at("device"), "berth-vf3");
  const auto reply = std::get<QmpReply>(*protocol.take());
  EXPECT_EQ(reply.id, id);
  EXPECT_EQ(reply.outcome.value(), boost::json::array{1});
  EXPECT_FALSE(protocol.take());
}

TEST(QmpProtocol, ErrorsHaveClassAndWords) {
  QmpProtocol protocol = ready();
  const std::vector<std::tuple<std::string, Code, std::string>> classes = {
      {"DeviceNotFound", Code::kNotFound, "QMP_DEVICE_NOT_FOUND"},
      {"CommandNotFound", Code::kUnimplemented, "QMP_COMMAND_NOT_FOUND"},
      {"GenericError", Code::kFailedPrecondition, "QMP_REFUSED"},
  };
  for (const auto& [name, code, reason] : classes) {
    const auto id = protocol.request("device_del", {});
    ASSERT_TRUE(protocol.receive(R"({"id": "us-)" + std::to_string(id) + R"(", "error": {"class": ")" + name +
                                 R"(", "desc": "its words"}})" + "\n"));
    const auto reply = std::get<QmpReply>(*protocol.take());
    EXPECT_EQ(reply.outcome.error().code, code);
    EXPECT_EQ(reply.outcome.error().reason, reason);
    EXPECT_EQ(reply.outcome.error().message, "its words");
  }
}

TEST(QmpProtocol, EveryBrokenPromiseHasAName) {
  QmpProtocol asked = ready();
  asked.request("query-pci", {});
  const std::string deep = std::string(kMaxDepth + 1, '[') + std::string(kMaxDepth + 1, ']');
  EXPECT_EQ(broken_by(QmpProtocol("us"), "SSH-2.0-OpenSSH\n"), "QMP_MALFORMED");
  EXPECT_EQ(broken_by(QmpProtocol("us"), "{\"return\": {}}\n"), "QMP_NO_GREETING");
  EXPECT_EQ(broken_by(QmpProtocol("us"), "{\"QMP\": 7}\n"), "QMP_NO_GREETING");
  EXPECT_EQ(broken_by(ready(), "[]\n"), "QMP_MALFORMED");
  EXPECT_EQ(broken_by(ready(), "{}\n"), "QMP_MALFORMED");
  EXPECT_EQ(broken_by(ready(), "{\"return\": " + deep + "}\n"), "QMP_TOO_DEEP");
  EXPECT_EQ(broken_by(ready(), "{\"return\": {}, \"id\": \"us-2\"}\n"), "QMP_UNKNOWN_REPLY");
  EXPECT_EQ(broken_by(asked, "{\"return\": {}, \"id\": \"us-3\"}\n"), "QMP_UNKNOWN_REPLY");
}

// A berthd that was killed has asked for it, or a person; its id may even be one of our numbers.
TEST(QmpProtocol, WhatAnswersAClientBeforeUsIsPassedOver) {
  const std::vector<std::string> stale = {
      R"({"return": {}, "id": "other-2"})", R"({"return": {}, "id": 2})", R"({"return": {}, "id": "2"})",
      R"({"return": {}})", R"({"error": {"class": "GenericError", "desc": "JSON parse error"}})"};
  for (const std::string& line : stale) {
    QmpProtocol protocol("us");
    ASSERT_TRUE(protocol.receive(kGreeting));
    ASSERT_TRUE(protocol.receive(line + "\n")) << "while it negotiates: " << line;
    EXPECT_FALSE(protocol.is_ready());
    ASSERT_TRUE(protocol.receive("{\"return\": {}, \"id\": \"us-1\"}\r\n"));
    const auto id = protocol.request("query-pci", {});
    ASSERT_TRUE(protocol.receive(line + "\n")) << line;
    EXPECT_FALSE(protocol.take());
    ASSERT_TRUE(protocol.receive("{\"return\": [7], \"id\": \"us-2\"}\n"));
    const auto reply = std::get<QmpReply>(*protocol.take());
    EXPECT_EQ(reply.id, id);
    EXPECT_EQ(reply.outcome.value(), boost::json::array{7});
  }
}

TEST(QmpProtocol, RefusedNegotiationIsNamed) {
  QmpProtocol protocol("us");
  ASSERT_TRUE(protocol.receive(kGreeting));
  EXPECT_EQ(
      broken_by(protocol, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": \"us-1\"}\n"),
      "QMP_NO_CAPABILITIES");
}

TEST(QmpProtocol, LinesAndFloodsAreBounded) {
  const std::string blanks(kMaxLineBytes, ' ');
  QmpProtocol longest = ready();
  EXPECT_TRUE(longest.receive(blanks + "\n"));
  EXPECT_EQ(broken_by(ready(), blanks + " "), "QMP_LINE_TOO_LONG");
  QmpProtocol flooded = ready();
  for (std::size_t i = 0; i < kMaxWaitingMessages; ++i)
    ASSERT_TRUE(flooded.receive("{\"event\": \"RTC_CHANGE\"}\n"));
  EXPECT_EQ(broken_by(flooded, "{\"event\": \"RTC_CHANGE\"}\n"), "QMP_FLOODED");
}

}  // namespace
}  // namespace berth::host::qemu
