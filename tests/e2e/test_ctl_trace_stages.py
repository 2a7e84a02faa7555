# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl trace where the datapath has two stages."""

import re

from scapy.layers.inet import UDP

from agent import wait_for
from lab import SERVER, block_of
from test_ctl_trace import details, ends, seen, steps, traces
from xdp_mode import xdp_only


def in_two_stages(lab, **config):
    agent = lab.start(stages=2, **config)
    wait_for(lambda: agent.ctl("status")["routes"]["in_force"], what="the copy of the routes")
    return agent


def place(trace, interface):
    """The place at which a packet waited between the stages, the same in both; it has seen both."""
    found = details(trace)
    (noted,), (resumed,) = found["noted"], found["stage-2"]
    assert noted == f"for stage 2, {resumed}, by {interface}"
    return int(re.fullmatch(r"place (\d+)", resumed)[1])


@xdp_only
def test_both_stages_are_shown(lab):
    agent, host = in_two_stages(lab), lab.host()
    src = block_of(host.addr).first_choice(5000)
    outward, stray = UDP(sport=5000, dport=53) / bytes(32), UDP(sport=54, dport=src[1]) / bytes(32)
    agent.ctl("trace", "start", "--in", host.addr)
    status = agent.ctl("status")
    assert status["tracing"] and (status["stages"], status["stages_reason"]) == (2, "set to 2")
    lab.send_out(lab.from_inside(host, outward), src)
    lab.send_out(lab.from_inside(host, outward), src)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(32)), host, 5000)
    lab.outside.send(lab.from_outside(src[0], stray))
    opening, following, answer, dropped = traces(agent, 4)
    found = ["received", "next-hop", "subscriber", "noted", "stage-2", "session-opened", "rewritten", "redirect", "sent"]
    assert steps(opening) == found and opening["path"] == "quick"
    assert steps(following) == [*found[:5], "session", *found[6:]]
    assert steps(answer) == ["received", "subscriber", "way-in", "noted", "stage-2", "session", "rewritten", "redirect", "sent"]
    assert steps(dropped) == [*steps(answer)[:5], "out2in-slow", "dropped"] and dropped["path"] == "slow"
    inside, outside, server = f"{host.addr}:5000", f"{src[0]}:{src[1]}", f"{SERVER}:53"
    for trace, interface, leaves_by, ending in (
        (opening, "in0", "out0", ((inside, server), (outside, server))),
        (following, "in0", "out0", ((inside, server), (outside, server))),
        (answer, "out0", "in0", ((server, outside), (server, inside))),
    ):
        assert seen(trace) == (interface, "xdp", "in2out_translated" if interface == "in0" else "out2in_translated")
        assert ends(trace) == ending and details(trace)["redirect"] == [f"by {leaves_by}"]
        place(trace, leaves_by)
    assert seen(dropped) == ("out0", "xdp", "drop_no_session")
    place(dropped, "in0")
    text = agent.text("trace", "show")
    assert len(re.findall(r" ns  noted  .*  for stage 2, place \d+, by (?:in|out)0\n.* ns  stage-2  .*  place \d+\n", text)) == 4


@xdp_only
def test_packets_that_wait_together_have_a_record_each(lab):
    agent, host = in_two_stages(lab), lab.host()
    src, ports = block_of(host.addr).first_choice(5000), range(100, 160)
    agent.ctl("trace", "start", "--in", host.addr)
    lab.inside.send(*(lab.from_inside(host, UDP(sport=5000, dport=port) / bytes(32)) for port in ports))
    found = traces(agent, len(ports))
    assert sorted(ends(t)[0][1] for t in found) == [f"{SERVER}:{port}" for port in ports]
    for trace in found:
        place(trace, "out0")
        server = trace["steps"][0]["dst"]
        assert ends(trace) == ((f"{host.addr}:5000", server), (f"{src[0]}:{src[1]}", server)) and steps(trace)[-1] == "sent"


@xdp_only
def test_an_answer_of_the_second_stage_is_sent_by_the_agent(lab):
    agent, host = in_two_stages(lab, sessions_per_user=1), lab.host()
    lab.open_udp(host)
    agent.ctl("trace", "start", "--in", host.addr)
    lab.inside.send(lab.from_inside(host, UDP(sport=5001, dport=53) / bytes(32)))
    (trace,) = traces(agent, 1)
    assert trace["verdict"] == "drop_quota" and trace["path"] == "slow"
    place(trace, "out0")
    assert steps(trace)[-5:] == ["refuse", "icmp-error", "answered", "to-agent", "sent"]
    assert details(trace)["to-agent"] == ["by in0"] and ends(trace)[1] == ("10.0.0.1:0", f"{host.addr}:0")
