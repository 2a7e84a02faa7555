# SPDX-License-Identifier: BSD-2-Clause
"""Sources that say of a packet to a pool address that it comes from elsewhere than it does. It reaches nobody."""

import pytest
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, MAPPING, OUT_MAC, ROUTER_MAC, SERVER, Lab, block_of

WEB, BOUND, OPEN, PLAIN = "10.0.1.1", "10.0.16.5", "10.0.17.0", "10.0.17.4"
OPEN_OUT, PLAIN_OUT = "1.1.2.0", "1.1.2.4"
EIF = {"in": "10.0.16.0/24", "out": "1.1.3.0/29"}
FORGER = "02:00:01:00:99:99"


@pytest.fixture(scope="module")
def forged_lab(run_directory, mode):
    """With all that can be reached: a portmap, a bound port, an open and a plain mapping of one to one, a session."""
    it = Lab(run_directory)
    try:
        out = block_of(WEB).addr
        it.start(portmaps=[{"proto": "tcp", "in": f"{WEB}:8080", "out": f"{out}:80"}], mappings=[
            MAPPING, {**EIF, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}},
            {"in": f"{OPEN}/32", "out": f"{OPEN_OUT}/32", "inbound": "open"},
            {"in": f"{PLAIN}/32", "out": f"{PLAIN_OUT}/32"}], **mode)
        for addr in (WEB, BOUND, OPEN, PLAIN):
            it.host(addr)
        it.session_port = it.open_udp(it.host(WEB), 5000, SERVER, 53)
        it.bound_port = it.open_udp(it.host(BOUND), 3074, SERVER, 53, EIF)
        yield it
    finally:
        it.close()


def targets(lab):
    """Packets, without a source, that reach somebody if they come from outside."""
    yield "session", lab.session_port[0], UDP(sport=53, dport=lab.session_port[1]) / b"forged"
    yield "portmap", block_of(WEB).addr, TCP(sport=999, dport=80, flags="S")
    yield "bound port", lab.bound_port[0], UDP(sport=4444, dport=lab.bound_port[1]) / b"forged"
    yield "open", OPEN_OUT, UDP(sport=53, dport=53) / b"forged"
    yield "echo to open", OPEN_OUT, ICMP(type=8, id=7) / b"forged"
    yield "GRE", PLAIN_OUT, GRE() / b"forged12"


def frames(lab, src, macs):
    for _, dst, payload in targets(lab):
        packet = Ether(src=macs[0], dst=macs[1]) / IP(src=src, dst=dst, id=77) / payload
        yield Ether(bytes(packet))
        yield from (Ether(bytes(f)) for f in fragment(packet / bytes(64), fragsize=48))
    out = lab.session_port
    yield Ether(src=macs[0], dst=macs[1]) / IP(src=src, dst=out[0]) / ICMP(type=3, code=3) / IP(src=out[0], dst=SERVER) / UDP(
        sport=out[1], dport=53, len=8)


def test_an_outside_source_from_inside_reaches_nobody(forged_lab):
    lab = forged_lab
    sent = list(frames(lab, SERVER, (FORGER, IN_MAC)))
    before = len(lab.sessions())
    with lab.counting(drop_spoofed=len(sent)):
        lab.inside.send(*sent)
    lab.inside.assert_silent()
    lab.outside.assert_silent()
    assert len(lab.sessions()) == before


@pytest.mark.parametrize("src", [GATEWAY_IN, GATEWAY_OUT])
def test_the_gateways_own_address_from_outside_reaches_nobody(forged_lab, src):
    lab = forged_lab
    sent = list(frames(lab, src, (ROUTER_MAC, OUT_MAC)))
    before = len(lab.sessions())
    lab.outside.send(*sent)
    # What the kernel forwards it drops by itself. Then comes what is answered to.
    lab.send_in(lab.from_outside(lab.session_port[0], UDP(sport=53, dport=lab.session_port[1]) / b"true"), lab.host(WEB), 5000)
    lab.inside.assert_silent()
    assert len(lab.sessions()) == before


def test_what_comes_from_where_it_says_reaches_them(forged_lab):
    lab = forged_lab
    lab.send_in(lab.from_outside(lab.session_port[0], UDP(sport=53, dport=lab.session_port[1]) / b"true"), lab.host(WEB), 5000)
    lab.send_in(lab.from_outside(block_of(WEB).addr, TCP(sport=999, dport=80, flags="S")), lab.host(WEB), 8080)
    lab.send_in(lab.from_outside(OPEN_OUT, UDP(sport=53, dport=53) / b"true"), lab.host(OPEN), None)
    lab.send_in(lab.from_outside(PLAIN_OUT, GRE() / b"true-8oc"), lab.host(PLAIN), None)


def test_the_reverse_path_filter_counts_for_pool_addresses_too(forged_lab):
    """A host behind another inside interface, whose address is in no mapping and not private."""
    lab = forged_lab
    lab.gateway.batch("link add in9 type veth peer name in9-far", "link set in9 up", "link set in9-far up", "route add 192.0.9.0/24 dev in9")
    lab.agent.ctl("interface", "add", "in9", "inside")
    lab.gateway.sysctl("net.ipv4.conf.in0.rp_filter", 1)
    packet = Ether(src=FORGER, dst=IN_MAC) / IP(src="192.0.9.9", dst=OPEN_OUT) / UDP(sport=53, dport=53) / b"forged"
    try:
        def dropped():
            before = lab.agent.counters()["drop_spoofed"]
            lab.inside.send(packet)
            lab.settle()
            return lab.agent.counters()["drop_spoofed"] > before

        wait_for(dropped, what="the filter")
        lab.inside.clear()
        # Fragments of the test before may be given up only now.
        with lab.counting(drop_spoofed=1, drop_fragment=None):
            lab.inside.send(packet)
        lab.inside.assert_silent()
    finally:
        lab.gateway.sysctl("net.ipv4.conf.in0.rp_filter", 0)
        lab.agent.ctl("interface", "del", "in9", "inside")
        lab.gateway.ip("link", "del", "in9")
