#include "agent/random_id.h"

#include <random>

#include <fmt/format.h>

namespace berth::agent {

std::string random_id(std::string_view prefix) {
  static std::random_device device;  // the kernel's generator
  return fmt::format("{}-{:08x}{:08x}{:08x}", prefix, device(), device(), device());
}

}  // namespace berth::agent
