# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about interfaces that detnat shares with other XDP programs through libxdp: Debian 12's, whose tools
# carry a dispatcher of their own. On kernels from 6.12 on, only the helper's dispatcher suits, which run.sh builds: there other
# programs come before detnat, and go after it.
# shellcheck source=tests/vm/agent.sh
. /lib/checks/agent.sh

HELPER=/run/detnat-xdp.sock
PINS=/sys/fs/bpf/detnat/v$(cat /etc/layout)
case $(uname -r) in 6.1.*) tools_suit=1 ;; *) tools_suit=0 ;; esac
shared_priority=90 shared_stages=$stages

start_helper() { # WRAPPER…
    mkdir -p /run/detnat
    if [ "$tools_suit" = 0 ]; then export LIBXDP_OBJECT_PATH=/usr/lib/dispatcher; fi
    rm -f $HELPER
    "$@" "${helper_program:-detnat-xdp}" --listen $HELPER >/tmp/helper.log 2>&1 &
    helper=$!
    unset LIBXDP_OBJECT_PATH
    wait_for test -S $HELPER
}

stop_helper() {
    kill "$helper"
    wait "$helper"
    rm -f $HELPER
    return 0
}

configure_shared() { # DISPATCHER MODE
    cat >$CONFIG <<CONFIGURATION
{
  "interfaces": { "inside": ["in0"], "outside": ["out0"] },
  "mappings": [ { "in": "10.0.0.0/18", "out": "1.1.1.0/30" } ],
  "xdp_mode": "$2", "xdp_dispatcher": "$1", "xdp_priority": $shared_priority, "stages": $shared_stages, "sessions_per_user": 1000, "sweep_interval": 1,
  "control_socket": "/run/agent.sock", "state_dir": "/tmp/state"
}
CONFIGURATION
}

reload() { kill -HUP "$agent"; }
interfaces() { ctl -j interface list | tr -d ' \n\t'; }
shared_twice() { [ "$(interfaces | grep -o '"shared":true' | wc -l)" = 2 ] || { interfaces; return 1; }; }
shared_none() { [ "$(interfaces | grep -o '"shared":false' | wc -l)" = 2 ] || { interfaces; return 1; }; }
named() { interfaces | grep -q "\"name\":\"$1\",\"priority\":$2"; }
logged() { grep -q "$1" /tmp/agent.log; }
ask() { in_gw ask $HELPER "$PINS" "$@"; }
fails_with() { # TEXT COMMAND…
    text=$1
    shift
    "$@" >/tmp/fails 2>&1 && return 1
    grep -q "$text" /tmp/fails || { cat /tmp/fails; return 1; }
}

# ---- traffic that goes on while something else happens ----

flood_begins() {
    : >"$LOG"
    overrun_before=$(overrun)
    nsenter --net=/run/netns/sub peer flood 10.0.0.3:5000 $REFLECTOR /tmp/sent &
    sender=$!
    wait_for sent_more 50
}

untranslated() { grep -c 'udp 10\.' "$LOG"; }
# Packets that came, but not in time for the receiver's buffer: an emulated processor verifies programs meanwhile.
overrun() { in_net grep '^Udp: [0-9]' /proc/net/snmp | cut -d' ' -f6; }
arrived() { [ $(($(grep -c 'udp 1\.1\.1\.' "$LOG") + $(overrun) - overrun_before)) -ge "$(cat /tmp/sent)" ]; }

flood_ends() {
    kill "$sender"
    wait "$sender"
    return 0
}

flood_summary() {
    echo "# $STATE: $(cat /tmp/sent) sent, $(grep -c 'udp 1\.1\.1\.' "$LOG") translated, $(($(overrun) - overrun_before)) too late for the receiver, $(untranslated) untranslated" | tee /tmp/flood
}

# Each packet has come, and translated.
flood_was_whole() {
    flood_ends
    wait_for arrived
    flood_summary
    arrived && [ "$(untranslated)" = 0 ] && return
    counters | grep -v ':0$' | tr '\n' ' '
    in_net grep Udp: /proc/net/snmp
    for it in sub gw net; do ip -n $it -s link | grep -E -A6 'sub0|in0|out0|net0'; done
    return 1
}

# Some may have been lost, but none came untranslated.
flood_was_guarded() {
    flood_ends
    flood_summary
    [ "$(untranslated)" = 0 ]
}

whole() { # NAME COMMAND…: the command succeeds while each packet comes through
    what=$1
    shift
    flood_begins
    sent=$(cat /tmp/sent)
    check "$what" "$@"
    wait_for sent_more $((sent + 200))
    check "$what: no packet is lost or untranslated" flood_was_whole
    cat /tmp/flood
}

udp_of_2() { in_sub peer udp 10.0.0.2:40002 $REFLECTOR 500; }
udp_of_3() { expect 1.1.1.0:1080 in_sub peer udp 10.0.0.3:40001 $REFLECTOR 500; }

# ---- the checks ----

filter_on() { in_gw xdp-filter load -m "$1" in0; }
filter_off() { in_gw xdp-filter unload in0; }

# A rule before NAT: what it drops is in none of detnat's counters.
filter_drops() {
    in_gw xdp-filter ip -m src 10.0.0.2 || return 1
    before=$(counters | grep -E "in2out|drop_|opened" | md5sum)
    fails_with . udp_of_2 || return 1
    after=$(counters | grep -E "in2out|drop_|opened" | md5sum)
    in_gw xdp-filter ip -r -m src 10.0.0.2
    [ "$before" = "$after" ] || { counters; return 1; }
}

# Removes the components; the agent closes the guard, says so, and puts them back within five seconds.
unloaded_by_others() {
    in_gw xdp-loader unload in0 --all || return 1
    wait_for logged 'in0: detnat.s programs were detached by something else'
}
back_again() { wait_for sh -c "detnatctl -s /run/agent.sock -j interface list | tr -d ' \n\t' | grep -o '\"shared\":true' | wc -l | grep -qx 2" && udp_of_3; }

killed_at() { # N: the helper ends before its Nth call that changes something; status 3: it had so many
    start_helper env LD_PRELOAD=/usr/lib/kill.so KILL_AT="$1" || return 1
    ask attach in0 $((100 + $1)) >/tmp/asked
    r=$?
    stop_helper
    return $r
}

own_there() { ask list in0 0 | grep -q ' own$'; }

# Whatever it was about to do, the old component or the new one is there.
killed_at_each_call() {
    n=1
    until killed_at $n; do
        start_helper env || return 1
        own_there || { echo "killed at $n: $(cat /tmp/asked)"; return 1; }
        stop_helper
        [ $n -lt 200 ] || return 1
        n=$((n + 1))
    done
    echo "# $STATE: the helper was killed at $((n - 1)) calls" | tee /tmp/killed
    [ $n -gt 10 ]
}

status_names() { ctl status | grep -q 'in0, out0: not as configured'; }

frags_of() { interfaces | grep -q "\"dispatcher\":{\"id\":[0-9]*,\"version\":2,\"frags\":$1}"; }

mtu_is() { # MTU, of all four links
    ip -n sub link set sub0 mtu "$1" && ip -n gw link set in0 mtu "$1" && ip -n gw link set out0 mtu "$1" && ip -n net link set net0 mtu "$1"
}

four_capabilities() { grep -q '^CapEff:[[:space:]]*000000c000003000$' "/proc/$agent/status" || { grep Cap "/proc/$agent/status"; return 1; }; }

begin() { # DISPATCHER MODE
    shared_priority=90
    configure_shared "$1" "$2"
    check "the agent starts" start_agent
    [ -n "$ready_ms" ] || { tail -n 50 /tmp/agent.log >&2 && return 1; }
}

end() {
    check "the agent ends" stop_agent
    check "--detach" in_gw detnat-agent --detach -c $CONFIG
    rm -rf /tmp/state
}

shared_basics() { # MODE
    STATE="libxdp $1"
    # shellcheck disable=SC2034 # for check_translation
    failed=0
    configure_shared libxdp "$1"
    check "-t takes it" in_gw detnat-agent -t -c $CONFIG
    begin libxdp "$1" || return
    check "both interfaces are shared" shared_twice
    check "both are attached" attached_as "$1"
    check "the agent has four capabilities" four_capabilities
    check_translation
    ctl interface list | sed 's/^/# /'
}

beside_a_filter() { # MODE
    whole "xdp-filter is loaded" filter_on "$1"
    check "it is listed before detnat" wait_for named xdpfilt_alw_all 10
    check "it drops before NAT, in none of the counters" filter_drops
    check "others go on" udp_of_3
    whole "xdp-filter is unloaded" filter_off
    check "detnat's are still there" shared_twice
}

# The agent may be away: others come and go all the same.
without_the_agent() {
    check "the agent ends" stop_agent
    check "the datapath stays without the agent" udp_of_3
    if [ "$tools_suit" = 1 ]; then
        whole "without the agent xdp-filter is loaded" filter_on native
        check "without the agent it is unloaded" filter_off
    fi
    check "a new agent starts" start_agent
    check "and finds its programs" shared_twice
    check "which translate" udp_of_3
}

# The key is changed while packets pass: the guard holds them back in between.
key_changes() {
    shared_priority=90
    for way in none libxdp; do
        flood_begins
        configure_shared $way native
        reload
        check "xdp_dispatcher becomes $way" wait_for "shared_$([ $way = none ] && echo none || echo twice)"
        check "the log says that the guard closes the gap" logged "for the change of 'xdp_dispatcher'"
        check "translated again, $way" wait_for udp_of_3
        check "nothing passed untranslated, $way" flood_was_guarded
        cat /tmp/flood
    done
    sent_before=$(md5sum </tmp/agent.log)
    shared_priority=30
    flood_begins
    configure_shared libxdp native
    reload
    check "the priority changes" wait_for named xdp_inside 30
    check "the priority changes without a lost packet" flood_was_whole
    cat /tmp/flood
    shared_priority=90
    [ "$sent_before" ]
}

long_frames() {
    mtu_is 9000
    STATE="libxdp, MTU 9000"
    begin libxdp native || return
    check "the dispatcher has frags" wait_for frags_of true
    check "UDP of 8000 octets" expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:40002 $REFLECTOR 8000
    check "TCP of 60000 octets" expect 1.1.1.0:1065 in_sub peer tcp 10.0.0.2:40001 $REFLECTOR 60000
    # It takes no frags: refused, and what was there stays.
    check "xdp-filter is refused" fails_with . filter_on native
    rm -rf /sys/fs/bpf/xdp-filter # what it forgets
    check "UDP of 8000 octets goes on" expect 1.1.1.0:1066 in_sub peer udp 10.0.0.2:40002 $REFLECTOR 8000
    check "both are shared still" shared_twice
    end
    mtu_is 1500
}

detached_beside_a_filter() {
    STATE="libxdp, a filter first"
    check "xdp-filter is there first" filter_on native
    begin libxdp native || return
    check "detnat is behind it" wait_for named xdpfilt_alw_all 10
    check "it drops before NAT, in none of the counters" filter_drops
    check "others are translated" udp_of_3
    check "--doctor names it" sh -c "nsenter --net=/run/netns/gw detnat-agent --doctor -c $CONFIG | tee /tmp/doctor | grep -q 'runs before NAT'"
    check "killed at each call, the helper leaves the old program or the new one" all_kills
    cat /tmp/killed
    end
    check "xdp-filter is left alone" sh -c "nsenter --net=/run/netns/gw xdp-loader status in0 | grep xdpfilt_alw_all"
    check "and is unloaded" filter_off
    check "what requests that were cut off have pinned is cleaned up" in_gw xdp-loader clean
    rm -f /sys/fs/bpf/xdp/prog-test-link-* # libxdp forgets these: links of its test of the kernel
    check "nothing is left" nothing_left
}

# While the helper is killed again and again; the agent asks none of these.
all_kills() {
    stop_helper
    flood_begins
    killed_at_each_call
    kills=$?
    start_helper env
    flood_was_whole && [ $kills = 0 ]
}

# ---- the helper is away ----

egress_filter() { in_gw /usr/bin/tc filter show dev out0 egress | grep -q .; }

# What others take off at the egress comes back, although the component has stayed. A link is not taken off so.
egress_comes_back() {
    ! find /sys/fs/bpf/detnat -name 'tcx_*_egress' | grep -q . || return 0
    in_gw /usr/bin/tc filter del dev out0 egress || return 1
    wait_for egress_filter
}

# The component stays as it is, with its record, so packets are translated on.
detached_without_a_helper() {
    check "the agent ends" stop_agent
    stop_helper
    check "without a helper --detach says what to start" fails_with "systemctl enable --now detnat-xdp.socket" in_gw detnat-agent --detach -c $CONFIG
    check "and leaves all as it was" udp_of_3
    check "the helper listens" start_helper env
    check "a new agent starts" start_agent
    check "and finds its programs" shared_twice
}

# tc translates until the helper can be asked, and when it cannot any more.
helper_comes_and_goes() {
    STATE="libxdp, the helper comes late"
    stop_helper
    begin libxdp auto || return
    check "tc alone" in_mode in0 none
    check "and says why" because "thehelperdetnat-xdp"
    check "tc translates" wait_for udp_of_3
    check "the helper listens" start_helper env
    PATIENCE_MS=60000
    check "shared by itself" wait_for shared_twice
    PATIENCE_MS=10000
    check "and translates" udp_of_3
    if [ "$tools_suit" = 1 ]; then
        STATE="libxdp, the helper goes"
        stop_helper
        flood_begins
        check "xdp-filter is loaded without a helper" filter_on native
        check "tc translates beside" wait_for in_mode in0 none
        check "others go on" wait_for udp_of_3
        check "the helper listens" start_helper env
        PATIENCE_MS=60000
        check "shared again" wait_for shared_twice
        PATIENCE_MS=10000
        check "and translates" udp_of_3
        check "nothing passed untranslated" flood_was_guarded
        cat /tmp/flood
        check "xdp-filter is unloaded" filter_off
        check "both are shared still" wait_for shared_twice
    fi
    end
}

both_stages() {
    STATE="libxdp, two stages"
    shared_stages=2
    begin libxdp native || return
    check "both are shared" shared_twice
    check "UDP" wait_for udp_of_3
    check "TCP of 60000 octets" expect 1.1.1.0:1065 in_sub peer tcp 10.0.0.2:40001 $REFLECTOR 60000
    check "frames went through stage 2" stage_2_ran
    [ "$tools_suit" = 0 ] || beside_a_filter native
    end
    shared_stages=$stages
}

# The agent takes `entries` over, and so the component, whose link it has to pin anew.
one_own() {
    expect 2 sh -c "detnatctl -s /run/agent.sock -j interface list | tr -d ' \n\t' | grep -o '\"own\":true' | wc -l" &&
        expect 2 sh -c "detnatctl -s /run/agent.sock -j interface list | tr -d ' \n\t' | grep -oE '\"name\":\"xdp_(in|out)side\",\"priority\"' | wc -l"
}
after_another_layout() {
    STATE="libxdp, after another layout"
    begin libxdp native || return
    check "UDP" wait_for udp_of_3
    check "the agent ends" stop_agent
    check "its pins become those of another layout" mv "$PINS" "${PINS%/*}/v5"
    flood_begins
    check "an agent of this layout starts" start_agent
    PATIENCE_MS=60000 # it copies the former tables meanwhile
    check "both are shared" wait_for shared_twice
    PATIENCE_MS=10000
    check "by its own component, alone" wait_for one_own
    check "which translates" udp_of_3
    check "no packet is lost or untranslated" flood_was_whole
    cat /tmp/flood
    end
    check "nothing is left" nothing_left
}

in_mode() { interfaces | grep -q "\"name\":\"$1\",\"role\":\"[a-z]*\",\"xdp\":\"$2\""; }
because() { interfaces | grep -q "$1" || { interfaces; return 1; }; }

# A program that is not under the dispatcher: native is refused, auto does with tc, and shares once it has gone.
beside_a_foreign_program() {
    STATE="libxdp, a foreign program"
    check "a foreign program is put there" foreign_on
    configure_shared libxdp native
    check "-t names it" fails_with "which is not under libxdp" in_gw detnat-agent -t -c $CONFIG
    begin libxdp auto || return
    check "in0 has tc alone" wait_for in_mode in0 none
    check "and says why" because "notunderlibxdp"
    check "out0 is shared" wait_for in_mode out0 native
    check "translated all the same" wait_for udp_of_3
    check "the foreign program goes" ip -n gw link set in0 xdpdrv off
    PATIENCE_MS=60000
    check "in0 is shared by itself" wait_for shared_twice
    PATIENCE_MS=10000
    check "and translates" udp_of_3
    end
}

# Others' dispatcher before tc that sends: what it drops detnat does not see, and nothing is lost while it comes and goes.
tc_behind_a_filter() {
    STATE="tc that sends, a filter under libxdp"
    begin none tc || return
    check "tc sends at in0" in_mode in0 tc
    check "and at out0" in_mode out0 tc
    check "UDP" wait_for udp_of_3
    whole "xdp-filter is loaded before tc" filter_on native
    check "it drops before NAT, in none of the counters" filter_drops
    check "others go on" udp_of_3
    whole "xdp-filter is unloaded before tc" filter_off
    check "tc sends at in0 still" in_mode in0 tc
    end
}

foreign_on() { ip -n gw link set in0 xdpdrv obj /usr/lib/dispatcher/xdp-dispatcher.o program xdp_pass; }

libxdp_part() {
    STATE=libxdp
    : >"$LOG"
    ip -n net route replace 1.1.1.0/30 dev net0
    ip -n net route replace 10.0.0.0/18 via 198.51.100.1
    configure_shared libxdp native
    check "without a helper -t says what to do" fails_with "systemctl enable --now detnat-xdp.socket" in_gw detnat-agent -t -c $CONFIG
    check "the helper listens" start_helper env
    shared_basics native
    [ "$tools_suit" = 0 ] || beside_a_filter native
    whole "xdp-loader clean in another namespace" nsenter --net=/run/netns/sub xdp-loader clean
    PATIENCE_MS=60000
    check "status names the interfaces whose pins are gone" wait_for status_names
    PATIENCE_MS=10000
    check "interface list says which" because "libxdp.spinsofitsdispatcheraregone"
    check "the filter at the egress comes back" egress_comes_back
    flood_begins
    check "unload --all by others is noticed" unloaded_by_others
    check "the programs are back" back_again
    check "nothing passed untranslated" flood_was_guarded
    cat /tmp/flood
    without_the_agent
    detached_without_a_helper
    key_changes
    end
    check "nothing is left" nothing_left
    detached_beside_a_filter
    long_frames
    beside_a_foreign_program
    [ "$tools_suit" = 0 ] || tc_behind_a_filter
    helper_comes_and_goes
    both_stages
    after_another_layout
    shared_basics skb
    [ "$tools_suit" = 0 ] || beside_a_filter skb
    end
    check "nothing is left" nothing_left
    stop_helper
    ip -n net route del 10.0.0.0/18
}
