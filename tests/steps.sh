#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# steps.sh LOGS STEP...: runs the steps of `make test` and `make test-rest`. Says what runs and about how long it takes, keeps
# each step's output in LOGS/NAME.log, and shows the end of it if the step fails. The others run nevertheless.
#
# A step is "NAME|SECONDS|TARGET|WHAT": a target of the Makefile with its variables, and the seconds that it takes on two cores.
# One whose name begins with + runs beside the next. The first one builds what the others need: if it fails, it is the last.
#
# BUDGET=SECONDS: a step that would not end within them is left out, and counted. PACE=PERCENT: of its seconds on this machine.
# FIRST=N: after the first step, the rest begins with the N-th of the others and ends with the one before it.
# LIMIT=SECONDS: a step that takes longer hangs. It is ended and has failed, and what its processes waited for is shown. Without
# it, six times what the step should take, and at least half an hour.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

MAKE=${MAKE:-make}
EVERY=${EVERY:-30} # seconds between two lines about a step that runs
BUDGET=${BUDGET:-}
PACE=${PACE:-100}
FIRST=${FIRST:-1}
LIMIT=${LIMIT:-}
logs=$1
shift
mkdir -p "$logs"
begin=$SECONDS
failed=() left_out=()
declare -A pids=() started=() limit=()

span() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }
say() { printf '[%s] %s\n' "$(span $((SECONDS - begin)))" "$*"; }

stop() {
    trap - INT TERM
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
    wait
    say "interrupted; the output is in $logs"
    exit 130
}
trap stop INT TERM

# The processes of a step, which has a session of its own, that have not ended.
processes_of() {
    local stat text state session
    for stat in /proc/[0-9]*/stat; do
        read -r text 2>/dev/null <"$stat" || continue
        # What follows the name of the program, which may have spaces.
        read -r state _ _ session _ <<<"${text##*) }"
        stat=${stat%/stat}
        [ "$session" != "$1" ] || [ "$state" = Z ] || echo "${stat#/proc/}"
    done
}

# Where each of them is: a test that waits forever, or a runner whose tests have ended.
say_processes() {
    local pid
    echo "its processes, and where they are in the kernel:"
    for pid in $(processes_of "$1"); do
        printf '%s %s: %s\n' "$pid" "$(awk '/^State/ { print $2, $3 }' "/proc/$pid/status" 2>/dev/null)" \
            "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c 1-200)"
        head -n 4 "/proc/$pid/stack" 2>/dev/null
    done
}

# Ends what has taken longer than it may: make hands SIGTERM on, and tests remove what they made.
end_if_it_hangs() {
    local pid=${pids[$1]} i
    [ $((SECONDS - started[$1])) -ge "${limit[$1]}" ] || return 0
    say "  $1 has not ended within $(span "${limit[$1]}") and is ended"
    say_processes "$pid" >>"$logs/$1.log" 2>/dev/null
    kill "$pid" 2>/dev/null
    for ((i = 0; i < 100; i++)); do
        [ -z "$(processes_of "$pid")" ] && return
        sleep 0.2
    done
    kill -KILL -- "-$pid" 2>/dev/null
}

start() {
    local name=$1 target=$3
    limit[$name]=${LIMIT:-$((6 * $2 * PACE / 100))}
    [ -n "$LIMIT" ] || [ "${limit[$name]}" -gt 1800 ] || limit[$name]=1800
    say "$number of $count, $4 ($name): about $(span "$2") min"
    eval "set -- $target"
    # shellcheck disable=SC2086 # MAKE may have options
    setsid $MAKE --no-print-directory "$@" >"$logs/$name.log" 2>&1 </dev/null &
    pids[$name]=$! started[$name]=$SECONDS
}

# What pytest has done so far.
progress() {
    local name part
    for name in "${!pids[@]}"; do
        part=$(tail -c 200 "$logs/$name.log" | grep -o '\[ *[0-9]*%\]' | tail -n 1)
        say "  $name runs for $(span $((SECONDS - started[$name])))${part:+, $part}"
    done
}

end() {
    local name=$1 status=$2
    unset "pids[$name]"
    if [ "$status" = 0 ]; then
        say "  $name passed in $(span $((SECONDS - started[$name])))"
        return
    fi
    failed+=("$name")
    say "  $name FAILED; the end of $logs/$name.log:"
    tail -n 80 "$logs/$name.log"
}

# What failed and its places, as Criterion, pytest, the world and compilers print them; the last lines, as CI may keep no more.
say_failures() {
    local name
    for name in "${failed[@]}"; do
        grep -aE '^\[(----|FAIL)\] |^(FAILED|ERROR) |^world: FAILED|^[^ ]+:[0-9]+:.*(error|warning)' "$logs/$name.log" | cut -c 1-500 | tail -n 16
    done
    say "failed: ${failed[*]}"
}

# Waits until one of the running steps has ended.
wait_for_one() {
    local name said=$SECONDS
    while :; do
        for name in "${!pids[@]}"; do
            kill -0 "${pids[$name]}" 2>/dev/null && continue
            wait "${pids[$name]}"
            end "$name" $?
            return
        done
        for name in "${!pids[@]}"; do end_if_it_hangs "$name"; done
        sleep 0.2
        [ $((SECONDS - said)) -ge "$EVERY" ] && said=$SECONDS && progress
    done
}

fits() { [ -z "$BUDGET" ] || [ $((SECONDS - begin + $1 * PACE / 100)) -le "$BUDGET" ]; }

turn=$(((FIRST - 1) % ($# - 1) + 2))
set -- "$1" "${@:turn}" "${@:2:turn-2}"
count=$# number=0 total=0
for step in "$@"; do
    IFS='|' read -r name seconds _ _ <<<"$step"
    [[ $name = +* ]] || total=$((total + seconds))
done
say "$count steps, about $(((total + 30) / 60)) minutes on two cores; the output of each is in $logs"
for step in "$@"; do
    IFS='|' read -r name seconds target what <<<"$step"
    number=$((number + 1))
    if ! fits "$seconds"; then
        left_out+=("${name#+}")
        say "$number of $count, $what (${name#+}): left out, it would not end in time on this machine"
        continue
    fi
    start "${name#+}" "$seconds" "$target" "$what"
    [[ $name = +* ]] && continue
    while [ ${#pids[@]} -gt 0 ]; do wait_for_one; done
    [ $number = 1 ] && [ ${#failed[@]} != 0 ] && break
done
if [ ${#failed[@]} != 0 ]; then
    say_failures
    exit 1
fi
if [ ${#left_out[@]} = 0 ]; then say "everything passed"; else say "passed; ${#left_out[@]} left out: ${left_out[*]}"; fi
