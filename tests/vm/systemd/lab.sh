#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# sub: 10.0.0.2, .3 --- this machine: 10.0.0.1, 198.51.100.1 --- net: 198.51.100.7, which sees the sources of packets
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
ip() { /usr/bin/ip "$@"; }

mkdir -p /run/netns /run/lab
for ns in sub net; do
    ip netns add $ns
    ip -n $ns link set lo up
done
ip link add in0 type veth peer name sub0 netns sub
ip link add out0 type veth peer name net0 netns net
ethernet() { # NAMESPACE DEVICE ADDRESS…
    ns=$1 dev=$2
    shift 2
    for addr; do ip -n "$ns" addr add "$addr" dev "$dev"; done
    nsenter --net="/run/netns/$ns" ethtool -K "$dev" tx off gro on >/dev/null
    ip -n "$ns" link set "$dev" up
}
ethernet sub sub0 10.0.0.2/18 10.0.0.3/18
ethernet net net0 198.51.100.7/24
ip -n sub route add default via 10.0.0.1
ip -n net route add 1.1.1.0/30 via 198.51.100.1
# A reply to a leaked inside address would be routed back, so nothing hides a leak.
ip -n net route add 10.0.0.0/18 via 198.51.100.1
nsenter --net=/run/netns/net peer reflect 7 /run/lab/seen.log &
echo 1 >/proc/sys/net/ipv4/ip_forward
ip addr add 10.0.0.1/18 dev in0
ip addr add 198.51.100.1/24 dev out0
ethtool -K in0 tx off gro on >/dev/null
ethtool -K out0 tx off gro on >/dev/null
ip link set in0 up
ip link set out0 up
nsenter --net=/run/netns/sub peer flood 10.0.0.3:5000 198.51.100.7:7 /run/lab/sent &
exit 0
