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
set -uo pipefail
cd "$(dirname "$0")/.." || exit

MAKE=${MAKE:-make}
EVERY=${EVERY:-30} # seconds between two lines about a step that runs
BUDGET=${BUDGET:-}
PACE=${PACE:-100}
FIRST=${FIRST:-1}
logs=$1
shift
mkdir -p "$logs"
begin=$SECONDS
failed=() left_out=()
declare -A pids=() started=()

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

start() {
    local name=$1 target=$3
    say "$number of $count, $4 ($name): about $(span "$2") min"
    eval "set -- $target"
    # shellcheck disable=SC2086 # MAKE may have options
    $MAKE --no-print-directory "$@" >"$logs/$name.log" 2>&1 </dev/null &
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
