#include "rpc/core/status_codec.h"

#include "rpc/wire/status.pb.h"

#include <gtest/gtest.h>

namespace berth::rpc::core {
namespace {

TEST(StatusCodec, AnErrorSurvivesTheWire) {
  const Error error{.code = Code::kInvalidArgument,
                    .message = "interface.ip: 10.9.0.1 is outside 10.1.0.0/24",
                    .reason = "IP_OUTSIDE_SUBNET",
                    .violations = {{.field = "interface.ip", .description = "outside 10.1.0.0/24"}},
                    .metadata = {{"vpc", "blue"}, {"subnet", "10.1.0.0/24"}}};
  EXPECT_EQ(decode_status(encode_status(error)), error);
}

TEST(StatusCodec, APlainErrorHasNoDetails) {
  EXPECT_EQ(encode_status({.code = Code::kNotFound, .message = "vm-7"}).details, "");
}

TEST(StatusCodec, HardwareRejectedLeavesAsFailedPrecondition) {
  const auto status = encode_status({.code = Code::kHardwareRejected, .message = "m", .reason = "R"});
  EXPECT_EQ(status.code, 9);
  wire::Status details;
  ASSERT_TRUE(details.ParseFromString(status.details));
  EXPECT_EQ(details.code(), 9);
}

TEST(StatusCodec, DetailsCarryGooglesTypeUrlsAndOurDomain) {
  const auto status = encode_status(
      {.code = Code::kNotFound, .message = "m", .reason = "VPC_UNKNOWN", .violations = {{"f", "d"}}});
  wire::Status details;
  ASSERT_TRUE(details.ParseFromString(status.details));
  ASSERT_EQ(details.details_size(), 2);
  EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  EXPECT_EQ(details.details(1).type_url(), "type.googleapis.com/google.rpc.BadRequest");
  wire::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(details.details(0).value()));
  EXPECT_EQ(info.domain(), "berth");
}

TEST(StatusCodec, AThousandViolationsStillFitIntoTrailers) {
  Error error{.code = Code::kInvalidArgument, .message = std::string(100'000, 'x'), .reason = "MANY"};
  for (int i = 0; i < 1000; ++i) error.violations.push_back({"field", "is wrong in a wordy way"});
  const auto status = encode_status(error);
  EXPECT_LE(status.message.size() + status.details.size(), 4096U);
  const auto decoded = decode_status(status);
  EXPECT_EQ(decoded.reason, "MANY");
  EXPECT_FALSE(decoded.violations.empty());
}

TEST(StatusCodec, AnUnknownCodeIsUnknown) {
  EXPECT_EQ(decode_status({.code = 77, .message = "m", .details = "not protobuf"}).code, Code::kUnknown);
}

}  // namespace
}  // namespace berth::rpc::core
