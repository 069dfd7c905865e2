#include "northbound/convert.h"

#include "agent/records.h"
#include "agent/start_arguments.h"
#include "northbound/update_mask.h"

#include <fmt/format.h>

namespace berth::northbound {
namespace {

v1::Attachment::State to_message(agent::AttachmentState state) {
  switch (state) {
    case agent::AttachmentState::kAttaching:
    case agent::AttachmentState::kRestoring:
      return v1::Attachment::ATTACHING;
    case agent::AttachmentState::kAttached:
      return v1::Attachment::ATTACHED;
    case agent::AttachmentState::kDetaching:
      return v1::Attachment::DETACHING;
    case agent::AttachmentState::kQuarantined:
      return v1::Attachment::QUARANTINED;
  }
  return v1::Attachment::STATE_UNSPECIFIED;
}

v1::Operation::Kind to_message(agent::OperationKind kind) {
  switch (kind) {
    case agent::OperationKind::kAttach:
      return v1::Operation::ATTACH;
    case agent::OperationKind::kDetach:
      return v1::Operation::DETACH;
    case agent::OperationKind::kUpdate:
      return v1::Operation::UPDATE;
  }
  return v1::Operation::KIND_UNSPECIFIED;
}

v1::Step to_message(const agent::StepRecord& record) {
  v1::Step step;
  step.set_name(std::string(record.name));
  step.set_detail(record.detail);
  step.set_micros(static_cast<std::uint64_t>(record.took.count()));
  switch (record.status) {
    case agent::StepStatus::kDone:
      step.set_status(v1::Step::DONE);
      break;
    case agent::StepStatus::kNotApplicable:
      step.set_status(v1::Step::NOT_APPLICABLE);
      break;
    case agent::StepStatus::kFailed:
      step.set_status(v1::Step::FAILED);
      break;
  }
  return step;
}

// A function with a socket is a vhost-user port; one without has, or will have, an address.
v1::Port to_message(const host::Function& function) {
  v1::Port port;
  port.set_function(fmt::format("vf{}", function.index));
  port.set_kind(function.socket.empty() ? v1::Port::VFIO : v1::Port::VHOST_USER);
  if (function.is_unbacked) port.set_kind(v1::Port::UNBACKED);
  if (function.is_unmanaged) port.set_kind(v1::Port::UNMANAGED);
  port.set_socket(function.socket);
  if (function.address) port.set_pci_address(function.address->str());
  return port;
}

v1::StartArguments to_message(const host::StartArguments& start) {
  v1::StartArguments arguments;
  arguments.mutable_qemu()->Assign(start.qemu.begin(), start.qemu.end());
  arguments.set_libvirt_xml(start.libvirt_xml);
  return arguments;
}

v1::OperationError to_message(const Error& error) {
  const bool refused_rule = error.code == Code::kHardwareRejected;
  v1::OperationError message;
  message.set_code(static_cast<int>(refused_rule ? Code::kFailedPrecondition : error.code));
  message.set_message(error.message);
  message.set_reason(error.reason);
  return message;
}

// Takes a parsed field, or its error into the collection.
template <typename T>
T take(Result<T> value, Error& all) {
  if (value) return *std::move(value);
  all.message += (all.message.empty() ? "" : "; ") + value.error().message;
  if (all.reason.empty()) all.reason = value.error().reason;
  all.violations.insert(all.violations.end(), value.error().violations.begin(),
                        value.error().violations.end());
  return T();
}

// The enumerators have the numbers of the .proto.
Result<agent::NetworkClass> parse_network_class(std::string_view field, v1::NetworkClass value) {
  if (v1::NetworkClass_IsValid(value)) return static_cast<agent::NetworkClass>(value);
  return fail_field(std::string(field), "UNKNOWN_NETWORK_CLASS", fmt::format("{}", static_cast<int>(value)));
}
static_assert(static_cast<int>(agent::NetworkClass::kManagement) == v1::MANAGEMENT);

agent::InterfaceIntent to_intent(const v1::Interface& wanted, const std::string& place, Error& all) {
  agent::InterfaceIntent intent{
      .vpc = take(VpcId::parse(place + ".vpc", wanted.vpc()), all),
      .ips = {},
      .mac = take(MacAddress::parse(place + ".mac", wanted.mac()), all),
      .mtu_bytes = wanted.mtu_bytes(),
      .rates = {.from_vm = wanted.max_rate_from_vm(), .to_vm = wanted.max_rate_to_vm()},
      .network_class = take(parse_network_class(place + ".network_class", wanted.network_class()), all)};
  if (!wanted.near().empty())
    intent.near = take(host::PciAddress::parse(place + ".near", wanted.near()), all);
  for (const std::string& ip : wanted.ips())
    intent.ips.push_back(take(IpAddress::parse(place + ".ips", ip), all));
  for (const std::string& subnet : wanted.allocate())
    intent.allocate.push_back(take(IpPrefix::parse(place + ".allocate", subnet), all));
  for (const std::string& group : wanted.policy_groups())
    intent.policy_groups.push_back(
        take(dataplane::PolicyGroupId::parse(place + ".policy_groups", group), all));
  return intent;
}

}  // namespace

Result<agent::AttachIntent> to_intent(const v1::AttachVmRequest& request) {
  Error all{.code = Code::kInvalidArgument, .message = ""};
  agent::AttachIntent intent{.vm = take(VmId::parse("vm", request.vm()), all)};
  if (!request.validate_only() || !request.request_id().empty())
    intent.request = take(RequestId::parse("request_id", request.request_id()), all);
  for (int i = 0; i < request.interfaces_size(); ++i)
    intent.interfaces.push_back(to_intent(request.interfaces(i), fmt::format("interfaces[{}]", i), all));
  for (const std::string& device : request.devices())
    intent.devices.push_back(take(host::PciAddress::parse("devices", device), all));
  if (!all.violations.empty()) return std::unexpected(std::move(all));
  return intent;
}

Result<agent::UpdateIntent> to_intent(const v1::UpdateAttachmentRequest& request) {
  Error all{.code = Code::kInvalidArgument, .message = ""};
  const v1::Attachment& attachment = request.attachment();
  agent::UpdateIntent intent{.attachment = take(AttachmentId::parse("attachment.id", attachment.id()), all),
                             .etag = attachment.etag()};
  if (!request.validate_only() || !request.request_id().empty())
    intent.request = take(RequestId::parse("request_id", request.request_id()), all);
  const UpdateMask mask = take(UpdateMask::parse(request.update_mask()), all);
  for (int i = 0; i < attachment.interfaces_size(); ++i) {
    const v1::Interface& wanted = attachment.interfaces(i).interface();
    const std::string place = fmt::format("attachment.interfaces[{}].interface", i);
    agent::InterfaceChange& change = intent.interfaces.emplace_back();
    change.vpc = take(VpcId::parse(place + ".vpc", wanted.vpc()), all);
    change.mac = take(MacAddress::parse(place + ".mac", wanted.mac()), all);
    if (mask.rate_from_vm) change.rate_from_vm = wanted.max_rate_from_vm();
    if (mask.rate_to_vm) change.rate_to_vm = wanted.max_rate_to_vm();
    if (!mask.policy_groups) continue;
    change.policy_groups.emplace();
    for (const std::string& group : wanted.policy_groups())
      change.policy_groups->push_back(
          take(dataplane::PolicyGroupId::parse(place + ".policy_groups", group), all));
  }
  if (!all.violations.empty()) return std::unexpected(std::move(all));
  return intent;
}

v1::Interface to_message(const agent::InterfaceIntent& intent) {
  v1::Interface message;
  message.set_vpc(intent.vpc.str());
  for (const IpAddress& ip : intent.ips) message.add_ips(ip.str());
  message.set_mac(intent.mac.str());
  message.set_mtu_bytes(intent.mtu_bytes);
  message.set_max_rate_from_vm(intent.rates.from_vm);
  message.set_max_rate_to_vm(intent.rates.to_vm);
  message.set_network_class(static_cast<v1::NetworkClass>(intent.network_class));
  for (const dataplane::PolicyGroupId& group : intent.policy_groups) message.add_policy_groups(group.str());
  for (const IpPrefix& subnet : intent.allocate) message.add_allocate(subnet.str());
  if (intent.near) message.set_near(intent.near->str());
  return message;
}

v1::Attachment to_message(const agent::Attachment& attachment) {
  v1::Attachment message;
  message.set_id(attachment.id.str());
  message.set_vm(attachment.vm.str());
  for (const agent::Interface& one : attachment.interfaces) {
    v1::AttachedInterface& interface = *message.add_interfaces();
    *interface.mutable_interface() = to_message(one.intent);
    *interface.mutable_port() = to_message(one.function);
    *interface.mutable_port()->mutable_start_arguments() = to_message(agent::start_arguments(one));
  }
  for (std::size_t i = 0; i < attachment.devices.size(); ++i) {
    v1::Device& device = *message.add_devices();
    device.set_pci_address(attachment.devices[i].str());
    *device.mutable_start_arguments() = to_message(agent::device_start_arguments(attachment, i));
  }
  message.set_state(to_message(attachment.state));
  if (attachment.fault) *message.mutable_fault() = to_message(*attachment.fault);
  message.set_etag(agent::etag_of(attachment));
  return message;
}

v1::Operation to_message(const agent::Operation& operation) {
  v1::Operation message;
  message.set_id(operation.id.str());
  message.set_kind(to_message(operation.kind));
  message.set_request_id(operation.request.str());
  message.set_attachment(operation.attachment.str());
  message.set_done(operation.done);
  for (const agent::StepRecord& record : operation.steps) *message.add_steps() = to_message(record);
  message.set_total_micros(static_cast<std::uint64_t>(operation.total.count()));
  message.set_revision(operation.revision);
  if (operation.result) *message.mutable_result() = to_message(*operation.result);
  if (operation.error) *message.mutable_error() = to_message(*operation.error);
  return message;
}

v1::Counters to_message(const agent::PortCounters& counters) {
  v1::Counters message;
  message.set_from_vm_packets(counters.from_vm_packets);
  message.set_from_vm_bytes(counters.from_vm_bytes);
  message.set_to_vm_packets(counters.to_vm_packets);
  message.set_to_vm_bytes(counters.to_vm_bytes);
  message.set_spoof_dropped_packets(counters.spoof_dropped_packets);
  message.set_policy_dropped_packets(counters.policy_dropped_packets);
  message.set_unroutable_dropped_packets(counters.unroutable_dropped_packets);
  message.set_rogue_dropped_packets(counters.rogue_dropped_packets);
  message.set_to_host_packets(counters.to_host_packets);
  return message;
}

}  // namespace berth::northbound
