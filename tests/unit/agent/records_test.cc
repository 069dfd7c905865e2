#include "agent/records.h"

#include "tests/fakes/whole_host.h"
#include "tests/unit/agent/schema_4.h"
#include "tests/unit/agent/schema_5.h"

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using testing::ip;
using testing::mac;

// Every field has a value that it does not have by default, but for what schema 4 does not have.
Attachment attachment_of_schema_4() {
  return {.id = AttachmentId::trusted("att-1"),
          .vm = VmId::trusted("vm-1"),
          .interfaces = {{.intent = {.vpc = VpcId::trusted("blue"),
                                     .ips = {ip("10.1.0.5"), ip("2001:db8::5")},
                                     .mac = mac("02:00:00:00:01:05"),
                                     .mtu_bytes = 1400,
                                     .rates = {.from_vm = 1000000000, .to_vm = 2000000000},
                                     .network_class = NetworkClass::kManagement},
                          .function = {.index = 3,
                                       .socket = "/run/berth/vhost/vf3.sock",
                                       .generation = 1ULL << 40U,
                                       .mac = mac("02:00:00:00:01:05"),
                                       .address = host::PciAddress::parse("vf", "0000:01:10.2").value()}},
                         {.intent = {.vpc = VpcId::trusted("green"),
                                     .ips = {ip("10.2.0.5")},
                                     .mac = mac("02:00:00:00:02:05")},
                          .function = {.index = 4}}},
          .devices = {host::PciAddress::parse("gpu", "10000:02:00.0").value()},
          .state = AttachmentState::kQuarantined,
          .gate = Gate::kClosed,
          .is_unwanted = true,
          .is_withdrawn = true,
          .fault = Error{Code::kUnavailable, "the guest has not let go", "STILL_CONNECTED"}};
}

Attachment attachment_of_schema_5() {
  Attachment with_more = attachment_of_schema_4();
  with_more.interfaces[0].intent.policy_groups = {dataplane::PolicyGroupId::trusted("web"),
                                                  dataplane::PolicyGroupId::trusted("all")};
  with_more.interfaces[0].policy_set = 70000;
  with_more.interfaces[1].intent.allocate = {testing::prefix("10.2.0.0/24")};
  with_more.interfaces[0].intent.near = host::PciAddress::parse("gpu", "0000:18:00.0").value();
  return with_more;
}

void expect_same(const Attachment& found, const Attachment& wanted) {
  EXPECT_EQ(found.id, wanted.id);
  EXPECT_EQ(found.vm, wanted.vm);
  EXPECT_EQ(found.devices, wanted.devices);
  EXPECT_EQ(found.state, wanted.state);
  EXPECT_EQ(found.gate, wanted.gate);
  EXPECT_EQ(found.is_unwanted, wanted.is_unwanted);
  EXPECT_EQ(found.is_withdrawn, wanted.is_withdrawn);
  EXPECT_EQ(found.fault, wanted.fault);
  ASSERT_EQ(found.interfaces.size(), wanted.interfaces.size());
  for (std::size_t i = 0; i < found.interfaces.size(); ++i) {
    EXPECT_EQ(found.interfaces[i].intent, wanted.interfaces[i].intent);
    EXPECT_EQ(found.interfaces[i].policy_set, wanted.interfaces[i].policy_set);
    const host::Function& function = found.interfaces[i].function;
    const host::Function& wanted_one = wanted.interfaces[i].function;
    EXPECT_EQ(function.index, wanted_one.index);
    EXPECT_EQ(function.socket, wanted_one.socket);
    EXPECT_EQ(function.generation, wanted_one.generation);
    EXPECT_EQ(function.mac, wanted_one.mac);
    EXPECT_EQ(function.address, wanted_one.address);
  }
}

SavedAttachment saved_attachment() {
  return {.attachment = attachment_of_schema_5(),
          .operation = OperationId::trusted("op-1"),
          .request = RequestId::trusted("req-2"),
          .fingerprint = "what was asked",
          .traceparent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"};
}

FinishedOperation finished_operation() {
  FinishedOperation finished;
  finished.operation = {.id = OperationId::trusted("op-1"),
                        .kind = OperationKind::kDetach,
                        .request = RequestId::trusted("req-2"),
                        .attachment = AttachmentId::trusted("att-1"),
                        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                        .steps = {{.name = "unplug",
                                   .status = StepStatus::kNotApplicable,
                                   .detail = "port kind vhost-user",
                                   .took = std::chrono::microseconds(7)},
                                  {.name = "reset", .status = StepStatus::kFailed}},
                        .done = true,
                        .error = Error{Code::kHardwareRejected, "refused", "RULE_REFUSED"},
                        .total = std::chrono::microseconds(1234567),
                        .result = attachment_of_schema_5()};
  finished.fingerprint = "what was asked";
  return finished;
}

TEST(Records, AnAttachmentIsReadAsItWasWritten) {
  const SavedAttachment wanted = saved_attachment();
  const auto found = parse_attachment_record(format_record(wanted));
  ASSERT_TRUE(found) << found.error().message;
  expect_same(found->attachment, wanted.attachment);
  EXPECT_EQ(found->operation, wanted.operation);
  EXPECT_EQ(found->request, wanted.request);
  EXPECT_EQ(found->fingerprint, wanted.fingerprint);
  EXPECT_EQ(found->traceparent, wanted.traceparent);
}

TEST(Records, AnAttachmentWithoutWhatIsOptionalIsReadAsItWasWritten) {
  SavedAttachment wanted = saved_attachment();
  wanted.attachment.devices.clear();
  wanted.attachment.interfaces[0].intent.ips.pop_back();
  wanted.attachment.interfaces[0].function.address.reset();
  wanted.attachment.interfaces[0].intent.near.reset();
  wanted.attachment.fault.reset();
  const auto found = parse_attachment_record(format_record(wanted));
  ASSERT_TRUE(found) << found.error().message;
  expect_same(found->attachment, wanted.attachment);
}

// What was half-way when its process died begins again with a closed gate.
TEST(Records, OnlyAnAttachedOneIsReadWithAnOpenGate) {
  for (const auto state : {AttachmentState::kAttaching, AttachmentState::kAttached,
                           AttachmentState::kDetaching, AttachmentState::kQuarantined}) {
    SavedAttachment saved = saved_attachment();
    saved.attachment.state = state;
    saved.attachment.gate = Gate::kOpen;
    const auto found = parse_attachment_record(format_record(saved)).value();
    EXPECT_EQ(found.attachment.state, state);
    EXPECT_EQ(found.attachment.gate == Gate::kOpen, state == AttachmentState::kAttached);
  }
}

TEST(Records, AnOperationIsReadAsItWasWritten) {
  const FinishedOperation wanted = finished_operation();
  const auto found = parse_operation_record(format_record(wanted));
  ASSERT_TRUE(found) << found.error().message;
  const Operation& operation = found->operation;
  EXPECT_EQ(operation.id, wanted.operation.id);
  EXPECT_EQ(operation.kind, wanted.operation.kind);
  EXPECT_EQ(operation.request, wanted.operation.request);
  EXPECT_EQ(operation.attachment, wanted.operation.attachment);
  EXPECT_EQ(operation.traceparent, wanted.operation.traceparent);
  ASSERT_EQ(operation.steps.size(), 2U);
  EXPECT_EQ(operation.steps[0].name, "unplug");
  EXPECT_EQ(operation.steps[0].status, StepStatus::kNotApplicable);
  EXPECT_EQ(operation.steps[0].detail, "port kind vhost-user");
  EXPECT_EQ(operation.steps[0].took, std::chrono::microseconds(7));
  EXPECT_EQ(operation.steps[1].status, StepStatus::kFailed);
  EXPECT_TRUE(operation.done);
  EXPECT_EQ(operation.error, wanted.operation.error);
  EXPECT_EQ(operation.total, wanted.operation.total);
  ASSERT_TRUE(operation.result);
  expect_same(*operation.result, *wanted.operation.result);
  EXPECT_EQ(found->fingerprint, wanted.fingerprint);
}

TEST(Records, ThoseOfSchema4AreRead) {
  const auto attachment = parse_attachment_record(schema_4::bytes_of(schema_4::kAttachment));
  ASSERT_TRUE(attachment) << attachment.error().message;
  expect_same(attachment->attachment, attachment_of_schema_4());
  EXPECT_EQ(attachment->traceparent, saved_attachment().traceparent);
  const auto operation = parse_operation_record(schema_4::bytes_of(schema_4::kOperation));
  ASSERT_TRUE(operation) << operation.error().message;
  ASSERT_TRUE(operation->operation.result);
  expect_same(*operation->operation.result, attachment_of_schema_4());
  EXPECT_EQ(operation->fingerprint, "what was asked");
}

TEST(Records, ThoseOfSchema5AreRead) {
  const auto attachment = parse_attachment_record(schema_4::bytes_of(schema_5::kAttachment));
  ASSERT_TRUE(attachment) << attachment.error().message;
  expect_same(attachment->attachment, attachment_of_schema_5());
  EXPECT_FALSE(attachment->attachment.update);
  EXPECT_EQ(etag_of(attachment->attachment), schema_5::kEtag);
  const auto operation = parse_operation_record(schema_4::bytes_of(schema_5::kOperation));
  ASSERT_TRUE(operation) << operation.error().message;
  EXPECT_EQ(operation->operation.kind, OperationKind::kDetach);
  expect_same(*operation->operation.result, attachment_of_schema_5());
}

// What is half-way begins anew where it is not kept: nothing of its policy sets is known to the next process.
TEST(Records, AnUpdateIsReadAsItWasWritten) {
  SavedAttachment wanted = saved_attachment();
  wanted.attachment.state = AttachmentState::kAttached;
  wanted.attachment.update = Update{.stage = UpdateStage::kMoved, .is_unwanted = true};
  wanted.attachment.interfaces[1].other =
      InterfaceValues{.rates = {.from_vm = 7, .to_vm = 1ULL << 40U},
                      .policy_groups = {dataplane::PolicyGroupId::trusted("mail")},
                      .policy_set = 9};
  auto found = parse_attachment_record(format_record(wanted));
  ASSERT_TRUE(found) << found.error().message;
  expect_same(found->attachment, [&] {
    Attachment open = wanted.attachment;
    open.gate = Gate::kOpen;
    return open;
  }());
  ASSERT_TRUE(found->attachment.update);
  EXPECT_EQ(found->attachment.update->stage, UpdateStage::kAccepted);
  EXPECT_TRUE(found->attachment.update->is_unwanted);
  EXPECT_TRUE(found->attachment.update->may_be_withdrawn);
  EXPECT_FALSE(found->attachment.interfaces[0].other);
  ASSERT_TRUE(found->attachment.interfaces[1].other);
  EXPECT_EQ(found->attachment.interfaces[1].other->rates, wanted.attachment.interfaces[1].other->rates);
  EXPECT_EQ(found->attachment.interfaces[1].other->policy_groups,
            wanted.attachment.interfaces[1].other->policy_groups);
  EXPECT_EQ(found->attachment.interfaces[1].other->policy_set, 0U);
  EXPECT_EQ(etag_of(found->attachment), etag_of(wanted.attachment));

  wanted.attachment.update = Update{.stage = UpdateStage::kKept};
  found = parse_attachment_record(format_record(wanted));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->attachment.update->stage, UpdateStage::kKept);
  EXPECT_FALSE(found->attachment.update->may_be_withdrawn);
  EXPECT_FALSE(found->attachment.interfaces[1].other) << "nobody needs what it was";
}

TEST(Records, AnEtagIsThatOfSchema4AsLongAsThereIsNothingNewInIt) {
  EXPECT_EQ(etag_of(attachment_of_schema_4()), schema_4::kEtag);
  Attachment other = attachment_of_schema_5();
  EXPECT_NE(etag_of(other), schema_4::kEtag);
  const std::string before = etag_of(other);
  other.interfaces[0].intent.policy_groups.pop_back();
  EXPECT_NE(etag_of(other), before);
  other = attachment_of_schema_4();
  other.interfaces[1].intent.allocate = {testing::prefix("10.2.0.0/24")};
  EXPECT_NE(etag_of(other), schema_4::kEtag);
  other = attachment_of_schema_4();
  other.interfaces[1].intent.near = host::PciAddress::parse("gpu", "0000:18:00.0").value();
  EXPECT_NE(etag_of(other), schema_4::kEtag);
}

TEST(Records, AnInterfaceHasASetWhenItHasGroups) {
  SavedAttachment saved = saved_attachment();
  saved.attachment.interfaces[0].policy_set = 0;
  EXPECT_EQ(parse_attachment_record(format_record(saved)).error().reason, "STATE_CORRUPT");
}

TEST(Records, EveryCutIsNoticed) {
  const std::string attachment = format_record(saved_attachment());
  for (std::size_t size = 0; size < attachment.size(); ++size)
    EXPECT_FALSE(parse_attachment_record(std::string_view(attachment).substr(0, size))) << size;
  EXPECT_EQ(parse_attachment_record(attachment + "x").error().reason, "STATE_CORRUPT");
  const std::string operation = format_record(finished_operation());
  for (std::size_t size = 0; size < operation.size(); ++size)
    EXPECT_FALSE(parse_operation_record(std::string_view(operation).substr(0, size))) << size;
  EXPECT_EQ(parse_operation_record(operation + "x").error().reason, "STATE_CORRUPT");
}

TEST(Records, AnotherFormatIsRefused) {
  std::string attachment = format_record(saved_attachment());
  ++attachment[0];
  EXPECT_EQ(parse_attachment_record(attachment).error().code, Code::kDataLoss);
  std::string operation = format_record(finished_operation());
  ++operation[0];
  EXPECT_EQ(parse_operation_record(operation).error().code, Code::kDataLoss);
}

}  // namespace
}  // namespace berth::agent
