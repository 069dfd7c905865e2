// The system clock of one process, so many seconds ahead of the machine's: loaded with LD_PRELOAD, it stands
// before libc's functions. BERTH_CLOCK names a file of eight bytes, the offset; writing there lets the clock
// jump at once. Clocks that do not jump (CLOCK_MONOTONIC and its like) are left alone, and so are waits: the
// kernel's clock has not moved.
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

// LIFETIME: for as long as the process lives; made by the first call, which comes before there are threads.
const volatile std::int64_t* map_offset() {
  static constexpr std::int64_t kNone = 0;
  const char* path = std::getenv("BERTH_CLOCK");
  const int file = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return &kNone;
  void* mapped = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
  ::close(file);
  return mapped == MAP_FAILED ? &kNone : static_cast<const volatile std::int64_t*>(mapped);
}

std::int64_t offset() {
  static const volatile std::int64_t* const mapped = map_offset();
  return *mapped;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long failed = ::syscall(SYS_clock_gettime, clock, time);
  if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
  return static_cast<int>(failed);
}

int gettimeofday(timeval* time, void* zone) noexcept {
  const long failed = ::syscall(SYS_gettimeofday, time, zone);
  if (failed == 0) time->tv_sec += offset();
  return static_cast<int>(failed);
}

std::time_t time(std::time_t* result) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
