#include "northbound/read_mask.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::northbound {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Paths = std::vector<std::string_view>;

// "interfaces.port" -> "interfaces", "port"; the rest has no value behind the last name.
struct Split {
  std::string_view first;
  std::string_view rest;
  bool has_rest = false;
};
Split split(std::string_view path) {
  const auto dot = path.find('.');
  if (dot == std::string_view::npos) return {path, {}, false};
  return {path.substr(0, dot), path.substr(dot + 1), true};
}

bool is_field(const Descriptor* type, std::string_view path) {
  const Split name = split(path);
  const FieldDescriptor* field = type == nullptr ? nullptr : type->FindFieldByName(std::string(name.first));
  return field != nullptr && (!name.has_rest || is_field(field->message_type(), name.rest));
}

void trim(Message& message, const Paths& wanted) {
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    bool is_whole = false;
    Paths inner;
    for (const std::string_view path : wanted) {
      const Split name = split(path);
      if (name.first != field->name()) continue;
      is_whole = is_whole || !name.has_rest;
      inner.push_back(name.rest);
    }
    if (is_whole) continue;
    if (inner.empty()) {
      reflection->ClearField(&message, field);
    } else if (!field->is_repeated()) {
      trim(*reflection->MutableMessage(&message, field), inner);
    } else {
      for (int i = 0; i < reflection->FieldSize(message, field); ++i)
        trim(*reflection->MutableRepeatedMessage(&message, field, i), inner);
    }
  }
}

}  // namespace

bool is_field_of_attachment(const std::string& path) {
  return is_field(v1::Attachment::descriptor(), path);
}

Result<ReadMask> ReadMask::parse(const google::protobuf::FieldMask& mask) {
  for (const std::string& path : mask.paths()) {
    if (!is_field_of_attachment(path))
      return fail_field("read_mask", "MALFORMED_MASK", "\"" + path + "\" is no field of Attachment");
  }
  return ReadMask(mask);
}

bool ReadMask::contains(const std::string& field) const {
  const auto is_of = [&](const std::string& path) {
    return path == field || path.starts_with(field + ".") || field.starts_with(path + ".");
  };
  return mask_.paths().empty() || std::ranges::any_of(mask_.paths(), is_of);
}

void ReadMask::apply(v1::Attachment& attachment) const {
  if (!mask_.paths().empty()) trim(attachment, Paths(mask_.paths().begin(), mask_.paths().end()));
}

}  // namespace berth::northbound
