#include "dataplane/rule_parse.h"

#include "dataplane/rule_text.h"
#include "tests/fakes/whole_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::dataplane {
namespace {

using namespace berth::testing;
using ::testing::HasSubstr;

std::string text_of(const std::vector<Rule>& rules) {
  std::string text = "# every shape that the compiler makes\n\n";
  for (const Rule& rule : rules) {
    if (rule.actions.meter) text += format_meter(*rule.actions.meter, berth_numbering);
    text += format_rule(rule, berth_numbering) + "\n";
  }
  return text;
}

TEST(ParseRules, WhatIsPrintedIsReadBack) {
  for (const auto& rules : {whole_host(make_vpc_with_policy()),
                            whole_host(on_ipv6_underlay(make_vpc_with_policy()), kIpv6Underlay)}) {
    const auto read = parse_rules(text_of(rules), berth_lookup);
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), rules.size());
    for (std::size_t i = 0; i < rules.size(); ++i) {
      EXPECT_EQ((*read)[i].key, rules[i].key) << format_rule(rules[i], berth_numbering);
      EXPECT_EQ((*read)[i].actions, rules[i].actions) << format_rule(rules[i], berth_numbering);
    }
  }
}

TEST(ParseRules, SaysWhichLineAndWordItDoesNotUnderstand) {
  const std::string good =
      "flow create 0 transfer group 1 priority 2 pattern represented_port / end actions drop / end";
  ASSERT_TRUE(parse_rules(good, berth_lookup));
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"flow creat 0", "line 2: 'creat'"},
      {"flow create 0 transfer group x", "'x' is not a number"},
      {"flow create 0 transfer group 1 priority 2 pattern gre / end actions drop / end", "'gre' is no item"},
      {"flow create 0 transfer group 1 priority 2 pattern eth / end actions fly / end", "'fly' is no action"},
      {"flow create 0 transfer group 1 priority 2 pattern eth / end actions drop",
       "the line ends where '/' should be"},
      {"flow create 0 transfer group 1 priority 2 pattern eth / ipv4 src spec 10.0.0.1 src prefix 8 / end "
       "actions "
       "drop / end",
       "10.0.0.1/8"},
      {"flow create 0 transfer group 1 priority 2 pattern eth / end actions vxlan_encap / drop / end",
       "set vxlan"},
      {"flow create 0 transfer group 1 priority 2 pattern eth / end actions meter mtr_id 3 / drop / end",
       "profile"},
      {good + " and more", "'and' behind the rule"},
  };
  for (const auto& [line, why] : bad) {
    const auto read = parse_rules(good + "\n" + line, berth_lookup);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().reason, "MALFORMED_RULE");
    EXPECT_THAT(read.error().message, HasSubstr(why)) << line;
    EXPECT_THAT(read.error().message, HasSubstr("line 2")) << line;
  }
}

}  // namespace
}  // namespace berth::dataplane
