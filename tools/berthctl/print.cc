#include "tools/berthctl/print.h"

#include <boost/json.hpp>
#include <fmt/format.h>

namespace berth::ctl {

namespace json = boost::json;
using namespace northbound;

namespace {

void print_line(const json::value& value) {
  fmt::print("{}\n", json::serialize(value));
  std::fflush(stdout);  // a watcher reads line by line
}

const char* status_text(v1::Step::Status status) {
  switch (status) {
    case v1::Step::DONE:
      return "done";
    case v1::Step::NOT_APPLICABLE:
      return "not applicable";
    case v1::Step::FAILED:
      return "failed";
    default:
      return "unknown";
  }
}

const char* state_text(const v1::Operation& operation) {
  if (!operation.done()) return "RUNNING";
  return operation.has_error() ? "FAILED" : "DONE";
}

const char* kind_text(const v1::Operation& operation) {
  switch (operation.kind()) {
    case v1::Operation::ATTACH:
      return "attach";
    case v1::Operation::DETACH:
      return "detach";
    case v1::Operation::UPDATE:
      return "update";
    default:
      return "operation";
  }
}

const char* kind_text(const v1::Port& port) {
  if (port.kind() == v1::Port::VHOST_USER) return "vhost-user";
  if (port.kind() == v1::Port::UNBACKED) return "unbacked";
  if (port.kind() == v1::Port::UNMANAGED) return "unmanaged";
  return port.kind() == v1::Port::VFIO ? "vfio" : "unknown";
}

// Where the VM's side finds the port.
const std::string& place_of(const v1::Port& port) {
  return port.kind() == v1::Port::VFIO ? port.pci_address() : port.socket();
}

json::object to_json(const v1::StartArguments& start) {
  const std::vector<std::string> qemu(start.qemu().begin(), start.qemu().end());
  return {{"qemu", json::value_from(qemu)}, {"libvirt_xml", start.libvirt_xml()}};
}

json::object to_json(const v1::Port& port) {
  return {{"kind", kind_text(port)},
          {"function", port.function()},
          {"socket", port.socket()},
          {"pci_address", port.pci_address()},
          {"start_arguments", to_json(port.start_arguments())}};
}

json::array devices_of(const v1::Attachment& attachment) {
  json::array devices;
  for (const v1::Device& device : attachment.devices())
    devices.push_back(json::object{{"pci_address", device.pci_address()},
                                   {"start_arguments", to_json(device.start_arguments())}});
  return devices;
}

json::object to_json(const v1::OperationError& error) {
  return {{"code", error.code()}, {"reason", error.reason()}, {"message", error.message()}};
}

json::object to_json(const v1::HeldRule& rule) {
  return {{"testpmd", rule.testpmd()},
          {"purpose", rule.purpose()},
          {"packets", rule.packets()},
          {"bytes", rule.bytes()}};
}

json::object to_json(const v1::Counters& counters) {
  return {{"from_vm_packets", counters.from_vm_packets()},
          {"from_vm_bytes", counters.from_vm_bytes()},
          {"to_vm_packets", counters.to_vm_packets()},
          {"to_vm_bytes", counters.to_vm_bytes()},
          {"spoof_dropped_packets", counters.spoof_dropped_packets()},
          {"policy_dropped_packets", counters.policy_dropped_packets()},
          {"unroutable_dropped_packets", counters.unroutable_dropped_packets()},
          {"rogue_dropped_packets", counters.rogue_dropped_packets()},
          {"to_host_packets", counters.to_host_packets()}};
}

std::vector<std::string> ips_of(const v1::Interface& interface) {
  return {interface.ips().begin(), interface.ips().end()};
}

std::vector<std::string> groups_of(const v1::Interface& interface) {
  return {interface.policy_groups().begin(), interface.policy_groups().end()};
}

json::array addresses_of(const v1::Capacity& capacity) {
  json::array addresses;
  for (const v1::AddressCapacity& one : capacity.addresses())
    addresses.push_back(json::object{
        {"vpc", one.vpc()}, {"subnet", one.subnet()}, {"total", one.total()}, {"free", one.free()}});
  return addresses;
}

json::object to_json(const v1::AttachedInterface& attached) {
  const v1::Interface& interface = attached.interface();
  json::object object{{"vpc", interface.vpc()},
                      {"ips", json::value_from(ips_of(interface))},
                      {"mac", interface.mac()},
                      {"mtu_bytes", interface.mtu_bytes()},
                      {"max_rate_from_vm", interface.max_rate_from_vm()},
                      {"max_rate_to_vm", interface.max_rate_to_vm()},
                      {"network_class", v1::NetworkClass_Name(interface.network_class())},
                      {"policy_groups", json::value_from(groups_of(interface))}};
  if (attached.has_port()) object["port"] = to_json(attached.port());
  if (attached.has_counters()) object["counters"] = to_json(attached.counters());
  return object;
}

json::array interfaces_of(const v1::Attachment& attachment) {
  json::array interfaces;
  for (const v1::AttachedInterface& one : attachment.interfaces()) interfaces.push_back(to_json(one));
  return interfaces;
}

json::object to_json(const v1::Attachment& attachment) {
  json::object object{
      {"attachment", attachment.id()},           {"vm", attachment.vm()},
      {"interfaces", interfaces_of(attachment)}, {"state", v1::Attachment::State_Name(attachment.state())},
      {"devices", devices_of(attachment)},       {"etag", attachment.etag()}};
  if (attachment.has_fault()) object["fault"] = to_json(attachment.fault());
  return object;
}

json::object to_json(const v1::Operation& operation) {
  json::array steps;
  for (const v1::Step& step : operation.steps()) {
    steps.push_back(json::object{{"name", step.name()},
                                 {"status", status_text(step.status())},
                                 {"detail", step.detail()},
                                 {"micros", step.micros()}});
  }
  json::object object{{"operation", operation.id()},
                      {"kind", kind_text(operation)},
                      {"request_id", operation.request_id()},
                      {"attachment", operation.attachment()},
                      {"state", state_text(operation)},
                      {"steps", std::move(steps)},
                      {"total_micros", operation.total_micros()},
                      {"revision", operation.revision()}};
  if (operation.has_result()) {
    object["vm"] = operation.result().vm();
    object["interfaces"] = interfaces_of(operation.result());
    object["devices"] = devices_of(operation.result());
    if (operation.result().has_fault()) object["fault"] = to_json(operation.result().fault());
  }
  if (operation.has_error()) {
    object["error"] = to_json(operation.error());
  }
  return object;
}

std::string milliseconds(std::uint64_t micros) {
  return fmt::format("{:.3f} ms", static_cast<double>(micros) / 1000.0);
}

}  // namespace

namespace {

void print_interface(const v1::AttachedInterface& one) {
  const v1::Interface& interface = one.interface();
  fmt::print("  vpc  {}\n  ip   {}  mac {}  mtu {}\n  port {} {}\n", interface.vpc(),
             fmt::join(ips_of(interface), " "), interface.mac(), interface.mtu_bytes(), one.port().function(),
             place_of(one.port()));
  if (!interface.policy_groups().empty())
    fmt::print("  policy groups {}\n", fmt::join(groups_of(interface), " "));
  const auto& start = one.port().start_arguments();
  if (!start.qemu().empty()) fmt::print("  qemu {}\n", fmt::join(start.qemu(), " "));
  const v1::Counters& counters = one.counters();
  fmt::print("  from vm {} packets {} bytes, to vm {} packets {} bytes\n", counters.from_vm_packets(),
             counters.from_vm_bytes(), counters.to_vm_packets(), counters.to_vm_bytes());
  fmt::print("  dropped: spoofed {}, by policy {}, unroutable {}, rogue {}\n",
             counters.spoof_dropped_packets(), counters.policy_dropped_packets(),
             counters.unroutable_dropped_packets(), counters.rogue_dropped_packets());
}

void print_fault(const v1::Attachment& attachment) {
  if (attachment.has_fault())
    fmt::print("fault: {}: {}\n", attachment.fault().reason(), attachment.fault().message());
}

}  // namespace

void print_operation(const v1::Operation& operation, Format format) {
  if (format == Format::kJson) return print_line(to_json(operation));
  fmt::print("{:<10} {:<15} {:>12}  {}\n", "step", "status", "time", "detail");
  for (const v1::Step& step : operation.steps()) {
    fmt::print("{:<10} {:<15} {:>12}  {}\n", step.name(), status_text(step.status()),
               milliseconds(step.micros()), step.detail());
  }
  fmt::print("{:<10} {:<15} {:>12}\n", "total", state_text(operation),
             milliseconds(operation.total_micros()));
  if (operation.has_error()) fmt::print("error: {}\n", operation.error().message());
  fmt::print("attachment {}\n", operation.attachment());
  if (operation.has_result() && operation.kind() == v1::Operation::ATTACH) {
    for (const v1::AttachedInterface& one : operation.result().interfaces())
      fmt::print("port       {} {}\n", one.port().function(), place_of(one.port()));
    for (const v1::Device& device : operation.result().devices())
      fmt::print("device     {}\n", device.pci_address());
  }
  if (operation.has_result()) print_fault(operation.result());
}

void print_attachment(const v1::Attachment& attachment, Format format) {
  if (format == Format::kJson) return print_line(to_json(attachment));
  fmt::print("{}  {}\n  vm   {}\n", attachment.id(), v1::Attachment::State_Name(attachment.state()),
             attachment.vm());
  for (const v1::AttachedInterface& one : attachment.interfaces()) print_interface(one);
  for (const v1::Device& device : attachment.devices())
    fmt::print("  device {}\n  qemu {}\n", device.pci_address(),
               fmt::join(device.start_arguments().qemu(), " "));
  print_fault(attachment);
}

void print_attachments(const v1::ListAttachmentsResponse& list, Format format) {
  if (format == Format::kJson) {
    json::array attachments;
    for (const v1::Attachment& attachment : list.attachments()) attachments.push_back(to_json(attachment));
    return print_line(json::object{{"attachments", std::move(attachments)}});
  }
  fmt::print("{:<29} {:<16} {:<16} {:<16} {:<18} {:<6} {}\n", "attachment", "vm", "vpc", "ip", "mac", "port",
             "state");
  for (const v1::Attachment& attachment : list.attachments()) {
    for (const v1::AttachedInterface& one : attachment.interfaces()) {
      fmt::print("{:<29} {:<16} {:<16} {:<16} {:<18} {:<6} {}\n", attachment.id(), attachment.vm(),
                 one.interface().vpc(), fmt::to_string(fmt::join(ips_of(one.interface()), ",")),
                 one.interface().mac(), one.port().function(),
                 v1::Attachment::State_Name(attachment.state()));
    }
  }
}

// Of the eSwitch's.
void print_pool(std::string_view what, std::uint64_t free, std::uint64_t total) {
  if (total == 0) return fmt::print("{:<12}as many as the eSwitch takes\n", what);
  fmt::print("{:<12}{} of {} free\n", what, free, total);
}

void print_capacity(const v1::Capacity& capacity, Format format) {
  if (format == Format::kJson) {
    return print_line(json::object{{"functions_total", capacity.functions_total()},
                                   {"functions_free", capacity.functions_free()},
                                   {"functions_quarantined", capacity.functions_quarantined()},
                                   {"rules_total", capacity.rules_total()},
                                   {"rules_free", capacity.rules_free()},
                                   {"counters_total", capacity.counters_total()},
                                   {"counters_free", capacity.counters_free()},
                                   {"meters_total", capacity.meters_total()},
                                   {"meters_free", capacity.meters_free()},
                                   {"operations_running", capacity.operations_running()},
                                   {"operations_max", capacity.operations_max()},
                                   {"addresses", addresses_of(capacity)}});
  }
  for (const v1::AddressCapacity& one : capacity.addresses())
    fmt::print("addresses   {} of {} free in {} of {}\n", one.free(), one.total(), one.subnet(), one.vpc());
  fmt::print("functions   {} of {} free, {} quarantined\n", capacity.functions_free(),
             capacity.functions_total(), capacity.functions_quarantined());
  print_pool("rules", capacity.rules_free(), capacity.rules_total());
  print_pool("counters", capacity.counters_free(), capacity.counters_total());
  print_pool("meters", capacity.meters_free(), capacity.meters_total());
  fmt::print("operations  {} of at most {}\n", capacity.operations_running(), capacity.operations_max());
}

void print_completion(const v1::Operation& operation, Format format) {
  if (format == Format::kJson) return print_line(to_json(operation));
  fmt::print("revision {}  {} {}  {}  {}{}\n", operation.revision(), kind_text(operation),
             operation.attachment(), state_text(operation), milliseconds(operation.total_micros()),
             operation.has_error() ? "  " + operation.error().message() : "");
  std::fflush(stdout);
}

void print_explanation(const v1::ExplainResponse& explained, Format format) {
  if (format == Format::kJson) {
    json::array steps;
    for (const v1::ExplainStep& step : explained.steps()) {
      steps.push_back(json::object{{"rule", to_json(step.rule())}, {"packet", step.packet()}});
    }
    return print_line(
        json::object{{"packet", explained.packet()}, {"steps", std::move(steps)}, {"end", explained.end()}});
  }
  fmt::print("{}\n", explained.packet());
  std::string packet = explained.packet();
  for (const v1::ExplainStep& step : explained.steps()) {
    fmt::print("\n# {}, {} packets, {} bytes\n{}\n", step.rule().purpose(), step.rule().packets(),
               step.rule().bytes(), step.rule().testpmd());
    if (step.packet() != packet) fmt::print("  -> {}\n", step.packet());
    packet = step.packet();
  }
  fmt::print("\n{}\n", explained.end());
}

void print_rule(const v1::HeldRule& rule, Format format) {
  if (format == Format::kJson) return print_line(to_json(rule));
  fmt::print("# {}, {} packets, {} bytes\n{}\n", rule.purpose(), rule.packets(), rule.bytes(),
             rule.testpmd());
}

void print_audit(const v1::ShowAuditResponse& audit, Format format) {
  if (format == Format::kJson) {
    json::array findings;
    for (const v1::AuditFinding& finding : audit.findings()) {
      findings.push_back(json::object{{"seen_unix_ms", finding.seen_unix_ms()},
                                      {"part", finding.part()},
                                      {"what", finding.what()},
                                      {"refusal", finding.refusal()}});
    }
    return print_line(json::object{{"interval_s", audit.interval_s()},
                                   {"runs", audit.runs()},
                                   {"last_run_unix_ms", audit.last_run_unix_ms()},
                                   {"took_us", audit.took_us()},
                                   {"obstacle", audit.obstacle()},
                                   {"found", audit.found()},
                                   {"repaired", audit.repaired()},
                                   {"findings", std::move(findings)}});
  }
  fmt::print("{} runs, every {} s; the last one took {} us\n{} found, {} repaired\n", audit.runs(),
             audit.interval_s(), audit.took_us(), audit.found(), audit.repaired());
  if (!audit.obstacle().empty()) fmt::print("could not look everywhere: {}\n", audit.obstacle());
  for (const v1::AuditFinding& finding : audit.findings()) {
    fmt::print("# {}, {}\n{}\n", finding.part(),
               finding.refusal().empty() ? "repaired" : "not repaired: " + finding.refusal(), finding.what());
  }
}

void print_vpcs(const v1::ShowVpcsResponse& vpcs, Format format) {
  if (format == Format::kJson) {
    json::array array;
    for (const v1::VpcSummary& vpc : vpcs.vpcs()) {
      array.push_back(json::object{{"id", vpc.id()},
                                   {"vni", vpc.vni()},
                                   {"subnets", vpc.subnets()},
                                   {"mappings", vpc.mappings()},
                                   {"policy_rules", vpc.policy_rules()},
                                   {"policy_groups", vpc.policy_groups()},
                                   {"attachments", vpc.attachments()}});
    }
    return print_line(
        json::object{{"synced", vpcs.synced()}, {"version", vpcs.version()}, {"vpcs", std::move(array)}});
  }
  if (!vpcs.synced()) fmt::print("no controller has finished a snapshot yet\n");
  fmt::print("{:<20} {:>9} {:>8} {:>9} {:>7} {:>7} {:>12}\n", "vpc", "vni", "subnets", "mappings", "policy",
             "groups", "attachments");
  for (const v1::VpcSummary& vpc : vpcs.vpcs()) {
    fmt::print("{:<20} {:>9} {:>8} {:>9} {:>7} {:>7} {:>12}\n", vpc.id(), vpc.vni(), vpc.subnets(),
               vpc.mappings(), vpc.policy_rules(), vpc.policy_groups(), vpc.attachments());
  }
}

}  // namespace berth::ctl
