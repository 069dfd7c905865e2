// bench_eswitch --json: every case of the software eSwitch beside Open vSwitch, in turns, one JSON object.
#pragma once

namespace berth::soft::bench {

// Exit code for main. Without Open vSwitch or root its figures are null, and stderr says so.
int compare_with_ovs();

}  // namespace berth::soft::bench
