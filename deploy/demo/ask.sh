#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# ask.sh ADDRESS MAXIMUM: sends questions to the demo's UDP server, each from a new port, until one is refused.
set -u
error=$(mktemp)
trap 'rm -f "$error"' EXIT

for ((number = 1; number <= $2; number++)); do
	exec 3<>"/dev/udp/$1/53"
	echo question >&3
	# A datagram has to be read in one piece.
	if answer=$(timeout 2 dd bs=2048 count=1 status=none <&3 2>"$error"); then
		printf 'question %2d: %s\n' "$number" "$answer"
	else
		why=$(sed -n 's/.*: //p' "$error")
		printf 'question %2d: %s\n' "$number" "${why:-no answer}"
		exit 0
	fi
done
