#include "host/unix_sockets.h"

#include "tests/fakes/test_folder.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace berth::host {
namespace {

constexpr std::string_view kTable =
    "Num       RefCount Protocol Flags    Type St Inode Path\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 19001 /run/berth/vf0.sock\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 19002 /run/berth/vf0.sock\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 19003\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 19004 /run/berth/vf1 with spaces.sock\n";

TEST(UnixSockets, CountsConnectionsAndNotTheListener) {
  EXPECT_EQ(count_connections_in(kTable, "/run/berth/vf0.sock"), 1U);
  EXPECT_EQ(count_connections_in(kTable, "/run/berth/vf1 with spaces.sock"), 1U);
  EXPECT_EQ(count_connections_in(kTable, "/run/berth/vf"), 0U);
}

TEST(UnixSockets, SeesARealConnectionComeAndGo) {
  const testing::TestFolder folder("unix");
  const std::string path = folder / "listener.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, where, sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  EXPECT_EQ(count_connections(path).value(), 0U);
  const int client = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::connect(client, where, sizeof address), 0);
  const int accepted = ::accept(listener, nullptr, nullptr);
  EXPECT_EQ(count_connections(path).value(), 1U);
  ::close(accepted);
  EXPECT_EQ(count_connections(path).value(), 0U);
  ::close(client);
  ::close(listener);
}

}  // namespace
}  // namespace berth::host
