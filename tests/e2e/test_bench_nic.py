# SPDX-License-Identifier: BSD-2-Clause
"""make bench-nic between two veths in place of cards: the rows, and what it refuses."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import agent as daemon
import netns
from frame_flood import Flood

NIC = pathlib.Path(__file__).resolve().parents[1] / "bench/nic.py"
HOSTS, PORTS = 4, 8
KEYS = {"name", "gateway", "path", "ns", "per_second_per_core", "rounds_ns", "sent", "arrived", "sessions", "sessions_in_table",
        "packets_verified", "packets_wrong", "seconds"}


@pytest.fixture
def pair():
    """This machine with its cards nic0 and nic1, and the other one with what is joined to them."""
    host, other = netns.Namespace("nic-host"), netns.Namespace("nic-other")
    try:
        for card, address in (("nic0", "10.9.0.2/24"), ("nic1", "198.51.100.7/24")):
            netns.connect(host, card, other, f"to-{card}")
            other.ip("addr", "add", address, "dev", f"to-{card}")
        yield host, other
    finally:
        host.delete()
        other.delete()


def bench(host, tmp_path, *arguments, **environment):
    """The benchmark as a process; its results go below tmp_path, its programs come from the build."""
    build = tmp_path / "build"
    build.mkdir(exist_ok=True)
    for program in ("detnat-agent", "detnatctl"):
        if not (build / program).exists():
            (build / program).symlink_to(daemon.BUILD / program)
    return host.popen(sys.executable, NIC, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                      env={**os.environ, "BUILD": str(build), "ROUNDS": "2", "SECONDS": "0.5", **environment})


def request(process):
    """The MAC address in the next command for the other machine."""
    for line in process.stdout:
        if found := re.search(r"nic_generator.sh (\w+) IN OUT ([0-9a-f:]+)", line):
            return found[2]
    raise AssertionError(f"no request: {process.communicate()}")


def from_inside(mac):
    return [Ether(dst=mac, src="02:00:00:00:00:01") / IP(src=f"172.16.0.{h}", dst="198.51.100.7") / UDP(sport=1024 + p, dport=1024) / (b"x" * 18)
            for h in range(HOSTS) for p in range(PORTS)]


def from_outside(mac):
    return [Ether(dst=mac, src="02:00:00:00:00:02") / IP(src="198.51.100.7", dst="203.0.113.0") / UDP(sport=1024, dport=1024 + p) / (b"x" * 18)
            for p in range(HOSTS * 63)]


def ended(process, status):
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, f"exit {process.returncode}\n{out}{err}"
    return out, err


@pytest.mark.slow  # floods for a minute
def test_both_directions_are_measured_and_the_cards_come_back(pair, tmp_path):
    host, other = pair
    process = bench(host, tmp_path, "nic0", "nic1")
    with Flood(other, "to-nic0", *from_inside(request(process))):
        outside = request(process)
    with Flood(other, "to-nic1", *from_outside(outside)):
        out, _ = ended(process, 0)
    results = json.loads((tmp_path / "build/bench/results-nic.json").read_text())
    rows = {(r["gateway"], r["path"]): r for r in results["rows"]}
    assert set(rows) == {("kernel, no NAT", "in2out"), ("detnat redirect", "in2out"), ("detnat kernel", "in2out"),
                         ("detnat redirect", "out2in"), ("detnat kernel", "out2in")}
    for key, row in rows.items():
        assert set(row) >= KEYS and row["arrived"] > 0 and len(row["rounds_ns"]) == 2, (key, row)
        assert row["name"] in out and row["name"].startswith("64b-"), row
    assert rows["detnat redirect", "in2out"]["sessions_in_table"] == HOSTS * PORTS
    # What is sent to ports without a session counts as lost.
    lost = rows["detnat redirect", "out2in"]
    assert lost["sent"] > lost["arrived"] * 2
    assert [c["driver"] for c in results["machine"]["cards"]] == ["veth", "veth"]
    assert "| kernel |" in (tmp_path / "build/bench/results-nic.md").read_text()
    for card in ("nic0", "nic1"):
        assert "xdp" not in host.ip("-d", "link", "show", "dev", card)


def test_a_row_in_which_nothing_arrives_fails(pair, tmp_path):
    host, _ = pair
    process = bench(host, tmp_path, "nic0", "nic1", PATIENCE="1")
    _, err = ended(process, 1)
    assert "in2out: nothing arrived within 1 s; nic0 received" in err
    assert not (tmp_path / "build/bench/results-nic.json").exists()
    assert host.ip("link", "show", "dev", "nic0") and host.ip("link", "show", "dev", "nic1")


def of_cards(host):
    """What a run gives back."""
    where = ("ipv4/conf/nic0/rp_filter", "ipv4/conf/nic1/arp_notify", "ipv4/neigh/nic1/gc_stale_time")
    return [host.sysctl("net." + name.replace("/", ".")) for name in where], "state UP" in host.ip("link", "show", "dev", "nic0")


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_gives_the_cards_back(pair, tmp_path, how):
    host, _ = pair
    for name, value in (("conf.nic0.rp_filter", 2), ("conf.nic1.arp_notify", 1), ("neigh.nic1.gc_stale_time", 77)):
        host.sysctl(f"net.ipv4.{name}", value)
    before = of_cards(host)
    assert before == (["2", "1", "77"], True)
    process = bench(host, tmp_path, "nic0", "nic1")
    request(process)
    process.send_signal(how)
    _, err = ended(process, -how if how == signal.SIGKILL else 1)
    assert "Traceback" not in err
    assert how == signal.SIGKILL or f"ended by {how.name}; the cards go back" in err
    daemon.wait_for(lambda: "nic1" in host.ip("link") and "nic0" in host.ip("link"), what="the cards")
    daemon.wait_for(lambda: of_cards(host) == before, what="their settings")


@pytest.mark.slow  # floods for seconds
def test_traffic_that_does_not_pass_is_explained(pair, tmp_path):
    host, other = pair
    process = bench(host, tmp_path, "nic0", "nic1", PATIENCE="3", PATHS="out2in")
    with Flood(other, "to-nic1", *from_outside(request(process))):
        _, err = ended(process, 1)
    assert "out2in: nothing arrived" in err and "drop_no_session" in err


REFUSED = [
    ("an address", ["addr add 192.0.2.1/24 dev nic0"], "nic0 has the address 192.0.2.1, which the machine would lose"),
    ("the default route", ["addr add 192.0.2.1/24 dev nic0", "route add default via 192.0.2.2"], "the default route leaves by nic0"),
    ("a route", ["route add 192.0.2.0/24 dev nic1"], "a route to 192.0.2.0/24 leaves by nic1"),
    ("a port", ["link add br0 type bridge", "link set nic1 master br0"], "nic1 is a port of br0; take it out"),
    ("no card", ["link del nic1", "link add nic1 type bridge"], "nic1 is no card (bridge)"),
    ("nothing of that name", ["link del nic1"], "there is no interface nic1"),
]


@pytest.mark.parametrize(("what", "commands", "words"), REFUSED, ids=[r[0] for r in REFUSED])
def test_interfaces_in_use_are_refused(pair, tmp_path, what, commands, words):
    host, _ = pair
    host.batch(*commands)
    before = host.ip("addr")
    _, err = ended(bench(host, tmp_path, "nic0", "nic1"), 1)
    assert words in err
    assert re.sub(r"\d+sec", "", host.ip("addr")) == re.sub(r"\d+sec", "", before)


def test_told_to_it_takes_an_interface_with_an_address(pair, tmp_path):
    host, _ = pair
    host.batch("addr add 192.0.2.1/24 dev nic0")
    _, err = ended(bench(host, tmp_path, "nic0", "nic1", FORCE="1", PATIENCE="1"), 1)
    assert "nothing arrived within 1 s" in err


def test_words_that_are_wrong(pair, tmp_path):
    host, _ = pair
    assert "usage:" in ended(bench(host, tmp_path, "nic0"), 2)[1]
    assert "IN and OUT are both nic0" in ended(bench(host, tmp_path, "nic0", "nic0"), 2)[1]
    assert "PATHS=sideways" in ended(bench(host, tmp_path, "nic0", "nic1", PATHS="sideways"), 1)[1]
    assert "SECONDS=none: a number above 0 is needed" in ended(bench(host, tmp_path, "nic0", "nic1", SECONDS="none"), 1)[1]
