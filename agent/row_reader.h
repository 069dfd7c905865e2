// Columns of a row of the state database as values, one after the other. The first that is none makes the row
// bad: is_good() tells at the end.
#pragma once

#include "agent/sqlite.h"
#include "base/ids.h"
#include "base/ip_address.h"
#include "base/mac_address.h"
#include "host/pci_address.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth::agent {

class RowReader {
 public:
  explicit RowReader(SqliteRow row) : row_(row) {}

  template <typename Id>
  Id id() {
    return take(Id::parse("id", text()), Id());
  }
  MacAddress mac() { return take(MacAddress::parse("mac", text()), MacAddress()); }
  IpAddress ip() { return take(IpAddress::parse("ip", text()), IpAddress()); }
  std::vector<IpAddress> ips() { return list<IpAddress>(); }
  std::vector<host::PciAddress> pci_addresses() { return list<host::PciAddress>(); }
  // Empty text: none.
  std::optional<host::PciAddress> pci_address() {
    const auto one = list<host::PciAddress>();
    if (one.size() > 1) is_good_ = false;
    return one.empty() ? std::nullopt : std::optional(one.front());
  }
  std::string text() { return row_.bytes(column_++); }
  template <typename T>
  T number(std::uint64_t most = std::numeric_limits<T>::max()) {
    const auto value = static_cast<std::uint64_t>(row_.integer(column_++));
    if (value > most) is_good_ = false;
    return static_cast<T>(value);
  }
  void fail() { is_good_ = false; }
  bool is_good() const { return is_good_; }

 private:
  template <typename T>
  T take(Result<T> value, T otherwise) {
    if (!value) is_good_ = false;
    return value ? *std::move(value) : otherwise;
  }
  // Separated by commas.
  template <typename T>
  std::vector<T> list() {
    std::vector<T> items;
    const std::string all = text();
    for (std::size_t begin = 0; begin < all.size();) {
      const std::size_t end = std::min(all.find(',', begin), all.size());
      items.push_back(take(T::parse("list", all.substr(begin, end - begin)), T()));
      begin = end + 1;
    }
    return items;
  }

  SqliteRow row_;
  int column_ = 0;
  bool is_good_ = true;
};

}  // namespace berth::agent
