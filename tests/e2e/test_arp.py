# SPDX-License-Identifier: BSD-2-Clause
"""Pool addresses on the outside network: ARP is answered for them, and unanswered packets do not loop."""

import errno
import json
import socket

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP, Ether

from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, OUT_MAC, ROUTER, ROUTER_MAC
from wire import ETH_ARP, ETH_IPV4

BROADCAST = "ff:ff:ff:ff:ff:ff"


def request(target, source=ROUTER, mac=ROUTER_MAC, to=BROADCAST, **fields):
    return Ether(src=mac, dst=to) / ARP(op=1, hwsrc=mac, psrc=source, pdst=target, **fields)


def assert_answered(wire, packet, mac):
    asked = packet[ARP]
    frame = wire.packet(kinds=(ETH_ARP,))
    wanted = Ether(src=mac, dst=asked.hwsrc) / ARP(op=2, hwsrc=mac, psrc=asked.pdst, hwdst=asked.hwsrc, pdst=asked.psrc)
    assert bytes(frame)[:42] == bytes(wanted), f"{frame.show(dump=True)}\nwanted {wanted.show(dump=True)}"


@pytest.mark.parametrize("target", ["1.1.1.0", "1.1.1.1", "1.1.1.3"])
def test_answered_for_every_pool_address(mode_lab, target):
    packet = request(target)
    with mode_lab.counting(arp_answered=1):
        mode_lab.outside.send(packet)
        assert_answered(mode_lab.outside, packet, OUT_MAC)


def test_a_probe_without_a_sender_is_answered(mode_lab):
    packet = request("1.1.1.2", source="0.0.0.0")
    mode_lab.outside.send(packet)
    assert_answered(mode_lab.outside, packet, OUT_MAC)


def test_a_unicast_request_is_answered(mode_lab):
    packet = request("1.1.1.2", to=OUT_MAC)
    mode_lab.outside.send(packet)
    assert_answered(mode_lab.outside, packet, OUT_MAC)


def test_a_padded_request_is_answered(mode_lab):
    packet = bytes(request("1.1.1.2")) + bytes(18)
    mode_lab.outside.send(packet)
    assert_answered(mode_lab.outside, Ether(packet), OUT_MAC)


NOT = {
    "an address beside the pool": request("1.1.1.4"),
    "an address before the pool": request("1.1.0.255"),
    "an inside address": request("10.0.0.2"),
    "an unused address": request("198.51.100.99"),
    "an answer": Ether(src=ROUTER_MAC, dst=OUT_MAC) / ARP(op=2, hwsrc=ROUTER_MAC, psrc=ROUTER, hwdst=OUT_MAC, pdst="1.1.1.1"),
    "another hardware": request("1.1.1.1", hwtype=6),
    "another protocol": request("1.1.1.1", ptype=0x86DD),
    "another length of address": Ether(bytes(request("1.1.1.1"))[:18] + b"\x08\x04" + bytes(request("1.1.1.1"))[20:]),
    "cut short": Ether(bytes(request("1.1.1.1"))[:40]),
    "sent to another station": request("1.1.1.1", to="02:00:00:00:99:99"),
}


@pytest.mark.parametrize("name", NOT)
def test_not_answered(mode_lab, name):
    before = mode_lab.agent.counters()["arp_answered"]
    mode_lab.outside.send(NOT[name])
    # Frames of one wire are taken in order: once this is answered, that was not.
    marker = request("1.1.1.3", source="198.51.100.200")
    mode_lab.outside.send(marker)
    assert_answered(mode_lab.outside, marker, OUT_MAC)
    assert mode_lab.agent.counters()["arp_answered"] == before + 1


def test_the_gateway_answers_for_its_own_addresses(mode_lab):
    packet = request(GATEWAY_OUT)
    mode_lab.outside.send(packet)
    assert_answered(mode_lab.outside, packet, OUT_MAC)
    packet = request(GATEWAY_IN, source="10.0.0.77", mac="02:00:00:00:00:77")
    mode_lab.inside.send(packet)
    assert_answered(mode_lab.inside, packet, IN_MAC)


def test_not_answered_on_inside_interfaces(mode_lab):
    before = mode_lab.agent.counters()["arp_answered"]
    mode_lab.inside.send(request("1.1.1.1", source="10.0.0.77", mac="02:00:00:00:00:77"))
    marker = request(GATEWAY_IN, source="10.0.0.77", mac="02:00:00:00:00:77")
    mode_lab.inside.send(marker)
    assert_answered(mode_lab.inside, marker, IN_MAC)
    assert mode_lab.agent.counters()["arp_answered"] == before


def test_not_answered_if_disabled(lab, mode):
    lab.start(answer_arp=False, **mode)
    lab.outside.send(request("1.1.1.1"))
    marker = request(GATEWAY_OUT)
    lab.outside.send(marker)
    assert_answered(lab.outside, marker, OUT_MAC)
    assert lab.agent.counters()["arp_answered"] == 0


def test_arp_is_answered_for_a_new_mapping_and_not_for_a_deleted_one(lab):
    agent = lab.start()
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.9/32")
    packet = request("1.1.9.9")
    lab.outside.send(packet)
    assert_answered(lab.outside, packet, OUT_MAC)
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.9/32")
    lab.outside.send(packet)
    marker = request("1.1.1.1")
    lab.outside.send(marker)
    assert_answered(lab.outside, marker, OUT_MAC)


def test_pool_addresses_have_a_blackhole_route(lab):
    agent = lab.start()

    def blackholes():
        return sorted(r["dst"] for r in json.loads(lab.gateway.ip("-j", "route", "show", "type", "blackhole")))

    assert blackholes() == ["1.1.1.0/30"]
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.9/32")
    assert blackholes() == ["1.1.1.0/30", "1.1.9.9"]
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.9/32")
    assert blackholes() == ["1.1.1.0/30"]


def test_packets_without_a_session_are_not_sent_back(mode_lab):
    """Without detnat it would be routed to the router it came from."""
    with mode_lab.counting(drop_no_session=2):
        mode_lab.outside.send(mode_lab.from_outside("1.1.1.1", UDP(sport=53, dport=5000)),
                              mode_lab.from_outside("1.1.1.2", UDP(sport=53, dport=80)))
    mode_lab.outside.assert_silent()
    mode_lab.inside.assert_silent()


def test_the_gateway_itself_sends_nothing_to_pool_addresses(mode_lab):
    with mode_lab.gateway.enter():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        with pytest.raises(OSError) as error:
            sender.sendto(b"x", ("1.1.1.1", 5000))
    assert error.value.errno == errno.EINVAL
    mode_lab.outside.send(marker := request("1.1.1.1"))
    frame = mode_lab.outside.packet(kinds=(ETH_ARP, ETH_IPV4))
    assert frame.haslayer(ARP) and marker, frame.summary()
