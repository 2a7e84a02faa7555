# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The agent of guest.sh: its configuration, its life, what it says about itself.
# shellcheck source=tests/vm/common.sh
. /lib/checks/common.sh

CONFIG=/tmp/detnat.json
KEY=/tmp/replication.key
stages=$(cat /etc/stages) # of the datapath, see detnat.json(5)
inside=in0 outside=out0   # interfaces in the configuration

configure() { # FORWARDING MODE QUOTA
    cat >$CONFIG <<CONFIGURATION
{
  "interfaces": { "inside": ["$inside"], "outside": ["$outside"] },
  "mappings": [ { "in": "10.0.0.0/18", "out": "1.1.1.0/30" } ],
  "forwarding": "$1", "xdp_mode": "$2", "stages": $stages, "sessions_per_user": $3, "sweep_interval": 1,
  "control_socket": "/run/agent.sock", "state_dir": "/tmp/state"
}
CONFIGURATION
}

# The same with all that subscribers can be reached by, so that every program is loaded.
configure_reachable() { # FORWARDING MODE [OUTSIDE]: another interface outside
    cat >$CONFIG <<CONFIGURATION
{
  "interfaces": { "inside": ["$inside"], "outside": ["$outside"${3:+, \"$3\"}] },
  "mappings": [
    { "in": "10.0.0.0/18", "out": "1.1.1.0/30",
      "endpoint_independent": { "mapping": ["udp", "tcp", "icmp"], "filtering": ["udp", "tcp"] } },
    { "in": "10.0.1.77/32", "out": "1.1.2.1/32", "inbound": "open" },
    { "in": "10.0.1.78/32", "out": null }
  ],
  "portmaps": [ { "proto": "udp", "in": "10.0.0.3:3074", "out": "1.1.1.0:80" } ],
  "replication": { "listen": "198.51.100.1:9470", "peers": ["198.51.100.2:9470"], "key_file": "$KEY" },
  "forwarding": "$1", "xdp_mode": "$2", "stages": $stages, "sweep_interval": 1,
  "control_socket": "/run/agent.sock", "state_dir": "/tmp/state"
}
CONFIGURATION
}

start_agent() {
    ready_ms=
    rm -f /tmp/agent.out
    began=$(uptime_ms)
    nsenter --net=/run/netns/gw "${program:-detnat-agent}" -c $CONFIG >/tmp/agent.out 2>/tmp/agent.log 5>&- &
    agent=$!
    until grep -qs 'ready$' /tmp/agent.out; do
        if [ $(($(uptime_ms) - began)) -gt 300000 ] || ! kill -0 $agent 2>/dev/null; then
            cat /proc/$agent/stack /tmp/agent.out /tmp/agent.log
            kill -KILL "$agent"
            wait "$agent"
            return 1
        fi
        usleep 20000
    done
    # shellcheck disable=SC2034 # for the checks
    ready_ms=$(($(uptime_ms) - began))
}

stop_agent() {
    kill -TERM "$agent"
    wait "$agent"
}

ctl() { detnatctl -s /run/agent.sock "$@"; }
# shellcheck disable=SC2020 # a line for each member
counters() { ctl -j stats | tr -d ' \n\t' | tr '{,}' '\n\n\n'; }
counter() { counters | grep "^\"$1\":" | cut -d: -f2; }
above() { [ "$(counter "$1")" -gt "$2" ]; }
rose() { wait_for above "$1" "$2" || { echo "$1 is $(counter "$1")"; return 1; }; }

has_session() { # PROTO INSIDE_PORT OUTSIDE_PORT STATE
    ctl -j session list 10.0.0.2 --proto "$1" --all | tr -d ' \n\t' | sed 's/},{/}\n{/g' |
        grep "\"in_port\":$2,\"out_addr\":\"1.1.1.0\",\"out_port\":$3,\"ext_addr\":\"198.51.100.7\"" | grep "\"state\":\"$4\""
}

# How many interfaces are attached in a mode.
attached() { ctl -j interface list | tr -d ' \n\t' | grep -o "\"xdp\":\"$1\"" | wc -l; }

# attached_as MODE [MODE]: two interfaces in one mode, or one in each.
attached_as() {
    if [ $# = 1 ]; then expect 2 attached "$1"; else expect 1 attached "$1" && expect 1 attached "$2"; fi
}

# No drops except those that the checks cause.
no_other_drops() {
    counters | grep -q '"drop_no_session":' || return 1
    ! counters | grep -E '"(drop_[a-z_]*|no_program)":[1-9]' | grep -v drop_no_session
}

stage_2_ran() { peer programs | grep -q 'stage2_entry .*, ran [1-9]' || { peer programs; return 1; }; }
