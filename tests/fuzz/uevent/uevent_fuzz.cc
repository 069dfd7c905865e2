// Any bytes as a uevent: what is taken for one is about something that can be said again.
#include "host/pci/uevent.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto event = berth::host::parse_uevent({reinterpret_cast<const char*>(data), size});
  if (!event) {
    if (event.error().reason != "MALFORMED_UEVENT") std::abort();
    return 0;
  }
  if (event->function && berth::host::PciAddress::parse("again", event->function->str()) != *event->function)
    std::abort();
  return 0;
}
