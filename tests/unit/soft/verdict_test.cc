// The software eSwitch never takes a rule that the mlx5 driver refuses: every known verdict is asked.
#include "dataplane/soft/action_list.h"
#include "dataplane/soft/profile.h"
#include "tests/unit/soft/flow_text.h"

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace berth::soft::test {
namespace {

struct Vector {
  std::string verdict;  // ACCEPT, REJECT or SKIP
  std::string id;
  std::string text;  // the rule, or why it is skipped
};

std::string expand(std::string text) {
  static const std::map<std::string, std::string> kShort{
      {"to:", "represented_port ethdev_port_id "},
      {"from:", "represented_port ethdev_port_id is "},
      {"$E4",
       "vxlan_encap { eth dst 02:00:00:00:00:09 / ipv4 src 10.0.0.1 dst 10.0.0.2 / udp / vxlan vni 7 }"},
      {"$E6", "vxlan_encap { eth dst 02:00:00:00:00:09 / ipv6 src fd00::1 dst fd00::2 / udp / vxlan vni 7 }"},
      {"$TUN", "eth / ipv4 dst is 10.0.0.1 / udp dst is 4789 / vxlan vni is 7"},
      {"$MAC", "modify_field op set dst_type mac_dst src_type value src_value 020000000002 width 48"},
      {"$IP4", "modify_field op set dst_type ipv4_dst src_type value src_value 0a010006 width 32"},
      {"$IP6", "modify_field op set dst_type ipv6_dst src_type value src_value fd00 width 128"},
      {"$TTL", "modify_field op set dst_type ipv4_ttl src_type value src_value 40 width 8"},
      {"$TAG", "modify_field op set dst_type tag dst_level 0 src_type value src_value 07000000 width 32"},
  };
  for (const auto& [from, to] : kShort) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

std::vector<Vector> read_vectors() {
  std::ifstream file(BERTH_MLX5_VERDICTS);
  std::vector<Vector> vectors;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with("#")) continue;
    std::istringstream words(line);
    Vector vector;
    words >> vector.verdict >> vector.id >> std::ws;
    std::getline(words, vector.text);
    vectors.push_back(vector);
  }
  return vectors;
}

// Empty when the software eSwitch accepts.
std::string refusal(const std::string& rule, const RuleContext& context = {}) {
  PortMap ports;
  ports.add(0, kUplink);
  ports.add(1, 1);
  ports.add(2, 2);
  const FlowText flow = parse_flow(expand(rule));
  const auto facts = check_rule(flow.attr, flow.pattern.data(), flow.actions.data(), ports, {}, context);
  if (!facts) return facts.error().message;
  const auto lowered = lower_actions(
      flow.actions.data(), ports, {.made_on = context.made_on, .outer = facts->outer, .inner = facts->inner});
  return lowered ? "" : lowered.error().message;
}

TEST(Mlx5Verdicts, WhatTheDriverRefusesIsRefused) {
  const std::vector<Vector> vectors = read_vectors();
  ASSERT_EQ(vectors.size(), 244U);
  std::map<std::string, int> counts;
  std::map<std::string, std::string> stricter;
  for (const Vector& vector : vectors) {
    if (vector.verdict == "SKIP") {
      ++counts["skipped"];
      std::printf("  %s is not asked: %s\n", vector.id.c_str(), vector.text.c_str());
      continue;
    }
    const std::string refused = refusal(vector.text);
    if (vector.verdict == "REJECT") {
      EXPECT_NE(refused, "") << vector.id << " is taken, but mlx5 refuses: " << vector.text;
      ++counts[refused.empty() ? "taken wrongly" : "both refuse"];
    } else {
      ++counts[refused.empty() ? "both take" : "stricter than mlx5"];
      if (!refused.empty()) stricter[vector.id] = refused;
    }
  }
  for (const auto& [id, why] : stricter)
    std::printf("  %s is refused beyond mlx5: %s\n", id.c_str(), why.c_str());
  std::printf("  asked %zu of %zu vectors:", vectors.size() - static_cast<std::size_t>(counts["skipped"]),
              vectors.size());
  for (const auto& [what, count] : counts) std::printf(" %s %d,", what.c_str(), count);
  std::printf("\n");
}

// With steering=software more is taken, but nothing that software steering refuses. Vectors of hardware
// steering (W, T, Q) are not asked.
TEST(Mlx5Verdicts, WhatSoftwareSteeringRefusesIsRefusedWhenItIsAlone) {
  int asked = 0;
  for (const Vector& vector : read_vectors()) {
    if (vector.verdict != "REJECT" || std::string("WTQ").contains(vector.id.front())) continue;
    ++asked;
    for (const PortIndex made_on : {kUplink, PortIndex{1}}) {
      EXPECT_NE(refusal(vector.text, {.dialect = Dialect::kSoftware, .made_on = made_on}), "")
          << vector.id << " is taken, but mlx5 refuses: " << vector.text;
    }
  }
  EXPECT_GT(asked, 60);
}

// What its verdicts say beyond the common profile, and what a foreign client needs of it.
TEST(Mlx5Verdicts, WhatSoftwareSteeringAloneTakesIsTakenOnRequest) {
  const RuleContext software{.dialect = Dialect::kSoftware, .made_on = 1};
  for (const Vector& vector : read_vectors()) {
    for (const char* id : {"B01", "D17", "S15"}) {
      if (vector.id != id) continue;
      EXPECT_EQ(vector.verdict, "ACCEPT");
      EXPECT_NE(refusal(vector.text), "") << id;
      EXPECT_EQ(refusal(vector.text, software), "") << id << ": " << vector.text;
    }
  }
}

// The shapes that the pipeline needs are not refused along with the rest.
TEST(Mlx5Verdicts, WhatAHostAgentNeedsIsTaken) {
  for (const Vector& vector : read_vectors()) {
    for (const char* id :
         {"A01", "B07", "C01", "C02", "D01", "D02", "D10", "E01", "E02", "F01", "F02", "F06", "H06",
          "H07", "M02", "S01", "S02", "S06", "S08", "S09", "S11", "S12", "S13", "K06", "K07"}) {
      if (vector.id == id) {
        EXPECT_EQ(refusal(vector.text), "") << id << ": " << vector.text;
      }
    }
  }
}

}  // namespace
}  // namespace berth::soft::test
