#include "rpc/method_table.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

namespace berth::rpc {
namespace {

std::unexpected<Error> bad_handler(std::string message) {
  return fail(Code::kFailedPrecondition, "BAD_HANDLER", std::move(message));
}

StreamKind kind_of(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? StreamKind::kBidi : StreamKind::kClient;
  return method.server_streaming() ? StreamKind::kServer : StreamKind::kUnary;
}

std::string_view kind_name(StreamKind kind) {
  switch (kind) {
    case StreamKind::kUnary:
      return "unary";
    case StreamKind::kServer:
      return "server streaming";
    case StreamKind::kClient:
      return "client streaming";
    case StreamKind::kBidi:
      return "bidirectional streaming";
  }
  return "?";
}

Result<void> check_method(std::string_view name, const MethodShape& shape) {
  std::string dotted(name);
  std::ranges::replace(dotted, '/', '.');
  const auto* method = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(dotted);
  if (method == nullptr) return bad_handler(fmt::format("{}: no linked .proto has this method", name));
  if (method->input_type() != shape.request) {
    return bad_handler(fmt::format("{} takes {}, its handler takes {}", name,
                                   method->input_type()->full_name(), shape.request->full_name()));
  }
  if (method->output_type() != shape.response) {
    return bad_handler(fmt::format("{} returns {}, its handler returns {}", name,
                                   method->output_type()->full_name(), shape.response->full_name()));
  }
  if (kind_of(*method) != shape.kind) {
    return bad_handler(
        fmt::format("{} is {}, its handler is {}", name, kind_name(kind_of(*method)), kind_name(shape.kind)));
  }
  return {};
}

}  // namespace

void MethodTable::add(std::string_view name, MethodShape shape, RawHandler handler) {
  auto checked = check_method(name, shape);
  if (checked && find(name) != nullptr) checked = bad_handler(fmt::format("{} has two handlers", name));
  if (!checked) {
    if (check_) check_ = std::move(checked);
    return;
  }
  methods_.emplace(name, Method{.shape = shape, .handler = std::move(handler)});
}

const Method* MethodTable::find(std::string_view name) const {
  const auto found = methods_.find(name);
  return found == methods_.end() ? nullptr : &found->second;
}

Result<void> MethodTable::require_complete(std::string_view service) const {
  if (!check_) return check_;
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(std::string(service));
  if (descriptor == nullptr)
    return bad_handler(fmt::format("{}: no linked .proto has this service", service));
  for (int i = 0; i < descriptor->method_count(); ++i) {
    const auto name = fmt::format("{}/{}", service, descriptor->method(i)->name());
    if (find(name) == nullptr) return bad_handler(fmt::format("{} has no handler", name));
  }
  return {};
}

std::vector<std::string> MethodTable::services() const {
  std::vector<std::string> names;
  for (const auto& [name, method] : methods_) {
    const std::string service = name.substr(0, name.find('/'));
    if (names.empty() || names.back() != service) names.push_back(service);
  }
  return names;
}

}  // namespace berth::rpc
