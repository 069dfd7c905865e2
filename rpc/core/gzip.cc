#include "rpc/core/gzip.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <zlib.h>

namespace berth::rpc::core {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // zlib: +16 selects the gzip wrapper

// zlib's pointers are not const, but it only reads through next_in.
Bytef* input_of(std::string_view bytes) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
}

struct Inflater {
  z_stream stream{};
  ~Inflater() { inflateEnd(&stream); }
};

}  // namespace

Result<std::string> gunzip(std::string_view compressed, std::size_t limit) {
  Inflater inflater;
  z_stream& z = inflater.stream;
  if (inflateInit2(&z, kGzipWindowBits) != Z_OK) {
    return fail(Code::kResourceExhausted, "", "no memory to inflate a message");
  }
  z.next_in = input_of(compressed);
  z.avail_in = static_cast<uInt>(compressed.size());
  std::string plain;
  int status = Z_OK;
  while (status == Z_OK) {
    const std::size_t start = plain.size();
    const std::size_t room = std::min(std::max<std::size_t>(4096, start), limit + 1 - start);
    plain.resize(start + room);
    z.next_out = reinterpret_cast<Bytef*>(plain.data() + start);
    z.avail_out = static_cast<uInt>(room);
    status = inflate(&z, Z_NO_FLUSH);
    plain.resize(start + room - z.avail_out);
    if (plain.size() > limit) {
      return fail(Code::kResourceExhausted, "MESSAGE_TOO_LARGE",
                  "a compressed message inflates beyond the limit");
    }
  }
  if (status != Z_STREAM_END || z.avail_in != 0) {
    return fail(Code::kInternal, "BAD_COMPRESSION", "a compressed message is not valid gzip");
  }
  return plain;
}

std::string gzip(std::string_view plain) {
  z_stream z{};
  [[maybe_unused]] const int made =
      deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindowBits, 8, Z_DEFAULT_STRATEGY);
  assert(made == Z_OK);
  std::string compressed;
  compressed.resize(deflateBound(&z, plain.size()));
  z.next_in = input_of(plain);
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = reinterpret_cast<Bytef*>(compressed.data());
  z.avail_out = static_cast<uInt>(compressed.size());
  [[maybe_unused]] const int status = deflate(&z, Z_FINISH);
  assert(status == Z_STREAM_END);
  compressed.resize(z.total_out);
  deflateEnd(&z);
  return compressed;
}

}  // namespace berth::rpc::core
