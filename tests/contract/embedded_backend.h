// The embedded engine on the software eSwitch, with ports that lead nowhere: no root, no hugepages.
#pragma once

#include "dataplane/dpdk/embedded_eswitch.h"
#include "tests/contract/eswitch_contract.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace berth::testing {

// DPDK starts once a process, so all tests share one.
struct Embedded {
  static dataplane::Eswitch& eswitch() {
    (void)loop();
    static const auto instance = [] {
      auto opened = dataplane::dpdk::EmbeddedEswitch::open_soft(
          {.uplink = {"net_null0", "no-rx=1"},
           .functions = {{"net_null1", "no-rx=1"}, {"net_null2", "no-rx=1"}},
           .steering = dataplane::dpdk::SteeringMode::BERTH_STEERING});
      if (!opened) {
        ADD_FAILURE() << opened.error().message;
        std::abort();
      }
      return *std::move(opened);
    }();
    return *instance;
  }
};

}  // namespace berth::testing
