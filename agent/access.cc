#include "agent/access.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

namespace berth::agent {
namespace {

struct Entry {
  std::string_view method;
  bool vmaas;
  bool controller;
  bool operator_;
};

constexpr std::array kTable = {
    //                                                          vmaas  controller  operator
    Entry{"berth.northbound.v1.Attachments/AttachVm", /*        */ true, false, false},
    Entry{"berth.northbound.v1.Attachments/UpdateAttachment", /**/ true, false, false},
    Entry{"berth.northbound.v1.Attachments/DetachVm", /*        */ true, false, false},
    Entry{"berth.northbound.v1.Attachments/GetAttachment", /*   */ true, false, true},
    Entry{"berth.northbound.v1.Attachments/ListAttachments", /* */ true, false, true},
    Entry{"berth.northbound.v1.Attachments/GetOperation", /*    */ true, false, true},
    Entry{"berth.northbound.v1.Attachments/ListOperations", /*  */ true, false, true},
    Entry{"berth.northbound.v1.Attachments/WaitOperation", /*   */ true, false, true},
    Entry{"berth.northbound.v1.Attachments/CancelOperation", /* */ true, false, false},
    Entry{"berth.northbound.v1.Attachments/WatchOperations", /* */ true, false, true},
    Entry{"berth.northbound.v1.Attachments/GetCapacity", /*     */ true, false, true},
    Entry{"berth.northbound.v1.Inspection/ShowRules", /*        */ false, false, true},
    Entry{"berth.northbound.v1.Inspection/ShowAudit", /*        */ false, false, true},
    Entry{"berth.northbound.v1.Inspection/Explain", /*          */ false, false, true},
    Entry{"berth.northbound.v1.Inspection/ShowVpcs", /*         */ true, true, true},
    Entry{"berth.northbound.v1.Topology/GetTopology", /*        */ true, false, true},
    Entry{"berth.northbound.v1.Topology/PlanTopology", /*       */ true, false, true},
    Entry{"berth.southbound.v1.VpcControl/Sync", /*             */ false, true, false},
    Entry{"grpc.health.v1.Health/Check", /*                     */ true, true, true},
    Entry{"grpc.health.v1.Health/Watch", /*                     */ true, true, true},
    Entry{"grpc.reflection.v1.ServerReflection/ServerReflectionInfo", true, true, true},
    Entry{"grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", true, true, true},
};

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kVmaas:
      return "vmaas";
    case Role::kController:
      return "controller";
    case Role::kOperator:
      return "operator";
  }
  return "";
}

bool may(const Entry& entry, Role role) {
  switch (role) {
    case Role::kVmaas:
      return entry.vmaas;
    case Role::kController:
      return entry.controller;
    case Role::kOperator:
      return entry.operator_;
  }
  return false;
}

// "spiffe://berth.test/vmaas/region-1" -> vmaas
std::optional<Role> parse_role(std::string_view uri, std::string_view trust_domain) {
  const std::string prefix = fmt::format("spiffe://{}/", trust_domain);
  if (!uri.starts_with(prefix)) return std::nullopt;
  uri.remove_prefix(prefix.size());
  const auto slash = uri.find('/');
  if (slash == std::string_view::npos || slash + 1 == uri.size()) return std::nullopt;
  for (const Role role : {Role::kVmaas, Role::kController, Role::kOperator}) {
    if (uri.substr(0, slash) == name_of(role)) return role;
  }
  return std::nullopt;
}

}  // namespace

Result<Role> role_of(std::span<const std::string> uri_sans, std::string_view trust_domain) {
  std::optional<Role> role;
  if (uri_sans.size() == 1) role = parse_role(uri_sans.front(), trust_domain);
  if (!role) {
    return fail(
        Code::kPermissionDenied, "NO_ROLE",
        fmt::format("the certificate must carry exactly one URI, spiffe://{}/<role>/<name>, with role vmaas, "
                    "controller or operator",
                    trust_domain));
  }
  return *role;
}

Result<void> authorize(Role role, std::string_view method) {
  const auto entry = std::ranges::find(kTable, method, &Entry::method);
  if (entry == kTable.end() || !may(*entry, role)) {
    return fail(Code::kPermissionDenied, "ROLE_MAY_NOT",
                fmt::format("role {} may not call {}", name_of(role), method));
  }
  return {};
}

}  // namespace berth::agent
