// Another program, run to its end: no shell, bounded in time and in what it may say.
#pragma once

#include "base/task.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace berth::host {

struct ChildOutcome {
  int exit_status = 0;
  std::string output;  // standard output; what it writes to standard error goes where ours does
};

// `command`: program with its path, and arguments. Whatever happens, the child and its children are dead when
// this ends.
//   NOT_FOUND           CHILD_NOT_STARTED
//   DEADLINE_EXCEEDED   CHILD_TIMED_OUT
//   RESOURCE_EXHAUSTED  CHILD_SAYS_TOO_MUCH: more than `most_bytes`
//   UNAVAILABLE         CHILD_KILLED: by a signal
Task<ChildOutcome> run_child(std::vector<std::string> command, std::chrono::milliseconds deadline,
                             std::size_t most_bytes = 1 << 20);

}  // namespace berth::host
