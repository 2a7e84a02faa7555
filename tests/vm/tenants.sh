# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about two tenants that have the same inside addresses, each in a VRF:
#
#	sub: 10.0.0.2, .3, .4 --- in0, VRF blue, ispA: 1.1.1.0/30 --- gw: out0 --- net: 198.51.100.7
#	sub2: the same        --- in1, VRF red, ispB:  1.1.2.0/30 ---
#
# Routes lead from both VRFs to the outside, which is in the main table, as docs/guide/ROUTING.md says. Nothing but the datapath
# knows which tenant an answer is for: the main table has no route to inside addresses.
# shellcheck source=tests/vm/links.sh
. /lib/checks/links.sh

PCP_OF_B=10.0.0.9 # PCP listens at 10.0.0.1 for each tenant, and there, an address of the VRF itself, for ispB alone

in_sub2() { nsenter --net=/run/netns/sub2 "$@"; }

make_tenants() {
    ip netns add sub2
    ip -n sub2 link set lo up
    ip link add sub1 netns sub2 type veth peer name in1 netns gw
    ethernet sub2 sub1 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18
    ip -n sub2 route add default via 10.0.0.1
    into_vrf blue 10 in0 || return 1
    make_red
    ip -n gw addr add 10.0.0.1/18 dev in1
    nsenter --net=/run/netns/gw ethtool -K in1 tx off gro on >&2
    leak_out 10
    leak_out 20
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    ip -n net route replace 1.1.2.0/30 via 198.51.100.1
}

make_red() {
    into_vrf red 20 in1
    ip -n gw addr replace $PCP_OF_B/32 dev red
    ip -n gw link set in1 up
}

leak_out() { ip -n gw route replace 198.51.100.0/24 dev out0 table "$1"; }

drop_tenants() {
    ip -n gw link del in1
    ip netns del sub2
    ip -n gw link set in0 nomaster
    for vrf in blue red; do ip -n gw link del $vrf 2>/dev/null; done
    for table in 10 20; do ip -n gw route flush table $table 2>/dev/null; done
    ip -n gw route replace 10.0.0.0/18 dev in0 proto kernel scope link src 10.0.0.1
    ip -n net route del 1.1.2.0/30
}

configure_tenants() { # FORWARDING MODE
    cat >$CONFIG <<CONFIGURATION
{
  "tenants": [
    { "name": "ispA", "vrf": "blue", "interfaces": { "inside": ["in0"], "outside": ["out0"] } },
    { "name": "ispB", "vrf": "red", "interfaces": { "inside": ["in1"], "outside": ["out0"] } }
  ],
  "mappings": [
    { "tenant": "ispA", "name": "a", "in": "10.0.0.0/18", "out": "1.1.1.0/30" },
    { "tenant": "ispB", "name": "b", "in": "10.0.0.0/18", "out": "1.1.2.0/30" }
  ],
  "portmaps": [
    { "proto": "udp", "in": "10.0.0.3:3074", "out": "1.1.1.0:80" },
    { "proto": "udp", "in": "10.0.0.3:3074", "out": "1.1.2.0:81" }
  ],
  "pcp": { "listen": ["10.0.0.1", "$PCP_OF_B"], "mappings": ["a", "b"] },
  "forwarding": "$1", "xdp_mode": "$2", "stages": $stages, "sessions_per_user": 1000, "sweep_interval": 1,
  "control_socket": "/run/agent.sock", "state_dir": "/tmp/state"
}
CONFIGURATION
}

# Connections of both at the same time, from the same inside endpoint.
both_at_once() {
    in_sub peer tcp 10.0.0.2:40001 $REFLECTOR 60000 >/tmp/a &
    other=$!
    expect 1.1.2.0:1065 in_sub2 peer tcp 10.0.0.2:40001 $REFLECTOR 60000
    r=$?
    wait $other || return 1
    cat /tmp/a
    [ "$(cat /tmp/a)" = 1.1.1.0:1065 ] && return $r
}

# hairpin_of INSIDE OUTSIDE INSIDE2 OUTSIDE2: between an endpoint of ispA and one of ispB.
hairpin_of() {
    nsenter --net=/run/netns/sub peer punch "$1" "$4" >/tmp/punch &
    other=$!
    in_sub2 peer punch "$3" "$2"
    r=$?
    wait $other && return $r
    cat /tmp/punch
    return 1
}

# ---- PCP, at the same address in each VRF: the same endpoint of both asks, with the same nonce ----

LEASED=10.0.0.2:40007 # owns 1056, whoever it is of

lease_of_a() { expect 1.1.1.0:1056 in_sub pcp map $LEASED 10.0.0.1; }
lease_of_b() { expect 1.1.2.0:1056 in_sub2 pcp map $LEASED "${1:-10.0.0.1}"; }

is_reached() { # NAMESPACE OUTSIDE: from outside, where the namespace's host has a lease
    rm -f /tmp/reached
    nsenter --net="/run/netns/$1" peer reflect 40007 /tmp/reached &
    other=$!
    wait_for grep -q ready /tmp/reached && expect 198.51.100.7:9001 in_net peer udp 198.51.100.7:9001 "$2" 100 &&
        grep -x "udp 198.51.100.7:9001" /tmp/reached
    r=$?
    kill $other
    wait $other
    return $r
}

hear() { # NAMESPACE FILE
    nsenter --net="/run/netns/$1" pcp hear "$2" &
    hearers="$hearers $!"
    wait_for grep -q ready "$2"
}

heard() { [ "$(grep -cx "$2" "$1")" -gt 1 ]; }

# Announcements go out when the epoch begins: by each VRF's interfaces those of its own sockets.
announced_apart() {
    wait_for heard /tmp/heard-a 10.0.0.1 && wait_for heard /tmp/heard-b 10.0.0.1 && wait_for heard /tmp/heard-b $PCP_OF_B
    r=$?
    # shellcheck disable=SC2086 # two numbers
    kill $hearers
    # shellcheck disable=SC2086
    wait $hearers
    sort /tmp/heard-a | uniq -c
    sort /tmp/heard-b | uniq -c
    ! grep -qvxE 'ready|10\.0\.0\.1' /tmp/heard-a && [ "$(grep -c 10.0.0.1 /tmp/heard-a)" -le 10 ] && return $r
}

check_pcp() {
    check "PCP of ispA gives a port of ispA's" lease_of_a
    check "PCP of ispB, for the same endpoint" lease_of_b
    check "and at an address that ispB's VRF alone has" lease_of_b $PCP_OF_B
    check "ispA renews its lease" lease_of_a
    check "ispA does not ask there" expect timeout in_sub pcp map $LEASED $PCP_OF_B
    check "the lease of ispA is reached from outside" is_reached sub 1.1.1.0:1056
    check "the lease of ispB is" is_reached sub2 1.1.2.0:1056
    check "each hears of its own servers" announced_apart
}

sessions_of() { ctl session list --tenant "$1" --count; }
is_ambiguous() { # COMMAND…
    ctl "$@" >/tmp/ambiguous 2>&1
    status=$?
    cat /tmp/ambiguous
    [ $status = 2 ] && grep -q "is an address of ispA and of ispB: --tenant NAME says which" /tmp/ambiguous
}
belongs() { ctl who "$1" | grep -x "Inside address: *10.0.0.2 of $2"; }

check_both() {
    check "TCP of ispA" expect 1.1.1.0:1064 in_sub peer tcp 10.0.0.2:40000 $REFLECTOR 1000
    check "TCP of ispB, from the same endpoint" expect 1.1.2.0:1064 in_sub2 peer tcp 10.0.0.2:40000 $REFLECTOR 1000
    [ "$failed" = 0 ] || return 1 # nothing else could work
    check "TCP of 60000 octets of both at once" both_at_once
    check "UDP of ispA" expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:40002 $REFLECTOR 500
    check "UDP of ispB" expect 1.1.2.0:1066 in_sub2 peer udp 10.0.0.2:40002 $REFLECTOR 500
    check "UDP in fragments of ispA" expect 1.1.1.0:1067 in_sub peer udp 10.0.0.2:40003 $REFLECTOR 6000
    check "UDP in fragments of ispB" expect 1.1.2.0:1067 in_sub2 peer udp 10.0.0.2:40003 $REFLECTOR 6000
    check "echo of ispA" in_sub peer icmp 10.0.0.2:40005 $REFLECTOR
    check "echo of ispB" in_sub2 peer icmp 10.0.0.2:40005 $REFLECTOR
    check "echo's identifier is ispA's" wait_for seen "icmp 1.1.1.0:1054"
    check "echo's identifier is ispB's" wait_for seen "icmp 1.1.2.0:1054"
    check "portmap of ispA" expect 1.1.1.0:80 in_sub peer udp 10.0.0.3:3074 $REFLECTOR 100
    check "portmap of ispB" expect 1.1.2.0:81 in_sub2 peer udp 10.0.0.3:3074 $REFLECTOR 100
    # Hairpins need their neighbours known, as the last datagram of who was answered first is not sent again.
    check "UDP of who will be in hairpins, ispA" expect 1.1.1.0:1091 in_sub peer udp 10.0.0.4:41002 $REFLECTOR 500
    check "UDP of who will be in hairpins, ispB" expect 1.1.2.0:1091 in_sub2 peer udp 10.0.0.4:41002 $REFLECTOR 500
    check "hairpin from tenant to tenant" hairpin_of 10.0.0.2:5000 1.1.1.0:1059 10.0.0.3:6000 1.1.2.0:1069
    check "hairpin between the same inside endpoints" hairpin_of 10.0.0.4:5001 1.1.1.0:1090 10.0.0.4:5001 1.1.2.0:1090
    check_pcp
    check "as many sessions of each" expect "$(sessions_of ispA)" sessions_of ispB
    check "an address of both is refused with status 2" is_ambiguous forward 10.0.0.2
    check "with the tenant it is not" expect "1.1.2.0:<1054-1068>" ctl forward 10.0.0.2 --tenant ispB
    check "who asks after ispA" belongs 1.1.1.0:1064 ispA
    check "who asks after ispB" belongs 1.1.2.0:1064 ispB
    check "reverse" expect "10.0.0.2 of ispB" ctl reverse 1.1.2.0:1064
    check "sessions of ispB alone are flushed" flushed_alone
    check "nothing but the first datagrams of hairpins was dropped" no_other_drops
    check "the outside saw no inside address" sh -c "! grep ' 10\.' $LOG"
    check "the tables are right" ctl check
    return 0
}

# The kernel of the gateway forwards nothing meanwhile.
xdp_forwards_both() {
    before=$(forwarded)
    for _ in 1 2 3; do
        expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:40002 $REFLECTOR 500 || return 1
        expect 1.1.2.0:1066 in_sub2 peer udp 10.0.0.2:40002 $REFLECTOR 500 || return 1
    done
    expect "$before" forwarded
}
forwarded() { in_gw sed -nE 's/^Ip: ([0-9]+ ){5}([0-9]+) .*/\2/p' /proc/net/snmp; }

flushed_alone() {
    before=$(sessions_of ispA)
    ctl session flush 10.0.0.2 --tenant ispB || return 1
    expect "$before" sessions_of ispA && expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:40002 $REFLECTOR 500 &&
        expect 1.1.2.0:1066 in_sub2 peer udp 10.0.0.2:40002 $REFLECTOR 500
}

# ---- a tenant's VRF goes under traffic, and comes back ----

sent() { cat "/tmp/sent-$1" 2>/dev/null || echo 0; }
sends_on() { [ "$(sent "$1")" -gt "$2" ]; }
lines_of() { grep -c "^udp $1:" "$LOG"; }
more_lines() { [ "$(lines_of "$1")" -gt "$2" ]; }
is_absent() { ctl -j interface list | tr -d ' \n\t' | grep -o '"name":"in1"[^}]*' | grep -qE '"xdp":"absent"|"problem":"'; }
red_works() { expect 1.1.2.0:1061 in_sub2 peer udp 10.0.0.2:41002 $REFLECTOR 500; }
nothing_of_red() { # LINES of 1.1.2.0 before
    [ "$(lines_of 1.1.2.0)" = "$1" ] && ! grep ' 10\.' "$LOG"
}
all_drops() { counters | sed -nE 's/^"(drop_[a-z0-9_]*|no_program)":([0-9]+).*/\2/p' | awk '{ n += $1 } END { print n + 0 }'; }
drops_rise() { [ "$(all_drops)" -gt "$1" ]; }

# Both flood the outside; the reflector logs what it gets.
red_goes_and_comes_back() {
    nsenter --net=/run/netns/sub peer flood 10.0.0.4:7000 $REFLECTOR /tmp/sent-a &
    a=$!
    nsenter --net=/run/netns/sub2 peer flood 10.0.0.4:7000 $REFLECTOR /tmp/sent-b &
    b=$!
    r=0
    wait_for more_lines 1.1.1.0 "$(lines_of 1.1.1.0)" && wait_for more_lines 1.1.2.0 "$(lines_of 1.1.2.0)" || r=1
    ip -n gw link del red
    wait_for is_absent || { echo "in1 is not absent" && ctl -j interface list && r=1; }
    gone=$(lines_of 1.1.2.0) of_a=$(lines_of 1.1.1.0) drops=$(all_drops)
    wait_for sends_on b $(($(sent b) + 200)) || r=1
    wait_for more_lines 1.1.1.0 "$of_a" || { echo "ispA stands still" && r=1; }
    nothing_of_red "$gone" || { echo "ispB leaked: $gone and now $(lines_of 1.1.2.0)" && grep ' 10\.' "$LOG" | head -n 3 && r=1; }
    wait_for drops_rise "$drops" || { echo "$(all_drops) drops as before" && r=1; }
    counters | grep drop_ | grep -v ':0$'
    lease_of_a || { echo "PCP of ispA stands still" && r=1; }
    make_red
    leak_out 20
    wait_for more_lines 1.1.2.0 "$gone" || { echo "ispB does not come back" && ctl interface list && r=1; }
    kill $a $b
    wait $a $b
    ! grep ' 10\.' "$LOG" || r=1
    return $r
}

check_tenants() { # FORWARDING MODE
    STATE="tenants $1 $2"
    failed=0
    : >"$LOG"
    configure_tenants "$1" "$2"
    check "the configuration is accepted" in_gw detnat-agent -t -c $CONFIG
    hearers=
    hear sub /tmp/heard-a
    hear sub2 /tmp/heard-b
    check "the agent starts" start_agent
    [ -n "$ready_ms" ] || { tail -n 50 /tmp/agent.log >&2 && return; }
    if check_both; then
        [ "$1 $2" != "redirect native" ] || check "XDP forwards all of both" xdp_forwards_both
        check "a tenant's VRF goes and comes back under traffic" red_goes_and_comes_back
        check "ispB works again" wait_for red_works
        check "PCP of ispB works again" wait_for lease_of_b
        check "ispA works" expect 1.1.1.0:1061 in_sub peer udp 10.0.0.2:41002 $REFLECTOR 500
        check "the tables are right after it" ctl check
    fi
    if [ $failed = 1 ]; then
        echo "--- $STATE: agent's log, counters, sessions:" >&2
        { tail -n 50 /tmp/agent.log; ctl stats; ctl session list --all | head -n 40; in_gw /usr/bin/ip -s link; } >&2 2>&1
    fi
    check "the agent ends" stop_agent
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    check "nothing is left" nothing_left
    rm -rf /tmp/state
}

tenants_part() {
    STATE=tenants
    if ! make_tenants; then
        echo "not ok VRFs for tenants can be made"
        return
    fi
    check_tenants redirect native
    check_tenants kernel native
    check_tenants redirect none
    drop_tenants
}
