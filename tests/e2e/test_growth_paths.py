# SPDX-License-Identifier: BSD-2-Clause
"""Granted ports by every way that packets take, with every order of a plan, and in what shows a packet's way."""

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.l2 import Ether

from agent import wait_for
from lab import SERVER
from test_growth import GROWING, OUT, checked, fill, grants, grow, query
from test_icmp_errors import error_in, with_ttl
from test_syslog import Collector
from xdp_mode import xdp_only

WAYS = {"one stage": {"stages": 1}, "two stages": {"stages": 2}, "the kernel": {"forwarding": "kernel"}, "tc alone": {"xdp_mode": "none"}}


@xdp_only
@pytest.mark.parametrize("way", WAYS)
def test_sessions_on_granted_ports_go_both_ways_with_errors_and_fragments(lab, way):
    agent = lab.start(mappings=[GROWING], unmatched="drop", **WAYS[way])
    assert "stages" not in WAYS[way] or agent.ctl("status")["stages"] == WAYS[way]["stages"]
    host = lab.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    seen = lab.send_out(query(lab, host, 5008), src)
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(OUT, UDP(sport=54, dport=src[1]) / b"stranger"))
    with lab.counting(icmp_error_translated=1):
        lab.outside.send(error_in(lab, OUT, (3, 3), with_ttl(seen, 17)))
        came = lab.inside.packet()
    assert came[IP].dst == host.addr and bytes(came)[-len(b"query"):] == b"query"
    whole = lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / bytes(1200))
    for piece in fragment(whole[IP], 800):
        lab.outside.send(Ether(src=whole.src, dst=whole.dst) / piece)
        assert lab.inside.packet()[IP].dst == host.addr
    assert [g["sessions"] for g in grants(lab)] == [1]
    agent.restart()
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    lab.send_out(query(lab, host, 5008), src)
    checked(lab)


def test_with_the_order_netmap_a_block_is_of_the_subscribers_own_address_too(lab):
    """Subscribers 3 and 7 share the fourth address, by its first and its second block."""
    netmap = {**GROWING, "out": "203.0.113.8/30", "order": "netmap"}
    lab.start(mappings=[netmap], unmatched="drop")
    for addr, first in (("10.0.0.3", 1024), ("10.0.0.7", 1032)):
        host = lab.host(addr)
        for port in range(5000, 5008):
            lab.send_out(query(lab, host, port), ("203.0.113.11", first + port % 8))
        wait_for(lambda it=host: lab.inside.send(query(lab, it, 5008)) or grants(lab, it.addr), what="a grant", interval=1)
        grant, = grants(lab, addr)
        assert grant["out_addr"] == "203.0.113.11" and grant["port_lo"] >= 1024 + 4 * 8
        there = lab.agent.ctl("reverse", f"203.0.113.11:{grant['port_hi']}")
        assert (there["in_addr"], there["granted"]["port_lo"]) == (addr, grant["port_lo"])
        lab.outside.clear()
        lab.send_out(query(lab, host, 5008), ("203.0.113.11", grant["port_lo"] + 5008 % 8))
    checked(lab)


def test_a_trace_shows_the_refusal_and_then_the_session_on_a_granted_port(lab):
    lab.start(mappings=[GROWING], unmatched="drop")
    host = lab.host("10.0.0.3")
    fill(lab, host)
    lab.agent.ctl("trace", "start", "--in", host.addr)
    src = grow(lab, host, 5008)

    def verdicts():
        return [trace["verdict"] for trace in lab.agent.ctl("trace", "show")]

    wait_for(lambda: "in2out_translated" in verdicts(), what="the packet that left")
    assert "drop_ports_exhausted" in verdicts()
    left = [trace for trace in lab.agent.ctl("trace", "show") if trace["verdict"] == "in2out_translated"][-1]
    assert left["steps"][-1]["src"] == f"{OUT}:{src[1]}", left


def test_blocks_are_told_by_syslog_when_they_are_granted_and_taken_back(lab):
    there = Collector(lab)
    lab.start(mappings=[GROWING], unmatched="drop", syslog={"to": there.to, "events": ["grants"]})
    host = lab.host("10.0.0.3")
    fill(lab, host)
    grow(lab, host, 5008)
    grant, = grants(lab)
    lab.agent.ctl("grant", "revoke", f"{OUT}:{grant['port_lo']}")
    for event in ("granted", "grant-ended"):
        message = there.message()
        assert message["event"] == event
        told = message["params"]
        assert (told["in_addr"], told["out_addr"], told["port_lo"], told["port_hi"]) == (
            host.addr, OUT, str(grant["port_lo"]), str(grant["port_hi"]))
    there.close()


def test_a_mapping_that_begins_to_grow_by_reload_keeps_its_sessions_and_grants(lab):
    fixed = {key: value for key, value in GROWING.items() if key != "growth"} | {"subscribers_per_address": 16}
    lab.start(mappings=[fixed], unmatched="drop")
    host = lab.host("10.0.0.3")
    fill(lab, host)
    lab.agent.write(mappings=[GROWING])
    assert lab.agent.ctl("reload")["sessions_cut"] == 0
    assert len(lab.sessions(host.addr)) == 8
    src = grow(lab, host, 5008)
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer", src=SERVER), host, 5008)
    checked(lab)
