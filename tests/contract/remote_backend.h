// A rule holder and its client on one loop, over a real unix socket.
#pragma once

#include "base/task_group.h"
#include "dataplane/remote/eswitch_service.h"
#include "dataplane/remote/remote_eswitch.h"
#include "rpc/server.h"
#include "tests/fakes/run_task.h"
#include "tests/fakes/test_folder.h"

#include <memory>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace berth::testing {

class RemoteBackend {
 public:
  RemoteBackend(asio::io_context& io, dataplane::Eswitch& held, std::string name)
      : io_(io),
        held_(held),
        folder_(name),
        socket_(folder_ / "eswitch.sock"),
        client(io.get_executor(), socket_, ::getuid()),
        client_tasks_(io.get_executor()) {
    start_holder(1000);
    client_tasks_.spawn("client", client.run());
    wait_for_session();
  }
  ~RemoteBackend() {
    run_until_done(io_, end(client_tasks_));
    run_until_done(io_, close(client));
    if (server_) stop_holder();
  }
  RemoteBackend(const RemoteBackend&) = delete;
  RemoteBackend& operator=(const RemoteBackend&) = delete;

  void start_holder(std::uint64_t instance) {
    const rpc::ServerOptions options{
        .listen = "unix:" + socket_, .only_uid = ::getuid(), .limits = {.drain = rpc::milliseconds(0)}};
    server_ = std::make_unique<rpc::Server>(io_.get_executor(), options);
    service_ = std::make_unique<dataplane::remote::EswitchService>(io_.get_executor(), held_, instance);
    service_->add_to(*server_);
    const auto complete = server_->require_complete(dataplane::remote::EswitchService::kName);
    EXPECT_TRUE(complete) << complete.error().message;
    const auto listening = server_->listen();
    EXPECT_TRUE(listening) << listening.error().message;
    server_tasks_ = std::make_unique<TaskGroup>(io_.get_executor());
    server_tasks_->spawn("server", server_->run());
  }
  void stop_holder() {
    run_until_done(io_, end(*server_tasks_));
    server_.reset();
    service_.reset();
  }
  void wait_for_session() {
    wait_until([this] { return client.has_session(); });
  }
  void wait_until(const std::function<bool()>& condition) { run_until_done(io_, wait_for(condition)); }
  const std::string& socket() const { return socket_; }

  // Cancelling is for the loop's own thread, while it runs: what Asio posts otherwise may come too late.
  static asio::awaitable<void> end(TaskGroup& tasks) {
    tasks.cancel();
    co_await tasks.join();
  }
  template <typename Closable>
  static asio::awaitable<void> close(Closable& closable) {
    co_await closable.close();
  }

 private:
  asio::awaitable<void> wait_for(std::function<bool()> condition) {
    while (!condition()) (void)co_await client.session_changed().wait();
  }

  asio::io_context& io_;
  dataplane::Eswitch& held_;
  TestFolder folder_;
  std::string socket_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<dataplane::remote::EswitchService> service_;
  std::unique_ptr<TaskGroup> server_tasks_;

 public:
  dataplane::remote::RemoteEswitch client;

 private:
  TaskGroup client_tasks_;
};

// The one backend of a contract suite. It ends with the last test: statics die later than the buffers that
// rpc/ keeps for its thread.
class SharedRemote : public ::testing::Environment {
 public:
  static RemoteBackend& instance(asio::io_context& io, dataplane::Eswitch& held, const std::string& name) {
    if (!backend()) backend() = std::make_unique<RemoteBackend>(io, held, name);
    return *backend();
  }
  void TearDown() override { backend().reset(); }

 private:
  static std::unique_ptr<RemoteBackend>& backend() {
    static std::unique_ptr<RemoteBackend> only;
    return only;
  }
};
[[maybe_unused]] inline const auto* const kSharedRemote =
    ::testing::AddGlobalTestEnvironment(new SharedRemote);  // gtest owns it

}  // namespace berth::testing
