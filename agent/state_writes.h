// What the state database writes, inside of a transaction of its caller's. The tables are in state_db.cc.
#pragma once

#include "agent/sqlite.h"
#include "agent/state_db.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace berth::agent {

Result<void> write_attachment(SqliteDatabase& database, const SavedAttachment& saved);
Result<void> erase_attachment(SqliteDatabase& database, const AttachmentId& id, const Freed& freed);
// Returns the operation's revision.
Result<std::uint64_t> write_end(SqliteDatabase& database, const FinishedOperation& finished,
                                const AttachmentEnd& left, bool is_told);
// Those of `changed`, as they are in `vpcs`; the ones that are not there any more go.
Result<void> write_vpcs(SqliteDatabase& database, const dataplane::VpcSet& vpcs,
                        const std::set<VpcId>& changed, std::uint64_t version);
Result<void> write_next_hops(SqliteDatabase& database, const std::map<IpAddress, MacAddress>& next_hops);
// Which boot of the host `attachments`, and all the others, are of from now on.
Result<void> write_boot(SqliteDatabase& database, const std::string& boot,
                        const std::vector<SavedAttachment>& attachments);

}  // namespace berth::agent
