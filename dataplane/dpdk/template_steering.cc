#include "dataplane/dpdk/template_steering.h"

#include "dataplane/dpdk/meters.h"

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_mtr.h>

namespace berth::dataplane::dpdk {
namespace {

constexpr std::uint32_t kQueue = 0;
constexpr std::uint32_t kQueueSize = 64;
constexpr std::uint32_t kFirstTableRules = 64;
constexpr std::uint32_t kLargestTableRules = 1U << 18;
// A rule's own priorities begin behind the one of the red drop.
constexpr std::uint32_t kRedPriority = 0;
std::uint32_t device_priority(const Rule& rule, std::uint32_t slot) {
  return 1 + 2 * rule.key.priority + slot;
}

std::unexpected<Error> steering_failed(std::string_view what, const rte_flow_error& why) {
  return fail(Code::kHardwareRejected, "STEERING_UNAVAILABLE",
              fmt::format("{}: {}", what, why.message != nullptr ? why.message : rte_strerror(rte_errno)));
}

// The masks of an actions template: MODIFY_FIELD's place is fixed, its value comes with each rule; so
// does everything of the other actions.
struct ActionMasks {
  explicit ActionMasks(const rte_flow_action* actions) {
    modify.operation = RTE_FLOW_MODIFY_SET;
    modify.dst.level = modify.dst.offset = UINT32_MAX;
    modify.width = UINT32_MAX;
    for (;; ++actions) {
      const bool is_modify = actions->type == RTE_FLOW_ACTION_TYPE_MODIFY_FIELD;
      masks.push_back({.type = actions->type, .conf = is_modify ? &modify : nullptr});
      if (actions->type == RTE_FLOW_ACTION_TYPE_END) return;
    }
  }
  rte_flow_action_modify_field modify{};
  std::vector<rte_flow_action> masks;
};

}  // namespace

struct TemplateSteering::Table {
  rte_flow_template_table* table = nullptr;
  std::uint32_t capacity = 0;
  std::uint32_t used = 0;
};

struct TemplateSteering::Shape {
  rte_flow_pattern_template* pattern = nullptr;
  rte_flow_actions_template* actions = nullptr;
  std::deque<Table> tables;  // addresses stay
};

struct TemplateSteering::Flow {
  rte_flow* flow = nullptr;
  Table* table = nullptr;
};

struct TemplateSteering::MeterMark {
  std::uint32_t profile = 0;
  rte_flow_action_handle* handle = nullptr;
  std::size_t rules = 0;
};

Result<void> TemplateSteering::configure(std::uint16_t proxy, const TemplatePools& pools) {
  rte_flow_port_attr attr{};
  attr.nb_counters = pools.counters;
  attr.nb_meters = pools.meters;
  const rte_flow_queue_attr queue{.size = kQueueSize};
  const rte_flow_queue_attr* queues[] = {&queue};
  rte_flow_error why{};
  if (rte_flow_configure(proxy, &attr, 1, queues, &why) != 0)
    return steering_failed("hardware steering", why);
  return {};
}

TemplateSteering::TemplateSteering(std::uint16_t proxy, PortNumbering number_of)
    : proxy_(proxy), number_of_(std::move(number_of)) {}

// What the device refuses here goes with its port.
TemplateSteering::~TemplateSteering() {
  rte_flow_error ignored{};
  for (const auto& [group, flow] : red_drops_) (void)erase(flow);
  for (const auto& [key, shape] : shapes_) {
    for (const Table& table : shape->tables)
      (void)rte_flow_template_table_destroy(proxy_, table.table, &ignored);
    (void)rte_flow_actions_template_destroy(proxy_, shape->actions, &ignored);
    (void)rte_flow_pattern_template_destroy(proxy_, shape->pattern, &ignored);
  }
}

Result<InstalledRule> TemplateSteering::create(const Rule& rule, std::uint32_t slot) {
  MeterMark* mark = nullptr;
  if (const auto& meter = rule.actions.meter) {
    const auto* next = std::get_if<JumpTo>(&rule.actions.fate);
    if (next == nullptr)
      return fail(Code::kHardwareRejected, "RULE_REFUSED",
                  "a metered rule has to jump: the next group drops (HP-30)");
    if (auto ready = need_red_drop(next->group); !ready) return pass(ready);
    const auto acquired = acquire_mark(*meter);
    if (!acquired) return pass(acquired);
    mark = *acquired;
  }
  LoweredRule lowered(rule, SteeringMode::kHardware, number_of_);
  lowered.set_priority(device_priority(rule, slot));
  if (mark != nullptr) lowered.set_meter(mark->handle);
  const auto flow = insert(lowered);
  if (!flow) {
    if (mark != nullptr) release_mark(*rule.actions.meter);
    return pass(flow);
  }
  return InstalledRule{.handle = new Flow(*flow)};
}

Result<void> TemplateSteering::destroy(const InstalledRule& installed, const Rule& rule) {
  std::unique_ptr<Flow> flow(static_cast<Flow*>(installed.handle));
  if (auto gone = erase(*flow); !gone) {
    (void)flow.release();  // LIFETIME: still the holder's
    return gone;
  }
  if (rule.actions.meter) release_mark(*rule.actions.meter);
  return {};
}

Result<RuleCount> TemplateSteering::query(const InstalledRule& installed) {
  const auto* held = static_cast<const Flow*>(installed.handle);
  rte_flow_query_count count{};
  const rte_flow_action what[] = {{.type = RTE_FLOW_ACTION_TYPE_COUNT, .conf = nullptr},
                                  {.type = RTE_FLOW_ACTION_TYPE_END, .conf = nullptr}};
  rte_flow_error why{};
  if (const int code = rte_flow_query(proxy_, held->flow, what, &count, &why); code != 0)
    return rule_refused(-code, why);
  return RuleCount{.packets = count.hits, .bytes = count.bytes};
}

Result<TemplateSteering::Flow> TemplateSteering::insert(const LoweredRule& lowered) {
  const auto shape = shape_for(lowered);
  if (!shape) return pass(shape);
  const auto table = room_in(**shape, lowered.attr());
  if (!table) return pass(table);
  const rte_flow_op_attr now{.postpone = 0};
  rte_flow_error why{};
  rte_flow* flow = rte_flow_async_create(proxy_, kQueue, &now, (*table)->table, lowered.items(), 0,
                                         lowered.actions(), 0, nullptr, &why);
  if (flow == nullptr) return rule_refused(rte_errno, why);
  if (auto done = await_completion(); !done) return pass(done);
  ++(*table)->used;
  return Flow{.flow = flow, .table = *table};
}

Result<void> TemplateSteering::erase(const Flow& flow) {
  const rte_flow_op_attr now{.postpone = 0};
  rte_flow_error why{};
  if (const int code = rte_flow_async_destroy(proxy_, kQueue, &now, flow.flow, nullptr, &why); code != 0)
    return rule_refused(-code, why);
  if (auto done = await_completion(); !done) return done;
  --flow.table->used;
  return {};
}

// Of the one operation in flight.
Result<void> TemplateSteering::await_completion() {
  constexpr int kPatience = 100000;
  rte_flow_error why{};
  if (const int code = rte_flow_push(proxy_, kQueue, &why); code != 0) return rule_refused(-code, why);
  rte_flow_op_result result{};
  for (int i = 0; i < kPatience; ++i) {
    const int pulled = rte_flow_pull(proxy_, kQueue, &result, 1, &why);
    if (pulled < 0) return rule_refused(-pulled, why);
    if (pulled == 1 && result.status == RTE_FLOW_OP_SUCCESS) return {};
    if (pulled == 1) return fail(Code::kHardwareRejected, "RULE_REFUSED", "the NIC refused the operation");
    std::this_thread::yield();
  }
  return fail(Code::kHardwareRejected, "STEERING_STALLED", "the NIC's rule queue does not answer");
}

Result<TemplateSteering::Shape*> TemplateSteering::shape_for(const LoweredRule& lowered) {
  const std::string key =
      fmt::format("{} {} {}", lowered.attr().group, lowered.attr().priority, lowered.shape());
  if (const auto known = shapes_.find(key); known != shapes_.end()) return known->second.get();
  auto shape = std::make_unique<Shape>();
  rte_flow_error why{};
  rte_flow_pattern_template_attr pattern_attr{};
  pattern_attr.transfer = 1;
  shape->pattern = rte_flow_pattern_template_create(proxy_, &pattern_attr, lowered.items(), &why);
  if (shape->pattern == nullptr) return rule_refused(rte_errno, why);
  rte_flow_actions_template_attr actions_attr{};
  actions_attr.transfer = 1;
  const ActionMasks masks(lowered.actions());
  shape->actions =
      rte_flow_actions_template_create(proxy_, &actions_attr, lowered.actions(), masks.masks.data(), &why);
  if (shape->actions == nullptr) {
    const int code = rte_errno;
    rte_flow_error ignored{};
    (void)rte_flow_pattern_template_destroy(proxy_, shape->pattern, &ignored);
    return rule_refused(code, why);
  }
  return shapes_.emplace(key, std::move(shape)).first->second.get();
}

Result<TemplateSteering::Table*> TemplateSteering::room_in(Shape& shape, const rte_flow_attr& attr) {
  const auto has_room = [](const Table& table) { return table.used < table.capacity; };
  const auto found = std::ranges::find_if(shape.tables, has_room);
  if (found != shape.tables.end()) return &*found;
  const std::uint32_t capacity = shape.tables.empty()
                                     ? kFirstTableRules
                                     : std::min(4 * shape.tables.back().capacity, kLargestTableRules);
  const rte_flow_template_table_attr table_attr{.flow_attr = attr, .nb_flows = capacity};
  rte_flow_error why{};
  rte_flow_template_table* table =
      rte_flow_template_table_create(proxy_, &table_attr, &shape.pattern, 1, &shape.actions, 1, &why);
  if (table == nullptr) return rule_refused(rte_errno, why);
  return &shape.tables.emplace_back(Table{.table = table, .capacity = capacity});
}

Result<TemplateSteering::MeterMark*> TemplateSteering::acquire_mark(const Meter& meter) {
  if (const auto known = marks_.find(meter); known != marks_.end()) {
    ++known->second->rules;
    return known->second.get();
  }
  auto mark = std::make_unique<MeterMark>();
  mark->profile = free_profiles_.empty() ? next_profile_ : *free_profiles_.begin();
  if (auto added = add_meter_profile(proxy_, mark->profile, meter); !added) return pass(added);
  rte_mtr_error mtr_error{};
  rte_flow_action_meter_mark conf{};
  conf.profile = rte_mtr_meter_profile_get(proxy_, mark->profile, &mtr_error);
  conf.color_mode = 1;  // colour-blind: every packet starts green
  conf.init_color = RTE_COLOR_GREEN;
  conf.state = 1;
  const rte_flow_action action{.type = RTE_FLOW_ACTION_TYPE_METER_MARK, .conf = &conf};
  rte_flow_indir_action_conf attr{};
  attr.transfer = 1;
  rte_flow_error why{};
  mark->handle = rte_flow_action_handle_create(proxy_, &attr, &action, &why);
  if (mark->handle == nullptr) {
    const int code = rte_errno;
    (void)rte_mtr_meter_profile_delete(proxy_, mark->profile, &mtr_error);
    return rule_refused(code, why);
  }
  if (free_profiles_.erase(mark->profile) == 0) ++next_profile_;
  mark->rules = 1;
  return marks_.emplace(meter, std::move(mark)).first->second.get();
}

void TemplateSteering::release_mark(const Meter& meter) {
  const auto found = marks_.find(meter);
  if (--found->second->rules > 0) return;
  rte_flow_error ignored{};
  rte_mtr_error ignored_too{};
  (void)rte_flow_action_handle_destroy(proxy_, found->second->handle, &ignored);
  (void)rte_mtr_meter_profile_delete(proxy_, found->second->profile, &ignored_too);
  free_profiles_.insert(found->second->profile);
  marks_.erase(found);
}

Result<void> TemplateSteering::need_red_drop(std::uint16_t group) {
  if (red_drops_.contains(group)) return {};
  LoweredRule lowered = LoweredRule::red_drop(group);
  lowered.set_priority(kRedPriority);
  const auto flow = insert(lowered);
  if (!flow) return pass(flow);
  red_drops_.emplace(group, *flow);
  return {};
}

}  // namespace berth::dataplane::dpdk
