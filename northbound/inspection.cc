#include "northbound/inspection.h"

#include "dataplane/rule_text.h"

#include <map>
#include <set>
#include <utility>

namespace berth::northbound {

void Inspection::add_to(rpc::Server& server) {
  server.unary<v1::ShowRulesRequest, v1::ShowRulesResponse>(
      "berth.northbound.v1.Inspection/ShowRules",
      [this](rpc::Context, v1::ShowRulesRequest) { return show_rules(); });
  server.unary<v1::ShowVpcsRequest, v1::ShowVpcsResponse>(
      "berth.northbound.v1.Inspection/ShowVpcs",
      [this](rpc::Context, v1::ShowVpcsRequest) { return show_vpcs(); });
}

Task<v1::ShowRulesResponse> Inspection::show_rules() {
  const auto ports = co_await agent_.read_ports();
  if (!ports) co_return pass(ports);
  std::map<dataplane::EswitchPort, std::uint16_t> numbers;
  for (const dataplane::PortState& port : *ports) numbers.emplace(port.port, port.ethdev_port_id);
  const dataplane::PortNumbering numbering = [&numbers](dataplane::EswitchPort port) {
    return numbers.at(port);
  };

  const auto rules = co_await agent_.read_rules();
  if (!rules) co_return pass(rules);
  v1::ShowRulesResponse response;
  std::set<dataplane::Meter> shown_meters;
  for (const dataplane::HeldRule& held : *rules) {
    v1::HeldRule& shown = *response.add_rules();
    const auto& meter = held.rule.actions.meter;
    if (meter && shown_meters.insert(*meter).second) shown.set_testpmd(format_meter(*meter, numbering));
    shown.mutable_testpmd()->append(format_rule(held.rule, numbering));
    shown.set_purpose(std::string(purpose_name(held.rule.purpose)));
    shown.set_packets(held.packets);
    shown.set_bytes(held.bytes);
  }
  co_return response;
}

Task<v1::ShowVpcsResponse> Inspection::show_vpcs() {
  v1::ShowVpcsResponse response;
  response.set_synced(agent_.vpcs().is_synced());
  for (const auto& [id, vpc] : agent_.vpcs().all()) {
    v1::VpcSummary& summary = *response.add_vpcs();
    summary.set_id(id.str());
    summary.set_vni(vpc->vni.value());
    summary.set_subnets(static_cast<std::uint32_t>(vpc->subnets.size()));
    summary.set_mappings(static_cast<std::uint32_t>(vpc->mappings.size()));
    summary.set_policy_rules(static_cast<std::uint32_t>(vpc->policy.size()));
    summary.set_attachments(static_cast<std::uint32_t>(agent_.attachments().list_in(id).size()));
  }
  response.set_version(agent_.vpcs().version());
  co_return response;
}

}  // namespace berth::northbound
