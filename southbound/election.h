// Which of several controllers may push. The highest election id wins; the same controller may come
// back with the same id (a reconnect) and then replaces its old session.
#pragma once

#include "base/ids.h"

#include <cstdint>

namespace berth::southbound {

class Election {
 public:
  using SessionId = std::uint64_t;

  SessionId new_session() { return ++last_session_; }

  // True when the session is primary now.
  bool stand(SessionId session, const ControllerId& controller, std::uint64_t election_id) {
    const bool wins = election_id > highest_ || (election_id == highest_ && controller == controller_);
    if (wins) {
      highest_ = election_id;
      controller_ = controller;
      primary_ = session;
    }
    return wins;
  }
  // A session that ended leaves the election id standing: an older controller must not slip in.
  void leave(SessionId session) {
    if (primary_ == session) primary_ = 0;
  }
  bool is_primary(SessionId session) const { return primary_ == session; }
  std::uint64_t highest() const { return highest_; }

 private:
  SessionId last_session_ = 0;
  SessionId primary_ = 0;  // 0: nobody
  std::uint64_t highest_ = 0;
  ControllerId controller_;
};

}  // namespace berth::southbound
