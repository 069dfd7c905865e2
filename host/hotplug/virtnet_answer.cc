#include "host/hotplug/virtnet_answer.h"

#include <array>
#include <charconv>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace berth::host {
namespace {

namespace json = boost::json;

std::unexpected<Error> no_answer(std::string why) {
  return fail(Code::kDataLoss, "VIRTNET_ANSWER", "the virtio-net controller answered " + std::move(why));
}

// The object that an answer is, when it does not say that something went wrong.
Result<json::object> parse_answer(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return no_answer("no JSON object");
  const json::object& answer = value.get_object();
  const json::value* number = answer.if_contains("errno");
  if (number == nullptr || (number->is_int64() && number->get_int64() == 0) ||
      (number->is_string() && number->get_string() == "0"))
    return answer;
  const json::value* words = answer.if_contains("errstr");
  return fail(Code::kUnavailable, "VIRTNET_REFUSED",
              fmt::format("the virtio-net controller: {}", words != nullptr && words->is_string()
                                                               ? std::string_view(words->get_string())
                                                               : "an error without words"));
}

// A number or text, under the first of these names that there is; empty: under none.
std::string text_of(const json::object& object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr) continue;
    if (value->is_string()) return std::string(value->get_string());
    if (value->is_int64()) return std::to_string(value->get_int64());
  }
  return "";
}

// "84:0.0", "84:00.0" or "0000:84:00.0".
std::optional<PciAddress> parse_bdf(std::string_view text) {
  std::array<std::uint32_t, 4> parts{};  // domain, bus, device, function
  std::size_t count = 0;
  for (const char* at = text.data(); count < parts.size(); ++count) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(at, end, parts[count], 16);
    if (error != std::errc()) return std::nullopt;
    at = stop + 1;
    if (stop == end) break;
    if (*stop != ':' && *stop != '.') return std::nullopt;
  }
  if (count < 2 || count > 3) return std::nullopt;
  const std::size_t first = count - 2;
  const std::string whole = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", first == 1 ? parts[0] : 0, parts[first],
                                        parts[first + 1], parts[first + 2]);
  const auto address = PciAddress::parse("bdf", whole);
  return address ? std::optional(*address) : std::nullopt;
}

Result<VirtnetDevice> to_device(const json::object& object) {
  const auto address = parse_bdf(text_of(object, {"bdf", "pci_bdf"}));
  const auto mac = MacAddress::parse("mac", text_of(object, {"mac"}));
  std::string id = text_of(object, {"id", "pf_id"});
  if (!address || !mac || id.empty() || id.find_first_not_of("0123456789") != std::string::npos)
    return no_answer("without a good bdf, id or mac");
  return VirtnetDevice{.address = *address, .id = std::move(id), .mac = *mac};
}

}  // namespace

Result<VirtnetDevice> parse_virtnet_hotplug(std::string_view text) {
  const auto answer = parse_answer(text);
  if (!answer) return pass(answer);
  return to_device(*answer);
}

// Devices that are there from the start (static) and VFs are not ours, and may have no address.
Result<std::vector<VirtnetDevice>> parse_virtnet_list(std::string_view text) {
  const auto answer = parse_answer(text);
  if (!answer) return pass(answer);
  std::vector<VirtnetDevice> found;
  const json::value* devices = answer->if_contains("devices");
  if (devices == nullptr || !devices->is_array()) return no_answer("without a list of devices");
  for (const json::value& value : devices->get_array()) {
    if (!value.is_object()) return no_answer("with a device that is no object");
    const json::object& object = value.get_object();
    if (!text_of(object, {"function_type", "function type"}).starts_with("hotplug")) continue;
    const auto device = to_device(object);
    if (!device) return pass(device);
    found.push_back(*device);
  }
  return found;
}

Result<void> parse_virtnet_unplug(std::string_view text) {
  const auto answer = parse_answer(text);
  if (!answer) return pass(answer);
  return {};
}

}  // namespace berth::host
