# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl session: list and close."""

import ipaddress

import pytest
from scapy.layers.inet import UDP

import shapes
from agent import wait_for
from lab import SERVER, block_of


def test_a_listed_session_has_the_documented_shape(running_lab):
    host = running_lab.host()
    src = running_lab.handshake(host, port=6303, dport=443)
    session = shapes.assert_shape(running_lab.session(host), shapes.SESSION)
    expires = session.pop("expires")
    assert 7430 <= expires <= 7440
    assert session == {
        "proto": "tcp", "in_addr": host.addr, "in_port": 6303, "out_addr": src[0], "out_port": src[1],
        "ext_addr": SERVER, "ext_port": 443, "state": "tcp-established"}


def test_sessions_of_one_of_all_and_of_a_protocol(running_lab):
    host, other = running_lab.host(), running_lab.host()
    running_lab.open_udp(host)
    running_lab.ping(host)
    running_lab.handshake(host)
    running_lab.open_udp(other)
    assert sorted(s["proto"] for s in running_lab.sessions(host.addr)) == ["icmp", "tcp", "udp"]
    assert [s["in_addr"] for s in running_lab.sessions(other.addr)] == [other.addr]
    for proto in ("tcp", "udp", "icmp"):
        assert [s["proto"] for s in running_lab.sessions(host.addr, "--proto", proto)] == [proto]
        assert {s["proto"] for s in running_lab.sessions("--proto", proto)} == {proto}
    everyone = running_lab.sessions()
    assert {host.addr, other.addr} <= {s["in_addr"] for s in everyone}
    addresses = [int(ipaddress.ip_address(s["in_addr"])) for s in everyone]
    assert addresses == sorted(addresses)
    assert {s["state"] for s in everyone} <= shapes.STATES
    (icmp,) = running_lab.sessions(host.addr, "--proto", "icmp")
    assert icmp["ext_port"] == 0 and icmp["state"] == "icmp-active" and icmp["in_port"] == 77


def test_text_of_a_listing(running_lab):
    host = running_lab.host()
    out_addr, out_port = running_lab.open_udp(host)
    table = running_lab.agent.text("session", "list", host.addr)
    assert all(word in table for word in (host.addr, out_addr, str(out_port), SERVER, "udp-active"))


def test_a_subscriber_without_sessions_has_an_empty_list(running_lab):
    assert running_lab.sessions(running_lab.host().addr) == []


def test_an_address_of_no_mapping_is_refused(running_lab):
    running_lab.agent.refused("session", "list", "192.0.2.1")


def test_closed_sessions_are_only_listed_with_all(running_lab):
    host = running_lab.host()
    src = running_lab.handshake(host)
    running_lab.tcp_out(host, src, "FA")
    running_lab.tcp_in(host, src, "FA")
    running_lab.tcp_out(host, src, "A")
    assert running_lab.sessions(host.addr) == []
    (session,) = running_lab.sessions(host.addr, "--all")
    assert session["state"] == "tcp-time-wait"
    assert running_lab.agent.ctl("user", "show", host.addr)["sessions"] == 0


def test_close_by_inside_endpoint(running_lab):
    host = running_lab.host()
    running_lab.open_udp(host, 4000)
    running_lab.open_udp(host, 4001)
    close = ("session", "close", "in", f"{host.addr}:4000", f"{SERVER}:53")
    assert running_lab.agent.ctl(*close) == {"closed": 1}
    assert [s["in_port"] for s in running_lab.sessions(host.addr)] == [4001]
    running_lab.agent.refused(*close)
    assert running_lab.agent.text("session", "close", "in", f"{host.addr}:4001", f"{SERVER}:53") == "closed 1\n"


def test_close_by_outside_endpoint(running_lab):
    host = running_lab.host()
    out_addr, out_port = running_lab.open_udp(host, 4000)
    close = ("session", "close", "out", f"{out_addr}:{out_port}", f"{SERVER}:53")
    assert running_lab.agent.ctl(*close) == {"closed": 1}
    assert running_lab.sessions(host.addr) == []
    running_lab.agent.refused(*close)


def test_close_without_protocol_closes_all_of_them(running_lab):
    host = running_lab.host()
    running_lab.open_udp(host, 4000, dport=80)
    running_lab.handshake(host, 4000, dport=80)
    close = ("session", "close", "in", f"{host.addr}:4000", f"{SERVER}:80")
    assert running_lab.agent.ctl(*close, "--proto", "udp") == {"closed": 1}
    running_lab.open_udp(host, 4000, dport=80)
    assert running_lab.agent.ctl(*close) == {"closed": 2}


def test_close_of_an_echo_session(running_lab):
    host = running_lab.host()
    out_addr, ident = running_lab.ping(host, 500)
    assert running_lab.agent.ctl("session", "close", "in", f"{host.addr}:500", f"{SERVER}:0", "--proto", "icmp") == {"closed": 1}
    running_lab.ping(host, 500)
    assert running_lab.agent.ctl("session", "close", "out", f"{out_addr}:{ident}", f"{SERVER}:0") == {"closed": 1}


def test_a_closed_session_lets_nothing_in_and_can_be_reopened_from_inside(running_lab):
    host = running_lab.host()
    src = running_lab.open_udp(host, 4000)
    running_lab.agent.ctl("session", "close", "in", f"{host.addr}:4000", f"{SERVER}:53")
    with running_lab.counting(drop_no_session=1):
        running_lab.outside.send(running_lab.from_outside(src[0], UDP(sport=53, dport=src[1])))
    running_lab.inside.assert_silent()
    assert running_lab.open_udp(host, 4000) == src


@pytest.mark.parametrize("arguments", [
    ("in", "192.0.2.1:80", f"{SERVER}:80"), ("out", "192.0.2.1:80", f"{SERVER}:80"), ("out", "1.1.1.0:80", f"{SERVER}:80"),
    ("in", "10.0.0.9:80", f"{SERVER}:80"),
], ids="-".join)
def test_nothing_to_close(running_lab, arguments):
    running_lab.agent.refused("session", "close", *arguments)


@pytest.mark.parametrize("arguments", [
    ("frob",), ("list", "10.0.0"), ("list", "10.0.0.2", "10.0.0.3"), ("list", "--proto"), ("list", "--proto", "sctp"),
    ("list", "--bogus"), ("close",), ("close", "in"), ("close", "in", "10.0.0.2:80"), ("close", "in", "10.0.0.2", f"{SERVER}:80"),
    ("close", "in", "10.0.0.2:80", SERVER), ("close", "up", "10.0.0.2:80", f"{SERVER}:80"),
    ("close", "in", "10.0.0.2:80", f"{SERVER}:65536"), ("close", "in", "10.0.0.2:80", f"{SERVER}:80", "--proto", "gre"),
    ("close", "in", "10.0.0.2:80", f"{SERVER}:80", "extra"),
], ids="-".join)
def test_bad_usage(running_lab, arguments):
    running_lab.agent.refused("session", *arguments, status=2)


def test_thousands_are_listed_completely(lab):
    lab.start(sessions_per_user=65535)
    opened = set()
    hosts = [lab.host() for _ in range(20)]
    for host in hosts:
        block = block_of(host.addr)
        batch = [lab.from_inside(host, UDP(sport=s, dport=d)) for d in range(1000, 1015) for s in range(block.ports)]
        lab.inside.send(*batch)
        opened |= {(host.addr, s, d) for d in range(1000, 1015) for s in range(block.ports)}
    expected = len(opened)
    wait_for(lambda: lab.agent.ctl("status")["sessions"] == expected, what=f"{expected} sessions")
    listed = [(s["in_addr"], s["in_port"], s["ext_port"]) for s in lab.sessions()]
    assert len(listed) == len(set(listed)) == expected
    assert set(listed) == opened
