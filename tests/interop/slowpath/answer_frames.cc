// A gateway on a pipe, for tests in other languages: reads frames from its standard input and writes what the
// responder says of each to its standard output, until the input ends. The VM is that of
// tests/fakes/port_answers.h.
//
//   in   kind (1 byte: 'f' a frame, 't' a frame that is too big), length (2 bytes), frame
//   out  outcome (1 byte of length, name), length (2 bytes), reply; length 0 is silence
#include "dataplane/slowpath/responder.h"
#include "tests/fakes/port_answers.h"

#include <cstdio>
#include <vector>

namespace berth::dataplane::slowpath {
namespace {

bool read_exactly(std::span<std::uint8_t> bytes) {
  return std::fread(bytes.data(), 1, bytes.size(), stdin) == bytes.size();
}

void write(std::span<const std::uint8_t> bytes) {
  (void)std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

int serve() {
  const EswitchPort port = EswitchPort::function(0);
  Responder responder(2, {.frames = {.per_second = 1'000'000, .burst = 1'000'000}, .errors = {}});
  if (!responder.set_answers(port, testing::make_answers(), std::chrono::steady_clock::now())) return 1;
  std::vector<std::uint8_t> frame;
  std::vector<std::uint8_t> reply(kMaxReplyBytes);
  std::array<std::uint8_t, 3> head{};
  while (read_exactly(head)) {
    frame.resize(static_cast<std::size_t>(head[1] << 8 | head[2]));
    if (!read_exactly(frame)) return 1;
    const auto now = std::chrono::steady_clock::now();
    const Answer answer = head[0] == 't' ? responder.answer_too_big(port, frame, now, reply)
                                         : responder.answer(port, frame, now, reply);
    const std::string_view outcome = outcome_name(answer.outcome);
    write({{static_cast<std::uint8_t>(outcome.size())}});
    write({reinterpret_cast<const std::uint8_t*>(outcome.data()), outcome.size()});
    write({{static_cast<std::uint8_t>(answer.size >> 8), static_cast<std::uint8_t>(answer.size)}});
    write(std::span(reply).first(answer.size));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace berth::dataplane::slowpath

int main() {
  return berth::dataplane::slowpath::serve();
}
