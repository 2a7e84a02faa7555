# SPDX-License-Identifier: BSD-2-Clause
"""As many mappings as there may be: a plan whose outside addresses descend needs one for each of them."""

import ipaddress
import json
import os
import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP, Ether

import agent as programs
import other_layout
from agent import wait_for
from lab import OUT_MAC, ROUTER, ROUTER_MAC, Block
from wire import ETH_ARP

MOST = 4096
EACH = 4
PORTS = 2000
LAST_OUT = ipaddress.ip_address("203.0.31.255")
DESCENDING = {"name": "descending", "in": "10.0.0.0/18", "out": [f"{LAST_OUT - i}/32" for i in range(MOST)],
              "subscribers_per_address": EACH, "ports_per_host": PORTS, "session_slots": 8}
# The first and the last of the first mapping, of one in the middle, and of the last.
HOSTS = {"10.0.0.0": 0, "10.0.0.3": 0, "10.0.32.0": 2048, "10.0.32.3": 2048, "10.0.63.252": 4095, "10.0.63.255": 4095}


def block(addr):
    return Block(str(LAST_OUT - HOSTS[addr]), 1024 + PORTS * (int(ipaddress.ip_address(addr)) % EACH), PORTS)


def open_all(lab):
    for addr in HOSTS:
        src = block(addr).first_choice(5000)
        lab.send_out(lab.from_inside(lab.host(addr), UDP(sport=5000, dport=53) / b"query"), src)


def answer_all(lab):
    """What comes back finds its session."""
    for addr in HOSTS:
        src = block(addr).first_choice(5000)
        lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), lab.host(addr), 5000)


def asked(addr):
    return Ether(src=ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=ROUTER_MAC, psrc=ROUTER, pdst=addr)


def took(what, began):
    print(f"{what}: {time.monotonic() - began:.2f} s")


def events(agent):
    """Those of the history, but for confirmations."""
    records = [json.loads(line) for line in (agent.state / "history.jsonl").read_text().splitlines()]
    return [r["event"] for r in records if r["event"] != "confirm"]


@pytest.mark.slow  # nine seconds of a processor
def test_as_many_mappings_as_there_may_be_translate_reload_and_restart(lab):
    began = time.monotonic()
    agent = lab.start(unmatched="drop", mappings=[DESCENDING])
    took("start", began)
    open_all(lab)
    answer_all(lab)
    listed = agent.ctl("mapping", "list")
    assert len(listed) == MOST and {m["name"] for m in listed} == {"descending"}
    assert len(agent.text("mapping", "list").splitlines()) == MOST + 1
    for addr in HOSTS:
        of = block(addr)
        found = agent.ctl("forward", addr)
        assert (found["out_addr"], found["port_lo"], found["port_hi"]) == (of.addr, of.lo, of.hi)
        assert agent.ctl("reverse", f"{of.addr}:{of.hi}")["in_addr"] == addr
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        assert agent.ctl("who", f"{of.addr}:{of.lo}", "--at", now, "--state-dir", str(agent.state))["in_addr"] == addr
        with lab.counting(arp_answered=1):
            lab.outside.send(asked(of.addr))
            wanted = Ether(src=OUT_MAC, dst=ROUTER_MAC) / ARP(op=2, hwsrc=OUT_MAC, psrc=of.addr, hwdst=ROUTER_MAC, pdst=ROUTER)
            assert bytes(lab.outside.packet(kinds=(ETH_ARP,)))[:42] == bytes(wanted)
    assert json.loads(agent.text("config", "show"))["mappings"] == [DESCENDING]
    began = time.monotonic()
    assert agent.ctl("check")["findings"] == []
    took("check", began)

    began = time.monotonic()
    agent.ctl("reload")
    took("reload", began)
    agent.stop()
    began = time.monotonic()
    agent.start()
    took("start over pins", began)
    answer_all(lab)
    assert len(agent.ctl("session", "list")) == len(HOSTS)
    # On a busy disk the start is written after it.
    wait_for(lambda: events(agent)[-1] == "start", what="the start to be written", timeout=60)
    assert events(agent).count("add") == MOST and [e for e in events(agent) if e != "add"] == ["start", "stop", "start"]

    # Other blocks for everybody.
    began = time.monotonic()
    agent.write(mappings=[{**DESCENDING, "ports_per_host": PORTS - 1}])
    agent.ctl("reload")
    took("reload with other blocks", began)
    assert agent.ctl("forward", "10.0.63.255")["port_lo"] == 1024 + 3 * (PORTS - 1)
    assert agent.ctl("session", "list") == []
    assert len(agent.ctl("mapping", "list")) == MOST


def number_of_portmaps(agent):
    return len(agent.ctl("portmap", "list"))


@pytest.mark.slow  # a minute of a processor
def test_as_many_portmaps_as_there_may_be_are_kept_saved_reloaded_and_there_after_a_reboot(lab):
    """By commands, in batches that one change takes."""
    most, batch = 65536, 4096
    agent = lab.start(mappings=[{"name": "all", "in": "10.0.0.0/20", "out": "203.0.16.0/24", "session_slots": 8}])
    commands = agent.directory / "commands"
    for first in range(0, most, batch):
        commands.write_text("".join(f"portmap add tcp 10.0.{i >> 8 & 15}.{i & 255}:{1000 + (i >> 12)} --name p{i}\n" for i in range(first, first + batch)))
        done = agent.command("-b", commands)
        assert done.status == 0, done
    assert number_of_portmaps(agent) == most
    assert "more than 65536 portmaps" in agent.refused("portmap", "add", "tcp", "10.0.0.1:7")
    agent.restart()
    assert number_of_portmaps(agent) == most and agent.ctl("status")["troubles"] == []
    agent.ctl("config", "save")
    agent.ctl("reload")
    assert agent.once("-t").status == 0
    agent.stop()
    agent.detach()
    agent.start()
    assert number_of_portmaps(agent) == most
    assert agent.ctl("config", "diff", str(agent.path)) == []


def test_one_mapping_more_is_refused_with_nothing_changed(lab):
    agent = lab.start(mappings=[DESCENDING])
    open_all(lab)
    assert f"more than {MOST} mappings" in agent.refused("mapping", "add", "10.0.64.0/24", "198.51.100.0/28")
    agent.write(mappings=[DESCENDING, {"in": "10.0.64.0/24", "out": "198.51.100.0/28"}])
    assert f"more than {MOST} mappings" in agent.refused("reload")
    answer_all(lab)
    assert len(agent.ctl("mapping", "list")) == MOST


def test_what_drains_counts_until_it_is_gone(lab):
    """Numbers of mappings are taken while sessions drain, so another mapping has to wait, and is told for what."""
    few = {**DESCENDING, "in": f"10.0.0.0-{ipaddress.ip_address('10.0.0.0') + EACH * (MOST - 1) - 1}", "out": DESCENDING["out"][:-1]}
    agent = lab.start(unmatched="drop", mappings=[few, {"name": "old", "in": "10.0.64.0/30", "out": "9.9.9.7/32"}])
    lab.open_udp(lab.host("10.0.64.1"), mapping={"in": "10.0.64.0/30", "out": "9.9.9.7/32"})
    agent.ctl("mapping", "del", "old", "--drain", "60")
    message = agent.refused("mapping", "add", "10.0.65.0/30", "9.9.9.8/32")
    assert "those that drain count" in message
    assert len(agent.ctl("mapping", "list")) == MOST
    agent.ctl("session", "flush", "10.0.64.1", "--yes")
    wait_for(lambda: len(agent.ctl("mapping", "list")) == MOST - 1, what="the drain to end", timeout=60)
    agent.ctl("mapping", "add", "10.0.65.0/30", "9.9.9.8/32")


@pytest.fixture(scope="module")
def other_layout_build(tmp_path_factory):
    return other_layout.build(other_layout.migratable, tmp_path_factory.mktemp("other") / "tree")


@pytest.mark.long
def test_an_agent_of_another_layout_takes_as_many_over(lab, other_layout_build, monkeypatch):
    agent = lab.start(unmatched="drop", mappings=[DESCENDING])
    open_all(lab)
    agent.stop()
    monkeypatch.setattr(programs, "AGENT", other_layout_build / "detnat-agent")
    agent.start()
    wait_for(lambda: len(list(agent.pins.glob("v*"))) == 1, what="the old pins to go")
    assert f"{MOST} mappings, {len(HOSTS)} sessions" in agent.log_text()
    answer_all(lab)
    assert agent.ctl("check")["findings"] == []
    assert not os.path.exists(agent.pins / "moving")
