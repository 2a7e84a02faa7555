# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about upgrades from 1.0.0, and the way back, of interfaces that are shared through libxdp.
# shellcheck source=tests/vm/libxdp.sh
. /lib/checks/libxdp.sh

# Real agents of 1.0.0, of a layout; a package has agent and helper of one version.
former_agent() { # LAYOUT
    program=former-$1
    start_agent
    started=$?
    program=
    return $started
}
helper_is() { # PROGRAM
    [ -z "$helper" ] || stop_helper
    helper_program=$1
    start_helper env
}
hand_back() { # LAYOUT
    nsenter --net=/run/netns/gw detnat-agent --hand-back -c $CONFIG >/tmp/handed 2>&1 5>&- &
    handing=$!
    PATIENCE_MS=60000
    wait_for grep -q offered /tmp/handed && helper_is "former-xdp-$1" && former_agent "$1" && wait "$handing"
    handed=$?
    PATIENCE_MS=10000
    cat /tmp/handed
    return $handed
}
layouts() { find /sys/fs/bpf/detnat -maxdepth 1 -name 'v*' | sed 's/.*\///' | sort | tr '\n' ' '; }
upgraded_from() { # LAYOUT MODE
    STATE="libxdp $2, from layout $1 of 1.0.0"
    configure_shared libxdp "$2"
    check "its helper listens" helper_is "former-xdp-$1"
    check "1.0.0 starts" former_agent "$1"
    [ -n "$ready_ms" ] || { tail -n 50 /tmp/agent.log >&2 && return 1; }
    check "both are shared" shared_twice
    check "UDP" wait_for udp_of_3
    check "1.0.0 ends" stop_agent
    flood_begins
    check "this version's helper listens" helper_is detnat-xdp
    check "this version takes over" start_agent
    PATIENCE_MS=60000
    check "the tables are of this layout" wait_for expect "${PINS##*/} " layouts
    check "both are shared still" wait_for shared_twice
    PATIENCE_MS=10000
    check "by one component each" wait_for one_own
    check "no packet of the upgrade is lost or untranslated" flood_was_whole
    cat /tmp/flood
    check "this version ends" stop_agent
    flood_begins
    check "1.0.0 takes over what is handed back" hand_back "$1"
    check "the tables are of its layout" wait_for expect "v$1 " layouts
    check "both are shared by 1.0.0" wait_for shared_twice
    check "which translates" wait_for udp_of_3
    check "no packet of the way back is lost or untranslated" flood_was_whole
    cat /tmp/flood
    check "1.0.0 ends" stop_agent
    check "its --detach" in_gw "former-$1" --detach -c $CONFIG
    rm -rf /tmp/state
    check "nothing is left" nothing_left
}

# The helper, and ways for the packets, for a part of its own.
upgrades_part() {
    STATE=upgrades
    : >"$LOG"
    ip -n net route replace 1.1.1.0/30 dev net0
    ip -n net route replace 10.0.0.0/18 via 198.51.100.1
    export DETNAT_XDP_SOCKET=$HELPER
    helper=
    for layout in 6 5; do
        upgraded_from $layout native
        upgraded_from $layout skb
    done
    stop_helper
    unset DETNAT_XDP_SOCKET
    ip -n net route del 10.0.0.0/18
}
