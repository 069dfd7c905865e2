// berthctl: a VMaaS, a static controller and an operator, on the command line.
#include "tools/berthctl/capture.h"
#include "tools/berthctl/commands.h"
#include "tools/berthctl/doctor.h"
#include "tools/berthctl/session.h"
#include "tools/berthctl/update.h"

#include <functional>
#include <random>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace berth::ctl {
namespace {

std::string random_request_id() {
  std::random_device device;
  return fmt::format("ctl-{:08x}{:08x}", device(), device());
}

void add_target(CLI::App& app, Target& target) {
  app.add_option("--endpoint", target.endpoint, "address of the agent")
      ->envname("BERTH_ENDPOINT")
      ->capture_default_str();
  app.add_option("--certificate", target.certificate, "PEM; its URI names the role")
      ->envname("BERTH_CERTIFICATE")
      ->required();
  app.add_option("--private-key", target.private_key, "PEM")->envname("BERTH_PRIVATE_KEY")->required();
  app.add_option("--trusted-ca", target.trusted_ca, "PEM; who signed the agent's certificate")
      ->envname("BERTH_TRUSTED_CA")
      ->required();
  app.add_flag("--json", target.json, "one JSON object a line");
}

// CLI11's AsNumberWithUnit for times: "10s", "500ms".
std::chrono::milliseconds to_duration(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000.0));
}

}  // namespace
}  // namespace berth::ctl

int main(int argc, char** argv) {
  using namespace berth;
  using namespace berth::ctl;
  if (argc > 1 && std::string_view(argv[1]) == "doctor") return run_doctor(argc - 1, argv + 1);
  CLI::App app("berthctl: attach VMs to VPCs, push VPCs, look at an agent");
  app.require_subcommand(1);
  app.fallthrough();  // options of berthctl itself may stand behind a command
  Target target;
  add_target(app, target);

  AttachArgs attach_args;
  double timeout_seconds = 10;
  const std::map<std::string, double> units = {{"ms", 0.001}, {"s", 1}, {"m", 60}};
  auto* attach_app = app.add_subcommand("attach", "attach a VM to VPCs and wait (role vmaas)");
  attach_app->add_option("--vm", attach_args.vm)->required();
  InterfaceArgs interface;
  auto* vpc_option = attach_app->add_option("--vpc", interface.vpc, "of a VM with one interface");
  attach_app->add_option("--ip", interface.ips, "an IPv4 address, an IPv6 address, or one of each");
  attach_app->add_option("--allocate", interface.allocate,
                         "subnet of the VPC from which the host chooses one");
  attach_app->add_option("--mac", interface.mac)->needs(vpc_option);
  attach_app->add_option("--mtu", interface.mtu_bytes, "bytes; default: the largest that fits the underlay");
  const auto rate = CLI::AsNumberWithUnit(rate_units());
  attach_app->add_option("--max-rate-from-vm", interface.max_rate_from_vm, "e.g. 500Mbit; default: no limit")
      ->transform(rate);
  attach_app->add_option("--max-rate-to-vm", interface.max_rate_to_vm)->transform(rate);
  attach_app->add_option("--class", interface.network_class, "compute, converged, storage or management")
      ->transform(CLI::Transformer(network_classes()));
  attach_app->add_option("--policy-group", interface.policy_groups, "of the VPC; any number");
  attach_app->add_option("--near", interface.near, "PCI address of what it is near; default: every --device");
  std::vector<std::string> interfaces;
  attach_app
      ->add_option("--interface", interfaces,
                   "of a VM with several, once for each: vpc=blue,ip=10.1.0.5,mac=02:00:00:00:01:05")
      ->excludes(vpc_option);
  attach_app->add_option("--device", attach_args.devices,
                         "PCI address of a GPU or drive that goes along, e.g. 0000:02:00.0; any number");
  attach_app->add_flag("--validate-only", attach_args.validate_only, "say what would be refused; do nothing");
  std::string request_id = random_request_id();
  attach_app->add_option("--request-id", request_id, "a retry repeats it; default: random");
  attach_app->add_option("--timeout", timeout_seconds, "e.g. 10s")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED));

  UpdateArgs update_args;
  auto* update_app = add_update(app, update_args);
  update_app->add_option("--request-id", request_id, "a retry repeats it; default: random");
  update_app->add_option("--timeout", timeout_seconds, "e.g. 10s")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED));

  std::string attachment;
  auto* detach_app = app.add_subcommand("detach", "detach and wait (role vmaas)");
  detach_app->add_option("attachment", attachment)->required();
  detach_app->add_option("--request-id", request_id, "a retry repeats it; default: random");
  detach_app->add_option("--timeout", timeout_seconds, "e.g. 10s")
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::UNIT_REQUIRED));

  std::string operation;
  auto* cancel_app = app.add_subcommand("cancel", "withdraw an attach or an update that runs (role vmaas)");
  cancel_app->add_option("operation", operation)->required();
  std::uint32_t operation_count = 20;
  auto* operations_app = app.add_subcommand("operations", "what runs, and what has ended, the latest first");
  operations_app->add_option("--attachment", attachment, "only this one's");
  operations_app->add_option("--count", operation_count, "the latest, those that run first")
      ->capture_default_str();
  auto* capacity_app = app.add_subcommand("capacity", "what the host can take, and has left");

  auto* list_app = app.add_subcommand("list", "attachments of the host");
  auto* get_app = app.add_subcommand("get", "one attachment, with its counters");
  get_app->add_option("attachment", attachment)->required();

  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> after_revision;
  auto* watch_app = app.add_subcommand("watch", "completions as they happen");
  watch_app->add_option("--count", count, "end after so many");
  watch_app->add_option("--after-revision", after_revision,
                        "start after this one; 0: from the first that is kept");

  std::string file;
  std::string controller = "berthctl";
  std::uint64_t election_id = 1;
  auto* vpc_app = app.add_subcommand("vpc", "VPCs of the host")->require_subcommand(1);
  auto* push_app =
      vpc_app->add_subcommand("push", "make FILE the whole VPC state of the host (role controller)");
  push_app->add_option("file", file, "TOML; see docs/examples/vpcs.toml")
      ->required()
      ->check(CLI::ExistingFile);
  push_app->add_option("--controller", controller)->capture_default_str();
  push_app->add_option("--election-id", election_id)->capture_default_str();
  auto* vpc_list_app = vpc_app->add_subcommand("list", "the VPCs that the host knows");

  auto* show_app = app.add_subcommand("show", "what is on the host (role operator)")->require_subcommand(1);
  ExplainArgs explain_args;
  std::string capture;
  std::size_t frame_number = 1;
  auto* explain_app = app.add_subcommand(
      "explain", "which rules a packet would take, and why it ends where it ends (role operator)");
  explain_app->add_option("attachment", explain_args.attachment,
                          "whose VM sends it; default: it comes from the wire");
  auto* packet_option =
      explain_app->add_option("--packet", explain_args.packet, "e.g. \"ipv4 > 10.1.0.6 / tcp 40000 > 443\"");
  auto* capture_option =
      explain_app->add_option("--pcap", capture, "a capture; its first frame, or --frame N")
          ->check(CLI::ExistingFile)
          ->excludes(packet_option);
  explain_app->add_option("--frame", frame_number, "counted from 1")
      ->needs(capture_option)
      ->check(CLI::PositiveNumber);
  auto* rules_app = show_app->add_subcommand("rules", "the eSwitch's rules, in testpmd syntax");

  std::vector<std::string> devices;
  std::uint32_t spare_ports = 0;
  auto* topology_app = app.add_subcommand(
      "topology", "how far NICs, GPUs and drives are from each other (role vmaas, operator)");
  auto* plan_app = topology_app->add_subcommand("plan", "arguments for a VM that keeps it so");
  plan_app->add_option("--device", devices, "PCI address; once for each")->required();
  plan_app->add_option("--spare", spare_ports, "hotplug ports that stay free");

  auto* doctor_app =
      app.add_subcommand("doctor", "what is wrong with this host, and the cure; needs no agent");
  auto* audit_app =
      show_app->add_subcommand("audit", "what was changed behind the agent's back, and became of it");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (*doctor_app) {
    fmt::print(stderr, "berthctl: doctor comes first: berthctl doctor --help\n");
    return 2;
  }
  const Format format = target.json ? Format::kJson : Format::kText;
  const auto timeout = to_duration(timeout_seconds);
  if (*vpc_option) attach_args.interfaces.push_back(interface);
  for (const std::string& text : interfaces) {
    auto parsed = parse_interface(text);
    if (!parsed) {
      print_error(parsed.error());
      return 2;
    }
    attach_args.interfaces.push_back(*std::move(parsed));
  }
  attach_args.request_id = request_id;
  attach_args.timeout = timeout;
  update_args.request_id = request_id;
  update_args.timeout = timeout;

  std::function<Task<void>(rpc::Channel&)> command;
  if (*attach_app) command = [&](rpc::Channel& channel) { return attach(channel, attach_args, format); };
  if (*update_app) command = [&](rpc::Channel& channel) { return update(channel, update_args, format); };
  if (*detach_app)
    command = [&](rpc::Channel& channel) { return detach(channel, attachment, request_id, timeout, format); };
  if (*cancel_app) command = [&](rpc::Channel& channel) { return cancel(channel, operation, format); };
  if (*operations_app)
    command = [&](rpc::Channel& channel) {
      return list_operations(channel, attachment, operation_count, format);
    };
  if (*capacity_app) command = [&](rpc::Channel& channel) { return show_capacity(channel, format); };
  if (*list_app) command = [&](rpc::Channel& channel) { return list_attachments(channel, format); };
  if (*get_app) command = [&](rpc::Channel& channel) { return get_attachment(channel, attachment, format); };
  if (*watch_app)
    command = [&](rpc::Channel& channel) { return watch(channel, after_revision, count, format); };
  if (*push_app)
    command = [&](rpc::Channel& channel) {
      return push_vpcs(channel, file, controller, election_id, format);
    };
  if (*vpc_list_app) command = [&](rpc::Channel& channel) { return show_vpcs(channel, format); };
  if (*explain_app) {
    if (capture.empty() == explain_args.packet.empty()) {
      fmt::print(stderr, "berthctl: explain needs --packet or --pcap\n");
      return 2;
    }
    if (!capture.empty()) {
      auto frame = read_capture(capture, frame_number);
      if (!frame) {
        print_error(frame.error());
        return 2;
      }
      explain_args.frame = *std::move(frame);
    }
    command = [&](rpc::Channel& channel) { return explain(channel, explain_args, format); };
  }
  if (*topology_app) command = [&](rpc::Channel& channel) { return show_topology(channel, format); };
  if (*plan_app)
    command = [&](rpc::Channel& channel) { return plan_topology(channel, devices, spare_ports, format); };
  if (*rules_app) command = [&](rpc::Channel& channel) { return show_rules(channel, format); };
  if (*audit_app) command = [&](rpc::Channel& channel) { return show_audit(channel, format); };
  return run_command(target, command);
}
