#include "tools/berthctl/session.h"

#include <fmt/format.h>

namespace berth::ctl {

void print_error(const Error& error) {
  fmt::print(stderr, "error: {}: {}\n", code_name(error.code), error.message);
  if (!error.reason.empty()) fmt::print(stderr, "  reason: {}\n", error.reason);
  for (const FieldViolation& violation : error.violations) {
    fmt::print(stderr, "  field {}: {}\n", violation.field, violation.description);
  }
  for (const auto& [key, value] : error.metadata) fmt::print(stderr, "  {}: {}\n", key, value);
}

}  // namespace berth::ctl
