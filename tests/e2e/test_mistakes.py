# SPDX-License-Identifier: BSD-2-Clause
"""Fifteen mistakes of an operator: the first line of -t or of the doctor, and of explain, name cause and cure; status has a warning of it."""

import shlex

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from lab import MAPPING, block_of

# Packets that went out before it is worth a warning that none came back.
UNANSWERED = 20

POLICY_DROP = ["nft add table ip fw", "nft add chain ip fw f { type filter hook forward priority 0; policy drop; }"]
SECOND_INSIDE = ["ip link add in1 type veth peer name in1p", "ip link set in1 up", "ip link set in1p up", "sysctl -qw net.ipv4.conf.in1.rp_filter=1"]
MASQUERADE = ["nft add table ip nat", "nft add chain ip nat post { type nat hook postrouting priority 100; }",
              "nft add rule ip nat post oifname out0 masquerade"]
ELSEWHERE = {"mappings": [{"in": "100.64.0.0/18", "out": "1.1.1.0/30"}]}
SWAPPED = {"interfaces": {"inside": ["out0"], "outside": ["in0"]}}
TWO_INSIDE = {"interfaces": {"inside": ["in0", "in1"], "outside": ["out0"]}}

# What is refused: by -t and the doctor alike, with its cure.
REFUSED = {
    "the name of an interface": ({"interfaces": {"inside": ["in0"], "outside": ["wan7"]}}, "interfaces.outside[0]: there is no interface wan7 on this machine"),
    "a prefix twice": ({"mappings": [MAPPING, MAPPING]}, "mappings[1].in: 10.0.0.0/18 is mappings[0].in already"),
    "an unknown key": ({"hairpinn": True}, "hairpinn: unknown key; did you mean hairpin?"),
}

# What runs all the same: how it comes about, the configuration, the doctor's first line, that of explain, and the warning of status.
FOUND = {
    "inside and outside swapped": (
        [], SWAPPED, "WARNING  inside routes   the inside addresses 10.0.0.0/18 are routed through in0, which is outside: are inside and outside swapped",
        "DROPPED (route): packets to 10.0.0.10 leave through in0, which is not an inside interface", "are inside and outside swapped"),
    "no default route": (
        ["ip route del default"], {}, "WARNING  route out       there is no default route",
        "DROPPED (drop_unreachable): the kernel has no route to 192.0.2.1: Network is unreachable; add a route", "there is no default route"),
    "a lower MTU outside without a clamp": (
        ["ip link set out0 mtu 1400"], {}, "WARNING  mtu             the MTU of out0 is 1400, that of in0 1500, and tcp_mss_clamp is 0",
        "Note (mtu): the MTU of out0 is 1400", 'set tcp_mss_clamp to "mtu"'),
    "a strict filter on a second inside interface": (
        SECOND_INSIDE, TWO_INSIDE, "WARNING  inside filters  in1: rp_filter is 1 (strict), and no route leads through it to inside addresses",
        "Note (drop_martian): packets from 10.0.0.10 through in1 are dropped, as rp_filter is 1 (strict) there", "sysctl -w net.ipv4.conf.in1.rp_filter=2"),
    "a forward chain that drops, the kernel forwards": (
        POLICY_DROP, {"forwarding": "kernel"}, "FAILURE  dropping        nftables table fw, chain f (forward): drops all packets",
        "DROPPED (dropping): nftables table fw, chain f (forward): drops all packets", "accept packets between inside and outside interfaces"),
    "a forward chain that drops, XDP redirects": (
        POLICY_DROP, {"forwarding": "redirect"}, "WARNING  dropping        nftables table fw, chain f (forward): drops packets that none of its rules accepts, "
        "among them those that XDP leaves to the kernel", "Note (dropping): nftables table fw, chain f (forward): drops packets",
        "accept packets between inside and outside interfaces"),
    "a pool address on an interface": (
        ["ip addr add 1.1.1.1/32 dev out0"], {}, "WARNING  pools           the pool 1.1.1.0/30 holds 1.1.1.1, the gateway's own address on out0",
        "Note (pools): the pool 1.1.1.0/30 holds 1.1.1.1", "take the address out of the pool"),
    "forwarding off": (
        ["sysctl -qw net.ipv4.ip_forward=0"], {},
        "FAILURE  forwarding      in0: the kernel does not forward packets that arrive there: sysctl -w net.ipv4.ip_forward=1",
        "DROPPED (forwarding): the kernel does not forward packets that arrive through in0; sysctl net.ipv4.ip_forward=1", "sysctl -w net.ipv4.ip_forward=1"),
    "no route to the inside": (
        ["ip route add blackhole 100.64.0.0/10"], ELSEWHERE, "WARNING  inside routes   there is no route to the inside addresses 100.64.0.0/18",
        "DROPPED (route): the kernel has no route to 100.64.0.10: Invalid argument; add a route", "route them to the interface of these subscribers"),
    "an old masquerade, the kernel forwards": (
        MASQUERADE, {"forwarding": "kernel"}, "WARNING  masquerade      nftables table nat, chain post: rules of NAT, of an earlier gateway?",
        "Note (masquerade): nftables table nat, chain post: rules of NAT", "remove them, or let them pass inside addresses over"),
    "an old masquerade, XDP redirects": (
        MASQUERADE, {"forwarding": "redirect"}, "WARNING  masquerade      nftables table nat, chain post: rules of NAT, of an earlier gateway?",
        "Note (masquerade): nftables table nat, chain post: rules of NAT", "remove them, or let them pass inside addresses over"),
}


def warnings(agent):
    return [line for line in agent.text("status").splitlines() if line.startswith("Warning: ")]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_the_line_and_what_to_do(lab, name):
    config, text = REFUSED[name]
    agent = lab.prepare(**config)
    tested, examined = agent.once("-t"), agent.once("--doctor")
    assert tested.status == 2 and text in tested.err.splitlines()[0], tested
    assert text in (examined.out or examined.err).splitlines()[0], examined


@pytest.mark.parametrize("name", FOUND)
def test_what_runs_is_told_first(lab, name):
    commands, config, doctor, explained, status = FOUND[name]
    for command in commands:
        lab.gateway.run(*shlex.split(command))
    agent = lab.prepare(**config)
    examined = agent.once("--doctor")
    assert examined.out.startswith(doctor), examined
    agent.start()
    host = "100.64.0.10" if config is ELSEWHERE else "10.0.0.10"
    # The filters of interfaces are read now and then.
    wait_for(lambda: agent.text("explain", host).startswith(f"{host} is inside. {explained}"), what=agent.text("explain", host))
    assert any(status in line for line in warnings(agent)), agent.text("status")
    beside = agent.command("doctor")
    assert beside.out.startswith(doctor) and beside.status == (1 if doctor.startswith("FAILURE") else 0), beside


def warned_anew(lab, text):
    """The next look of status: one is ten seconds old at most."""
    wait_for(lambda: [w for w in warnings(lab.agent) if text in w], what=text)


def test_no_route_to_the_pool_upstream(lab):
    """Nothing here shows it but that no answer ever comes."""
    lab.start()
    host = lab.host()
    assert warnings(lab.agent) == []
    for port in range(5000, 5000 + UNANSWERED):
        lab.tcp_out(host, block_of(host.addr).first_choice(port), "S", port=port, dport=port)
    first = lab.agent.text("explain", host.addr).splitlines()[0]
    assert "Note (unanswered): none of the" in first and "does the upstream router have a route to the pool via this gateway" in first
    warned_anew(lab, "unanswered: packets went out, and none came back since the last look")


def test_ports_that_are_exhausted(lab):
    lab.start()
    host = lab.host()
    assert warnings(lab.agent) == []
    for port in range(5000, 5015):
        lab.open_udp(host, port)
    with lab.counting(drop_ports_exhausted=1, sent_icmp_unreachable=1):
        lab.inside.send(lab.from_inside(host, UDP(sport=6000, dport=53)))
    first = lab.agent.text("explain", host.addr).splitlines()[0]
    assert "DROPPED (drop_ports_exhausted): all 15 ports of the block are in use" in first
    assert "more outside addresses gives each subscriber more ports" in first
    warned_anew(lab, "drop_ports_exhausted: DROPPED: 1 packet of subscribers without a free port since the last look; detnatctl top shows them")


def test_a_healthy_gateway_is_warned_of_nothing(lab):
    lab.start()
    lab.host()
    assert warnings(lab.agent) == []
    told = lab.agent.ctl("doctor")
    assert told["failures"] == 0 and not [f for f in told["findings"] if f["level"] == "FAILURE"]
