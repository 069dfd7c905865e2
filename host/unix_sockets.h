// Who is connected to a unix socket, as the kernel's own table (/proc/net/unix) tells. It lists the
// accepted end of every connection under the path that it was accepted on.
#pragma once

#include "base/error.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace berth::host {

// Connections to the listening stream socket at `path`, in this process's network namespace.
// UNAVAILABLE when the table cannot be read.
Result<std::size_t> count_connections(const std::string& path);

// The same on the text of the table.
std::size_t count_connections_in(std::string_view table, std::string_view path);

}  // namespace berth::host
