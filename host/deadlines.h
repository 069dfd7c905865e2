// How long the kernel gets for each step of a function. Where the numbers come from is in docs/host.md.
#pragma once

#include <chrono>

namespace berth::host {

struct Deadlines {
  std::chrono::milliseconds attribute{10'000};       // driver_override, reset_method, config
  std::chrono::milliseconds create_vfs{120'000};     // sriov_numvfs
  std::chrono::milliseconds destroy_vfs{300'000};    // sriov_numvfs = 0: firmware takes its pages back
  std::chrono::milliseconds vfs_visible{120'000};    // all virtfn links
  std::chrono::milliseconds bind{10'000};            // unbind and probe, each
  std::chrono::milliseconds group_released{10'000};  // the VMM closes its files after it has let go
  std::chrono::milliseconds reset{65'000};           // Linux polls for 60 s after a function level reset
  std::chrono::milliseconds appear{30'000};          // a function that was hot-plugged
  std::chrono::milliseconds controller{30'000};      // one call of a DPU's controller
};

}  // namespace berth::host
