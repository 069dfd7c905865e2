#!/bin/bash
# The same job with OVN: a logical switch port is added and an interface bound to it, until OVN says that it is up.
#
#   ovn_attach.sh JOB...       one line of JSON for each, after one for what a client costs
#
#   alone:N     N attaches, one after the other: microseconds of each, from the call of ovn-nbctl to the moment when
#               the port is up in the northbound database
#   at_once:N   N ports in one transaction of each database, timed together
#
# Whatever was attached stays. Debian's OVN (ovn-central, ovn-host) on Open vSwitch's userspace datapath, one chassis
# in a network namespace of its own, databases in a folder that goes; nothing of the system's is touched.
#
# Interfaces (without a peer) are on the bridge before the clock runs, as Berth's functions are: an attach is lsp-add
# with addresses and port security, and the iface-id that binds the interface. Clients are the programs that OVN
# comes with; what starting one costs is told apart (`client`: microseconds of a command that changes nothing).
set -euo pipefail

dir=$(mktemp -d)
export OVN_RUNDIR=$dir OVN_LOGDIR=$dir OVN_DBDIR=$dir OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir
nb=unix:$dir/nb.sock sb=unix:$dir/sb.sock ovs=unix:$dir/ovs.sock

stop() {
  for file in "$dir"/*.pid; do
    kill "$(cat "$file" 2>/dev/null)" 2>/dev/null || true
  done
  for file in "$dir"/*.pid; do
    for _ in {1..60}; do
      kill -0 "$(cat "$file" 2>/dev/null)" 2>/dev/null || break
      sleep 0.05
    done
    kill -9 "$(cat "$file" 2>/dev/null)" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP PIPE

fail() { echo "ovn_attach.sh: $1" >&2; tail -n 3 "$dir"/*.log >&2 || true; exit 1; }
nbctl() { ovn-nbctl --db="$nb" --timeout=60 "$@"; }
vsctl() { ovs-vsctl --db="$ovs" --timeout=60 "$@"; }
now() { echo "${EPOCHREALTIME/./}"; }

database() {  # NAME SCHEMA
  ovsdb-tool create "$dir/$1.db" "$2"
  ovsdb-server "$dir/$1.db" --remote="punix:$dir/$1.sock" --pidfile="$dir/db-$1.pid" --unixctl="$dir/db-$1.ctl" \
    --log-file="$dir/db-$1.log" --detach 2>/dev/null || fail "no database $1"
}
database nb /usr/share/ovn/ovn-nb.ovsschema
database sb /usr/share/ovn/ovn-sb.ovsschema
database ovs /usr/share/openvswitch/vswitch.ovsschema
nbctl init
ovn-sbctl --db="$sb" init
ovn-northd --ovnnb-db="$nb" --ovnsb-db="$sb" --pidfile="$dir/northd.pid" --unixctl="$dir/northd.ctl" \
  --log-file="$dir/northd.log" --detach 2>/dev/null || fail "no ovn-northd"
vsctl --no-wait init
vsctl --no-wait set Open_vSwitch . external_ids:system-id=bench external_ids:ovn-remote="$sb" \
  external_ids:ovn-encap-type=geneve external_ids:ovn-encap-ip=127.0.0.1
unshare --net ovs-vswitchd "$ovs" --pidfile="$dir/vswitchd.pid" --unixctl="$dir/vswitchd.ctl" \
  --log-file="$dir/vswitchd.log" --detach 2>/dev/null || fail "no ovs-vswitchd"
vsctl add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure
ovn-controller "$ovs" --pidfile="$dir/controller.pid" --log-file="$dir/controller.log" \
  --detach 2>/dev/null || fail "no ovn-controller"

# Before the machine's other work, as the other side is: each daemon is a session of its own.
for file in "$dir"/*.pid; do
  renice -n -10 -p "$(cat "$file")" > /dev/null 2>&1 || true
  echo -10 > "/proc/$(cat "$file")/autogroup" 2>/dev/null || true
done

nbctl ls-add bench
total=0
for job in "$@"; do total=$((total + ${job#*:})); done
for ((vm = 0; vm < total; vm += 100)); do
  ports=()
  for ((i = vm; i < vm + 100 && i < total; ++i)); do
    ports+=(-- add-port br-int "vm-$i" -- set interface "vm-$i" type=internal)
  done
  vsctl "${ports[@]:1}"
done
next=0
# Adds to the arrays `logical` and `physical` what makes VM number $1.
describe() {
  local mac ip
  printf -v mac '02:20:00:00:%02x:%02x' $(($1 / 256)) $(($1 % 256))
  printf -v ip '10.%d.%d.%d' $(($1 / 65536)) $(($1 / 256 % 256)) $(($1 % 256))
  logical+=(-- lsp-add bench "vm-$1" -- lsp-set-addresses "vm-$1" "$mac $ip")
  logical+=(-- lsp-set-port-security "vm-$1" "$mac $ip")
  physical+=(-- set interface "vm-$1" "external_ids:iface-id=vm-$1")
}
attach() {  # COUNT: as many VMs, in one go
  local logical=() physical=() first=$next
  for ((; next < first + $1; ++next)); do describe "$next"; done
  nbctl "${logical[@]:1}"
  vsctl --no-wait "${physical[@]:1}"
  local up=()
  for ((vm = first; vm < next; ++vm)); do up+=(-- wait-until logical_switch_port "vm-$vm" up=true); done
  nbctl "${up[@]:1}"
}

one=$(now)
for _ in {1..20}; do nbctl get nb_global . _uuid > /dev/null; done
echo "{\"job\": \"client\", \"present\": 0, \"micros\": $((($(now) - one) / 20)), \"samples\": []}"

for job in "$@"; do
  present=$next
  count=${job#*:}
  samples=""
  begun=$(now)
  case $job in
    alone:*)
      for ((i = 0; i < count; ++i)); do
        one=$(now)
        attach 1
        samples+="${samples:+, }$(($(now) - one))"
      done ;;
    at_once:*) attach "$count" ;;
    *) fail "no such job: $job" ;;
  esac
  echo "{\"job\": \"$job\", \"present\": $present, \"micros\": $(($(now) - begun)), \"samples\": [$samples]}"
done
