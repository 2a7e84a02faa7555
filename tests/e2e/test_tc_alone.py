# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces without XDP: by configuration, by need, one of them alone, without an Ethernet header."""

import fcntl
import os
import select
import struct

import pytest
from agent import wait_for
from lab import SERVER, block_of
from scapy.layers.inet import IP, TCP, UDP
from test_history import attach_foreign_program

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def modes(lab):
    return {i["name"]: (i["xdp"], i["xdp_reason"]) for i in lab.agent.ctl("interface", "list")}


def filters(lab, name):
    return {side: "tc_" in lab.gateway.run("tc", "filter", "show", "dev", name, side).stdout for side in ("ingress", "egress")}


class Tun:
    """An interface without an Ethernet header whose other end is this object."""

    def __init__(self, namespace, name):
        with namespace.enter():
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        namespace.ip("link", "set", name, "up")

    def send(self, packet):
        os.write(self.fd, bytes(packet))

    def receive(self, timeout=10):
        """The next IPv4 packet."""
        while select.select([self.fd], [], [], timeout)[0]:
            packet = os.read(self.fd, 65536)
            if packet[0] >> 4 == 4:
                return IP(packet)
        raise AssertionError("nothing came")

    def close(self):
        os.close(self.fd)


def test_the_list_says_none_and_why(lab):
    lab.start(xdp_mode="none")
    assert modes(lab) == {"in0": ("none", "configured"), "out0": ("none", "configured")}
    listed = lab.agent.ctl("interface", "list")
    assert {(i["forwarding"], i["forwarding_reason"]) for i in listed} == {("kernel", "no XDP")}
    assert lab.agent.ctl("status")["forwarding"] == "kernel"
    assert filters(lab, "in0") == {"ingress": True, "egress": False}
    assert filters(lab, "out0") == {"ingress": True, "egress": True}
    assert lab.agent.ctl("check")["findings"] == []


def test_one_interface_alone(lab):
    lab.start(interfaces={"inside": ["in0"], "outside": [{"name": "out0", "xdp_mode": "none"}]}, xdp_mode="native")
    assert modes(lab) == {"in0": ("native", None), "out0": ("none", "configured")}
    host = lab.host()
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert lab.agent.ctl("config", "show")["interfaces"]["outside"] == [{"name": "out0", "xdp_mode": "none"}]


@pytest.mark.parametrize("first,then", [("none", "native"), ("native", "none"), ("skb", "none"), ("none", "skb")])
def test_a_reload_changes_the_mode_and_keeps_sessions(lab, first, then):
    agent = lab.start(xdp_mode=first)
    host = lab.host()
    src = lab.open_udp(host)
    agent.write(xdp_mode=then)
    agent.ctl("reload")
    assert {mode for mode, _ in modes(lab).values()} == {then}
    assert filters(lab, "in0")["ingress"] == (then == "none")
    assert filters(lab, "out0") == {"ingress": then == "none", "egress": True}
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert len(lab.sessions(host.addr)) == 1
    assert agent.ctl("check")["findings"] == []


def test_another_program_stays_and_gives_way_later(lab):
    attach_foreign_program(lab, "out0")
    before = lab.gateway.ip("-d", "link", "show", "out0")
    agent = lab.prepare(xdp_mode="auto")
    assert agent.once("-t").status == 0
    agent.start()
    assert modes(lab)["out0"] == ("none", "carries another XDP program")
    assert lab.gateway.ip("-d", "link", "show", "out0") == before
    host = lab.host()
    src = lab.open_udp(host)

    def answered():
        lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1])))
        return agent.counters()["out2in_translated"] > 0

    wait_for(answered, timeout=60, what="the programs for tc alone")
    lab.gateway.ip("link", "set", "dev", "out0", "xdp", "off")
    wait_for(lambda: modes(lab)["out0"][0] in ("native", "skb"), timeout=60, what="XDP on the interface")
    assert filters(lab, "out0")["ingress"] is False


def test_what_is_detached_by_others_is_attached_again(lab):
    lab.start(xdp_mode="none")
    lab.gateway.run("tc", "filter", "del", "dev", "out0", "ingress")
    wait_for(lambda: filters(lab, "out0")["ingress"], timeout=60, what="the filter")


def test_the_end_leaves_nothing_behind(lab):
    agent = lab.start(xdp_mode="none", on_exit="detach")
    agent.stop()
    for name in ("in0", "out0"):
        assert filters(lab, name) == {"ingress": False, "egress": False}
        assert "clsact" not in lab.gateway.run("tc", "qdisc", "show", "dev", name).stdout


def test_a_kill_keeps_sessions_and_the_translation(lab):
    agent = lab.start(xdp_mode="none")
    host = lab.host()
    src = lab.open_udp(host)
    agent.kill()
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    agent.start()
    assert modes(lab)["out0"] == ("none", "configured")
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert len(lab.sessions(host.addr)) == 1


@pytest.fixture
def tun_lab(lab):
    """A subscriber, 10.0.9.9, behind an interface without an Ethernet header."""
    lab.tun = Tun(lab.gateway, "ppp0")
    lab.at_end(lab.tun.close)
    lab.gateway.ip("route", "add", "10.0.9.9/32", "dev", "ppp0")
    return lab


def test_a_subscriber_without_an_ethernet_header(tun_lab):
    lab = tun_lab
    lab.start(xdp_mode="auto", interfaces={"inside": ["ppp0", "in0"], "outside": ["out0"]})
    assert modes(lab)["ppp0"] == ("none", "has no Ethernet header")
    src = block_of("10.0.9.9").first_choice(5000)
    lab.tun.send(IP(src="10.0.9.9", dst=SERVER) / UDP(sport=5000, dport=53) / b"question")
    out = lab.outside.packet()
    assert (out[IP].src, out[UDP].sport, out[IP].ttl) == (*src, 63)
    lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"))
    back = lab.tun.receive()
    assert (back.dst, back[UDP].dport, bytes(back[UDP].payload)) == ("10.0.9.9", 5000, b"answer")
    want = back.copy()
    del want[IP].chksum, want[UDP].chksum
    assert bytes(IP(bytes(want))) == bytes(back), "checksums"


def test_hairpins_from_and_to_it(tun_lab):
    """Between a subscriber without and one with an Ethernet header, both ways."""
    lab = tun_lab
    lab.start(xdp_mode="none", interfaces={"inside": ["ppp0", "in0"], "outside": ["out0"]})
    host = lab.host()
    lab.gateway.ip("neigh", "replace", host.addr, "lladdr", host.mac, "dev", "in0", "nud", "permanent")
    there, here = block_of(host.addr).first_choice(4002), block_of("10.0.9.9").first_choice(4001)
    lab.tun.send(IP(src="10.0.9.9", dst=there[0]) / UDP(sport=4001, dport=there[1]) / b"first")
    wait_for(lambda: lab.agent.counters()["drop_no_session"] == 1, what="the first to be dropped")
    lab.inside.send(lab.from_inside(host, UDP(sport=4002, dport=here[1]) / b"second", dst=here[0]))
    got = lab.tun.receive()
    assert (got.src, got[UDP].sport, got.dst, got[UDP].dport, got.ttl) == (*there, "10.0.9.9", 4001, 63)
    lab.tun.send(IP(src="10.0.9.9", dst=there[0]) / UDP(sport=4001, dport=there[1]) / b"third")
    got = lab.inside.packet()
    assert (got.dst, got[IP].src, got[UDP].sport, got[IP].dst, got[UDP].dport) == (host.mac, *here, host.addr, 4002)
    assert lab.agent.counters()["hairpin_translated"] == 2


def test_an_outside_interface_without_an_ethernet_header(lab):
    lab.tun = Tun(lab.gateway, "tun0")
    lab.at_end(lab.tun.close)
    lab.gateway.batch("addr add 192.0.2.1/32 dev tun0", "route replace default dev tun0")
    lab.start(xdp_mode="auto", interfaces={"inside": ["in0"], "outside": ["tun0"]})
    host = lab.host()
    src = block_of(host.addr).first_choice(5000)
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53) / b"question", dst="203.0.113.5"))
    out = lab.tun.receive()
    assert (out.src, out[UDP].sport, out.dst, out.ttl) == (*src, "203.0.113.5", 63)
    want = out.copy()
    del want[IP].chksum, want[UDP].chksum
    assert bytes(IP(bytes(want))) == bytes(out), "checksums"
    lab.tun.send(IP(src="203.0.113.5", dst=src[0], ttl=9) / UDP(sport=53, dport=src[1]) / b"answer")
    back = lab.inside.packet()
    assert (back.dst, back[IP].dst, back[UDP].dport, back[IP].ttl) == (host.mac, host.addr, 5000, 8)
    lab.inside.send(lab.from_inside(host, TCP(sport=5000, dport=80, flags="S"), dst="203.0.113.5"))
    assert lab.tun.receive().src == src[0]


def test_an_outside_interface_that_comes_later(lab):
    agent = lab.prepare(xdp_mode="auto", interfaces={"inside": ["in0"], "outside": ["out0", "tun0"]})
    agent.start()
    lab.tun = Tun(lab.gateway, "tun0")
    lab.at_end(lab.tun.close)
    wait_for(lambda: modes(lab)["tun0"] == ("none", "has no Ethernet header"), timeout=60, what="the interface")
    lab.gateway.batch("addr add 192.0.2.1/32 dev tun0", "route add 203.0.113.0/24 dev tun0")
    host = lab.host()
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53), dst="203.0.113.5"))
    assert lab.tun.receive().src == block_of(host.addr).addr
