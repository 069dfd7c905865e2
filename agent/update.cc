#include "agent/update.h"

#include "agent/admission.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace berth::agent {
namespace {

std::string place(std::size_t number) {
  return fmt::format("attachment.interfaces[{}].interface", number);
}

Result<std::size_t> find_interface(const Attachment& attachment, const InterfaceChange& change,
                                   std::size_t number) {
  const auto found = std::ranges::find_if(attachment.interfaces, [&](const Interface& one) {
    return one.intent.vpc == change.vpc && one.intent.mac == change.mac;
  });
  if (found != attachment.interfaces.end())
    return static_cast<std::size_t>(std::distance(attachment.interfaces.begin(), found));
  return fail(Code::kNotFound, "INTERFACE_UNKNOWN",
              fmt::format("{}: {} has no interface {} in VPC {}", place(number), attachment.id, change.mac,
                          change.vpc));
}

InterfaceValues values_after(const InterfaceIntent& now, const InterfaceChange& change) {
  return {.rates = {.from_vm = change.rate_from_vm.value_or(now.rates.from_vm),
                    .to_vm = change.rate_to_vm.value_or(now.rates.to_vm)},
          .policy_groups = change.policy_groups.value_or(now.policy_groups)};
}

}  // namespace

Result<std::vector<std::optional<InterfaceValues>>> plan_update(const Attachment& attachment,
                                                                const UpdateIntent& intent) {
  if (intent.interfaces.empty())
    return fail_field("attachment.interfaces", "NO_INTERFACE", "an update names those that it changes");
  std::vector<std::optional<InterfaceValues>> planned(attachment.interfaces.size());
  for (std::size_t i = 0; i < intent.interfaces.size(); ++i) {
    const InterfaceChange& change = intent.interfaces[i];
    const auto index = find_interface(attachment, change, i);
    if (!index) return pass(index);
    if (planned[*index])
      return fail_field(place(i), "INTERFACE_TWICE",
                        fmt::format("{} in VPC {} is in the list twice", change.mac, change.vpc));
    InterfaceValues values = values_after(attachment.interfaces[*index].intent, change);
    const auto good = check_policy_groups(values.policy_groups, place(i) + ".policy_groups");
    if (!good) return pass(good);
    planned[*index] = std::move(values);
  }
  return planned;
}

}  // namespace berth::agent
