// Test-only: EAL once per process, without root, hugepages, sockets or files.
#pragma once

#include <string>
#include <vector>

namespace berth::soft::test {

// Aborts the test program when EAL does not start.
void start_eal();

}  // namespace berth::soft::test
