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
        [], SWAPPED, "FAILURE  route out       inside and outside look swapped: in0 leads to the subscribers, out0 is the default route: "
        "exchange them in the configuration and reload",
        "DROPPED (interface): inside and outside look swapped: in0 leads to the subscribers, out0 is the default route; "
        "exchange them in the configuration and reload", "inside and outside look swapped"),
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
        MASQUERADE, {"forwarding": "kernel"}, "FAILURE  masquerade      nft delete table ip nat, or accept the inside prefixes before its rules: chain post",
        "DROPPED (masquerade): nft delete table ip nat, or accept the inside prefixes", "Packets of subscribers meet them first"),
    "an old masquerade of the subscribers alone, the kernel forwards": (
        [*MASQUERADE[:2], "nft add rule ip nat post ip saddr 10.0.0.0/18 masquerade"], {"forwarding": "kernel"},
        "FAILURE  masquerade      nft delete table ip nat", "DROPPED (masquerade): nft delete table ip nat", "Packets of subscribers meet them first"),
    "an old masquerade of others": (
        [*MASQUERADE[:2], "nft add rule ip nat post ip saddr 192.168.0.0/16 masquerade"], {"forwarding": "kernel"},
        "WARNING  masquerade      nftables table nat, chain post: rules of NAT", "Note (masquerade): nftables table nat", "for others than the subscribers"),
    "an old masquerade that lets subscribers pass": (
        [*MASQUERADE[:2], "nft add rule ip nat post ip saddr 10.0.0.0/18 accept", MASQUERADE[2]], {"forwarding": "kernel"},
        "WARNING  masquerade      nftables table nat, chain post: rules of NAT", "Note (masquerade): nftables table nat", "for others than the subscribers"),
    "an old masquerade, XDP redirects": (
        MASQUERADE, {"forwarding": "redirect"}, "WARNING  masquerade      nft delete table ip nat, or accept the inside prefixes before its rules: chain post",
        "Note (masquerade): nft delete table ip nat, or accept", "Packets that XDP leaves to the kernel, few, meet them first"),
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
    for port in (5000, 5001):
        lab.tcp_out(host, block_of(host.addr).first_choice(port), "S", port=port)
    first = lab.agent.text("explain", host.addr).splitlines()[0]
    assert f"Note (unanswered): No packet has come back to {block_of(host.addr).addr} yet: does the upstream route 1.1.1.0/30 to this gateway?" in first
    none = "packets went out, and none has come back yet: does the upstream route the pools to this gateway"
    assert [w for w in warnings(lab.agent) if f"unanswered: {none}" in w], "at once"
    assert "WARNING  unanswered" in lab.agent.text("doctor") and none in lab.agent.text("doctor")
    lab.tcp_in(host, block_of(host.addr).first_choice(5000), "SA")
    assert "Nothing stands in the way" in lab.agent.text("explain", host.addr) and "unanswered" not in lab.agent.text("doctor")

    def again():
        for _ in range(UNANSWERED):
            lab.tcp_out(host, block_of(host.addr).first_choice(5002), "S", port=5002)
        return [w for w in warnings(lab.agent) if "unanswered: packets went out, and none came back since the last look" in w]

    wait_for(again, timeout=30, what="a look after that answer")


def test_the_name_of_an_interface_in_a_running_agent(lab):
    """It may appear later, so it is no reason not to start; nothing that looks may call it healthy."""
    lab.prepare(interfaces={"inside": ["in0"], "outside": ["wan7"]}).start()
    absent = "there is no interface wan7 (outside); the default route leaves by out0: correct the name in the configuration and reload"
    told = lab.agent.command("doctor")
    assert told.status == 1 and f"FAILURE  links           {absent}" in told.out, told
    assert "all interfaces are up" not in told.out and ": memory for 1 mapping" in told.out, told
    assert [w for w in warnings(lab.agent) if absent in w], lab.agent.text("status")
    (outside,) = [i for i in lab.agent.ctl("interface", "list") if i["name"] == "wan7"]
    assert outside["problem"] == "there is no such interface", outside
    first = lab.agent.text("explain", "10.0.0.10").splitlines()[0]
    assert "there is no interface wan7 (outside); packets to 192.0.2.1 leave by out0; correct the name in the configuration and reload" in first, first


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
