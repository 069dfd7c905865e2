#include "dataplane/diff.h"

#include <algorithm>
#include <map>

namespace berth::dataplane {

std::vector<RuleChange> diff_rules(std::span<const Rule> held, std::span<const Rule> wanted) {
  std::map<RuleKey, const Rule*> held_by_key;
  for (const Rule& rule : held) held_by_key.emplace(rule.key, &rule);

  std::vector<const Rule*> added;
  for (const Rule& rule : wanted) {
    const auto found = held_by_key.find(rule.key);
    if (found == held_by_key.end() || found->second->actions != rule.actions) added.push_back(&rule);
    if (found != held_by_key.end()) held_by_key.erase(found);
  }
  std::ranges::sort(added, [](const Rule* a, const Rule* b) {
    return a->key.group != b->key.group ? a->key.group > b->key.group : a->key < b->key;
  });

  std::vector<RuleChange> changes;
  changes.reserve(added.size() + held_by_key.size());
  for (const Rule* rule : added) changes.emplace_back(AddRule{*rule});
  for (const auto& [key, rule] : held_by_key) changes.emplace_back(RemoveRule{key});  // by group, ascending
  return changes;
}

}  // namespace berth::dataplane
