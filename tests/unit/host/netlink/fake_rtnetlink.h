// A kernel with one PF, ifindex 7, as far as rtnetlink shows its VFs. What it is asked for it does, unless
// told otherwise. Used in place of host::exchange.
#pragma once

#include "host/netlink/link_messages.h"
#include "host/netlink/nl_message.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <map>
#include <set>
#include <string>

#include <netlink/attr.h>

namespace berth::host {

struct FakeRtnetlink {
  std::map<std::uint32_t, VfInfo> vfs;
  std::map<int, int> refuses;  // attribute (IFLA_VF_MAC, ...) -> errno
  std::set<int> ignores;       // says yes, does nothing
  std::vector<int> was_asked;  // attributes, in order

  NlAnswer answer(const Bytes& request) {
    const auto type = structure_in<nlmsghdr>(request)->nlmsg_type;
    if (type == RTM_GETLINK) return {.error_number = 0, .words = {}, .messages = {link()}};
    NlAnswer answer;
    NlAttributes::of_message(request, sizeof(ifinfomsg))
        .nest(IFLA_VFINFO_LIST)
        .for_each(IFLA_VF_INFO, [&](NlAttributes::Span value) { set(NlAttributes(value), answer); });
    return answer;
  }

 private:
  template <typename T, typename Apply>
  void take(const NlAttributes& attributes, int type, NlAnswer& answer, Apply apply) {
    const auto value = attributes.find(type);
    if (!value) return;
    was_asked.push_back(type);
    if (const auto refused = refuses.find(type); refused != refuses.end()) {
      answer.error_number = refused->second;
    } else if (const auto content = structure_in<T>(*value); content && !ignores.contains(type)) {
      apply(vfs.at(content->vf), *content);
    }
  }

  void set(const NlAttributes& attributes, NlAnswer& answer) {
    take<ifla_vf_mac>(attributes, IFLA_VF_MAC, answer, [](VfInfo& vf, const ifla_vf_mac& value) {
      MacAddress mac;
      std::copy_n(value.mac, mac.bytes.size(), mac.bytes.begin());
      vf.settings.mac = mac;
    });
    take<ifla_vf_rate>(attributes, IFLA_VF_RATE, answer, [](VfInfo& vf, const ifla_vf_rate& value) {
      vf.settings.rate = VfRate{value.min_tx_rate, value.max_tx_rate};
    });
    take<ifla_vf_trust>(attributes, IFLA_VF_TRUST, answer, [](VfInfo& vf, const ifla_vf_trust& value) {
      vf.settings.is_trusted = value.setting != 0;
    });
    take<ifla_vf_spoofchk>(
        attributes, IFLA_VF_SPOOFCHK, answer,
        [](VfInfo& vf, const ifla_vf_spoofchk& value) { vf.settings.is_spoof_checked = value.setting != 0; });
    take<ifla_vf_guid>(attributes, IFLA_VF_IB_NODE_GUID, answer,
                       [](VfInfo& vf, const ifla_vf_guid& value) { vf.guids->node = value.guid; });
    take<ifla_vf_guid>(attributes, IFLA_VF_IB_PORT_GUID, answer,
                       [](VfInfo& vf, const ifla_vf_guid& value) { vf.guids->port = value.guid; });
  }

  template <typename T>
  static void put(const NlMessage& message, int type, const T& value) {
    nla_put(message.get(), type, sizeof value, &value);
  }

  Bytes link() const {
    ifinfomsg header{};
    header.ifi_index = 7;
    const NlMessage message = start_message(RTM_NEWLINK, NlFlags::kOne, std::as_bytes(std::span(&header, 1)));
    put_nest(message, IFLA_VFINFO_LIST, [&] {
      for (const auto& [number, vf] : vfs)
        put_nest(message, IFLA_VF_INFO, [&] { put_vf(message, number, vf); });
    });
    return finish_message(message);
  }

  static void put_vf(const NlMessage& message, std::uint32_t number, const VfInfo& vf) {
    const auto setting = [](std::optional<bool> value) { return value ? (*value ? 1U : 0U) : ~0U; };
    ifla_vf_mac mac{};
    mac.vf = number;
    std::ranges::copy(vf.settings.mac.value_or(MacAddress{}).bytes, mac.mac);
    put(message, IFLA_VF_MAC, mac);
    const auto rate = vf.settings.rate.value_or(VfRate{});
    put(message, IFLA_VF_RATE, ifla_vf_rate{number, rate.min_mbits, rate.max_mbits});
    put(message, IFLA_VF_SPOOFCHK, ifla_vf_spoofchk{number, setting(vf.settings.is_spoof_checked)});
    put(message, IFLA_VF_TRUST, ifla_vf_trust{number, setting(vf.settings.is_trusted)});
    if (!vf.guids) return;
    ifla_vf_guid guid{};
    guid.vf = number;
    guid.guid = vf.guids->node;
    put(message, IFLA_VF_IB_NODE_GUID, guid);
    guid.guid = vf.guids->port;
    put(message, IFLA_VF_IB_PORT_GUID, guid);
  }
};

}  // namespace berth::host
