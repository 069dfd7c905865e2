// A monitor serves one program at a time, and few more may wait for it.
#include "host/qemu/qmp_connection.h"
#include "tests/fakes/run_task.h"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace berth::testing {
namespace {

using host::qemu::QmpConnection;
using namespace std::chrono_literals;

class QmpQueue : public ::testing::Test {
 protected:
  QmpQueue() { fill(); }
  ~QmpQueue() override {
    for (const int waiting : waiting_) ::close(waiting);
    std::filesystem::remove(path_);
  }

  // Others wait until there is no place left.
  void fill() {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    while (true) {
      const int waiting = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
      waiting_.push_back(waiting);
      if (::connect(waiting, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) continue;
      ASSERT_EQ(errno, EAGAIN);
      return;
    }
  }
  // The monitor takes all that wait, greets each, and agrees to what the last one says.
  asio::awaitable<void> serve() {
    while (true) {
      served_.push_back(co_await listener_.async_accept(asio::use_awaitable));
      co_await say(R"({"QMP": {"version": {}, "capabilities": []}})");
      if (served_.size() < waiting_.size()) continue;
      std::array<char, 1024> asked;
      const auto size = co_await served_.back().async_read_some(asio::buffer(asked), asio::use_awaitable);
      const auto command = boost::json::parse(std::string_view(asked.data(), size)).as_object();
      co_await say(boost::json::serialize(
          boost::json::object{{"return", boost::json::object()}, {"id", command.at("id")}}));
    }
  }
  asio::awaitable<void> say(std::string line) {
    line += "\r\n";
    co_await asio::async_write(served_.back(), asio::buffer(line), asio::use_awaitable);
  }
  Result<std::shared_ptr<QmpConnection>> open(std::chrono::milliseconds wait) {
    return run_until_done(io, QmpConnection::open(readers, io.get_executor(), path_, wait));
  }

  const std::string path_ =
      std::filesystem::temp_directory_path() / fmt::format("berth-qmp-queue-{}.sock", ::getpid());
  asio::io_context io;
  TaskGroup readers{io.get_executor()};
  asio::local::stream_protocol::acceptor listener_ = [this] {
    asio::local::stream_protocol::acceptor listener(io);
    listener.open();
    listener.bind(path_);
    listener.listen(0);
    return listener;
  }();
  std::vector<int> waiting_;
  std::vector<asio::local::stream_protocol::socket> served_;
};

TEST_F(QmpQueue, OneThatStaysFullIsNotTakenForAMonitorThatHungUp) {
  const auto opened = open(100ms);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, "VMM_UNREACHABLE");
  run_until_done(io, readers.join());
}

TEST_F(QmpQueue, APlaceThatGetsFreeIsTaken) {
  TaskGroup monitor(io.get_executor());
  asio::steady_timer later(io, 50ms);
  later.async_wait([&](boost::system::error_code) { monitor.spawn("monitor", serve()); });
  auto opened = open(5s);
  ASSERT_TRUE(opened) << opened.error().message;
  opened->reset();
  const auto end = [](TaskGroup& tasks) -> asio::awaitable<void> {
    tasks.cancel();
    co_await tasks.join();
  };
  run_until_done(io, end(monitor));
  run_until_done(io, readers.join());
}

}  // namespace
}  // namespace berth::testing
