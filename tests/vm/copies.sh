# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about a second gateway, other, which has copies of the sessions of gw:
#
#	gw: sync0 192.0.2.129 --- other: sync0 192.0.2.130, in0, out0
#
# shellcheck source=tests/vm/agent.sh
. /lib/checks/agent.sh

in_other() { nsenter --net=/run/netns/other "$@"; }

make_other() {
    ip netns add other
    ip -n other link set lo up
    ip link add sync0 netns gw type veth peer name sync0 netns other
    for dev in in0 out0; do
        ip link add $dev netns other type veth peer name ${dev}p netns other
        ip -n other link set $dev up
        ip -n other link set ${dev}p up
    done
    ip -n gw addr add 192.0.2.129/30 dev sync0
    ip -n other addr add 192.0.2.130/30 dev sync0
    ip -n gw link set sync0 up
    ip -n other link set sync0 up
}

drop_other() {
    ip -n gw link del sync0
    ip netns del other
}

# configure_copies XDP_MODE NAME ADDR PEER: NAME tells what the gateways have of their own apart.
configure_copies() {
    cat <<CONFIGURATION
{
  "interfaces": { "inside": ["$inside"], "outside": ["$outside"] },
  "mappings": [ { "in": "10.0.0.0/18", "out": "1.1.1.0/30",
    "endpoint_independent": { "mapping": ["udp", "icmp"], "filtering": ["udp"] } } ],
  "replication": { "listen": "$3:9470", "peers": ["$4:9470"], "key_file": "$KEY", "min_age": 0 },
  "xdp_mode": "$1", "stages": $stages, "sweep_interval": 1,
  "control_socket": "/run/$2.sock", "pin_path": "/sys/fs/bpf/$2", "state_dir": "/tmp/state-$2"
}
CONFIGURATION
}

# What both say of each other, and their logs.
peers() {
    for name in agent other; do detnatctl -s /run/$name.sock peer list; done
    cat /tmp/agent.log /tmp/other.log
}

synchronised() { # NAME
    detnatctl -s "/run/$1.sock" -j peer list | tr -d ' \n\t' | grep '"state":"synchronised"'
}

# has_copy INSIDE_PORT OUTSIDE_PORT: a session of 10.0.0.2 at the other gateway.
has_copy() {
    detnatctl -s /run/other.sock -j session list 10.0.0.2 --all | tr -d ' \n\t' | sed 's/},{/}\n{/g' |
        grep "\"in_port\":$1,\"out_addr\":\"1.1.1.0\",\"out_port\":$2,\"ext_addr\":\"198.51.100.7\""
}

start_other() {
    nsenter --net=/run/netns/other detnat-agent -c /tmp/other.json >/tmp/other.out 2>/tmp/other.log &
    other=$!
    wait_for grep -q 'ready$' /tmp/other.out || { cat /tmp/other.out /tmp/other.log && return 1; }
}

stop_other() {
    kill -TERM "$other"
    wait "$other"
}

copies_part() {
    STATE=copies
    PATIENCE_MS=120000
    : >"$LOG"
    make_other
    ip -n net route replace 1.1.1.0/30 dev net0
    configure_copies none other 192.0.2.130 192.0.2.129 >/tmp/other.json
    configure_copies native agent 192.0.2.129 192.0.2.130 >$CONFIG
    check "the other gateway is ready" start_other
    check "the gateway is ready" start_agent
    if [ -n "$ready_ms" ]; then
        failed=0
        check "UDP of a bound port" expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:45012 $REFLECTOR 100
        check "echo" in_sub peer icmp 10.0.0.2:45013 $REFLECTOR
        check "the gateways are synchronised" wait_for synchronised agent
        check "in both directions" wait_for synchronised other
        check "the UDP session is copied" wait_for has_copy 45012 1066
        check "the ICMP session is copied" wait_for has_copy 45013 1067
        check "nothing is amiss at the other" detnatctl -s /run/other.sock check
        [ $failed = 0 ] || peers >&2
    else
        tail -n 50 /tmp/agent.log >&2
    fi
    check "the agent ends" stop_agent
    check "the other ends" stop_other
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    check "--detach of the other" in_other detnat-agent --detach -c /tmp/other.json
    drop_other
    rm -rf /tmp/state-*
    PATIENCE_MS=10000
}
