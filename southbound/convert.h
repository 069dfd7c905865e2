// The controller's messages to typed VPCs. Every malformed field becomes one ResourceError; the checks
// that need the whole (limits, overlaps, conflicts) are dataplane/vpc_check.h's.
#pragma once

#include "berth/southbound/v1/vpc_control.pb.h"
#include "dataplane/vpc_check.h"

#include <vector>

namespace berth::southbound {

// Appends what is wrong to `errors`; the VPC is meaningful only when nothing was appended.
dataplane::Vpc to_vpc(const v1::Vpc& message, std::vector<dataplane::ResourceError>& errors);

void fill_errors(v1::Nack& nack, const std::vector<dataplane::ResourceError>& errors);

}  // namespace berth::southbound
