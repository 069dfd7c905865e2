// A server of the bench as a child process: pinned to a core, its CPU time and memory read from outside.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

namespace berth::bench {

class ServerProcess {
 public:
  // Runs this program again as `bench_rpc --serve kind certificates`, on core 0 if there are two.
  ServerProcess(const std::string& kind, const std::string& certificates);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::uint16_t port() const { return port_; }
  double cpu_seconds() const;  // of all threads, so far
  double resident_kb() const;

 private:
  pid_t pid_ = -1;
  int input_ = -1;  // the server stops when this is closed
  std::uint16_t port_ = 0;
};

void pin_to_core(unsigned core);

// Puts this process and its children before the machine's other work, where that is allowed; until it is
// destroyed. Both servers and the client profit alike: what is measured is them and not their neighbours.
class RaisedPriority {
 public:
  RaisedPriority();
  ~RaisedPriority();
  RaisedPriority(const RaisedPriority&) = delete;
  RaisedPriority& operator=(const RaisedPriority&) = delete;

 private:
  int before_;          // of the process
  int session_before_;  // of its session: Linux shares the processor between sessions first (autogroup)
};

}  // namespace berth::bench
