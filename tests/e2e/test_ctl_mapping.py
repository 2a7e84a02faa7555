# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl: mapping, forward, reverse."""

import re

import pytest
from scapy.layers.inet import UDP

import shapes
from lab import MAPPING, block_of

OTHER = ("10.64.0.0/24", "1.1.2.0/28")


@pytest.fixture
def agent(running_lab):
    """The agent, with the file's mapping alone again afterwards."""
    yield running_lab.agent
    running_lab.agent.ctl("reload")


def pairs(agent):
    return [(m["in"], m["out"]) for m in agent.ctl("mapping", "list")]


def test_list_has_the_documented_shape(agent):
    (mapping,) = shapes.assert_all(agent.ctl("mapping", "list"), shapes.MAPPING)
    assert mapping["memory_bytes"] > 0
    del mapping["memory_bytes"]
    wanted = {**MAPPING, "sharing_ratio": 4096, "ports_per_host": 15, "session_slots": 128, "sessions": 0}
    assert {k: mapping[k] for k in wanted} == wanted


def test_add_prints_the_mapping_and_del_an_empty_object(agent):
    added = shapes.assert_shape(agent.ctl("mapping", "add", *OTHER), shapes.MAPPING_ADDED)
    assert added["warnings"] == []
    assert (added["in"], added["out"], added["sharing_ratio"], added["ports_per_host"]) == (*OTHER, 16, 4032)
    assert added["session_slots"] == 1024
    assert pairs(agent) == [(MAPPING["in"], MAPPING["out"]), OTHER]
    assert agent.ctl("mapping", "del", *OTHER) == {}
    assert pairs(agent) == [(MAPPING["in"], MAPPING["out"])]


def test_texts(agent):
    assert agent.text("mapping", "add", *OTHER).startswith("added ")
    table = agent.text("mapping", "list")
    assert all(word in table for word in (*OTHER, MAPPING["in"], "4032", "4096"))
    assert agent.text("mapping", "del", *OTHER).startswith("deleted ")
    assert agent.text("forward", "10.0.0.2") == "1.1.1.0:<1054-1068>\n"
    assert agent.text("reverse", "1.1.1.1:1276") == "10.0.16.16\n"


def test_a_single_address_needs_no_length(agent):
    added = agent.ctl("mapping", "add", "10.0.5.77", "1.1.3.9", "--inbound", "open")
    assert (added["in"], added["out"], added["within"]) == ("10.0.5.77/32", "1.1.3.9/32", MAPPING["in"])
    assert agent.ctl("mapping", "set", "10.0.5.77", "--name", "acme")["name"] == "acme"
    assert "write 1.1.3.8/32 if that is meant" in agent.refused("mapping", "add", "10.64.0.0/24", "1.1.3.8")
    agent.refused("mapping", "del", "10.0.5.77", "1.1.3.8")
    agent.ctl("mapping", "del", "10.0.5.77", "1.1.3.9")
    assert pairs(agent) == [(MAPPING["in"], MAPPING["out"])]


def test_the_memory_of_many_bound_ports_is_told(agent):
    agent.ctl("mapping", "add", "10.72.0.0/14", "1.1.64.0/20", "--session-slots", "8")
    (warning,) = agent.ctl("mapping", "set", "10.72.0.0/14", "--eim", "udp")["warnings"]
    # 252 ports of 8 octets each, and 64 and more for each of 262,144 subscribers.
    assert re.fullmatch(r"its bound ports take (\d+ MiB|\d\.\d GiB) of the kernel's memory, beside the sessions", warning), warning
    agent.ctl("mapping", "del", "10.72.0.0/14", "1.1.64.0/20")


def test_few_ports_for_bindings_are_warned_of(agent):
    text = "each inside port takes one of its subscriber's 63 ports for all destinations; 64 or more are advisable"
    (warning,) = agent.ctl("mapping", "add", "10.64.0.0/22", "1.1.2.0/32", "--eim", "udp")["warnings"]
    assert warning == f"mapping 10.64.0.0/22: with endpoint_independent {text}"
    assert agent.ctl("mapping", "set", "10.64.0.0/22", "--comment", "small")["warnings"] == []
    changed = agent.command("mapping", "set", "10.64.0.0/22", "--eim", "udp,tcp")
    assert changed.status == 0 and changed.err == f"detnatctl: warning: {warning}\n"
    agent.ctl("mapping", "del", "10.64.0.0/22")


def test_host_bits_are_masked(agent):
    added = agent.ctl("mapping", "add", "10.64.0.77/24", "1.1.2.9/28")
    assert (added["in"], added["out"]) == OTHER
    agent.ctl("mapping", "del", "10.64.0.1/24", "1.1.2.1/28")
    assert len(pairs(agent)) == 1


@pytest.mark.parametrize("slots,inside,outside", [
    (1024, "10.64.0.0/24", "1.1.2.0/24"),  # 64512 ports
    (1024, "10.64.0.0/24", "1.1.2.0/31"),  # 504 ports
    (512, "10.64.0.0/24", "1.1.2.0/32"),   # 252 ports
    (256, "10.64.0.0/22", "1.1.2.0/31"),   # 126 ports
    (128, "10.64.0.0/22", "1.1.2.0/32"),   # 63 ports
    (128, "10.64.0.0/20", "1.1.2.0/32"),   # 15 ports
], ids=lambda v: str(v))
def test_automatic_slots_follow_the_ports_of_a_host(agent, slots, inside, outside):
    assert agent.ctl("mapping", "add", inside, outside)["session_slots"] == slots


def test_one_port_per_host_is_the_minimum(agent):
    added = agent.ctl("mapping", "add", "10.128.0.0/15", "1.1.2.0/30")
    assert (added["sharing_ratio"], added["ports_per_host"]) == (32768, 1)
    assert agent.ctl("forward", "10.129.255.255") == {
        "in_addr": "10.129.255.255", "out_addr": "1.1.2.3", "port_lo": 33791, "port_hi": 33791}


@pytest.mark.parametrize("pair,why", [
    ((MAPPING["in"], "9.9.9.0/24"), "inside equals an inside prefix"),
    (("10.64.0.0/24", "1.1.1.2/31"), "outside overlaps an outside prefix"),
    (("1.1.1.0/24", "9.9.9.0/24"), "inside overlaps an outside prefix"),
    (("10.64.0.0/24", "10.0.1.0/24"), "outside overlaps an inside prefix"),
    (("10.64.0.0/24", "10.64.0.0/24"), "inside overlaps its own outside"),
    (("10.64.0.0/24", "9.9.0.0/23"), "outside larger than inside"),
    (("10.64.0.0/16", "9.9.9.9/32"), "less than a port a host"),
    ((MAPPING["in"], MAPPING["out"]), "there already"),
], ids=lambda v: v if isinstance(v, str) else "-")
def test_add_is_refused(agent, pair, why):
    agent.refused("mapping", "add", *pair)
    assert pairs(agent) == [(MAPPING["in"], MAPPING["out"])]


def test_a_mapping_that_does_not_fit_into_memory_is_refused_at_once(agent):
    message = agent.refused("mapping", "add", "16.0.0.0/5", "32.0.0.0/5")
    assert "memory" in message
    assert len(pairs(agent)) == 1


@pytest.mark.parametrize("pair", [
    ("10.64.0.0/24", "1.1.2.0/28"), ("10.0.0.0/18", "1.1.1.0/31"), ("10.0.0.0/17", "1.1.1.0/30")])
def test_del_of_a_missing_entry_is_refused(agent, pair):
    agent.refused("mapping", "del", *pair)
    assert len(pairs(agent)) == 1


@pytest.mark.parametrize("prefix", ["", "10.0.0", "10.0.0.0.0/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x",
                                    "256.0.0.0/8", "10.0.0.256", "0x0a.0.0.0/8", "::/0", " 10.0.0.0/8", "10.0.0.0/+8"])
@pytest.mark.parametrize("verb", ["add", "del"])
def test_malformed_prefixes_are_bad_usage(agent, verb, prefix):
    agent.refused("mapping", verb, prefix, "9.9.9.9/32", status=2)
    agent.refused("mapping", verb, "10.64.0.0/24", prefix, status=2)


@pytest.mark.parametrize("addr", ["10.0.0.0", "10.0.0.2", "10.0.16.16", "10.0.63.255", "10.0.31.200"])
def test_forward_and_reverse_agree(agent, addr):
    forward = shapes.assert_shape(agent.ctl("forward", addr), shapes.FORWARD)
    block = block_of(addr)
    assert forward == {"in_addr": addr, "out_addr": block.addr, "port_lo": block.lo, "port_hi": block.hi}
    for port in (block.lo, block.hi):
        reverse = shapes.assert_shape(agent.ctl("reverse", f"{block.addr}:{port}"), shapes.REVERSE)
        assert reverse == {"out_addr": block.addr, "out_port": port, "in_addr": addr}


@pytest.mark.parametrize("arguments", [
    ("forward", "10.0.64.0"), ("forward", "9.255.255.255"), ("forward", "1.1.1.1"),
    ("reverse", "1.1.1.0:1023"), ("reverse", "1.1.1.0:0"), ("reverse", "1.1.1.4:2000"), ("reverse", "10.0.0.2:2000"),
    ("reverse", "1.1.1.0:62464"), ("reverse", "1.1.1.3:65535"),  # the remainder of 4096 blocks of 15 ports
], ids="-".join)
def test_an_address_or_port_without_a_subscriber_is_refused(agent, arguments):
    agent.refused(*arguments)


@pytest.mark.parametrize("arguments", [
    ("forward", "10.0.0"), ("forward", "10.0.0.2/32"), ("forward", "10.0.0.2:80"), ("forward", "10.0.0.256"), ("forward", ""),
    ("reverse", "1.1.1.0"), ("reverse", "1.1.1.0:65536"), ("reverse", "1.1.1.0:-1"), ("reverse", "1.1.1.0:x"),
    ("reverse", "1.1.1.0:"), ("reverse", "1.1.1:80"), ("reverse", "1.1.1.0:80:90"),
], ids="-".join)
def test_malformed_addresses_are_bad_usage(agent, arguments):
    agent.refused(*arguments, status=2)


def test_an_added_mapping_translates_at_once_and_a_deleted_one_no_more(running_lab, agent):
    mapping = {"in": "10.0.64.0/24", "out": "1.1.9.9/32"}
    host = running_lab.host("10.0.64.9")
    agent.ctl("mapping", "add", mapping["in"], mapping["out"])
    running_lab.open_udp(host, mapping=mapping)
    assert [m["sessions"] for m in agent.ctl("mapping", "list")] == [0, 1]
    agent.ctl("mapping", "del", mapping["in"], mapping["out"])
    with running_lab.counting(drop_no_mapping=1):
        running_lab.inside.send(running_lab.from_inside(host, UDP(sport=5000, dport=53)))
    running_lab.outside.assert_silent()
    agent.ctl("mapping", "add", mapping["in"], mapping["out"])
    assert running_lab.sessions(host.addr) == [], "a mapping that comes back comes back empty"
    running_lab.open_udp(host, mapping=mapping)


def test_a_replacement_keeps_nothing_that_has_no_meaning_there(agent):
    inside = "10.64.0.0/24"
    agent.ctl("mapping", "add", inside, "1.1.2.0/24", "--inbound", "open", "--name", "acme")
    agent.ctl("mapping", "add", inside, "none", "--replace")
    agent.ctl("mapping", "add", inside, "1.1.2.0/28", "--replace", "--eim", "udp")
    agent.ctl("mapping", "add", inside, "1.1.2.0/24", "--replace", "--inbound", "open")
    agent.ctl("mapping", "add", inside, "1.1.2.0/24", "--replace", "--inbound", "sessions", "--eim", "udp")
    agent.ctl("mapping", "add", inside, "none", "--replace")
    assert [(m["name"], m["out"], m["inbound"], m["eim"]) for m in agent.ctl("mapping", "list")][1:] == [("acme", None, None, [])]
