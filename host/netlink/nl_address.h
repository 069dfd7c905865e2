// libnl's abstract addresses to ours and back.
#pragma once

#include "base/ip_address.h"
#include "base/mac_address.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include <netlink/addr.h>
#include <netlink/attr.h>

namespace berth::host {

using NlAddress = std::unique_ptr<nl_addr, void (*)(nl_addr*)>;

std::optional<IpAddress> to_ip_address(const nl_addr* address);
std::optional<IpAddress> to_ip_address(const nlattr* attribute);  // raw bytes, as in route messages
std::optional<IpAddress> to_ip_address(std::span<const std::byte> bytes);
std::optional<MacAddress> to_mac_address(const nl_addr* address);
NlAddress to_nl_address(const IpAddress& ip);

}  // namespace berth::host
