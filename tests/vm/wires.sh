#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# wires.sh QEMU…: runs QEMU with cards, and with the wires between them in a network namespace that ends with it. Needs root.
#
#	the subscribers' card --- wire 1 --- inside cards: a1 b1 c1 d1
#	the internet's card   --- wire 2 --- outside cards: a2 b2 c2 d2
#
# a: virtio with four queues and mergeable buffers, behind root ports; b: virtio without mergeable buffers; c: vmxnet3; d: e1000e; e: the
# peers' cards. MAC addresses are 52:54:00:00:00:XN. The guest has QEMU's monitor at its third serial line: see cards.sh.
set -euo pipefail
[ "${1:-}" = --inside ] || exec unshare --net "$0" --inside "$@"
shift

directory=$(mktemp -d)
devices=(-chardev "socket,id=monitor,path=$directory/monitor,server=on,wait=off" -mon chardev=monitor
    -chardev "socket,id=line,path=$directory/monitor" -serial chardev:line)

card() { # ID QUEUES DEVICE[,PROPERTY…]
    local id=$1 queues=$2 multi=
    [ "$queues" = 1 ] || multi=multi_queue
    # shellcheck disable=SC2086 # nothing or a word
    ip tuntap add "$id" mode tap $multi
    ip link set "$id" mtu 9000 master "wire${id#?}" up
    devices+=(-netdev "tap,id=n$id,ifname=$id,script=no,downscript=no${multi:+,queues=$queues}"
        -device "$3,id=$id,netdev=n$id,mac=52:54:00:00:00:$id,romfile=")
}

for wire in 1 2; do
    ip link add "wire$wire" type bridge
    ip link set "wire$wire" mtu 9000 up
    devices+=(-device "pcie-root-port,id=port$wire,chassis=$wire,slot=$wire")
    card "a$wire" 4 "virtio-net-pci,bus=port$wire,mq=on,vectors=10"
    card "b$wire" 1 "virtio-net-pci,mrg_rxbuf=off"
    card "c$wire" 1 "vmxnet3"
    card "d$wire" 1 "e1000e"
    card "e$wire" 1 "virtio-net-pci"
done
"$@" "${devices[@]}" &
qemu=$!
trap 'kill $qemu 2>/dev/null || true; rm -rf "$directory"' EXIT
trap 'exit 1' TERM INT
wait $qemu
