#include "tests/unit/soft/eal.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

namespace berth::soft::test {

void start_eal() {
  static const bool started = [] {
    std::vector<std::string> words{"test",
                                   "--no-huge",
                                   "-m",
                                   "192",
                                   "--no-pci",
                                   "--no-telemetry",
                                   "--no-shconf",
                                   "--lcores=0",
                                   "--log-level=lib.eal:warning",
                                   "--file-prefix=berth-" + std::to_string(getpid())};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
      std::fprintf(stderr, "EAL did not start: %s\n", rte_strerror(rte_errno));
      std::abort();
    }
    return true;
  }();
  (void)started;
}

}  // namespace berth::soft::test
