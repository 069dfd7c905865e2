// Plays a VM that sends whatever it likes to its gateway. The input is a list of frames: a byte of flags, a
// length of two bytes, the frame. With kMend the frame is given the VM's MAC and right checksums, so that
// mutations get past them.
//
// Beside crashes it looks for broken promises: replies that are no frames, go elsewhere, or answer what a VM
// may not send.
#include "dataplane/slowpath/checksum.h"
#include "dataplane/slowpath/responder.h"
#include "dataplane/wire_numbers.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::uint8_t kMend = 1;
constexpr std::uint8_t kTooBig = 2;        // the frame is one that does not fit
constexpr std::uint8_t kOtherAnswers = 4;  // a configuration with long lists

const EswitchPort kPort = EswitchPort::function(0);
constexpr MacAddress kVm{{2, 0, 0, 0, 1, 5}};
constexpr MacAddress kGateway{{2, 0, 0, 0, 0, 0xFE}};

void require(bool promise) {
  if (!promise) std::abort();
}

PortAnswers make_answers(bool has_long_lists) {
  const auto ip = [](std::string_view text) { return IpAddress::parse("ip", text).value(); };
  const auto prefix = [](std::string_view text) { return IpPrefix::parse("prefix", text).value(); };
  PortAnswers answers{.vm_mac = kVm,
                      .gateway_mac = kGateway,
                      .addresses = {{ip("10.1.0.5"), prefix("10.1.0.0/24"), ip("10.1.0.1")},
                                    {ip("2001:db8:1::5"), prefix("2001:db8:1::/64"), ip("2001:db8:1::1")}},
                      .dns_servers = {ip("10.1.0.2"), ip("2001:db8:1::2")},
                      .domain = "blue.example",
                      .hostname = "web",
                      .routes = {{prefix("10.2.0.0/16")}, {prefix("2001:db8:2::/48")}}};
  if (!has_long_lists) return answers;
  answers.domain = std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c');
  answers.dns_servers.assign(kMaxDnsServers, ip("10.1.0.2"));
  answers.dns_servers.resize(2 * kMaxDnsServers, ip("2001:db8:1::2"));
  answers.routes.assign(kMaxRoutes, {prefix("10.2.3.4/32")});
  answers.routes.resize(2 * kMaxRoutes, {prefix("2001:db8:2::5/128")});
  return answers;
}

void put(std::span<std::uint8_t> at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

// Checksums of whatever the frame seems to be.
void mend(std::vector<std::uint8_t>& bytes) {
  if (bytes.size() < kEthernetBytes) return;
  std::ranges::copy(kVm.bytes, bytes.begin() + 6);
  const auto ip = std::span(bytes).subspan(kEthernetBytes);
  const bool is_v4 = bytes[12] == 0x08 && bytes[13] == 0x00;
  if (is_v4 && ip.size() >= 20) {
    const std::size_t header_bytes = std::min<std::size_t>(4U * (ip[0] & 0xF), ip.size());
    if (header_bytes < 20) return;
    put(ip.subspan(10), 0);
    put(ip.subspan(10), checksum(ip.first(header_bytes)));
  }
  const auto packet = is_v4 ? read_ipv4(ip) : read_ipv6(ip);
  if (!packet || packet->payload.size() < 8) return;
  const auto message =
      ip.subspan(static_cast<std::size_t>(packet->payload.data() - ip.data()), packet->payload.size());
  if (packet->protocol == kProtocolUdp) {
    const std::size_t length = static_cast<std::size_t>(message[4] << 8 | message[5]);
    if (length < 8 || length > message.size()) return;
    put(message.subspan(6), 0);
    const std::uint16_t sum = checksum(packet->src, packet->dst, kProtocolUdp, message.first(length));
    put(message.subspan(6), sum == 0 ? 0xFFFF : sum);
  } else if (packet->protocol == kProtocolIcmp || packet->protocol == kProtocolIcmpv6) {
    put(message.subspan(2), 0);
    put(message.subspan(2), packet->protocol == kProtocolIcmp
                                ? checksum(message)
                                : checksum(packet->src, packet->dst, kProtocolIcmpv6, message));
  }
}

void check_reply(Bytes bytes) {
  const auto frame = read_frame(bytes);
  require(frame.has_value());
  require(frame->src == kGateway && (frame->dst == kVm || frame->dst.is_multicast()));
  if (frame->ether_type == kEtherTypeArp) return require(frame->payload.size() == 28);
  const bool is_v4 = frame->ether_type == kEtherTypeIpv4;
  const auto packet = is_v4 ? read_ipv4(frame->payload) : read_ipv6(frame->payload);
  require(packet && packet->whole.size() == frame->payload.size());
  if (packet->protocol == kProtocolUdp) {
    const auto datagram = read_udp(*packet);
    require(datagram && datagram->payload.size() + 8 == packet->payload.size());
  } else if (packet->protocol == kProtocolIcmp) {
    require(checksum(packet->payload) == 0);
  } else {
    require(packet->protocol == kProtocolIcmpv6 &&
            checksum(packet->src, packet->dst, kProtocolIcmpv6, packet->payload) == 0);
  }
}

void play(Bytes input) {
  static std::vector<std::uint8_t> reply(kMaxReplyBytes);
  Time now = Time() + std::chrono::hours(1);
  Responder responder(2);
  require(responder.set_answers(kPort, make_answers(false), now).has_value());
  WireReader reader(input);
  while (!reader.is_empty()) {
    const std::uint8_t flags = reader.u8();
    const Bytes given = reader.bytes(std::min<std::size_t>(reader.u16(), reader.rest().size()));
    // A copy of its own size: a read past its end is found.
    std::vector<std::uint8_t> frame(given.begin(), given.end());
    if ((flags & kMend) != 0) mend(frame);
    require(responder.set_answers(kPort, make_answers((flags & kOtherAnswers) != 0), now).has_value());
    now += std::chrono::milliseconds(20);
    const Answer answer = (flags & kTooBig) != 0 ? responder.answer_too_big(kPort, frame, now, reply)
                                                 : responder.answer(kPort, frame, now, reply);
    require((answer.size != 0) == is_answered(answer.outcome));
    require(answer.size <= reply.size());
    if (answer.size == 0) continue;
    require(frame.size() > kEthernetBytes && std::ranges::equal(kVm.bytes, std::span(frame).subspan(6, 6)));
    check_reply(std::span(reply).first(answer.size));
  }
}

}  // namespace
}  // namespace berth::dataplane::slowpath

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  berth::dataplane::slowpath::play({data, size});
  return 0;
}
