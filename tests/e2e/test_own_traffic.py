# SPDX-License-Identifier: BSD-2-Clause
"""What detnat leaves alone: the gateway's own traffic, traffic between inside addresses, what no mapping covers."""

import socket

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

import packets
from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, OUT_MAC, SERVER, SERVER_MAC


@pytest.fixture
def own_socket(each):
    with each.gateway.enter():
        it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.settimeout(5)
    it.bind((GATEWAY_OUT, 0))
    with it:
        yield it


def test_the_gateways_own_packets_go_out_and_answers_come_in_as_they_are(each, own_socket):
    port = own_socket.getsockname()[1]
    own_socket.sendto(b"question", (SERVER, 53))
    out = each.outside.packet()
    assert (out.src, out.dst) == (OUT_MAC, SERVER_MAC)
    assert (out[IP].src, out[UDP].sport, out[IP].dst, out[UDP].dport, out[IP].ttl) == (GATEWAY_OUT, port, SERVER, 53, 64)
    each.outside.send(each.from_outside(GATEWAY_OUT, UDP(sport=53, dport=port) / b"answer"))
    assert own_socket.recvfrom(100) == (b"answer", (SERVER, 53))


def test_strangers_reach_the_gateways_own_services(each, own_socket):
    port = own_socket.getsockname()[1]
    each.outside.send(each.from_outside(GATEWAY_OUT, UDP(sport=1234, dport=port) / b"hello", src="203.0.113.5"))
    assert own_socket.recvfrom(100) == (b"hello", ("203.0.113.5", 1234))


@pytest.mark.parametrize("address", [GATEWAY_IN, GATEWAY_OUT])
def test_subscribers_reach_the_gateways_own_addresses(each, address):
    host = each.host()
    each.inside.send(each.from_inside(host, ICMP(type=8, id=5, seq=6) / b"data", dst=address))
    answer = each.inside.packet()
    assert (answer.src, answer.dst) == (IN_MAC, host.mac)
    assert (answer[IP].src, answer[IP].dst) == (address, host.addr)
    assert (answer[ICMP].type, answer[ICMP].id, answer[ICMP].seq) == (0, 5, 6)
    assert each.sessions(host.addr) == []


def test_a_subscriber_and_a_service_of_the_gateway(each, own_socket):
    host = each.host()
    port = own_socket.getsockname()[1]
    each.inside.send(each.from_inside(host, UDP(sport=4444, dport=port) / b"up", dst=GATEWAY_OUT))
    assert own_socket.recvfrom(100) == (b"up", (host.addr, 4444))
    own_socket.sendto(b"down", (host.addr, 4444))
    down = each.inside.packet()
    assert (down[IP].src, down[UDP].sport, down[IP].dst, down[UDP].dport) == (GATEWAY_OUT, port, host.addr, 4444)


@pytest.mark.parametrize("payload", [UDP(sport=1, dport=2), TCP(sport=1, dport=2, flags="S"), ICMP(type=8, id=3)], ids=lambda p: p.name)
def test_inside_to_inside_is_routed_as_it_is(each, payload):
    for name in ("all", "in0"):
        each.gateway.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
    host, other = each.host(), each.host()
    packet = each.from_inside(host, payload, dst=other.addr)
    each.inside.send(packet)
    each.inside.expect(packets.translated(packet, (IN_MAC, other.mac)))
    assert each.sessions(host.addr) == []


@pytest.fixture(scope="module")
def unmatched(run_directory, mode):
    """Labs by the value of `unmatched`, made when first asked for."""
    import lab

    labs = {}

    def get(policy):
        if policy not in labs:
            labs[policy] = lab.Lab(run_directory)
            labs[policy].gateway.ip("route", "add", "10.200.0.0/16", "dev", "in0")
            labs[policy].gateway.ip("route", "add", "203.0.113.0/24", "dev", "in0")
            labs[policy].start(unmatched=policy, **mode)
        return labs[policy]

    try:
        yield get
    finally:
        for it in labs.values():
            it.close()


PRIVATE = ["10.200.0.9", "10.0.64.9", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "100.127.255.254"]
PUBLIC = ["203.0.113.50", "172.15.0.1", "172.32.0.1", "192.169.0.1", "100.63.0.1", "100.128.0.1", "11.0.0.1", "9.255.255.255"]


@pytest.mark.parametrize("policy,dropped,routed", [
    ("drop-private", PRIVATE, PUBLIC), ("route", [], PRIVATE + PUBLIC), ("drop", PRIVATE + PUBLIC, [])],
    ids=["drop-private", "route", "drop"])
def test_sources_of_no_mapping(unmatched, policy, dropped, routed):
    lab = unmatched(policy)
    for address in dropped:
        with lab.counting(drop_no_mapping=1):
            lab.inside.send(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)))
        lab.outside.assert_silent()
    for address in routed:
        lab.send_out(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)), (address, 1))
        lab.send_out(lab.from_inside(lab.host(address), TCP(sport=1, dport=2, flags="S"), dst="192.0.2.55"), (address, 1))
    assert lab.sessions() == []


def test_answers_to_what_was_routed_come_back(unmatched):
    lab = unmatched("drop-private")
    host = lab.host("203.0.113.50")
    lab.send_in(lab.from_outside(host.addr, UDP(sport=53, dport=1000)), host, 1000)


@pytest.mark.parametrize("policy", ["drop-private", "route", "drop"])
def test_unmatched_traffic_to_the_gateway_is_untouched(unmatched, policy):
    lab = unmatched(policy)
    host = lab.host("10.200.0.9")
    lab.inside.send(lab.from_inside(host, ICMP(type=8, id=5), dst=GATEWAY_IN))
    answer = lab.inside.packet()
    assert (answer[IP].src, answer[IP].dst, answer[ICMP].type) == (GATEWAY_IN, host.addr, 0)


def test_what_is_not_ipv4_goes_up(each):
    """An ARP request on the inside is the kernel's to answer; IPv6 and VLAN frames are dropped by none of ours."""
    host = each.host()
    with each.counting():
        each.inside.send(
            Ether(src=host.mac, dst=IN_MAC, type=0x86DD) / (b"\x60" + bytes(60)),
            Ether(src=host.mac, dst=IN_MAC, type=0x88CC) / bytes(46),
            Ether(src=host.mac, dst=IN_MAC, type=0x0806) / bytes(28),
            Ether(src=host.mac, dst=IN_MAC, type=0x8863) / bytes(46),
        )
        each.open_udp(host)


def test_straight_to_an_inside_address_is_dropped(each):
    host = each.host()
    with each.counting(drop_direct_to_inside=2):
        each.outside.send(each.from_outside(host.addr, UDP(sport=53, dport=5000)),
                          each.from_outside("10.0.33.33", TCP(sport=80, dport=22, flags="S"), src="203.0.113.9"))
    each.inside.assert_silent()
    # The gateway's own address lies in the mapping and is let through.
    each.outside.send(each.from_outside(GATEWAY_IN, ICMP(type=8, id=9)))
    answer = each.outside.packet()
    assert (answer[IP].src, answer[IP].dst, answer[ICMP].type) == (GATEWAY_IN, SERVER, 0)


@pytest.fixture
def inside_a_pool(lab, mode):
    """The gateway's outside address is also one of the pool's."""
    lab.start(mappings=[{"in": "10.0.0.0/18", "out": "198.51.100.0/30"}], **mode)
    return lab


def test_an_own_address_inside_a_pool(inside_a_pool):
    lab = inside_a_pool
    with lab.gateway.enter():
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with own:
        own.settimeout(5)
        own.bind((GATEWAY_OUT, 0))
        port = own.getsockname()[1]
        own.sendto(b"question", (SERVER, 53))
        out = lab.outside.packet()
        assert (out[IP].src, out[UDP].sport) == (GATEWAY_OUT, port)
        lab.outside.send(lab.from_outside(GATEWAY_OUT, UDP(sport=53, dport=port) / b"answer"))
        assert own.recvfrom(100) == (b"answer", (SERVER, 53))
    lab.outside.send(lab.from_outside(GATEWAY_OUT, ICMP(type=8, id=9)))
    answer = lab.outside.packet()
    assert (answer[IP].src, answer[IP].dst, answer[ICMP].type) == (GATEWAY_OUT, SERVER, 0)


def test_priority_tags_are_no_vlan(each):
    """Frames of VLAN 0 are the interface's own: to the gateway they go up as they are, others are translated."""
    from scapy.layers.l2 import Dot1Q

    host = each.host()
    src = each.open_udp(host)
    packet = each.from_inside(host, UDP(sport=5000, dport=53) / b"tagged")
    each.inside.send(Ether(src=host.mac, dst=IN_MAC) / Dot1Q(vlan=0, prio=5) / packet[IP])
    each.outside.expect(each.going_out(packet, src))
    ping = each.from_inside(host, ICMP(type=8, id=5), dst=GATEWAY_IN)
    each.inside.send(Ether(src=host.mac, dst=IN_MAC) / Dot1Q(vlan=0, prio=5) / ping[IP])
    answer = each.inside.packet()
    assert (answer[IP].src, answer[ICMP].type) == (GATEWAY_IN, 0)
