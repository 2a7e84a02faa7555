# SPDX-License-Identifier: BSD-2-Clause
"""What has an outside endpoint, however it came by it: both ways, and with ICMP errors about it."""

import dataclasses

import pytest
from scapy.layers.inet import ICMP, IP, UDP

import packets
import pcp_client as pcp
from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, MAPPING, OUT_MAC, SERVER, SERVER_MAC, Host, Lab, block_of
from test_icmp_errors import ROUTER_FAR, error_in, mtu, with_ttl

HOMES = {**MAPPING, "name": "homes"}
BOUND = {"name": "bound", "in": "10.0.64.0/24", "out": "1.1.2.0/30", "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}
SMALL = {"in": "10.0.65.0/24", "out": "1.1.3.0/30", "session_slots": 8}
ROUTED = {"in": "10.0.66.0/28", "out": None}
OPEN = {"in": "10.0.67.1/32", "out": "1.1.4.1/32", "inbound": "open"}
BEFORE, AFTER = ({"in": "10.0.68.0/24", "out": out} for out in ("1.1.5.0/30", "1.1.6.0/30"))
PORT = 5000
QUIET = "table ip quiet { chain out { type filter hook output priority 0; ip daddr 224.0.0.1 drop; }; }"


@dataclasses.dataclass
class Endpoint:
    """An inside endpoint and the outside one that stands for it, towards port 53 of the server."""

    host: Host
    out: tuple


def opened(lab, host, mapping):
    return Endpoint(host, lab.open_udp(host, PORT, mapping=mapping))


def of_a_session(lab):
    return opened(lab, lab.host("10.0.0.9"), HOMES)


def of_a_portmap(lab):
    return Endpoint(lab.host("10.0.0.10"), ("1.1.1.0", 443))


def of_a_lease(lab):
    host = lab.host("10.0.0.11")
    suggest = block_of(host.addr, HOMES).first_choice(77)
    request = pcp.map_request(host.addr, proto=pcp.UDP, port=PORT, suggest=suggest)
    lab.inside.send(lab.from_inside(host, UDP(sport=40000, dport=5351) / request, GATEWAY_IN))
    response = pcp.decode(bytes(lab.inside.packet()[UDP].payload))
    assert (response.result, response.out) == ("SUCCESS", suggest)
    return Endpoint(host, response.out)


def of_a_binding(lab):
    """Bound towards another server, so that the port is the binding's alone."""
    host = lab.host("10.0.64.12")
    return Endpoint(host, lab.open_udp(host, PORT, dst="192.0.2.9", mapping=BOUND))


def beyond_the_slots(lab):
    host = lab.host("10.0.65.13")
    block = block_of(host.addr, SMALL)
    with lab.counting(sessions_overflowed=None):
        for port in range(PORT + 1, PORT + 9):
            lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=99)))
            lab.outside.packet()
    with lab.counting(sessions_overflowed=1):
        lab.inside.send(lab.from_inside(host, UDP(sport=PORT, dport=53) / b"query"))
        came = lab.outside.packet()
    assert came[IP].src == block.addr and block.lo <= came[UDP].sport <= block.hi
    return Endpoint(host, (came[IP].src, came[UDP].sport))


def not_translated(lab):
    host = lab.host("10.0.66.1")
    return Endpoint(host, (host.addr, PORT))


def of_an_open_mapping(lab):
    return Endpoint(lab.host("10.0.67.1"), ("1.1.4.1", PORT))


def that_drains(lab):
    endpoint = opened(lab, lab.host("10.0.68.14"), BEFORE)
    lab.agent.ctl("mapping", "add", AFTER["in"], AFTER["out"], "--replace", "--drain", "600")
    return endpoint


KINDS = (of_a_session, of_a_portmap, of_a_lease, of_a_binding, beyond_the_slots, not_translated, of_an_open_mapping, that_drains)


@pytest.fixture(scope="module")
def endpoints(run_directory, mode):
    """A lab in which each kind has its endpoint."""
    lab = Lab(run_directory)
    try:
        lab.gateway.sysctl("net.ipv4.icmp_ratelimit", 0)
        # PCP announces its start for a minute.
        lab.gateway.run("nft", "-f", "-", input=QUIET)
        lab.start(mappings=[HOMES, BOUND, SMALL, ROUTED, OPEN, BEFORE], pcp={"listen": [GATEWAY_IN], "mappings": ["homes"]},
                  portmaps=[{"proto": "udp", "in": f"10.0.0.10:{PORT}", "out": "1.1.1.0:443"}], **mode)
        made = {kind: kind(lab) for kind in KINDS}
        yield lab, made
    finally:
        lab.close()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def lab_and_endpoint(endpoints, request):
    lab, made = endpoints
    lab.inside.clear()
    lab.outside.clear()
    return lab, made[request.param]


def query(lab, endpoint, payload=b"question", **ip):
    return lab.from_inside(endpoint.host, UDP(sport=PORT, dport=53) / payload, **ip)


def answer(lab, endpoint, payload=b"an answer", **ip):
    return lab.from_outside(endpoint.out[0], UDP(sport=53, dport=endpoint.out[1]) / payload, **ip)


def test_both_ways(lab_and_endpoint):
    lab, endpoint = lab_and_endpoint
    for _ in range(2):
        lab.send_out(query(lab, endpoint), endpoint.out)
        lab.send_in(answer(lab, endpoint), endpoint.host, PORT)


@pytest.mark.parametrize("kind", [(11, 0), (3, 4), (3, 1)], ids=["ttl", "mtu", "host"])
def test_a_routers_error_from_outside(lab_and_endpoint, kind):
    lab, endpoint = lab_and_endpoint
    sent = query(lab, endpoint)
    seen = lab.send_out(sent, endpoint.out)
    error = error_in(lab, endpoint.out[0], kind, with_ttl(seen, 1))
    lab.outside.send(error)
    came = lab.inside.packet()
    assert (came.src, came.dst) == (IN_MAC, endpoint.host.mac)
    assert (came[IP].src, came[IP].dst, came[IP].ttl) == (ROUTER_FAR, endpoint.host.addr, 63)
    assert (came[ICMP].type, came[ICMP].code) == kind and bytes(came[ICMP])[4:8] == bytes(error[ICMP])[4:8]
    assert packets.quote_of(came) == with_ttl(sent, 1)
    packets.assert_checksums(came)


def test_the_hosts_error_from_inside(lab_and_endpoint):
    lab, endpoint = lab_and_endpoint
    lab.send_out(query(lab, endpoint), endpoint.out)
    sent = answer(lab, endpoint)
    arrived = lab.send_in(sent, endpoint.host, PORT)
    lab.inside.send(lab.from_inside(endpoint.host, ICMP(type=3, code=3) / bytes(arrived[IP])))
    came = lab.outside.packet()
    assert (came.src, came.dst) == (OUT_MAC, SERVER_MAC)
    assert (came[IP].src, came[IP].dst, came[IP].ttl) == (endpoint.out[0], SERVER, 63)
    assert packets.quote_of(came) == with_ttl(sent, 63)
    packets.assert_checksums(came)


def test_an_inside_routers_error(lab_and_endpoint):
    """No inside address leaves, but those that are routed."""
    lab, endpoint = lab_and_endpoint
    lab.send_out(query(lab, endpoint), endpoint.out)
    sent = answer(lab, endpoint)
    arrived = lab.send_in(sent, endpoint.host, PORT)
    router = lab.host("10.0.200.1")
    lab.inside.send(lab.from_inside(router, ICMP(type=3, code=4, nexthopmtu=1280) / bytes(arrived[IP])[:28]))
    if endpoint.out[0] == endpoint.host.addr:
        return
    came = lab.outside.packet()
    assert (came[IP].src, came[IP].dst) == (GATEWAY_OUT, SERVER)
    assert (came[ICMP].type, came[ICMP].code, came[ICMP].nexthopmtu) == (3, 4, 1280)
    assert packets.quote_of(came)[:24] == with_ttl(sent, 63)[:24]
    packets.assert_checksums(came)


def test_a_traceroute_from_inside(lab_and_endpoint):
    lab, endpoint = lab_and_endpoint
    packet = query(lab, endpoint, ttl=1)
    lab.inside.send(packet)
    packets.assert_icmp_error(lab.inside.packet(), 11, 0, GATEWAY_IN, endpoint.host.addr, packet)
    lab.outside.assert_silent()
    lab.send_out(query(lab, endpoint, ttl=2), endpoint.out)


def test_a_traceroute_from_outside(lab_and_endpoint):
    lab, endpoint = lab_and_endpoint
    lab.send_out(query(lab, endpoint), endpoint.out)
    packet = answer(lab, endpoint, ttl=1)
    lab.outside.send(packet)
    packets.assert_icmp_error(lab.outside.packet(), 11, 0, GATEWAY_OUT, SERVER, packet)
    lab.inside.assert_silent()
    lab.send_in(answer(lab, endpoint, ttl=2), endpoint.host, PORT)


def test_too_big_either_way(lab_and_endpoint):
    lab, endpoint = lab_and_endpoint
    lab.send_out(query(lab, endpoint), endpoint.out)
    with mtu(lab, "out0", 1200):
        packet = query(lab, endpoint, bytes(1300), flags="DF")
        lab.inside.send(packet)
        came = lab.inside.packet()
        packets.assert_icmp_error(came, 3, 4, GATEWAY_IN, endpoint.host.addr, packet)
        assert came[ICMP].nexthopmtu == 1200
        lab.outside.assert_silent()
        lab.send_out(query(lab, endpoint, bytes(1172), flags="DF"), endpoint.out)
    with mtu(lab, "in0", 1200):
        packet = answer(lab, endpoint, bytes(1300), flags="DF")
        lab.outside.send(packet)
        came = lab.outside.packet()
        packets.assert_icmp_error(came, 3, 4, GATEWAY_OUT, SERVER, packet)
        assert came[ICMP].nexthopmtu == 1200
        lab.inside.assert_silent()
        lab.send_in(answer(lab, endpoint, bytes(1172), flags="DF"), endpoint.host, PORT)
