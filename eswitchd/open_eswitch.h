// The eSwitch of this host in this process, as section "eswitch" of the configuration wants it: the software
// one, or that of a NIC, which is looked at first. For both programs that can hold it, berth-eswitchd and
// berthd.
#pragma once

#include "base/eswitch_config.h"
#include "dataplane/dpdk/embedded_eswitch.h"

#include <memory>

namespace berth::eswitchd {

// Once per process, before anything else of it runs. Errors of host::check_nic(), prepare_ports() and
// EmbeddedEswitch's.
Result<std::unique_ptr<dataplane::dpdk::EmbeddedEswitch>> open_eswitch(const UnderlayConfig& underlay,
                                                                       const EswitchConfig& eswitch);

}  // namespace berth::eswitchd
