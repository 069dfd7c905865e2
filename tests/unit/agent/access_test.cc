#include "agent/access.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

Result<Role> role(std::vector<std::string> uris) {
  return role_of(uris, "berth.test");
}

TEST(RoleOf, ReadsTheRoleOfTheOneUri) {
  EXPECT_EQ(role({"spiffe://berth.test/vmaas/region-1"}), Role::kVmaas);
  EXPECT_EQ(role({"spiffe://berth.test/controller/sdn-1"}), Role::kController);
  EXPECT_EQ(role({"spiffe://berth.test/operator/alice/laptop"}), Role::kOperator);
}

TEST(RoleOf, AnythingElseHasNoRole) {
  const std::vector<std::vector<std::string>> strangers = {
      {},
      {"spiffe://berth.test/vmaas/a", "spiffe://berth.test/operator/a"},
      {"spiffe://other.test/vmaas/a"},
      {"spiffe://berth.test.evil/vmaas/a"},
      {"spiffe://berth.test/agent/h1"},
      {"spiffe://berth.test/vmaas"},
      {"spiffe://berth.test/vmaas/"},
      {"https://berth.test/vmaas/a"},
  };
  for (const auto& uris : strangers) {
    const auto none = role(uris);
    ASSERT_FALSE(none) << (uris.empty() ? "" : uris[0]);
    EXPECT_EQ(none.error().code, Code::kPermissionDenied);
  }
}

TEST(Authorize, FollowsTheTable) {
  EXPECT_TRUE(authorize(Role::kVmaas, "berth.northbound.v1.Attachments/AttachVm"));
  EXPECT_FALSE(authorize(Role::kOperator, "berth.northbound.v1.Attachments/AttachVm"));
  EXPECT_FALSE(authorize(Role::kController, "berth.northbound.v1.Attachments/ListAttachments"));
  EXPECT_TRUE(authorize(Role::kController, "berth.southbound.v1.VpcControl/Sync"));
  EXPECT_FALSE(authorize(Role::kVmaas, "berth.southbound.v1.VpcControl/Sync"));
  EXPECT_TRUE(authorize(Role::kVmaas, "berth.northbound.v1.Attachments/CancelOperation"));
  EXPECT_FALSE(authorize(Role::kOperator, "berth.northbound.v1.Attachments/CancelOperation"));
}

TEST(Authorize, EveryRoleMayAskWhatTheMessagesAre) {
  for (const Role role : {Role::kVmaas, Role::kController, Role::kOperator}) {
    EXPECT_TRUE(authorize(role, "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"));
    EXPECT_TRUE(authorize(role, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"));
  }
}

TEST(Authorize, AMethodOutsideTheTableIsNobodys) {
  EXPECT_EQ(authorize(Role::kOperator, "berth.northbound.v1.Attachments/New").error().reason, "ROLE_MAY_NOT");
}

}  // namespace
}  // namespace berth::agent
