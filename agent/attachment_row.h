// An attachment as a row of the state database.
#pragma once

#include "agent/sqlite.h"
#include "agent/state_db.h"

namespace berth::agent {

extern const char* const kListAttachments;  // rows for read_attachment()
extern const char* const kPutAttachment;    // parameters of bind_attachment()

// DATA_LOSS (STATE_CORRUPT) for what berthd does not write.
Result<SavedAttachment> read_attachment(SqliteRow row);
void bind_attachment(SqliteStatement& statement, const SavedAttachment& saved);

}  // namespace berth::agent
