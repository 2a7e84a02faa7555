# SPDX-License-Identifier: BSD-2-Clause
"""The offer of a datapath to 1.0.0: what it could not take over is refused, and an offer can be taken back. test_upgrades.py
has 1.0.0 take one up."""

import signal

import pytest

import tc_programs
from test_tc_links import MODES, flooded


def offered(agent):
    """Ends the agent and offers its datapath to 1.0.0; the process that does."""
    agent.stop()
    agent.launch("--hand-back")
    line = agent.first_line()
    assert line and line.startswith("the datapath is offered to 1.0.0"), f"{line}\n{agent.log_end()}"
    process, agent.process = agent.process, None
    return process


def pins_of(agent):
    return sorted(p.name for p in agent.pins.glob("v*"))


STRANGE = {
    "'growth'": {"in": "10.0.0.0/24", "out": "1.1.1.0/30", "ports_per_host": 512, "growth": {"block": 64}},
    "'limits'": {"in": "10.0.2.0/24", "out": "1.1.2.0/28", "limits": {"tcp": 10}},
    "a range that is no prefix": {"in": "10.0.3.1-10.0.3.9", "out": "1.1.3.0/28"},
    "keys for its ports": {"in": "10.0.4.0/24", "out": "1.1.4.0/28", "ports_per_host": 1000},
}


def test_what_1_0_0_could_not_have_is_refused_by_name(lab):
    agent = lab.start(mappings=[*STRANGE.values(), {"in": "10.0.5.0/24", "out": "1.1.5.0/28"}])
    result = agent.once("--hand-back")
    assert result.status == 1 and "another agent" in result.err, result
    agent.stop()
    result = agent.once("--hand-back")
    assert result.status == 1 and "10.0.5.0" not in result.err, result
    for what, mapping in STRANGE.items():
        assert f"{mapping['in'].split('/')[0].split('-')[0]} has {what}" in result.err, result
    assert pins_of(agent) == ["v8"] and not (agent.pins / "v8" / "moving").exists()
    agent.start()
    assert len(agent.ctl("mapping", "list")) == 5


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
@MODES
def test_an_offer_is_taken_back_without_a_lost_packet(lab, mode, end):
    # As 1.0.0 has left it; the kernel loses what is being sent while a qdisc is made.
    for name in ("in0", "out0"):
        lab.gateway.run("tc", "qdisc", "add", "dev", name, "clsact")
    agent = lab.start(session_slots=16, **mode)
    crowd = lab.host()
    for k in range(30):
        lab.open_udp(crowd, 5000 + k, dport=53 + k // 10)
    with flooded(lab) as wait:
        process = offered(agent)
        assert pins_of(agent) == ["v7", "v8"]
        assert tc_programs.linked(lab.gateway, "out0", "egress") == []
        wait(100)
        process.send_signal(end)
        assert process.wait(10) == (1 if end == signal.SIGINT else -end)
        assert pins_of(agent) == (["v8"] if end == signal.SIGINT else ["v7", "v8"])
        wait(100)
        agent.start()
        wait(100)
    assert pins_of(agent) == ["v8"]
    assert tc_programs.linked(lab.gateway, "out0", "egress") == ["tc_outside"] and not tc_programs.filtered(lab.gateway, "out0", "egress")
    # Those beyond the slots count as those of the hash of 1.0.0 while the offer stands, and no longer.
    assert len(lab.sessions()) == 31 and agent.ctl("check")["findings"] == []
