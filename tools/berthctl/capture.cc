#include "tools/berthctl/capture.h"

#include <memory>
#include <pcap/pcap.h>

#include <fmt/format.h>

namespace berth::ctl {

Result<std::string> read_capture(const std::string& file, std::size_t number) {
  char why[PCAP_ERRBUF_SIZE] = {};
  const std::unique_ptr<pcap_t, void (*)(pcap_t*)> capture(pcap_open_offline(file.c_str(), why), pcap_close);
  if (!capture) return fail(Code::kInvalidArgument, "BAD_CAPTURE", why);
  if (pcap_datalink(capture.get()) != DLT_EN10MB)
    return fail(Code::kInvalidArgument, "BAD_CAPTURE",
                fmt::format("{}: not a capture of Ethernet frames", file));
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  for (std::size_t seen = 0; seen < number; ++seen) {
    if (pcap_next_ex(capture.get(), &header, &bytes) != 1)
      return fail(Code::kNotFound, "NO_SUCH_FRAME", fmt::format("{} has {} frames", file, seen));
  }
  return std::string(reinterpret_cast<const char*>(bytes), header->caplen);
}

}  // namespace berth::ctl
