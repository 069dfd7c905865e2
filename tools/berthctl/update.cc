#include "tools/berthctl/update.h"

#include "tools/berthctl/commands.h"
#include "tools/berthctl/interface_args.h"

#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace berth::ctl {

using namespace northbound;

namespace {

// The interface that is meant.
Result<v1::AttachedInterface> choose(const v1::Attachment& attachment, const UpdateArgs& args) {
  const v1::AttachedInterface* chosen = nullptr;
  for (int i = 0; i < attachment.interfaces_size(); ++i) {
    const v1::AttachedInterface& one = attachment.interfaces(i);
    const bool is_meant = args.interface ? std::cmp_equal(*args.interface, i)
                                         : args.vpc.empty() || one.interface().vpc() == args.vpc;
    if (!is_meant) continue;
    if (chosen != nullptr) {
      return fail(
          Code::kInvalidArgument, "WHICH_INTERFACE",
          fmt::format("{} has several interfaces: --interface N or --vpc VPC says which", attachment.id()));
    }
    chosen = &one;
  }
  if (chosen != nullptr) return *chosen;
  return fail(Code::kInvalidArgument, "WHICH_INTERFACE",
              fmt::format("{} has no such interface", attachment.id()));
}

// The request's mask, and the values that it names.
void change(const UpdateArgs& args, v1::Interface& interface, google::protobuf::FieldMask& mask) {
  const auto name = [&](const char* field) { mask.add_paths(fmt::format("interfaces.interface.{}", field)); };
  if (args.max_rate_from_vm) {
    interface.set_max_rate_from_vm(*args.max_rate_from_vm);
    name("max_rate_from_vm");
  }
  if (args.max_rate_to_vm) {
    interface.set_max_rate_to_vm(*args.max_rate_to_vm);
    name("max_rate_to_vm");
  }
  if (args.clears_policy_groups || !args.policy_groups.empty()) {
    interface.clear_policy_groups();
    for (const std::string& group : args.policy_groups) interface.add_policy_groups(group);
    name("policy_groups");
  }
}

}  // namespace

CLI::App* add_update(CLI::App& app, UpdateArgs& args) {
  auto* update_app =
      app.add_subcommand("update", "other rates and policy groups while the VM runs, and wait (role vmaas)");
  update_app->add_option("attachment", args.attachment)->required();
  auto* interface_option =
      update_app->add_option("--interface", args.interface, "of an attachment with several: which, from 0");
  update_app->add_option("--vpc", args.vpc, "or the VPC that it is in")->excludes(interface_option);
  update_app->add_option("--max-rate-from-vm", args.max_rate_from_vm, "e.g. 500Mbit; 0: no limit")
      ->transform(CLI::AsNumberWithUnit(rate_units()));
  update_app->add_option("--max-rate-to-vm", args.max_rate_to_vm, "the same towards the VM")
      ->transform(CLI::AsNumberWithUnit(rate_units()));
  auto* groups_option = update_app->add_option(
      "--policy-group", args.policy_groups, "of the VPC; any number: those instead of the ones that it has");
  update_app->add_flag("--clear-policy-groups", args.clears_policy_groups, "the VPC's policy alone")
      ->excludes(groups_option);
  update_app->add_flag("--validate-only", args.validate_only, "say what would be refused; do nothing");
  return update_app;
}

Task<void> update(rpc::Channel& channel, UpdateArgs args, Format format) {
  v1::GetAttachmentRequest question;
  question.set_attachment(args.attachment);
  question.mutable_read_mask()->add_paths("id");
  question.mutable_read_mask()->add_paths("etag");
  question.mutable_read_mask()->add_paths("interfaces.interface");
  const auto found = co_await channel.unary<v1::Attachment>("berth.northbound.v1.Attachments/GetAttachment",
                                                            question, {.timeout = args.timeout});
  if (!found) co_return pass(found);
  const auto chosen = choose(*found, args);
  if (!chosen) co_return pass(chosen);

  v1::UpdateAttachmentRequest request;
  request.set_request_id(args.request_id);
  request.set_validate_only(args.validate_only);
  v1::Attachment& attachment = *request.mutable_attachment();
  attachment.set_id(found->id());
  attachment.set_etag(found->etag());
  v1::AttachedInterface& interface = *attachment.add_interfaces();
  interface = *chosen;
  change(args, *interface.mutable_interface(), *request.mutable_update_mask());
  const auto operation = co_await channel.unary<v1::Operation>(
      "berth.northbound.v1.Attachments/UpdateAttachment", request, {.timeout = args.timeout});
  if (!operation) co_return pass(operation);
  if (args.validate_only) {
    print_operation(*operation, format);
    co_return Result<void>();
  }
  co_return co_await follow(channel, *operation, args.timeout, format);
}

}  // namespace berth::ctl
