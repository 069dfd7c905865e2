#include "dataplane/remote/bytes.h"
#include "dataplane/remote/convert.h"

#include <algorithm>
#include <limits>

namespace berth::dataplane::remote {
namespace {

// DHCP's lease time is a 32-bit number (RFC 2132 section 9.2).
constexpr std::uint64_t kMaxLeaseSeconds = std::numeric_limits<std::uint32_t>::max();

PortAnswers take_answers(const v1::Answers& message, FieldReader& reader) {
  PortAnswers answers;
  answers.vm_mac = reader.mac("vm_mac", message.vm_mac());
  answers.gateway_mac = reader.mac("gateway_mac", message.gateway_mac());
  for (const v1::VmAddress& address : message.addresses()) {
    answers.addresses.push_back({.ip = reader.ip("addresses.ip", address.ip()),
                                 .subnet = reader.prefix("addresses.subnet", address.subnet()),
                                 .gateway = reader.ip("addresses.gateway", address.gateway())});
  }
  answers.mtu_bytes = message.mtu_bytes();
  for (const std::string& server : message.dns_servers())
    answers.dns_servers.push_back(reader.ip("dns_servers", server));
  answers.domain = message.domain();
  answers.hostname = message.hostname();
  for (const std::string& route : message.routes())
    answers.routes.push_back({reader.prefix("routes", route)});
  if (message.lease_seconds() > kMaxLeaseSeconds) reader.complain("lease_seconds", "is too large");
  answers.lease = std::chrono::seconds(std::min(message.lease_seconds(), kMaxLeaseSeconds));
  return answers;
}

}  // namespace

void write_answers(const PortAnswers& answers, v1::Answers& message) {
  message.set_vm_mac(bytes_of(answers.vm_mac));
  message.set_gateway_mac(bytes_of(answers.gateway_mac));
  for (const VmAddress& address : answers.addresses) {
    v1::VmAddress& written = *message.add_addresses();
    written.set_ip(bytes_of(address.ip));
    written.set_subnet(bytes_of(address.subnet));
    written.set_gateway(bytes_of(address.gateway));
  }
  message.set_mtu_bytes(answers.mtu_bytes);
  for (const IpAddress& server : answers.dns_servers) message.add_dns_servers(bytes_of(server));
  message.set_domain(answers.domain);
  message.set_hostname(answers.hostname);
  for (const AnnouncedRoute& route : answers.routes) message.add_routes(bytes_of(route.prefix));
  message.set_lease_seconds(static_cast<std::uint64_t>(answers.lease.count()));
}

Result<PortAnswers> read_answers(const v1::Answers& message) {
  FieldReader reader("MALFORMED_ANSWERS");
  PortAnswers answers = take_answers(message, reader);
  return reader.finish(std::move(answers));
}

void write_slow_path(const SlowPathState& state, v1::SlowPath& message) {
  message.set_port(state.port.number());
  if (state.answers) write_answers(*state.answers, *message.mutable_answers());
  for (const std::uint64_t frames : state.counters.frames) message.add_frames(frames);
  message.set_undelivered(state.undelivered);
}

// An older or newer holder counts fewer or more outcomes: those that both know are told.
Result<SlowPathState> read_slow_path(const v1::SlowPath& message) {
  FieldReader reader("MALFORMED_ANSWERS");
  SlowPathState state{.port = reader.port("port", message.port()), .undelivered = message.undelivered()};
  if (message.has_answers()) state.answers = take_answers(message.answers(), reader);
  const auto count = std::min(state.counters.frames.size(), static_cast<std::size_t>(message.frames_size()));
  std::copy_n(message.frames().begin(), count, state.counters.frames.begin());
  return reader.finish(std::move(state));
}

}  // namespace berth::dataplane::remote
