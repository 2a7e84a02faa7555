# SPDX-License-Identifier: BSD-2-Clause
"""Events by syslog (RFC 5424), to a collector by UDP."""

import contextlib

import pytest

from agent import wait_for
from syslog_collector import Collector


@pytest.fixture
def collector(lab):
    with contextlib.closing(Collector(lab)) as it:
        yield it


def test_events_are_messages_with_structured_data(lab, collector):
    agent = lab.start(sessions_per_user=2, syslog={"to": collector.to, "facility": "local3", "events": ["refusals", "mappings"]},
                      mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "homes"}])
    first = collector.message()
    assert (first["event"], first["params"]["mapping"]) == ("mapping-added", "homes")
    host = lab.host()
    lab.refuse(host, 1)
    message = collector.message()
    assert message["event"] == "quota" and message["params"] == {"in_addr": host.addr, "mapping": "homes", "limit": "2"}
    assert int(message["pri"]) == 19 * 8 + 4
    assert int(message["pid"]) == agent.process.pid
    assert message["text"] == f"subscriber {host.addr} is at its quota of 2 sessions"
    agent.ctl("interface", "del", "in0", "inside")
    assert collector.silent()


def test_sessions_are_told_if_they_are_configured(lab, collector):
    lab.start(syslog={"to": collector.to, "events": ["sessions"]})
    host = lab.host()
    src = lab.open_udp(host)
    params = collector.message()["params"]
    assert (params["proto"], params["in_addr"], params["in_port"], params["out_port"]) == ("udp", host.addr, "5000", str(src[1]))


def test_a_collector_that_cannot_be_reached_is_a_trouble_and_delays_nothing(lab, collector):
    lab.gateway.ip("route", "add", "unreachable", "192.0.2.9")
    agent = lab.start(syslog={"to": "udp:192.0.2.9:514"})
    agent.ctl("mapping", "add", "10.64.0.0/24", "1.1.2.0/28")
    (trouble,) = wait_for(lambda: agent.ctl("status")["troubles"], what="the trouble")
    assert trouble["what"] == "syslog" and "192.0.2.9:514" in trouble["text"]
    agent.write(syslog={"to": collector.to})
    agent.ctl("reload")
    assert wait_for(lambda: not agent.ctl("status")["troubles"], what="the end of the trouble")
    message = collector.message()
    while message["event"] != "mapping-deleted":
        message = collector.message()
    lab.open_udp(lab.host())


def test_losses_are_reported_when_the_collector_can_be_reached_again(lab, collector):
    lab.gateway.ip("addr", "add", "192.0.2.9/32", "dev", "lo")
    there = Collector(lab, ("192.0.2.9", 514))
    agent = lab.start(syslog={"to": "udp:192.0.2.9:514", "events": ["interfaces"]})
    lab.gateway.ip("addr", "del", "192.0.2.9/32", "dev", "lo")
    lab.gateway.ip("route", "add", "unreachable", "192.0.2.9")
    agent.ctl("interface", "del", "in0", "inside")
    wait_for(lambda: agent.ctl("status")["troubles"], what="the trouble")
    # Before the route goes, or the first message could leave by the default route.
    lab.gateway.ip("addr", "add", "192.0.2.9/32", "dev", "lo")
    lab.gateway.ip("route", "del", "unreachable", "192.0.2.9")
    message = there.message()
    while message["event"] != "lost":
        message = there.message()
    assert message["params"]["lost"] == "1"
    there.close()


@pytest.mark.parametrize("value,said", [
    ({}, "syslog.to: this key is missing"), ({"to": "/tmp/x"}, 'syslog.to: must be "/dev/log"'), ({"to": "udp:192.0.2.9"}, "syslog.to"),
    ({"to": "udp:192.0.2.9:0"}, "syslog.to"), ({"to": "tcp:192.0.2.9:514"}, "syslog.to"), ({"to": 5}, "syslog.to"),
    ({"to": "/dev/log", "events": ["quota"]}, "syslog.events[0]"), ({"to": "/dev/log", "facility": "kern"}, "syslog.facility"),
    ({"to": "/dev/log", "level": 1}, "syslog.level: unknown key"),
])
def test_a_bad_value_is_refused_with_its_key(running_lab, value, said):
    agent = running_lab.agent
    agent.write(syslog=value)
    try:
        assert said in agent.refused("reload")
    finally:
        agent.write(syslog=None)
    assert agent.ctl("reload")["changed"] is False
