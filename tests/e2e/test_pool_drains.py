# SPDX-License-Identifier: BSD-2-Clause
"""Sessions of outside addresses that were taken out of service, and of subscribers that were moved, go on."""

import pytest
from scapy.layers.inet import UDP

import shapes
from agent import wait_for
from lab import MAPPING, block_of
from test_history import events
from test_pools import ADDR, DRAINED, PLAN, soon, states


@pytest.fixture
def agent(lab):
    return lab.prepare(mappings=[PLAN]).start()


def test_a_drained_address_takes_no_new_session_until_it_is_restored(lab, agent):
    host = lab.host(ADDR)
    old = lab.open_udp(host, 5000)
    told = shapes.assert_shape(agent.ctl("pool", "drain", "1.1.1.2", "--drain", "3600"), shapes.POOL_DRAINED)
    assert told == {"out": "1.1.1.2/32", "addresses": 1, "subscribers": 4096, "mappings": 1, "drain": 3600, "portmaps": 0, "warnings": []}
    assert agent.ctl("forward", ADDR)["out_addr"] == "1.1.8.0" and agent.ctl("forward", ADDR)["mapping"] == "drain-1.1.1.2"
    # A new session has the new address and a block of the same size; the old one goes on in both directions.
    new = lab.open_udp(host, 5001, mapping=DRAINED)
    assert new[0] == "1.1.8.0" and block_of(ADDR, DRAINED).ports == block_of(ADDR).ports
    lab.send_in(lab.from_outside(old[0], UDP(sport=53, dport=old[1]) / b"answer"), host, 5000)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"again"), old)
    assert states(agent)[("1.1.1.2", "1.1.1.2")] == "draining"
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside("1.1.1.2", UDP(sport=53, dport=block_of(ADDR).lo + 3) / b"stranger"))
    lab.inside.assert_silent()
    assert "out of use already" in agent.refused("pool", "drain", "1.1.1.2")
    agent.ctl("pool", "restore", "1.1.1.2", "--drain", "0")
    assert lab.open_udp(host, 5002)[0] == "1.1.1.2"
    assert states(agent)[("1.1.1.2", "1.1.1.2")] == "in use" and states(agent)[("1.1.8.0", "1.1.8.7")] == "spare"


def test_an_address_is_out_of_use_once_its_last_session_is_gone(lab, agent):
    host = lab.host(ADDR)
    lab.open_udp(host, 5000)
    agent.ctl("pool", "drain", "1.1.1.2", "--drain", "3600")
    assert states(agent)[("1.1.1.2", "1.1.1.2")] == "draining"
    agent.ctl("timeouts", "set", "udp=1")
    wait_for(lambda: states(agent)[("1.1.1.2", "1.1.1.2")] == "out of use", what="the end of the drain")


def test_what_drains_of_a_mapping_that_stays_is_ended_by_the_prefixes_that_mapping_list_shows(lab, agent):
    host = lab.host(ADDR)
    old = lab.open_udp(host, 5000)
    agent.ctl("pool", "drain", "1.1.1.2", "--drain", "3600")
    new = lab.open_udp(host, 5001, mapping=DRAINED)
    assert f"is translated to {DRAINED['out']}" in agent.refused("mapping", "del", DRAINED["in"], "1.1.1.3/32")

    def left():
        return [m["drain_left"] for m in agent.ctl("mapping", "list") if (m["in"], m["out"]) == (DRAINED["in"], "1.1.1.2/32")]

    agent.ctl("mapping", "del", DRAINED["in"], "1.1.1.2/32", "--drain", "100")
    (seconds,) = left()
    assert 90 < seconds <= 100
    agent.ctl("mapping", "del", DRAINED["in"], "1.1.1.2/32")
    wait_for(lambda: left() == [], what="the end of the drain")
    wait_for(lambda: states(agent)[("1.1.1.2", "1.1.1.2")] == "out of use", what="the end of the address's use")
    wait_for(lambda: [s["in_port"] for s in lab.sessions(host.addr)] == [5001], what="its session to end")
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(old[0], UDP(sport=53, dport=old[1]) / b"late"))
    lab.inside.assert_silent()
    lab.send_in(lab.from_outside(new[0], UDP(sport=53, dport=new[1]) / b"answer"), host, 5001)
    assert [e for e in events(agent) if e in ("retire", "drained")] == ["retire", "drained"]


def test_the_time_of_a_drain_stays_if_its_change_is_refused(lab, agent):
    host = lab.host(ADDR)
    old = lab.open_udp(host, 5000)
    agent.ctl("pool", "drain", "1.1.1.2", "--drain", "3600")
    history = agent.state / "history.jsonl"
    history.rename(history.with_suffix(".moved"))
    assert "was moved or removed" in agent.refused("mapping", "del", DRAINED["in"], "1.1.1.2/32")
    lab.send_in(lab.from_outside(old[0], UDP(sport=53, dport=old[1]) / b"answer"), host, 5000)
    (left,) = [m["drain_left"] for m in agent.ctl("mapping", "list") if (m["in"], m["out"]) == (DRAINED["in"], "1.1.1.2/32")]
    assert left > 3500
    history.with_suffix(".moved").rename(history)


def test_a_subscriber_is_moved_and_comes_back_by_itself(lab, agent):
    host = lab.host(ADDR)
    old = lab.open_udp(host, 5000)
    agent.ctl("user", "move", ADDR, "1.1.9.0/28")
    new = lab.open_udp(host, 5001, mapping={"in": f"{ADDR}/32", "out": "1.1.9.0/32"})
    lab.send_in(lab.from_outside(old[0], UDP(sport=53, dport=old[1]) / b"answer"), host, 5000)
    agent.ctl("user", "move", ADDR, "1.1.9.0/28", "--until", soon(12))
    agent.kill()
    agent.start()
    wait_for(lambda: agent.ctl("forward", ADDR)["out_addr"] == "1.1.1.2", timeout=40, what="the end of the move")
    # Back: the session opened meanwhile goes on, a new one has the old address.
    lab.send_in(lab.from_outside(new[0], UDP(sport=53, dport=new[1]) / b"answer"), host, 5001)
    assert lab.open_udp(host, 5003)[0] == "1.1.1.2"
    assert [m["in"] for m in agent.ctl("config")["mappings"]] == [MAPPING["in"]]
