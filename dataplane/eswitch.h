// The eSwitch as the agent sees it: ports and rules, nothing of VPCs. Backends: dpdk/ (rte_flow on any
// eSwitch that DPDK drives, the software one included), a separate rule holder process, and the fake
// of the tests. One contract suite holds for all (tests/contract/eswitch_contract.h).
#pragma once

#include "base/task.h"
#include "dataplane/port.h"
#include "dataplane/rule.h"
#include "dataplane/rule_digest.h"
#include "dataplane/slowpath/outcome.h"
#include "dataplane/slowpath/port_answers.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace berth::dataplane {

struct AddRule {
  Rule rule;
};
struct RemoveRule {
  RuleKey key;
};
// What frames of inject() have moved: from now on read_rules() says so much less of this rule, as long as one
// of this key is held. Nothing for one that is not held, or does not count.
struct DiscountRule {
  RuleKey key;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};
using RuleChange = std::variant<AddRule, RemoveRule, DiscountRule>;

struct HeldRule {
  Rule rule;
  // Since a rule of this key is held; 0 where it does not count.
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

// Which rules to read: all, those that serve one port (Rule::owner), or those of these keys that are held.
struct RuleFilter {
  RuleFilter(std::nullopt_t = std::nullopt) {}
  RuleFilter(EswitchPort of) : owner(of) {}
  RuleFilter(std::optional<EswitchPort> of) : owner(of) {}
  RuleFilter(std::vector<RuleKey> of) : keys(std::move(of)) {}
  std::optional<EswitchPort> owner;
  std::optional<std::vector<RuleKey>> keys;
};

// An Ethernet frame, as if it had come from the port: the wire, or the VM at a function.
struct InjectedFrame {
  EswitchPort from;
  std::vector<std::uint8_t> bytes;
};
constexpr std::size_t kMaxInjectedFrames = 64;
constexpr std::size_t kMinInjectedBytes = 14;  // an Ethernet header
constexpr std::size_t kMaxInjectedBytes = 1514;

struct PortState {
  EswitchPort port;
  // Number in rule texts: DPDK's ethdev port id.
  std::uint16_t ethdev_port_id = 0;
  // Nothing is behind the function: rules can name it, packets never come or go. For measurements:
  // docs/bench.md.
  bool is_unbacked = false;
};

// What the slow path does at one port.
struct SlowPathState {
  EswitchPort port;
  std::optional<PortAnswers> answers;  // none: the port is answered nothing
  slowpath::Counters counters;         // since the port has answers
  // Replies that the eSwitch did not take: its queue was full, or no buffer was left. Since it was opened.
  std::uint64_t undelivered = 0;
};

class Eswitch {
 public:
  virtual ~Eswitch() = default;

  // Applies changes in order and returns one outcome each. Idempotent: adding a rule that is held
  // with the same actions, and removing one that is not held, succeed. Adding over a held rule with
  // other actions replaces it, or leaves the old one when the new one is refused. A refused change
  // (HARDWARE_REJECTED, RESOURCE_EXHAUSTED) leaves the others standing. When it returns, packets see the new
  // rules.
  virtual Task<std::vector<Result<void>>> apply(std::vector<RuleChange> changes) = 0;

  // The rules that are held, ordered by key, each once. rte_flow has no way to ask a device what a rule does:
  // a backend answers from its own table, and asks the device for the counter of every rule that counts,
  // which fails when the device has lost it.
  virtual Task<std::vector<HeldRule>> read_rules(RuleFilter which) = 0;

  // What read_rules() would return, short enough to be compared: one for each owner and group that has
  // rules, ordered. From the backend's own table, like the rules.
  virtual Task<std::vector<RuleDigest>> read_digests() = 0;

  // Another number than before: rules and answers may be others than apply() and set_answers() left, because
  // whoever holds them has been away or has started anew. Then they must be read before they are changed.
  virtual std::uint64_t epoch() const { return 0; }

  // The uplink first, then the functions.
  virtual Task<std::vector<PortState>> read_ports() = 0;

  // What the slow path answers the VM at a function, as its gateway, from now on; nullopt: nothing. Which
  // packets get there is a matter of rules: those that miss in a group. Idempotent. Fails with NOT_FOUND
  // (PORT_UNKNOWN) or INVALID_ARGUMENT (PORT_IS_UPLINK, and what slowpath/port_facts.h names); the old
  // answers stay then. Does not wait for rules that are being applied.
  virtual Task<void> set_answers(EswitchPort port, std::optional<PortAnswers> answers) = 0;

  // The answers that are held and what became of the frames: of one port, or of every one, the uplink first.
  // NOT_FOUND (PORT_UNKNOWN).
  virtual Task<std::vector<SlowPathState>> read_slow_path(std::optional<EswitchPort> port) = 0;

  // Puts frames in front of the rules. They take the way of all packets, count, and leave where the rules
  // say. Returns when the eSwitch has all of them: it may act on them, and tell their counts, a little later.
  // Not idempotent. Nothing is injected with UNIMPLEMENTED (PROBE_NOT_SUPPORTED: only the device behind a
  // port can send as that port), NOT_FOUND (PORT_UNKNOWN), INVALID_ARGUMENT (FRAME_SIZE, TOO_MANY_FRAMES);
  // some may have been with RESOURCE_EXHAUSTED (INJECTION_BUSY: earlier ones still wait) and UNAVAILABLE.
  virtual Task<void> inject(std::vector<InjectedFrame> frames) = 0;
};

}  // namespace berth::dataplane
