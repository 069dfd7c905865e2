#include "dataplane/soft/slab_pool.h"

#include "dataplane/soft/rule.h"

#include <cassert>
#include <new>
#include <sys/mman.h>

namespace berth::soft {

void PageDeleter::operator()(std::byte* pages) const {
  munmap(pages, bytes);
}

Pages allocate_pages(std::size_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  // Over-allocate, then give back what is in front of and behind the aligned part.
  const std::size_t slack = bytes >= kHugePage ? kHugePage : 0;
  void* raw = mmap(nullptr, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  auto* start = static_cast<std::byte*>(raw);
  if (slack != 0) {
    const std::size_t misalignment = reinterpret_cast<std::uintptr_t>(start) % kHugePage;
    const std::size_t front = misalignment == 0 ? 0 : kHugePage - misalignment;
    if (front != 0) munmap(start, front);
    start += front;
    const std::size_t page = 4096;
    const std::size_t kept = (bytes + page - 1) / page * page;
    const std::size_t behind = bytes + slack - front;
    if (behind > kept) munmap(start + kept, behind - kept);
    (void)madvise(start, kept, MADV_HUGEPAGE);  // a wish: without it everything still works
  }
  return Pages(start, PageDeleter{bytes});
}

void* SlabPool::allocate(std::size_t bytes) {
  const std::size_t lines = (bytes + kLine - 1) / kLine;
  static_assert(kMaxRuleBytes <= kClasses * kLine);
  assert(lines <= kClasses);
  if (FreeBlock* block = free_[lines]; block != nullptr) {
    free_[lines] = block->next;
    return block;
  }
  if (chunk_used_ + lines * kLine > kChunkBytes) {
    chunks_.push_back(allocate_pages(kChunkBytes));
    chunk_used_ = 0;
  }
  std::byte* block = chunks_.back().get() + chunk_used_;
  chunk_used_ += lines * kLine;
  return block;
}

void SlabPool::free(void* block, std::size_t bytes) {
  const std::size_t lines = (bytes + kLine - 1) / kLine;
  free_[lines] = new (block) FreeBlock{free_[lines]};
}

}  // namespace berth::soft
