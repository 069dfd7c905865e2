// The netlink protocol: datagrams in, an answer out; and what lies about its length does no harm.
#include "host/netlink/exchange.h"

#include "host/netlink/nl_message.h"

#include <cerrno>
#include <linux/netlink.h>

#include <gtest/gtest.h>

namespace berth::host {
namespace {

template <typename T>
void append(Bytes& bytes, const T& value) {
  const auto raw = std::as_bytes(std::span(&value, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

Bytes message(std::uint16_t type, const Bytes& payload, std::uint16_t flags = 0,
              std::uint32_t sequence = kNlSequence) {
  Bytes bytes;
  append(bytes, nlmsghdr{.nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) + payload.size()),
                         .nlmsg_type = type,
                         .nlmsg_flags = flags,
                         .nlmsg_seq = sequence,
                         .nlmsg_pid = 0});
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}

Bytes acknowledgement(int error, const std::string& words = "") {
  Bytes payload;
  append(payload, nlmsgerr{.error = error,
                           .msg = {.nlmsg_len = sizeof(nlmsghdr),
                                   .nlmsg_type = 0,
                                   .nlmsg_flags = 0,
                                   .nlmsg_seq = kNlSequence,
                                   .nlmsg_pid = 0}});
  if (words.empty()) return message(NLMSG_ERROR, payload, NLM_F_CAPPED);
  append(payload, nlattr{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + words.size() + 1),
                         .nla_type = NLMSGERR_ATTR_MSG});
  for (const char letter : words) payload.push_back(static_cast<std::byte>(letter));
  payload.push_back(std::byte{0});
  return message(NLMSG_ERROR, payload, NLM_F_CAPPED | NLM_F_ACK_TLVS);
}

Bytes operator+(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

constexpr std::uint16_t kSomeType = 0x20;
const Bytes kSomePayload(8, std::byte{7});

TEST(AnswerReader, AnAnswerEndsWithItsAcknowledgement) {
  AnswerReader reader;
  ASSERT_TRUE(reader.take(message(kSomeType, kSomePayload)));
  EXPECT_FALSE(reader.is_complete());
  ASSERT_TRUE(reader.take(acknowledgement(0)));
  EXPECT_TRUE(reader.is_complete());
  EXPECT_FALSE(reader.answer().is_refused());
  ASSERT_EQ(reader.answer().messages.size(), 1U);
  EXPECT_EQ(reader.answer().messages[0], message(kSomeType, kSomePayload));
}

TEST(AnswerReader, AListMayFillOneDatagramAndEndsWhenTheKernelSaysSo) {
  AnswerReader reader;
  Bytes done_code;
  append(done_code, 0);
  ASSERT_TRUE(reader.take(message(kSomeType, kSomePayload) + message(kSomeType, kSomePayload) +
                          message(NLMSG_DONE, done_code)));
  EXPECT_TRUE(reader.is_complete());
  EXPECT_EQ(reader.answer().messages.size(), 2U);
}

TEST(AnswerReader, ARefusalHasTheKernelsWords) {
  AnswerReader reader;
  ASSERT_TRUE(reader.take(acknowledgement(-EBUSY, "Can't change mode, E-Switch is busy")));
  EXPECT_TRUE(reader.is_complete());
  EXPECT_EQ(reader.answer().error_number, EBUSY);
  EXPECT_EQ(reader.answer().refusal(), "EBUSY: Can't change mode, E-Switch is busy");
}

TEST(AnswerReader, ARefusalWithoutWordsIsTheNumbersName) {
  AnswerReader reader;
  ASSERT_TRUE(reader.take(acknowledgement(-EOPNOTSUPP)));
  EXPECT_EQ(reader.answer().refusal(), "EOPNOTSUPP");
}

TEST(AnswerReader, WhatNobodyAskedForIsPassedOver) {
  AnswerReader reader;
  ASSERT_TRUE(reader.take(message(kSomeType, kSomePayload, 0, 0) + acknowledgement(0)));
  EXPECT_TRUE(reader.answer().messages.empty());
  EXPECT_TRUE(reader.is_complete());
}

TEST(AnswerReader, AListThatChangedMeanwhileIsTorn) {
  AnswerReader reader;
  ASSERT_TRUE(reader.take(message(kSomeType, kSomePayload, NLM_F_DUMP_INTR) + acknowledgement(0)));
  EXPECT_TRUE(reader.is_torn());
}

TEST(AnswerReader, LengthsThatLieAreRefused) {
  Bytes too_long = message(kSomeType, kSomePayload);
  too_long.resize(too_long.size() - 4);
  EXPECT_EQ(AnswerReader().take(too_long).error().reason, "NETLINK_MALFORMED");
  EXPECT_EQ(AnswerReader().take(Bytes(3)).error().reason, "NETLINK_MALFORMED");
  EXPECT_EQ(AnswerReader().take(Bytes(sizeof(nlmsghdr))).error().reason,
            "NETLINK_MALFORMED");  // says 0 bytes
  EXPECT_EQ(AnswerReader().take(message(NLMSG_ERROR, Bytes(4))).error().reason, "NETLINK_MALFORMED");
}

TEST(AnswerReader, AnEndlessAnswerHasAnEnd) {
  AnswerReader reader;
  const Bytes megabyte = message(kSomeType, Bytes((1U << 20U) - sizeof(nlmsghdr)));
  Result<void> taken;
  int count = 0;
  while ((taken = reader.take(megabyte))) ++count;
  EXPECT_EQ(count, 64);
  EXPECT_EQ(taken.error().reason, "NETLINK_ANSWER_TOO_LONG");
}

TEST(Exchange, TheKernelOfThisMachineAnswers) {
  // Links can be listed by anybody, anywhere; RTM_GETLINK is 18.
  const Bytes family_header(16);
  auto answer =
      exchange(NlProtocol::kRoute, finish_message(start_message(18, NlFlags::kList, family_header)));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_FALSE(answer->is_refused()) << answer->refusal();
  EXPECT_FALSE(answer->messages.empty());
}

TEST(NlAttributes, AreFoundByTypeAndTheLastOneCounts) {
  Bytes bytes;
  append(bytes, nlattr{.nla_len = 8, .nla_type = 3});
  append(bytes, std::uint32_t{7});
  append(bytes, nlattr{.nla_len = 8, .nla_type = 3});
  append(bytes, std::uint32_t{8});
  append(bytes, nlattr{.nla_len = 5, .nla_type = 4 | NLA_F_NESTED});
  append(bytes, std::uint32_t{'x'});
  const NlAttributes attributes(bytes);
  EXPECT_EQ(attributes.u32(3), 8U);
  EXPECT_EQ(attributes.text(4), "x");
  EXPECT_EQ(attributes.u32(4), std::nullopt) << "one byte is no number of four";
  EXPECT_EQ(attributes.u64(3), std::nullopt);
  EXPECT_FALSE(attributes.has(5));
}

TEST(NlAttributes, LengthsThatLieEndTheReading) {
  for (const std::uint16_t length : std::initializer_list<std::uint16_t>{0, 3, 9, 0xffff}) {
    Bytes bytes;
    append(bytes, nlattr{.nla_len = length, .nla_type = 3});
    append(bytes, std::uint32_t{7});
    EXPECT_FALSE(NlAttributes(bytes).has(3)) << length;
  }
  EXPECT_FALSE(NlAttributes::of_message(Bytes(10), 64).has(0));
}

}  // namespace
}  // namespace berth::host
