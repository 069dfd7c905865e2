#include "host/unix_sockets.h"

#include <array>
#include <fstream>
#include <sstream>

namespace berth::host {
namespace {

// net/unix/af_unix.c, unix_seq_show: Num RefCount Protocol Flags Type St Inode Path
constexpr std::size_t kStateColumn = 5;
constexpr std::size_t kPathColumn = 7;
constexpr std::string_view kConnected = "03";  // SS_CONNECTED, include/uapi/linux/net.h

}  // namespace

std::size_t count_connections_in(std::string_view table, std::string_view path) {
  std::size_t count = 0;
  std::istringstream lines{std::string(table)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::array<std::string, kPathColumn> columns;
    for (std::string& column : columns) words >> column;
    std::string name;
    std::getline(words >> std::ws, name);  // a path may have spaces
    if (columns[kStateColumn] == kConnected && name == path) ++count;
  }
  return count;
}

Result<std::size_t> count_connections(const std::string& path) {
  std::ifstream file("/proc/net/unix");
  std::ostringstream table;
  table << file.rdbuf();
  if (!file) return fail(Code::kUnavailable, "PROC_UNREADABLE", "cannot read /proc/net/unix");
  return count_connections_in(table.str(), path);
}

}  // namespace berth::host
