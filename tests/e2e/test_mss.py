# SPDX-License-Identifier: BSD-2-Clause
"""The MSS that a SYN carries through (tcp_mss_clamp)."""

import pytest
from scapy.layers.inet import TCP

import packets
from lab import block_of


def syn(lab, host, port, options, flags="S"):
    return lab.from_inside(host, TCP(sport=port, dport=80, flags=flags, options=options))


def with_mss(packet, mss):
    packet = packet.copy()
    packet[TCP].options = [(n, mss if n == "MSS" else v) for n, v in packet[TCP].options]
    return packets.rebuilt(packet)


def assert_out(lab, host, port, options, mss):
    packet = syn(lab, host, port, options)
    lab.inside.send(packet)
    lab.outside.expect(lab.going_out(with_mss(packet, mss), block_of(host.addr).first_choice(port)))


@pytest.fixture(scope="module")
def clamped(run_directory, mode):
    """A lab that lets an MSS of 1300 through."""
    import lab

    it = lab.Lab(run_directory)
    try:
        it.start(tcp_mss_clamp=1300, **mode)
        yield it
    finally:
        it.close()


def test_switched_off(running):
    assert_out(running, running.host(), 1, [("MSS", 65535)], 65535)


@pytest.mark.parametrize("sent,seen", [(1460, 1300), (1300, 1300), (536, 536), (65535, 1300)])
def test_on_the_way_out(clamped, sent, seen):
    lab = clamped
    host = lab.host()
    assert_out(lab, host, 1, [("MSS", sent)], seen)
    assert_out(lab, host, 2, [("NOP", None), ("NOP", None), ("SAckOK", b""), ("MSS", sent), ("WScale", 7)], seen)
    assert_out(lab, host, 3, [("NOP", None), ("MSS", sent), ("NOP", None), ("EOL", None)], seen)


def test_both_ways(clamped):
    lab = clamped
    host = lab.host()
    assert_out(lab, host, 5000, [("MSS", 1460)], 1300)
    src = block_of(host.addr).first_choice(5000)
    answer = lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="SA", options=[("MSS", 1460)]))
    lab.outside.send(answer)
    lab.inside.expect(lab.coming_in(with_mss(answer, 1300), host, 5000))
    # Segments other than SYN are left alone.
    lab.send_out(syn(lab, host, 5000, [("MSS", 1460)], "A"), src)
    # A SYN without the option gets none.
    lab.send_out(syn(lab, host, 5001, []), block_of(host.addr).first_choice(5001))


def test_by_the_mtu(lab, mode):
    lab.gateway.ip("link", "set", "out0", "mtu", "1400")
    lab.start(tcp_mss_clamp="mtu", **mode)
    host = lab.host()
    assert_out(lab, host, 1, [("MSS", 1460)], 1360)
    assert_out(lab, host, 2, [("MSS", 1300)], 1300)


@pytest.mark.parametrize("options", [b"\x02\x03\x05\x00", b"\x02\x00\x00\x00", b"\x02\x04\x05", b"\x05\x28\x00\x00", b"\x02\x08\x05\xb4"], ids=lambda o: o.hex())
def test_malformed_options_do_no_harm(clamped, options):
    lab = clamped
    host = lab.host()
    header = bytearray(bytes(TCP(sport=5000, dport=80, flags="S", dataofs=6)) + options.ljust(4, b"\0")[:4])
    packet = lab.from_inside(host, bytes(header), proto=6)
    lab.inside.send(packet)
    lab.outside.receive(0.2)
    lab.open_udp(host)
    assert lab.agent.running()
