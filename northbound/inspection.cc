#include "northbound/inspection.h"

#include "dataplane/rule_text.h"

#include <chrono>
#include <map>
#include <set>
#include <utility>

namespace berth::northbound {

void Inspection::add_to(rpc::Server& server) {
  server.server_stream<v1::ShowRulesRequest, v1::HeldRule>(
      "berth.northbound.v1.Inspection/ShowRules",
      [this](rpc::Context, v1::ShowRulesRequest, rpc::Writer<v1::HeldRule> shown) {
        return show_rules(std::move(shown));
      });
  server.unary<v1::ExplainRequest, v1::ExplainResponse>(
      "berth.northbound.v1.Inspection/Explain",
      [this](rpc::Context, v1::ExplainRequest request) { return explain(std::move(request)); });
  server.unary<v1::ShowAuditRequest, v1::ShowAuditResponse>(
      "berth.northbound.v1.Inspection/ShowAudit",
      [this](rpc::Context, v1::ShowAuditRequest) { return show_audit(); });
  server.unary<v1::ShowVpcsRequest, v1::ShowVpcsResponse>(
      "berth.northbound.v1.Inspection/ShowVpcs",
      [this](rpc::Context, v1::ShowVpcsRequest) { return show_vpcs(); });
}

namespace {

Task<dataplane::PortNumbering> read_numbering(agent::Agent& agent) {
  const auto ports = co_await agent.read_ports();
  if (!ports) co_return pass(ports);
  std::map<dataplane::EswitchPort, std::uint16_t> numbers;
  for (const dataplane::PortState& port : *ports) numbers.emplace(port.port, port.ethdev_port_id);
  co_return dataplane::PortNumbering(
      [numbers = std::move(numbers)](dataplane::EswitchPort port) { return numbers.at(port); });
}

v1::HeldRule to_message(const dataplane::HeldRule& held, const dataplane::PortNumbering& numbering) {
  v1::HeldRule shown;
  shown.set_testpmd(format_rule(held.rule, numbering));
  shown.set_purpose(std::string(purpose_name(held.rule.purpose)));
  shown.set_packets(held.packets);
  shown.set_bytes(held.bytes);
  return shown;
}

std::uint64_t unix_milliseconds(std::chrono::system_clock::time_point time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

Result<agent::ExplainQuestion> to_question(const v1::ExplainRequest& request) {
  agent::ExplainQuestion question;
  if (request.has_frame()) {
    question.packet = agent::FrameBytes{request.frame()};
  } else {
    question.packet = request.text();
  }
  if (request.uplink()) return question;
  if (!request.has_attachment())
    return fail_field("source", "NO_SOURCE", "a packet comes from an attachment or from the uplink");
  const auto id = AttachmentId::parse("attachment", request.attachment());
  if (!id) return pass(id);
  question.attachment = *id;
  question.interface = request.interface();
  return question;
}

}  // namespace

Task<void> Inspection::show_rules(rpc::Writer<v1::HeldRule> shown) {
  const auto numbering = co_await read_numbering(agent_);
  if (!numbering) co_return pass(numbering);
  const auto rules = co_await agent_.read_rules();
  if (!rules) co_return pass(rules);
  std::set<dataplane::Meter> shown_meters;
  for (const dataplane::HeldRule& held : *rules) {
    v1::HeldRule rule = to_message(held, *numbering);
    const auto& meter = held.rule.actions.meter;
    if (meter && shown_meters.insert(*meter).second)
      rule.set_testpmd(format_meter(*meter, *numbering) + rule.testpmd());
    const auto written = co_await shown.write(rule);
    if (!written) co_return written;
  }
  co_return Result<void>();
}

Task<v1::ExplainResponse> Inspection::explain(v1::ExplainRequest request) {
  auto question = to_question(request);
  if (!question) co_return pass(question);
  const auto numbering = co_await read_numbering(agent_);
  if (!numbering) co_return pass(numbering);
  const auto answer = co_await agent_.explain(*std::move(question));
  if (!answer) co_return pass(answer);

  v1::ExplainResponse response;
  response.set_packet(answer->packet);
  for (const agent::ExplainAnswer::Step& step : answer->steps) {
    v1::ExplainStep& shown = *response.add_steps();
    *shown.mutable_rule() = to_message(step.rule, *numbering);
    shown.set_packet(step.packet);
  }
  response.set_end(answer->end);
  co_return response;
}

Task<v1::ShowAuditResponse> Inspection::show_audit() {
  const agent::AuditReport& report = agent_.audit_report();
  v1::ShowAuditResponse response;
  response.set_interval_s(static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(agent_.audit_interval()).count()));
  response.set_runs(report.runs);
  response.set_last_run_unix_ms(unix_milliseconds(report.last_run));
  response.set_took_us(static_cast<std::uint64_t>(report.took.count()));
  response.set_obstacle(report.obstacle);
  response.set_found(report.found);
  response.set_repaired(report.repaired);
  for (const agent::AuditFinding& finding : report.findings) {
    v1::AuditFinding& shown = *response.add_findings();
    shown.set_seen_unix_ms(unix_milliseconds(finding.seen));
    shown.set_part(finding.part);
    shown.set_what(finding.what);
    shown.set_refusal(finding.refusal);
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
    summary.set_policy_groups(static_cast<std::uint32_t>(vpc->policy_groups.size()));
    summary.set_attachments(static_cast<std::uint32_t>(agent_.attachments().list_in(id).size()));
  }
  response.set_version(agent_.vpcs().version());
  co_return response;
}

}  // namespace berth::northbound
