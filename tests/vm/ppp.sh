# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about subscribers by PPPoE: Debian's pppoe-server and pppd at the gateway, pppd with the kernel's PPPoE at
# the subscribers. All ppp interfaces are ispA's; ispB has an Ethernet.
#
#	sub: alice 10.0.0.2 --- in0 ~ ppp*, ispA: 1.1.1.0/30 --- gw: out0 --- net: 198.51.100.7
#	sub3: bob 10.0.0.3  --- in2 ~ ppp*
#	sub2: 10.1.0.2      --- in1, ispB: 1.1.2.0/30
#
# With VRFs sub2 is 10.0.0.2, too.
# Ports are those of guest.sh.
# shellcheck source=tests/vm/tenants.sh
. /lib/checks/tenants.sh

in_sub3() { nsenter --net=/run/netns/sub3 "$@"; }

make_ppp_network() {
    mkdir -p /dev/pts
    mount -t devpts devpts /dev/pts # for the terminal between pppd and pppoe
    for ns in sub sub2 sub3 gw net; do
        ip netns add $ns
        ip -n $ns link set lo up
    done
    ip link add eth0 netns sub type veth peer name in0 netns gw
    ip link add eth0 netns sub2 type veth peer name in1 netns gw
    ip link add eth0 netns sub3 type veth peer name in2 netns gw
    ip link add net0 netns net type veth peer name out0 netns gw
    for it in "sub eth0" "sub3 eth0" "gw in0" "gw in2"; do
        # shellcheck disable=SC2086 # two words
        ethernet $it
    done
    ethernet sub2 eth0
    ethernet gw in1
    ethernet gw out0 198.51.100.1/24
    ethernet net net0 198.51.100.7/24
    ip -n net route add 1.1.1.0/30 via 198.51.100.1
    ip -n net route add 1.1.2.0/30 via 198.51.100.1
    in_gw sysctl -qw net.ipv4.ip_forward=1
    nsenter --net=/run/netns/net peer reflect 7 "$LOG" &
    wait_for grep -q ready "$LOG"
}

# ispB's inside addresses, of which B is the first three octets.
number_b() { # B
    B=$1
    ip -n sub2 addr flush dev eth0
    ip -n gw addr flush dev in1
    for addr in "$B.2/18" "$B.4/18"; do ip -n sub2 addr add "$addr" dev eth0; done
    ip -n gw addr add "$B.1/18" dev in1
    ip -n sub2 route replace default via "$B.1"
}

# ---- the access concentrator and who dials in ----

configure_ppp() { # VRF of ispA's interfaces, or nothing
    mkdir -p /etc/ppp /var/run /var/lock /var/log
    printf '%s * secret-of-%s %s\n' alice alice 10.0.0.2 bob bob 10.0.0.3 >/etc/ppp/chap-secrets
    chmod 600 /etc/ppp/chap-secrets
    : >/etc/ppp/options
    printf '%s\n' require-chap noccp nodefaultroute "name gateway" "lcp-echo-interval 2" "lcp-echo-failure 5" mtu\ 1492 \
        "ipparam ${1:-main}" debug "logfile /tmp/pppd.log" >/etc/ppp/pppoe-server-options
    # Interface, terminal, speed, own and other address, ipparam.
    cat >/etc/ppp/ip-up <<'SCRIPT'
#!/bin/sh
case $6 in main | subscriber) ;; *) /usr/bin/ip link set "$1" master "$6" ;; esac
SCRIPT
    # pppoe-server gives out addresses by the number of the session; a subscriber has that of its name.
    cat >/etc/ppp/pppd <<'SCRIPT'
#!/bin/sh
for argument; do
    shift
    case $argument in [0-9]*.*:*.*) argument=10.0.0.1: ;; esac
    set -- "$@" "$argument"
done
exec /usr/bin/pppd "$@"
SCRIPT
    chmod 755 /etc/ppp/ip-up /etc/ppp/pppd
}

serve_ppp() {
    nsenter --net=/run/netns/gw pppoe-server -I in0 -I in2 -C gateway -X /run/pppoe-server.pid \
        -q /etc/ppp/pppd -Q /usr/bin/pppoe
    wait_for test -s /run/pppoe-server.pid
}

dial() { # NAMESPACE NAME; $dialled is its process
    nsenter --net="/run/netns/$1" pppd plugin rp-pppoe.so eth0 user "$2" noauth nodetach noipdefault defaultroute noccp \
        ipparam subscriber debug logfile "/tmp/pppd-$2.log" >/dev/null 2>&1 &
    dialled=$!
}

dial_alice() { dial sub alice && alice=$dialled && wait_for serves 10.0.0.2; }
dial_bob() { dial sub3 bob && bob=$dialled && wait_for serves 10.0.0.3; }

hang_up() { # PROCESS
    kill "$1"
    wait "$1"
    return 0
}

has_address() { ip -n "$1" -o -4 addr show dev ppp0 | grep "inet $2 peer 10.0.0.1/32"; }
interface_of() { ip -n gw -o -4 addr | sed -nE "s/^[0-9]+: (ppp[0-9]+) .* peer ${1}\/32.*/\1/p"; }
is_translated() { ctl -j interface list | tr -d ' \n\t' | grep -o "\"name\":\"$1\"[^}]*" | grep '"tenant":"ispA"' | grep '"xdp":"none"'; }
serves() { it=$(interface_of "$1") && [ -n "$it" ] && is_translated "$it"; }
serves_not() { ! interface_of "$1" | grep .; }

moved_from() { [ "$(interface_of 10.0.0.2)" != "$1" ]; }
no_ppp() { ! ip -n gw -o link | grep ppp; }

alice_works() { expect 1.1.1.0:1064 in_sub peer "$1" 10.0.0.2:40000 $REFLECTOR "$2"; }
bob_works() { expect 1.1.1.0:1079 in_sub3 peer "$1" 10.0.0.3:40000 $REFLECTOR "$2"; }
of_b_works() { expect 1.1.2.0:1064 in_sub2 peer "$1" "$B.2:40000" $REFLECTOR "$2"; }
all_work() { alice_works "$@" && bob_works "$@" && of_b_works "$@"; }

# A flow of each goes on while somebody else hangs up and comes back.
others_go_on() {
    for outside in 1.1.1.0:1080 1.1.2.0:1095; do
        before=$(grep -cx "udp $outside" "$LOG")
        wait_for more_of_endpoint $outside "$before" || { echo "$outside stands still at $before" && return 1; }
    done
}
more_of_endpoint() { [ "$(grep -cx "udp $1" "$LOG")" -gt "$2" ]; }

check_ppp() { # VRF of ispA, VRF of ispB, or nothing
    failed=0
    : >"$LOG"
    configure_ppp "$1"
    cat >$CONFIG <<CONFIGURATION
{
  "tenants": [
    { "name": "ispA", ${1:+\"vrf\": \"$1\",} "interfaces": { "inside": ["ppp*"], "outside": ["out0"] } },
    { "name": "ispB", ${2:+\"vrf\": \"$2\",} "interfaces": { "inside": ["in1"], "outside": ["out0"] } }
  ],
  "mappings": [
    { "tenant": "ispA", "in": "10.0.0.0/18", "out": "1.1.1.0/30" },
    { "tenant": "ispB", "in": "$B.0/18", "out": "1.1.2.0/30" }
  ],
  "stages": $stages, "sessions_per_user": 1000, "sweep_interval": 1, "control_socket": "/run/agent.sock", "state_dir": "/tmp/state"
}
CONFIGURATION
    check "the agent starts before there is any ppp interface" start_agent
    check "the access concentrator starts" serve_ppp
    check "alice dials in, and her interface is ispA's" dial_alice
    check "bob does, and his is, too" dial_bob
    check "alice has her address" wait_for has_address sub 10.0.0.2
    check "bob has his" wait_for has_address sub3 10.0.0.3
    check "UDP of all three" all_work udp 500
    check "TCP of all three" all_work tcp 1000
    check "TCP of 60000 octets" all_work tcp 60000
    check "UDP in fragments" all_work udp 6000
    report_ppp
    nsenter --net=/run/netns/sub3 peer flood 10.0.0.3:7001 $REFLECTOR /tmp/sent-a &
    flood_a=$!
    nsenter --net=/run/netns/sub2 peer flood "$B.4:7001" $REFLECTOR /tmp/sent-b &
    flood_b=$!
    hang_up "$alice"
    check "alice hangs up: her interface goes" wait_for serves_not 10.0.0.2
    check "bob and ispB go on" others_go_on
    check "alice comes back on an interface of ispA's" dial_alice
    check "she has her address" wait_for has_address sub 10.0.0.2
    check "her outside address and port are as before" wait_for alice_works udp 500
    check "bob and ispB have gone on" others_go_on
    kill $flood_a $flood_b
    wait $flood_a $flood_b
    # Who had the second interface comes back first, so that each has the other's.
    had=$(interface_of 10.0.0.2)
    [ "$had" = ppp0 ] && order="bob alice" || order="alice bob"
    hang_up "$alice"
    hang_up "$bob"
    check "both hang up" wait_for no_ppp
    for who in $order; do check "$who comes back" "dial_$who"; done
    check "alice has another interface than $had" moved_from "$had"
    check "each has its own outside address and port" wait_for all_work udp 500
    check "the outside saw no inside address" sh -c "! grep ' 10\.' $LOG"
    check "the tables are right" ctl check
    report_ppp
    hang_up "$alice"
    hang_up "$bob"
    kill "$(head -n 1 /run/pppoe-server.pid)"
    rm -f /run/pppoe-server.pid
    check "the agent ends" stop_agent
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    check "nothing is left" nothing_left
    rm -rf /tmp/state
}

report_ppp() {
    [ "$failed" = 1 ] || return 0
    {
        tail -n 40 /tmp/agent.log /tmp/pppd*.log
        ctl interface list
        in_gw /usr/bin/ip addr
        in_gw /usr/bin/ip route show table all
        counters | grep '^"drop_' | grep -v ':0$'
    } >&2
}

ppp_part() {
    make_ppp_network
    STATE=ppp
    number_b 10.1.0
    check_ppp
    STATE="ppp in a VRF"
    number_b 10.0.0
    ip -n gw link add blue type vrf table 10 && ip -n gw link set blue up
    make_red
    leak_out 10
    leak_out 20
    check_ppp blue red
}
