# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The life of the Debian package, in a guest that systemd has booted (dash): /packages/before.deb is installed, started,
# upgraded under traffic to /packages/now.deb, removed, installed again and purged.
# shellcheck source=tests/vm/common.sh
. /lib/checks/common.sh

CONFIG=/etc/detnat/detnat.json
STATE=package
PATIENCE_MS=180000 # an emulated processor takes its time to verify programs
after_failure() {
    systemctl status --no-pager -l detnat
    journalctl -n 40 --no-pager
}

property() { systemctl show --value -p "$1" "${2:-detnat}"; }
sent() { cat /run/lab/sent; }
leaked() { grep -c 'udp 10\.' /run/lab/seen.log; }
translated() { grep -c 'udp 1\.1\.1\.' /run/lab/seen.log; }
session_of() { detnatctl -j session list 10.0.0.2 | tr -d ' \n\t' | grep -q "\"in_port\":$1,"; }
installed() { dpkg-query -W -f '${db:Status-Abbrev}${Version}' detnat; }

# What the file systems hold, without what belongs to dpkg, the journal and systemd's state, and without the former
# versions of the lists of users, which stay.
everything() {
    find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \
        -o -path /var/lib/systemd -o -path /root -o -path /dev -o -path '/etc/*-' \) -prune -o -print | sort
}

nothing_runs() {
    expect "inactive disabled" echo "$(property ActiveState) $(systemctl is-enabled detnat)" && expect inactive property ActiveState detnat-guard &&
        [ ! -e /sys/fs/bpf/detnat ]
}

has_users() { getent passwd detnat && getent group detnat-admin; }

configure() {
    cat >$CONFIG <<CONFIGURATION
{
  "interfaces": { "inside": ["in0"], "outside": ["out0"] },
  "mappings": [ { "in": "10.0.0.0/18", "out": "1.1.1.0/30" } ],
  "sessions_per_user": 1000, "sweep_interval": 1
}
CONFIGURATION
    detnat-agent -t
}

restarted() { # PID BEFORE
    [ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "$1" ] && [ "$(property MainPID)" != 0 ]
}

# The agent is another one right after dpkg has ended, as it was restarted once and is ready.
upgrades() {
    pid=$(property MainPID) leaked=$(leaked) sent=$(sent)
    guard=$(property InvocationID detnat-guard)
    dpkg -i /packages/now.deb || return 1
    restarted "$pid" || { echo "state $(property ActiveState), process $(property MainPID), before $pid"; return 1; }
    expect "ii $(dpkg-deb -f /packages/now.deb Version)" installed || return 1
    expect "$guard" property InvocationID detnat-guard || return 1
    [ "$(sent)" -gt "$sent" ] || { echo "nothing was sent meanwhile"; return 1; }
    expect "$leaked" leaked
}

restarted_once() { expect 2 sh -c 'journalctl -u detnat -o cat --no-pager | grep -c "ready$"'; }

keeps_a_stopped_one_stopped() {
    systemctl stop detnat && dpkg -i /packages/now.deb && expect inactive property ActiveState && systemctl start detnat
}

ends_nat() {
    dpkg -r detnat || return 1
    [ ! -e /sys/fs/bpf/detnat ] || { ls /sys/fs/bpf/detnat; return 1; }
    ! nft list ruleset | grep detnat && [ -e $CONFIG ] && [ -s /var/lib/detnat/history.jsonl ] && ! pidof detnat-agent
}

leaves_nothing() {
    dpkg -P detnat detnat-doc || return 1
    everything >/tmp/after
    diff /tmp/at-first /tmp/after && ! pidof detnat-agent && ! ip route | grep 'proto 215'
}

check "the network is up" wait_for test -s /run/lab/sent
everything >/tmp/at-first
check "the package is installed" dpkg -i /packages/before.deb
check "nothing is enabled or started, as there is no configuration" nothing_runs
check "its users are there" has_users
check "the file is accepted" configure
check "the service is enabled and started" systemctl enable --now detnat
check "UDP is translated" wait_for expect 1.1.1.0:1060 in_sub peer udp 10.0.0.2:41001 $REFLECTOR 100
check "the flood is translated" wait_for translated
check "an upgrade under traffic restarts the agent, not the guard, and leaks nothing" upgrades
check "it is restarted once" restarted_once
check "the session of before is there" session_of 41001
check "UDP is translated after it" wait_for expect 1.1.1.0:1062 in_sub peer udp 10.0.0.2:41003 $REFLECTOR 100
check "an upgrade does not start an agent that was stopped" keeps_a_stopped_one_stopped
check "a removal ends NAT and keeps configuration and history" ends_nat
check "it is installed again, with its documents" dpkg -i /packages/doc.deb /packages/now.deb
check "it is still enabled, with its configuration, and starts" systemctl start detnat
check "a purge of what runs leaves nothing" leaves_nothing
check "the kernel saw nothing wrong" kernel_is_well
