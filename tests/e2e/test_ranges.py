# SPDX-License-Identifier: BSD-2-Clause
"""Mappings of ranges and lists of addresses: traffic, lookups, exceptions, drains, reloads and the history."""

import datetime
import ipaddress
import json
import time

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from agent import CTL, execute, wait_for
from lab import OUT_MAC, ROUTER, ROUTER_MAC, Block, Lab
from wire import ETH_ARP

RANGE = {"name": "range", "in": "10.0.56.1-10.0.63.254", "out": "203.0.113.193-203.0.113.254", "subscribers_per_address": 33,
         "ports_per_host": 1954}
LISTS = {"name": "lists", "in": ["10.0.0.0/25", "10.0.1.0-10.0.1.63"],
         "out": ["203.0.113.1-203.0.113.2", "203.0.113.16/30", "203.0.113.20/32"], "exclude": ["203.0.113.17"],
         "subscribers_per_address": 32, "first_port": 2000}
EXCEPTION = {"name": "excepted", "in": "10.0.1.7/32", "out": "203.0.113.17/32"}
WITHIN = {"name": "within", "in": "10.0.60.3-10.0.60.8", "out": "203.0.113.32/31"}
PORTMAP = {"name": "web", "proto": "tcp", "in": "10.0.1.7:80", "out": "203.0.113.17:80"}

HOSTS = {
    "10.0.56.1": Block("203.0.113.193", 1024, 1954), "10.0.56.33": Block("203.0.113.193", 1024 + 32 * 1954, 1954),
    "10.0.56.34": Block("203.0.113.194", 1024, 1954), "10.0.63.254": Block("203.0.113.254", 1024 + 32 * 1954, 1954),
    "10.0.0.0": Block("203.0.113.1", 2000, 1985), "10.0.0.63": Block("203.0.113.2", 2000 + 31 * 1985, 1985),
    "10.0.0.64": Block("203.0.113.16", 2000, 1985), "10.0.0.96": Block("203.0.113.18", 2000, 1985),
    "10.0.0.127": Block("203.0.113.18", 2000 + 31 * 1985, 1985), "10.0.1.0": Block("203.0.113.19", 2000, 1985),
    "10.0.60.3": Block("203.0.113.32", 1024, 21504), "10.0.60.8": Block("203.0.113.33", 1024 + 2 * 21504, 21504),
    "10.0.60.9": Block("203.0.113.224", 1024 + 9 * 1954, 1954), "10.0.1.7": Block("203.0.113.17", 1024, 64512),
}


@pytest.fixture(scope="module")
def ranges_lab(run_directory, mode):
    it = Lab(run_directory)
    try:
        it.start(unmatched="drop", mappings=[RANGE, LISTS, EXCEPTION, WITHIN], portmaps=[PORTMAP], **mode)
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def clean_wires(request):
    if "ranges_lab" in request.fixturenames:
        shared = request.getfixturevalue("ranges_lab")
        shared.inside.clear()
        shared.outside.clear()


@pytest.mark.parametrize("addr", HOSTS)
def test_packets_both_ways_at_each_edge(ranges_lab, addr):
    lab, of, host = ranges_lab, HOSTS[addr], ranges_lab.host(addr)
    src = of.first_choice(5000)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"query"), src)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    src = of.first_choice(77)
    lab.send_out(lab.from_inside(host, ICMP(type=8, id=77, seq=1) / b"ping"), src)
    lab.send_in(lab.from_outside(src[0], ICMP(type=0, id=src[1], seq=1) / b"ping"), host, 77)
    assert {s["out_addr"] for s in lab.sessions(addr)} == {of.addr}


@pytest.mark.parametrize("addr", HOSTS)
def test_forward_and_reverse_at_each_edge(ranges_lab, addr):
    of, agent = HOSTS[addr], ranges_lab.agent
    found = agent.ctl("forward", addr)
    assert (found["out_addr"], found["port_lo"], found["port_hi"]) == (of.addr, of.lo, of.hi)
    for port in (of.lo, of.hi):
        assert agent.ctl("reverse", f"{of.addr}:{port}")["in_addr"] == addr


@pytest.mark.parametrize("addr", ["10.0.56.0", "10.0.63.255", "10.0.0.128", "10.0.1.64"])
def test_addresses_beside_a_range_are_nobodys(ranges_lab, addr):
    lab = ranges_lab
    assert "is not an inside address of any mapping" in lab.agent.refused("forward", addr)
    with lab.counting(drop_no_mapping=1):
        lab.inside.send(lab.from_inside(lab.host(addr), UDP(sport=5000, dport=53) / b"query"))
    lab.outside.assert_silent()


def request(target):
    return Ether(src=ROUTER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=ROUTER_MAC, psrc=ROUTER, pdst=target)


@pytest.mark.parametrize("target", ["203.0.113.193", "203.0.113.254", "203.0.113.1", "203.0.113.2", "203.0.113.19", "203.0.113.17"])
def test_arp_is_answered_for_the_addresses_of_a_range(ranges_lab, target):
    lab = ranges_lab
    with lab.counting(arp_answered=1):
        lab.outside.send(request(target))
        frame = lab.outside.packet(kinds=(ETH_ARP,))
    assert (frame[ARP].op, frame[ARP].psrc, frame[ARP].hwsrc) == (2, target, OUT_MAC)


@pytest.mark.parametrize("target", ["203.0.113.192", "203.0.113.255", "203.0.113.3", "203.0.113.15"])
def test_arp_is_not_answered_beside_a_range(ranges_lab, target):
    with ranges_lab.counting(arp_answered=0):
        ranges_lab.outside.send(request(target))
        ranges_lab.outside.assert_silent()


def test_a_portmap_on_an_excluded_address_leads_to_the_exception_that_has_it(ranges_lab):
    lab, host = ranges_lab, ranges_lab.host("10.0.1.7")
    lab.send_in(lab.from_outside("203.0.113.17", TCP(sport=40000, dport=80, flags="S")), host, 80)
    assert lab.agent.ctl("reverse", "203.0.113.17:80")["in_addr"] == host.addr


def test_mapping_list_has_a_line_for_each_range_and_config_show_the_lists(ranges_lab):
    agent = ranges_lab.agent
    shown = agent.ctl("mapping", "list")
    assert [(m["in"], m["out"]) for m in shown if m["name"] == "range"] == [(RANGE["in"], RANGE["out"])]
    lists = [(m["in"], m["out"]) for m in shown if m["name"] == "lists"]
    assert lists[0] == ("10.0.0.0/26", "203.0.113.1-203.0.113.2") and lists[-1][0] == "10.0.1.0/26"
    assert [m["within_name"] for m in shown if m["name"] == "within"] == ["range"]
    written = agent.ctl("config", "show")["mappings"]
    assert written[0] == RANGE and written[1]["in"] == LISTS["in"] and written[1]["exclude"] == LISTS["exclude"]


def test_pool_list_and_explain_know_ranges(ranges_lab):
    agent = ranges_lab.agent
    states = {p["addr"]: p for p in agent.ctl("pool", "list", "203.0.113.193")}
    assert states["203.0.113.193"]["subscribers"] == 33
    pool = agent.ctl("explain", "203.0.113.254")["pool"]
    assert (pool["in_first"], pool["in_last"], pool["subscribers"]) == ("10.0.63.222", "10.0.63.254", 33)
    explained = agent.ctl("explain", "10.0.60.4")["mapping"]
    assert (explained["in"], explained["out"]) == (WITHIN["in"], WITHIN["out"])


def test_tables_and_history_agree(ranges_lab):
    ranges_lab.agent.text("check")


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


def test_who_answers_for_ranges_before_and_after_a_change(lab):
    lab.start(mappings=[RANGE, LISTS])
    agent = lab.agent
    first = next_second()
    next_second()
    agent.ctl("mapping", "add", WITHIN["in"], WITHIN["out"], "--name", "within")
    second = next_second()
    agent.text("check")
    next_second()
    agent.stop()
    for addr in ("10.0.56.1", "10.0.63.254", "10.0.0.0", "10.0.0.96", "10.0.1.0", "10.0.60.9"):
        of = HOSTS[addr]
        assert holder(agent, f"{of.addr}:{of.hi}", first) == addr
        assert holder(agent, f"{of.addr}:{of.hi}", second) == addr
    before = Block("203.0.113.224", 1024 + 3 * 1954, 1954)
    assert holder(agent, f"{before.addr}:{before.lo}", first) == "10.0.60.3"
    assert holder(agent, f"203.0.113.32:{HOSTS['10.0.60.3'].lo}", second) == "10.0.60.3"
    gone = execute(CTL, "-j", "who", f"{before.addr}:{before.lo}", "--state-dir", agent.state)
    assert "10.0.60.3" not in json.loads(gone.out or "{}").get("in_addr", "")


def test_a_restart_takes_ranges_over(lab):
    lab.start(mappings=[RANGE, LISTS, WITHIN])
    for addr in ("10.0.63.254", "10.0.0.96", "10.0.60.8"):
        host, of = lab.host(addr), HOSTS[addr]
        lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"query"), of.first_choice(5000))
    lab.agent.restart()
    for addr in ("10.0.63.254", "10.0.0.96", "10.0.60.8"):
        host, src = lab.host(addr), HOSTS[addr].first_choice(5000)
        lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    lab.agent.text("check")


def test_a_reload_changes_lists_and_leaves_what_stays(lab):
    lab.start(mappings=[RANGE, LISTS])
    agent, host, of = lab.agent, lab.host("10.0.0.0"), HOSTS["10.0.0.0"]
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"query"), of.first_choice(5000))
    agent.write(mappings=[RANGE, {**LISTS, "in": LISTS["in"] + ["10.0.2.0-10.0.2.31"], "out": LISTS["out"] + ["203.0.113.40/32"]}])
    agent.ctl("reload")
    src = of.first_choice(5000)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    assert agent.ctl("forward", "10.0.2.31")["out_addr"] == "203.0.113.40"
    agent.write(mappings=[RANGE])
    agent.ctl("reload", "--force")
    agent.refused("forward", "10.0.0.0")
    agent.text("check")


def test_a_mapping_of_lists_is_deleted_and_set_by_its_name_as_a_whole(lab):
    lab.start(mappings=[RANGE, LISTS])
    agent = lab.agent
    agent.ctl("mapping", "set", "lists", "--sessions-per-user", "77")
    assert {m["sessions_per_user"] for m in agent.ctl("mapping", "list") if m["name"] == "lists"} == {77}
    agent.ctl("mapping", "del", "lists")
    assert [m["name"] for m in agent.ctl("mapping", "list")] == ["range"]
    agent.refused("forward", "10.0.1.0")
    agent.text("check")


def test_a_drained_address_of_a_range_gives_its_subscribers_another_one(lab):
    lab.start(mappings=[{**RANGE, "spare": ["203.0.114.0/30"]}])
    agent, host, of = lab.agent, lab.host("10.0.56.34"), HOSTS["10.0.56.34"]
    src = of.first_choice(5000)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"query"), src)
    agent.ctl("pool", "drain", "203.0.113.194", "--drain", "60")
    moved = agent.ctl("forward", "10.0.56.34")
    assert (moved["out_addr"], moved["port_lo"], moved["port_hi"]) == ("203.0.114.0", of.lo, of.hi)
    assert agent.ctl("forward", "10.0.56.66")["out_addr"] == "203.0.114.0"
    assert agent.ctl("forward", "10.0.56.67")["out_addr"] == "203.0.113.195"
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"again"), src)
    lab.send_out(lab.from_inside(host, UDP(sport=5001, dport=53) / b"new"), ("203.0.114.0", of.first_choice(5001)[1]))
    agent.restart()
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"late"), host, 5000)
    agent.ctl("pool", "restore", "203.0.113.194")
    assert agent.ctl("forward", "10.0.56.34")["out_addr"] == "203.0.113.194"
    agent.text("check")


def test_a_deleted_range_drains(lab):
    lab.start(mappings=[RANGE, WITHIN])
    agent, host, of = lab.agent, lab.host("10.0.63.254"), HOSTS["10.0.63.254"]
    src = of.first_choice(5000)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"query"), src)
    agent.ctl("mapping", "del", "range", "--drain", "60")
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"again"), src)
    agent.restart()
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    draining = [m for m in agent.ctl("mapping", "list") if m["state"] == "draining"]
    assert [(m["in"], m["out"]) for m in draining] == [(RANGE["in"], RANGE["out"])]
    agent.ctl("mapping", "add", RANGE["in"], RANGE["out"], "--subscribers-per-address", "33", "--ports-per-host", "1954")
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
    agent.text("check")


def test_a_moved_subscriber_of_a_list_has_an_address_of_his_own(lab):
    lab.start(mappings=[LISTS])
    lab.agent.ctl("user", "move", "10.0.1.0", "203.0.113.99")
    assert lab.agent.ctl("forward", "10.0.1.0")["out_addr"] == "203.0.113.99"
    assert [m["in"] for m in lab.agent.ctl("config", "show")["mappings"]][0] == LISTS["in"]
    lab.agent.text("check")


def test_blackhole_routes_cover_the_addresses_of_a_range(lab):
    lab.start(mappings=[{**RANGE, "out": "203.0.113.193-203.0.113.254"}])
    routes = json.loads(lab.gateway.run("ip", "-j", "route", "show", "type", "blackhole").stdout)
    covered = sum(ipaddress.ip_network(r["dst"]).num_addresses for r in routes)
    assert covered == 62


def test_untranslated_ranges_pass_as_they_are(lab):
    lab.start(unmatched="drop", mappings=[{"in": "10.0.4.1-10.0.4.6", "out": None}, {"in": "10.0.5.0/24", "out": "203.0.113.0/28"}])
    for addr in ("10.0.4.1", "10.0.4.6"):
        packet = lab.from_inside(lab.host(addr), UDP(sport=5000, dport=53) / b"query")
        lab.inside.send(packet)
        assert lab.outside.packet().getlayer("IP").src == addr
    with lab.counting(drop_no_mapping=1):
        lab.inside.send(lab.from_inside(lab.host("10.0.4.7"), UDP(sport=5000, dport=53) / b"query"))
    lab.outside.assert_silent()
    lab.agent.restart()
    lab.agent.text("check")
