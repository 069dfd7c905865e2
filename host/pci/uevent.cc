#include "host/pci/uevent.h"

#include <array>
#include <charconv>
#include <utility>

namespace berth::host {
namespace {

std::unexpected<Error> malformed(const char* why) {
  return fail(Code::kInvalidArgument, "MALFORMED_UEVENT", why);
}

// Takes what is before the next NUL (or the end).
std::string_view take_text(std::string_view& rest) {
  const std::size_t end = rest.find('\0');
  const std::string_view text = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return text;
}

Uevent::Action action_called(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Uevent::Action>, 5> kActions = {
      {{"add", Uevent::Action::kAdd},
       {"remove", Uevent::Action::kRemove},
       {"bind", Uevent::Action::kBind},
       {"unbind", Uevent::Action::kUnbind},
       {"change", Uevent::Action::kChange}}};
  for (const auto& [known, action] : kActions) {
    if (name == known) return action;
  }
  return Uevent::Action::kOther;
}

}  // namespace

Result<Uevent> parse_uevent(std::string_view message) {
  const std::string_view header = take_text(message);
  const std::size_t at = header.find('@');
  if (at == 0 || at == std::string_view::npos || header.substr(at + 1, 1) != "/")
    return malformed("it does not begin with ACTION@/path");
  Uevent event{.action = action_called(header.substr(0, at))};
  std::string_view subsystem;
  std::string_view slot;
  while (!message.empty()) {
    const std::string_view line = take_text(message);
    const std::size_t equals = line.find('=');
    if (equals == 0 || equals == std::string_view::npos) return malformed("a line of it is not KEY=value");
    const std::string_view value = line.substr(equals + 1);
    if (line.substr(0, equals) == "SUBSYSTEM") subsystem = value;
    if (line.substr(0, equals) == "PCI_SLOT_NAME") slot = value;
    if (line.substr(0, equals) == "ACTION" && value != header.substr(0, at))
      return malformed("it names two actions");
    if (line.substr(0, equals) != "SEQNUM") continue;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), event.number);
    if (error != std::errc() || end != value.data() + value.size()) return malformed("SEQNUM is no number");
  }
  if (subsystem != "pci" || slot.empty()) return event;
  const auto function = PciAddress::parse("PCI_SLOT_NAME", slot);
  if (!function) return malformed("PCI_SLOT_NAME is no address");
  event.function = *function;
  return event;
}

}  // namespace berth::host
