// A file of VPCs (TOML) as the static controller pushes it; docs/examples/vpcs.toml is a commented
// one. Only the shape is checked here; what the values mean is the agent's to judge.
#pragma once

#include "base/error.h"
#include "berth/southbound/v1/vpc_control.pb.h"

#include <string>
#include <vector>

namespace berth::ctl {

Result<std::vector<southbound::v1::Vpc>> load_vpc_file(const std::string& file);

}  // namespace berth::ctl
