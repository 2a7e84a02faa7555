# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl trace where the datapath has two stages: it runs in one for as long as the trace lasts."""

from scapy.layers.inet import UDP

from agent import wait_for
from lab import SERVER, block_of
from test_ctl_trace import details, ends, seen, steps, traces
from xdp_mode import xdp_only


def stages(agent):
    status = agent.ctl("status")
    return status["stages"], status["stages_reason"]


def in_two_stages(lab, **config):
    agent = lab.start(stages=2, **config)
    wait_for(lambda: agent.ctl("status")["routes"]["in_force"], what="the copy of the routes")
    assert stages(agent) == (2, "set to 2")
    return agent


@xdp_only
def test_a_trace_runs_in_one_stage_and_two_follow_it(lab):
    agent, host = in_two_stages(lab), lab.host()
    src = block_of(host.addr).first_choice(5000)
    outward, inward = UDP(sport=5000, dport=53) / bytes(32), UDP(sport=53, dport=src[1]) / bytes(32)
    agent.ctl("trace", "start", "--in", host.addr)
    assert agent.ctl("status")["tracing"] and stages(agent) == (1, "a trace runs in one stage")
    lab.send_out(lab.from_inside(host, outward), src)
    lab.send_in(lab.from_outside(src[0], inward), host, 5000)
    lab.outside.send(lab.from_outside(src[0], UDP(sport=54, dport=src[1]) / bytes(32)))
    opening, answer, dropped = traces(agent, 3)
    assert steps(opening) == ["received", "next-hop", "subscriber", "session-opened", "rewritten", "redirect", "sent"]
    assert steps(answer) == ["received", "subscriber", "way-in", "session", "rewritten", "redirect", "sent"]
    assert opening["path"] == answer["path"] == "quick" and dropped["path"] == "slow"
    inside, outside, server = f"{host.addr}:5000", f"{src[0]}:{src[1]}", f"{SERVER}:53"
    for trace, interface, leaves_by, ending in (
        (opening, "in0", "out0", ((inside, server), (outside, server))),
        (answer, "out0", "in0", ((server, outside), (server, inside))),
    ):
        assert seen(trace) == (interface, "xdp", "in2out_translated" if interface == "in0" else "out2in_translated")
        assert ends(trace) == ending and details(trace)["redirect"] == [f"by {leaves_by}"]
    assert seen(dropped) == ("out0", "xdp", "drop_no_session")
    agent.ctl("trace", "stop")
    assert stages(agent) == (2, "set to 2")
    lab.send_out(lab.from_inside(host, outward), src)
    lab.send_in(lab.from_outside(src[0], inward), host, 5000)


@xdp_only
def test_a_configuration_with_two_stages_that_is_loaded_during_a_trace_takes_them_up_after_it(lab):
    agent, host = lab.start(stages=1), lab.host()
    wait_for(lambda: agent.ctl("status")["routes"]["in_force"], what="the copy of the routes")
    agent.ctl("trace", "start", "--in", host.addr)
    agent.write(stages=2)
    agent.ctl("reload")
    assert stages(agent) == (1, "a trace runs in one stage")
    lab.open_udp(host)
    (trace,) = traces(agent, 1)
    assert steps(trace)[-1] == "sent"
    agent.ctl("trace", "stop")
    assert stages(agent) == (2, "set to 2")
    lab.open_udp(host)
