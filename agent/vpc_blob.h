// A VPC as the bytes of a row of the state database, its policy version included: the rules of a policy are
// told apart by it, so a restarted berthd must know which one is in the eSwitch.
#pragma once

#include "base/error.h"
#include "dataplane/vpc.h"

#include <string>
#include <string_view>

namespace berth::agent {

std::string format_vpc_blob(const dataplane::Vpc& vpc);
// DATA_LOSS (STATE_CORRUPT) when the bytes are not what format_vpc_blob() makes, or made of schema 4.
Result<dataplane::Vpc> parse_vpc_blob(std::string_view bytes);

}  // namespace berth::agent
