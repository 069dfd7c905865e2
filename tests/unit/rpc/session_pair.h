// A client and a server session connected by two strings instead of a network.
#pragma once

#include "rpc/core/session.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace berth::rpc::core {

// What Session::take() says, as one value.
struct Taken {
  Result<Next> next;
  std::string message;
};
inline Taken take(Session& session, StreamId id) {
  std::string message;
  auto next = session.take(id, message);
  return {.next = std::move(next), .message = std::move(message)};
}

struct SessionPair {
  explicit SessionPair(Limits limits = {}, Limits client_limits = {})
      : server(Role::kServer, limits, now), client(Role::kClient, client_limits, now) {}

  // Moves bytes until both sides have nothing to say. Returns what the server said when it gave up.
  Result<void> run() {
    Result<void> outcome;
    while (true) {
      std::string up;
      std::string down;
      EXPECT_TRUE(client.collect(up, 1 << 20));
      if (auto taken = feed(server, up); !taken && outcome) outcome = taken;
      EXPECT_TRUE(server.collect(down, 1 << 20));
      if (auto taken = feed(client, down); !taken && outcome) outcome = taken;
      for (const auto& event : server.take_events()) server_events.push_back(event);
      for (const auto& event : client.take_events()) client_events.push_back(event);
      if (up.empty() && down.empty()) return outcome;
    }
  }
  Result<void> feed(Session& to, const std::string& bytes) const {
    if (bytes.empty()) return {};
    return to.receive({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, now);
  }
  StreamId call(const RequestHead& head = {.method = "t.Echo/Say"}) {
    const auto id = client.start(head);
    EXPECT_TRUE(id);
    return id.value_or(0);
  }
  static bool has(const std::vector<Event>& events, Event::Kind kind, StreamId id) {
    return std::ranges::any_of(events, [&](const Event& e) { return e.kind == kind && e.stream == id; });
  }

  Time now = Time() + std::chrono::hours(1);
  Session server;
  Session client;
  std::vector<Event> server_events;
  std::vector<Event> client_events;
};

}  // namespace berth::rpc::core
