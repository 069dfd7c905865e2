// Addresses as the bytes of a message. Reading checks; the first thing that is wrong is remembered, and
// what is returned for it is a default.
#pragma once

#include "base/error.h"
#include "base/ids.h"
#include "base/ip_address.h"
#include "base/mac_address.h"
#include "dataplane/port.h"

#include <limits>
#include <string>
#include <string_view>

namespace berth::dataplane::remote {

std::string bytes_of(const MacAddress& mac);
std::string bytes_of(const IpAddress& ip);
std::string bytes_of(const IpPrefix& prefix);  // the address, then one byte: the length

class FieldReader {
 public:
  explicit FieldReader(std::string reason) : reason_(std::move(reason)) {}

  MacAddress mac(std::string_view field, const std::string& bytes);
  IpAddress ip(std::string_view field, const std::string& bytes);
  IpPrefix prefix(std::string_view field, const std::string& bytes);
  Vni vni(std::string_view field, std::uint32_t value);
  EswitchPort port(std::string_view field, std::uint32_t number);
  template <typename T>
  T number(std::string_view field, std::uint32_t value) {
    if (value > std::numeric_limits<T>::max()) complain(field, fmt::format("{} is too large", value));
    return static_cast<T>(value);
  }
  void complain(std::string_view field, std::string_view why);

  // The value, or the first complaint.
  template <typename T>
  Result<T> finish(T value) const {
    if (complaint_.empty()) return value;
    return fail(Code::kInvalidArgument, reason_, complaint_);
  }

 private:
  std::string reason_;
  std::string complaint_;
};

}  // namespace berth::dataplane::remote
