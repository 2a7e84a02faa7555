# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The checks, run inside the guest (busybox sh). stdout: a line "ok NAME" or "not ok NAME" a check, and "# …" for
# information; stderr: the console.
#
#	sub: subscribers 10.0.0.2, .3, .4 --- gw: 10.0.0.1, 198.51.100.1 --- net: 198.51.100.7
#
# 10.0.0.0/18 is mapped to 1.1.1.0/30, so 15 ports a host: 10.0.0.2 owns 1.1.1.0:1054-1068, 10.0.0.3 has 1069-1083, and a
# session's first choice is the first of them plus the inside port modulo 15.

LOG=/tmp/seen.log
CONFIG=/tmp/detnat.json
REFLECTOR=198.51.100.7:7
stages=1 # of the datapath, see detnat.json(5)
inside=in0 outside=out0 # interfaces in the configuration
STATE=none # what the checks are about: "redirect native" and so on

# busybox prefers its own applets to what is on PATH.
ip() { /usr/bin/ip "$@"; }
# Not for what runs in the background: $! would be a shell's.
in_sub() { nsenter --net=/run/netns/sub "$@"; }
in_gw() { nsenter --net=/run/netns/gw "$@"; }
in_net() { nsenter --net=/run/netns/net "$@"; }
uptime_ms() { # /proc/uptime has hundredths of a second
    read -r up _ </proc/uptime
    echo "${up%.*}${up#*.}0"
}

# Waits up to 10 s for a command to succeed.
wait_for() {
    deadline=$(($(uptime_ms) + 10000))
    until "$@" >/dev/null 2>&1; do
        [ "$(uptime_ms)" -lt $deadline ] || return 1
        usleep 20000
    done
}

# check NAME COMMAND…: one line of result. The command runs in this shell. The output of a failing command goes to the console.
check() {
    name=$1
    shift
    echo "$(uptime_ms) ms: $STATE: $name" >&2
    if "$@" >/tmp/said 2>&1; then
        echo "ok $STATE: $name"
    else
        echo "not ok $STATE: $name"
        echo "--- $STATE: $name: $* said:" >&2
        tail -n 40 /tmp/said >&2
        failed=1
    fi
}

# expect WANTED COMMAND…: the command's output is exactly that.
expect() {
    wanted=$1
    shift
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] || {
        echo "wanted '$wanted', got '$got'"
        return 1
    }
}

# ---- the network ----

ethernet() { # NAMESPACE DEVICE ADDRESS…
    ns=$1 dev=$2
    shift 2
    for addr; do ip -n "$ns" addr add "$addr" dev "$dev"; done
    ip -n "$ns" link set "$dev" up
    # Complete checksums, as on a wire; and a veth accepts redirected frames only if its peer has GRO on.
    nsenter --net="/run/netns/$ns" ethtool -K "$dev" tx off gro on >&2
}

make_network() {
    for ns in sub gw net; do
        ip netns add $ns
        ip -n $ns link set lo up
    done
    ip link add sub0 netns sub type veth peer name in0 netns gw
    ip link add net0 netns net type veth peer name out0 netns gw
    ethernet sub sub0 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18
    ethernet gw in0 10.0.0.1/18
    ethernet gw out0 198.51.100.1/24
    ethernet net net0 198.51.100.7/24
    ip -n sub route add default via 10.0.0.1
    in_gw sysctl -qw net.ipv4.ip_forward=1
    nsenter --net=/run/netns/net peer reflect 7 $LOG &
    wait_for grep -q ready $LOG
}

# ---- the agent ----

configure() { # FORWARDING MODE QUOTA
    cat >$CONFIG <<CONFIGURATION
{
  "interfaces": { "inside": ["$inside"], "outside": ["$outside"] },
  "mappings": [ { "in": "10.0.0.0/18", "out": "1.1.1.0/30" } ],
  "forwarding": "$1", "xdp_mode": "$2", "stages": $stages, "sessions_per_user": $3, "sweep_interval": 1,
  "control_socket": "/run/agent.sock", "state_dir": "/tmp/state"
}
CONFIGURATION
}

start_agent() {
    ready_ms=
    rm -f /tmp/agent.out
    began=$(uptime_ms)
    nsenter --net=/run/netns/gw detnat-agent -c $CONFIG >/tmp/agent.out 2>/tmp/agent.log 5>&- &
    agent=$!
    until grep -qs 'ready$' /tmp/agent.out; do
        if [ $(($(uptime_ms) - began)) -gt 120000 ] || ! kill -0 $agent 2>/dev/null; then
            cat /proc/$agent/stack /tmp/agent.out /tmp/agent.log
            kill -KILL "$agent"
            wait "$agent"
            return 1
        fi
        usleep 20000
    done
    ready_ms=$(($(uptime_ms) - began))
}

stop_agent() {
    kill -TERM "$agent"
    wait "$agent"
}

ctl() { detnatctl -s /run/agent.sock "$@"; }
# shellcheck disable=SC2020 # a line for each member
counters() { ctl -j stats | tr -d ' \n\t' | tr '{,}' '\n\n\n'; }
counter() { counters | grep "^\"$1\":" | cut -d: -f2; }
above() { [ "$(counter "$1")" -gt "$2" ]; }
rose() { wait_for above "$1" "$2" || { echo "$1 is $(counter "$1")"; return 1; }; }

has_session() { # PROTO INSIDE_PORT OUTSIDE_PORT STATE
    ctl -j session list 10.0.0.2 --proto "$1" --all | tr -d ' \n\t' | sed 's/},{/}\n{/g' |
        grep "\"in_port\":$2,\"out_addr\":\"1.1.1.0\",\"out_port\":$3,\"ext_addr\":\"198.51.100.7\"" | grep "\"state\":\"$4\""
}

attached_as() { ctl -j interface list | tr -d ' \n\t' | grep -o "\"xdp\":\"$1\"" | wc -l | grep -qx 2; }

# No drops except those that the checks cause.
no_other_drops() {
    counters | grep -q '"drop_no_session":' || return 1
    ! counters | grep -E '"(drop_[a-z_]*|no_program)":[1-9]' | grep -v drop_no_session
}

# ---- what is translated ----

seen() { grep -qx "$1" $LOG; }

hairpin() {
    nsenter --net=/run/netns/sub peer punch 10.0.0.2:5000 1.1.1.0:1069 >/tmp/punch &
    other=$!
    in_sub peer punch 10.0.0.3:6000 1.1.1.0:1059
    r=$?
    wait $other && return $r
    cat /tmp/punch
    return 1
}

unsolicited() {
    before=$(counter drop_no_session)
    nsenter --net=/run/netns/net peer udp 198.51.100.7:9 1.1.1.0:1068 100 &
    sender=$!
    rose drop_no_session "$before"
    r=$?
    kill $sender
    wait $sender
    return $r
}

check_translation() {
    check "TCP, the reflector sees the mapping's address and port" \
        expect 1.1.1.0:1064 in_sub peer tcp 10.0.0.2:40000 $REFLECTOR 1000
    check "TCP of 60000 octets" expect 1.1.1.0:1065 in_sub peer tcp 10.0.0.2:40001 $REFLECTOR 60000
    check "UDP" expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:40002 $REFLECTOR 500
    [ $failed = 0 ] || return 1 # nothing else could work
    check "UDP of another subscriber" expect 1.1.1.0:1080 in_sub peer udp 10.0.0.3:40001 $REFLECTOR 500
    check "echo" in_sub peer icmp 10.0.0.2:40005 $REFLECTOR
    check "echo's identifier is the mapping's" wait_for seen "icmp 1.1.1.0:1054"
    check "hairpin between two subscribers" hairpin
    check "unsolicited packets are dropped and counted" unsolicited
    check "the closed TCP session is in time-wait" wait_for has_session tcp 40000 1064 tcp-time-wait
    check "the UDP session is listed" has_session udp 40002 1066 udp-active
    check "the ICMP session is listed" has_session icmp 40005 1054 icmp-active
    check "in2out_translated rose" rose in2out_translated 20
    check "out2in_translated rose" rose out2in_translated 20
    check "hairpin_translated rose" rose hairpin_translated 1
    check "nothing else was dropped" no_other_drops
    check "the outside saw no inside address" sh -c "! grep ' 10\.' $LOG"
    return 0
}

answers() { [ "$(grep -cx 1.1.1.0:1054 /tmp/answers)" = "$1" ]; }

# A TCP connection survives the agent's end and its restart.
check_restart() {
    rm -f /tmp/lines /tmp/answers
    mkfifo /tmp/lines
    nsenter --net=/run/netns/sub peer stream 10.0.0.2:45000 $REFLECTOR </tmp/lines >/tmp/answers &
    streamer=$!
    exec 5>/tmp/lines
    echo >&5
    check "a connection is open" wait_for answers 1
    check "the agent ends by SIGTERM with status 0" stop_agent
    echo >&5
    check "the connection continues without an agent" wait_for answers 2
    check "UDP opens a session without an agent" expect 1.1.1.0:1058 in_sub peer udp 10.0.0.2:45004 $REFLECTOR 100
    check "a new start over the pins" start_agent
    echo "# $STATE: ready again after $ready_ms ms"
    check "the session is still there" has_session tcp 45000 1054 tcp-established
    check "the session opened in between is listed" has_session udp 45004 1058 udp-active
    echo >&5
    check "the connection continues with the new agent" wait_for answers 3
    exec 5>&-
    wait $streamer
}

traced() { ctl -j trace show | grep "\"verdict\":\"$1\"" | grep -q "1.1.1.0:1060"; }

# The tracing build replaces the normal one, and the normal one comes back.
check_trace() {
    check "a trace starts" expect started ctl trace start --in 10.0.0.2 --proto udp --count 20
    check "UDP while a trace lasts" expect 1.1.1.0:1060 in_sub peer udp 10.0.0.2:45006 $REFLECTOR 100
    check "a packet from inside is traced" wait_for traced in2out_translated
    check "a packet from outside is traced" wait_for traced out2in_translated
    check "the trace stops" expect stopped ctl trace stop
    check "UDP after the trace" expect 1.1.1.0:1060 in_sub peer udp 10.0.0.2:45006 $REFLECTOR 100
}

over_quota() {
    configure "$1" "$2" 3
    kill -HUP "$agent"
    wait_for sh -c "detnatctl -s /run/agent.sock -j user show 10.0.1.1 | tr -d ' \n\t' | grep '\"quota\":3,'"
    for port in 1 2 3; do in_sub peer udp 10.0.0.4:4100$port $REFLECTOR 10 >/dev/null; done
    expect EHOSTUNREACH in_sub peer udp 10.0.0.4:41004 $REFLECTOR 10
}

check_quota() {
    check "over the quota: host unreachable" over_quota "$1" "$2"
    check "drop_quota rose" rose drop_quota 0
}

nothing_left() {
    in_gw /usr/bin/ip -d link | grep -E 'xdp' && return 1
    in_gw /usr/bin/tc filter show dev out0 egress | grep . && return 1
    find /sys/fs/bpf -mindepth 1 | grep . && return 1
    in_gw /usr/bin/ip route show table all | grep 1.1.1. && return 1
    wait_for expect "maps 0" peer programs || { peer programs; return 1; }
}

# check_mode FORWARDING XDP_MODE MORE…: one mode from a first start to a detach; MORE: further checks, of this file.
check_mode() {
    STATE="$1 $2"
    failed=0
    : >$LOG
    configure "$1" "$2" 1000
    check "the configuration is accepted" in_gw detnat-agent -t -c $CONFIG
    check "the agent starts and is ready" start_agent
    [ -n "$ready_ms" ] || return
    echo "# $STATE: ready after $ready_ms ms"
    check "both interfaces are attached" attached_as "$2"
    [ "$1 $2" != "redirect native" ] || peer programs | sed 's/^/# /'
    if check_translation; then
        for more in $3; do $more "$1" "$2"; done
    fi
    if [ $failed = 1 ]; then
        echo "--- $STATE: agent's log, counters, sessions:" >&2
        { tail -n 50 /tmp/agent.log; ctl stats; ctl session list --all; in_gw /usr/bin/ip -s link; cat $LOG; } >&2 2>&1
    fi
    check "the agent ends" stop_agent
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    check "nothing is left" nothing_left
    rm -rf /tmp/state
}

# ---- VLAN interfaces, bonds, bridges, jumbo frames ----

# The addresses of an interface move to another, with the routes that go with them.
move_addresses() { # NAMESPACE FROM TO ADDRESS…
    ns=$1 from=$2 to=$3
    shift 3
    for addr; do
        ip -n "$ns" addr del "$addr" dev "$from" 2>/dev/null
        ip -n "$ns" addr add "$addr" dev "$to"
    done
    ip -n "$ns" link set "$to" up
}

# Tags are in the frames at both ends, as they are on a wire.
plain_tags() { # NAMESPACE DEVICE
    nsenter --net="/run/netns/$1" ethtool -K "$2" rxvlan off txvlan off \
        rx-vlan-stag-hw-parse off tx-vlan-stag-hw-insert off >&2
}

make_vlans() {
    plain_tags sub sub0
    plain_tags gw in0
    plain_tags gw out0
    plain_tags net net0
    for it in "sub sub0" "gw in0"; do
        # shellcheck disable=SC2086 # two words
        set -- $it
        ip -n "$1" link add link "$2" name "$2.100" type vlan id 100
    done
    for it in "gw out0" "net net0"; do
        # shellcheck disable=SC2086 # two words
        set -- $it
        ip -n "$1" link add link "$2" name "$2.7" type vlan proto 802.1ad id 7
        ip -n "$1" link set "$2.7" up
        ip -n "$1" link add link "$2.7" name "$2.7.8" type vlan id 8
        ip -n "$1" link set "$2.7.8" mtu 1492 # a veth's link takes one tag more than its MTU
    done
    move_addresses sub sub0 sub0.100 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18
    move_addresses gw in0 in0.100 10.0.0.1/18
    move_addresses gw out0 out0.7.8 198.51.100.1/24
    move_addresses net net0 net0.7.8 198.51.100.7/24
    ip -n sub route replace default via 10.0.0.1
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    inside=in0.100 outside=out0.7.8
}

drop_vlans() {
    for it in "sub sub0.100" "gw in0.100" "gw out0.7" "net net0.7"; do
        # shellcheck disable=SC2086 # two words
        set -- $it
        ip -n "$1" link del "$2"
    done
    for addr in 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18; do ip -n sub addr add $addr dev sub0; done
    ip -n gw addr add 10.0.0.1/18 dev in0
    ip -n gw addr add 198.51.100.1/24 dev out0
    ip -n net addr add 198.51.100.7/24 dev net0
    ip -n sub route replace default via 10.0.0.1
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    inside=in0 outside=out0
}

carries() { in_gw /usr/bin/ip -d link show dev "$1" | grep -q "prog/xdp"; }
carries_not() { ! carries "$1"; }
vlan_gone() { ctl -j interface list | tr -d ' \n\t' | grep -o '"name":"in0.100"[^}]*' | grep -q '"xdp":"absent"'; }

vlan_comes_back() {
    ip -n gw link del in0.100
    wait_for vlan_gone || return 1
    wait_for carries_not in0 || return 1
    ip -n gw link add link in0 name in0.100 type vlan id 100
    move_addresses gw in0 in0.100 10.0.0.1/18
    wait_for attached_as native
    wait_for expect 1.1.1.0:1061 in_sub peer udp 10.0.0.2:41002 $REFLECTOR 500
}

# The gateway's own packets through the VLAN interface, and untagged packets on the link.
own_traffic() {
    in_gw peer icmp 198.51.100.1:77 198.51.100.7:7 || return 1
    ip -n gw addr add 172.16.9.1/24 dev in0
    ip -n sub addr add 172.16.9.2/24 dev sub0
    in_sub peer icmp 172.16.9.2:78 172.16.9.1:7
}

check_vlans() {
    check "XDP stands on the interfaces below" eval "carries in0 && carries out0 && carries_not in0.100 && carries_not out0.7.8"
    check "the gateway's own traffic" own_traffic
    check "a VLAN interface goes and comes back" vlan_comes_back
}

offload_refused() { # WORDS OF THE MESSAGE; the configuration is that of the VLANs
    in_gw detnat-agent -t -c $CONFIG 2>/tmp/refusal && return 1
    grep -q "$1" /tmp/refusal || { cat /tmp/refusal; return 1; }
}

trap '' PIPE
echo "# checks begin $(uptime_ms) ms after the kernel's start"
make_network
STATE=guest
ip -n net route add 10.0.0.0/18 via 198.51.100.1
check "the network carries traffic without detnat" expect 10.0.0.2:40000 in_sub peer tcp 10.0.0.2:40000 $REFLECTOR 1000
ip -n net route del 10.0.0.0/18
has_part() { grep -qw "$1" /etc/parts; }

plain_part() {
    # Pool addresses are behind the gateway in one forwarding mode, on the outside link itself (so found by ARP) in the other.
    ip -n net route add 1.1.1.0/30 dev net0
    check_mode redirect native "check_restart check_trace check_quota"
    check_mode redirect skb
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    check_mode kernel native
    check_mode kernel skb "check_restart check_trace check_quota"
}

# Tags, one on the inside, two on the outside.
vlan_part() {
    if ! make_vlans; then
        echo "not ok VLAN interfaces can be made"
        return
    fi
    STATE="VLAN"
    configure redirect native 1000
    in_gw ethtool -K in0 rxvlan on >&2
    check "native XDP is refused where the driver takes tags off" offload_refused "rx-vlan-hw-parse off"
    configure redirect auto 1000
    check "generic XDP is refused where GRO merges below" offload_refused "gro off"
    inside='in0.100", "in0' && configure redirect auto 1000 && inside=in0.100
    check "one that takes tags off is refused beside its VLAN interface" offload_refused "be taken for in0's own"
    in_gw ethtool -K in0 rxvlan off >&2
    check_mode redirect native "check_vlans"
    check_mode kernel native
    drop_vlans
}

# ---- a bond of two ports towards the subscribers, one of them active; one of one port towards the internet ----

make_bond() {
    ip link add sub1 netns sub type veth peer name in1 netns gw
    for it in "sub sub1" "gw in1"; do
        # shellcheck disable=SC2086 # two words
        set -- $it
        ip -n "$1" link set "$2" up
        nsenter --net="/run/netns/$1" ethtool -K "$2" tx off gro on >&2
    done
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    ip -n gw link add bond0 type bond mode active-backup miimon 20 || return 1
    for port in in0 in1; do
        ip -n gw link set $port down
        ip -n gw link set $port master bond0
    done
    move_addresses gw in0 bond0 10.0.0.1/18
    ip -n gw link add bond1 type bond mode active-backup miimon 20
    ip -n gw link set out0 down
    ip -n gw link set out0 master bond1
    move_addresses gw out0 bond1 198.51.100.1/24
    inside=bond0 outside=bond1
}

drop_bond() {
    ip -n gw link del bond0
    ip -n gw link del bond1
    ip -n gw link del in1
    ip -n gw link set in0 up
    ip -n gw link set out0 up
    ip -n gw addr add 10.0.0.1/18 dev in0
    ip -n gw addr add 198.51.100.1/24 dev out0
    inside=in0 outside=out0
}

# The active port fails; the subscribers are then behind the other one.
bond_fails_over() {
    ip -n gw link set in0 down
    wait_for in_gw grep -q "Currently Active Slave: in1" /proc/self/net/bonding/bond0 || return 1
    for addr in 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18; do
        ip -n sub addr del $addr dev sub0
        ip -n sub addr add $addr dev sub1
    done
    ip -n sub route replace default via 10.0.0.1
    wait_for expect 1.1.1.0:1062 in_sub peer udp 10.0.0.2:41003 $REFLECTOR 500
    r=$?
    for addr in 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18; do
        ip -n sub addr del $addr dev sub1
        ip -n sub addr add $addr dev sub0
    done
    ip -n sub route replace default via 10.0.0.1
    ip -n gw link set in0 up
    return $r
}

port_of_bond_refused() {
    configure redirect native 1000
    sed -i 's/"inside": \["bond0"\]/"inside": ["bond0", "in0"]/' $CONFIG
    in_gw detnat-agent -t -c $CONFIG 2>/tmp/refusal && return 1
    grep -q "in0" /tmp/refusal || { cat /tmp/refusal; return 1; }
    configure redirect native 1000
}

traced_by_xdp() { ctl -j trace show | grep '"hook":"xdp"' | grep "\"verdict\":\"$1\"" | grep -q "1.1.1.0:1061"; }

# By XDP, not by the kernel, which would be slower from inside and would not work from outside.
xdp_forwards() {
    ctl trace start --in 10.0.0.2 --proto udp --count 20 || return 1
    wait_for expect 1.1.1.0:1061 in_sub peer udp 10.0.0.2:41002 $REFLECTOR 500
    expect 1.1.1.0:1061 in_sub peer udp 10.0.0.2:41002 $REFLECTOR 500
    wait_for traced_by_xdp in2out_translated && wait_for traced_by_xdp out2in_translated
    r=$?
    ctl trace show
    ctl trace stop
    return $r
}

check_bond() {
    check "XDP forwards what the ports receive" xdp_forwards
    check "the bond fails over to its other port" bond_fails_over
}

bond_part() {
    if ! make_bond; then
        echo "not ok a bond can be made"
        return
    fi
    STATE=bond
    check "a port beside its bond is refused" port_of_bond_refused
    check_mode redirect native check_bond
    drop_bond
}

# ---- the guard's table, which is rewritten while subscribers send: before a start, and at each ----

REWRITES=100

# As many prefixes as on a real gateway, so that a transaction takes some time.
configure_prefixes() {
    {
        echo '{ "interfaces": { "inside": ["in0"], "outside": ["out0"] }, "state_dir": "/tmp/state",'
        echo '"mappings": [ { "in": "10.0.0.0/18", "out": "1.1.1.0/30" }'
        for i in $(seq 0 2 254); do echo ", { \"in\": \"10.64.$i.0/24\", \"out\": \"2.2.$i.0/28\" }"; done
        echo '] }'
    } >$CONFIG
}

put_up() { expect "the guard stands" in_gw detnat-agent --guard -c $CONFIG; }
sent_more() { [ "$(cat /tmp/sent)" -gt "$1" ]; }

nothing_passes_while_it_is_written() {
    nsenter --net=/run/netns/sub peer flood 10.0.0.3:5000 $REFLECTOR /tmp/sent &
    sender=$!
    wait_for sent_more 100
    for i in $(seq $REWRITES); do put_up || break; done
    kill $sender
    wait $sender
    passed=$(grep -c 'udp 10\.' $LOG)
    echo "# guard: written $i times, $passed of $(cat /tmp/sent) packets passed" | tee /tmp/guard
    [ "$i $passed" = "$REWRITES 0" ]
}

guard_part() {
    STATE=guard
    ip -n net route add 10.0.0.0/18 via 198.51.100.1
    configure_prefixes
    : >$LOG
    check "the table stands without an agent" put_up
    check "nothing passes while it is written again" nothing_passes_while_it_is_written
    cat /tmp/guard
    check "it goes with --detach" in_gw detnat-agent --detach -c $CONFIG
    ip -n net route del 10.0.0.0/18
}

! has_part guard || guard_part
! has_part plain || plain_part
! has_part vlan || vlan_part
! has_part bond || bond_part

if [ -x /usr/bin/bpf-tests ]; then
    bpf-tests -j1 --tap=/tmp/tap >&2
    sed -n 's/^ok - /ok BPF test /p; s/^not ok - /not ok BPF test /p' /tmp/tap
    # The tracing build: with every setting that adds code to it.
    TRACED=1 bpf-tests -j1 --tap=/tmp/tap --filter '@(property|options|hairpin)/*' >&2
    sed -n 's/^ok - /ok BPF test, traced, /p; s/^not ok - /not ok BPF test, traced, /p' /tmp/tap
fi

STATE=guest
check "the kernel saw nothing wrong" sh -c "! dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|general protection|soft lockup'"
