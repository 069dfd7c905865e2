// The eSwitch's functions and who has them: made once at start, like the VFs of a NIC. A function is
// free, leased to one attachment, or quarantined (it could not be proven clean, nobody gets it).
// In memory only: who has what, and how many leases there were, is told anew after a start.
#pragma once

#include "host/function_driver.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace berth::host {

class FunctionPool {
 public:
  // `functions` in order of index.
  explicit FunctionPool(std::vector<Function> functions);

  // The free function that has rested longest; an unbacked one only when there is no other.
  // RESOURCE_EXHAUSTED (NO_FREE_FUNCTION) when all are taken, naming how many are leased and quarantined.
  Result<Function> lease();
  // Whether so many can be leased: the same error, with the numbers in its metadata.
  Result<void> check_free(std::size_t needed) const;
  // Takes a certain function, for what a former process of ours had leased. NOT_FOUND (FUNCTION_UNKNOWN)
  // when there is none of this number, ALREADY_EXISTS (FUNCTION_TAKEN) when it is not free.
  Result<Function> lease(std::uint16_t index);

  // A PF of the functions, and how many of its VFs are free.
  struct FreeVfs {
    PciAddress pf;
    std::size_t count = 0;
    std::uint16_t next = 0;  // the one of them that has rested longest
  };
  // By PF; those without a free one are not in it. Costs as much as there are PFs, not functions.
  std::vector<FreeVfs> free_vfs() const;

  // Back to the free ones, of the next generation. Only for a leased function.
  void release(std::uint16_t index);
  // Out of use until lift_quarantine. Only for a leased function.
  void quarantine(std::uint16_t index);
  void lift_quarantine(std::uint16_t index);

  // What a former process of ours counted. Functions that there are not any more are passed over.
  void set_generation(std::uint16_t index, std::uint64_t generation);

  std::vector<std::uint16_t> quarantined() const;
  std::size_t size() const { return slots_.size(); }
  std::size_t free_count() const { return free_.size(); }

 private:
  enum class State : std::uint8_t { kFree, kLeased, kQuarantined };
  struct Slot {
    Function function;
    State state = State::kFree;
    std::uint64_t freed_at = 0;  // counts releases
  };
  // What lease() takes first, comes first.
  using Rank = std::tuple<bool, std::uint64_t, std::uint16_t>;
  static Rank rank(const Slot& slot) {
    return {slot.function.is_unbacked, slot.freed_at, slot.function.index};
  }
  void take(Slot& slot);
  void free_slot(Slot& slot);
  void add_free(const Slot& slot);

  std::vector<Slot> slots_;
  std::set<Rank> free_;                              // all of them
  std::map<PciAddress, std::set<Rank>> free_of_pf_;  // the VFs among them; no empty set
  std::uint64_t releases_ = 0;
};

}  // namespace berth::host
