#include "eswitchd/open_eswitch.h"

#include "base/log.h"
#include "host/eswitch_nic.h"

namespace berth::eswitchd {

using dataplane::dpdk::EmbeddedEswitch;

namespace {

Result<std::unique_ptr<EmbeddedEswitch>> open_nic(const UnderlayConfig& underlay,
                                                  const EswitchConfig& eswitch) {
  const auto fit = host::check_nic_now({.pf = *eswitch.pci,
                                        .functions = eswitch.functions,
                                        .uplink = underlay.device,
                                        .has_dpdk_driver = !dataplane::dpdk::find_mlx5_driver().empty(),
                                        .hugepages_mib = dataplane::dpdk::kNicMemoryMib});
  if (!fit) return pass(fit);
  log_event(LogLevel::kWarning, "opening the eSwitch of a NIC: this has never been run on one",
            {{"pf", *eswitch.pci}, {"steering", eswitch.steering}});
  return EmbeddedEswitch::open_nic(dataplane::dpdk::nic_options(eswitch));
}

}  // namespace

Result<std::unique_ptr<EmbeddedEswitch>> open_eswitch(const UnderlayConfig& underlay,
                                                      const EswitchConfig& eswitch) {
  if (eswitch.pci) return open_nic(underlay, eswitch);
  const auto options = dataplane::dpdk::prepare_ports(underlay, eswitch);
  if (!options) return pass(options);
  return EmbeddedEswitch::open_soft(*options);
}

}  // namespace berth::eswitchd
