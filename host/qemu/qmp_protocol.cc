#include "host/qemu/qmp_protocol.h"

#include <utility>

#include <fmt/format.h>

namespace berth::host::qemu {
namespace {

namespace json = boost::json;

constexpr std::size_t kShownBytes = 120;  // of a line, in an error

std::unexpected<Error> broken(std::string reason, std::string message) {
  return fail(Code::kDataLoss, std::move(reason), "QEMU's monitor: " + std::move(message));
}

// Printable, and not long.
std::string show(std::string_view line) {
  std::string shown;
  for (const char c : line.substr(0, kShownBytes)) shown += c >= ' ' && c <= '~' ? c : '?';
  return line.size() > kShownBytes ? shown + "..." : shown;
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string());
}

Error refusal(const json::object& error) {
  const std::string kind = text_of(error, "class");
  const std::string words = text_of(error, "desc");
  if (kind == "DeviceNotFound")
    return {.code = Code::kNotFound, .message = words, .reason = "QMP_DEVICE_NOT_FOUND"};
  if (kind == "CommandNotFound")
    return {.code = Code::kUnimplemented, .message = words, .reason = "QMP_COMMAND_NOT_FOUND"};
  return {.code = Code::kFailedPrecondition, .message = words, .reason = "QMP_REFUSED"};
}

}  // namespace

Result<void> QmpProtocol::receive(std::string_view bytes) {
  while (!broken_ && !bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto piece = bytes.substr(0, end);
    Result<void> received;
    if (partial_.size() + piece.size() > kMaxLineBytes) {
      received = broken("QMP_LINE_TOO_LONG", fmt::format("a line of more than {} bytes", kMaxLineBytes));
    } else {
      partial_ += piece;
    }
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (received && end != std::string_view::npos) {
      received = receive_line(partial_);
      partial_.clear();
    }
    if (!received) broken_ = received.error();
  }
  if (broken_) return std::unexpected(*broken_);
  return {};
}

Result<void> QmpProtocol::receive_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return {};
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::value value = json::parse(line, error, {}, options);
  if (error == json::error::too_deep)
    return broken("QMP_TOO_DEEP", fmt::format("more than {} levels: {}", kMaxDepth, show(line)));
  if (error || !value.is_object()) return broken("QMP_MALFORMED", "no JSON object: " + show(line));
  json::object& object = value.get_object();
  if (state_ == State::kGreeting) return receive_greeting(object);
  if (messages_.size() >= kMaxWaitingMessages)
    return broken("QMP_FLOODED", fmt::format("{} messages that nobody asked for", kMaxWaitingMessages));
  if (object.contains("event")) {
    const json::value* data = object.if_contains("data");
    messages_.push_back(
        QmpEvent{.name = text_of(object, "event"),
                 .data = data != nullptr && data->is_object() ? data->get_object() : json::object()});
    return {};
  }
  if (!object.contains("return") && !object.contains("error"))
    return broken("QMP_MALFORMED", "neither reply nor event: " + show(line));
  return receive_reply(std::move(object));
}

Result<void> QmpProtocol::receive_greeting(const json::object& object) {
  const json::value* greeting = object.if_contains("QMP");
  if (greeting == nullptr || !greeting->is_object())
    return broken("QMP_NO_GREETING", "the first line is no greeting: " + show(json::serialize(object)));
  const auto number = [&](const char* part) -> std::int64_t {
    boost::system::error_code error;
    const json::value* found = greeting->find_pointer(fmt::format("/version/qemu/{}", part), error);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
  };
  version_ = fmt::format("{}.{}.{}", number("major"), number("minor"), number("micro"));
  state_ = State::kNegotiating;
  queue("qmp_capabilities", {});
  return {};
}

Result<void> QmpProtocol::receive_reply(json::object object) {
  const std::string id = text_of(object, "id");
  if (!id.starts_with(client_ + "-")) return {};  // whoever had the monitor before us is not there any more
  if (asked_.empty() || id != name_of(asked_.front())) {
    return broken("QMP_UNKNOWN_REPLY", "a reply to nothing that was asked: " + show(json::serialize(object)));
  }
  QmpReply reply{.id = asked_.front(), .outcome = json::value()};
  asked_.pop_front();
  if (const json::value* error = object.if_contains("error")) {
    reply.outcome = std::unexpected(refusal(error->is_object() ? error->get_object() : json::object()));
  } else {
    reply.outcome = std::move(object["return"]);
  }
  if (state_ == State::kReady) {
    messages_.push_back(std::move(reply));
    return {};
  }
  if (!reply.outcome) return broken("QMP_NO_CAPABILITIES", reply.outcome.error().message);
  state_ = State::kReady;
  return {};
}

std::optional<QmpMessage> QmpProtocol::take() {
  if (messages_.empty()) return std::nullopt;
  QmpMessage message = std::move(messages_.front());
  messages_.pop_front();
  return message;
}

std::string QmpProtocol::take_output() {
  return std::exchange(output_, {});
}

std::uint64_t QmpProtocol::request(std::string_view command, json::object arguments) {
  return queue(command, std::move(arguments));
}

std::uint64_t QmpProtocol::queue(std::string_view command, json::object arguments) {
  const std::uint64_t id = ++last_id_;
  json::object line{{"execute", command}, {"id", name_of(id)}};
  if (!arguments.empty()) line["arguments"] = std::move(arguments);
  output_ += json::serialize(line) + "\n";
  asked_.push_back(id);
  return id;
}

}  // namespace berth::host::qemu
