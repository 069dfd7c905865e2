#include "dataplane/soft/meter_book.h"

#include <algorithm>
#include <cerrno>

namespace berth::soft {
namespace {

std::unexpected<RuleError> no(int code, const char* message) {
  return refuse(code, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, message);
}

template <typename T>
void delete_object(void* /*context*/, void* object, std::size_t /*size*/) {
  delete static_cast<T*>(object);
}

}  // namespace

RuleResult<void> MeterBook::add_profile(std::uint32_t id, const rte_mtr_meter_profile& profile) {
  const std::lock_guard lock(mutex_);
  if (profiles_.contains(id)) return no(EEXIST, "Meter profile already exists.");
  RuleResult<MeterProfile> made = MeterProfile::from(profile);
  if (!made) return std::unexpected(made.error());
  profiles_.emplace(id, *made);
  return {};
}

RuleResult<void> MeterBook::remove_profile(std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  const bool is_used =
      std::ranges::any_of(meters_, [id](const auto& one) { return one.second.profile == id; });
  if (is_used) return no(EBUSY, "Meter profile is in use.");
  if (profiles_.erase(id) == 0) return no(ENOENT, "Meter profile id is invalid.");
  return {};
}

const MeterProfile* MeterBook::profile(std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = profiles_.find(id);
  return found != profiles_.end() ? &found->second : nullptr;
}

RuleResult<void> MeterBook::create(std::uint32_t id, const rte_mtr_params& params) {
  const std::lock_guard lock(mutex_);
  if (meters_.contains(id)) return no(EEXIST, "Meter object already exists.");
  if (meters_.size() >= limit_) return no(ENOMEM, "Meter pool is exhausted (HP-40).");
  const auto profile = profiles_.find(params.meter_profile_id);
  if (profile == profiles_.end()) return no(ENOENT, "Meter profile id not valid.");
  auto meter = std::make_unique<Meter>(profile->second);
  meter->set_enabled(params.meter_enable != 0);
  meters_.emplace(id, Entry{std::move(meter), params.meter_profile_id});
  return {};
}

RuleResult<MeterBook::Entry*> MeterBook::entry(std::uint32_t id) {
  const auto found = meters_.find(id);
  if (found == meters_.end()) return no(ENOENT, "Meter object id not valid.");
  return &found->second;
}

RuleResult<void> MeterBook::destroy(std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  RuleResult<Entry*> one = entry(id);
  if (!one) return std::unexpected(one.error());
  if (rules_.is_used(*(*one)->meter)) return no(EBUSY, "Meter object is being used.");
  rules_.retire(&delete_object<Meter>, (*one)->meter.release());
  meters_.erase(id);
  return {};
}

RuleResult<void> MeterBook::set_enabled(std::uint32_t id, bool enabled) {
  const std::lock_guard lock(mutex_);
  RuleResult<Entry*> one = entry(id);
  if (!one) return std::unexpected(one.error());
  (*one)->meter->set_enabled(enabled);
  return {};
}

RuleResult<void> MeterBook::set_profile(std::uint32_t id, std::uint32_t profile) {
  const std::lock_guard lock(mutex_);
  RuleResult<Entry*> one = entry(id);
  if (!one) return std::unexpected(one.error());
  const auto found = profiles_.find(profile);
  if (found == profiles_.end()) return no(ENOENT, "Meter profile id not valid.");
  const MeterProfile* old = (*one)->meter->set_profile(found->second);
  rules_.retire(&delete_object<const MeterProfile>, const_cast<MeterProfile*>(old));
  (*one)->profile = profile;
  return {};
}

RuleResult<rte_mtr_stats> MeterBook::read(std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  RuleResult<Entry*> one = entry(id);
  if (!one) return std::unexpected(one.error());
  rte_mtr_stats stats{};
  for (const rte_color color : {RTE_COLOR_GREEN, RTE_COLOR_YELLOW}) {
    stats.n_pkts[color] = (*one)->meter->count(color).packets();
    stats.n_bytes[color] = (*one)->meter->count(color).bytes();
  }
  stats.n_pkts_dropped = (*one)->meter->count(RTE_COLOR_RED).packets();
  stats.n_bytes_dropped = (*one)->meter->count(RTE_COLOR_RED).bytes();
  return stats;
}

Meter* MeterBook::meter(std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  RuleResult<Entry*> one = entry(id);
  return one ? (*one)->meter.get() : nullptr;
}

}  // namespace berth::soft
