# SPDX-License-Identifier: BSD-2-Clause
"""Mappings that drain: their sessions go on while new ones are opened elsewhere, over kills of the agent, too."""

from scapy.layers.inet import UDP

from agent import wait_for
from lab import MAPPING, Lab

NEW = {"in": MAPPING["in"], "out": "1.1.9.0/28"}


def goes_on(lab, host, port, src):
    lab.send_out(lab.from_inside(host, UDP(sport=port, dport=53) / b"question"), src)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, port)


def state(agent):
    return sorted((m["out"], m["state"]) for m in agent.ctl("mapping", "list"))


def test_sessions_go_on_when_a_mapping_is_replaced_and_the_agent_killed(run_directory):
    lab = Lab(run_directory)
    try:
        lab.start(mappings=[MAPPING])
        host = lab.host("10.0.5.76")
        old = lab.open_udp(host, port=5000)
        lab.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
        assert state(lab.agent) == [(MAPPING["out"], "draining"), (NEW["out"], "in use")]
        goes_on(lab, host, 5000, old)
        new = lab.open_udp(host, port=5001, mapping=NEW)
        lab.agent.kill()
        goes_on(lab, host, 5000, old)
        lab.agent.start()
        goes_on(lab, host, 5000, old)
        goes_on(lab, host, 5001, new)
        assert len(lab.sessions(host.addr)) == 2
        assert "draining" in lab.agent.refused("mapping", "add", "10.50.0.0/18", MAPPING["out"])
        lab.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
        wait_for(lambda: len(lab.agent.ctl("mapping", "list")) == 1, what="the end of the drain")
        goes_on(lab, host, 5001, new)
    finally:
        lab.close()
