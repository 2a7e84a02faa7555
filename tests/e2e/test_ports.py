# SPDX-License-Identifier: BSD-2-Clause
"""Outside ports, filtering, and what happens when ports or room for sessions run out."""

import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

import packets
from agent import wait_for
from lab import GATEWAY_IN, MAPPING, SERVER, block_of


def out_port_of(lab, host, port, dst=SERVER, dport=53):
    """Sends a UDP packet and returns its outside port."""
    lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=dport), dst))
    came = lab.outside.packet()
    assert came[IP].src == block_of(host.addr).addr
    assert bytes(came) == bytes(lab.going_out(lab.from_inside(host, UDP(sport=port, dport=dport), dst), (came[IP].src, came[UDP].sport)))
    return came[UDP].sport


def test_the_first_choice_is_kept_towards_every_destination(mode_lab):
    host = mode_lab.host()
    block = block_of(host.addr)
    for port in (0, 1, 1023, 1024, 40000, 65534):
        for dst in (SERVER, "192.0.2.1", "192.0.2.2"):
            mode_lab.open_udp(host, port, dst)
    assert block.first_choice(65534)[1] == block.hi


def test_a_clash_gets_another_port_of_the_block(mode_lab):
    host = mode_lab.host()
    block = block_of(host.addr)
    ports = [out_port_of(mode_lab, host, 3000 + 15 * n) for n in range(15)]
    assert ports[0] == block.first_choice(3000)[1]
    assert sorted(ports) == list(range(block.lo, block.hi + 1)), "each port of the block serves once"
    # Each keeps its port, and replies arrive.
    for n, port in enumerate(ports):
        assert out_port_of(mode_lab, host, 3000 + 15 * n) == port
        mode_lab.send_in(mode_lab.from_outside(block.addr, UDP(sport=53, dport=port)), host, 3000 + 15 * n)
    # The next one is refused, though another destination, protocol or external port is not.
    refused = mode_lab.from_inside(host, UDP(sport=9000, dport=53) / b"one more")
    with mode_lab.counting(drop_ports_exhausted=1, sent_icmp_unreachable=1):
        mode_lab.inside.send(refused)
    packets.assert_icmp_error(mode_lab.inside.packet(), 3, 1, GATEWAY_IN, host.addr, refused)
    mode_lab.outside.assert_silent()
    mode_lab.open_udp(host, 9000, dport=54)
    mode_lab.open_udp(host, 9000, "192.0.2.1")
    mode_lab.tcp_out(host, block.first_choice(9000), "S", port=9000, dport=53)
    mode_lab.ping(host, 9000)
    user = mode_lab.agent.ctl("user", "show", host.addr)
    assert (user["sessions"], user["quota_exceeded"]) == (19, 1)


def test_protocols_have_the_whole_block_each(mode_lab):
    host = mode_lab.host()
    src = mode_lab.open_udp(host, 100, dport=80)
    mode_lab.tcp_out(host, src, "S", port=100, dport=80)
    assert mode_lab.ping(host, 100) == src
    for payload in (UDP(sport=80, dport=src[1]), TCP(sport=80, dport=src[1], flags="SA"), ICMP(type=0, id=src[1])):
        mode_lab.send_in(mode_lab.from_outside(src[0], payload), host, 100)


STRANGERS = {
    "another address": {"src": "192.0.2.99"},
    "another port": {"sport": 54},
    "another outside port": {"offset": 1},
    "another pool address": {"addr": "1.1.1.3"},
    "a port below 1024": {"port": 80},
    "a remainder port": {"port": 65535},
    "another protocol": {"tcp": True},
}


@pytest.mark.parametrize("name", STRANGERS)
def test_only_the_external_endpoint_gets_in(mode_lab, name):
    host = mode_lab.host()
    addr, port = mode_lab.open_udp(host, block_of(host.addr).lo % 15)
    how = STRANGERS[name]
    port = how.get("port", port + how.get("offset", 0))
    payload = TCP(sport=53, dport=port, flags="A") if "tcp" in how else UDP(sport=how.get("sport", 53), dport=port)
    with mode_lab.counting(drop_no_session=1):
        mode_lab.outside.send(mode_lab.from_outside(how.get("addr", addr), payload, src=how.get("src", SERVER)))
    mode_lab.inside.assert_silent()
    mode_lab.outside.assert_silent()


def test_an_echo_request_from_outside_opens_nothing(mode_lab):
    host = mode_lab.host()
    addr, ident = mode_lab.ping(host)
    with mode_lab.counting(drop_no_session=None, drop_protocol=None):
        mode_lab.outside.send(mode_lab.from_outside(addr, ICMP(type=8, id=ident)))
        mode_lab.open_udp(host)
    mode_lab.inside.assert_silent()
    mode_lab.outside.assert_silent()


def test_the_quota_affects_no_other_subscriber(lab, mode):
    lab.start(sessions_per_user=3, quota_icmp_code=13, **mode)
    host, other = lab.host(), lab.host()
    for port in (1, 2, 3):
        lab.open_udp(host, port)
    for payload in (UDP(sport=4, dport=53), TCP(sport=4, dport=80, flags="S"), ICMP(type=8, id=4)):
        refused = lab.from_inside(host, payload)

        def answered():
            lab.inside.send(refused)
            frame = lab.inside.receive(0.15)
            # An answer to the protocol before may come late: the quote's protocol is at 51.
            return frame if frame and frame[51] == refused[IP].proto else None

        # Ten answers a second at most, so ask until one comes.
        frame = wait_for(answered, what="a refusal")
        packets.assert_icmp_error(packets.Ether(frame), 3, 13, GATEWAY_IN, host.addr, refused)
    lab.outside.assert_silent()
    for port in (1, 2, 3):
        lab.open_udp(host, port)
    lab.open_udp(other)
    lab.agent.ctl("session", "close", "in", f"{host.addr}:1", f"{SERVER}:53")
    lab.open_udp(host, 4)


def test_refusals_are_answered_ten_times_a_second_at_most(lab):
    lab.start(sessions_per_user=1)
    host = lab.host()
    lab.open_udp(host, 1)
    refused = lab.from_inside(host, UDP(sport=2, dport=53))
    with lab.counting(drop_quota=200, sent_icmp_unreachable=None):
        began = time.monotonic()
        lab.inside.send(*[refused] * 200)
        seconds = time.monotonic() - began
    answers = lab.inside.drain()
    assert 1 <= len(answers) <= 11 + 10 * seconds
    counters = lab.agent.counters()
    assert counters["sent_icmp_unreachable"] == len(answers)
    assert lab.agent.ctl("user", "show", host.addr)["quota_exceeded"] == 200


def test_extents_take_sessions_beyond_the_slots(lab, mode):
    lab.start(mappings=[{**MAPPING, "session_slots": 8}], overflow_sessions=8000, **mode)
    host = lab.host()
    block = block_of(host.addr)
    sessions = [(port, dport) for dport in range(1000, 1010) for port in range(block.ports)]
    for port, dport in sessions:
        lab.open_udp(host, port, dport=dport)
    assert lab.agent.ctl("user", "show", host.addr)["sessions"] == len(sessions)
    for port, dport in sessions:
        lab.send_in(lab.from_outside(block.addr, UDP(sport=dport, dport=block.lo + port)), host, port)
    assert {(s["in_port"], s["ext_port"]) for s in lab.sessions(host.addr)} == set(sessions)
    assert len(lab.sessions()) == len(sessions)


def test_without_room_a_session_is_refused_and_none_evicted(lab):
    lab.start(mappings=[{**MAPPING, "session_slots": 8}], overflow_sessions=0)
    host, other = lab.host(), lab.host()
    lab.open_udp(other)
    with lab.counting(drop_overflow_full=None, sent_icmp_unreachable=None):
        for port in range(15):
            lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=53)))
    wait_for(lambda: lab.agent.counters()["drop_overflow_full"] > 0, what="a refusal")
    sessions = lab.sessions(host.addr)
    assert 1 <= len(sessions) <= 8
    quota_exceeded = lab.agent.ctl("user", "show", host.addr)["quota_exceeded"]
    assert len(sessions) + quota_exceeded == 15
    assert len(lab.sessions(other.addr)) == 1
