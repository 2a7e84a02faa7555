# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The checks of detnat's units, run inside a guest that systemd has booted (busybox sh).
# shellcheck source=tests/vm/common.sh
. /lib/checks/common.sh

CONFIG=/etc/detnat/detnat.json
STATE=systemd
PATIENCE_MS=120000 # an emulated processor takes its time to verify programs
after_failure() { journalctl -u detnat -n 20 --no-pager; }

property() { systemctl show --value -p "$1" "${2:-detnat}"; }
seen() { grep -q "$1" /run/lab/seen.log; }
sent() { cat /run/lab/sent; }

leaked() { grep -c 'udp 10\.' /run/lab/seen.log; }

nothing_leaked() {
    [ "$(sent)" -gt 100 ] || { echo "only $(sent) packets were sent"; return 1; }
    expect 0 leaked
}

guard_came_first() {
    expect "active success" echo "$(property ActiveState detnat-guard) $(property Result detnat-guard)" || return 1
    guard=$(property ActiveEnterTimestampMonotonic detnat-guard) links=$(property InactiveExitTimestampMonotonic lab)
    [ "$guard" -gt 0 ] && [ "$guard" -lt "$links" ] && return
    echo "done at $guard us, the network began at $links us"
    return 1
}

runs_as_detnat() {
    pid=$(property MainPID)
    expect "detnat detnat" stat -c '%U %G' "/proc/$pid/status" || return 1
    # CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_BPF
    for set in CapEff CapPrm CapBnd; do expect "$set: 000000c000003000" sh -c "grep $set: /proc/$pid/status | tr '\t' ' '" || return 1; done
}

session_of() { detnatctl -j session list 10.0.0.2 | tr -d ' \n\t' | grep -q "\"in_port\":$1,"; }

restarted() { # PID BEFORE
    [ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "$1" ] && [ "$(property MainPID)" != 0 ]
}

comes_back_after_a_kill() {
    pid=$(property MainPID)
    kill -KILL "$pid"
    expect 1.1.1.0:1062 in_sub peer udp 10.0.0.2:41003 $REFLECTOR 100 || return 1
    wait_for restarted "$pid"
}

quota() { detnatctl -j user show 10.0.0.2 | tr -d ' \n\t' | grep -q "\"quota\":$1,"; }
configure() { sed "s/\"sessions_per_user\": [0-9]*/\"sessions_per_user\": $1/" $CONFIG >/tmp/new && cat /tmp/new >$CONFIG; }

reloads() {
    configure 77
    systemctl reload detnat && wait_for quota 77
}

refuses_a_bad_file() {
    pid=$(property MainPID)
    cp $CONFIG /tmp/good
    echo '{' >$CONFIG
    systemctl reload detnat && return 1
    cat /tmp/good >$CONFIG
    [ "$(property MainPID)" = "$pid" ] && quota 77
}

shared_twice() { expect 2 sh -c "detnatctl -j interface list | tr -d ' \n\t' | grep -o '\"shared\":true' | wc -l"; }

# By detnat-xdp as its unit confines it.
shares() {
    sed 's/"stages"/"xdp_mode": "native", "xdp_dispatcher": "libxdp", "stages"/' $CONFIG >/tmp/new && cat /tmp/new >$CONFIG
    systemctl start detnat-xdp.socket && systemctl reload detnat && wait_for shared_twice
}

no_request_failed() {
    expect "" systemctl list-units --failed --plain --no-legend 'detnat-xdp*' || return 1
    expect "listening 0" echo "$(property SubState detnat-xdp.socket) $(journalctl -o cat --no-pager -u 'detnat-xdp@*' | grep -c .)"
}

detaches_only_with_the_helper() {
    systemctl stop detnat-xdp.socket
    detnat-agent --detach 2>/tmp/detach && return 1
    grep -q 'systemctl enable --now detnat-xdp.socket' /tmp/detach || { cat /tmp/detach; return 1; }
    expect 1.1.1.0:1063 in_sub peer udp 10.0.0.2:41004 $REFLECTOR 100 || return 1
    systemctl start detnat-xdp.socket
}

who() { detnatctl -j who 1.1.1.0:1060 --margin 0 | tr -d ' \n\t'; }
customer_known() { who | grep -q '"id":"01:02:00:00:00:00:02"'; }
listens_for_radius() { grep -q '0100000A:0715 ' /proc/net/udp && [ -e /var/lib/detnat/leases/forward-10.0.0.1-1813-10.0.0.3-1813 ]; }

# desk STATUS PATH [OPTION…]: what the desk answers through the socket of its unit.
desk() {
    status=$1 path=$2
    shift 2
    expect "$status" curl -s -o /tmp/desk -w '%{http_code}\n' --unix-socket /run/detnat-desk.sock "$@" "http://desk$path"
}
as() { echo "X-Remote-User: $1"; }

desk_is_asked() {
    expect inactive property ActiveState detnat-desk || return 1
    systemctl start detnat-desk.socket || return 1
    desk 401 / || return 1
    expect active property ActiveState detnat-desk || return 1
    echo 'stranger:x:2001:2001::/:/bin/false' >>/etc/passwd
    sed -i 's/^\(detnat-lea:.*:\)$/\1lea/; s/^\(detnat:.*:\)$/\1ops/' /etc/group
    desk 403 / -H "$(as stranger)" || return 1
    desk 200 / -H "$(as lea)" || return 1
    desk 403 /api/status -H "$(as lea)" || return 1
    desk 200 /api/status -H "$(as ops)"
}

desk_names_the_customer() {
    at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    desk 200 /api/who -H "$(as lea)" -d "$at 1.1.1.0:1060" || return 1
    grep -q '01:02:00:00:00:00:02' /tmp/desk || { cat /tmp/desk; return 1; }
    desk 200 /api/evidence -H "$(as lea)" -d "case-1 $at 1.1.1.0:1060" || return 1
    [ "$(tar -t -f /tmp/desk | grep -c '^case-1/')" -gt 5 ] || { tar -t -f /tmp/desk; return 1; }
    grep -q '"for":"lea"' /var/lib/detnat-desk/queries-*.jsonl && detnatctl history verify | grep -q "1 lines of the desk's queries"
}

desk_is_confined() {
    pid=$(property MainPID detnat-desk)
    expect "detnat-desk detnat-desk" stat -c '%U %G' "/proc/$pid/status" || return 1
    expect "CapEff: 0000000000000000" sh -c "grep CapEff: /proc/$pid/status | tr '\t' ' '" || return 1
    expect "detnat 750" stat -c '%U %a' /var/lib/detnat || return 1
    expect "detnat-desk 750" stat -c '%U %a' /var/lib/detnat-desk || return 1
    systemd-analyze security --no-pager --threshold=15 detnat-desk >/tmp/security || { cat /tmp/security; return 1; }
    echo "# systemd: $(tail -n 1 /tmp/security)"
}

leases_are_a_program_of_their_own() {
    pid=$(property MainPID detnat-leases)
    expect "detnat-leases detnat-leases" stat -c '%U %G' "/proc/$pid/status" || return 1
    expect "CapEff: 0000000000000000" sh -c "grep CapEff: /proc/$pid/status | tr '\t' ' '" || return 1
    expect "detnat-leases detnat 640" sh -c "stat -c '%U %G %a' /var/lib/detnat/leases/leases-*.jsonl" || return 1
    expect "detnat-leases 600" stat -c '%U %a' /etc/detnat/radius.secret || return 1
    systemd-analyze security --no-pager --threshold=20 detnat-leases >/tmp/security || { cat /tmp/security; return 1; }
    echo "# systemd: $(tail -n 1 /tmp/security)"
}

# The agent and its datapath do not notice.
leases_come_back_after_a_kill() {
    agent=$(property MainPID detnat) before=$(property MainPID detnat-leases)
    kill -9 "$before" || return 1
    wait_for listens_for_radius || return 1
    [ "$(property MainPID detnat-leases)" != "$before" ] && expect "$agent" property MainPID detnat
}

desk_outlives_the_agent() {
    systemctl restart detnat || return 1
    wait_for customer_known || return 1
    expect "detnat-desk 750" stat -c '%U %a' /var/lib/detnat-desk || return 1
    desk_names_again=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    desk 200 /api/evidence -H "$(as lea)" -d "case-2 $desk_names_again 1.1.1.0:1060" || return 1
    detnatctl history verify >/dev/null && expect "detnat-leases 2750" stat -c '%U %a' /var/lib/detnat/leases
}

stays_without_the_agent() {
    systemctl stop detnat || return 1
    ls /sys/fs/bpf/detnat/v*/entries || return 1
    expect 1.1.1.0:1063 in_sub peer udp 10.0.0.2:41004 $REFLECTOR 100
}

gives_up_on_a_bad_file() {
    cp $CONFIG /tmp/good
    echo '{' >$CONFIG
    systemctl start detnat && return 1
    sleep 3 # RestartSec and more: what must not happen cannot be waited for
    cat /tmp/good >$CONFIG
    expect "failed 2 0" echo "$(property ActiveState) $(property ExecMainStatus) $(property NRestarts)"
}

wait_for test -s /run/lab/sent
check "the agent is ready" wait_for expect active property ActiveState
echo "# systemd: ready $(uptime_ms) ms after the kernel's start"
check "it runs as user detnat with four capabilities" runs_as_detnat
check "UDP is translated" wait_for expect 1.1.1.0:1060 in_sub peer udp 10.0.0.2:41001 $REFLECTOR 100
before=$(sent)
check "the guard's unit has done its work before the network came up" guard_came_first
check "nothing left untranslated from the links' coming up to the agent's first start, under traffic" nothing_leaked
echo "# systemd: $before packets sent since the links came up, $(leaked) of them seen outside untranslated"
check "the flood is translated" wait_for seen 'udp 1\.1\.1\.0:10'
check "a session is listed" session_of 41001
check "a restart works" systemctl restart detnat
check "the session is still there" session_of 41001
check "a killed agent is started again, and the datapath translates meanwhile" comes_back_after_a_kill
check "the sessions of before and of meanwhile are there" eval "wait_for session_of 41001 && session_of 41003"
check "a reload applies the file" reloads
check "a reload of a bad file fails and changes nothing" refuses_a_bad_file
check "a lease of dnsmasq names the customer" wait_for customer_known
check "detnat-leases listens for RADIUS, and has a file for what it forwards" wait_for listens_for_radius
check "leases are recorded by a program of its own user without a capability" leases_are_a_program_of_their_own
check "a killed program is started again, and the agent goes on" leases_come_back_after_a_kill
check "the desk is started by its socket, and asks who asks" desk_is_asked
check "the desk names the customer and gives evidence, which history verify covers" desk_names_the_customer
check "the desk has no capability and writes in its own directory alone" desk_is_confined
check "the desk goes on after a restart of the agent" desk_outlives_the_agent
check "the key makes both interfaces shared, by a socket that starts the helper" shares
check "the agent still has four capabilities" runs_as_detnat
check "UDP is translated under the dispatcher" wait_for expect 1.1.1.0:1060 in_sub peer udp 10.0.0.2:41001 $REFLECTOR 100
check "no request failed, and none says anything in the journal" no_request_failed
check "a mapping is added" detnatctl mapping add 10.9.0.0/24 9.9.9.0/28
check "the log has an audit line" sh -c 'journalctl -u detnat -o cat --no-pager | grep -q "audit: uid=0 (root) pid=.*: mapping add"'
check "stopped, the datapath stays and translates; its pins are the system's" stays_without_the_agent
check "--detach with the helper's socket stopped says so, and leaves all as it was" detaches_only_with_the_helper
check "--detach by root ends it" detnat-agent --detach
check "a bad file at a first start: status 2, and not started again" gives_up_on_a_bad_file
check "the kernel saw nothing wrong" kernel_is_well
