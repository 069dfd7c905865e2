// The host's topology as `nvidia-smi topo -m` would print it, and what is worth knowing of each device.
#pragma once

#include "berth/northbound/v1/topology.pb.h"

#include <string>

namespace berth::ctl {

// VFs are not in it: they are where their physical functions are.
std::string format_topology(const northbound::v1::HostTopology& topology);

}  // namespace berth::ctl
