#!/bin/bash
# CPU time of Open vSwitch's userspace datapath (DPDK) per packet: the yardstick of bench_eswitch.
#
#   ovs_eswitch.sh encap|decap FLOWS PCAP SECONDS    one line of JSON; needs root and 1200 MiB of free hugepages
#
# Same source (net_pcap, preloaded, replayed without end), same sink (net_null), one core. Open vSwitch does no
# more than VXLAN: one OpenFlow rule a destination (as a VPC's mappings are) for encapsulation, a single one for
# decapsulation. A private instance in a network namespace of its own; nothing
# of the system's is touched. What counts is the CPU time of the polling thread (its own cycle counters would
# count the time that other processes had the core).
set -euo pipefail
readonly case=$1 flows=$2 pcap=$3 seconds=$4
readonly vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk

dir=$(mktemp -d)
export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir
db=unix:$dir/db.sock

stop() {
  for daemon in ovs-vswitchd ovsdb-server; do
    [[ -s $dir/$daemon.pid ]] || continue
    pid=$(cat "$dir/$daemon.pid")
    kill "$pid" 2>/dev/null || true
    for _ in {1..100}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap stop EXIT

vsctl() { ovs-vsctl --db="$db" --timeout=30 "$@"; }

ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server "$dir/conf.db" --remote="punix:$dir/db.sock" --pidfile --detach --log-file 2>/dev/null
vsctl --no-wait init
vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:pmd-cpu-mask=0x2 \
  other_config:max-idle=600000 other_config:flow-limit=400000 other_config:min-revalidate-pps=0 \
  other_config:max-revalidator=10000 other_config:dpdk-socket-mem=1100 other_config:dpdk-extra="--no-pci --no-telemetry --file-prefix=berth-ovs"
unshare --net "$vswitchd" "$db" --pidfile="$dir/ovs-vswitchd.pid" --unixctl="$dir/ctl" --detach \
  --log-file="$dir/ovs-vswitchd.log" 2>"$dir/errors" || { cat "$dir/errors" "$dir/ovs-vswitchd.log" >&2; exit 1; }
pid=$(cat "$dir/ovs-vswitchd.pid")

vsctl add-br br-phy -- set bridge br-phy datapath_type=netdev other-config:hwaddr=02:aa:00:00:00:01 fail-mode=secure
vsctl add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure
vsctl add-port br-int vx -- set interface vx type=vxlan options:remote_ip=flow options:key=flow
source="net_pcap0,rx_pcap=$pcap,infinite_rx=1"
sink=net_null0,no-rx=1
if [[ $case == encap ]]; then vm=$source wire=$sink; else vm=$sink wire=$source; fi
nsenter -t "$pid" -n ip address add 192.168.77.1/24 dev br-phy
nsenter -t "$pid" -n ip link set br-phy up
ovs-appctl -t "$dir/ctl" tnl/neigh/set br-phy 192.168.77.2 02:aa:00:00:00:02 > /dev/null
vsctl add-port br-phy wire -- set interface wire type=dpdk options:dpdk-devargs="$wire"
vsctl add-port br-int vm -- set interface vm type=dpdk options:dpdk-devargs="$vm"
ovs-ofctl add-flow "unix:$dir/br-phy.mgmt" in_port=LOCAL,actions=output:wire
ovs-ofctl add-flow "unix:$dir/br-phy.mgmt" in_port=wire,actions=LOCAL
port=$(vsctl get interface vm ofport)
vx=$(vsctl get interface vx ofport)
awk -v n="$flows" -v port="$port" -v vx="$vx" 'BEGIN {
  for (i = 0; i < n; ++i) {
    printf "priority=10,in_port=%d,ip,nw_dst=10.%d.%d.%d,actions=", port, int(i / 65536), int(i / 256) % 256, i % 256
    printf "set_field:7001->tun_id,set_field:192.168.77.2->tun_dst,output:%d\n", vx
  }
}' > "$dir/rules"
ovs-ofctl --bundle add-flows "unix:$dir/br-int.mgmt" "$dir/rules"
ovs-ofctl add-flow "unix:$dir/br-int.mgmt" in_port=vx,tun_id=7001,actions=output:vm

out=$([[ $case == encap ]] && echo wire || echo vm)
sent() { vsctl get interface "$out" statistics:tx_packets; }
cpu() { cut -d' ' -f1 "/proc/$pid/task/$thread/schedstat"; }
thread=""
for task in /proc/"$pid"/task/*; do
  [[ $(cat "$task/comm") == pmd-c01* ]] && thread=$(basename "$task")
done
[[ -n $thread ]] || { echo "no polling thread: see $dir/ovs-vswitchd.log" >&2; tail -5 "$dir/ovs-vswitchd.log" >&2; exit 1; }

# Statistics in the database are refreshed every so often only; ask the datapath.
packets() {
  ovs-appctl -t "$dir/ctl" dpctl/show -s |
    awk -v port="$out" '$1 == "port" && $3 == port { found = 1 } found && /TX packets/ { sub("packets:", "", $2); print $2; exit }'
}
# Until every packet of the replay has its flow in the datapath: Open vSwitch raises its own limit from 10,000
# flows in small steps only. (The decapsulating rule makes one flow for all.)
installed() { ovs-appctl -t "$dir/ctl" upcall/show | sed -nE 's/.*current ([0-9]+).*/\1/p' | head -1; }
sleep 3
if [[ $case == encap ]]; then
  for _ in {1..60}; do
    (($(installed) < flows)) || break
    sleep 2
  done
  (($(installed) >= flows)) || echo "ovs_eswitch.sh: only $(installed) of $flows flows are installed" >&2
fi
cpu_before=$(cpu) packets_before=$(packets)
sleep "$seconds"
cpu_after=$(cpu) packets_after=$(packets)
count=$((packets_after - packets_before))
((count > 0)) || { echo "no packet came out" >&2; ovs-appctl -t "$dir/ctl" dpctl/show -s >&2; exit 1; }
awk -v ns="$((cpu_after - cpu_before))" -v n="$count" -v c="$case" \
  'BEGIN { printf "{\"case\":\"ovs_%s\",\"ns_per_packet\":%.1f}\n", c, ns / n }'
