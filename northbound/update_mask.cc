#include "northbound/update_mask.h"

#include "northbound/read_mask.h"

#include <fmt/format.h>

namespace berth::northbound {

Result<UpdateMask> UpdateMask::parse(const google::protobuf::FieldMask& mask) {
  constexpr const char* kField = "update_mask";
  if (mask.paths().empty())
    return fail_field(kField, "MASK_EMPTY", "an update names the fields that it changes");
  UpdateMask fields;
  for (const std::string& path : mask.paths()) {
    if (path == "interfaces.interface.max_rate_from_vm") {
      fields.rate_from_vm = true;
    } else if (path == "interfaces.interface.max_rate_to_vm") {
      fields.rate_to_vm = true;
    } else if (path == "interfaces.interface.policy_groups") {
      fields.policy_groups = true;
    } else if (is_field_of_attachment(path)) {
      return fail_field(kField, "FIELD_IMMUTABLE",
                        fmt::format("\"{}\" is not changed in place: detach, and attach anew", path));
    } else {
      return fail_field(kField, "MALFORMED_MASK", fmt::format("\"{}\" is no field of Attachment", path));
    }
  }
  return fields;
}

}  // namespace berth::northbound
