# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about routing daemons and VRFs, with the files of deploy/routing/vrf and tenants as docs/guide/ROUTING.md
# shows them, and BIRD at all other routers (deploy/routing/routers). Of tenants:
#
#	sub: 100.64.0.2  --- agg: 192.0.2.11  --- inside0, VRF ispA --- gw: outside0 --- net: 198.51.100.254
#	sub2: the same   --- agg2: the same   --- inside1, VRF ispB ---
#
# 100.64.0.2 owns 2032-2535 of 203.0.113.0 as a subscriber of ispA's, of 203.0.113.128 as one of ispB's. In vrf, sub and agg are
# in the VRF customers, the rest is idle, and the ports are 3040-4047.
# shellcheck source=tests/vm/agent.sh
. /lib/checks/agent.sh

EXAMPLES=/etc/routing
A=203.0.113.0 B_OUT=203.0.113.128
SERVER=198.51.100.254:7

link() { # NAMESPACE DEVICE NAMESPACE DEVICE
    ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
}

make_group() { # SUBSCRIBERS ROUTER INTERFACE: of the gateway
    ip netns add "$1"
    ip netns add "$2"
    link "$1" eth0 "$2" subs0
    link "$2" inside0 gw "$3"
    ethernet "$1" eth0 100.64.0.2/18
    ethernet "$2" subs0 100.64.0.1/18
    ethernet "$2" inside0 192.0.2.11/24
    ethernet gw "$3" 192.0.2.1/24
    ip -n "$1" route add default via 100.64.0.1
    nsenter --net="/run/netns/$2" sysctl -qw net.ipv4.ip_forward=1
    start_bird "$2" $EXAMPLES/routers/aggregation.bird.conf
}

make_routed() {
    mkdir -p /run/bird
    for ns in gw net; do
        ip netns add $ns
        ip -n $ns link set lo up
    done
    link gw outside0 net outside0
    ethernet gw outside0 198.51.100.1/24
    ethernet net outside0 198.51.100.254/24
    in_gw sysctl -qw net.ipv4.ip_forward=1
    make_group sub agg inside0
    make_group sub2 agg2 inside1
    start_bird net $EXAMPLES/routers/upstream.bird.conf
    nsenter --net=/run/netns/net peer reflect 7 "$LOG" &
    wait_for grep -q ready "$LOG"
}

# ---- daemons; $daemons are the processes of the gateway's, $example is the directory of its files ----

start_bird() { # NAMESPACE CONFIG
    nsenter --net="/run/netns/$1" bird -d -c "$2" -s "/run/bird/$1.ctl" -P "/run/bird/$1.pid" >>"/tmp/bird-$1.log" 2>&1 &
    bird=$!
    wait_for test -S "/run/bird/$1.ctl"
}

birdc() { # NAMESPACE COMMAND…
    ns=$1
    shift
    birdcl -s "/run/bird/$ns.ctl" "$@"
}

start_daemon_bird() {
    start_bird gw "$EXAMPLES/$example/bird.conf"
    daemons=$bird
}

start_daemon_frr() {
    rm -rf /run/frr
    mkdir -p /run/frr
    cp "$EXAMPLES/$example/frr.conf" /run/frr
    printf 'service integrated-vtysh-config\nusername root nopassword\n' >/run/frr/vtysh.conf
    daemons=
    for program in zebra bgpd; do
        : >"/run/frr/$program.conf"
        nsenter --net=/run/netns/gw "$program" -u root -g root -f "/run/frr/$program.conf" -i "/run/frr/$program.pid" -z /run/frr/zserv.api \
            --vty_socket /run/frr -A 127.0.0.1 -P 0 --log "file:/tmp/$program.log" >&2 &
        daemons="$! $daemons"
        wait_for test -S "/run/frr/$program.vty" || return 1
    done
    in_gw vtysh --vty_socket /run/frr --config_dir /run/frr -b >/tmp/vtysh.log 2>&1
    cat /tmp/vtysh.log
    ! grep '%' /tmp/vtysh.log
}

stop_daemon() {
    # shellcheck disable=SC2086 # process numbers
    kill $daemons && wait $daemons
    return 0
}

report_bird() {
    birdc gw show protocols
    birdc gw show route all table all
    cat /tmp/bird-gw.log
}

report_frr() {
    in_gw vtysh --vty_socket /run/frr --config_dir /run/frr -c "show bgp vrf all summary" -c "show bgp vrf all ipv4 unicast" \
        -c "show ip route vrf all"
    cat /tmp/zebra.log /tmp/bgpd.log
}

# ---- where packets go ----

announced() { # PREFIX…: exactly these are announced to the upstream router
    expect "$(printf '%s\n' "$@")" announced_now
}
announced_now() { ip -n net route show proto bird | sed -n 's/ via 198.51.100.1 .*//p' | sort; }

way() { # NAMESPACE PREFIX TABLE: to where exactly this prefix goes
    ip -n "$1" route show exact "$2" table "$3" | sed -nE 's/.*(via [^ ]+ dev [^ ]+).*/\1/p'
}

default_leaks() {
    for table in $tables; do expect "via 198.51.100.254 dev outside0" way gw default "$table" || return 1; done
    for ns in $routers; do expect "via 192.0.2.1 dev inside0" way "$ns" default main || return 1; done
}
no_leak() {
    for table in $tables; do expect "" way gw default "$table" || return 1; done
}
no_default() {
    no_leak || return 1
    for ns in $routers; do expect "" way "$ns" default main || return 1; done
}

inside_is_in_vrfs() {
    expect "via 192.0.2.11 dev inside0" way gw 100.64.0.0/18 10 || return 1
    [ "$example" = vrf ] || expect "via 192.0.2.11 dev inside1" way gw 100.64.0.0/18 20
}
way_back_leaks() { expect "via 192.0.2.11 dev inside0" way gw 100.64.0.0/18 main; }
inside_is_nowhere_else() {
    ! ip -n gw route show table main | grep -E '^(100\.64\.|192\.0\.2\.)'
}
nothing_inside_is_seen() { ! grep -E ' (100\.64|192\.0\.2)\.' "$LOG"; }

# ---- traffic ----

in_sub2() { nsenter --net=/run/netns/sub2 "$@"; }
a_works() { expect "$A:$port" in_sub peer "$1" 100.64.0.2:40000 $SERVER 1000; }
b_works() { expect "$B_OUT:$port" in_sub2 peer "$1" 100.64.0.2:40000 $SERVER 1000; }
a_is_lost() { expect timeout in_sub peer udp 100.64.0.2:40001 $SERVER 100; }
b_is_lost() { expect timeout in_sub2 peer udp 100.64.0.2:40001 $SERVER 100; }

lines_of() { grep -c "^udp $1:" "$LOG"; }
more_of() { [ "$(lines_of "$1")" -gt "$2" ]; }
endpoints_now() { grep '^udp' "$LOG" | sort -u; }

# All flood the server; the sessions are the same before and after, and the VRFs' routes go with the daemon.
restart_under_traffic() { # KIND
    : >"$LOG"
    nsenter --net=/run/netns/sub peer flood 100.64.0.2:7000 $SERVER /tmp/sent-a &
    floods=$!
    sessions="udp $A:$flood_port"
    if [ "$example" != vrf ]; then
        nsenter --net=/run/netns/sub2 peer flood 100.64.0.2:7000 $SERVER /tmp/sent-b &
        floods="$floods $!"
        sessions="$sessions
udp $B_OUT:$flood_port"
    fi
    restart "$1"
    r=$?
    # shellcheck disable=SC2086 # process numbers
    kill $floods && wait $floods
    [ "$r $(endpoints_now)" = "0 $sessions" ] && nothing_inside_is_seen && return
    endpoints_now
    return 1
}

restart() { # KIND
    for outside in $outsides; do wait_for more_of "$outside" 0 || { echo "no traffic of $outside"; return 1; }; done
    stop_daemon
    # Neighbours may keep what FRR has announced, as it takes part in graceful restart.
    wait_for no_leak || { echo "still a default route"; return 1; }
    "start_daemon_$1" || return 1
    for outside in $outsides; do
        before=$(lines_of "$outside")
        wait_for more_of "$outside" "$before" || { echo "$outside stands still at $before"; return 1; }
    done
}

# ---- one daemon from its start to its end ----

configure_routed() {
    sed "1 s,\$, \"control_socket\": \"/run/agent.sock\"\, \"state_dir\": \"/tmp/state\"\, \"stages\": $stages\, \"sweep_interval\": 1\, \"session_slots\": 64\,," \
        "$EXAMPLES/$example/detnat.json" >$CONFIG
}

check_customers() {
    check "the way back leaks into the main table" wait_for way_back_leaks
    check "TCP" a_works tcp
    check "UDP" a_works udp
}
withdraw_customers() {
    check "the mapping is deleted" ctl mapping del residential
    check "its pool is withdrawn" wait_for announced ""
    check "packets are lost" a_is_lost
    check "the mapping is added" ctl mapping add 100.64.0.0/18 $A/24
}

check_tenants_routed() {
    check "and nowhere else" inside_is_nowhere_else
    check "TCP of ispA" a_works tcp
    check "TCP of ispB, from the same endpoint" b_works tcp
    check "UDP of ispA" a_works udp
    check "UDP of ispB" b_works udp
}
withdraw_one() {
    check "a mapping is deleted" ctl mapping del subscribers-b
    check "its pool is withdrawn, the other's is not" wait_for announced $A/25
    check "ispB's packets are lost" b_is_lost
    check "ispA works" a_works udp
    check "the mapping is added" ctl mapping add 100.64.0.0/18 $B_OUT/25 --tenant ispB
    check "ispB works again" wait_for b_works udp
}

# shellcheck disable=SC2086 # words of $pools
check_daemon() { # KIND CHECKS WITHDRAWAL
    STATE="routing $example $1"
    failed=0
    : >"$LOG"
    check "the agent starts with the example's file" start_agent
    check "the daemon starts with the example's file" "start_daemon_$1"
    check "the pools are announced, and nothing else" wait_for announced $pools
    check "the default route leaks into the VRFs and to their routers" wait_for default_leaks
    check "inside prefixes are in their VRFs" wait_for inside_is_in_vrfs
    $2
    report_failure "$1"
    check "the daemon is restarted under traffic" restart_under_traffic "$1"
    $3
    check "the pools are announced again" wait_for announced $pools
    check "upstream withdraws its default route" birdc net disable static1
    check "so does the gateway in each VRF" wait_for no_default
    check "upstream has one again" birdc net enable static1
    check "so has each VRF" wait_for default_leaks
    check "subscribers reach the outside again" wait_for a_works udp
    check "the agent ends" stop_agent
    check "the pools are announced without an agent" announced $pools
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    check "which withdraws the pools" wait_for announced ""
    check "the outside saw no inside address" nothing_inside_is_seen
    report_failure "$1"
    check "the daemon ends" stop_daemon
    check "which leaves no route in the VRFs" wait_for no_leak
    rm -rf /tmp/state
}

report_failure() { # KIND
    [ "$failed" = 1 ] || return 0
    "report_$1" >&2
    for ns in gw agg agg2 net; do ip -n $ns route show table all >&2; done
}

routing_part() {
    PATIENCE_MS=90000
    STATE=routing
    if ! make_routed; then
        echo "not ok the network of routers can be made"
        return
    fi
    example=vrf tables=10 routers=agg pools=$A/24 outsides=$A port=3728 flood_port=3992
    in_gw sh $EXAMPLES/vrf/vrf.sh
    configure_routed
    check_daemon bird check_customers withdraw_customers
    check_daemon frr check_customers withdraw_customers
    ip -n gw link del customers
    ip -n gw route flush table 10
    example=tenants tables="10 20" routers="agg agg2" pools="$A/25 $B_OUT/25" outsides="$A $B_OUT" port=2216 flood_port=2480
    in_gw sh $EXAMPLES/tenants/vrfs.sh
    configure_routed
    check_daemon bird check_tenants_routed withdraw_one
    check_daemon frr check_tenants_routed withdraw_one
}
