#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The layers of the source, checked in the sources: `make lint` runs this.
#
# A room is a folder of lib/, agent/ or bpf/. It includes its own headers and those of rooms before it in its list below;
# the maps in docs/internals/ARCHITECTURE.md and DATAPATH.md list the same rooms in the same order. Within a room, source files do not call each
# other in a circle, and headers do not include each other in one. Headers stay in their room unless they are its face, or
# in bpf/ unless they end in _private.h; no two headers have the same name.
set -euo pipefail
cd "$(dirname "$0")/.."

# The rooms of lib/ and agent/ in their order, and the face of each: the headers that other rooms include. The others are
# private to their room; only tests look at them.
faces='
base       act_stamp address address_ranges array_grow array_large background base btf_layout chain cleanup clock clock_state
           duration error expiry_day findings fnv hash heap hll inside_runs interface_pattern ip_checksum json_scan json_text ledger
           ledger_files ledger_lines ledger_verify limiter log notice option prefix_stretch printed query_ledger rights search socket_place spelling text
           timestamp trouble user_groups virtual6 whole_file withheld
proto      collector_endpoint defaults label reason_texts timeouts verbs words
plan       blocks plan
import     import import_prove
history    history_by history_claims history_grant_days history_index history_read history_record history_who
leases     accounting accounting_servers lease_append lease_days lease_erase lease_evidence lease_files lease_import
           lease_line zone
complaints complaint
traffic    traffic
planner    planner plan_file
host       accounts hand_over mapped_file memory netlink paths raw_send ring_reader service_manager stacking
           timer virtio
config     active config parts pools port_pairs near running_text six
datapath   bpffs chunk_maps copy_program datapath hand_back held map_keys migration namespace pinned running table_types
tables     extent_reuse extent_signposts grant_table mapping_bindings mapping_changes mapping_drains mapping_hosts mapping_tables mappings portmap_table
sessions   bound_ports check granted_ports limit_count pool_states sessions survey top usage
guard      guard
attacks    attacks
attach     attach own_programs redirects share tcx
fib        gateways route_copy
routing    announce forwarding monitor neighbours route_limits route_lookup routes routes6 sources
links      detach devices interfaces_patterns
ipfix      ipfix
syslog     syslog
identity   identity lease_wire radius_clients secret_file
recorder   history pin queue
punt       event_ring parked_fragments sender trace_frames tracing unsolicited_tcp
pcp        pcp
growth     block_growth
copies     copying lease_set wire
peers      replication
suspects   suspects
metrics    metrics usage_monitor
change     change change_due preflight reload_losses unconfirmed
diagnosis  checking doctor explain standing unanswered
control    control
service    -
'
# shellcheck disable=SC2207 # names of rooms are words
rooms=($(sed -nE 's/^([a-z]+) .*/\1/p' <<<"$faces"))
bpf_rooms=(base packet subscriber six egress session translate fast slow icmp answer passage stage copy trace programs)
status=0

complain() {
    printf '%s\n' "$1" >&2
    status=1
}

# FILE:LINE ROOM HEADER for each include of a header that is not a system's.
includes() {
    grep -rn --include='*.[ch]' '^#include "' "$@" | sed -E 's,^([^:]+):([0-9]+):#include "([^"]+)".*,\1:\2 \3,'
}

# Whether one of the folders has a file: among FILE FOLDER...
among() {
    local file=$1 folder
    shift
    for folder in "$@"; do
        [ -e "$folder/$file" ] && return
    done
    return 1
}

# The order of rooms, checked in their folders and their includes: order 'ROOM...' ROOT...
order() {
    local -A place=()
    local room
    for room in $1; do
        place[$room]=${#place[@]}
    done
    shift
    folders "$@"
    arrows "$@"
}

# ROOM/HEADER, sorted: what the table lists, and what other rooms or the command line include.
listed() {
    awk '/^[a-z]/ { room = $1; sub(/^[a-z]+/, "") } { for (i = 1; i <= NF; i++) if ($i != "-") print room "/" $i ".h" }' <<<"$faces" | sort
}

used() {
    includes lib agent cli desk leases | awk '{ split($1, at, "/"); split($2, to, "/") } at[2] != to[1] && $2 ~ /\/.*\.h$/ { print $2 }' |
        sort -u
}

face() {
    local header
    for header in $(comm -13 <(listed) <(used)); do
        complain "$header is private to its room, but another includes it: see the faces in deploy/rooms.sh"
    done
    for header in $(comm -23 <(listed) <(used)); do
        complain "$header is in the face of its room, but no other includes it: see the faces in deploy/rooms.sh"
    done
}

folders() {
    local root folder room
    for root in "$@"; do
        for folder in "$root"/*/; do
            room=$(basename "$folder")
            [ -n "${place[$room]:-}" ] || complain "$folder: not in the list of rooms in deploy/rooms.sh"
        done
    done
    for room in "${!place[@]}"; do
        among "$room" "$@" || complain "deploy/rooms.sh: there is no room '$room'"
    done
}

arrows() {
    local at header file room from
    while read -r at header; do
        file=${at%%:*}
        from=${file%/*}
        from=${from##*/}
        case $header in
        */*) room=${header%%/*} ;;
        *.skel.h) continue ;; # made by bpftool
        *)
            complain "$at: \"$header\" does not name its room"
            continue
            ;;
        esac
        if [ -z "${place[$room]:-}" ] || ! among "$header" "$@"; then
            complain "$at: there is no \"$header\""
        elif [ "${place[$room]}" -gt "${place[$from]:--1}" ]; then
            complain "$at: $from includes \"$header\", but comes before $room"
        elif [ "$room" != "$from" ] && [[ $header = *_private.h ]]; then
            complain "$at: \"$header\" is private to $room"
        fi
    done < <(includes "$@")
}

command_line() {
    local at header
    while read -r at header; do
        case $header in
        base/* | proto/* | plan/* | import/* | history/* | leases/* | complaints/* | traffic/* | planner/* | config/config.h) ;;
        */*) complain "$at: the command line includes base, proto, plan, import, history, leases, complaints, traffic, planner and config.h alone, not \"$header\"" ;;
        esac
    done < <(includes cli)
}

desk() {
    local at header
    while read -r at header; do
        case $header in
        base/* | proto/*) ;;
        */*) complain "$at: the desk includes base and proto alone, not \"$header\"; it asks detnatctl" ;;
        esac
    done < <(includes desk)
}

lease_program() {
    local at header
    while read -r at header; do
        case $header in
        base/* | proto/* | history/* | leases/* | host/* | config/* | identity/*) ;;
        */*) complain "$at: detnat-leases includes base, proto, history, leases, host, config and identity alone, not \"$header\"" ;;
        esac
    done < <(includes leases)
}

helper() {
    local at header
    while read -r at header; do
        case $header in
        base/* | helper.h | *.skel.h) ;;
        *) complain "$at: detnat-xdp includes base alone, not \"$header\"" ;;
        esac
    done < <(includes xdp)
}

# Prints "CALLER CALLED FUNCTION" for each module that uses a function of another module of the same room.
calls() {
    # shellcheck disable=SC2016 # the dollars are awk's
    awk '
        function code(s) {
            gsub(/"([^"\\]|\\.)*"/, "", s)
            gsub(/\/\*([^*]|\*[^\/])*\*\//, "", s)
            sub(/\/\/.*/, "", s)
            if (comment && !sub(/^.*\*\//, "", s))
                return ""
            comment = sub(/\/\*.*/, "", s)
            return s
        }
        FNR == 1 { module = FILENAME; gsub(/.*\/|\.c$/, "", module); comment = 0 }
        { line = code($0) }
        first && line ~ /^[a-z].*[ *][a-z_0-9]+\(/ && line !~ /^(static|extern|typedef)/ && line !~ /;[ \t]*$/ {
            sub(/\(.*/, "", line)
            sub(/.*[ *]/, "", line)
            home[line] = module
        }
        !first && line !~ /^#/ {
            gsub(/(\.|->|struct|enum) *[A-Za-z_0-9]+/, "", line)
            n = split(line, word, /[^A-Za-z_0-9]+/)
            for (i = 1; i <= n; i++)
                if (word[i] in home && home[word[i]] != module && !seen[module, word[i]]++)
                    print module, home[word[i]], word[i]
        }' first=1 "$1"/*.c first=0 "$1"/*.c
}

# tsort names the members of a circle, one a line, after "input contains a loop".
members_of_circles() {
    tsort 2>&1 >/dev/null | sed -n 's/^tsort: \([a-z0-9_/.]*\)$/\1/p' | sort -u
}

circles() {
    local folder edges members
    for folder in lib/*/ agent/*/ cli/ desk/ leases/; do
        folder=${folder%/}
        edges=$(calls "$folder")
        members=$(cut -d' ' -f1,2 <<<"$edges" | members_of_circles) || true
        [ -z "$members" ] || complain "$folder: modules call each other in a circle: ${members//$'\n'/ }
$(awk 'NR == FNR { member[$1]; next } $1 in member && $2 in member { print "    " $1 " -> " $2 ": " $3 }' \
            <(printf '%s\n' "$members") - <<<"$edges" | sort -u)"
    done
    members=$(includes lib agent bpf | sed -nE 's,^(lib|agent|bpf)/([^ ]+\.h):[0-9]+ (.*),\2 \3,p' | members_of_circles) || true
    [ -z "$members" ] || complain "headers include each other in a circle: ${members//$'\n'/ }"
}

names() {
    local name
    for name in $(find include lib agent cli desk leases bpf -name '*.h' -printf '%f\n' | sort | uniq -d); do
        complain "$name is in several places: $(find include lib agent cli desk leases bpf -name "$name" | sort | paste -sd' ')"
    done
}

# The rows of a map, | `lib/base` | ... |: map PAGE 'ROOM...' ROOTS
map() {
    local rows
    rows=$(sed -nE "s,^\| \`($3)/([a-z]+)\` \|.*,\2,p" "docs/internals/$1.md" | paste -sd' ')
    [ "$rows" = "$2" ] || complain "docs/internals/$1.md: its map lists '$rows', not '$2'"
}

order "${rooms[*]}" lib agent
order "${bpf_rooms[*]}" bpf
face
command_line
desk
lease_program
helper
circles
names
map ARCHITECTURE "${rooms[*]}" 'lib|agent'
map DATAPATH "${bpf_rooms[*]}" bpf
exit $status
