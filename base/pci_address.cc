#include "base/pci_address.h"

#include <charconv>

namespace berth {
namespace {

// Reads a hexadecimal number of at least `digits` digits, ended by `separator` (0: by the end of the text).
template <typename Number>
bool read_part(std::string_view& text, std::size_t digits, char separator, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  const auto size = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || size < digits) return false;
  text.remove_prefix(size);
  if (separator == 0) return text.empty();
  if (!text.starts_with(separator)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<PciAddress> PciAddress::parse(std::string_view field, std::string_view text) {
  constexpr std::uint8_t kDevices = 32;
  constexpr std::uint8_t kFunctions = 8;
  PciAddress address;
  std::string_view rest = text;
  const bool well_formed = read_part(rest, 4, ':', address.domain) && read_part(rest, 2, ':', address.bus) &&
                           read_part(rest, 2, '.', address.device) &&
                           read_part(rest, 1, 0, address.function) && address.device < kDevices &&
                           address.function < kFunctions && address.str().size() == text.size();
  if (!well_formed) {
    return fail_field(std::string(field), "MALFORMED_PCI_ADDRESS",
                      fmt::format("'{}' is not a PCI address like 0000:3b:00.2", text));
  }
  return address;
}

std::string PciAddress::str() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain, bus, device, function);
}

}  // namespace berth
