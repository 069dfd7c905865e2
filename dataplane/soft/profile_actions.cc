// Profile points HP-01, HP-03 and HP-20 .. HP-32: actions, and what they need of the pattern.
#include "dataplane/soft/action_list.h"
#include "dataplane/soft/profile.h"

#include <cerrno>

namespace berth::soft {
namespace {

// HP-21. An action may not come before one of a lower stage.
enum class Stage : std::uint8_t { kDecap, kCount, kMeter, kModify, kEncap, kFate };

class ActionsCheck {
 public:
  ActionsCheck(const rte_flow_attr& attr, const PatternFacts& pattern, const PortMap& ports,
               const ProfileLimits& limits, const RuleContext& context)
      : attr_(attr), pattern_(pattern), ports_(ports), limits_(limits), context_(context) {}

  RuleResult<void> run(const rte_flow_action actions[]) {
    for (const rte_flow_action* action = actions; action->type != RTE_FLOW_ACTION_TYPE_END; ++action) {
      if (action->type == RTE_FLOW_ACTION_TYPE_VOID) continue;
      if (RuleResult<void> checked = check(*action); !checked) return checked;
    }
    return check_whole(actions);
  }

 private:
  static std::unexpected<RuleError> no(int code, const char* message, const rte_flow_action* action) {
    return refuse(code, RTE_FLOW_ERROR_TYPE_ACTION, message, action);
  }

  RuleResult<void> check(const rte_flow_action& action) {
    switch (action.type) {
      case RTE_FLOW_ACTION_TYPE_VXLAN_DECAP:
        return check_decap(action);
      case RTE_FLOW_ACTION_TYPE_COUNT:
        return check_count(action);
      case RTE_FLOW_ACTION_TYPE_AGE:
        return check_age(action);
      case RTE_FLOW_ACTION_TYPE_METER:
        return check_meter(action);
      case RTE_FLOW_ACTION_TYPE_INDIRECT:
        return check_indirect(action);
      case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
        return check_modify(action);
      case RTE_FLOW_ACTION_TYPE_VXLAN_ENCAP:
        return check_encap(action);
      case RTE_FLOW_ACTION_TYPE_JUMP:
      case RTE_FLOW_ACTION_TYPE_DROP:
      case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
        return check_fate(action);
      default:
        break;
    }
    if (context_.dialect == Dialect::kSoftware) {
      if (action.type == RTE_FLOW_ACTION_TYPE_PORT_ID) return check_fate(action);
      if (is_legacy_set(action.type)) return check_legacy_set(action);
    }
    return no(ENOTSUP, "action not supported (HP-26)", &action);
  }

  // One slot a stage, and stages in their order.
  RuleResult<void> enter(Stage stage, const rte_flow_action& action) {
    if (stage < stage_) return no(EINVAL, "wrong action order (HP-21)", &action);
    stage_ = stage;
    ++slots_;
    return {};
  }

  RuleResult<void> check_count(const rte_flow_action& action) {
    if (has_count_) return no(EINVAL, "duplicate count actions set (HP-28)", &action);
    has_count_ = true;
    return enter(Stage::kCount, action);
  }

  RuleResult<void> check_age(const rte_flow_action& action) {
    const auto* conf = static_cast<const rte_flow_action_age*>(action.conf);
    if (conf == nullptr) return no(EINVAL, "configuration cannot be null (HP-28)", &action);
    if (conf->timeout == 0) return no(EINVAL, "invalid timeout value 0 (HP-28)", &action);
    if (has_age_) return no(EINVAL, "duplicate age actions set (HP-28)", &action);
    has_age_ = true;
    return enter(Stage::kCount, action);
  }

  RuleResult<void> check_meter(const rte_flow_action& action) {
    if (context_.dialect == Dialect::kTemplate)
      return no(ENOTSUP, "action not supported in template API (HP-30)", &action);
    if (action.conf == nullptr) return no(EINVAL, "configuration cannot be null (HP-30)", &action);
    return enter_meter(action);
  }

  RuleResult<void> enter_meter(const rte_flow_action& action) {
    if (has_meter_) return no(ENOTSUP, "meter chaining not support (HP-28)", &action);
    has_meter_ = true;
    ++modify_commands_;
    return enter(Stage::kMeter, action);
  }

  RuleResult<void> check_indirect(const rte_flow_action& action) {
    const auto* shared = static_cast<const IndirectAction*>(action.conf);
    if (shared == nullptr) return no(EINVAL, "configuration cannot be null (HP-28)", &action);
    if (shared->type == RTE_FLOW_ACTION_TYPE_COUNT) return check_count(action);
    if (context_.dialect != Dialect::kTemplate) return no(ENOTSUP, "action not supported (HP-30)", &action);
    return enter_meter(action);
  }

  RuleResult<void> check_decap(const rte_flow_action& action) {
    if (has_encap_) return no(ENOTSUP, "encap and decap combination aren't supported (HP-22)", &action);
    if (has_decap_) return no(ENOTSUP, "can only have a single decap action in a flow (HP-21)", &action);
    if (stage_ == Stage::kModify)
      return no(EINVAL, "can't have decap action after modify action (HP-21)", &action);
    if ((pattern_.outer & kHasVxlan) == 0) {
      return refuse(ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED,
                    "VXLAN item should be present for VXLAN decap (HP-23)", &action);
    }
    if (pattern_.source != kUplink)
      return no(ENOTSUP, "decap only for packets of the uplink (HP-23)", &action);
    has_decap_ = true;
    return enter(Stage::kDecap, action);
  }

  RuleResult<void> check_encap(const rte_flow_action& action) {
    if (has_encap_) return no(EINVAL, "can only have a single encap action in a flow (HP-21)", &action);
    if (has_decap_) return no(ENOTSUP, "encap and decap combination aren't supported (HP-22)", &action);
    if (pattern_.source == kUplink)
      return no(ENOTSUP, "encap only for packets of a function (HP-23)", &action);
    const auto* conf = static_cast<const rte_flow_action_vxlan_encap*>(action.conf);
    if (conf == nullptr || conf->definition == nullptr) {
      return no(EINVAL, "configuration cannot be null (HP-24)", &action);
    }
    has_encap_ = true;
    return enter(Stage::kEncap, action);
  }

  RuleResult<void> check_modify(const rte_flow_action& action) {
    const auto* conf = static_cast<const rte_flow_action_modify_field*>(action.conf);
    if (conf == nullptr) return no(EINVAL, "configuration cannot be null (HP-27)", &action);
    if (has_encap_) return no(EINVAL, "can't have encap action before modify action (HP-21)", &action);
    if (conf->operation != RTE_FLOW_MODIFY_SET) {
      return no(ENOTSUP, "only set operations are supported (HP-27)", &action);
    }
    const ModifyShape* shape = modify_shape(conf->dst.field);
    if (shape == nullptr)
      return no(ENOTSUP, "modifications of this field are not supported (HP-27)", &action);
    if (RuleResult<void> range = check_modify_range(*conf, *shape, action); !range) return range;
    return enter_modify(shape->needs, shape->missing_error, conf->width, action);
  }

  RuleResult<void> check_legacy_set(const rte_flow_action& action) {
    if (action.conf == nullptr) return no(EINVAL, "action configuration not set (HP-27)", &action);
    if (has_encap_) return no(EINVAL, "can't have encap action before modify action (HP-21)", &action);
    const std::uint16_t layer = has_decap_ ? pattern_.inner : pattern_.outer;
    const ModifyShape& shape = *legacy_modify_shape(action.type, layer);
    return enter_modify(shape.needs, shape.missing_error, shape.bytes * 8U, action);
  }

  RuleResult<void> enter_modify(std::uint16_t needs, const char* missing_error, std::uint32_t bits,
                                const rte_flow_action& action) {
    const std::uint16_t layer = has_decap_ ? pattern_.inner : pattern_.outer;
    if ((layer & needs) != needs) return no(EINVAL, missing_error, &action);
    modify_commands_ += (bits + 31) / 32;
    if (modify_commands_ >
        (attr_.group == 0 ? limits_.max_root_modify_commands : limits_.max_modify_commands)) {
      return no(ENOTSUP, "too many header modify actions to support (HP-25)", &action);
    }
    if (stage_ == Stage::kModify) return {};  // one slot for all of them
    return enter(Stage::kModify, action);
  }

  static RuleResult<void> check_modify_range(const rte_flow_action_modify_field& conf,
                                             const ModifyShape& shape, const rte_flow_action& action) {
    const std::uint32_t field_bits = shape.bytes * 8U;
    if (conf.width == 0) return no(EINVAL, "no bits are requested to be modified (HP-27)", &action);
    if (conf.width > field_bits || conf.dst.offset > field_bits - conf.width) {
      return no(EINVAL, "cannot modify more bits than the width of a field (HP-27)", &action);
    }
    const bool is_pointer = conf.src.field == RTE_FLOW_FIELD_POINTER;
    if ((conf.src.field != RTE_FLOW_FIELD_VALUE && !is_pointer) ||
        (is_pointer && conf.src.pvalue == nullptr)) {
      return no(ENOTSUP, "only immediate values are supported (HP-27)", &action);
    }
    if (shape.field == ModifyField::kTag) {
      if (conf.dst.level >= kTagCount) return no(EINVAL, "Unsupported tag index (HP-27)", &action);
      return {};
    }
    if (conf.dst.level != 0) {
      return no(ENOTSUP, "inner header fields modification is not supported (HP-27)", &action);
    }
    if (conf.width != field_bits) {
      return no(ENOTSUP, "header fields are only modified as a whole (HP-27)", &action);
    }
    return {};
  }

  RuleResult<void> check_fate(const rte_flow_action& action) {
    if (fate_ != nullptr) return no(EINVAL, "can have only one fate actions in a flow (HP-20)", &action);
    fate_ = &action;
    if (action.type == RTE_FLOW_ACTION_TYPE_JUMP) {
      const auto* conf = static_cast<const rte_flow_action_jump*>(action.conf);
      if (conf == nullptr) return no(EINVAL, "configuration cannot be null (HP-20)", &action);
      if (conf->group == 0) return no(EINVAL, "root table shouldn't be destination (HP-03)", &action);
      if (conf->group <= attr_.group) return no(EINVAL, "a jump must go to a larger group (HP-03)", &action);
      if (conf->group > limits_.max_group) return no(EINVAL, "group index too large (HP-07)", &action);
    }
    if (action.type == RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT || action.type == RTE_FLOW_ACTION_TYPE_PORT_ID) {
      if (action.conf == nullptr) return no(EINVAL, "configuration cannot be null (HP-20)", &action);
      target_ = target_of(action, ports_, context_.made_on);
      if (target_ == kNoPort) {
        return no(EINVAL, "port does not belong to E-Switch being configured (HP-20)", &action);
      }
      if (target_ == kUplink && pattern_.source == kUplink) {
        return no(EINVAL, "a packet of the uplink cannot go back to it (HP-20)", &action);
      }
    }
    return enter(Stage::kFate, action);
  }

  RuleResult<void> check_whole(const rte_flow_action* actions) {
    if (fate_ == nullptr) return no(EINVAL, "no fate action is found (HP-20)", actions);
    if (slots_ > limits_.max_action_slots) return no(ENOTSUP, "too many actions (HP-25)", actions);
    if (has_age_ && has_meter_ && !has_count_) {
      return no(ENOTSUP, "unsupported combining AGE, METER, CT ASO actions in a single rule (HP-28)",
                actions);
    }
    if (fate_->type == RTE_FLOW_ACTION_TYPE_DROP && (has_decap_ || has_encap_ || modify_commands_ != 0)) {
      return no(EINVAL,
                "Drop action is mutually-exclusive with any other action, except for Count/Sample/Age action "
                "(HP-31)",
                fate_);
    }
    if (has_encap_ && target_ != kUplink)
      return no(ENOTSUP, "encap only towards the uplink (HP-23)", actions);
    if (context_.dialect != Dialect::kSoftware && attr_.group == 0 &&
        (fate_->type != RTE_FLOW_ACTION_TYPE_JUMP || slots_ != 1)) {
      return no(EINVAL, "group 0 holds only jumps (HP-01)", actions);
    }
    return {};
  }

  const rte_flow_attr& attr_;
  const PatternFacts& pattern_;
  const PortMap& ports_;
  const ProfileLimits& limits_;
  const RuleContext context_;
  Stage stage_ = Stage::kDecap;
  std::uint32_t slots_ = 0;
  std::uint32_t modify_commands_ = 0;
  bool has_decap_ = false;
  bool has_encap_ = false;
  bool has_count_ = false;
  bool has_age_ = false;
  bool has_meter_ = false;
  const rte_flow_action* fate_ = nullptr;
  PortIndex target_ = kNoPort;
};

}  // namespace

RuleResult<void> check_actions(const rte_flow_action actions[], const rte_flow_attr& attr,
                               const PatternFacts& pattern, const PortMap& ports, const ProfileLimits& limits,
                               const RuleContext& context) {
  return ActionsCheck(attr, pattern, ports, limits, context).run(actions);
}

RuleResult<PatternFacts> check_rule(const rte_flow_attr& attr, const rte_flow_item pattern[],
                                    const rte_flow_action actions[], const PortMap& ports,
                                    const ProfileLimits& limits, const RuleContext& context) {
  if (RuleResult<void> checked = check_attributes(attr, limits); !checked) {
    return std::unexpected(checked.error());
  }
  RuleResult<PatternFacts> facts = check_pattern(pattern, ports, limits, context);
  if (!facts) return facts;
  if (attr.group == 0 && !facts->only_port && context.dialect != Dialect::kSoftware) {
    return refuse(EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, "group 0 matches only the source port (HP-01)", pattern);
  }
  if (RuleResult<void> checked = check_actions(actions, attr, *facts, ports, limits, context); !checked) {
    return std::unexpected(checked.error());
  }
  return facts;
}

}  // namespace berth::soft
