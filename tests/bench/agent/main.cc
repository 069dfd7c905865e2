// attach_load ENDPOINT CERTIFICATES: a VMaaS and a controller that do what standard input says, one command a
// line, and answer each with a line of JSON. The benches attach and restart speak with it.
//
//   push VPCS MAPPINGS VTEP      attach COUNT IN_FLIGHT      detach COUNT IN_FLIGHT      quit
#include "base/main_loop.h"
#include "base/task_group.h"
#include "tests/bench/agent/load.h"

#include <cstdio>
#include <sstream>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace berth::bench {
namespace {

std::string to_json(const Outcome& outcome) {
  std::string steps;
  for (const auto& [name, micros] : outcome.step_micros)
    steps += fmt::format("{}\"{}\": [{}]", steps.empty() ? "" : ", ", name, fmt::join(micros, ", "));
  return fmt::format("{{\"seconds\": {:.6f}, \"network_micros\": [{}], \"step_micros\": {{{}}}}}",
                     outcome.seconds, fmt::join(outcome.network_micros, ", "), steps);
}

Task<std::string> obey(Load& load, std::string line) {
  std::istringstream words(line);
  std::string command;
  words >> command;
  if (command == "push") {
    PushWanted wanted;
    words >> wanted.vpcs >> wanted.mappings >> wanted.vtep;
    const auto begun = std::chrono::steady_clock::now();
    const auto pushed = co_await load.push(wanted);
    if (!pushed) co_return pass(pushed);
    co_return fmt::format("{{\"seconds\": {:.6f}}}",
                          std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  }
  std::size_t count = 0;
  std::size_t in_flight = 1;
  words >> count >> in_flight;
  if (command == "attach") {
    const auto outcome = co_await load.attach(count, in_flight);
    if (!outcome) co_return pass(outcome);
    co_return to_json(*outcome);
  }
  if (command == "detach") {
    const auto outcome = co_await load.detach(count, in_flight);
    if (!outcome) co_return pass(outcome);
    co_return to_json(*outcome);
  }
  co_return fail(Code::kInvalidArgument, "", "no such command: " + line);
}

asio::awaitable<void> serve(Load& load, TaskGroup& tasks, int& exit_code) {
  asio::posix::stream_descriptor input(co_await asio::this_coro::executor, ::dup(STDIN_FILENO));
  std::string buffer;
  while (true) {
    const auto [error, size] =
        co_await asio::async_read_until(input, asio::dynamic_buffer(buffer), '\n', kAsTuple);
    if (error) break;
    std::string line = buffer.substr(0, size - 1);
    buffer.erase(0, size);
    if (line == "quit") break;
    const auto answer = co_await obey(load, std::move(line));
    if (!answer) {
      fmt::print(stderr, "attach_load: {}: {}\n", answer.error().reason, answer.error().message);
      exit_code = 1;
      break;
    }
    fmt::print("{}\n", *answer);
    std::fflush(stdout);
  }
  tasks.cancel();
  co_await tasks.join();
  co_await load.close();
}

int run(const LoadOptions& options) {
  asio::io_context io(1);
  Load load(io.get_executor(), options);
  TaskGroup tasks(io.get_executor());
  int exit_code = 0;
  tasks.spawn("watch", load.watch());
  run_to_end(io, serve(load, tasks, exit_code));
  return exit_code;
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "attach_load ENDPOINT CERTIFICATES\n");
    return 2;
  }
  return berth::bench::run({.endpoint = argv[1], .certificates = argv[2]});
}
