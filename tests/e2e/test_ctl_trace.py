# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl trace: what a packet went through."""

import datetime

import pytest
from scapy.layers.inet import UDP

import shapes
from agent import wait_for
from lab import SERVER


@pytest.fixture
def agent(running):
    yield running.agent
    running.agent.command("trace", "stop")


def traces(agent, number):
    def enough():
        found = agent.ctl("trace", "show")
        return len(found) >= number and found

    return shapes.assert_all(wait_for(enough, what=f"{number} traced packets"), shapes.TRACE)


def test_start_and_stop_answer_an_empty_object(agent):
    assert agent.ctl("trace", "start") == {}
    assert agent.ctl("trace", "show") == []
    assert agent.ctl("trace", "stop") == {}


def test_both_directions_of_a_subscriber_are_traced_and_nobody_else(running, agent):
    host, other = running.host(), running.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = running.open_udp(host)
    running.open_udp(other)
    running.send_in(running.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    outward, inward = traces(agent, 2)
    assert (outward["interface"], outward["hook"], outward["verdict"]) == ("in0", "xdp", "in2out_translated")
    assert (inward["interface"], inward["hook"], inward["verdict"]) == ("out0", "xdp", "out2in_translated")
    for trace in (outward, inward):
        shapes.assert_all(trace["steps"], shapes.STEP)
        datetime.datetime.fromisoformat(trace["time"].replace("Z", "+00:00"))
    first, last = outward["steps"][0], outward["steps"][-1]
    assert (first["src"], first["dst"]) == (f"{host.addr}:5000", f"{SERVER}:53")
    assert (last["src"], last["dst"]) == (f"{src[0]}:{src[1]}", f"{SERVER}:53")
    assert inward["steps"][-1]["dst"] == f"{host.addr}:5000"
    text = agent.text("trace", "show")
    assert host.addr in text and src[0] in text and "in2out_translated" in text


def test_a_drop_is_traced_with_its_reason(running, agent):
    host = running.host()
    src = running.open_udp(host)
    agent.ctl("trace", "start", "--in", host.addr)
    running.outside.send(running.from_outside(src[0], UDP(sport=9999, dport=src[1])))
    (trace,) = traces(agent, 1)
    assert trace["verdict"] == "drop_no_session"


def test_count_ends_the_trace(running, agent):
    host = running.host()
    agent.ctl("trace", "start", "--count", "3")
    for _ in range(5):
        running.open_udp(host)
    assert len(traces(agent, 3)) == 3
