#!/bin/bash
# CPU time of Open vSwitch's userspace datapath (DPDK) per packet: the yardstick of bench_eswitch.
#
#   ovs_eswitch.sh encap|decap FLOWS RULES PCAP SECONDS ROUNDS [COMMAND...]
#
# Five lines of JSON a round; needs root and 1100 MiB of free hugepages. COMMAND, if any, is run between rounds, with
# Open vSwitch stopped meanwhile: that is how two switches are measured side by side on one core.
#
# Same source (net_pcap, preloaded, replayed without end), same sink (net_null), one core. Open vSwitch does no more
# than VXLAN: br-int has the VM and a tunnel port, br-phy the wire; neighbours are given instead of asked for.
# RULES is how many OpenFlow rules encapsulate: one a destination (as a VPC's mappings are), or 1 for all of them.
# Its exact-match cache is on (as by default) where it can hold the flows, and off where it cannot, which is then
# faster; the signature cache is off, being slower in all cases. (Debian's build has no AVX-512 lookup. OVS_OPTIONS
# has more `other_config` settings, to try.) The clock starts when every flow of the replay is in the datapath.
#
# A private instance with a database and a network namespace of its own; nothing of the system's is touched. What
# counts is the CPU time of the polling thread: its own cycle counters would count the time that other processes
# had the core.
set -euo pipefail
pcap=$(realpath "$4")  # the daemon has another directory
readonly case=$1 flows=$2 rules=$3 pcap seconds=$5 rounds=$6
shift 6
readonly samples=5
readonly vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk

dir=$(mktemp -d)
export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir
db=unix:$dir/db.sock

stop() {
  for daemon in ovs-vswitchd ovsdb-server; do
    [[ -s $dir/$daemon.pid ]] || continue
    pid=$(cat "$dir/$daemon.pid")
    kill -CONT "$pid" 2>/dev/null || true
    kill "$pid" 2>/dev/null || true
    for _ in {1..60}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP PIPE

fail() { echo "ovs_eswitch.sh: $1" >&2; tail -5 "$dir/ovs-vswitchd.log" >&2; exit 1; }
vsctl() { ovs-vsctl --db="$db" --timeout=30 "$@"; }
appctl() { ovs-appctl -t "$dir/ctl" "$@"; }

emc_entries=8192  # of a polling thread
insert=$((flows <= emc_entries ? 100 : 0))  # one packet in so many; 0: never
core=$(($(nproc) > 1 ? 1 : 0))
ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server "$dir/conf.db" --remote="punix:$dir/db.sock" --pidfile --detach --log-file 2>/dev/null
vsctl --no-wait init
# Flows stay; the limit, which Open vSwitch raises by 1000 each time that it has looked through them, soon suffices.
vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:pmd-cpu-mask="$(printf '0x%x' $((1 << core)))" \
  other_config:max-idle=600000 other_config:flow-limit=200000 other_config:max-revalidator=100 \
  other_config:dpdk-socket-mem=1000 other_config:dpdk-extra="--in-memory --no-pci --no-telemetry" \
  other_config:emc-insert-inv-prob="$insert" ${OVS_OPTIONS-}
unshare --net "$vswitchd" "$db" --pidfile="$dir/ovs-vswitchd.pid" --unixctl="$dir/ctl" --detach \
  --log-file="$dir/ovs-vswitchd.log" 2>"$dir/errors" || { cat "$dir/errors" >&2; fail "it does not start"; }
pid=$(cat "$dir/ovs-vswitchd.pid")

vsctl add-br br-phy -- set bridge br-phy datapath_type=netdev other-config:hwaddr=02:aa:00:00:00:01 fail-mode=secure
vsctl add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure
vsctl add-port br-int vx -- set interface vx type=vxlan options:remote_ip=flow options:key=flow
source="net_pcap0,rx_pcap=$pcap,infinite_rx=1"
sink=net_null0,no-rx=1
if [[ $case == encap ]]; then vm=$source wire=$sink out=wire; else vm=$sink wire=$source out=vm; fi
nsenter -t "$pid" -n ip address add 192.168.77.1/24 dev br-phy
nsenter -t "$pid" -n ip link set br-phy up
appctl tnl/neigh/set br-phy 192.168.77.2 02:aa:00:00:00:02 > /dev/null

# Rules first, packets then: nothing has to be looked at again.
port=10 vx=$(vsctl get interface vx ofport)
ovs-ofctl add-flow "unix:$dir/br-phy.mgmt" in_port=LOCAL,actions=output:1
ovs-ofctl add-flow "unix:$dir/br-phy.mgmt" in_port=1,actions=LOCAL
tunnel="set_field:7001->tun_id,set_field:192.168.77.2->tun_dst,output:$vx"
if ((rules == 1)); then
  echo "priority=10,in_port=$port,ip,actions=$tunnel" > "$dir/rules"
else
  awk -v n="$rules" -v port="$port" -v tunnel="$tunnel" 'BEGIN {
    for (i = 0; i < n; ++i)
      printf "priority=10,in_port=%d,ip,nw_dst=10.%d.%d.%d,actions=%s\n", port, int(i / 65536), int(i / 256) % 256, i % 256, tunnel
  }' > "$dir/rules"
fi
ovs-ofctl --bundle add-flows "unix:$dir/br-int.mgmt" "$dir/rules"
ovs-ofctl add-flow "unix:$dir/br-int.mgmt" "in_port=$vx,tun_id=7001,actions=output:$port"
vsctl add-port br-phy wire -- set interface wire type=dpdk ofport_request=1 options:dpdk-devargs="$wire"
vsctl add-port br-int vm -- set interface vm type=dpdk "ofport_request=$port" options:dpdk-devargs="$vm"
for interface in vm wire; do
  [[ $(vsctl get interface $interface error) == "[]" ]] || fail "no port $interface"
done

thread=""
for task in /proc/"$pid"/task/*; do
  [[ $(cat "$task/comm") == pmd-c0$core* ]] && thread=$(basename "$task")
done
[[ -n $thread ]] || fail "no polling thread"
cpu() { cut -d' ' -f1 "/proc/$pid/task/$thread/schedstat"; }
# Statistics in the database are refreshed every so often only; ask the datapath.
packets() {
  appctl dpctl/show -s |
    awk -v port="$out" '$1 == "port" && $3 == port { found = 1 } found && /TX packets/ { sub("packets:", "", $2); print $2; exit }'
}
installed() { appctl upcall/show | sed -nE 's/.*current ([0-9]+).*/\1/p' | head -1; }

sleep 1
wanted=1
if [[ $case == encap ]]; then wanted=$rules; fi
# Until every flow is in the datapath. Then it is not looked through any more: if it were stopped in the middle of
# that, Open vSwitch would believe itself slow, lower its own limit, and throw flows out.
is_settled=0
settle() {
  ((is_settled == 0 || $(installed) < wanted)) || return 0
  is_settled=1
  vsctl --no-wait set Open_vSwitch . other_config:max-revalidator=100
  for _ in {1..180}; do
    (($(installed) < wanted)) || break
    sleep 0.5
  done
  (($(installed) >= wanted)) || fail "only $(installed) of $wanted flows are installed"
  vsctl --no-wait set Open_vSwitch . other_config:max-revalidator=600000
  sleep 2  # the exact-match cache takes one packet in a hundred in
}
for ((round = 0; round < rounds; ++round)); do
  settle
  # Short samples, as the other side takes them: what counts is their median.
  for ((sample = 0; sample < samples; ++sample)); do
    cpu_before=$(cpu) packets_before=$(packets)
    sleep "$(awk -v s="$seconds" -v n="$samples" 'BEGIN { print s / n }')"
    cpu_after=$(cpu) packets_after=$(packets)
    count=$((packets_after - packets_before))
    ((count > 0)) || fail "no packet came out"
    awk -v ns="$((cpu_after - cpu_before))" -v n="$count" -v c="$case" -v flows="$flows" -v rules="$rules" \
      'BEGIN { printf "{\"case\":\"ovs_%s\",\"flows\":%d,\"rules\":%d,\"ns_per_packet\":%.1f}\n", c, flows, rules, ns / n }'
  done
  if (($# > 0)); then
    kill -STOP "$pid"
    "$@" || fail "$1 failed"
    kill -CONT "$pid"
    sleep 0.5  # what had been cached is warm again
  fi
done
