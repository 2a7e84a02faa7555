# SPDX-License-Identifier: BSD-2-Clause
"""TCP states by the segments of both sides, and how long each lasts."""

import time

import pytest
from scapy.layers.inet import TCP, UDP

from agent import wait_for
from lab import block_of

# Segments ("i" from inside, "o" from outside, then flags) and the state after each.
HISTORIES = {
    "opened from inside": [("iS", "tcp-syn-sent"), ("oSA", "tcp-syn-sent"), ("iA", "tcp-established")],
    "opened by data with the ACK": [("iS", "tcp-syn-sent"), ("oSA", "tcp-syn-sent"), ("iPA", "tcp-established")],
    "SYN sent again": [("iS", "tcp-syn-sent"), ("iS", "tcp-syn-sent"), ("oSA", "tcp-syn-sent"), ("iA", "tcp-established")],
    "both open at once": [("iS", "tcp-syn-sent"), ("oS", "tcp-syn-sent"), ("iSA", "tcp-established")],
    "with ECN": [("iSEC", "tcp-syn-sent"), ("oSAE", "tcp-syn-sent"), ("iA", "tcp-established")],
    "in the middle of a connection": [("iA", "tcp-transitory"), ("iPA", "tcp-transitory"), ("oA", "tcp-transitory"), ("iA", "tcp-established")],
    "inside closes first": [("iS", None), ("oSA", None), ("iA", "tcp-established"), ("iFA", "tcp-fin-wait"), ("oA", "tcp-fin-wait"),
                            ("oFA", "tcp-last-ack"), ("iA", "tcp-time-wait")],
    "outside closes first": [("iS", None), ("oSA", None), ("iA", "tcp-established"), ("oFA", "tcp-close-wait"), ("iA", "tcp-close-wait"),
                             ("iFA", "tcp-last-ack"), ("oA", "tcp-time-wait")],
    "FIN without ACK": [("iS", None), ("oSA", None), ("iA", "tcp-established"), ("iF", "tcp-fin-wait"), ("oA", "tcp-fin-wait"),
                        ("oF", "tcp-last-ack"), ("iA", "tcp-time-wait")],
    "both close at once": [("iS", None), ("oSA", None), ("iA", "tcp-established"), ("iFA", "tcp-fin-wait"), ("oFA", "tcp-last-ack"),
                           ("iA", "tcp-time-wait")],
    "data after the FIN of the other side": [("iS", None), ("oSA", None), ("iA", None), ("oFA", "tcp-close-wait"), ("iPA", "tcp-close-wait"),
                                             ("oA", "tcp-close-wait")],
    "FIN sent again": [("iS", None), ("oSA", None), ("iA", None), ("iFA", "tcp-fin-wait"), ("iFA", "tcp-fin-wait"), ("oA", "tcp-fin-wait")],
    "reset by outside": [("iS", None), ("oSA", None), ("iA", "tcp-established"), ("oR", "tcp-reset")],
    "reset by inside": [("iS", None), ("oSA", None), ("iA", "tcp-established"), ("iRA", "tcp-reset")],
    "a reset that was forged": [("iS", None), ("oSA", None), ("iA", None), ("oR", "tcp-reset"), ("iPA", "tcp-established")],
    "reset, and outside continues": [("iS", None), ("oSA", None), ("iA", None), ("oR", "tcp-reset"), ("oA", "tcp-reset"), ("iA", "tcp-established")],
    "reset twice": [("iS", None), ("oSA", None), ("iA", None), ("oR", "tcp-reset"), ("iR", "tcp-reset"), ("iA", "tcp-established")],
    "refused connection": [("iS", "tcp-syn-sent"), ("oRA", "tcp-reset"), ("iS", "tcp-syn-sent")],
    "opened again from time-wait": [("iS", None), ("oSA", None), ("iA", None), ("iFA", None), ("oFA", None), ("iA", "tcp-time-wait"),
                                    ("iS", "tcp-syn-sent"), ("oSA", "tcp-syn-sent"), ("iA", "tcp-established")],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_states(mode_lab, name):
    host = mode_lab.host()
    src = block_of(host.addr).first_choice(5000)
    for number, (segment, state) in enumerate(HISTORIES[name]):
        way = mode_lab.tcp_out if segment[0] == "i" else mode_lab.tcp_in
        way(host, src, segment[1:], seq=1000 * number, ack=7)
        if state:
            found = mode_lab.state(host)
            assert found == state, f"{found} after {segment} as number {number + 1}"


@pytest.mark.parametrize("flags", ["S", "SA", "A", "FA", "R", "PA"])
def test_a_segment_from_outside_opens_nothing(mode_lab, flags):
    host = mode_lab.host()
    block = block_of(host.addr)
    with mode_lab.counting(drop_no_session=1):
        mode_lab.outside.send(mode_lab.from_outside(block.addr, TCP(sport=80, dport=block.lo, flags=flags)))
    mode_lab.inside.assert_silent()
    mode_lab.outside.assert_silent()
    assert mode_lab.sessions(host.addr, "--all") == []


def expires(lab, host):
    return lab.session(host, "--all")["expires"]


def test_how_long_states_last(running_lab):
    running_lab.agent.ctl("timeouts", "set", "udp=1000", "tcp_established=3000", "tcp_transitory=500", "icmp=200")
    for segments, seconds in ((["iS"], 500), (["iS", "oSA"], 500), (["iS", "oSA", "iA"], 3000), (["iA"], 500),
                              (["iS", "oSA", "iA", "iFA"], 500), (["iS", "oSA", "iA", "oFA"], 500), (["iS", "oSA", "iA", "oR"], 500),
                              (["iS", "oSA", "iA", "iFA", "oFA", "iA"], 500), (["iS", "oSA", "iA", "oR", "iA"], 3000)):
        host = running_lab.host()
        src = block_of(host.addr).first_choice(5000)
        for segment in segments:
            (running_lab.tcp_out if segment[0] == "i" else running_lab.tcp_in)(host, src, segment[1:])
        assert seconds - 10 <= expires(running_lab, host) <= seconds, segments
    host = running_lab.host()
    running_lab.open_udp(host)
    assert 990 <= expires(running_lab, host) <= 1000
    host = running_lab.host()
    running_lab.ping(host)
    assert 190 <= expires(running_lab, host) <= 200
    running_lab.agent.ctl("timeouts", "reset")


def test_packets_from_outside_do_not_refresh_and_those_from_inside_do(mode_lab):
    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    wait_for(lambda: expires(mode_lab, host) <= 297, what="three seconds to pass", interval=0.1)
    mode_lab.send_in(mode_lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert expires(mode_lab, host) <= 297
    began = time.monotonic()
    mode_lab.open_udp(host)
    assert expires(mode_lab, host) >= 299 - (time.monotonic() - began)


def test_an_expired_session_lets_nothing_in_and_is_not_listed(lab):
    lab.start(timeouts={"udp": 1}, sweep_interval=86400)
    host = lab.host()
    src = lab.open_udp(host)
    wait_for(lambda: lab.sessions(host.addr) == [], what="the session to expire", interval=0.05)
    assert lab.agent.ctl("user", "show", host.addr)["sessions"] == 0
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1])))
    lab.inside.assert_silent()
    assert lab.open_udp(host) == src


def test_the_sweep_removes_expired_sessions(lab):
    lab.start(timeouts={"udp": 1}, sweep_interval=1)
    host = lab.host()
    lab.open_udp(host)
    wait_for(lambda: lab.sessions(host.addr, "--all") == [], what="the sweep", interval=0.1)


def test_sessions_in_time_wait_make_room_at_the_quota(lab):
    lab.start(sessions_per_user=1)
    host = lab.host()
    for port in range(5000, 5010):
        src = lab.handshake(host, port)
        lab.tcp_out(host, src, "FA", port)
        lab.tcp_in(host, src, "FA", port)
        lab.tcp_out(host, src, "A", port)
    assert lab.agent.ctl("user", "show", host.addr)["quota_exceeded"] == 0
