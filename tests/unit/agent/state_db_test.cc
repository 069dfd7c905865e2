#include "agent/state_db.h"

#include "agent/sqlite.h"
#include "agent/vpc_blob.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"
#include "tests/fakes/whole_host.h"
#include "tests/unit/agent/schema_4.h"
#include "tests/unit/agent/schema_5.h"

#include <fstream>
#include <iterator>
#include <unistd.h>

#include <gtest/gtest.h>

namespace berth::agent {
namespace {

using testing::ip;
using testing::mac;

const auto kVf = host::PciAddress::parse("vf", "0000:01:10.2").value();
const auto kGpu = host::PciAddress::parse("gpu", "10000:02:00.0").value();
const auto kDrive = host::PciAddress::parse("drive", "0000:03:00.0").value();

class StateDbTest : public ::testing::Test {
 protected:
  template <typename T>
  T run(asio::awaitable<T> task) {
    return testing::run_until_done(io, std::move(task));
  }
  static SavedAttachment saved(AttachmentState state) {
    return {
        .attachment = {.id = AttachmentId::trusted("att-1"),
                       .vm = VmId::trusted("vm-1"),
                       .interfaces = {{.intent = {.vpc = VpcId::trusted("blue"),
                                                  .ips = {ip("10.1.0.5"), ip("2001:db8::5")},
                                                  .mac = mac("02:00:00:00:01:05"),
                                                  .mtu_bytes = 1400,
                                                  .rates = {.from_vm = 1000000000, .to_vm = 0},
                                                  .network_class = NetworkClass::kStorage},
                                       .function = {.index = 3, .generation = 1ULL << 40U, .address = kVf}},
                                      {.intent = {.vpc = VpcId::trusted("green"),
                                                  .ips = {ip("10.1.0.5")},
                                                  .mac = mac("02:00:00:00:01:05")},
                                       .function = {.index = 4}}},
                       .devices = {kGpu, kDrive},
                       .state = state,
                       .is_unwanted = true,
                       .is_withdrawn = true},
        .operation = OperationId::trusted("op-1"),
        .request = RequestId::trusted("req-2"),
        .fingerprint = "what was asked"};
  }

  asio::io_context io;
  const testing::TestFolder parent{"state"};
  const std::filesystem::path folder = parent / "made by the first that opens it";
};

TEST_F(StateDbTest, ANewOneIsEmpty) {
  const auto state = StateDb::open(folder)->load();
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->is_empty());
  EXPECT_EQ(state->vpcs_version, 0U);
}

TEST_F(StateDbTest, WhatWasSavedIsLoadedByTheNextProcess) {
  const auto blue = std::make_shared<const dataplane::Vpc>(testing::make_vpc_with_policy());
  const auto vpcs = std::make_shared<const dataplane::VpcSet>(dataplane::VpcSet{{blue->id, blue}});
  const std::map<IpAddress, MacAddress> hops = {{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}};
  {
    auto db = StateDb::open(folder).value();
    EXPECT_TRUE(run(db.save(saved(AttachmentState::kAttaching))));
    EXPECT_TRUE(run(db.save(saved(AttachmentState::kQuarantined))));
    EXPECT_TRUE(run(db.save_vpcs(vpcs, {blue->id}, 1ULL << 63U)));
    EXPECT_TRUE(run(db.save_next_hops(hops)));
  }
  auto db = StateDb::open(folder).value();
  const auto state = db.load().value();
  ASSERT_EQ(state.attachments.size(), 1U);
  const SavedAttachment wanted = saved(AttachmentState::kQuarantined);
  const SavedAttachment& found = state.attachments[0];
  EXPECT_EQ(found.attachment.id, wanted.attachment.id);
  EXPECT_EQ(found.attachment.vm, wanted.attachment.vm);
  EXPECT_EQ(found.attachment.devices, wanted.attachment.devices);
  ASSERT_EQ(found.attachment.interfaces.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Interface& interface = found.attachment.interfaces[i];
    EXPECT_EQ(interface.intent, wanted.attachment.interfaces[i].intent);
    EXPECT_EQ(interface.function.index, 3 + i);
  }
  EXPECT_EQ(etag_of(found.attachment), etag_of(wanted.attachment));
  EXPECT_EQ(found.attachment.state, AttachmentState::kQuarantined);
  EXPECT_EQ(found.attachment.gate, Gate::kClosed);
  EXPECT_TRUE(found.attachment.is_withdrawn);
  EXPECT_TRUE(found.attachment.is_unwanted);
  EXPECT_EQ(found.attachment.interfaces[0].function.generation, 1ULL << 40U);
  EXPECT_EQ(found.attachment.interfaces[0].function.address, kVf);
  EXPECT_EQ(found.operation, wanted.operation);
  EXPECT_EQ(found.request, wanted.request);
  EXPECT_EQ(found.fingerprint, wanted.fingerprint);
  ASSERT_EQ(state.vpcs.size(), 1U);
  EXPECT_EQ(*state.vpcs.begin()->second, *blue);
  EXPECT_EQ(state.vpcs_version, 1ULL << 63U);
  EXPECT_EQ(state.next_hops, hops);

  EXPECT_TRUE(run(db.erase(wanted.attachment.id, {.functions = {{.index = 3, .generation = 8}}})));
  EXPECT_TRUE(run(db.erase(wanted.attachment.id, {.functions = {{.index = 3, .generation = 9}}})));
  EXPECT_TRUE(run(db.save_vpcs(std::make_shared<const dataplane::VpcSet>(), {blue->id}, 9)));
  EXPECT_TRUE(db.load()->is_empty());
  EXPECT_EQ(db.load()->generations, (std::map<std::uint16_t, std::uint64_t>{{3, 9}}));
}

TEST_F(StateDbTest, ABootIsKeptWithWhatItFound) {
  {
    auto db = StateDb::open(folder).value();
    EXPECT_EQ(db.load()->boot, "") << "not known";
    EXPECT_TRUE(run(db.save(saved(AttachmentState::kAttached))));
    EXPECT_TRUE(run(db.save_boot("boot-1", {})));
    EXPECT_TRUE(run(db.save_boot("boot-2", {saved(AttachmentState::kRestoring)})));
  }
  const auto state = StateDb::open(folder)->load().value();
  EXPECT_EQ(state.boot, "boot-2");
  ASSERT_EQ(state.attachments.size(), 1U);
  EXPECT_EQ(state.attachments[0].attachment.state, AttachmentState::kRestoring);
  EXPECT_EQ(state.attachments[0].attachment.gate, Gate::kClosed);
}

TEST_F(StateDbTest, TheSchemaBeforeBootsIsTakenOver) {
  {
    auto db = StateDb::open(folder).value();
    EXPECT_TRUE(run(db.save(saved(AttachmentState::kAttached))));
  }
  ASSERT_TRUE(SqliteDatabase::open(folder / "state.db")
                  ->execute("DROP TABLE boot; DROP TABLE freed_addresses; PRAGMA user_version = 3"));
  {
    auto db = StateDb::open(folder).value();
    EXPECT_EQ(db.load()->attachments.size(), 1U);
    EXPECT_TRUE(run(db.save_boot("boot-1", {})));
  }
  EXPECT_EQ(StateDb::open(folder)->load()->boot, "boot-1");
}

TEST_F(StateDbTest, TheSchemaBeforePolicyGroupsIsTakenOverWithItsRows) {
  {
    auto db = StateDb::open(folder).value();
    EXPECT_TRUE(run(db.save_boot("boot-1", {})));
  }
  {
    auto file = SqliteDatabase::open(folder / "state.db").value();
    ASSERT_TRUE(file.execute("DROP TABLE freed_addresses; PRAGMA user_version = 4"));
    const auto put = [&](std::string_view sql, std::string_view hex) {
      return file.prepare(sql)->bind_record(schema_4::bytes_of(hex)).run().has_value();
    };
    ASSERT_TRUE(put("INSERT INTO attachments VALUES ('att-1', ?1)", schema_4::kAttachment));
    ASSERT_TRUE(put("INSERT INTO operations VALUES (1, 'op-1', 'req-2', 0, ?1)", schema_4::kOperation));
    ASSERT_TRUE(put("INSERT INTO vpcs VALUES ('blue', ?1)", schema_4::kVpc));
  }
  for (int i = 0; i < 2; ++i) {
    const auto state = StateDb::open(folder)->load();
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_EQ(state->boot, "boot-1");
    ASSERT_EQ(state->attachments.size(), 1U);
    EXPECT_EQ(state->attachments[0].attachment.interfaces[1].intent.vpc.str(), "green");
    EXPECT_EQ(state->operations.size(), 1U);
    EXPECT_EQ(state->vpcs.at(VpcId::trusted("blue"))->policy_version, 9);
    EXPECT_TRUE(state->freed_addresses.empty());
  }
  EXPECT_EQ(SqliteDatabase::open(folder / "state.db")->query_integer("PRAGMA user_version"), 6);
}

TEST_F(StateDbTest, TheSchemaBeforeUpdatesIsTakenOverWithItsRows) {
  {
    EXPECT_TRUE(StateDb::open(folder));
  }
  {
    auto file = SqliteDatabase::open(folder / "state.db").value();
    ASSERT_TRUE(file.execute("PRAGMA user_version = 5"));
    const auto put = [&](std::string_view sql, std::string_view hex) {
      return file.prepare(sql)->bind_record(schema_4::bytes_of(hex)).run().has_value();
    };
    ASSERT_TRUE(put("INSERT INTO attachments VALUES ('att-1', ?1)", schema_5::kAttachment));
    ASSERT_TRUE(put("INSERT INTO operations VALUES (1, 'op-1', 'req-2', 0, ?1)", schema_5::kOperation));
  }
  for (int i = 0; i < 2; ++i) {
    const auto state = StateDb::open(folder)->load();
    ASSERT_TRUE(state) << state.error().message;
    ASSERT_EQ(state->attachments.size(), 1U);
    EXPECT_EQ(state->attachments[0].attachment.interfaces[0].policy_set, 70000U);
    EXPECT_EQ(state->operations.size(), 1U);
  }
  EXPECT_EQ(SqliteDatabase::open(folder / "state.db")->query_integer("PRAGMA user_version"), 6);
}

TEST_F(StateDbTest, FreedAddressesAreKeptInTheOrderInWhichTheyWereFreed) {
  const auto freed = [](std::initializer_list<const char*> ips) {
    std::vector<FreedAddress> addresses;
    for (const char* one : ips) addresses.push_back({VpcId::trusted("blue"), ip(one)});
    return addresses;
  };
  const auto id = AttachmentId::trusted("att-1");
  {
    auto db = StateDb::open(folder).value();
    EXPECT_TRUE(run(db.erase(id, {.functions = {}, .addresses = freed({"10.1.0.5", "2001:db8::5"})})));
    FinishedOperation ended;
    ended.operation.id = OperationId::trusted("op-2");
    ended.operation.request = RequestId::trusted("req-2");
    ended.operation.attachment = id;
    const Freed left{.functions = {}, .addresses = freed({"10.1.0.7", "10.1.0.5"})};
    EXPECT_TRUE(run(db.finish(ended, left, true)));
  }
  {
    auto db = StateDb::open(folder).value();
    EXPECT_EQ(db.load().value().freed_addresses, freed({"2001:db8::5", "10.1.0.7", "10.1.0.5"}));
    std::vector<FreedAddress> many;
    for (std::uint32_t i = 0; i < AddressPool::kMaxFreed; ++i)
      many.push_back({VpcId::trusted("green"), IpAddress::v4(0x0A020000 + i)});
    EXPECT_TRUE(run(db.erase(id, {.functions = {}, .addresses = many})));
  }
  const auto kept = StateDb::open(folder)->load().value().freed_addresses;
  EXPECT_EQ(kept.size(), AddressPool::kMaxFreed);
  EXPECT_EQ(kept.front().ip, ip("10.2.0.0"));
}

TEST_F(StateDbTest, ASchemaOfALaterBerthdIsRefused) {
  {
    EXPECT_TRUE(StateDb::open(folder));
  }
  ASSERT_TRUE(SqliteDatabase::open(folder / "state.db")->execute("PRAGMA user_version = 99"));
  EXPECT_EQ(StateDb::open(folder).error().reason, "STATE_VERSION");
}

TEST_F(StateDbTest, ACorruptFileIsRefusedWithTheCure) {
  {
    auto db = StateDb::open(folder).value();
    EXPECT_TRUE(run(db.save(saved(AttachmentState::kAttached))));
  }
  for (const auto at : {0, 100, 4096}) {
    std::fstream file(folder / "state.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << std::string(2000, 'x');
  }
  const auto opened = StateDb::open(folder);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kDataLoss);
  EXPECT_EQ(opened.error().reason, "STATE_CORRUPT");
  EXPECT_NE(opened.error().message.find("move it"), std::string::npos) << opened.error().message;
}

// A byte of a record that has changed must not become a rule. SQLite's own check does not see such a change,
// and where a byte is free, or only says how SQLite has arranged the file, nothing has to.
TEST_F(StateDbTest, NoByteThatHasChangedBecomesAnotherState) {
  const auto blue = std::make_shared<const dataplane::Vpc>(testing::make_vpc_with_policy());
  const auto vpcs = std::make_shared<const dataplane::VpcSet>(dataplane::VpcSet{{blue->id, blue}});
  const std::map<IpAddress, MacAddress> hops = {{ip("192.0.2.2"), mac("02:00:00:00:ff:02")}};
  const SavedAttachment attachment = saved(AttachmentState::kAttached);
  // A disk that takes no time, where there is one: the file is opened a thousand times.
  const testing::TestFolder disk("state", testing::TestFolder::fast_parent());
  {
    auto db = StateDb::open(disk.path()).value();
    ASSERT_TRUE(run(db.save(attachment)));
    ASSERT_TRUE(run(db.save_vpcs(vpcs, {blue->id}, 7)));
    ASSERT_TRUE(run(db.save_next_hops(hops)));
  }
  std::ifstream file(disk / "state.db", std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(file), {}};
  std::size_t refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    if (good[at] == 0) continue;  // most of the file is free
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    std::ofstream(disk / "state.db", std::ios::binary) << bad;
    std::filesystem::remove(disk / "state.db-wal");
    auto db = StateDb::open(disk.path());
    const auto loaded = db ? db->load() : Result<SavedState>(pass(db));
    if (!loaded) {
      ++refused;
      EXPECT_FALSE(loaded.error().reason.empty());
      continue;
    }
    ASSERT_EQ(loaded->attachments.size(), 1U) << "byte " << at;
    EXPECT_EQ(format_record(loaded->attachments[0]), format_record(attachment)) << "byte " << at;
    ASSERT_EQ(loaded->vpcs.size(), 1U) << "byte " << at;
    EXPECT_EQ(*loaded->vpcs.begin()->second, *blue) << "byte " << at;
    EXPECT_EQ(loaded->next_hops, hops) << "byte " << at;
  }
  EXPECT_GT(refused, 300U);
}

TEST_F(StateDbTest, OneProcessAtATime) {
  const auto first = StateDb::open(folder);
  ASSERT_TRUE(first);
  const auto second = StateDb::open(folder);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "STATE_IN_USE");
}

TEST_F(StateDbTest, AFolderThatCannotBeMadeIsNamed) {
  std::ofstream(folder.string()) << "a file";
  const auto opened = StateDb::open(folder / "below");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, "STATE_UNWRITABLE");
  EXPECT_NE(opened.error().message.find(folder.string()), std::string::npos);
}

TEST(VpcBlob, OneOfSchema4IsRead) {
  auto wanted = testing::make_vpc("blue", 7001);
  wanted.policy = {testing::make_vpc_with_policy().policy[0]};
  wanted.policy_version = 9;
  EXPECT_EQ(parse_vpc_blob(schema_4::bytes_of(schema_4::kVpc)), wanted);
}

TEST(VpcBlob, EveryCutIsNoticed) {
  auto vpc = testing::make_vpc_with_policy();
  vpc.subnets[1].host_blocks = {IpRange::parse("", "2001:db8:1::8/125").value(),
                                IpRange::parse("", "2001:db8:1::20-2001:db8:1::21").value()};
  vpc.policy_groups = {{.id = dataplane::PolicyGroupId::trusted("web"), .rules = vpc.policy, .version = 200},
                       {.id = dataplane::PolicyGroupId::trusted("empty"), .rules = {}}};
  const std::string blob = format_vpc_blob(vpc);
  EXPECT_EQ(parse_vpc_blob(blob).value(), vpc);
  for (std::size_t size = 0; size < blob.size(); ++size)
    EXPECT_FALSE(parse_vpc_blob(std::string_view(blob).substr(0, size))) << size;
  EXPECT_FALSE(parse_vpc_blob(blob + "x"));
}

TEST(VpcBlob, APolicyVersionIsKept) {
  auto vpc = testing::make_vpc("blue", 7001);
  vpc.policy_version = 200;
  EXPECT_EQ(parse_vpc_blob(format_vpc_blob(vpc))->policy_version, 200);
}

}  // namespace
}  // namespace berth::agent
