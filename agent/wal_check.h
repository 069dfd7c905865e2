// Whether SQLite's write-ahead log is whole as far as it was committed. SQLite takes the first damaged frame
// for the place where a crash cut the log off, and forgets everything behind it, however much of that was
// committed: after a kill most of the database is in the log, and one bit could undo hundreds of intents.
// Pure: bytes in, a verdict out. Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
#pragma once

#include "base/error.h"

#include <string_view>

namespace berth::agent {

// `log`: the file's bytes; empty where there is none. DATA_LOSS (STATE_CORRUPT): something that was committed
// cannot be read. The last transaction may be damaged, as a crash leaves it: every commit is on the disk
// before the next one begins. Damage of an acknowledged last one, or of the frame header that ends the last
// but one, looks the same.
Result<void> check_wal(std::string_view log);

}  // namespace berth::agent
