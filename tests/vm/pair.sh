#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# pair.sh QEMU…: runs it twice, as the two machines of `make bench-nic`, with wires between them in a network namespace that
# ends with them. Ends when the gateway does. Needs root and /dev/net/tun.
#
#	gateway a1 --- wire 1 --- generator b1
#	gateway a2 --- wire 2 --- generator b2
#	gateway a3, an e1000e: nothing is joined to it
#
# a1, a2, b1 and b2 are virtio with four queues. MAC addresses are 52:54:00:00:00:XN. A virtual serial port joins the guests;
# its name tells a guest which it is. The generator's logs have -generator in their names.
set -euo pipefail
[ "${1:-}" = --inside ] || exec unshare --net "$0" --inside "$@"
shift

directory=$(mktemp -d)
running=()
# shellcheck disable=SC2317 # by the trap
end() {
    [ ${#running[@]} = 0 ] || kill "${running[@]}" 2>/dev/null || true
    rm -rf "$directory"
}
trap end EXIT
trap 'exit 1' TERM INT

card() { # ID QUEUES DEVICE[,PROPERTY…]
    local id=$1 queues=$2 multi=
    [ "$queues" = 1 ] || multi=multi_queue
    # shellcheck disable=SC2086 # nothing or a word
    ip tuntap add "$id" mode tap $multi
    ip link set "$id" up
    ip link set "$id" master "wire${id#?}" 2>/dev/null || true # there is no third wire
    # shellcheck disable=SC2054 # QEMU's commas
    devices+=(-netdev "tap,id=n$id,ifname=$id,script=no,downscript=no${multi:+,queues=$queues}"
        -device "$3,netdev=n$id,mac=52:54:00:00:00:$id,romfile=")
}

# machine NAME LETTER SOCKET: the devices of one.
machine() {
    # shellcheck disable=SC2054
    devices=(-chardev "socket,id=line,path=$directory/line,$3" -device virtio-serial-pci -device "virtserialport,chardev=line,name=$1")
    for wire in 1 2; do card "$2$wire" 4 "virtio-net-pci,mq=on,vectors=10"; done
}

for wire in 1 2; do
    ip link add "wire$wire" type bridge
    ip link set "wire$wire" up
done
machine gateway a server=on,wait=off
card a3 1 e1000e
"$@" "${devices[@]}" &
gateway=$! running+=($!)
until [ -S "$directory/line" ]; do
    kill -0 $gateway 2>/dev/null || exit 1
    sleep 0.1
done
machine generator b server=off,reconnect=1
"${@/%.log/-generator.log}" "${devices[@]}" &
running+=($!)
wait $gateway
