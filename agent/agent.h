// The agent's face towards its two languages: northbound and southbound call this and nothing behind
// it. Owns the tables; the workflows and the reconciler work on them.
#pragma once

#include "agent/allocate.h"
#include "agent/audited_host.h"
#include "agent/audited_parts.h"
#include "agent/explain.h"
#include "agent/outbox.h"
#include "agent/port_counters.h"
#include "agent/services.h"
#include "base/task_group.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace berth::agent {

struct AgentSettings {
  // Whom to tell how operations end; null: nobody. Outlives the agent.
  CompletionSink* completions = nullptr;
  OutboxTimes outbox_times = {};
  dataplane::Underlay underlay;  // next hops are filled in later (set_next_hops)
  std::uint32_t underlay_mtu_bytes = 1500;
  std::chrono::milliseconds vpc_wait{1000};
  std::chrono::milliseconds patience{5000};  // Services::patience
  TurnLimits turns = {};
  TableUse eswitch_limits = {};  // 0: it does not say
  std::chrono::milliseconds quarantine_interval{500};
  // Of a host that gives VMs its own devices; both or none. They outlive the agent.
  host::Passthrough* passthrough = nullptr;
  const host::HostDevices* devices = nullptr;
  ProbeLimits probe = {};
  std::chrono::milliseconds audit_interval{0};  // 0: never
};

// What this host can take, and has left.
struct Capacity {
  std::size_t functions_total = 0;
  std::size_t functions_free = 0;
  std::size_t functions_quarantined = 0;
  TableUse eswitch_total;  // 0: not known
  TableUse eswitch_free;
  std::size_t operations_running = 0;  // or waiting
  std::size_t operations_max = 0;
  std::vector<AddressCapacity> addresses;
};

struct VpcPush {
  std::shared_ptr<const dataplane::VpcSet> vpcs;
  std::uint64_t version = 0;  // not 0
  // Of a delta: the version that it is relative to. ABORTED (STALE_BASE) when that is no longer the last one.
  std::optional<std::uint64_t> base_version;
};

class Agent {
 public:
  // `eswitch`, `driver` and `state` outlive the agent.
  Agent(asio::any_io_executor executor, dataplane::Eswitch& eswitch, host::FunctionDriver& driver,
        std::vector<host::Function> functions, StateDb& state, AgentSettings settings);

  // Once, before anything else: takes up what a former process left (load() of the same StateDb, then
  // begin_boot() of reboot.h), makes the eSwitch hold it, has tried to restore what a reboot took when it
  // returns, and finishes attaches and detaches that were half-way. FAILED_PRECONDITION
  // (STATE_IS_ANOTHERS) when the eSwitch holds functions' rules and `saved` knows no attachment.
  Task<Adoption> start(SavedState saved);
  // For an eSwitch that has been away.
  Task<Adoption> resync() { return reconciler_.resync(); }
  // Cancels what runs and waits for it. Rules stay as they are.
  asio::awaitable<void> stop();

  // --- northbound
  // Returns when the intent is accepted. Idempotent by intent.request.
  Task<Operation> attach(AttachIntent intent);
  // The same, by request.
  Task<Operation> detach(DetachIntent intent);
  Task<Operation> update(UpdateIntent intent);
  // What attach() would refuse now; otherwise the attachment as it would be, without an id. Nothing changes.
  Task<Attachment> check(AttachIntent intent);
  Task<Attachment> check(UpdateIntent intent);
  // NOT_FOUND (OPERATION_UNKNOWN), FAILED_PRECONDITION (NOT_CANCELLABLE), UNAVAILABLE (STATE_UNWRITABLE).
  Task<Operation> cancel(OperationId operation);
  Capacity capacity() const;
  const AttachmentStore& attachments() const { return attachments_; }
  OperationStore& operations() { return operations_; }
  // Completions that the VMaaS has not confirmed.
  std::size_t untold() const { return outbox_ ? outbox_->untold() : 0; }
  // One for each interface, in its order.
  Task<std::vector<PortCounters>> read_counters(AttachmentId attachment);

  // --- southbound
  const VpcStore& vpcs() const { return vpcs_; }
  Feed<EndpointEvent>& endpoints() { return endpoints_; }
  const IpAddress& vtep() const { return reconciler_.underlay().vtep; }
  // Replaces all VPC state, as a whole or not at all: when errors are returned, tables and eSwitch are as
  // they were. Goes on to its end when the caller is cancelled.
  Task<std::vector<dataplane::ResourceError>> push_vpcs(VpcPush push);

  // --- underlay
  // Remote tunnel endpoints that rules of this host need a next hop for.
  std::set<IpAddress> wanted_vteps() const;
  const std::map<IpAddress, MacAddress>& next_hops() const { return reconciler_.underlay().next_hops; }
  Signal& vpcs_changed() { return vpcs_.changed(); }
  Task<void> set_next_hops(std::map<IpAddress, MacAddress> next_hops);

  // --- audit
  // Before start(). LIFETIME: longer than the agent.
  void add_audited_part(AuditedPart& part) { auditor_.add(part); }
  asio::awaitable<void> audit() { return auditor_.look(); }
  const AuditReport& audit_report() const { return auditor_.report(); }
  std::chrono::milliseconds audit_interval() const { return audit_interval_; }

  // --- inspection
  Task<std::vector<dataplane::HeldRule>> read_rules() { return eswitch_.read_rules(std::nullopt); }
  Task<std::vector<dataplane::PortState>> read_ports() { return eswitch_.read_ports(); }
  Task<ExplainAnswer> explain(ExplainQuestion question) {
    return agent::explain(eswitch_, attachments_, std::move(question));
  }

 private:
  Task<Operation> retry_of(RequestId request, std::string asked, Result<Operation> refused);
  Task<std::vector<dataplane::ResourceError>> run_push(VpcPush push);
  // Every fault that can be seen without touching anything.
  std::vector<dataplane::ResourceError> check(const VpcPush& push, const std::set<VpcId>& changed) const;
  Task<void> ensure_vpcs(std::set<VpcId> ids);
  Result<void> restore(const SavedState& saved);
  Task<void> restore_after_reboot(const SavedState& saved);
  Result<void> take_back(const Attachment& attachment, Interface& interface);
  Task<void> check_strangers(bool is_empty);
  void resume(const SavedAttachment& saved);
  Task<void> give_up_updates(const SavedState& saved);

  dataplane::Eswitch& eswitch_;
  AttachmentStore attachments_;
  VpcStore vpcs_;
  OperationStore operations_;
  std::optional<Outbox> outbox_;
  Feed<EndpointEvent> endpoints_;
  Reconciler reconciler_;
  AuditedRules audited_rules_{reconciler_};
  AuditedAnswers audited_answers_{reconciler_};
  Auditor auditor_{attachments_};
  host::FunctionPool functions_;
  Turns turns_;
  EswitchBudget eswitch_budget_;
  AddressPool addresses_;
  TaskGroup tasks_;
  AsyncMutex push_mutex_;  // pushes are validated against the state they replace
  bool next_hops_are_programmed_ = true;
  std::chrono::milliseconds quarantine_interval_;
  std::chrono::milliseconds audit_interval_;
  Services services_;
  AuditedHost audited_host_;
};

}  // namespace berth::agent
