# SPDX-License-Identifier: BSD-2-Clause
"""NAT on a stick: one interface inside and outside at once."""

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

import packets
from lab import IN_MAC, MAPPING, SERVER, SERVER_MAC, Lab, block_of
from test_arp import assert_answered, request


@pytest.fixture(scope="module")
def stick_lab(run_directory, mode):
    """Subscribers and the server on the wire of in0; out0 is not used."""
    it = Lab(run_directory)
    try:
        set_up(it, mode)
        yield it
    finally:
        it.close()


def set_up(lab, mode):
    gateway = lab.gateway
    gateway.ip("link", "set", "out0", "down")
    for name in ("all", "in0"):
        gateway.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
    gateway.batch(
        "addr add 192.0.2.1/24 dev in0",
        "route add default via 192.0.2.254 dev in0",
        f"neigh add 192.0.2.254 lladdr {SERVER_MAC} dev in0 nud permanent",
    )
    lab.start(interfaces={"inside": ["in0"], "outside": ["in0"]}, **mode)


def exchange(lab, host, payload_out, answer, port, src):
    out = lab.from_inside(host, payload_out)
    lab.inside.send(out)
    lab.inside.expect(packets.translated(out, (IN_MAC, SERVER_MAC), src=src))
    back = packets.rebuilt(Ether(src=SERVER_MAC, dst=IN_MAC) / packets.IP(src=SERVER, dst=src[0]) / answer)
    lab.inside.send(back)
    lab.inside.expect(packets.translated(back, (IN_MAC, host.mac), dst=(host.addr, port)))


def test_both_directions_through_one_interface(stick_lab):
    host = stick_lab.host()
    block = block_of(host.addr)
    (interface,) = stick_lab.agent.ctl("interface", "list")
    assert (interface["name"], interface["role"]) == ("in0", "both")
    exchange(stick_lab, host, UDP(sport=5000, dport=53) / b"q", UDP(sport=53, dport=block.first_choice(5000)[1]) / b"a", 5000, block.first_choice(5000))
    src = block.first_choice(5001)
    exchange(stick_lab, host, TCP(sport=5001, dport=80, flags="S"), TCP(sport=80, dport=src[1], flags="SA"), 5001, src)
    exchange(stick_lab, host, ICMP(type=8, id=9), ICMP(type=0, id=block.first_choice(9)[1]), 9, block.first_choice(9))
    assert len(stick_lab.sessions(host.addr)) == 3
    assert stick_lab.agent.ctl("mapping", "list")[0]["in"] == MAPPING["in"]


def test_arp_is_answered(stick_lab):
    packet = request("1.1.1.1", source="192.0.2.254", mac=SERVER_MAC)
    stick_lab.inside.send(packet)
    assert_answered(stick_lab.inside, packet, IN_MAC)


def test_the_gateway_answers_on_its_own_addresses(stick_lab):
    host = stick_lab.host()
    ping = packets.rebuilt(Ether(src=host.mac, dst=IN_MAC) / packets.IP(src=host.addr, dst="10.0.0.1") / ICMP(type=8, id=5))
    stick_lab.inside.send(ping)
    answer = stick_lab.inside.packet()
    assert (answer[packets.IP].src, answer[ICMP].type, answer[ICMP].id) == ("10.0.0.1", 0, 5)
    assert not answer.haslayer(ARP) and stick_lab.sessions(host.addr) == []


def test_packets_without_a_session_neither_enter_nor_loop(stick_lab):
    with stick_lab.counting(drop_no_session=1):
        stick_lab.inside.send(packets.rebuilt(Ether(src=SERVER_MAC, dst=IN_MAC) / packets.IP(src=SERVER, dst="1.1.1.1") / UDP(sport=53, dport=5000)))
    stick_lab.inside.assert_silent()
