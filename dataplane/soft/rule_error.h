// Why a rule was refused: what rte_flow reports, and the point of the hardware profile behind it.
//
// `message` is a literal and ends with the profile's point, "range is not valid (HP-12)". The words and
// errno are the mlx5 driver's where it has any, so that a refusal here reads like one of a real NIC.
#pragma once

#include <expected>

#include <rte_flow.h>

namespace berth::soft {

struct RuleError {
  int code = 0;  // positive errno
  rte_flow_error_type type = RTE_FLOW_ERROR_TYPE_UNSPECIFIED;
  const char* message = "";
  const void* cause = nullptr;  // the attribute, item or action, as rte_flow_error has it
};

template <typename T>
using RuleResult = std::expected<T, RuleError>;

inline std::unexpected<RuleError> refuse(int code, rte_flow_error_type type, const char* message,
                                         const void* cause = nullptr) {
  return std::unexpected(RuleError{code, type, message, cause});
}

}  // namespace berth::soft
