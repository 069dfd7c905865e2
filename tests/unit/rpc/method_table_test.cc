#include "rpc/method_table.h"

#include "grpc/health/v1/health.pb.h"

#include <gtest/gtest.h>

namespace berth::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr std::string_view kCheck = "grpc.health.v1.Health/Check";
constexpr std::string_view kWatch = "grpc.health.v1.Health/Watch";

MethodShape shape(StreamKind kind) {
  return {.kind = kind,
          .request = HealthCheckRequest::descriptor(),
          .response = HealthCheckResponse::descriptor()};
}

Error error_after(std::string_view name, MethodShape wrong) {
  MethodTable table;
  table.add(name, wrong, {});
  EXPECT_EQ(table.find(name), nullptr);
  EXPECT_FALSE(table.check());
  return table.check() ? Error{} : table.check().error();
}

TEST(MethodTable, TakesWhatMatchesItsDescriptor) {
  MethodTable table;
  table.add(kCheck, shape(StreamKind::kUnary), {});
  EXPECT_TRUE(table.check());
  EXPECT_NE(table.find(kCheck), nullptr);
}
TEST(MethodTable, RefusesAMisspeltMethod) {
  EXPECT_EQ(error_after("grpc.health.v1.Health/Chek", shape(StreamKind::kUnary)).reason, "BAD_HANDLER");
}
TEST(MethodTable, RefusesOtherTypes) {
  auto wrong = shape(StreamKind::kUnary);
  wrong.request = HealthCheckResponse::descriptor();
  EXPECT_NE(error_after(kCheck, wrong).message.find("takes"), std::string::npos);
  wrong = shape(StreamKind::kUnary);
  wrong.response = HealthCheckRequest::descriptor();
  EXPECT_NE(error_after(kCheck, wrong).message.find("returns"), std::string::npos);
}
TEST(MethodTable, RefusesAnotherKindOfStreaming) {
  EXPECT_NE(error_after(kWatch, shape(StreamKind::kUnary)).message.find("server streaming"),
            std::string::npos);
}
TEST(MethodTable, RefusesASecondHandler) {
  MethodTable table;
  table.add(kCheck, shape(StreamKind::kUnary), {});
  table.add(kCheck, shape(StreamKind::kUnary), {});
  EXPECT_FALSE(table.check());
}
TEST(MethodTable, KnowsWhetherAServiceIsComplete) {
  MethodTable table;
  table.add(kCheck, shape(StreamKind::kUnary), {});
  const auto incomplete = table.require_complete("grpc.health.v1.Health");
  ASSERT_FALSE(incomplete);
  EXPECT_NE(incomplete.error().message.find("Watch"), std::string::npos);
  table.add(kWatch, shape(StreamKind::kServer), {});
  EXPECT_TRUE(table.require_complete("grpc.health.v1.Health"));
  EXPECT_FALSE(table.require_complete("no.such.Service"));
}

}  // namespace
}  // namespace berth::rpc
