// Which ethdev id means which port of the switch, as rules name ports by ethdev id.
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

  // kNoPort when the ethdev is not of this switch.
  PortIndex port_of(std::uint16_t ethdev) const { return ethdev < ports_.size() ? ports_[ethdev] : kNoPort; }
  // RTE_MAX_ETHPORTS or more when the port has no representor.
  std::uint16_t ethdev_of(PortIndex port) const { return port < ethdevs_.size() ? ethdevs_[port] : kNoPort; }

 private:
  std::array<PortIndex, RTE_MAX_ETHPORTS> ports_;
  std::array<std::uint16_t, RTE_MAX_ETHPORTS> ethdevs_;
};

}  // namespace berth::soft
