#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ask.sh ADDRESS MAXIMUM: asks the demo's UDP server one question after the other, each from a new port, until one is refused.
set -u
error=$(mktemp)
trap 'rm -f "$error"' EXIT

for ((number = 1; number <= $2; number++)); do
	exec 3<>"/dev/udp/$1/53"
	echo question >&3
	if read -r -t 3 answer <&3 2>"$error"; then
		printf 'question %2d: %s\n' "$number" "$answer"
	else
		why=$(sed 's/.*: //' "$error")
		printf 'question %2d: refused: %s\n' "$number" "${why:-no answer within 3 seconds}"
		exit 0
	fi
done
