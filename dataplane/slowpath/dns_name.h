// Domain names as RFC 1035 section 3.1 puts them on the wire: labels with their lengths, not compressed.
#pragma once

#include "dataplane/slowpath/wire_writer.h"

#include <string_view>

namespace berth::dataplane::slowpath {

// Labels of 1 to 63 letters, digits, hyphens and underscores, none at the end a hyphen; at most 253
// characters. No dot at the end.
bool is_dns_name(std::string_view name);

// Only for what is_dns_name(); takes dns_name_wire_size() bytes.
void write_dns_name(WireWriter& writer, std::string_view name);
inline std::size_t dns_name_wire_size(std::string_view name) {
  return name.size() + 2;
}

}  // namespace berth::dataplane::slowpath
