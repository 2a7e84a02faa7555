# SPDX-License-Identifier: BSD-2-Clause
"""A new lease is made for a neighbour that answers ARP, with the MAC address that its request came from."""

import itertools

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

import pcp_client as pcp
import wire
from agent import wait_for
from lab import GATEWAY_IN, IN_MAC, Lab
from test_pcp import leases

FORGER_MAC = "02:00:01:66:66:66"

_subscribers = (f"10.0.3.{n}" for n in itertools.count(10))


def configured(**changes):
    return {"pcp": {"listen": [GATEWAY_IN], "announce": False, **changes}, "metrics": {"listen": "127.0.0.1:9469"}}


@pytest.fixture(scope="module")
def pcp_lab(run_directory):
    """A lab with PCP, shared by the tests of the module; each uses its own subscribers."""
    lab = Lab(run_directory)
    try:
        lab.start(**configured())
        yield lab
    finally:
        lab.close()


@pytest.fixture
def subscriber():
    return next(_subscribers)


def mac_of(addr):
    return "02:00:01:" + ":".join(f"{int(n):02x}" for n in addr.split(".")[1:])


def ask(lab, addr, mac, **what):
    lab.inside.send(Ether(src=mac, dst=IN_MAC) / IP(src=addr, dst=GATEWAY_IN) / UDP(sport=5350, dport=5351)
                    / pcp.map_request(addr, **what))


def answer_arp(lab, addr, mac):
    """Answers the gateway's question for an address."""
    while True:
        arp = lab.inside.packet(kinds=(wire.ETH_ARP,))[ARP]
        if (arp.op, arp.pdst) == (1, addr):
            break
    lab.inside.send(Ether(src=mac, dst=IN_MAC) / ARP(op=2, hwsrc=mac, psrc=addr, hwdst=arp.hwsrc, pdst=arp.psrc))


def answer(lab, addr):
    """The next response to an address."""
    while True:
        packet = lab.inside.packet()
        if UDP in packet and (packet[UDP].sport, packet[IP].dst) == (5351, addr):
            return pcp.decode(bytes(packet[UDP].payload))


def drops(lab):
    return {name.split('"')[1]: n for name, n in pcp.figures(lab.gateway).items() if name.startswith("detnat_pcp_dropped_total{")}


def wait_for_drop(lab, reason, before, count=1):
    wait_for(lambda: drops(lab)[reason] - before[reason] == count, what=f"{count} dropped as {reason}, {before}")


def test_a_known_neighbour_gets_a_lease_from_its_own_mac_address_alone(pcp_lab, subscriber):
    lab, before = pcp_lab, drops(pcp_lab)
    host = lab.host(subscriber)
    ask(lab, host.addr, FORGER_MAC)
    wait_for_drop(lab, "forged", before)
    assert leases(lab.agent, host.addr) == []
    lab.inside.assert_silent()
    ask(lab, host.addr, host.mac)
    assert answer(lab, host.addr).result == "SUCCESS"


def test_an_unknown_neighbour_gets_its_lease_when_it_answers(pcp_lab, subscriber):
    lab = pcp_lab
    lab.inside.clear()
    ask(lab, subscriber, mac_of(subscriber), port=8080)
    answer_arp(lab, subscriber, mac_of(subscriber))
    response = answer(lab, subscriber)
    assert response.result == "SUCCESS"
    assert [lease["in_port"] for lease in leases(lab.agent, subscriber)] == [8080]
    # It was answered once.
    ask(lab, subscriber, mac_of(subscriber), port=8081)
    assert answer(lab, subscriber).octets[40:42] == (8081).to_bytes(2, "big")


def test_who_forges_an_unknown_neighbour_gets_nothing_when_that_answers(pcp_lab, subscriber):
    lab, before = pcp_lab, drops(pcp_lab)
    lab.inside.clear()
    ask(lab, subscriber, FORGER_MAC)
    answer_arp(lab, subscriber, mac_of(subscriber))
    wait_for_drop(lab, "forged", before)
    assert leases(lab.agent, subscriber) == []


def test_a_neighbour_that_nobody_is_gets_nothing(pcp_lab, subscriber):
    lab, before = pcp_lab, drops(pcp_lab)
    ask(lab, subscriber, FORGER_MAC)
    wait_for_drop(lab, "unknown", before)
    assert leases(lab.agent, subscriber) == []


def test_a_host_that_forges_all_its_neighbours_leaves_the_others_their_leases(pcp_lab, subscriber):
    """No lease is made, and a neighbour that is known gets its own at once, meanwhile too."""
    lab, host = pcp_lab, pcp_lab.host(subscriber)
    before, count = drops(lab), len(leases(lab.agent))
    for n in range(1000):
        ask(lab, f"10.0.{32 + n // 250}.{1 + n % 250}", FORGER_MAC)
        if n == 500:
            ask(lab, host.addr, host.mac)
            assert answer(lab, host.addr).result == "SUCCESS"
    wait_for_drop(lab, "unknown", before, 1000)
    assert len(leases(lab.agent)) == count + 1


def test_who_knows_the_nonce_of_a_lease_renews_and_ends_it_whatever_its_mac_address(pcp_lab, subscriber):
    """As with a new network adapter, before the gateway has noticed."""
    lab, host = pcp_lab, pcp_lab.host(subscriber)
    ask(lab, host.addr, host.mac, lifetime=600)
    assert answer(lab, host.addr).result == "SUCCESS"
    for lifetime in (3600, 0):
        ask(lab, host.addr, FORGER_MAC, lifetime=lifetime)
        response = answer(lab, host.addr)
        assert (response.result, response.lifetime) == ("SUCCESS", lifetime)
    assert leases(lab.agent, host.addr) == []


def test_without_confirm_neighbours_each_source_is_taken(lab):
    agent = lab.start(**configured(confirm_neighbours=False))
    host = lab.host()
    ask(lab, host.addr, FORGER_MAC)
    assert answer(lab, host.addr).result == "SUCCESS"
    assert len(leases(agent)) == 1
    agent.write(**configured())
    agent.ctl("reload")
    before = drops(lab)
    ask(lab, host.addr, FORGER_MAC, port=80)
    wait_for_drop(lab, "forged", before)


def test_hosts_on_a_link_without_arp_are_taken(lab):
    """Only the other end of the link can send there."""
    lab.gateway.batch("link set in0 arp off")
    agent = lab.start(**configured())
    ask(lab, "10.0.3.3", FORGER_MAC)
    wait_for(lambda: [lease["in_addr"] for lease in leases(agent)] == ["10.0.3.3"], what="the lease")
