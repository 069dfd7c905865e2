// Which ethdev id means which port of the switch, as rules name ports by ethdev id.
//
// Unbacked functions have no ethdev (devargs.h). Rules name the first of them by RTE_MAX_ETHPORTS, which no
// ethdev can have, and the others by the numbers that follow.
#pragma once

#include "dataplane/soft/field_vector.h"

#include <array>
#include <cstdint>

#include <rte_ethdev.h>

namespace berth::soft {

class PortMap {
 public:
  PortMap() {
    ports_.fill(kNoPort);
    ethdevs_.fill(kNoPort);
  }

  void add(std::uint16_t ethdev, PortIndex port) {
    ports_.at(ethdev) = port;
    ethdevs_.at(port) = ethdev;
  }

  // Ports `first` and on.
  void add_unbacked(PortIndex first, std::uint16_t count) {
    first_unbacked_ = first;
    unbacked_ = count;
  }

  // kNoPort when the ethdev is not of this switch.
  PortIndex port_of(std::uint16_t ethdev) const {
    if (ethdev < ports_.size()) return ports_[ethdev];
    const std::size_t of_unbacked = ethdev - ports_.size();
    return of_unbacked < unbacked_ ? static_cast<PortIndex>(first_unbacked_ + of_unbacked) : kNoPort;
  }
  // RTE_MAX_ETHPORTS or more when the port has no representor.
  std::uint16_t ethdev_of(PortIndex port) const {
    if (port >= first_unbacked_ && port < first_unbacked_ + unbacked_)
      return static_cast<std::uint16_t>(RTE_MAX_ETHPORTS + port - first_unbacked_);
    return port < ethdevs_.size() ? ethdevs_[port] : kNoPort;
  }

 private:
  std::array<PortIndex, RTE_MAX_ETHPORTS> ports_;
  std::array<std::uint16_t, RTE_MAX_ETHPORTS> ethdevs_;
  PortIndex first_unbacked_ = 0;
  std::uint16_t unbacked_ = 0;
};

}  // namespace berth::soft
