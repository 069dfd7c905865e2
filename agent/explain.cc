#include "agent/explain.h"

#include "dataplane/pipeline.h"

namespace berth::agent {
namespace {

struct Origin {
  dataplane::EswitchPort port;  // the uplink, if nobody's
  dataplane::PacketDefaults defaults;
};

Origin origin_of(const Interface& interface) {
  Origin origin{.port = port_of(interface),
                .defaults = {.eth_src = interface.intent.mac, .eth_dst = dataplane::kGatewayMac}};
  for (const IpAddress& ip : interface.intent.ips) {
    (ip.is_v4() ? origin.defaults.ipv4_src : origin.defaults.ipv6_src) = ip;
  }
  return origin;
}

Result<dataplane::Headers> read_packet(const ExplainQuestion& question, const Origin& origin) {
  if (const auto* text = std::get_if<std::string>(&question.packet))
    return dataplane::parse_packet_text(*text, origin.defaults);
  const std::string& frame = std::get<FrameBytes>(question.packet).bytes;
  return dataplane::parse_frame({reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()});
}

}  // namespace

Task<ExplainAnswer> explain(dataplane::Eswitch& eswitch, const AttachmentStore& attachments,
                            ExplainQuestion question) {
  Origin origin;
  if (question.attachment) {
    const auto attachment = attachments.get(*question.attachment);
    if (!attachment) co_return pass(attachment);
    if (question.interface >= attachment->interfaces.size()) {
      co_return fail(Code::kNotFound, "INTERFACE_UNKNOWN",
                     fmt::format("{} has {} interfaces", attachment->id, attachment->interfaces.size()));
    }
    origin = origin_of(attachment->interfaces[question.interface]);
  }
  const auto packet = read_packet(question, origin);
  if (!packet) co_return pass(packet);
  const auto rules = co_await eswitch.read_rules(std::nullopt);
  if (!rules) co_return pass(rules);

  const dataplane::Explanation explanation = dataplane::explain(*rules, origin.port, *packet);
  ExplainAnswer answer{.packet = format_packet(*packet), .steps = {}, .end = say_end(explanation)};
  for (const dataplane::Explanation::Step& step : explanation.steps) {
    answer.steps.push_back({*step.rule, format_packet(step.packet)});
  }
  co_return answer;
}

}  // namespace berth::agent
