#include "dataplane/slowpath/dns_name.h"

#include <algorithm>
#include <utility>

namespace berth::dataplane::slowpath {
namespace {

constexpr std::size_t kMaxNameCharacters = 253;
constexpr std::size_t kMaxLabelCharacters = 63;

// The first label, and what follows its dot.
std::pair<std::string_view, std::string_view> split(std::string_view name) {
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return {name, {}};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

bool is_label_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabelCharacters && label.front() != '-' &&
         label.back() != '-' && std::ranges::all_of(label, is_label_character);
}

}  // namespace

bool is_dns_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameCharacters || name.back() == '.') return false;
  while (!name.empty()) {
    const auto [label, rest] = split(name);
    if (!is_label(label)) return false;
    name = rest;
  }
  return true;
}

void write_dns_name(WireWriter& writer, std::string_view name) {
  while (!name.empty()) {
    const auto [label, rest] = split(name);
    writer.u8(static_cast<std::uint8_t>(label.size()));
    writer.text(label);
    name = rest;
  }
  writer.u8(0);
}

}  // namespace berth::dataplane::slowpath
