// What controllers have told this host about VPCs, in the last push that was accepted as a whole.
#pragma once

#include "base/signal.h"
#include "dataplane/vpc_check.h"

#include <cstdint>
#include <memory>

namespace berth::agent {

class VpcStore {
 public:
  explicit VpcStore(asio::any_io_executor executor) : changed_(std::move(executor)) {}

  // False until a snapshot has been accepted: then nothing is known, not even that a VPC is absent.
  bool is_synced() const { return version_ != 0; }
  std::uint64_t version() const { return version_; }

  // nullptr when unknown. LIFETIME: until the next replace().
  const dataplane::Vpc* find(const VpcId& id) const {
    const auto found = vpcs_->find(id);
    return found == vpcs_->end() ? nullptr : found->second.get();
  }
  const dataplane::VpcSet& all() const { return *vpcs_; }
  std::shared_ptr<const dataplane::VpcSet> snapshot() const { return vpcs_; }

  void replace(std::shared_ptr<const dataplane::VpcSet> vpcs, std::uint64_t version) {
    vpcs_ = std::move(vpcs);
    version_ = version;
    changed_.notify_all();
  }
  // Wakes at every replace().
  Signal& changed() { return changed_; }

 private:
  std::shared_ptr<const dataplane::VpcSet> vpcs_ = std::make_shared<const dataplane::VpcSet>();
  std::uint64_t version_ = 0;
  Signal changed_;
};

}  // namespace berth::agent
