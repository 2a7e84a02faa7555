#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# wires.sh QEMU…: runs QEMU with cards that it emulates, and with the wires between them in a network namespace that ends
# with it. Needs root and /dev/net/tun.
#
#	the subscribers' card, p1 --- wire 1 --- inside cards: a1 b1 c1 d1 e1 f1
#	the internet's card, p2   --- wire 2 --- outside cards: a2 b2 c2 d2 f2
#
#	a  virtio with four queues, behind root ports, from which it can be removed
#	b  virtio with one queue, without mergeable buffers: the host may merge segments
#	c  vmxnet3
#	d  e1000e
#	e  virtio with two queues, which leaves XDP none of its own on two processors; behind a root port
#	f  virtio as b, to which the host offers nothing: no checksums, no segments
#	p  virtio with one queue
#
# MAC addresses are 52:54:00:00:00:XN, with 0 for p. The guest speaks QMP with QEMU by a virtual serial port.
set -euo pipefail
[ "${1:-}" = --inside ] || exec unshare --net "$0" --inside "$@"
shift

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
# shellcheck disable=SC2054 # QEMU's commas
devices=(-chardev "socket,id=monitor,path=$directory/monitor,server=on,wait=off" -mon chardev=monitor,mode=control
    -chardev "socket,id=line,path=$directory/monitor" -device virtio-serial-pci -device virtserialport,chardev=line)

card() { # ID QUEUES DEVICE[,PROPERTY…]
    local id=$1 queues=$2 multi=
    [ "$queues" = 1 ] || multi=multi_queue
    # shellcheck disable=SC2086 # nothing or a word
    ip tuntap add "$id" mode tap $multi
    ip link set "$id" mtu 9000 master "wire${id#?}" up
    devices+=(-netdev "tap,id=n$id,ifname=$id,script=no,downscript=no${multi:+,queues=$queues}"
        -device "$3,id=$id,netdev=n$id,mac=52:54:00:00:00:${id/p/0},romfile=")
}

# port ID: where a card can be removed and added.
ports=0
port() {
    ports=$((ports + 1))
    devices+=(-device "pcie-root-port,id=port-$1,chassis=$ports,slot=$ports")
}

silent=csum=off,guest_csum=off,gso=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off
for wire in 1 2; do
    ip link add "wire$wire" type bridge
    ip link set "wire$wire" mtu 9000 up
    port "a$wire"
    card "a$wire" 4 "virtio-net-pci,bus=port-a$wire,mq=on,vectors=10"
    card "b$wire" 1 "virtio-net-pci,mrg_rxbuf=off"
    card "c$wire" 1 "vmxnet3"
    card "d$wire" 1 "e1000e"
    card "p$wire" 1 "virtio-net-pci"
    card "f$wire" 1 "virtio-net-pci,mrg_rxbuf=off,$silent"
done
port e1
card e1 2 "virtio-net-pci,bus=port-e1,mq=on,vectors=6"
"$@" "${devices[@]}" &
qemu=$!
trap 'kill $qemu 2>/dev/null || true; rm -rf "$directory"' EXIT
trap 'exit 1' TERM INT
wait $qemu
