// Names for things this host makes: "op-3f9c...". 96 random bits: unique across restarts and hosts.
#pragma once

#include <string>
#include <string_view>

namespace berth::agent {

std::string random_id(std::string_view prefix);

}  // namespace berth::agent
