# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about emulated cards, which wires.sh gives the guest. A pair of them at a time is in0 and out0 of
# the gateway; subscribers and internet have cards of their own.

SAID=/tmp/monitor # what QEMU answered

# QEMU's monitor, which speaks QMP.
open_monitor() {
    exec 7<>"$(find /dev -name 'vport*p1')" || return 1
    cat <&7 >$SAID &
    asked=0
    monitor qmp_capabilities
}

answered() { grep -q "\"id\": $asked}" $SAID; }

# monitor COMMAND [ARGUMENTS]: members of a JSON object. Succeeds if QEMU did it.
monitor() {
    asked=$((asked + 1))
    echo "{\"execute\": \"$1\", \"arguments\": {${2:-}}, \"id\": $asked}" >&7
    wait_for answered && grep "\"id\": $asked}" $SAID | grep -q '"return"' && return
    tail -n 5 $SAID
    return 1
}

# The interface of the guest's own namespace with this address: 52:54:00:00:00:XX.
card_named() {
    grep -lx "52:54:00:00:00:$1" /sys/class/net/*/address 2>/dev/null | sed 's,/sys/class/net/,,; s,/address,,' | grep .
}

take() { # CARD NAMESPACE NAME
    wait_for card_named "$1" || return 1
    ip link set dev "$(card_named "$1")" down
    ip link set dev "$(card_named "$1")" netns "$2" name "$3"
}

give_back() { # NAMESPACE NAME CARD
    ip -n "$1" link set "$2" down
    ip -n "$1" addr flush dev "$2"
    ip -n "$1" link set "$2" netns 1 name "card-$3"
}

bring_up_inside() { ip -n gw addr add 10.0.0.1/18 dev in0 && ip -n gw link set in0 up; }

# each COMMAND…: once for each end of the wires, with its namespace and interface.
each() {
    "$@" sub sub0 && "$@" gw in0 && "$@" gw out0 && "$@" net net0
}

forget_neighbours() { ip -n "$1" neigh flush dev "$2"; }
has_carrier() { ip -n "$1" link show dev "$2" | grep -q LOWER_UP; }

use_cards() { # INSIDE OUTSIDE
    take "$1" gw in0 && take "$2" gw out0 || return 1
    bring_up_inside || return 1
    ip -n gw addr add 198.51.100.1/24 dev out0
    ip -n gw link set out0 up
    each forget_neighbours
    each wait_for has_carrier
}

drop_cards() {
    give_back gw in0 "$1"
    give_back gw out0 "$2"
}

set_mtu() { ip -n "$2" link set "$3" mtu "$1"; }
all_have_mtu() { each set_mtu "$1"; }

# In place of guest.sh's, which is of veths.
make_cards_network() {
    for ns in sub gw net; do
        ip netns add $ns
        ip -n $ns link set lo up
        nsenter --net=/run/netns/$ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    done
    take 01 sub sub0 && take 02 net net0 || return 1
    for addr in 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18; do ip -n sub addr add $addr dev sub0; done
    ip -n net addr add 198.51.100.7/24 dev net0
    ip -n sub link set sub0 up
    ip -n net link set net0 up
    ip -n sub route add default via 10.0.0.1
    ip -n net route add 1.1.1.0/30 via 198.51.100.1
    in_gw sysctl -qw net.ipv4.ip_forward=1
    nsenter --net=/run/netns/net peer reflect 7 "$LOG" &
    wait_for grep -q ready "$LOG" && open_monitor
}

udp_passes() { wait_for expect 1.1.1.0:1055 in_sub peer udp 10.0.0.2:40006 "$REFLECTOR" 500; }

doctor_says() { # LEVEL CHECK WORDS
    in_gw detnat-agent --doctor -c "$CONFIG" >/tmp/doctor 2>&1
    grep "^$1  *$2 " /tmp/doctor | grep -q -- "$3" || { cat /tmp/doctor; return 1; }
}

# ---- what happens to a card under traffic ----

# flood COMMAND…: while a subscriber sends.
flood() {
    nsenter --net=/run/netns/sub peer flood 10.0.0.3:5000 "$REFLECTOR" /tmp/sent &
    sender=$!
    "$@"
    r=$?
    kill $sender
    wait $sender
    return $r
}

queues_of() { in_gw ethtool -l in0 | sed -n '/Current/,$s/^Combined:[ \t]*//p'; }

queues_change() {
    for n in 1 4 3 2; do
        in_gw ethtool -L in0 combined $n || return 1
        expect $n queues_of || return 1
        udp_passes || return 1
    done
}

queues_are_refused() {
    ! in_gw ethtool -L in0 combined 1 || return 1
    udp_passes
}

check_queues() {
    if [ "$2" = none ]; then
        check "the number of queues changes under traffic" flood queues_change
    else
        check "the driver refuses another number of queues, and traffic goes on" flood queues_are_refused
        check "the doctor knows that XDP has queues of its own" doctor_says ok transmit "have the transmit queues"
    fi
}

lost_carrier() { ! has_carrier gw "$1"; }

link_comes_back() { # CARD NAME
    monitor set_link "\"name\": \"$1\", \"up\": false" || return 1
    wait_for lost_carrier "$2" || return 1
    monitor set_link "\"name\": \"$1\", \"up\": true" || return 1
    wait_for has_carrier gw "$2" || return 1
    udp_passes
}

check_link() {
    check "the inside link goes down and up" flood link_comes_back "$inside_card" in0
    check "the outside link goes down and up" flood link_comes_back "$outside_card" out0
}

is_absent() { ctl -j interface list | tr -d ' \n\t' | grep -o '"name":"in0"[^}]*' | grep -q '"xdp":"absent"'; }
is_gone() { ! ip -n gw link show dev in0 2>/dev/null; }
is_deleted() { grep '"DEVICE_DELETED"' $SAID | grep -q "\"device\": \"$1\""; }

# The kernel lets go of the card, or QEMU would not have the place for another.
removed() { # CARD
    : >$SAID
    monitor device_del "\"id\": \"$1\"" && wait_for is_gone && wait_for is_deleted "$1"
}

added() { # CARD QUEUES
    monitor device_add "\"driver\": \"virtio-net-pci\", \"id\": \"$1\", \"netdev\": \"n$1\", \"mac\": \"52:54:00:00:00:$1\",
        \"bus\": \"port-$1\", \"mq\": true, \"vectors\": $(($2 * 2 + 2)), \"romfile\": \"\"" || return 1
    take "$1" gw in0 && bring_up_inside
}

card_is_replaced() { # CARD QUEUES MODE
    removed "$1" && wait_for is_absent || return 1
    added "$1" "$2" || return 1
    wait_for attached_as "$3" && udp_passes
}

check_replaced() {
    check "a card is removed under traffic and comes back" flood card_is_replaced "$inside_card" 2 "$2"
    check "the tables are right" ctl check
}

# With queues of XDP's own, virtio_net is not let go of unless XDP has left it: see doctor_removal().
card_is_dismissed() {
    ctl interface del in0 inside || return 1
    removed "$inside_card" || return 1
    added "$inside_card" 4 || return 1
    ctl interface add in0 inside && wait_for attached_as "$1" && udp_passes
}

check_dismissed() {
    check "the doctor says how such a card is removed" doctor_says ok removal "interface del in0 inside"
    check "a card is taken out of the configuration, then removed, and comes back" flood card_is_dismissed "$2"
    check "the tables are right" ctl check
}

check_large() {
    check "UDP of 8000 octets" expect 1.1.1.0:1056 in_sub peer udp 10.0.0.2:40007 "$REFLECTOR" 8000
    check "TCP of 60000 octets on large frames" expect 1.1.1.0:1057 in_sub peer tcp 10.0.0.2:40008 "$REFLECTOR" 60000
}

# ---- the kinds of cards ----

# Of 6.1, vmxnet3 has no XDP, and virtio none for frames in several buffers.
kernel_is_old() { case $(uname -r) in 6.1.*) ;; *) return 1 ;; esac; }

# with_cards NAME INSIDE OUTSIDE COMMAND
with_cards() {
    # shellcheck disable=SC2034 # for check_mode
    PLACE="$1, " inside_card=$2 outside_card=$3
    STATE=$1
    failed=0
    check "cards come up" use_cards "$2" "$3"
    [ "$failed" = 1 ] || $4
    drop_cards "$2" "$3"
}

many_queues() {
    check_mode redirect native "check_restart check_queues check_link"
    check_mode kernel native
    check_mode redirect none "check_queues check_link"
}
virtio() { with_cards "virtio, four queues" a1 a2 many_queues; }

two_stages() {
    stages=2
    check_mode redirect native check_link
    # shellcheck disable=SC2034 # for configure
    stages=$(cat /etc/stages)
}
staged() { with_cards "virtio, two stages" a1 a2 two_stages; }

tagged() {
    check "VLAN interfaces can be made" make_vlans
    [ "$failed" = 1 ] || check_mode redirect native check_vlans
    drop_vlans
}
vlans() { with_cards "virtio, VLANs" a1 a2 tagged; }

large() {
    check "MTU 9000" all_have_mtu 9000
    if kernel_is_old; then check_mode redirect skb check_large; else check_mode redirect native check_large; fi
    check "MTU 1500" all_have_mtu 1500
}
jumbo() { with_cards "virtio, MTU 9000" a1 a2 large; }

# Without mergeable buffers and with large ones, virtio_net takes a native program and never runs it.
never_run() {
    check_mode redirect skb check_link
    check_mode redirect auto check_link tc
}
unmerged() { with_cards "virtio, no mergeable buffers" b1 b2 never_run; }

small_buffers() { check_mode redirect native check_link; }
silent() { with_cards "virtio, no offloads" f1 f2 small_buffers; }

new_driver() {
    if kernel_is_old; then check_mode redirect auto check_link skb; else check_mode redirect native check_link; fi
}
vmxnet3() { with_cards vmxnet3 c1 c2 new_driver; }

# QEMU's e1000e does not tell its driver that the link is down.
without_xdp() {
    check_mode redirect auto "" skb
    check_mode redirect none
}
# One side runs native XDP, and the other sends nothing that it redirects.
one_without_xdp() { check_mode redirect auto "" "native skb"; }
e1000e() {
    with_cards e1000e d1 d2 without_xdp
    with_cards "virtio inside, e1000e outside" a1 d2 one_without_xdp
}

shared_queues() { check_mode redirect native check_replaced; }
own_queues() { check_mode redirect native check_dismissed; }
by_tc() { check_mode redirect none check_replaced; }
removal() {
    with_cards "virtio, two queues" e1 a2 shared_queues
    with_cards "virtio, two queues" e1 a2 by_tc
    with_cards "virtio, four queues" a1 a2 own_queues
}

cards_part() {
    # shellcheck disable=SC2034 # for check
    STATE=cards
    failed=0
    check "the cards are there" make_cards_network
    [ "$failed" = 0 ] || return
    read -r kinds </etc/cards
    for kind in $kinds; do $kind; done
}
