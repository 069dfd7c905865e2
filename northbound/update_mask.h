// Which fields of an attachment an update changes (https://google.aip.dev/134), in the words of a read mask.
#pragma once

#include "base/error.h"

#include <google/protobuf/field_mask.pb.h>

namespace berth::northbound {

struct UpdateMask {
  bool rate_from_vm = false;
  bool rate_to_vm = false;
  bool policy_groups = false;

  // INVALID_ARGUMENT: MASK_EMPTY; MALFORMED_MASK and FIELD_IMMUTABLE naming the first path that is no field
  // of Attachment, and the first that is one which no update changes.
  static Result<UpdateMask> parse(const google::protobuf::FieldMask& mask);
};

}  // namespace berth::northbound
