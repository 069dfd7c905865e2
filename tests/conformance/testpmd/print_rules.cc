// Prints every rule of a host as Berth would show it, for the port ids of soft_eswitch_test.py: the uplink
// is ethdev 3 and function n is ethdev 4 + n.
#include "dataplane/rule_text.h"
#include "tests/fakes/whole_host.h"

#include <set>

#include <fmt/format.h>

int main() {
  using namespace berth;
  const auto number_of = [](dataplane::EswitchPort port) {
    return static_cast<std::uint16_t>(3 + port.number());
  };
  std::set<dataplane::Meter> meters;
  for (const auto& rule : testing::whole_host(testing::make_vpc_with_policy())) {
    const auto& meter = rule.actions.meter;
    if (meter && meters.insert(*meter).second) fmt::print("{}", format_meter(*meter, number_of));
    fmt::print("{}\n", format_rule(rule, number_of));
  }
}
