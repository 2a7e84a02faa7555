# SPDX-License-Identifier: BSD-2-Clause
"""The MSS that a SYN carries through (tcp_mss_clamp)."""

import socket

import pytest
from scapy.layers.inet import IP, TCP, in4_chksum

import packets
import wire
from lab import Lab, block_of


def syn(lab, host, port, options, flags="S"):
    return lab.from_inside(host, TCP(sport=port, dport=80, flags=flags, options=options))


def with_mss(packet, mss):
    packet = packet.copy()
    packet[TCP].options = [(n, min(v, mss) if n == "MSS" else v) for n, v in packet[TCP].options]
    return packets.rebuilt(packet)


def assert_out(lab, host, port, options, mss):
    packet = syn(lab, host, port, options)
    lab.inside.send(packet)
    lab.outside.expect(lab.going_out(with_mss(packet, mss), block_of(host.addr).first_choice(port)))


def assert_in(lab, host, port, options, mss):
    """The answer to a SYN that assert_out() has sent."""
    src = block_of(host.addr).first_choice(port)
    answer = lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="SA", options=options))
    lab.outside.send(answer)
    lab.inside.expect(lab.coming_in(with_mss(answer, mss), host, port))


@pytest.fixture(scope="module")
def clamping_lab(run_directory, mode):
    """A lab that clamps the MSS to 1300."""
    it = Lab(run_directory)
    try:
        it.start(tcp_mss_clamp=1300, **mode)
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def clean_wires(request):
    if "clamping_lab" in request.fixturenames:
        shared = request.getfixturevalue("clamping_lab")
        shared.inside.clear()
        shared.outside.clear()


def test_disabled(running_lab):
    host = running_lab.host()
    assert_out(running_lab, host, 1, [("MSS", 65535)], 65535)
    assert_in(running_lab, host, 1, [("MSS", 65535)], 65535)


@pytest.mark.parametrize("sent,seen", [(1460, 1300), (1301, 1300), (1300, 1300), (536, 536), (0, 0), (65535, 1300)])
def test_clamped_anywhere_among_the_options(clamping_lab, sent, seen):
    lab = clamping_lab
    host = lab.host()
    shapes = (
        [("MSS", sent)],
        [("NOP", None), ("NOP", None), ("SAckOK", b""), ("MSS", sent), ("WScale", 7)],
        [("NOP", None), ("MSS", sent), ("NOP", None), ("EOL", None)],
        [("Timestamp", (1, 2)), ("WScale", 7), ("MSS", sent)],
    )
    for port, options in enumerate(shapes, 1):
        assert_out(lab, host, port, options, seen)
        assert_in(lab, host, port, options, seen)


@pytest.mark.parametrize(
    "options",
    [
        [("MSS", 1400), ("MSS", 1460)],
        [("MSS", 536), ("NOP", None), ("MSS", 1460), ("WScale", 7), ("MSS", 1301)],
        [("MSS", 1460)] * 10,
        [("Timestamp", (1, 2)), ("MSS", 1460), ("EOL", None)],
    ],
    ids=str,
)
def test_each_of_several_is_clamped(clamping_lab, options):
    """Of several a host may take the first one, or, as Linux does, the last."""
    lab = clamping_lab
    host = lab.host()
    assert_out(lab, host, 1, options, 1300)
    assert_in(lab, host, 1, options, 1300)


def test_only_in_syns_that_have_one(clamping_lab):
    lab = clamping_lab
    host = lab.host()
    src = block_of(host.addr).first_choice(5000)
    assert_out(lab, host, 5000, [("MSS", 1460)], 1300)
    lab.send_out(syn(lab, host, 5000, [("MSS", 1460)], "A"), src)
    lab.send_out(syn(lab, host, 5001, []), block_of(host.addr).first_choice(5001))
    lab.send_out(syn(lab, host, 5002, [("WScale", 7)]), block_of(host.addr).first_choice(5002))


def test_hairpin(clamping_lab):
    lab = clamping_lab
    caller, callee = lab.host(), lab.host()
    its, own = block_of(callee.addr).first_choice(2000), block_of(caller.addr).first_choice(3000)
    with lab.counting(drop_no_session=1):
        lab.inside.send(lab.from_inside(callee, TCP(sport=2000, dport=own[1], flags="S", options=[("MSS", 1460)]), dst=own[0]))
    packet = lab.from_inside(caller, TCP(sport=3000, dport=its[1], flags="S", options=[("MSS", 1460)]), dst=its[0])
    lab.inside.send(packet)
    mac = packets.Ether(bytes(packet)).dst
    lab.inside.expect(packets.translated(with_mss(packet, 1300), (mac, callee.mac), src=own, dst=(callee.addr, 2000)))


@pytest.mark.parametrize("device", ["out0", "in0"])
def test_clamped_to_the_lower_mtu_of_both_sides(lab, mode, device):
    lab.gateway.ip("link", "set", device, "mtu", "1400")
    lab.start(tcp_mss_clamp="mtu", **mode)
    host = lab.host()
    assert_out(lab, host, 1, [("MSS", 1460)], 1360)
    assert_in(lab, host, 1, [("MSS", 1460)], 1360)
    assert_out(lab, host, 2, [("MSS", 1300)], 1300)
    assert_in(lab, host, 2, [("MSS", 1300)], 1300)


def test_a_changed_mtu_takes_effect(lab, mode):
    lab.start(tcp_mss_clamp="mtu", **mode)
    host = lab.host()
    assert_out(lab, host, 1, [("MSS", 1460)], 1460)
    lab.gateway.ip("link", "set", "out0", "mtu", "1280")
    lab.settle()
    assert_out(lab, host, 2, [("MSS", 1460)], 1240)


def test_reload(lab, mode):
    lab.start(**mode)
    host = lab.host()
    assert_out(lab, host, 1, [("MSS", 1460)], 1460)
    lab.agent.write(tcp_mss_clamp=1200)
    lab.agent.ctl("reload")
    assert_out(lab, host, 2, [("MSS", 1460)], 1200)
    lab.agent.write(tcp_mss_clamp=0)
    lab.agent.ctl("reload")
    assert_out(lab, host, 3, [("MSS", 1460)], 1460)
    assert len(lab.sessions(host.addr)) == 3


MALFORMED = [b"\x02\x03\x05\x00", b"\x02\x00\x00\x00", b"\x01\x02\x04\x05", b"\x05\x28\x00\x00", b"\x02\x08\x05\xb4", b"\x01\x01\x01\x02"]


@pytest.mark.parametrize("options", MALFORMED, ids=lambda o: o.hex())
def test_malformed_options_are_left_alone(clamping_lab, options):
    lab = clamping_lab
    host = lab.host()
    lab.inside.send(lab.from_inside(host, TCP(sport=5000, dport=80, flags="S", dataofs=6) / options))
    came = lab.outside.receive()
    assert came and came[54:58] == options
    # Scapy would build such options anew, so the segment is summed up as it is.
    ip = IP(came[14:34])
    assert ip.src == block_of(host.addr).addr and in4_chksum(6, ip, came[34:58]) == 0


def test_two_kernels_agree(lab, mode):
    """Linux on both sides: each sees the other's MSS as clamped."""
    lab.inside_ns.batch("addr add 10.0.0.9/16 dev eth0", "route add default via 10.0.0.1")
    lab.outside_ns.batch("addr add 198.51.100.9/24 dev eth0", "route add default via 198.51.100.1")
    lab.start(tcp_mss_clamp=1000, **mode)
    with lab.outside_ns.enter():
        listener = socket.create_server(("198.51.100.9", 8080))
    with lab.inside_ns.enter():
        client = socket.socket()
    with listener, client:
        client.settimeout(wire.PATIENCE)
        listener.settimeout(wire.PATIENCE)
        client.connect(("198.51.100.9", 8080))
        peer, _ = listener.accept()
        with peer:
            # 12 octets of each segment are the timestamp option.
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) in (1000, 988)
            assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) in (1000, 988)
            peer.settimeout(wire.PATIENCE)
            client.sendall(b"x" * 5000)
            received = b""
            while len(received) < 5000:
                received += peer.recv(5000)
