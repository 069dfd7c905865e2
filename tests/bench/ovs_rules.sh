#!/bin/bash
# OpenFlow rules a second that Open vSwitch takes in one bundle: the yardstick of bench_rules.
#
#   ovs_rules.sh COUNT     prints rules per second, the median of three; needs Debian's openvswitch-switch
#
# The rules are what a VPC's mapping is there: match a destination, set tunnel key and end, output. A private
# instance with a database of its own, userspace datapath, no ports, no packets.
set -euo pipefail
readonly count=$1
vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
[[ -x $vswitchd ]] || vswitchd=/usr/sbin/ovs-vswitchd

dir=$(mktemp -d)
export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir
db=unix:$dir/db.sock
stop() {
  for daemon in ovs-vswitchd ovsdb-server; do
    [[ -s $dir/$daemon.pid ]] || continue
    pid=$(cat "$dir/$daemon.pid")
    kill "$pid" 2>/dev/null || true
    for _ in {1..60}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP PIPE

ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server "$dir/conf.db" --remote="punix:$dir/db.sock" --pidfile --detach --log-file 2>/dev/null
ovs-vsctl --db="$db" --no-wait init
unshare --net "$vswitchd" "$db" --pidfile="$dir/ovs-vswitchd.pid" --unixctl="$dir/ctl" --detach \
  --log-file="$dir/ovs-vswitchd.log" 2>/dev/null
ovs-vsctl --db="$db" --timeout=30 add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure
awk -v n="$count" 'BEGIN {
  for (i = 0; i < n; ++i) {
    printf "priority=10,ip,nw_dst=10.%d.%d.%d,actions=", int(i / 65536), int(i / 256) % 256, i % 256
    print "set_field:7001->tun_id,set_field:192.168.77.2->tun_dst,output:1"
  }
}' > "$dir/rules"
for _ in 1 2 3; do
  start=$(date +%s%N)
  ovs-ofctl --bundle add-flows "unix:$dir/br-int.mgmt" "$dir/rules"
  end=$(date +%s%N)
  echo $((count * 1000000000 / (end - start)))
  ovs-ofctl del-flows "unix:$dir/br-int.mgmt"
done | sort -n | sed -n 2p
