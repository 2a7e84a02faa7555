#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The other machine of `make bench-nic`: sends what the gateway is to translate. Needs root, and the kernel's pktgen; nothing else of
# detnat, so it can be copied alone.
#
#	nic_generator.sh in2out|out2in IN OUT MAC [THREADS]
#
# IN and OUT are this machine's interfaces, joined to those of the gateway; MAC is the gateway's on the side that is sent to. Sends until
# it is interrupted, from THREADS queues (all CPUs by default), then says how many frames came back on the other side. SIZE sets the
# length of a frame without its FCS (60), HOSTS the number of subscribers (1024), RATE the frames a second of each thread (as many as
# it can).
set -euo pipefail

usage() {
    sed -n 's/^#\t//p' "$0" >&2
    exit 2
}
refuse() {
    echo "nic_generator: $*" >&2
    exit 1
}

if [ $# -lt 4 ] || [ $# -gt 5 ]; then usage; fi
path=$1 in=$2 out=$3 mac=$4 threads=${5:-$(nproc)}
size=${SIZE:-60} hosts=${HOSTS:-1024} rate=${RATE:-0}
case $path in
in2out) from=$in to=$out ;;
out2in) from=$out to=$in ;;
*) usage ;;
esac
[[ $mac =~ ^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$ ]] || refuse "$mac is no MAC address"
[[ $threads =~ ^[1-9][0-9]*$ ]] || refuse "$threads is no number of threads"
[[ $size =~ ^[1-9][0-9]+$ ]] || refuse "SIZE=$size: a number of octets is needed"
[[ $hosts =~ ^[1-9][0-9]*$ ]] || refuse "HOSTS=$hosts: a number above 0 is needed"
[[ $rate =~ ^[0-9]+$ ]] || refuse "RATE=$rate: a number of frames a second is needed"
[ "$(id -u)" = 0 ] || refuse "needs root"
for device in "$in" "$out"; do
    ip link show dev "$device" >/dev/null 2>&1 || refuse "there is no interface $device"
    # Of its own addresses and of link-local ones nothing depends.
    [ -n "${FORCE:-}" ] || ! ip -o -4 addr show dev "$device" scope global | grep -vqE ' (10\.9\.0\.2|198\.51\.100\.7)/24' ||
        refuse "$device has addresses; take another interface, or set FORCE=1"
    [ -n "${FORCE:-}" ] || ! ip route show default | grep -qw "dev $device" ||
        refuse "the default route leaves by $device; take another interface, or set FORCE=1"
done
[ -d /proc/net/pktgen ] || modprobe pktgen 2>/dev/null || true
[ -d /proc/net/pktgen ] || refuse "the kernel has no pktgen (CONFIG_NET_PKTGEN)"

pktgen() { # FILE COMMAND
    echo "$2" >"/proc/net/pktgen/$1" || refuse "pktgen refused '$2'"
}
received() { ip -s -o link show dev "$to" | awk '{ for (i = 1; i <= NF; i++) if ($i == "RX:") { while ($i != "\\") i++; print $(i + 2); exit } }'; }

added=()
sender=
# shellcheck disable=SC2317 # by the trap
end() {
    trap - EXIT INT TERM
    [ -z "$sender" ] || { echo stop >/proc/net/pktgen/pgctrl && wait "$sender"; } 2>/dev/null || true
    sent=$(cat /proc/net/pktgen/"$from"@* 2>/dev/null | awk '/pkts-sofar/ { n += $2 } END { print n + 0 }')
    [ -z "${before:-}" ] || echo "nic_generator: $sent sent by $from, $(($(received) - before)) received by $to"
    for file in /proc/net/pktgen/kpktgend_*; do echo rem_device_all >"$file"; done 2>/dev/null || true
    for address in "${added[@]}"; do
        # shellcheck disable=SC2086 # address and device
        ip addr del $address 2>/dev/null || true
    done
    exit 0
}
trap end EXIT INT TERM
for address in "10.9.0.2/24 dev $in" "198.51.100.7/24 dev $out"; do
    # shellcheck disable=SC2086 # address and device
    ip addr add $address 2>/dev/null && added+=("$address")
done
ip link set "$in" up
ip link set "$out" up

# pktgen's upper ends do not belong to the ranges.
if [ "$path" = in2out ]; then
    last=$((0xac100000 + hosts))
    flow=("src_min 172.16.0.0" "src_max $((last >> 24)).$((last >> 16 & 255)).$((last >> 8 & 255)).$((last & 255))" "flag IPSRC_RND"
        "udp_src_min 1024" "udp_src_max $((1024 + 63))" "flag UDPSRC_RND" "dst_min 198.51.100.7" "dst_max 198.51.100.7"
        "udp_dst_min 1024" "udp_dst_max 1024")
else
    top=$((1024 + hosts * 63))
    flow=("src_min 198.51.100.7" "src_max 198.51.100.7" "udp_src_min 1024" "udp_src_max 1024" "dst_min 203.0.113.0" "dst_max 203.0.113.0"
        "udp_dst_min 1024" "udp_dst_max $((top > 65535 ? 65535 : top))" "flag UDPDST_RND")
fi
for file in /proc/net/pktgen/kpktgend_*; do echo rem_device_all >"$file"; done
ready=0
for file in /proc/net/pktgen/kpktgend_*; do
    [ "$ready" -lt "$threads" ] || break
    device=$from@${file##*_}
    pktgen "${file##*/}" "add_device $device"
    for setting in "count 0" "clone_skb 0" "delay 0" "pkt_size $size" "dst_mac $mac" "queue_map_min $ready" "queue_map_max $ready" \
        "flag UDPCSUM" "${flow[@]}"; do
        pktgen "$device" "$setting"
    done
    [ "$rate" = 0 ] || pktgen "$device" "ratep $rate"
    ready=$((ready + 1))
done
before=$(received)
echo "nic_generator: $path by $from with $ready threads until interrupted"
echo start >/proc/net/pktgen/pgctrl &
sender=$!
wait "$sender"
