// The way to one VM's monitor: where its socket is, who speaks next, and the connection while somebody
// needs one.
#pragma once

#include "base/async_mutex.h"
#include "base/ids.h"
#include "host/qemu/qmp_connection.h"

#include <chrono>
#include <memory>
#include <string>

namespace berth::host::qemu {

// `pattern` ("/run/berth/vm/{vm}/qmp.sock") with the VM's id in it. A well-formed id has no slash and does
// not begin with a dot, so that no path leaves the pattern's folder. INVALID_ARGUMENT: BAD_MONITOR_PATTERN
// (not absolute, or not exactly one {vm}), MALFORMED_ID, MONITOR_PATH_TOO_LONG (unix(7): 107 bytes).
Result<std::string> monitor_path(const std::string& pattern, const VmId& vm);

class VmMonitor {
 public:
  VmMonitor(asio::any_io_executor executor, std::string path)
      : executor_(executor), path_(std::move(path)), turn_(executor) {}

  // Whoever sends commands that belong together holds the lock.
  Task<AsyncMutex::Lock> lock() { return turn_.lock(); }

  // Under the lock. The connection that somebody has already, or a new one; errors of QmpConnection::open.
  Task<std::shared_ptr<QmpConnection>> connect(TaskGroup& readers, std::chrono::milliseconds wait);

 private:
  asio::any_io_executor executor_;
  std::string path_;
  AsyncMutex turn_;
  std::weak_ptr<QmpConnection> connection_;
};

}  // namespace berth::host::qemu
