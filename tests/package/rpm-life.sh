#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs in the root that rpm.sh makes, with /root/detnat-*.rpm and the interfaces in0 and out0.
# shellcheck disable=SC2317,SC2086 # check calls the functions; the values have no spaces
set -u
CONFIG=/etc/detnat/detnat.json
PINS=/sys/fs/bpf/detnat
failed=0
log=$(mktemp)

check() { # NAME COMMAND…
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok rpm: $name"
    else
        tail -n 30 "$log"
        echo "not ok rpm: $name"
        failed=1
    fi
}
package() { ls /root/detnat-[0-9]*.rpm; }
installs() { rpm -i --nodeps --nosignature "$(package)" && rpm -q detnat && getent passwd detnat && getent group detnat-admin; }
documents() { rpm -i --nodeps --nosignature /root/detnat-doc-*.rpm && test -s /usr/share/doc/detnat-doc/README.md && rpm -e detnat-doc; }
# With XDP: the default leaves veth interfaces to tc, and both kinds of programs must come and go.
configure() {
    echo '{ "xdp_mode": "native", "interfaces": { "inside": ["in0"], "outside": ["out0"] }, "mappings": [ { "in": "10.0.0.0/18", "out": "203.0.113.0/30" } ] }' >$CONFIG
}
has_xdp() { ip -d link show in0 | grep prog/xdp; }
in_force() { [ -d $PINS ] && has_xdp; }
gone() { [ ! -e $PINS ] && ! has_xdp && ! ip route show proto 215 | grep .; }
# The agent, once it is ready, is killed: the datapath stays.
translates() {
    : >/tmp/agent.log
    detnat-agent -c $CONFIG >/tmp/agent.log 2>&1 &
    local agent=$! tenths=600
    until grep -q 'ready$' /tmp/agent.log; do
        if ! kill -0 $agent || [ $((tenths--)) = 0 ]; then cat /tmp/agent.log; return 1; fi
        sleep 0.1
    done
    kill -KILL $agent
    wait $agent
    in_force
}
upgrades() { rpm -U --replacepkgs --nodeps --nosignature "$(package)" && in_force; }
removes() { rpm -e detnat && gone && ! rpm -q detnat && [ ! -e /usr/sbin/detnat-agent ]; }
refuses() {
    mount -o remount,ro /sys/fs/bpf || return 1
    rpm -e detnat
    local status=$?
    mount -o remount,rw /sys/fs/bpf
    [ $status != 0 ] && rpm -q detnat && [ -x /usr/sbin/detnat-agent ] && in_force
}

check "it is installed, with its users" installs
check "its documents are installed and removed" documents
configure
check "the datapath outlives its agent" translates
check "an upgrade keeps the datapath" upgrades
check "a removal that cannot take the datapath off is refused, and the programs stay" refuses
check "a removal takes the datapath off" removes
check "the configuration is kept" test -e $CONFIG
check "it is installed again" installs
check "the datapath is back" translates
rm $CONFIG
check "a removal without a configuration takes it off, too" removes
check "it is installed a third time" installs
configure
check "the datapath is back again" translates
echo '{' >$CONFIG
check "a removal with a broken configuration takes it off, too" removes
exit $failed
