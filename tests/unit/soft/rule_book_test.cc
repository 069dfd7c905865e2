// Rules in the book: duplicates, pools, depth of jumps, and a worker that looks while they change.
#include "dataplane/soft/rule_book.h"

#include "tests/unit/soft/packet.h"

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace berth::soft::test {
namespace {

constexpr PortIndex kPort = 1;

Match port_match(PortIndex port = kPort) {
  Match match;
  match.key.port = port;
  match.mask.port = 0xffff;
  return match;
}

// One of 2^32 exact rules of a mapping table.
Match mapping(std::uint32_t address, PortIndex port = kPort) {
  Match match = port_match(port);
  match.mask.outer.presence = kHasEthernet | kHasIpv4;
  match.key.outer.presence = kHasEthernet | kHasIpv4;
  for (std::size_t i = 0; i < 4; ++i) {
    match.mask.outer.addresses[4 + i] = 0xff;
    match.key.outer.addresses[4 + i] = static_cast<std::uint8_t>(address >> (24 - 8 * i));
  }
  return match;
}

FieldVector packet_to(std::uint32_t address) {
  FieldVector fields = mapping(address).key;
  fields.outer.ttl = 17;  // matched by nobody
  return fields;
}

ActionList drop() {
  return {};
}

ActionList counted_jump(std::uint32_t group) {
  ActionList list;
  list.count = true;
  list.fate = Fate::kJump;
  list.jump_group = group;
  return list;
}

ActionList encapsulated(std::uint8_t last_byte) {
  ActionList list;
  list.fate = Fate::kPort;
  list.port = kUplink;
  EncapHeader header;
  header.length = 50;
  header.data[49] = last_byte;
  list.encap = header;
  return list;
}

int code(const RuleResult<Rule*>& result) {
  return result ? 0 : result.error().code;
}

TEST(RuleBook, FindsEachOfManyRulesAndNoOther) {
  RuleBook book({});
  std::vector<Rule*> rules;
  for (std::uint32_t i = 0; i < 5000; ++i) rules.push_back(*book.create(0, 0, mapping(i * 7), drop()));
  for (std::uint32_t i = 0; i < 5000; ++i) EXPECT_EQ(book.root().find(packet_to(i * 7)), rules[i]);
  EXPECT_EQ(book.root().find(packet_to(3)), nullptr);
  for (std::uint32_t i = 0; i < 5000; i += 2) book.destroy(rules[i]);
  for (std::uint32_t i = 0; i < 5000; ++i) {
    EXPECT_EQ(book.root().find(packet_to(i * 7)), i % 2 == 0 ? nullptr : rules[i]);
  }
  EXPECT_EQ(book.rule_count(), 2500U);
}

TEST(RuleBook, EqualRulesAreRefusedUntilTheFirstIsGone) {
  RuleBook book({});
  Rule* rule = *book.create(1, 0, mapping(1), drop());
  EXPECT_EQ(code(book.create(1, 0, mapping(1), counted_jump(2))), EEXIST);
  EXPECT_EQ(code(book.create(1, 1, mapping(1), drop())), 0);
  EXPECT_EQ(code(book.create(2, 0, mapping(1), drop())), 0);
  book.destroy(rule);
  EXPECT_EQ(code(book.create(1, 0, mapping(1), drop())), 0);
}

TEST(RuleBook, MatchAllRulesNeedTheLargestPriorityOfTheirPort) {
  RuleBook book({});
  EXPECT_EQ(code(book.create(1, 10, port_match(), drop())), 0);
  EXPECT_EQ(code(book.create(1, 10, mapping(1), drop())), EINVAL);
  EXPECT_EQ(code(book.create(1, 11, mapping(1), drop())), EINVAL);
  EXPECT_EQ(code(book.create(1, 9, mapping(1), drop())), 0);
  EXPECT_EQ(code(book.create(1, 11, mapping(1, 2), drop())), 0);  // another port
  EXPECT_EQ(code(book.create(1, 11, port_match(2), drop())), EINVAL);
  EXPECT_EQ(code(book.create(1, 12, port_match(2), drop())), 0);
}

TEST(RuleBook, ARuleThatIsGoneHidesNothing) {
  RuleBook book({});
  for (PortIndex port = 1; port <= 300; ++port)
    ASSERT_EQ(code(book.create(1, 10, port_match(port), drop())), 0);
  Rule* last = *book.create(1, 10, port_match(301), drop());
  EXPECT_EQ(code(book.create(1, 11, mapping(1, 301), drop())), EINVAL);
  book.destroy(last);
  EXPECT_EQ(code(book.create(1, 11, mapping(1, 301), drop())), 0);
  EXPECT_EQ(code(book.create(1, 11, mapping(1, 300), drop())), EINVAL);
}

TEST(RuleBook, ExhaustedPoolsAreEnomemAndRefillOnDestroy) {
  RuleBook book({.rules = 3, .counters = 1, .groups = 3, .encaps = 1});
  Rule* counted = *book.create(1, 0, mapping(1), counted_jump(2));
  EXPECT_EQ(code(book.create(1, 0, mapping(2), counted_jump(2))), ENOMEM);  // counters
  Rule* tunnel = *book.create(3, 0, mapping(1), encapsulated(1));
  EXPECT_EQ(code(book.create(3, 0, mapping(2), encapsulated(2))), ENOMEM);  // encapsulations
  EXPECT_EQ(code(book.create(4, 0, mapping(2), drop())), ENOMEM);           // groups
  EXPECT_EQ(code(book.create(3, 0, mapping(2), encapsulated(1))), 0);       // shares the first
  EXPECT_EQ(code(book.create(3, 0, mapping(3), drop())), ENOMEM);           // rules
  book.destroy(counted);
  EXPECT_EQ(code(book.create(4, 0, mapping(2), drop())), 0);
  book.destroy(tunnel);
  book.flush();
  EXPECT_EQ(book.rule_count(), 0U);
  EXPECT_EQ(code(book.create(3, 0, mapping(2), encapsulated(2))), 0);
}

TEST(RuleBook, AtMostSixJumpsInARow) {
  RuleBook book({});
  std::vector<Rule*> chain;
  for (std::uint32_t group = 6; group-- > 0;)
    chain.push_back(*book.create(group, 0, port_match(), counted_jump(group + 1)));
  EXPECT_EQ(code(book.create(6, 0, port_match(), counted_jump(7))), EINVAL);
  EXPECT_EQ(code(book.create(5, 1, port_match(2), counted_jump(9))), 0);
  EXPECT_EQ(code(book.create(7, 0, port_match(), counted_jump(8))), 0);
  EXPECT_EQ(code(book.create(4, 0, port_match(2), counted_jump(7))), 0);
  EXPECT_EQ(code(book.create(5, 1, port_match(3), counted_jump(7))), EINVAL);
  for (Rule* rule : chain) book.destroy(rule);
  EXPECT_EQ(code(book.create(5, 1, port_match(3), counted_jump(7))), 0);
}

TEST(RuleBook, OnlyCountedRulesCanBeQueried) {
  RuleBook book({});
  Rule* counted = *book.create(1, 0, mapping(1), counted_jump(2));
  Rule* plain = *book.create(1, 0, mapping(2), drop());
  counted->counter.add(100);
  EXPECT_EQ(book.query(counted, true)->bytes, 100U);
  EXPECT_EQ(book.query(counted, false)->packets, 0U);
  EXPECT_EQ(book.query(plain, false).error().code, EINVAL);
}

// A worker that looks up and counts while rules come and go; the sanitizers watch the memory.
TEST(RuleBook, RulesChangeUnderARunningWorker) {
  RuleBook book({});
  std::atomic<bool> stop = false;
  std::uint64_t hits = 0;
  std::thread worker([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      const Grace::WorkerSection section(book.grace());
      for (std::uint32_t address = 0; address < 64; ++address) {
        Rule* rule = book.root().find(packet_to(address));
        if (rule == nullptr) continue;
        rule->counter.add(64);
        if (rule->fate == Fate::kJump) (void)rule->target.group->find(packet_to(address));
        ++hits;
      }
    }
  });
  for (int round = 0; round < 200; ++round) {
    std::vector<Rule*> rules;
    for (std::uint32_t address = 0; address < 64; ++address) {
      rules.push_back(*book.create(0, address % 3, mapping(address), counted_jump(1 + address % 2)));
      rules.push_back(*book.create(1, 0, mapping(address), encapsulated(static_cast<std::uint8_t>(address))));
    }
    for (Rule* rule : rules) book.destroy(rule);
  }
  stop = true;
  worker.join();
  EXPECT_EQ(book.rule_count(), 0U);
}

}  // namespace
}  // namespace berth::soft::test
