#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The files of deploy/network are what netplan, udev, systemd-networkd, ifupdown and sysctl read, as far as they can tell
# without the interfaces: each reads them in namespaces of its own and says nothing about a key or a value.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
PATH=$PATH:/sbin:/usr/sbin

# clean NAME PATTERN COMMAND…: the command succeeds and no line of what it prints matches.
clean() {
    local name=$1 pattern=$2
    shift 2
    if ! "$@" >"$work/said" 2>&1 || grep -E "$pattern" "$work/said"; then
        tail -n 20 "$work/said" >&2
        echo "not ok $name"
        failed=1
    else
        echo "ok $name"
    fi
}

generates() {
    local root=$work/netplan
    install -D -m 600 deploy/network/detnat.yaml "$root/etc/netplan/detnat.yaml"
    netplan generate --root-dir "$root" || return 1
    grep -q '^Address=100.64.0.1/18$' "$root/run/systemd/network/10-netplan-inside0.network" &&
        grep -q '^Gateway=198.51.100.1$' "$root/run/systemd/network/10-netplan-outside0.network" &&
        grep -q '^GenericReceiveOffload=true$' "$root/run/systemd/network/10-netplan-inside0.link"
}

# In a namespace with the two interfaces, where systemd sees these files alone of all in /etc.
# shellcheck disable=SC2016 # the inner shell expands
apart() {
    unshare --net --mount sh -c '
        mount -t sysfs sys /sys && mount -t tmpfs run /run && mkdir -p /etc/systemd/network /run/systemd/netif /run/udev/data &&
        mount --bind deploy/network /etc/systemd/network &&
        ip link add inside0 address 02:00:00:00:00:01 type veth peer outside0 || exit 1
        export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console
        exec "$@"' apart "$@"
}

udev_reads() {
    apart udevadm test-builtin net_setup_link /sys/class/net/inside0
    grep -q 'Parsed configuration file "/etc/systemd/network/10-detnat-inside.link"' "$work/said"
}

# It has no mode in which it only reads: it is ended when it has read all.
networkd_reads() {
    apart timeout --preserve-status -s TERM 3 /lib/systemd/systemd-networkd
    grep -q 'Enumeration completed' "$work/said"
}

ifup_reads() {
    local actions='ip addr add 100.64.0.1/255.255.192.0 .*dev inside0|ip route add default via 198.51.100.1 +dev outside0|rx-vlan-hw-parse off'
    ifup --no-act --verbose --state-dir "$work" -i deploy/network/interfaces -a
    [ "$(grep -cE "$actions" "$work/said")" = 3 ]
}

wrong='Unknown|nknown key|Failed to parse|Invalid|ignoring (assignment|line)'
clean "netplan makes units of detnat.yaml" '[Ee]rror' generates
clean "udev knows the keys of the .link file" "$wrong" udev_reads
clean "systemd-networkd knows the keys of the .network files" "$wrong" networkd_reads
clean "ifup takes its steps from interfaces" ':[0-9]+: |unknown' ifup_reads
clean "sysctl knows the keys of sysctl.conf" 'cannot|invalid' apart sysctl -p deploy/network/sysctl.conf
[ $failed = 0 ]
