# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The parts of guest.sh about interfaces that are not plain links: VLAN interfaces, bonds, and those in a VRF.
# shellcheck source=tests/vm/agent.sh
. /lib/checks/agent.sh

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
    configure redirect skb 1000
    check "generic XDP is refused where GRO merges below" offload_refused "gro off"
    inside='in0.100", "in0' && configure redirect skb 1000 && inside=in0.100
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

# ---- subscribers in a VRF, whose table leads to the outside; answers come by the main table ----

make_vrf() {
    ip -n gw link add blue type vrf table 10 || return 1
    ip -n gw link set blue up
    ip -n gw link set in0 master blue
    ip -n gw route add 198.51.100.0/24 dev out0 table 10
    ip -n gw route add 10.0.0.0/18 dev in0
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
}

drop_vrf() {
    ip -n gw route del 10.0.0.0/18 dev in0
    ip -n gw link del blue
}

# Without a role nothing is attached to it, so a leak would show.
check_vrf() { # MODE
    STATE="VRF $1"
    : >"$LOG"
    inside="*" && configure redirect "$1" 1000 && inside=in0
    check "the agent starts" start_agent
    [ -n "$ready_ms" ] || return
    check "TCP from the VRF" expect 1.1.1.0:1064 in_sub peer tcp 10.0.0.2:40000 $REFLECTOR 60000
    check "UDP from the VRF" expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:40002 $REFLECTOR 500
    check "echo from the VRF" in_sub peer icmp 10.0.0.2:40005 $REFLECTOR
    check "echo's identifier is the mapping's" wait_for seen "icmp 1.1.1.0:1054"
    check "the outside saw no inside address" sh -c "! grep ' 10\.' $LOG"
    check "nothing else was dropped" dropped_nothing
    check "the tables are right" ctl check
    check "the agent ends" stop_agent
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    rm -rf /tmp/state
}

dropped_nothing() { ! counters | grep -E '"(drop_[a-z0-9_]*|no_program)":[1-9]'; }

# ---- interfaces in VRFs, by their names; routes leak from one VRF to the other ----

into_vrf() { # VRF TABLE DEVICE
    ip -n gw link show "$1" >/dev/null 2>&1 || ip -n gw link add "$1" type vrf table "$2"
    ip -n gw link set "$1" up
    ip -n gw link set "$3" master "$1"
}

# The tables (254 is main) in which packets from in0, and from out0, look for a route.
leak() { # TABLE_INSIDE TABLE_OUTSIDE [WHERE TO, by default in0]
    [ "$1" = "$2" ] && return
    ip -n gw route replace 198.51.100.0/24 dev out0 table "$1"
    ip -n gw route replace 10.0.0.0/18 dev "${3:-in0}" table "$2"
}

drop_vrfs() {
    ip -n gw link set in0 nomaster
    ip -n gw link set out0 nomaster
    for vrf in blue red; do ip -n gw link del $vrf 2>/dev/null; done
    for table in 10 20; do ip -n gw route flush table $table 2>/dev/null; done
    ip -n gw route replace 10.0.0.0/18 dev in0 proto kernel scope link src 10.0.0.1
    ip -n gw route replace 198.51.100.0/24 dev out0 proto kernel scope link src 198.51.100.1
}

blackholes_in() { # TABLE…
    for table; do in_gw /usr/bin/ip route show table "$table" proto 215 | grep 1.1.1.0/30 || return 1; done
}

vrf_comes_back() {
    ip -n gw link del blue
    wait_for no_blackholes 10 || return 1
    into_vrf blue 10 in0
    leak 10 254
    wait_for blackholes_in 10 || return 1
    wait_for expect 1.1.1.0:1061 in_sub peer udp 10.0.0.2:41002 $REFLECTOR 500
}

no_blackholes() { ! blackholes_in "$1"; }

check_inside_vrf() {
    [ "$1 $2" != "redirect native" ] || check "XDP forwards from and to the VRF" xdp_forwards
    check "blackhole routes are in main and in the VRF's table" blackholes_in 254 10
    check "the tables are right" ctl check
    check "a VRF goes and comes back" vrf_comes_back
    check "the outside saw no inside address meanwhile" sh -c "! grep ' 10\.' $LOG"
}

check_both_vrfs() {
    [ "$1 $2" != "redirect native" ] || check "XDP forwards from VRF to VRF" xdp_forwards
    check "blackhole routes are in all tables" blackholes_in 254 10 20
    check "the tables are right" ctl check
}

named_vrf_part() {
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    into_vrf blue 10 in0
    leak 10 254
    PLACE="inside in a VRF, "
    check_mode redirect native check_inside_vrf
    check_mode kernel native check_inside_vrf
    check_mode redirect none check_inside_vrf
    leak 10 254 blue
    PLACE="leaked by the VRF's device, "
    check_mode redirect native
    into_vrf red 20 out0
    leak 10 20
    PLACE="both in VRFs, "
    ip -n net route replace 1.1.1.0/30 dev net0
    check_mode redirect native "check_both_vrfs check_restart check_trace"
    ip -n net route replace 1.1.1.0/30 via 198.51.100.1
    check_mode redirect none check_both_vrfs
    drop_vrfs
    into_vrf blue 10 in0
    into_vrf blue 10 out0
    PLACE="both in one VRF, "
    check_mode redirect native
    check_mode kernel native
    check_mode redirect none
    drop_vrfs
    # shellcheck disable=SC2034 # for check_mode
    PLACE=
}

vrf_part() {
    STATE=VRF
    if ! make_vrf; then
        echo "not ok a VRF can be made"
        return
    fi
    check_vrf none
    check_vrf auto
    drop_vrf
    named_vrf_part
}
