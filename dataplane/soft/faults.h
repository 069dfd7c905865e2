// Faults on request, to see what a control plane does when the NIC misbehaves.
//
// A program that has the switch linked in plans them by device name; testpmd and others by the device
// arguments fault_refuse=, fault_ignore=, fault_stall= and fault_reset=. Counting starts when the plan is
// set.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string_view>

namespace berth::soft {

struct FaultPlan {
  std::uint32_t refuse_create = 0;  // the n-th rule creation from now fails, 1 being the next; 0: none
  int refuse_errno = ENOMEM;
  std::uint32_t ignore_create = 0;  // the n-th rule from now is acknowledged and matches nothing; 0: none
  std::uint32_t stall_after = 0;    // after n more asynchronous operations no completion comes; 0: never
  std::uint32_t reset_after = 0;    // after n more rule creations the eSwitch resets; 0: never
};

class Faults {
 public:
  void plan(const FaultPlan& plan) {
    refuse_errno_ = plan.refuse_errno;
    refuse_create_ = plan.refuse_create;
    ignore_create_ = plan.ignore_create;
    stall_after_ = plan.stall_after;
    reset_after_ = plan.reset_after;
    is_stalled_ = false;
  }

  // Positive errno when this creation is the one to refuse, else 0.
  int on_create() { return reached(refuse_create_) ? refuse_errno_.load() : 0; }
  // True when this creation is the one to acknowledge and to forget.
  bool ignores_now() { return reached(ignore_create_); }
  // True when the eSwitch resets now: all rules are lost, nothing works until the proxy is restarted.
  bool resets_now() { return reached(reset_after_); }
  // Asked per asynchronous operation and per pull.
  void on_async() {
    if (reached(stall_after_)) is_stalled_ = true;
  }
  bool is_stalled() const { return is_stalled_; }

 private:
  static bool reached(std::atomic<std::uint32_t>& countdown) {
    return countdown.load(std::memory_order_relaxed) != 0 && countdown.fetch_sub(1) == 1;
  }

  std::atomic<std::uint32_t> refuse_create_ = 0;
  std::atomic<std::uint32_t> ignore_create_ = 0;
  std::atomic<std::uint32_t> stall_after_ = 0;
  std::atomic<std::uint32_t> reset_after_ = 0;
  std::atomic<int> refuse_errno_ = ENOMEM;
  std::atomic<bool> is_stalled_ = false;
};

// Of a net_berth device in this process; null when there is none of that name.
Faults* faults_of(std::string_view device);

}  // namespace berth::soft
