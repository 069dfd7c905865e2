// Which fields of an attachment a caller wants (https://google.aip.dev/157). A path may go through a list,
// and then means the field of every item: "interfaces.port".
#pragma once

#include "base/error.h"
#include "berth/northbound/v1/attachments.pb.h"

#include <string>

namespace berth::northbound {

// Whether the path names one, through lists, too.
bool is_field_of_attachment(const std::string& path);

class ReadMask {
 public:
  // INVALID_ARGUMENT (MALFORMED_MASK) naming the first path that is no field of Attachment.
  static Result<ReadMask> parse(const google::protobuf::FieldMask& mask);

  // Whether anything of the field is wanted: of "interfaces.port" when "interfaces" is, and the reverse.
  bool contains(const std::string& field) const;

  // Clears what is not wanted.
  void apply(v1::Attachment& attachment) const;

 private:
  explicit ReadMask(google::protobuf::FieldMask mask) : mask_(std::move(mask)) {}
  google::protobuf::FieldMask mask_;
};

}  // namespace berth::northbound
