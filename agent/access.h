// Who may call what: the one table. Roles come from the one URI SAN of the caller's certificate,
// spiffe://<trust domain>/<role>/<name>.
#pragma once

#include "base/error.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace berth::agent {

enum class Role : std::uint8_t { kVmaas, kController, kOperator };

// PERMISSION_DENIED (NO_ROLE) unless exactly one URI names a role of `trust_domain`.
Result<Role> role_of(std::span<const std::string> uri_sans, std::string_view trust_domain);

// `method` is "pkg.Service/Method". PERMISSION_DENIED (ROLE_MAY_NOT) when the role may not call it;
// methods that are not in the table nobody may call.
Result<void> authorize(Role role, std::string_view method);

}  // namespace berth::agent
