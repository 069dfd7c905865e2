// What a PF keeps of its VFs, through rtnetlink on the PF's network device. Works with every SR-IOV NIC;
// mlx5 in switchdev mode has MAC and rate and refuses the rest.
//
// Stateless but for the channel; what it says is what the kernel said just now.
#pragma once

#include "host/netlink/link_messages.h"
#include "host/netlink/netlink_channel.h"
#include "host/vf_attributes.h"

#include <chrono>
#include <filesystem>

namespace berth::host {

class NetlinkVfAttributes : public VfAttributes {
 public:
  // A firmware command of mlx5 may take up to a minute.
  static constexpr std::chrono::milliseconds kDeadline = std::chrono::seconds(60);

  // `root`: of the file system whose sysfs says which network device a PF has; tests have one of their own.
  explicit NetlinkVfAttributes(NetlinkChannel& channel, std::filesystem::path root = "/")
      : channel_(channel), root_(std::move(root)) {}

  Task<void> ensure(PciAddress pf, std::uint16_t vf, VfSettings settings) override;
  Task<VfSettings> read(PciAddress pf, std::uint16_t vf) override;

  // InfiniBand, same errors: node and port GUID. A VF reads them when its driver probes, or a guest resets
  // it.
  Task<void> ensure_guids(PciAddress pf, std::uint16_t vf, VfGuids guids);

 private:
  struct Vf {
    int ifindex;
    std::uint16_t number;
    std::string what;  // "VF 3 of 0000:3b:00.0"
  };
  Result<Vf> find(PciAddress pf, std::uint16_t vf) const;
  Task<VfInfo> read_info(Vf vf);
  Task<NlAnswer> ask(Bytes request, std::string what);

  NetlinkChannel& channel_;
  std::filesystem::path root_;
};

}  // namespace berth::host
