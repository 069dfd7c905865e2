#include "agent/agent.h"

#include "agent/admission.h"
#include "agent/attach_workflow.h"
#include "agent/detach_workflow.h"
#include "agent/run_owned.h"
#include "agent/update_workflow.h"

#include <algorithm>
#include <utility>

namespace berth::agent {
namespace {

constexpr std::size_t kKeptEndpointEvents = 4096;

std::vector<Scope> all_scopes(const Reconciler& reconciler, const std::set<VpcId>& vpcs) {
  std::vector<Scope> scopes;
  for (const VpcId& vpc : vpcs) {
    const auto of_vpc = reconciler.scopes_of_vpc(vpc);
    scopes.insert(scopes.end(), of_vpc.begin(), of_vpc.end());
  }
  return scopes;
}

// VPCs that are not the same in both sets.
std::set<VpcId> changed_vpcs(const dataplane::VpcSet& before, const dataplane::VpcSet& after) {
  std::set<VpcId> changed;
  for (const auto& [id, vpc] : after) {
    const auto old = before.find(id);
    if (old == before.end() || (old->second != vpc && *old->second != *vpc)) changed.insert(id);
  }
  for (const auto& [id, vpc] : before) {
    if (!after.contains(id)) changed.insert(id);
  }
  return changed;
}

// And those whose rules depend on them.
std::set<VpcId> with_peers(std::set<VpcId> ids, const VpcStore& vpcs) {
  std::set<VpcId> all = ids;
  for (const dataplane::VpcSet* set : {&vpcs.all(), &vpcs.staged()}) {
    for (const auto& [id, vpc] : *set) {
      const auto names_one = [&](const dataplane::Peering& peering) { return ids.contains(peering.vpc); };
      if (std::ranges::any_of(vpc->peerings, names_one)) all.insert(id);
    }
  }
  return all;
}

}  // namespace

Agent::Agent(asio::any_io_executor executor, dataplane::Eswitch& eswitch, host::FunctionDriver& driver,
             std::vector<host::Function> functions, StateDb& state, AgentSettings settings)
    : eswitch_(eswitch),
      vpcs_(executor),
      operations_(executor, state),
      endpoints_(executor, kKeptEndpointEvents),
      reconciler_(executor, eswitch, attachments_, vpcs_, std::move(settings.underlay)),
      functions_(std::move(functions)),
      turns_(executor, settings.turns),
      eswitch_budget_(settings.eswitch_limits),
      tasks_(executor),
      push_mutex_(executor),
      quarantine_interval_(settings.quarantine_interval),
      audit_interval_(settings.audit_interval),
      services_{.eswitch = eswitch,
                .attachments = attachments_,
                .vpcs = vpcs_,
                .operations = operations_,
                .endpoints = endpoints_,
                .reconciler = reconciler_,
                .functions = functions_,
                .driver = driver,
                .state = state,
                .turns = turns_,
                .eswitch_budget = eswitch_budget_,
                .addresses = addresses_,
                .passthrough = settings.passthrough,
                .devices = settings.devices,
                .underlay_mtu_bytes = settings.underlay_mtu_bytes,
                .vpc_wait = settings.vpc_wait,
                .probe = settings.probe,
                .patience = settings.patience},
      audited_host_(attachments_, driver, settings.passthrough, turns_) {
  auditor_.add(audited_rules_);
  auditor_.add(audited_answers_);
  auditor_.add(audited_host_);
  if (settings.completions == nullptr) return;
  outbox_.emplace(executor, state, operations_.completions(), *settings.completions, settings.outbox_times);
  operations_.set_has_outbox(true);
  services_.outbox = &*outbox_;
}

asio::awaitable<void> Agent::stop() {
  tasks_.cancel();
  co_await tasks_.join();
  if (outbox_) co_await outbox_->stop();
}

Task<Operation> Agent::attach(AttachIntent intent) {
  const std::string asked = fingerprint(intent);
  const auto earlier = co_await operations_.find_request(intent.request, asked);
  if (!earlier) co_return pass(earlier);
  if (*earlier) co_return **earlier;
  auto workflow = std::make_unique<AttachWorkflow>(services_, intent);
  auto accepted = co_await workflow->accept();
  if (accepted) {
    tasks_.spawn(fmt::format("attach {}", intent.vm), run_owned(std::move(workflow)));
    co_return accepted;
  }
  co_return co_await retry_of(intent.request, asked, accepted);
}

Task<Operation> Agent::detach(DetachIntent intent) {
  const auto earlier = co_await operations_.find_request(intent.request, fingerprint(intent.attachment));
  if (!earlier) co_return pass(earlier);
  if (*earlier) co_return **earlier;
  const std::string name = fmt::format("detach {}", intent.attachment);
  auto workflow = std::make_unique<DetachWorkflow>(services_, intent.attachment, OperationId());
  auto accepted = co_await workflow->accept(std::move(intent));
  if (accepted) tasks_.spawn(name, run_owned(std::move(workflow)));
  co_return accepted;
}

Task<Operation> Agent::update(UpdateIntent intent) {
  const std::string asked = fingerprint(intent);
  const auto earlier = co_await operations_.find_request(intent.request, asked);
  if (!earlier) co_return pass(earlier);
  if (*earlier) co_return **earlier;
  auto workflow = std::make_unique<UpdateWorkflow>(services_, intent);
  auto accepted = co_await workflow->accept();
  if (accepted) {
    tasks_.spawn(fmt::format("update {}", intent.attachment), run_owned(std::move(workflow)));
    co_return accepted;
  }
  co_return co_await retry_of(intent.request, asked, accepted);
}

// What an intent that was refused is to be answered: while it waited for its VPC, a retry of the same request
// may have been accepted.
Task<Operation> Agent::retry_of(RequestId request, std::string asked, Result<Operation> refused) {
  const auto meanwhile = co_await operations_.find_request(std::move(request), std::move(asked));
  if (!meanwhile) co_return pass(meanwhile);
  if (*meanwhile) co_return **meanwhile;
  co_return refused;
}

Task<Attachment> Agent::check(AttachIntent intent) {
  AttachWorkflow workflow(services_, std::move(intent));
  co_return co_await workflow.check();
}

Task<Attachment> Agent::check(UpdateIntent intent) {
  UpdateWorkflow workflow(services_, std::move(intent));
  co_return co_await workflow.check();
}

Task<Operation> Agent::cancel(OperationId id) {
  const auto known = co_await operations_.find(id);
  if (!known || known->done) co_return known;
  if (known->kind == OperationKind::kDetach)
    co_return fail(Code::kFailedPrecondition, "NOT_CANCELLABLE", fmt::format("{} detaches: wait for it", id));
  auto withdraw = known->kind == OperationKind::kUpdate ? withdraw_update : withdraw_attach;
  const auto withdrawn = co_await withdraw(services_, id);
  if (!withdrawn) co_return pass(withdrawn, fmt::format("cancel {}", id));
  co_return co_await operations_.find(id);
}

Capacity Agent::capacity() const {
  return {.functions_total = functions_.size(),
          .functions_free = functions_.free_count(),
          .functions_quarantined = functions_.quarantined().size(),
          .eswitch_total = eswitch_budget_.total(),
          .eswitch_free = eswitch_budget_.free_beside(reconciler_.held_use()),
          .operations_running = turns_.count(),
          .operations_max = turns_.limits().total,
          .addresses = address_capacity(vpcs_, attachments_)};
}

Task<std::vector<PortCounters>> Agent::read_counters(AttachmentId attachment) {
  const auto known = attachments_.get(attachment);
  if (!known) co_return pass(known);
  std::vector<PortCounters> counters;
  for (const Interface& one : known->interfaces) {
    const auto rules = co_await eswitch_.read_rules(port_of(one));
    if (!rules) co_return pass(rules);
    counters.push_back(sum_up(*rules));
  }
  co_return counters;
}

Task<std::vector<dataplane::ResourceError>> Agent::push_vpcs(VpcPush push) {
  // A controller that goes away must not leave half a push behind: the work is the agent's, the caller
  // only waits for it.
  struct Pending {
    explicit Pending(asio::any_io_executor executor) : ended(std::move(executor)) {}
    Signal ended;
    std::optional<Result<std::vector<dataplane::ResourceError>>> outcome;
  };
  auto pending = std::make_shared<Pending>(co_await asio::this_coro::executor);
  const auto work = [](Agent& self, VpcPush wanted,
                       std::shared_ptr<Pending> result) -> asio::awaitable<void> {
    result->outcome = co_await self.run_push(std::move(wanted));
    result->ended.notify_all();
  };
  tasks_.spawn("push", work(*this, std::move(push), pending));
  while (!pending->outcome) {
    const auto woken = co_await pending->ended.wait();
    if (!woken) co_return pass(woken);
  }
  co_return *std::move(pending->outcome);
}

Task<std::vector<dataplane::ResourceError>> Agent::run_push(VpcPush push) {
  const auto lock = co_await push_mutex_.lock();
  if (!lock) co_return pass(lock);
  push.vpcs = vpcs_.number(*push.vpcs);
  const std::set<VpcId> changed = changed_vpcs(vpcs_.all(), *push.vpcs);
  auto errors = check(push, changed);
  if (!errors.empty()) co_return errors;

  vpcs_.stage(push.vpcs);
  const auto ensured = co_await ensure_vpcs(changed);
  if (!ensured) errors.push_back({"", ensured.error()});
  if (errors.empty()) {
    const auto saved = co_await services_.state.save_vpcs(push.vpcs, changed, push.version);
    if (!saved) errors.push_back({"", saved.error()});
  }
  // VMs that were attached meanwhile fit what was accepted before; they must fit this, too.
  if (errors.empty()) errors = check_push(*push.vpcs, attachments_.list(), vtep());
  if (errors.empty()) {
    vpcs_.accept(push.version);
    co_return errors;
  }
  vpcs_.unstage();
  const auto saved_back = co_await services_.state.save_vpcs(vpcs_.snapshot(), changed, vpcs_.version());
  if (!saved_back) errors.push_back({"", saved_back.error().in("and back again")});
  const auto restored = co_await ensure_vpcs(changed);
  if (!restored) errors.push_back({"", restored.error().in("and back again")});
  co_return errors;
}

std::vector<dataplane::ResourceError> Agent::check(const VpcPush& push,
                                                   const std::set<VpcId>& changed) const {
  if (push.base_version && *push.base_version != vpcs_.version()) {
    return {
        {"", Error{Code::kAborted, fmt::format("version {} is no longer the last one", *push.base_version),
                   "STALE_BASE"}}};
  }
  auto errors = dataplane::check_vpc_set(*push.vpcs);
  for (const VpcId& id : changed) {
    const auto vpc = push.vpcs->find(id);
    if (vpc == push.vpcs->end()) continue;
    for (auto& error : dataplane::check_vpc(*vpc->second)) errors.push_back(std::move(error));
    for (auto& error : check_vteps(*vpc->second, vtep())) errors.push_back(std::move(error));
    for (auto& error : check_host_blocks(*vpc->second, vtep())) errors.push_back(std::move(error));
  }
  if (errors.empty()) errors = check_push(*push.vpcs, attachments_.list(), vtep());
  return errors;
}

std::set<IpAddress> Agent::wanted_vteps() const {
  std::set<IpAddress> vteps;
  for (const auto& [id, vpc] : vpcs_.all()) {
    for (const dataplane::Mapping& mapping : vpc->mappings) vteps.insert(mapping.vtep);
    for (const dataplane::Route& route : vpc->routes) vteps.insert(route.vtep);
  }
  vteps.erase(vtep());
  return vteps;
}

Task<void> Agent::set_next_hops(std::map<IpAddress, MacAddress> next_hops) {
  if (next_hops_are_programmed_ && next_hops == reconciler_.underlay().next_hops) co_return Result<void>();
  next_hops_are_programmed_ = false;
  const auto saved = co_await services_.state.save_next_hops(next_hops);
  if (!saved) co_return pass(saved);
  reconciler_.set_next_hops(std::move(next_hops));
  std::set<VpcId> all;
  for (const auto& [id, vpc] : vpcs_.all()) all.insert(id);
  const auto ensured = co_await ensure_vpcs(std::move(all));
  next_hops_are_programmed_ = ensured.has_value();
  co_return ensured;
}

Task<void> Agent::ensure_vpcs(std::set<VpcId> ids) {
  const auto scopes = all_scopes(reconciler_, with_peers(std::move(ids), vpcs_));
  co_return co_await reconciler_.ensure(scopes);
}

}  // namespace berth::agent
