#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The layers of the source, checked in the sources: `make lint` runs this.
#
# A room is a folder of lib/ or agent/. It includes its own headers and those of rooms that stand before it in the list
# below; the map at the top of docs/ARCHITECTURE.md lists the same rooms in the same order. Within a room, source files do
# not call each other in a circle, and headers do not include each other in one. A header that ends in _private.h stays in
# its room, and no header name stands in two places.
set -euo pipefail
cd "$(dirname "$0")/.."

rooms=(base proto history host config datapath tables sessions guard attach fib routing links ipfix syslog recorder punt pcp copies peers metrics change diagnosis control service)
status=0

complain() {
    printf '%s\n' "$1" >&2
    status=1
}

# FILE:LINE ROOM HEADER for each include of a header that is not a system's.
includes() {
    grep -rn --include='*.[ch]' '^#include "' "$@" | sed -E 's,^([^:]+):([0-9]+):#include "([^"]+)".*,\1:\2 \3,'
}

place() {
    local i
    for i in "${!rooms[@]}"; do
        [ "${rooms[i]}" = "$1" ] && echo "$i" && return
    done
    echo -1
}

folders() {
    local folder name
    for folder in lib/*/ agent/*/; do
        name=$(basename "$folder")
        [ "$(place "$name")" -ge 0 ] || complain "$folder: not in the list of rooms in deploy/rooms.sh"
    done
    for name in "${rooms[@]}"; do
        [ -d "lib/$name" ] || [ -d "agent/$name" ] || complain "deploy/rooms.sh: there is no room '$name'"
    done
}

arrows() {
    local at header file room from to
    while read -r at header; do
        file=${at%%:*}
        from=$(basename "$(dirname "$file")")
        case $header in
        */*) room=${header%%/*} ;;
        *.skel.h) continue ;; # made by bpftool
        *)
            complain "$at: \"$header\" does not name its room"
            continue
            ;;
        esac
        to=$(place "$room")
        if [ "$to" -lt 0 ] || { [ ! -e "lib/$header" ] && [ ! -e "agent/$header" ]; }; then
            complain "$at: there is no \"$header\""
        elif [ "$to" -gt "$(place "$from")" ]; then
            complain "$at: $from includes \"$header\", but stands before $room"
        elif [ "$room" != "$from" ] && [[ $header = *_private.h ]]; then
            complain "$at: \"$header\" is private to $room"
        fi
    done < <(includes lib agent)
}

command_line() {
    local at header
    while read -r at header; do
        case $header in
        base/* | proto/* | history/*) ;;
        */*) complain "$at: the command line includes base, proto and history alone, not \"$header\"" ;;
        esac
    done < <(includes cli)
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
    for folder in lib/*/ agent/*/ cli/; do
        folder=${folder%/}
        edges=$(calls "$folder")
        members=$(cut -d' ' -f1,2 <<<"$edges" | members_of_circles) || true
        [ -z "$members" ] || complain "$folder: modules call each other in a circle: ${members//$'\n'/ }
$(awk 'NR == FNR { member[$1]; next } $1 in member && $2 in member { print "    " $1 " -> " $2 ": " $3 }' \
            <(printf '%s\n' "$members") - <<<"$edges" | sort -u)"
    done
    members=$(includes lib agent | sed -nE 's,^(lib|agent)/([^ ]+\.h):[0-9]+ (.*),\2 \3,p' | members_of_circles) || true
    [ -z "$members" ] || complain "headers include each other in a circle: ${members//$'\n'/ }"
}

names() {
    local name
    for name in $(find include lib agent cli bpf -name '*.h' -printf '%f\n' | sort | uniq -d); do
        complain "$name stands in several places: $(find include lib agent cli bpf -name "$name" | sort | paste -sd' ')"
    done
}

# The rows of the map: | `base` | ... |
map() {
    local rows
    # shellcheck disable=SC2016 # the backquotes are Markdown's
    rows=$(sed -nE 's,^\| `(lib|agent)/([a-z]+)` \|.*,\2,p' docs/ARCHITECTURE.md | paste -sd' ')
    [ "$rows" = "${rooms[*]}" ] || complain "docs/ARCHITECTURE.md: its map lists '$rows', not '${rooms[*]}'"
}

folders
arrows
command_line
circles
names
map
exit $status
