// The eSwitch that another process of this host holds (eswitch.proto, docs/rule-holder.md). run() keeps a
// session with it; without one every call fails at once with UNAVAILABLE (ESWITCH_AWAY).
#pragma once

#include "base/signal.h"
#include "dataplane/eswitch.h"
#include "rpc/channel.h"

#include <cstdint>
#include <optional>
#include <string>

namespace berth::dataplane::remote {

class RemoteEswitch : public Eswitch {
 public:
  // `socket` is a path; the process behind it must be of user `uid`.
  RemoteEswitch(asio::any_io_executor executor, const std::string& socket, std::uint32_t uid);

  // Says Hello, again and again, until cancelled.
  asio::awaitable<void> run();
  // Wakes when a session begins (epoch() is another one then) and when it ends or cannot begin.
  Signal& session_changed() { return session_changed_; }
  bool has_session() const { return session_.has_value(); }
  // Why there is none; only then.
  const Error& why_away() const { return why_away_; }
  // Of the holder; another one when it has started anew. 0: never heard of one.
  std::uint64_t instance() const { return instance_; }
  // Ends the connection. To be awaited before the loop ends, after run() has ended.
  asio::awaitable<void> close() { return channel_.close(); }

  // Whether what was under way when the session ended has happened is not known: read, then.
  Task<std::vector<Result<void>>> apply(std::vector<RuleChange> changes) override;
  Task<std::vector<HeldRule>> read_rules(RuleFilter which) override;
  Task<std::vector<RuleDigest>> read_digests() override;
  std::uint64_t epoch() const override { return epoch_; }
  Task<std::vector<PortState>> read_ports() override;
  Task<void> set_answers(EswitchPort port, std::optional<PortAnswers> answers) override;
  Task<std::vector<SlowPathState>> read_slow_path(std::optional<EswitchPort> port) override;
  Task<void> inject(std::vector<InjectedFrame> frames) override;

 private:
  asio::awaitable<Error> keep_session();
  Result<void> check_session() const;

  rpc::Channel channel_;
  std::optional<std::uint64_t> session_;
  std::uint64_t instance_ = 0;
  std::uint64_t epoch_ = 0;
  Error why_away_;
  Signal session_changed_;
};

}  // namespace berth::dataplane::remote
