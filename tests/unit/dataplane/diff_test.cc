#include "dataplane/diff.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane {
namespace {

using RuleSet = std::map<RuleKey, Rule>;

// A few keys and a few actions, so that random sets overlap in every way.
RuleSet random_rules(std::mt19937& random) {
  RuleSet rules;
  for (std::uint16_t group = 0; group < 4; ++group) {
    for (std::uint32_t priority = 0; priority < 4; ++priority) {
      if (random() % 2 == 0) continue;
      Rule rule{.key = {.group = group, .priority = priority}};
      if (random() % 2 == 0) rule.actions.fate = JumpTo{static_cast<std::uint16_t>(group + 1)};
      rules.emplace(rule.key, rule);
    }
  }
  return rules;
}

std::vector<Rule> values(const RuleSet& set) {
  std::vector<Rule> rules;
  for (const auto& [key, rule] : set) rules.push_back(rule);
  return rules;
}

TEST(DiffRules, AppliedToWhatIsHeldGivesWhatIsWanted) {
  std::mt19937 random(20240601);
  for (int round = 0; round < 2000; ++round) {
    const RuleSet held = random_rules(random);
    const RuleSet wanted = random_rules(random);
    RuleSet device = held;
    bool removing = false;
    for (const RuleChange& change : diff_rules(values(held), values(wanted))) {
      if (const auto* add = std::get_if<AddRule>(&change)) {
        EXPECT_FALSE(removing) << "additions come first";
        device.insert_or_assign(add->rule.key, add->rule);
      } else {
        removing = true;
        EXPECT_EQ(device.erase(std::get<RemoveRule>(change).key), 1U);
      }
    }
    ASSERT_EQ(device, wanted);
    ASSERT_TRUE(diff_rules(values(wanted), values(wanted)).empty());
  }
}

TEST(DiffRules, LaterTablesAreFilledFirst) {
  std::mt19937 random(7);
  const auto changes = diff_rules({}, values(random_rules(random)));
  std::uint16_t last = 0xFFFF;
  for (const RuleChange& change : changes) {
    const auto group = std::get<AddRule>(change).rule.key.group;
    EXPECT_LE(group, last);
    last = group;
  }
}

}  // namespace
}  // namespace berth::dataplane
