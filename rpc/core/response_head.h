// How a call ends, seen by the client: judges response headers, trailers, resets and lost
// connections, and turns them into initial metadata, trailing metadata and one final status.
//
//   waiting -> headers -> done        a response with messages
//   waiting -> done                   "trailers-only", a refusal, a reset
#pragma once

#include "base/error.h"
#include "rpc/metadata.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::rpc::core {

class ResponseHead {
 public:
  // One field of the current header block (initial headers or trailers).
  void add(std::string_view name, std::string_view value);
  // The block is complete. Returns true when these were initial headers of a good response. An
  // informational block (1xx) is forgotten.
  bool end_block(bool is_end_of_stream);
  // The stream ended otherwise; keeps a status that came before.
  void on_reset(std::uint32_t http2_code);
  void fail_with(Error error);

  bool has_headers() const { return has_headers_; }
  bool is_done() const { return status_.has_value(); }
  // OK or the error of the call; only when is_done().
  const Result<void>& status() const { return *status_; }
  const Metadata& initial_metadata() const { return initial_; }
  const Metadata& trailing_metadata() const { return trailing_; }
  bool is_gzip() const { return encoding_ == "gzip"; }

 private:
  void take_trailers();

  struct Block {
    std::string http_status;
    std::string content_type;
    std::optional<std::string> grpc_status;
    std::string grpc_message;
    std::string details;
    Metadata metadata;
  };
  Block block_;
  bool has_headers_ = false;
  std::string encoding_;
  Metadata initial_;
  Metadata trailing_;
  std::optional<Result<void>> status_;
};

}  // namespace berth::rpc::core
