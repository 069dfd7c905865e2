#include "host/netlink/exchange.h"

#include "host/netlink/nl_handles.h"

#include <cstdlib>
#include <cstring>
#include <linux/netlink.h>
#include <memory>
#include <sys/socket.h>
#include <utility>

#include <fmt/format.h>

namespace berth::host {
namespace {

constexpr int kMaxTornReads = 5;

Result<NlSocket> connect(NlProtocol protocol) {
  NlSocket socket(nl_socket_alloc());
  if (!socket) return fail(Code::kResourceExhausted, "NETLINK_FAILED", "no memory for a netlink socket");
  if (const int code = nl_connect(socket.get(), static_cast<int>(protocol)); code < 0)
    return nl_fail("connect to netlink", code);
  nl_socket_enable_msg_peek(socket.get());  // an answer may be longer than any buffer chosen beforehand
  const int on = 1;
  (void)setsockopt(nl_socket_get_fd(socket.get()), SOL_NETLINK, NETLINK_EXT_ACK, &on,
                   sizeof on);  // words only
  return socket;
}

Result<Bytes> receive(nl_sock* socket) {
  sockaddr_nl from{};
  unsigned char* raw = nullptr;
  const int count = nl_recv(socket, &from, &raw, nullptr);
  const std::unique_ptr<unsigned char, void (*)(void*)> buffer(raw, std::free);
  if (count <= 0) return nl_fail("read the kernel's answer", count);
  Bytes bytes(static_cast<std::size_t>(count));
  std::memcpy(bytes.data(), raw, bytes.size());
  return bytes;
}

Result<AnswerReader> ask(NlProtocol protocol, Bytes& request) {
  auto socket = connect(protocol);
  if (!socket) return pass(socket);
  if (const int code = nl_sendto(socket->get(), request.data(), request.size()); code < 0)
    return nl_fail("ask the kernel", code);
  AnswerReader reader;
  while (!reader.is_complete()) {
    auto datagram = receive(socket->get());
    if (!datagram) return pass(datagram);
    if (auto taken = reader.take(*datagram); !taken) return pass(taken);
  }
  return reader;
}

std::unexpected<Error> malformed(const char* what) {
  return fail(Code::kUnavailable, "NETLINK_MALFORMED", fmt::format("the kernel's answer: {}", what));
}

// Messages of a datagram lie on multiples of four bytes, which a Bytes begins with and a span need not.
template <typename T>
T load(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The text of NLMSGERR_ATTR_MSG among the attributes that follow an error.
std::string words_in(std::span<const std::byte> attributes) {
  while (attributes.size() >= sizeof(nlattr)) {
    const auto header = load<nlattr>(attributes);
    if (header.nla_len < sizeof(nlattr) || header.nla_len > attributes.size()) break;
    if ((header.nla_type & NLA_TYPE_MASK) == NLMSGERR_ATTR_MSG) {
      const auto text = attributes.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr));
      const auto* begin = reinterpret_cast<const char*>(text.data());  // LIFETIME: copied in this statement
      return {begin, strnlen(begin, text.size())};
    }
    attributes = attributes.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), attributes.size()));
  }
  return {};
}

}  // namespace

std::string NlAnswer::refusal() const {
  const char* name = strerrorname_np(error_number);
  const auto number = name != nullptr ? std::string(name) : fmt::format("error {}", error_number);
  return words.empty() ? number : fmt::format("{}: {}", number, words);
}

Result<void> AnswerReader::take(std::span<const std::byte> datagram) {
  bytes_ += datagram.size();
  if (bytes_ > kMaxBytes) {
    return fail(Code::kResourceExhausted, "NETLINK_ANSWER_TOO_LONG",
                fmt::format("the kernel's answer is longer than {} bytes", kMaxBytes));
  }
  while (!datagram.empty() && !is_complete_) {
    if (datagram.size() < sizeof(nlmsghdr)) return malformed("ends within a header");
    const auto header = load<nlmsghdr>(datagram);
    if (header.nlmsg_len < sizeof(nlmsghdr) || header.nlmsg_len > datagram.size())
      return malformed("a message longer than its datagram");
    const auto message = datagram.first(header.nlmsg_len);
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), datagram.size()));
    if (header.nlmsg_seq != kNlSequence) continue;  // nobody asked: a notification
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) is_torn_ = true;
    if (header.nlmsg_type == NLMSG_ERROR) {
      if (auto taken = take_error(message); !taken) return taken;
    } else if (header.nlmsg_type == NLMSG_DONE) {
      if (message.size() >= NLMSG_HDRLEN + sizeof(int))
        answer_.error_number = -load<int>(message.subspan(NLMSG_HDRLEN));
      is_complete_ = true;
    } else if (header.nlmsg_type >= NLMSG_MIN_TYPE) {
      answer_.messages.emplace_back(message.begin(), message.end());
    }
  }
  return {};
}

Result<void> AnswerReader::take_error(std::span<const std::byte> message) {
  if (message.size() < NLMSG_HDRLEN + sizeof(nlmsgerr)) return malformed("an error that is too short");
  const auto header = load<nlmsghdr>(message);
  const auto error = load<nlmsgerr>(message.subspan(NLMSG_HDRLEN));
  answer_.error_number = -error.error;
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    // The request comes back before the attributes: all of it, or its header only.
    const std::size_t echoed = (header.nlmsg_flags & NLM_F_CAPPED) != 0 ? NLMSG_HDRLEN : error.msg.nlmsg_len;
    const std::size_t before = NLMSG_HDRLEN + sizeof(int) + NLMSG_ALIGN(echoed);
    if (before <= message.size()) answer_.words = words_in(message.subspan(before));
  }
  is_complete_ = true;
  return {};
}

Result<NlAnswer> exchange(NlProtocol protocol, Bytes request) {
  for (int attempt = 0;; ++attempt) {
    auto reader = ask(protocol, request);
    if (!reader) return pass(reader);
    if (!reader->is_torn() || reader->answer().is_refused()) return std::move(reader->answer());
    if (attempt == kMaxTornReads)
      return fail(Code::kUnavailable, "NETLINK_FAILED", "the kernel's list kept changing while it was read");
  }
}

}  // namespace berth::host
