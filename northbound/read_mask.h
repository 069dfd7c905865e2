// Which fields of an attachment a caller wants (https://google.aip.dev/157).
#pragma once

#include "base/error.h"
#include "berth/northbound/v1/attachments.pb.h"

#include <string>

#include <google/protobuf/util/field_mask_util.h>

namespace berth::northbound {

class ReadMask {
 public:
  // INVALID_ARGUMENT (MALFORMED_MASK) naming the first path that is no field of Attachment.
  static Result<ReadMask> parse(const google::protobuf::FieldMask& mask) {
    for (const std::string& path : mask.paths()) {
      if (!google::protobuf::util::FieldMaskUtil::IsValidPath<v1::Attachment>(path))
        return fail_field("read_mask", "MALFORMED_MASK", "\"" + path + "\" is no field of Attachment");
    }
    return ReadMask(mask);
  }

  // Whether a field of Attachment is wanted, at least a part of it.
  bool contains(const std::string& field) const {
    for (const std::string& path : mask_.paths()) {
      if (path == field || path.starts_with(field + ".")) return true;
    }
    return mask_.paths().empty();
  }

  // Clears what is not wanted.
  void apply(v1::Attachment& attachment) const {
    if (!mask_.paths().empty()) google::protobuf::util::FieldMaskUtil::TrimMessage(mask_, &attachment);
  }

 private:
  explicit ReadMask(google::protobuf::FieldMask mask) : mask_(std::move(mask)) {}
  google::protobuf::FieldMask mask_;
};

}  // namespace berth::northbound
