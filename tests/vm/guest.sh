# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The checks, run inside the guest (busybox sh).
#
#	sub: subscribers 10.0.0.2, .3, .4 --- gw: 10.0.0.1, 198.51.100.1 --- net: 198.51.100.7
#
# 10.0.0.0/18 is mapped to 1.1.1.0/30, so 15 ports a host: 10.0.0.2 owns 1.1.1.0:1054-1068, 10.0.0.3 has 1069-1083, and a
# session's first choice is the first of them plus the inside port modulo 15.

# shellcheck source=tests/vm/links.sh
. /lib/checks/links.sh # and by it, agent.sh and common.sh
# shellcheck source=tests/vm/tenants.sh
. /lib/checks/tenants.sh
# shellcheck source=tests/vm/copies.sh
. /lib/checks/copies.sh
# shellcheck source=tests/vm/upgrades.sh
. /lib/checks/upgrades.sh
# shellcheck source=tests/vm/cards.sh
. /lib/checks/cards.sh
# shellcheck source=tests/vm/routing.sh
. /lib/checks/routing.sh
# shellcheck source=tests/vm/ppp.sh
. /lib/checks/ppp.sh
# shellcheck source=tests/vm/datapath.sh
. /lib/checks/datapath.sh

LOG=/tmp/seen.log
STATE=none # "redirect native" and so on
PLACE=     # before it: where the interfaces are
PATIENCE_MS=30000
after_failure() { failed=1; }

# busybox prefers its own applets to what is on PATH.
ip() { /usr/bin/ip "$@"; }
in_gw() { nsenter --net=/run/netns/gw "$@"; }
in_net() { nsenter --net=/run/netns/net "$@"; }

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
    check "in2out_translated rose" rose in2out_translated 15
    check "out2in_translated rose" rose out2in_translated 15
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
    check "a trace starts" expect started ctl trace start --in 10.0.0.2 --count 20
    check "UDP while a trace lasts" expect 1.1.1.0:1060 in_sub peer udp 10.0.0.2:45006 $REFLECTOR 100
    check "a packet from inside is traced" wait_for traced in2out_translated
    check "a packet from outside is traced" wait_for traced out2in_translated
    check "TCP while a trace lasts" expect 1.1.1.0:1062 in_sub peer tcp 10.0.0.2:45008 $REFLECTOR 1000
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
    find /sys/fs/bpf -mindepth 1 ! -path /sys/fs/bpf/xdp | grep . && return 1 # libxdp keeps its directory
    in_gw /usr/bin/ip route show table all | grep 1.1.1. && return 1
    wait_for expect "maps 0" peer programs || { peer programs; return 1; }
}

# check_mode FORWARDING XDP_MODE [MORE [ATTACHED]]: one mode from a first start to a detach. MORE: further checks;
# ATTACHED: how, if the mode leaves it open.
check_mode() {
    STATE="$PLACE$1 $2"
    failed=0
    : >$LOG
    configure "$1" "$2" 1000
    check "the configuration is accepted" in_gw detnat-agent -t -c $CONFIG
    check "the agent starts and is ready" start_agent
    [ -n "$ready_ms" ] || return
    echo "# $STATE: ready after $ready_ms ms"
    # shellcheck disable=SC2086 # one word or two
    check "both interfaces are attached" attached_as ${4:-$2}
    [ "$1 $2" != "redirect native" ] || peer programs | sed 's/^/# /'
    if check_translation; then
        [ "$stages $1 $2" != "2 redirect native" ] || check "frames went through stage 2" stage_2_ran
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

plain_part() {
    # Pool addresses are behind the gateway in one forwarding mode, on the outside link itself (so found by ARP) in the other.
    ip -n net route add 1.1.1.0/30 dev net0
    check_mode redirect native "check_restart check_trace check_quota"
    check_mode redirect skb
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    check_mode kernel native
    check_mode kernel skb "check_restart check_trace check_quota"
}

portmap_traced() { ctl -j trace show | grep '"verdict":"out2in_translated"' | grep -q '"dst":"10.0.0.3:3074"'; }

copies_can_be_stored() { ! grep 'refused the BPF object' /tmp/agent.log; }

# What the verifier does not see otherwise: portmaps, open mappings, addresses that are not translated, bindings,
# and, as there are peers, sessions that others tell.
reachable_part() {
    STATE=reachable
    : >$LOG
    ip -n net route replace 1.1.1.0/30 dev net0
    configure_reachable redirect native
    check "the programs are loaded" start_agent
    check "and that which stores copies" copies_can_be_stored
    [ -n "$ready_ms" ] || { tail -n 50 /tmp/agent.log >&2 && return; }
    check "UDP of a bound port" expect 1.1.1.0:1064 in_sub peer udp 10.0.0.2:45010 $REFLECTOR 100
    check "UDP by a portmap" expect 1.1.1.0:80 in_sub peer udp 10.0.0.3:3074 $REFLECTOR 100
    check "a trace starts" expect started ctl trace start --in 10.0.0.3 --count 20
    check "UDP by the portmap while a trace lasts" expect 1.1.1.0:80 in_sub peer udp 10.0.0.3:3074 $REFLECTOR 100
    check "what the portmap takes is traced" wait_for portmap_traced
    check "a trace ends" expect stopped ctl trace stop
    check "a subscriber is moved, and its sessions drain" in_gw detnatctl -s /run/agent.sock user move 10.0.0.2 1.1.3.0/32 --drain 60
    ! grep -q 'BPF object' /tmp/agent.log || tail -n 50 /tmp/agent.log >&2 # what the verifier says
    check "UDP of a session that drains" expect 1.1.1.0:1064 in_sub peer udp 10.0.0.2:45010 $REFLECTOR 100
    check "the agent ends" stop_agent
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    rm -rf /tmp/state
}

has_links() { find /sys/fs/bpf/detnat -name 'tcx_*' | grep -q .; }

# Another program deletes the qdisc of filters; this many packets may leave as they are until the guard is shut.
qdisc_goes() { # MOST
    : >$LOG
    echo 0 >/tmp/sent
    nsenter --net=/run/netns/sub peer flood 10.0.0.3:5000 $REFLECTOR /tmp/sent &
    sender=$!
    wait_for sent_more 100
    has_links || in_gw /usr/bin/tc qdisc del dev out0 clsact
    if has_links; then
        in_gw /usr/bin/tc qdisc add dev out0 clsact && in_gw /usr/bin/tc qdisc del dev out0 clsact
    fi
    wait_for sent_more $(($(cat /tmp/sent) + 300))
    kill $sender
    wait $sender
    passed=$(grep -c 'udp 10\.' $LOG)
    echo "# tc: $passed of $(cat /tmp/sent) packets left with an inside address" | tee /tmp/left
    [ "$passed" -le "$1" ]
}

# From Linux 6.6 on nothing hangs on it, and no agent is needed.
check_qdisc() {
    if has_links; then
        check "nothing leaves untranslated when others delete the qdisc" qdisc_goes 0
        check "the agent ends" stop_agent
        check "nor without an agent" qdisc_goes 0
    else
        check "few packets leave untranslated when others delete the qdisc" qdisc_goes 10
        check "the agent ends" stop_agent
    fi
    cat /tmp/left
}

# The same by tc alone, whose programs are others; those of ppp* are, too.
tc_part() {
    STATE=tc
    : >$LOG
    ip -n net route replace 1.1.1.0/30 dev net0
    configure_reachable redirect none 'ppp*'
    check "the programs are loaded" start_agent
    [ -n "$ready_ms" ] || { tail -n 50 /tmp/agent.log >&2 && return; }
    check "no interface runs XDP" attached_as none
    check "frames without an Ethernet header have programs" sh -c "find /sys/fs/bpf/detnat -name 'tc_bare*' | grep ."
    check "UDP of a bound port" expect 1.1.1.0:1064 in_sub peer udp 10.0.0.2:45010 $REFLECTOR 100
    check "UDP by a portmap" expect 1.1.1.0:80 in_sub peer udp 10.0.0.3:3074 $REFLECTOR 100
    check_qdisc
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    rm -rf /tmp/state
}

trap '' PIPE
sysctl -qw kernel.bpf_stats_enabled=1
echo "# checks begin $(uptime_ms) ms after the kernel's start"
has_part() { grep -qw "$1" /etc/parts; }

veth_parts() {
    make_network
    (umask 077 && head -c 32 /dev/urandom >$KEY)
    STATE=guest
    ip -n net route add 10.0.0.0/18 via 198.51.100.1
    check "the network carries traffic without detnat" expect 10.0.0.2:40000 in_sub peer tcp 10.0.0.2:40000 $REFLECTOR 1000
    ip -n net route del 10.0.0.0/18

    ! has_part guard || guard_part
    ! has_part plain || plain_part
    ! has_part reachable || reachable_part
    ! has_part tc || tc_part
    ! has_part copies || copies_part
    ! has_part vlan || vlan_part
    ! has_part bond || bond_part
    ! has_part vrf || vrf_part
    ! has_part tenants || tenants_part
    ! has_part libxdp || libxdp_part
    ! has_part upgrades || upgrades_part
}

# These have networks, and guests, of their own.
if has_part cards; then cards_part
elif has_part routing; then routing_part
elif has_part ppp; then ppp_part
elif has_part datapath; then datapath_part
else veth_parts; fi

STATE=guest
check "the kernel saw nothing wrong" kernel_is_well
