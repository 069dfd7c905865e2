// Test-only: a switch with two queues of the asynchronous API, and its templates from rule text.
#pragma once

#include "tests/unit/soft/flow_text.h"
#include "tests/unit/soft/switch_harness.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

namespace berth::soft::test {

inline constexpr std::uint32_t kQueueSize = 8;

class TemplateTest : public ::testing::Test {
 protected:
  TemplateTest() { configure(); }

  void configure(std::uint32_t counters = 100) {
    net.stop_ports();
    const rte_flow_port_attr attr{
        .nb_counters = counters, .nb_aging_objects = 0, .nb_meters = 4, .nb_conn_tracks = 0, .flags = 0};
    const rte_flow_queue_attr queue{.size = kQueueSize};
    const rte_flow_queue_attr* queues[] = {&queue, &queue};
    EXPECT_EQ(rte_flow_configure(proxy(), &attr, 2, queues, &error), 0) << error.message;
    for (const PortIndex function : {PortIndex{1}, PortIndex{2}})
      EXPECT_EQ(rte_flow_configure(net.ethdev(function), &attr, 2, queues, &error), 0) << error.message;
    net.start_ports();
  }

  std::uint16_t proxy() const { return net.ethdev(kUplink); }
  FlowText flow(const std::string& text) const { return parse_flow("transfer " + net.with_ids(text)); }

  rte_flow_pattern_template* pattern_of(const FlowText& text, std::uint16_t port) {
    const rte_flow_pattern_template_attr attr{
        .relaxed_matching = 0, .ingress = 0, .egress = 0, .transfer = 1};
    return rte_flow_pattern_template_create(port, &attr, text.pattern.data(), &error);
  }

  // Masks: MODIFY_FIELD as the driver wants it, nothing else fixed.
  rte_flow_actions_template* actions_of(const FlowText& text, std::uint16_t port) {
    modify_mask.dst.level = UINT32_MAX;
    modify_mask.dst.offset = UINT32_MAX;
    modify_mask.width = UINT32_MAX;
    masks.clear();
    for (const rte_flow_action& action : text.actions) {
      masks.push_back(
          {action.type, action.type == RTE_FLOW_ACTION_TYPE_MODIFY_FIELD ? &modify_mask : nullptr});
    }
    const rte_flow_actions_template_attr attr{.ingress = 0, .egress = 0, .transfer = 1};
    return rte_flow_actions_template_create(port, &attr, text.actions.data(), masks.data(), &error);
  }

  rte_flow_template_table* table_of(const FlowText& text, std::uint32_t rules) {
    pattern = pattern_of(text, proxy());
    actions = actions_of(text, proxy());
    EXPECT_NE(pattern, nullptr) << error.message;
    EXPECT_NE(actions, nullptr) << error.message;
    const rte_flow_template_table_attr attr{.flow_attr = text.attr, .nb_flows = rules};
    table = rte_flow_template_table_create(proxy(), &attr, &pattern, 1, &actions, 1, &error);
    EXPECT_NE(table, nullptr) << error.message;
    return table;
  }

  rte_flow* enqueue(const FlowText& text, bool postpone = false, void* user_data = nullptr,
                    std::uint32_t queue = 0) {
    const rte_flow_op_attr attr{.postpone = postpone ? 1U : 0U};
    return rte_flow_async_create(proxy(), queue, &attr, table, text.pattern.data(), 0, text.actions.data(), 0,
                                 user_data, &error);
  }

  std::vector<rte_flow_op_result> pull(std::uint32_t queue = 0) {
    std::vector<rte_flow_op_result> results(2 * kQueueSize);
    const int count =
        rte_flow_pull(proxy(), queue, results.data(), static_cast<std::uint16_t>(results.size()), &error);
    EXPECT_GE(count, 0);
    results.resize(static_cast<std::size_t>(std::max(count, 0)));
    return results;
  }

  int destroy(rte_flow* rule) {
    const rte_flow_op_attr attr{.postpone = 0};
    return rte_flow_async_destroy(proxy(), 0, &attr, rule, nullptr, &error);
  }

  SwitchHarness net;
  rte_flow_error error{};
  rte_flow_action_modify_field modify_mask{};
  std::vector<rte_flow_action> masks;
  rte_flow_pattern_template* pattern = nullptr;
  rte_flow_actions_template* actions = nullptr;
  rte_flow_template_table* table = nullptr;
};

}  // namespace berth::soft::test
