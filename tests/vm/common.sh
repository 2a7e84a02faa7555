# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# For checks in a guest (busybox sh), by guest.sh and by systemd/checks.sh, which set STATE, what the checks are about, and
# PATIENCE_MS, how long wait_for waits. stdout: a line "ok NAME" or "not ok NAME" a check, and "# …" for information; stderr:
# the console.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# shellcheck disable=SC2034 # for the checks
REFLECTOR=198.51.100.7:7

# Not for what runs in the background: $! would be a shell's.
in_sub() { nsenter --net=/run/netns/sub "$@"; }

uptime_ms() { # /proc/uptime has hundredths of a second
    read -r up _ </proc/uptime
    echo "${up%.*}${up#*.}0"
}

# Waits for a command to succeed.
wait_for() {
    deadline=$(($(uptime_ms) + PATIENCE_MS))
    until "$@" >/dev/null 2>&1; do
        [ "$(uptime_ms)" -lt $deadline ] || return 1
        usleep 20000
    done
}

# check NAME COMMAND…: one line of result. The command runs in this shell. The output of a failing command goes to the
# console, followed by that of after_failure.
check() {
    name=$1
    shift
    echo "$(uptime_ms) ms: $STATE: $name" >&2
    if "$@" >/tmp/said 2>&1; then
        echo "ok $STATE: $name"
    else
        echo "not ok $STATE: $name"
        echo "--- $STATE: $name: $* said:" >&2
        tail -n 40 /tmp/said >&2
        after_failure >&2
    fi
}

# expect WANTED COMMAND…: the command's output is exactly that.
expect() {
    wanted=$1
    shift
    got=$("$@" 2>&1)
    [ "$got" = "$wanted" ] || {
        echo "wanted '$wanted', got '$got'"
        return 1
    }
}

kernel_is_well() { ! dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|general protection|soft lockup'; }
