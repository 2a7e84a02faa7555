# SPDX-License-Identifier: BSD-2-Clause
"""Mappings with other ratios, first ports, distances and orders of blocks than their prefixes alone would give."""

import datetime
import ipaddress
import json
import time

import pytest
from scapy.layers.inet import ICMP, UDP

import packets
from agent import CTL, execute, wait_for
from lab import IN_MAC, MAPPING, Block, Lab

R33 = {"name": "r33", "in": "10.0.0.0/21", "out": "203.0.113.0/26", "subscribers_per_address": 33, "ports_per_host": 1954}
NETMAP = {"name": "netmap", "in": "10.0.16.0/22", "out": "203.0.113.128/27", "ports_per_host": 2000, "first_port": 1536,
          "order": "netmap"}
GAPS = {"name": "gaps", "in": "10.0.32.0/25", "out": "203.0.113.192/29", "subscribers_per_address": 32, "ports_per_host": 2014,
        "first_port": 1026, "block_pitch": 2016}
PLAIN = {"name": "plain", "in": "10.0.64.0/24", "out": "203.0.113.240/28"}
HOSTS = [(R33, "10.0.0.0"), (R33, "10.0.0.32"), (R33, "10.0.0.33"), (R33, "10.0.7.255"),
         (NETMAP, "10.0.16.0"), (NETMAP, "10.0.16.31"), (NETMAP, "10.0.16.32"), (NETMAP, "10.0.19.255"),
         (GAPS, "10.0.32.0"), (GAPS, "10.0.32.31"), (GAPS, "10.0.32.32"), (GAPS, "10.0.32.127"), (PLAIN, "10.0.64.17")]


def block(mapping, addr):
    """The arithmetic, written independently."""
    inside, outside = ipaddress.ip_network(mapping["in"]), ipaddress.ip_network(mapping["out"])
    first = mapping.get("first_port", 1024)
    ratio = mapping.get("subscribers_per_address", inside.num_addresses // outside.num_addresses)
    ports = mapping.get("ports_per_host", (65536 - first) // ratio)
    i = int(ipaddress.ip_address(addr)) - int(inside.network_address)
    if mapping.get("order") == "netmap":
        number, at = i % outside.num_addresses, i // outside.num_addresses
    else:
        number, at = i // ratio, i % ratio
    return Block(str(outside[number]), first + mapping.get("block_pitch", ports) * at, ports)


@pytest.fixture(scope="module")
def geometry_lab(run_directory, mode):
    it = Lab(run_directory)
    try:
        it.start(mappings=[R33, NETMAP, GAPS, PLAIN], **mode)
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def clean_wires(request):
    if "geometry_lab" in request.fixturenames:
        shared = request.getfixturevalue("geometry_lab")
        shared.inside.clear()
        shared.outside.clear()


@pytest.mark.parametrize("mapping, addr", HOSTS, ids=[addr for _, addr in HOSTS])
def test_packets_both_ways(geometry_lab, mapping, addr):
    lab, of, host = geometry_lab, block(mapping, addr), geometry_lab.host(addr)
    for port in (5000, 40000):
        src = of.first_choice(port)
        lab.send_out(lab.from_inside(host, UDP(sport=port, dport=53) / b"query"), src)
        lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, port)
        lab.send_out(lab.from_inside(host, UDP(sport=port, dport=53) / b"again"), src)
    src = of.first_choice(6000)
    lab.tcp_out(host, src, "S", 6000, seq=100)
    lab.tcp_in(host, src, "SA", 6000, seq=500, ack=101)
    lab.tcp_out(host, src, "A", 6000, seq=101, ack=501)
    src = of.first_choice(77)
    lab.send_out(lab.from_inside(host, ICMP(type=8, id=77, seq=1) / b"ping"), src)
    lab.send_in(lab.from_outside(src[0], ICMP(type=0, id=src[1], seq=1) / b"ping"), host, 77)
    assert {s["out_addr"] for s in lab.sessions(addr)} == {of.addr}
    assert all(of.lo <= s["out_port"] <= of.hi for s in lab.sessions(addr))


@pytest.mark.parametrize("mapping, addr", HOSTS, ids=[addr for _, addr in HOSTS])
def test_forward_and_reverse(geometry_lab, mapping, addr):
    of, agent = block(mapping, addr), geometry_lab.agent
    found = agent.ctl("forward", addr)
    assert (found["out_addr"], found["port_lo"], found["port_hi"], found["mapping"]) == (of.addr, of.lo, of.hi, mapping["name"])
    for port in (of.lo, of.lo + of.ports // 2, of.hi):
        assert agent.ctl("reverse", f"{of.addr}:{port}")["in_addr"] == addr


@pytest.mark.parametrize("endpoint, why", [
    ("203.0.113.0:1023", "ports below 1024 are never given out"),
    ("203.0.113.0:65506", "ports above 65505 are the remainder of 33 blocks of 1954"),
    ("203.0.113.62:5000", "ports 4932 to 6885 are a block that no inside address has"),
    ("203.0.113.128:1535", "ports below 1536 are in no block"),
    ("203.0.113.192:3041", "ports 3040 to 3041 lie between two blocks, and are never given out"),
    ("203.0.113.199:1026", "ports 1026 to 3039 are a block that no inside address has"),
    ("203.0.113.240:1000", "ports below 1024 are never given out"),
])
def test_reverse_says_why_a_port_has_no_subscriber(geometry_lab, endpoint, why):
    lab = geometry_lab
    assert f"{endpoint} has no subscriber: {why}" in lab.agent.refused("reverse", endpoint)
    explained = lab.agent.command("-j", "explain", endpoint)
    assert explained.status == 1 and any(why in f["text"] for f in json.loads(explained.out)["findings"]), explained
    addr, port = endpoint.split(":")
    lab.outside.send(lab.from_outside(addr, UDP(sport=53, dport=int(port)) / b"stray"))
    lab.inside.assert_silent()


def test_hairpin_between_blocks_of_different_kinds(geometry_lab):
    lab = geometry_lab
    alice, bob = lab.host("10.0.0.40"), lab.host("10.0.17.40")
    out = block(R33, alice.addr).first_choice(4001), block(NETMAP, bob.addr).first_choice(4002)
    with lab.counting(drop_no_session=1):
        lab.inside.send(lab.from_inside(alice, UDP(sport=4001, dport=out[1][1]) / b"hello", dst=out[1][0]))
    lab.inside.assert_silent()
    for host, port, src, peer, peer_port, dst in ((bob, 4002, out[1], alice, 4001, out[0]), (alice, 4001, out[0], bob, 4002, out[1])):
        packet = lab.from_inside(host, UDP(sport=port, dport=dst[1]) / b"hello", dst=dst[0])
        lab.inside.send(packet)
        lab.inside.expect(packets.translated(packet, (IN_MAC, peer.mac), src=src, dst=(peer.addr, peer_port)))


def test_fragments(geometry_lab):
    lab, of = geometry_lab, block(NETMAP, "10.0.18.5")
    host = lab.host("10.0.18.5")
    src = of.first_choice(5000)
    first = lab.from_inside(host, UDP(sport=5000, dport=53, len=48, chksum=0) / bytes(16), flags="MF", id=7)
    lab.send_out(first, src)
    rest = lab.from_inside(host, bytes(24), proto=17, frag=3, id=7)
    lab.send_out(rest, (src[0], None))


def test_lists_show_what_differs(geometry_lab):
    agent = geometry_lab.agent
    shown = {m["name"]: m for m in agent.ctl("mapping", "list")}
    keys = ("sharing_ratio", "ports_per_host", "first_port", "block_pitch", "order")
    assert [shown["r33"][k] for k in keys] == [33, 1954, 1024, 1954, "sequential"]
    assert [shown["netmap"][k] for k in keys] == [32, 2000, 1536, 2000, "netmap"]
    assert [shown["gaps"][k] for k in keys] == [32, 2014, 1026, 2016, "sequential"]
    assert not {"first_port", "block_pitch", "order"} & set(shown["plain"])
    table = agent.text("mapping", "list").splitlines()
    assert ["FIRST", "PITCH", "ORDER"] == [w for w in table[0].split() if w in ("FIRST", "PITCH", "ORDER")]
    assert {line.split()[0]: line.split()[6:10] for line in table[1:]} == {
        "r33": ["1954", "1024", "1954", "sequential"], "netmap": ["2000", "1536", "2000", "netmap"],
        "gaps": ["2014", "1026", "2016", "sequential"], "plain": ["4032", "1024", "4032", "sequential"]}
    mapping = agent.ctl("explain", "10.0.16.5")["mapping"]
    assert (mapping["sharing_ratio"], mapping["order"]) == (32, "netmap")


def test_an_outside_address_of_a_netmap_plan_has_its_subscribers_apart(geometry_lab):
    pool = geometry_lab.agent.ctl("explain", "203.0.113.129")["pool"]
    assert (pool["in_first"], pool["in_last"], pool["in_stride"], pool["subscribers"]) == ("10.0.16.1", "10.0.19.225", 32, 32)
    pool = geometry_lab.agent.ctl("explain", "203.0.113.63")["pool"]
    assert (pool["in_first"], pool["in_last"], pool["subscribers"]) == (None, None, 0)
    states = {p["addr"]: p for p in geometry_lab.agent.ctl("pool", "list", "203.0.113.0/26")}
    assert [states[f"203.0.113.{n}"]["subscribers"] for n in (0, 61, 62, 63)] == [33, 33, 2, 0]


def test_tables_and_history_agree(geometry_lab):
    geometry_lab.agent.text("check")


def next_second():
    """Waits for the clock to reach the next whole second, the grain of the history, and returns that."""
    began = int(time.time())
    wait_for(lambda: int(time.time()) > began, what="the next second")
    return began + 1


def holder(agent, endpoint, at):
    at = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()
    result = execute(CTL, "-j", "who", endpoint, "--at", at, "--state-dir", agent.state)
    assert result.status == 0, result
    return json.loads(result.out)["in_addr"]


def test_replacements_keep_what_was_so_before(lab):
    """The same prefixes with other blocks are another mapping, in the tables and in the history."""
    lab.start(mappings=[MAPPING])
    agent = lab.agent
    plans = [(), ("--order", "netmap"), ("--order", "sequential", "--first-port", "2000"),
             ("--subscribers-per-address", "4097", "--ports-per-host", "14"),
             ("--subscribers-per-address", "0", "--ports-per-host", "14", "--block-pitch", "15")]
    seen = []
    for options in plans:
        if options:
            agent.ctl("mapping", "add", MAPPING["in"], MAPPING["out"], "--replace", *options)
        at = next_second()
        forward = {addr: agent.ctl("forward", addr) for addr in ("10.0.0.0", "10.0.5.5", "10.0.63.254")}
        seen.append((at, forward))
        agent.text("check")
        next_second()
    assert len({json.dumps(f) for _, f in seen}) == len(seen), "each plan gives other blocks"
    agent.stop()
    for at, forward in seen:
        for addr, f in forward.items():
            for port in (f["port_lo"], f["port_hi"]):
                assert holder(agent, f"{f['out_addr']}:{port}", at) == addr, at


def test_mapping_set_says_how_ports_change(geometry_lab):
    error = geometry_lab.agent.refused("mapping", "set", "r33", "--ports-per-host", "1000", status=2)
    assert "`mapping add --replace` changes them" in error


def test_a_restart_takes_the_plan_over(lab):
    lab.start(mappings=[R33, NETMAP])
    host, of = lab.host("10.0.17.7"), block(NETMAP, "10.0.17.7")
    src = of.first_choice(5000)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"query"), src)
    lab.agent.restart()
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    assert lab.session(host)["out_port"] == src[1]
    lab.agent.text("check")
