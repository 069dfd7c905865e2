#include "host/qemu/vm_monitor.h"

#include <string_view>
#include <sys/un.h>
#include <utility>

#include <fmt/format.h>

namespace berth::host::qemu {

Result<std::string> monitor_path(const std::string& pattern, const VmId& vm) {
  constexpr std::string_view kPlace = "{vm}";
  const auto at = pattern.find(kPlace);
  if (!pattern.starts_with('/') || at == std::string::npos ||
      pattern.find(kPlace, at + 1) != std::string::npos)
    return fail(Code::kInvalidArgument, "BAD_MONITOR_PATTERN",
                fmt::format("\"{}\" must be absolute and have exactly one {{vm}}", pattern));
  const auto id = parse_id_text("vm", vm.str());
  if (!id) return pass(id);
  std::string path = pattern;
  path.replace(at, kPlace.size(), *id);
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return fail(Code::kInvalidArgument, "MONITOR_PATH_TOO_LONG",
                fmt::format("{} has {} bytes; a unix socket's path has at most {}", path, path.size(),
                            sizeof(sockaddr_un::sun_path) - 1));
  return path;
}

Task<std::shared_ptr<QmpConnection>> VmMonitor::connect(TaskGroup& readers, std::chrono::milliseconds wait) {
  auto connection = connection_.lock();
  if (connection && !connection->is_closed()) co_return connection;
  connection.reset();  // QEMU does not listen while it has a client
  auto opened = co_await QmpConnection::open(readers, executor_, path_, wait);
  if (opened) connection_ = *opened;
  co_return opened;
}

}  // namespace berth::host::qemu
