#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs fuzzers for SECONDS_EACH, JOBS at a time, from their seeds: run.sh FUZZER... The first that finds anything ends it.
set -euo pipefail
cd "$(dirname "$0")/../.."

run() {
	local fuzzer=$1 name=${1##*/fuzz_}
	mkdir -p "$fuzzer.corpus"
	cp deploy/detnat.json "$fuzzer.corpus/"
	[ ! -d "tests/fuzz/corpus/$name" ] || cp "tests/fuzz/corpus/$name"/* "$fuzzer.corpus/"
	[ "$name" != import ] || cp tests/import/* "$fuzzer.corpus/"
	[ "$name" != complaint ] || cp tests/complaints/[0-9]* "$fuzzer.corpus/"
	if ! nice -n 19 "$fuzzer" -max_total_time="$SECONDS_EACH" -print_final_stats=1 -artifact_prefix="$BUILD/fuzz/" \
		"$fuzzer.corpus" >"$fuzzer.log" 2>&1; then
		tail -n 40 "$fuzzer.log"
		return 255 # ends xargs
	fi
	echo "$fuzzer: nothing found in $(awk '/number_of_executed_units/ { print $2 }' "$fuzzer.log") runs, coverage" \
		"$(awk '$3 == "DONE" || $2 == "DONE" { for (i = 1; i < NF; i++) if ($i == "cov:") print $(i + 1) }' "$fuzzer.log")"
}
export -f run
export BUILD SECONDS_EACH
# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs -P "${JOBS:-1}" -I{} bash -c 'run "$1"' _ {}
