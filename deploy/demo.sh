#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# A guided tour of detnat in network namespaces: the machine's own network is not touched.
#
#   sudo make demo             builds, shows, cleans up
#   sudo make demo KEEP=1      leaves it running and explains how to look around
#   sudo deploy/demo.sh clean  removes what KEEP=1 left
set -euo pipefail
umask 077
export LC_ALL=C
cd "$(dirname "$(readlink -f "$0")")/.."
build=$(readlink -m "${BUILD:-build}")
keep=${KEEP:-}

# shellcheck source=deploy/demo/world.sh
. deploy/demo/world.sh

bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi
step=0

title() {
	step=$((step + 1))
	printf '\n%s%s%d. %s%s\n' "$bold" "$green" "$step" "$*" "$plain"
}

say() {
	printf '   %s\n' "$@"
}

# run TEXT COMMAND…: prints the text as if typed, runs the command, prints its output indented, and returns its status.
run() {
	local text=$1
	shift
	printf '     %s$ %s%s\n' "$bold" "$text" "$plain"
	"$@" 2>&1 | sed "s/^/     $dim| $plain/"
}

# show TEXT COMMAND…: runs a command that has to succeed.
show() {
	run "$@" || fail "\"$1\" failed"
}

# refused TEXT COMMAND…: runs a command that has to fail.
refused() {
	! run "$@" || fail "\"$1\" was to be refused"
}

ctl() {
	show "detnatctl $*" "$build/detnatctl" -s "$world/agent.sock" "$@"
}

as() {
	local who=$1
	shift
	show "[$who] $*" in_ns "detnat-$who" "$@"
}

refused_as() {
	local who=$1
	shift
	refused "[$who] $*" in_ns "detnat-$who" "$@"
}

fail() {
	printf '%s\ndemo: %s%s\n' "$red" "$*" "$plain" >&2
	local log
	for log in "$world"/*.log; do
		[ -s "$log" ] || continue
		printf '\n%s ends with:\n' "$log" >&2
		tail -n 15 "$log" >&2
	done
	exit 1
}

finish() {
	local status=$?
	# A second Ctrl-C must stop neither the cleanup nor the commands that it runs.
	trap - EXIT
	trap '' INT TERM HUP
	if [ -z "$keep" ] || [ "$status" != 0 ]; then
		printf '%s' "$plain"
		remove_world
	fi
	exit "$status"
}

# spawn NAMESPACE COMMAND…: in the background and in a session of its own, so that Ctrl-C ends the demo, which then ends it.
spawn() {
	local namespace=$1
	shift
	(exec 9>&- && exec nsenter --net="/run/netns/$namespace" -- setsid "$@") &
}

start_agent() {
	: >"$world/ready"
	spawn "$gateway" "$build/detnat-agent" -c "$world/detnat.json" >"$world/ready" 2>>"$world/agent.log"
	agent=$!
	wait_until 300 agent_came_or_went || fail "the agent did not get ready"
	grep -q 'ready$' "$world/ready" || fail "the agent ended at its start"
}

agent_came_or_went() {
	grep -q 'ready$' "$world/ready" || ! kill -0 "$agent"
}

start_servers() {
	spawn "$internet" /usr/bin/python3 deploy/demo/internet.py "$web_addr" >"$world/internet.out" 2>"$world/internet.log"
	wait_until 100 grep -q listening "$world/internet.out" || fail "the servers did not start"
}

# Only the demo that is left running has it, on the machine's loopback; remove_world ends it.
start_desk() {
	[ -x "$build/detnat-desk" ] || return 1
	(exec 9>&- && exec setsid "$build/detnat-desk" --listen "$desk_at" --control "$world/agent.sock" --sample 5) \
		>"$world/desk.out" 2>"$world/desk.log" &
	echo $! >"$world/desk.pid"
	wait_until 50 grep -q ready "$world/desk.out"
}

start_collector() {
	spawn "$internet" tshark -q -i eth0 -f 'udp port 4739' -w - >"$world/ipfix.pcap" 2>"$world/tshark.log"
	collector=$!
	wait_until 150 grep -q 'Capturing on' "$world/tshark.log" || fail "tshark did not start"
}

# The quota record that the collector received, as tshark decodes it.
decoded_record() {
	tshark -r "$world/ipfix.pcap" -O cflow -Y cflow.nat_quota_exceeded_event 2>/dev/null |
		sed -n 's/^ *//; /^Observation Time/p; /^Nat Event/p; /^NAT Quota/p; /^Max Entries/p; /^SrcAddr/p' | head -n 5
}

record_is_there() {
	[ -n "$(decoded_record)" ]
}

# What FreeRADIUS wrote down about bob's line.
accounting() {
	local event=$1 ago=$2
	printf '%s\n' "$(date -u -d "$ago" '+%a %b %e %T %Y')"
	printf '    %s\n' "Acct-Status-Type = $event" 'User-Name = "bob@example.net"' "Framed-IP-Address = $bob_addr" 'Acct-Session-Id = "4711"' \
		'NAS-IP-Address = 192.0.2.9' 'NAS-Port-Id = "ge-0/0/1.100"' "Timestamp = $(date -d "$ago" +%s)"
	echo
}

complaint() {
	printf 'Dear colleagues,\non %s UTC your customer %s scanned our servers.\n' "$seen_at" "$seen"
}

# Progress of the slow download: its number of lines.
lines() {
	wc -l <"$world/slow"
}

more_lines_than() {
	[ "$(lines)" -gt "$1" ]
}

# ------------------------------------------------------------------------------------------------------------------

if [ "$(id -u)" != 0 ]; then
	echo "demo: needs root to create network namespaces and load BPF programs: sudo make demo" >&2
	exit 1
fi
# The file stays: removing a locked file without a race is not worth the effort.
exec 9>/run/detnat-demo.lock
flock -n 9 || { echo "demo: another demo is running" >&2 && exit 1; }
if [ "${1:-}" = clean ]; then
	remove_world
	exit 0
fi
for program in "$build/detnat-agent" "$build/detnatctl"; do
	[ -x "$program" ] || { echo "demo: $program is missing, build it first: sudo make demo" >&2 && exit 1; }
done

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

remove_world
printf '%s\n' "${bold}detnat: carrier-grade NAT that identifies subscribers by arithmetic${plain}"

title "A small provider, in four network namespaces"
say "alice 10.0.0.2   --." \
	"                    +-- gateway with detnat -- internet 198.51.100.7" \
	"bob   10.0.16.16 --'   10.0.0.0/18 shares      web on TCP port 80, questions on UDP" \
	"                       203.0.113.0 to .3       port 53, and an IPFIX collector"
make_world
start_servers
start_collector

title "The agent attaches the datapath and says when it is ready"
show "cat detnat.json" cat "$world/detnat.json"
show "detnat-agent -c detnat.json" true
start_agent
sed "s/^/     $dim| $plain/" "$world/ready"
ctl interface list

title "Who gets which address and ports is arithmetic, so no session needs a log"
ctl mapping list
ctl forward "$alice_addr"
ctl forward "$bob_addr"

title "Real traffic: TCP by curl, UDP, and ping. The internet tells each subscriber where it seems to be"
as alice curl -sS --max-time 5 "http://$web_addr/"
as bob curl -sS --max-time 5 "http://$web_addr/"
as alice deploy/demo/ask.sh "$web_addr" 1
as bob ping -c 2 -i 0.2 -W 3 "$web_addr"

title "The sessions behind it"
ctl session list
ctl user show "$alice_addr"

title "Back from what the internet saw to the subscriber"
seen_at=$(date -u '+%F %T')
seen=$(in_ns "$bob" curl -sS --max-time 5 "http://$web_addr/" | awk '{sub(",", "", $2); print $2 ":" $4}') || fail "the web server did not answer"
say "The web server's log names $seen. That is"
ctl reverse "$seen"
say "The same from the history of mappings, which knows any time in the past:"
ctl who "$seen"

title "Bob asks for more than his ten sessions"
as bob deploy/demo/ask.sh "$web_addr" 20
say "The gateway says so by an ICMP error (host unreachable, RFC 6888), which curl and ping understand:"
refused_as bob curl -sS --max-time 5 "http://$web_addr/"
# The answers are limited to one in 100 ms.
sleep 0.2
refused_as bob ping -c 2 -i 0.3 -W 1 "$web_addr"
ctl user show "$bob_addr"
say "Alice does not notice:"
as alice curl -sS --max-time 5 "http://$web_addr/"

title "The operator was told: the IPFIX record, decoded by tshark"
ctl ipfix flush
wait_until 50 record_is_there || fail "no IPFIX record of the quota came"
show "tshark -O cflow -r ipfix.pcap" decoded_record
kill -INT "$collector" 2>/dev/null || true

title "An upgrade under way: the agent is killed during alice's download, and started again"
spawn "$alice" curl -sSN --max-time 60 "http://$web_addr/slow" >"$world/slow" 2>"$world/slow.log"
download=$!
wait_until 50 more_lines_than 5 || fail "the download did not start"
{ kill -KILL "$agent" && wait "$agent"; } 2>/dev/null || true # bash would report the killed job
before=$(lines)
wait_until 50 more_lines_than $((before + 10)) || fail "the download stopped with the agent"
say "Without an agent the download went from line $before to line $(lines)."
start_agent
before=$(lines)
wait_until 50 more_lines_than $((before + 10)) || fail "the download stopped with the new agent"
say "With the new agent it continues, line $(lines), and its session was never lost:"
ctl session list "$alice_addr" --proto tcp
kill "$download" 2>/dev/null || true

title "Every packet has a reason"
ctl stats

title "Who was it? A complaint arrives, and the RADIUS server knows the customer"
complaint >"$world/complaint.txt"
show "cat complaint.txt" cat "$world/complaint.txt"
{ accounting Start '1 hour ago' && accounting Interim-Update now; } >"$world/detail"
ctl leases import freeradius-detail "$world/detail" --leases "$world/state"
ctl request "$world/complaint.txt"
say "What can be handed over, with checksums and what proves it. The mapping is younger than a" \
	"minute, so the seconds around do not all have this answer:"
ctl evidence 2026-17 "$seen" --at "${seen_at/ /T}Z" --directory "$world"

if [ -n "$keep" ]; then
	title "It is left running. To look around:"
	hint() { printf '   %s\n       %s%s%s\n' "$2" "$bold" "$1" "$plain"; }
	hint "nsenter --net=/run/netns/$alice ping $web_addr" "as a subscriber (bob is refused until his sessions expire)"
	hint "$build/detnatctl -s $world/agent.sock session list" "as the operator"
	hint "nsenter --net=/run/netns/$gateway bpftool net" "what is attached"
	if start_desk; then
		hint "http://$desk_at/" "the page for the abuse desk and operators, in a browser on this machine: paste $world/complaint.txt"
	fi
	hint "bpftool map dump pinned $(echo "$world"/bpf/v*/counters)" "the counters, as the kernel has them"
	hint "cat $world/agent.log" "the agent's log"
	hint "deploy/demo.sh clean" "to end it"
else
	printf '\n%sThat was detnat. Everything is cleaned up; "make demo KEEP=1" leaves it running to look around.%s\n' "$dim" "$plain"
fi
