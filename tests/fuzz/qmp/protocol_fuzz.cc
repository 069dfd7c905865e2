// Plays a monitor that says whatever it likes, in pieces of any size: the first byte of the input is the
// size. Commands are asked as the plug asks them, so that replies can fit.
//
// Beside crashes it looks for broken promises: a connection that broke and goes on, replies to nothing.
#include "host/qemu/vm_tree.h"

#include <cstdlib>
#include <set>

namespace berth::host::qemu {
namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

void play(std::string_view input) {
  if (input.empty()) return;
  const std::size_t piece = std::max<std::size_t>(static_cast<unsigned char>(input.front()), 1);
  input.remove_prefix(1);
  QmpProtocol protocol("us");
  std::set<std::uint64_t> asked;
  while (!input.empty()) {
    const auto received = protocol.receive(input.substr(0, piece));
    input.remove_prefix(std::min(piece, input.size()));
    if (!received) {
      require(!received.error().reason.empty() && received.error().code == Code::kDataLoss);
      require(!protocol.receive("\n"));
      return;
    }
    while (const auto message = protocol.take()) {
      const auto* reply = std::get_if<QmpReply>(&*message);
      if (reply == nullptr) continue;
      require(asked.erase(reply->id) == 1);
      if (!reply->outcome) continue;
      (void)look_for(*reply->outcome, "berth-vf3", "rp1");
      if (const auto items = parse_qom_list(*reply->outcome)) {
        for (const QomItem& item : *items) require(!item.name.empty() && !is_before(item.name, item.name));
      }
    }
    if (protocol.is_ready() && asked.empty()) asked.insert(protocol.request("query-pci", {}));
    (void)protocol.take_output();
  }
}

}  // namespace
}  // namespace berth::host::qemu

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  berth::host::qemu::play({reinterpret_cast<const char*>(data), size});
  return 0;
}
