#include "dataplane/soft/flow_templates.h"

#include "dataplane/soft/item_fields.h"

#include <cerrno>

namespace berth::soft {
namespace {

// The copy's own pointers stay valid when the vector moves: they point into its heap block.
RuleResult<std::vector<std::uint64_t>> deep_copy(rte_flow_conv_op operation, const void* source) {
  rte_flow_error error{};
  const int bytes = rte_flow_conv(operation, nullptr, 0, source, &error);
  if (bytes < 0) return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "template cannot be copied");
  std::vector<std::uint64_t> storage(static_cast<std::size_t>(bytes) / 8 + 1);
  if (rte_flow_conv(operation, storage.data(), storage.size() * 8, source, &error) < 0) {
    return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "template cannot be copied");
  }
  return storage;
}

RuleResult<void> check_domain(bool ingress, bool egress, bool transfer) {
  if (transfer && !ingress && !egress) return {};
  return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ATTR, "only transfer templates are supported (HP-01)");
}

std::unexpected<RuleError> no_action(int code, const char* message, const rte_flow_action& action) {
  return refuse(code, RTE_FLOW_ERROR_TYPE_ACTION, message, &action);
}

// The types that templates have at all; order and combination are checked with each rule.
RuleResult<void> check_action_type(const rte_flow_action& action, const DeclaredPools& pools) {
  switch (action.type) {
    case RTE_FLOW_ACTION_TYPE_VOID:
    case RTE_FLOW_ACTION_TYPE_INDIRECT:
    case RTE_FLOW_ACTION_TYPE_DROP:
    case RTE_FLOW_ACTION_TYPE_JUMP:
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
    case RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP:
    case RTE_FLOW_ACTION_TYPE_VXLAN_DECAP:
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
      return {};
    case RTE_FLOW_ACTION_TYPE_COUNT:
      if (pools.counters == 0) return no_action(EINVAL, "counters pool not initialized (HP-40)", action);
      return {};
    case RTE_FLOW_ACTION_TYPE_AGE:
      if (pools.aging == 0) return no_action(EINVAL, "aging pool not initialized (HP-40)", action);
      return {};
    case RTE_FLOW_ACTION_TYPE_METER_MARK:
      if (pools.meters == 0) return no_action(EINVAL, "meter_mark pool not initialized (HP-40)", action);
      return {};
    default:
      return no_action(ENOTSUP, "action not supported in template API (HP-26)", action);
  }
}

RuleResult<void> check_modify_mask(const rte_flow_action& mask) {
  const auto* conf = static_cast<const rte_flow_action_modify_field*>(mask.conf);
  if (conf == nullptr) return no_action(EINVAL, "modify_field mask configuration is missing (HP-27)", mask);
  if (conf->dst.level != UINT32_MAX) {
    return no_action(EINVAL, "destination encapsulation level must be fully masked (HP-27)", mask);
  }
  if (conf->dst.offset != UINT32_MAX) {
    return no_action(EINVAL, "destination offset level must be fully masked (HP-27)", mask);
  }
  if (conf->width != UINT32_MAX)
    return no_action(EINVAL, "modify_field width field must be fully masked (HP-27)", mask);
  return {};
}

// Whether the mask makes the template's own configuration final.
bool fixes(const rte_flow_action& mask) {
  if (mask.conf == nullptr) return false;
  switch (mask.type) {
    case RTE_FLOW_ACTION_TYPE_JUMP:
      return static_cast<const rte_flow_action_jump*>(mask.conf)->group != 0;
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
      return static_cast<const rte_flow_action_ethdev*>(mask.conf)->port_id != 0;
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
      return static_cast<const rte_flow_action_modify_field*>(mask.conf)->src.value[0] != 0;
    case RTE_FLOW_ACTION_TYPE_COUNT:
      return false;
    default:
      return true;
  }
}

}  // namespace

RuleResult<PatternTemplate> PatternTemplate::from(const rte_flow_pattern_template_attr& attr,
                                                  const rte_flow_item pattern[]) {
  if (RuleResult<void> domain = check_domain(attr.ingress, attr.egress, attr.transfer); !domain) {
    return std::unexpected(domain.error());
  }
  std::size_t count = 0;
  for (const rte_flow_item* item = pattern; item->type != RTE_FLOW_ITEM_TYPE_END; ++item, ++count) {
    if (item->type != RTE_FLOW_ITEM_TYPE_VOID && item_shape(item->type) == nullptr) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "Unsupported item type (HP-11)", item);
    }
    if (item->type == RTE_FLOW_ITEM_TYPE_TAG && item->spec == nullptr) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, "Tag spec is NULL (HP-13)", item);
    }
  }
  if (count > kMaxTemplateItems) {
    return refuse(E2BIG, RTE_FLOW_ERROR_TYPE_ITEM_NUM, "too many items in a template (HP-16)", pattern);
  }
  RuleResult<std::vector<std::uint64_t>> copy = deep_copy(RTE_FLOW_CONV_OP_PATTERN, pattern);
  if (!copy) return std::unexpected(copy.error());
  PatternTemplate made;
  made.storage_ = *std::move(copy);
  made.items_ = reinterpret_cast<const rte_flow_item*>(made.storage_.data());
  return made;
}

RuleResult<void> PatternTemplate::merge(const rte_flow_item pattern[],
                                        std::span<rte_flow_item, kMaxTemplateItems + 1> out) const {
  std::size_t at = 0;
  for (;; ++at) {
    if (pattern[at].type != items_[at].type) {
      return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "item differs from the template's", &pattern[at]);
    }
    out[at] = items_[at];
    if (items_[at].type == RTE_FLOW_ITEM_TYPE_END) return {};
    // An item that the template does not mask matches by its presence alone.
    out[at].spec = items_[at].mask != nullptr ? pattern[at].spec : nullptr;
  }
}

RuleResult<ActionsTemplate> ActionsTemplate::from(const rte_flow_actions_template_attr& attr,
                                                  const rte_flow_action actions[],
                                                  const rte_flow_action masks[], const DeclaredPools& pools) {
  if (RuleResult<void> domain = check_domain(attr.ingress, attr.egress, attr.transfer); !domain) {
    return std::unexpected(domain.error());
  }
  ActionsTemplate made;
  for (std::size_t at = 0;; ++at) {
    if (actions[at].type != masks[at].type) {
      return no_action(ENOTSUP, "mask type does not match action type", actions[at]);
    }
    if (actions[at].type == RTE_FLOW_ACTION_TYPE_END) break;
    if (at == kMaxTemplateActions)
      return no_action(ENOTSUP, "too many actions in a template (HP-25)", actions[at]);
    if (RuleResult<void> type = check_action_type(actions[at], pools); !type)
      return std::unexpected(type.error());
    if (actions[at].type == RTE_FLOW_ACTION_TYPE_MODIFY_FIELD) {
      if (RuleResult<void> mask = check_modify_mask(masks[at]); !mask) return std::unexpected(mask.error());
    }
    made.is_fixed_.push_back(fixes(masks[at]));
  }
  RuleResult<std::vector<std::uint64_t>> copy = deep_copy(RTE_FLOW_CONV_OP_ACTIONS, actions);
  if (!copy) return std::unexpected(copy.error());
  made.storage_ = *std::move(copy);
  made.actions_ = reinterpret_cast<const rte_flow_action*>(made.storage_.data());
  return made;
}

RuleResult<void> ActionsTemplate::merge(const rte_flow_action actions[], Merged& out) const {
  for (std::size_t at = 0;; ++at) {
    if (actions[at].type != actions_[at].type)
      return no_action(EINVAL, "action differs from the template's", actions[at]);
    out.actions[at] = actions_[at];
    if (actions_[at].type == RTE_FLOW_ACTION_TYPE_END) return {};
    if (is_fixed_[at]) continue;
    if (actions_[at].type != RTE_FLOW_ACTION_TYPE_MODIFY_FIELD) {
      out.actions[at].conf = actions[at].conf;
      continue;
    }
    const auto* given = static_cast<const rte_flow_action_modify_field*>(actions[at].conf);
    if (given == nullptr) return no_action(EINVAL, "configuration cannot be null (HP-27)", actions[at]);
    out.modifies[at] = *static_cast<const rte_flow_action_modify_field*>(actions_[at].conf);
    out.modifies[at].src = given->src;
    out.actions[at].conf = &out.modifies[at];
  }
}

}  // namespace berth::soft
