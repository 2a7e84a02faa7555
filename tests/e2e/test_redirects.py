# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces that refuse frames redirected by XDP, and foreign programs on the same hooks."""

import pytest
from scapy.layers.inet import TCP, UDP

import isolation
import machine
import packets
from agent import wait_for
from lab import GATEWAY_OUT, OUT_MAC, SERVER
from test_arp import assert_answered, request
from test_hairpin import open_one_side, pass_

REFUSES = "{}: refuses the frames that XDP redirects to it"
AGAIN = "{}: frames are redirected to it again"


def gro(lab, how):
    """Makes the wires' far ends accept redirected frames, or not."""
    for namespace in (lab.inside_ns, lab.outside_ns):
        namespace.run("ethtool", "-K", "eth0", "gro", how)


def says(lab, text, times=1):
    # A link is tried again after 5 s, then after twice as long each time.
    wait_for(lambda: lab.agent.log_text().count(text) >= times, 60, f"{text!r} in the log")


def both_ways(lab, host, port):
    src = lab.open_udp(host, port)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, port)


def test_finding_out_loses_no_packet(lab):
    gro(lab, "off")
    lab.start(forwarding="redirect", xdp_mode="native")
    host = lab.host()
    with lab.counting(in2out_translated=1, out2in_translated=1):
        both_ways(lab, host, 5000)
    assert lab.agent.counters()["redirect_errors"] == 0
    for name in ("in0", "out0"):
        assert lab.agent.log_text().count(REFUSES.format(name)) == 1
        assert "`ethtool -K PEER gro on tx off`; where GRO is on already, off and on again" in lab.agent.log_text()


def test_redirects_resume_when_the_interface_takes_them(lab):
    gro(lab, "off")
    lab.start(forwarding="redirect", xdp_mode="native")
    gro(lab, "on")
    for name in ("in0", "out0"):
        says(lab, AGAIN.format(name))
    host = lab.host()
    both_ways(lab, host, 5000)
    assert lab.agent.counters()["redirect_errors"] == 0


def test_the_kernel_forwards_to_an_interface_that_stops_taking_redirects(lab):
    lab.start(forwarding="redirect", xdp_mode="native")
    host = lab.host()
    both_ways(lab, host, 5000)
    gro(lab, "off")
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53) / b"lost"))
    says(lab, REFUSES.format("out0"))
    assert lab.agent.counters()["redirect_errors"] == 1
    src = lab.open_udp(host, 5001)
    lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"lost"))
    says(lab, REFUSES.format("in0"))
    both_ways(lab, host, 5002)
    assert lab.agent.counters()["redirect_errors"] == 2


@pytest.fixture
def lab_refusing_redirects(lab):
    """Both wires refuse redirected frames; the agent sends answers and hairpins."""
    gro(lab, "off")
    lab.start(forwarding="redirect", xdp_mode="native", unsolicited_tcp="answer")
    return lab


def test_the_agent_sends_frames_that_an_interface_refuses(lab_refusing_redirects):
    lab, host = lab_refusing_redirects, lab_refusing_redirects.host()
    asked = request("1.1.1.2")
    lab.outside.send(asked)
    assert_answered(lab.outside, asked, OUT_MAC)
    src = lab.open_udp(host)
    late = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"late", ttl=1)
    lab.outside.send(late)
    packets.assert_icmp_error(lab.outside.packet(), 11, 0, GATEWAY_OUT, SERVER, late)
    stray = lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="A", seq=7, ack=9))
    lab.outside.send(stray)
    reset = lab.outside.packet()[TCP]
    assert (reset.sport, reset.dport, reset.flags, reset.seq) == (src[1], 80, "R", 9)
    assert lab.agent.counters()["redirect_errors"] == 0


def test_hairpins_between_interfaces_that_refuse_redirects(lab_refusing_redirects):
    alice, bob = lab_refusing_redirects.host(), lab_refusing_redirects.host()
    open_one_side(lab_refusing_redirects, alice, 4001, bob, 4002)
    for _ in range(50):
        pass_(lab_refusing_redirects, bob, 4002, alice, 4001)
        pass_(lab_refusing_redirects, alice, 4001, bob, 4002)
    assert lab_refusing_redirects.agent.counters()["redirect_errors"] == 0


def test_an_ingress_qdisc_is_refused_where_filters_are_needed_and_nothing_changed(lab):
    lab.gateway.run("tc", "qdisc", "add", "dev", "out0", "ingress")
    agent = lab.prepare()
    before = machine.traces(lab)
    with isolation.hidden_mounts():
        result = agent.once()
    assert result.status == 1 and "`ingress` qdisc" in result.err
    after = machine.traces(lab)
    assert {k: v for k, v in after.items() if k != "pins"} == {k: v for k, v in before.items() if k != "pins"}
    agent.start()
    both_ways(lab, lab.host(), 5000)


def test_a_deleted_blackhole_route_comes_back(lab):
    lab.start()
    lab.gateway.ip("route", "flush", "proto", "215")
    wait_for(lambda: "blackhole 1.1.1.0/30" in lab.gateway.ip("route"), what="the blackhole route")


@pytest.mark.parametrize("rule", ["from 10.0.0.0/24 lookup main", "fwmark 7 lookup 100"])
def test_adding_and_removing_routing_rules_breaks_nothing(lab, rule):
    lab.start()
    host = lab.host()
    both_ways(lab, host, 5000)
    lab.gateway.ip("rule", "add", *rule.split())
    both_ways(lab, host, 5001)
    lab.gateway.ip("rule", "del", *rule.split())
    both_ways(lab, host, 5002)
    assert len(lab.sessions(host.addr)) == 3
