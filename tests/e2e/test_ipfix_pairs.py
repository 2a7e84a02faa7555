# SPDX-License-Identifier: BSD-2-Clause
"""The records delete every created session once, whether the agent or the datapath ends it."""

import collections
import contextlib

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from ipfix_tools import Collector
from lab import MAPPING, SERVER

# One port a host, and few slots, so that sessions compete.
ONE_PORT = {"in": "10.0.0.0/17", "out": "1.1.1.0/32", "session_slots": 8}
EIGHT_SLOTS = {**MAPPING, "session_slots": 8}
TWO_MORE = ("192.0.2.1", "192.0.2.2")


def expired(lab, host):
    wait_for(lambda: lab.sessions(host.addr) == [], what="the sessions to expire")


def send(lab, host, port, dst=SERVER, dport=53):
    """Opens a UDP session on any outside port."""
    lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=dport), dst))
    lab.outside.packet()


def close_tcp(lab, host, mapping, port=5000):
    src = lab.handshake(host, port, mapping=mapping)
    lab.tcp_out(host, src, "FA", port, seq=101, ack=501)
    lab.tcp_in(host, src, "FA", port, seq=501, ack=102)
    lab.tcp_out(host, src, "A", port, seq=102, ack=502)
    assert [s["state"] for s in lab.sessions(host.addr, "--all")] == ["tcp-time-wait"]
    return src


def swept_by_the_agent(lab, host, mapping):
    lab.open_udp(host, mapping=mapping)
    expired(lab, host)
    lab.agent.write(sweep_interval=1)
    lab.agent.ctl("reload")
    wait_for(lambda: lab.sessions(host.addr, "--all") == [], what="the sweep")


def port_taken_over_from_an_expired_session(lab, host, mapping):
    lab.open_udp(host, 5000, mapping=mapping)
    expired(lab, host)
    lab.open_udp(host, 5001, mapping=mapping)


def slots_taken_over_from_expired_sessions(lab, host, mapping):
    for dst in (SERVER, *TWO_MORE):
        for dport in range(1, 4):
            send(lab, host, 5000, dst, dport)
    expired(lab, host)
    for dst in (SERVER, *TWO_MORE):
        for dport in range(11, 14):
            send(lab, host, 5000, dst, dport)


def expired_sessions_swept_at_the_quota(lab, host, mapping):
    for dport in range(1, 4):
        send(lab, host, 5000, dport=dport)
    expired(lab, host)
    send(lab, host, 5000, dport=4)
    assert len(lab.sessions(host.addr)) == 1


def same_flow_after_it_expired(lab, host, mapping):
    lab.open_udp(host, 5000, mapping=mapping)
    expired(lab, host)
    lab.open_udp(host, 5000, mapping=mapping)


def connection_opened_again_in_time_wait(lab, host, mapping):
    src = close_tcp(lab, host, mapping)
    lab.tcp_out(host, src, "S", seq=9000)


def port_taken_over_from_time_wait(lab, host, mapping):
    src = close_tcp(lab, host, mapping)
    lab.tcp_out(host, src, "S", port=5001, seq=9000)


def sessions_beyond_the_slots_that_expire(lab, host, mapping):
    def all_of_them():
        for dst in (SERVER, *TWO_MORE):
            for dport in range(1, 7):
                send(lab, host, 5000, dst, dport)

    all_of_them()
    assert lab.agent.counters()["sessions_overflowed"] > 0
    expired(lab, host)
    all_of_them()


def connection_beyond_the_slots_that_ends(lab, host, mapping):
    for dst in (SERVER, *TWO_MORE):
        for dport in range(1, 7):
            send(lab, host, 5000, dst, dport)
    before = lab.agent.counters()["sessions_overflowed"]
    for port in range(5000, 5200):
        src = lab.handshake(host, port, dport=4000 + port, mapping=mapping)
        if lab.agent.counters()["sessions_overflowed"] > before:
            break
    lab.tcp_out(host, src, "FA", port, 4000 + port, seq=101, ack=501)
    lab.tcp_in(host, src, "FA", port, 4000 + port, seq=501, ack=102)
    lab.tcp_out(host, src, "A", port, 4000 + port, seq=102, ack=502)


# What frees sessions, the mapping, the quota, and whether the datapath reports it.
ENDS = [
    (swept_by_the_agent, MAPPING, 1000, True),
    (port_taken_over_from_an_expired_session, ONE_PORT, 1000, True),
    (slots_taken_over_from_expired_sessions, EIGHT_SLOTS, 1000, True),
    (expired_sessions_swept_at_the_quota, MAPPING, 3, True),
    (same_flow_after_it_expired, MAPPING, 1000, True),
    (connection_opened_again_in_time_wait, MAPPING, 1000, True),
    (port_taken_over_from_time_wait, ONE_PORT, 1000, True),
    (sessions_beyond_the_slots_that_expire, EIGHT_SLOTS, 1000, True),
    (connection_beyond_the_slots_that_ends, EIGHT_SLOTS, 1000, True),
]


def flow_of(record):
    return tuple(record[k] for k in ("protocolIdentifier", "sourceIPv4Address", "sourceTransportPort",
                                     "postNATSourceIPv4Address", "postNAPTSourceTransportPort",
                                     "destinationIPv4Address", "destinationTransportPort"))


def created_and_deleted(collector):
    """How often each flow occurs in the records so far."""
    collector.receive()
    return [collections.Counter(flow_of(r) for r in collector.all_records() if r["natEvent"] == event) for event in (4, 5)]


def paired(created, deleted):
    return created and created == deleted


@pytest.mark.parametrize("end,mapping,quota", [
    pytest.param(end, mapping, quota, id=end.__name__.replace("_", " "),
                 marks=[] if told else pytest.mark.xfail(strict=True, reason="the datapath does not tell of these ends"))
    for end, mapping, quota, told in ENDS
])
def test_created_and_deleted_pair_up(lab, end, mapping, quota):
    with Collector(lab) as collector:
        lab.start(mappings=[mapping], sessions_per_user=quota, sweep_interval=86400,
                  timeouts={"udp": 1, "tcp_transitory": 240}, ipfix={"collector": collector.endpoint, "events": ["sessions"]})
        end(lab, lab.host(), mapping)
        lab.agent.ctl("mapping", "del", mapping["in"], mapping["out"])
        # Sessions that end with their mapping are reported while its memory is freed.
        with contextlib.suppress(AssertionError):
            wait_for(lambda: paired(*created_and_deleted(collector)))
        created, deleted = created_and_deleted(collector)
        assert paired(created, deleted), f"never deleted: {created - deleted}; never created: {deleted - created}"
