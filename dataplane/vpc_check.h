// Whether a set of VPCs makes sense as a whole. Pure: the southbound API calls it on what a push
// would lead to, before anything is applied.
#pragma once

#include "base/error.h"
#include "dataplane/vpc.h"

#include <string>
#include <vector>

namespace berth::dataplane {

// What is wrong with one resource, e.g. "vpc/blue/mapping/10.1.0.6".
struct ResourceError {
  std::string resource;
  Error error;
};

// Every fault of `vpc` alone: limits, subnets that overlap, gateways and mappings outside a subnet,
// duplicate addresses, addresses that are not unicast, policy rules that hardware cannot match.
std::vector<ResourceError> check_vpc(const Vpc& vpc);

// Faults between VPCs: two with one VNI.
std::vector<ResourceError> check_vpc_set(const VpcSet& vpcs);

}  // namespace berth::dataplane
