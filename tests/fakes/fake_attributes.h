// What a PF keeps of its VFs, in memory.
#pragma once

#include "host/vf_attributes.h"

#include <map>
#include <utility>

namespace berth::testing {

class FakeAttributes : public host::VfAttributes {
 public:
  std::map<std::pair<host::PciAddress, std::uint16_t>, host::VfSettings> settings;
  bool refuses = false;

  Task<void> ensure(host::PciAddress pf, std::uint16_t vf, host::VfSettings wanted) override {
    if (refuses) co_return fail(Code::kFailedPrecondition, "VF_ATTRIBUTE_REFUSED", "told to refuse");
    host::VfSettings& now = settings[{pf, vf}];
    if (wanted.mac) now.mac = wanted.mac;
    if (wanted.rate) now.rate = wanted.rate;
    if (wanted.is_trusted) now.is_trusted = wanted.is_trusted;
    if (wanted.is_spoof_checked) now.is_spoof_checked = wanted.is_spoof_checked;
    co_return Result<void>();
  }
  Task<host::VfSettings> read(host::PciAddress pf, std::uint16_t vf) override {
    co_return settings[{pf, vf}];
  }
};

}  // namespace berth::testing
