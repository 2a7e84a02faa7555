# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about emulated cards, which wires.sh gives the guest. A pair of them at a time is in0 and out0 of the gateway;
# subscribers and internet have cards of their own.

MONITOR=/dev/ttyS2
monitor() { echo "$*" >$MONITOR; }

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

forget_neighbours() {
    for it in "gw in0" "gw out0" "sub sub0" "net net0"; do
        # shellcheck disable=SC2086 # two words
        set -- $it
        ip -n "$1" neigh flush dev "$2"
    done
}

has_carrier() { ip -n "$1" link show dev "$2" | grep -q LOWER_UP; }

use_cards() { # LETTER [LETTER OUTSIDE]
    take "$1"1 gw in0 && take "${2:-$1}"2 gw out0 || return 1
    bring_up_inside
    ip -n gw addr add 198.51.100.1/24 dev out0
    ip -n gw link set out0 up
    forget_neighbours
    for it in "gw in0" "gw out0"; do
        # shellcheck disable=SC2086 # two words
        wait_for has_carrier $it || return 1
    done
}

drop_cards() {
    give_back gw in0 "$1"1
    give_back gw out0 "${2:-$1}"2
}

set_mtu() {
    for it in "sub sub0" "gw in0" "gw out0" "net net0"; do
        # shellcheck disable=SC2086 # two words
        set -- $it "$1"
        ip -n "$1" link set "$2" mtu "$3" || return 1
        set -- "$3"
    done
}

# In place of guest.sh's, which is of veths.
make_cards_network() {
    for ns in sub gw net; do
        ip netns add $ns
        ip -n $ns link set lo up
        nsenter --net=/run/netns/$ns sysctl -qw net.ipv6.conf.all.disable_ipv6=1
        nsenter --net=/run/netns/$ns sysctl -qw net.ipv6.conf.default.disable_ipv6=1
    done
    take e1 sub sub0 && take e2 net net0 || return 1
    for addr in 10.0.0.2/18 10.0.0.3/18 10.0.0.4/18; do ip -n sub addr add $addr dev sub0; done
    ip -n net addr add 198.51.100.7/24 dev net0
    ip -n sub link set sub0 up
    ip -n net link set net0 up
    ip -n sub route add default via 10.0.0.1
    ip -n net route add 1.1.1.0/30 via 198.51.100.1
    in_gw sysctl -qw net.ipv4.ip_forward=1
    nsenter --net=/run/netns/net peer reflect 7 "$LOG" &
    stty -F $MONITOR raw -echo
    wait_for grep -q ready "$LOG"
}

udp_passes() { wait_for expect 1.1.1.0:1055 in_sub peer udp 10.0.0.2:40006 "$REFLECTOR" 500; }

doctor_says() { # LEVEL CHECK WORDS
    in_gw detnat-agent --doctor -c "$CONFIG" >/tmp/doctor 2>&1
    grep "^$1  *$2 " /tmp/doctor | grep -q -- "$3" || { cat /tmp/doctor; return 1; }
}

# ---- what happens to a card under traffic ----

flood() { # COMMAND…: while a subscriber sends
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

loses_carrier() {
    monitor "set_link $1 off"
    wait_for lost_carrier "$2"
}
lost_carrier() { ! has_carrier gw "$1"; }

link_comes_back() { # CARD NAME
    loses_carrier "$1" "$2" || return 1
    monitor "set_link $1 on"
    wait_for has_carrier gw "$2" || return 1
    udp_passes
}

check_link() {
    check "the inside link goes down and up" flood link_comes_back "$card"1 in0
    check "the outside link goes down and up" flood link_comes_back "$card"2 out0
}

is_absent() { ctl -j interface list | tr -d ' \n\t' | grep -o '"name":"in0"[^}]*' | grep -q '"xdp":"absent"'; }
is_gone() { ! ip -n gw link show dev in0 2>/dev/null; }

# QEMU takes the identifier when the guest has let go of the old card.
added() {
    monitor "device_add virtio-net-pci,id=a1,netdev=na1,mac=52:54:00:00:00:a1,bus=port1,mq=on,vectors=10,romfile="
    usleep 500000
    card_named a1
}

card_is_replaced() {
    monitor "device_del a1"
    wait_for is_gone || return 1
    wait_for is_absent || return 1
    wait_for added || return 1
    take a1 gw in0 && bring_up_inside || return 1
    wait_for attached_as "$1" || return 1
    udp_passes
}

check_removal() {
    check "a card is removed and comes back" flood card_is_replaced "$2"
    check "the tables are right" ctl check
}

large_frames() {
    check "UDP of 8000 octets" expect 1.1.1.0:1056 in_sub peer udp 10.0.0.2:40007 "$REFLECTOR" 8000
    check "TCP of 60000 octets" expect 1.1.1.0:1057 in_sub peer tcp 10.0.0.2:40008 "$REFLECTOR" 60000
}

frags() { case $(uname -r) in 6.1.*) return 1 ;; esac; }

# ---- the kinds of cards ----

mergeable_virtio() {
    card=a
    check "$card: cards come up" use_cards a || return
    check_mode redirect native "check_restart check_queues check_link"
    check_mode kernel native
    check_mode redirect none check_queues
    if make_vlans; then
        check_mode redirect native "check_vlans"
        drop_vlans
    fi
    check "$card: MTU 9000" set_mtu 9000
    if frags; then check_mode redirect auto large_frames native; else check_mode redirect auto large_frames skb; fi
    check "$card: MTU 1500" set_mtu 1500
    drop_cards a
}

plain_virtio() {
    card=b
    check "$card: cards come up" use_cards b || return
    check_mode redirect auto check_link skb
    drop_cards b
}

vmxnet3() {
    card=c
    check "$card: cards come up" use_cards c || return
    if frags; then check_mode redirect native check_link; else check_mode redirect auto check_link skb; fi
    drop_cards c
}

e1000e() {
    card=d
    check "$card: cards come up" use_cards d || return
    check_mode redirect auto check_link skb
    check_mode redirect none
    drop_cards d
    # One side runs native XDP, and the other sends nothing that it redirects.
    check "virtio inside and e1000e outside come up" use_cards a d || return
    check_mode redirect auto "" both
    drop_cards a d
}

# A card that is taken out of the machine and put back.
removal() {
    card=a
    check "$card: cards come up" use_cards a || return
    check_mode redirect native check_removal
    drop_cards a
}

cards_part() {
    # shellcheck disable=SC2034 # for check
    STATE=cards
    check "the cards are there" make_cards_network || return
    read -r kinds </etc/cards
    for kind in $kinds; do $kind; done
}
