// Memory for rules and hash tables: cache-line aligned, from 2 MiB chunks that the kernel is asked to back
// with huge pages (no hugetlbfs needed). Sizes are multiples of 64 bytes up to kMaxRuleBytes; freed blocks
// are kept for the next rule of that size, the chunks until the pool ends. One thread (the control side).
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace berth::soft {

// Zeroed, 2 MiB aligned when larger than that. Throws std::bad_alloc.
struct PageDeleter {
  std::size_t bytes = 0;
  void operator()(std::byte* pages) const;
};
using Pages = std::unique_ptr<std::byte, PageDeleter>;
Pages allocate_pages(std::size_t bytes);

class SlabPool {
 public:
  void* allocate(std::size_t bytes);
  void free(void* block, std::size_t bytes);
  std::size_t reserved_bytes() const { return chunks_.size() * kChunkBytes; }

 private:
  static constexpr std::size_t kLine = 64;
  static constexpr std::size_t kClasses = 9;
  static constexpr std::size_t kChunkBytes = std::size_t{2} << 20;

  struct FreeBlock {
    FreeBlock* next;
  };

  std::array<FreeBlock*, kClasses + 1> free_{};
  std::vector<Pages> chunks_;
  std::size_t chunk_used_ = kChunkBytes;
};

}  // namespace berth::soft
