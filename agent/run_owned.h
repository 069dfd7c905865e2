// A workflow as a task of its own.
#pragma once

#include "base/task.h"

#include <memory>

namespace berth::agent {

// Owns the workflow for as long as it runs.
template <typename Workflow>
asio::awaitable<void> run_owned(std::unique_ptr<Workflow> workflow) {
  co_await workflow->run();
}

}  // namespace berth::agent
