#include "rpc/context.h"

#include "rpc/call_state.h"

#include <utility>

namespace berth::rpc {

const Peer& Context::peer() const {
  return *state_->peer;
}
const std::string& Context::method() const {
  return state_->method;
}
std::optional<std::chrono::steady_clock::time_point> Context::deadline() const {
  return state_->deadline;
}
const Metadata& Context::metadata() const {
  return state_->metadata;
}
void Context::add_initial_metadata(std::string key, std::string value) {
  state_->initial_metadata.emplace(std::move(key), std::move(value));
}
void Context::add_trailing_metadata(std::string key, std::string value) {
  state_->trailing_metadata.emplace(std::move(key), std::move(value));
}

std::string_view Peer::spiffe_id() const {
  if (uri_sans.size() != 1 || !uri_sans.front().starts_with("spiffe://")) return {};
  return uri_sans.front();
}

}  // namespace berth::rpc
