// The methods of a server, each checked against the protobuf descriptors linked into the program.
#pragma once

#include "base/error.h"
#include "rpc/method.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::rpc {

struct Method {
  MethodShape shape;
  RawHandler handler;
};

class MethodTable {
 public:
  // A handler that does not match its descriptor is remembered as the table's error.
  void add(std::string_view name, MethodShape shape, RawHandler handler);
  const Method* find(std::string_view name) const;
  Result<void> require_complete(std::string_view service) const;
  // FAILED_PRECONDITION (BAD_HANDLER) about the first bad add().
  const Result<void>& check() const { return check_; }
  std::vector<std::string> services() const;

 private:
  std::map<std::string, Method, std::less<>> methods_;
  Result<void> check_;
};

}  // namespace berth::rpc
