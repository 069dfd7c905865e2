// What controllers have told this host about VPCs, in the last push that was accepted as a whole.
#pragma once

#include "base/signal.h"
#include "dataplane/mapping_index.h"
#include "dataplane/vpc_check.h"

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace berth::agent {

class VpcStore {
 public:
  explicit VpcStore(asio::any_io_executor executor) : changed_(std::move(executor)) {}

  // False until a snapshot has been accepted: then nothing is known, not even that a VPC is absent.
  bool is_synced() const { return version_ != 0; }
  std::uint64_t version() const { return version_; }

  // nullptr when unknown. LIFETIME: until the next accept().
  const dataplane::Vpc* find(const VpcId& id) const { return find_in(*accepted_, id); }
  const dataplane::VpcSet& all() const { return *accepted_; }
  // Of a VPC that is known. LIFETIME: until the next accept().
  const dataplane::MappingIndex& mappings_of(const VpcId& id) const { return indexed_.at(id).mappings; }
  std::shared_ptr<const dataplane::VpcSet> snapshot() const { return accepted_; }

  // `vpcs` as they would follow the accepted ones: a VPC whose policy is another one gets the next number
  // for it (Vpc::policy_version), and so do its groups (PolicyGroup::version); unchanged VPCs are shared.
  std::shared_ptr<const dataplane::VpcSet> number(const dataplane::VpcSet& vpcs) const;

  // A push that is being programmed: the reconciler compiles it, nobody else sees it until accept().
  void stage(std::shared_ptr<const dataplane::VpcSet> vpcs) { staged_ = std::move(vpcs); }
  const dataplane::VpcSet& staged() const { return *staged_; }
  void unstage() { staged_ = accepted_; }
  const dataplane::Vpc* find_staged(const VpcId& id) const { return find_in(*staged_, id); }

  void accept(std::uint64_t version);
  // What a former process of ours had accepted.
  void restore(std::shared_ptr<const dataplane::VpcSet> vpcs, std::uint64_t version) {
    stage(std::move(vpcs));
    accept(version);
  }
  // Wakes at every accept().
  Signal& changed() { return changed_; }

 private:
  static const dataplane::Vpc* find_in(const dataplane::VpcSet& vpcs, const VpcId& id) {
    const auto found = vpcs.find(id);
    return found == vpcs.end() ? nullptr : found->second.get();
  }

  struct Indexed {
    explicit Indexed(std::shared_ptr<const dataplane::Vpc> of) : vpc(std::move(of)), mappings(*vpc) {}
    std::shared_ptr<const dataplane::Vpc> vpc;
    dataplane::MappingIndex mappings;
  };

  std::shared_ptr<const dataplane::VpcSet> accepted_ = std::make_shared<const dataplane::VpcSet>();
  std::shared_ptr<const dataplane::VpcSet> staged_ = accepted_;
  std::map<VpcId, Indexed> indexed_;  // the accepted ones
  std::uint64_t version_ = 0;
  Signal changed_;
};

}  // namespace berth::agent
