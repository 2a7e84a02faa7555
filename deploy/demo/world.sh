# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# The demo's world: two subscribers, a gateway and an internet, each a network namespace. Sourced by demo.sh.
#
#   detnat-alice eth0 -- alice0 \
#                                 detnat-gateway  out0 -- eth0 detnat-internet
#   detnat-bob   eth0 -- bob0   /

readonly world=/run/detnat-demo
readonly alice=detnat-alice bob=detnat-bob gateway=detnat-gateway internet=detnat-internet
readonly namespaces=("$alice" "$bob" "$gateway" "$internet")
readonly alice_addr=10.0.0.2 bob_addr=10.0.16.16 gateway_addr=10.0.0.1 web_addr=198.51.100.7
# The page of the demo that is left running.
# shellcheck disable=SC2034 # demo.sh uses it
readonly desk_at=127.0.0.1:8469

# Runs a command in a namespace. Unlike `ip netns exec` it keeps the mounts, so that BPF pins are visible.
in_ns() {
	local namespace=$1
	shift
	nsenter --net="/run/netns/$namespace" -- "$@"
}

# Removes all that a demo created, whether it ended normally or was killed. Prints nothing if there is nothing.
remove_world() {
	local namespace pids pid
	pid=$(cat "$world/desk.pid" 2>/dev/null) || pid=
	[[ -z $pid || $(readlink "/proc/$pid/exe") != */detnat-desk ]] || kill -TERM "$pid" || true
	for namespace in "${namespaces[@]}"; do
		[ -e "/run/netns/$namespace" ] || continue
		pids=$(ip netns pids "$namespace" 2>/dev/null) || true
		for pid in $pids; do kill -TERM "$pid" 2>/dev/null || true; done
		wait_until 50 no_process_in "$namespace" ||
			for pid in $(ip netns pids "$namespace"); do kill -KILL "$pid" 2>/dev/null || true; done
		ip netns del "$namespace" 2>/dev/null || true
	done
	while mountpoint -q "$world/bpf"; do umount "$world/bpf" || break; done
	rm -rf --one-file-system "$world"
}

no_process_in() {
	[ -z "$(ip netns pids "$1" 2>/dev/null)" ]
}

# wait_until TENTHS COMMAND…: tries the command ten times a second; fails when the time is up.
wait_until() {
	local left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		((left-- > 0)) || return 1
		sleep 0.1
	done
}

# link HOST HOST_ADDRESS/LEN GATEWAY_INTERFACE: a cable from a host to the gateway.
link() {
	local host=$1 address=$2 interface=$3
	ip link add eth0 netns "$host" type veth peer name "$interface" netns "$gateway"
	# A veth accepts redirected frames only if its peer has GRO on, and XDP cannot finish checksums that are left to a card.
	in_ns "$host" ethtool -K eth0 gro on tx off >/dev/null
	ip -n "$host" addr add "$address" dev eth0
	ip -n "$host" link set lo up
	ip -n "$host" link set eth0 up
	ip -n "$gateway" link set "$interface" up
}

make_world() {
	local namespace
	mkdir -m 700 "$world" "$world/bpf"
	mount -t bpf none "$world/bpf"
	for namespace in "${namespaces[@]}"; do
		ip netns add "$namespace"
		in_ns "$namespace" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6' 2>/dev/null || true
	done
	in_ns "$gateway" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	ip -n "$gateway" link set lo up

	link "$alice" "$alice_addr/32" alice0
	link "$bob" "$bob_addr/32" bob0
	link "$internet" "$web_addr/24" out0
	ip -n "$gateway" addr add 198.51.100.1/24 dev out0
	for namespace in "$alice $alice_addr alice0" "$bob $bob_addr bob0"; do
		read -r host address interface <<<"$namespace"
		ip -n "$gateway" addr add "$gateway_addr/32" dev "$interface"
		ip -n "$gateway" route add "$address/32" dev "$interface"
		ip -n "$host" route add "$gateway_addr/32" dev eth0
		ip -n "$host" route add default via "$gateway_addr"
	done
	# The internet routes the pool to the gateway.
	ip -n "$internet" route add 203.0.113.0/30 via 198.51.100.1

	cat >"$world/detnat.json" <<-END
		{
		  "interfaces": { "inside": ["alice0", "bob0"], "outside": ["out0"] },
		  "mappings": [ { "in": "10.0.0.0/18", "out": "203.0.113.0/30" } ],
		  "sessions_per_user": 10,
		  "ipfix": { "collector": "$web_addr:4739", "source": "198.51.100.1:4739" },
		  "control_socket": "$world/agent.sock",
		  "pin_path": "$world/bpf",
		  "state_dir": "$world/state"
		}
	END
}
