// berthctl topology: the host's PCIe, and arguments for a VM that keep it.
#include "tools/berthctl/commands.h"
#include "tools/berthctl/topology_text.h"

#include <cstdio>

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

namespace berth::ctl {

using namespace northbound;

namespace {

constexpr std::chrono::seconds kTimeout{30};  // a device that is in reset answers late

Result<void> print_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto written = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!written.ok()) return fail(Code::kInternal, "", written.ToString());
  fmt::print("{}\n", text);
  return {};
}

}  // namespace

Task<void> show_topology(rpc::Channel& channel, Format format) {
  const auto topology = co_await channel.unary<v1::HostTopology>(
      "berth.northbound.v1.Topology/GetTopology", v1::GetTopologyRequest(), {.timeout = kTimeout});
  if (!topology) co_return pass(topology);
  if (format == Format::kJson) co_return print_json(*topology);
  fmt::print("{}", format_topology(*topology));
  co_return Result<void>();
}

Task<void> plan_topology(rpc::Channel& channel, std::vector<std::string> devices, std::uint32_t spare_ports,
                         Format format) {
  v1::PlanTopologyRequest request;
  for (const std::string& device : devices) request.add_devices(device);
  request.set_spare_ports(spare_ports);
  const auto plan = co_await channel.unary<v1::TopologyPlan>("berth.northbound.v1.Topology/PlanTopology",
                                                             request, {.timeout = kTimeout});
  if (!plan) co_return pass(plan);
  if (format == Format::kJson) co_return print_json(*plan);
  for (int i = 0; i + 1 < plan->qemu_size(); i += 2) fmt::print("{} {}\n", plan->qemu(i), plan->qemu(i + 1));
  fmt::print("\n{}", plan->libvirt_xml());
  co_return Result<void>();
}

}  // namespace berth::ctl
