// What berthd must still know after a restart: attachments, operations that have ended and which of them the
// VMaaS has not been told, the VPCs of the last push that was accepted, the next hops of the underlay, and in
// which boot of the host all this was. A SQLite database in `state_dir`. A row is on the disk before what it
// announces is done, so that a start can finish whatever was half-way. Schema and cures: docs/rule-holder.md.
#pragma once

#include "agent/address_pool.h"
#include "agent/records.h"
#include "base/task.h"
#include "dataplane/vpc.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace berth::agent {

// A function that goes back to the pool, and which lease its next one is.
struct FreedFunction {
  std::uint16_t index = 0;
  std::uint64_t generation = 0;
};

// What an attachment leaves to the next ones.
struct Freed {
  std::vector<FreedFunction> functions;
  std::vector<FreedAddress> addresses = {};
};

// What an operation leaves: the attachment, or what was its.
using AttachmentEnd = std::variant<SavedAttachment, Freed>;

struct SavedState {
  std::vector<SavedAttachment> attachments;
  std::vector<FinishedOperation> operations;  // the latest, by revision
  std::vector<std::uint64_t>
      older_requests;             // hashes (StateDb::request_hash) of the other operations' requests
  std::vector<Operation> untold;  // what the VMaaS has not confirmed, by revision
  std::uint64_t revision = 0;     // of the last operation that ended
  dataplane::VpcSet vpcs;
  std::uint64_t vpcs_version = 0;  // 0: no push was ever accepted
  std::map<IpAddress, MacAddress> next_hops;
  std::map<std::uint16_t, std::uint64_t> generations;  // of functions that were leased before
  std::vector<FreedAddress> freed_addresses;           // as AddressPool remembers them, the oldest first
  std::string boot;                                    // of the host when this was written; empty: not known
  std::string new_boot = {};  // of the host now, if another: begin_boot() of reboot.h

  bool is_rebooted() const { return !boot.empty() && !new_boot.empty(); }

  bool is_empty() const { return attachments.empty() && vpcs.empty(); }
};

class StateDb {
 public:
  // Operations beyond this many are forgotten, oldest first, unless the VMaaS has not been told.
  static constexpr std::uint64_t kMaxOperations = 100'000;
  // So many of them are loaded.
  static constexpr std::uint64_t kMaxLoaded = 10'000;

  // Keeps nothing.
  StateDb();
  // Opens or makes `folder`/state.db, for this process alone. Blocks. DATA_LOSS (STATE_CORRUPT),
  // FAILED_PRECONDITION (STATE_IN_USE, STATE_VERSION: another schema), UNAVAILABLE (STATE_UNWRITABLE).
  static Result<StateDb> open(const std::filesystem::path& folder);
  ~StateDb();
  StateDb(StateDb&&) noexcept;
  StateDb& operator=(StateDb&&) = delete;

  // Blocks; only while nothing is being written. DATA_LOSS (STATE_CORRUPT).
  Result<SavedState> load();

  // Each returns when it is on the disk; UNAVAILABLE (STATE_UNWRITABLE) when it is not, and then nothing of
  // it is. Idempotent, but for finish().
  Task<void> save(SavedAttachment attachment);
  // The attachment is gone, its functions are of the next generation and its addresses free: all, or nothing.
  Task<void> erase(AttachmentId attachment, Freed freed);
  // The end of an operation, in one piece: its record, and what is left of the attachment. Returns the
  // operation's revision: the last one's and one more. Callers are resumed in that order. `is_told`: nobody
  // wants to be told.
  Task<std::uint64_t> finish(FinishedOperation finished, AttachmentEnd left, bool is_told);
  // The VMaaS has confirmed this one.
  Task<void> told(std::uint64_t revision);
  // Those of `changed` as they are in `vpcs`; the ones that are not there any more go.
  Task<void> save_vpcs(std::shared_ptr<const dataplane::VpcSet> vpcs, std::set<VpcId> changed,
                       std::uint64_t version);
  Task<void> save_next_hops(std::map<IpAddress, MacAddress> next_hops);
  // A boot of the host (host/boot_id.h), and attachments as it found them: both, or neither.
  Task<void> save_boot(std::string boot, std::vector<SavedAttachment> attachments);

  // Operations that load() left on the disk; nothing when there is none.
  Task<std::optional<FinishedOperation>> find(OperationId operation) { return find("id", operation.str()); }
  Task<std::optional<FinishedOperation>> find(RequestId request) { return find("request", request.str()); }
  static std::uint64_t request_hash(const RequestId& request);

 private:
  class Impl;
  explicit StateDb(std::unique_ptr<Impl> impl);
  template <typename Write>
  Task<void> write(Write write);
  Task<std::optional<FinishedOperation>> find(const char* column, std::string value);

  std::unique_ptr<Impl> impl_;
  std::uint64_t revision_ = 0;  // of a database that keeps nothing
};

}  // namespace berth::agent
