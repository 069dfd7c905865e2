// How berthctl reaches an agent: one channel, one coroutine at a time, and a printed error when it
// fails. Exit codes: 0 done, 1 the agent said no or is not there, 2 wrong usage.
#pragma once

#include "base/main_loop.h"
#include "rpc/channel.h"

#include <cstdio>
#include <string>

#include <boost/asio/io_context.hpp>

namespace berth::ctl {

struct Target {
  std::string endpoint = "127.0.0.1:7443";
  std::string certificate;
  std::string private_key;
  std::string trusted_ca;
  bool json = false;
};

// Message, code, reason and every field violation, on standard error.
void print_error(const Error& error);

// Runs `command(channel)`, a Task<void>, to its end; returns the exit code.
template <typename Command>
int run_command(const Target& target, Command command) {
  asio::io_context io(1);
  rpc::Channel channel(io.get_executor(), {.endpoints = {target.endpoint},
                                           .tls = {.certificate = target.certificate,
                                                   .private_key = target.private_key,
                                                   .trusted_ca = target.trusted_ca}});
  const auto whole = [&]() -> Task<void> {
    auto outcome = co_await command(channel);
    co_await channel.close();
    co_return outcome;
  };
  const auto outcome = run_to_end(io, whole());
  if (outcome) return 0;
  print_error(outcome.error());
  return 1;
}

}  // namespace berth::ctl
