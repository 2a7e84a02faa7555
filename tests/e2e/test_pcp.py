# SPDX-License-Identifier: BSD-2-Clause
"""Subscribers open ports by PCP (RFC 6887): leases, their limits, what survives what, and who is not answered."""

import json
import select
import signal
import socket
import struct
import urllib.request

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

import pcp_client as pcp
import wire
from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, OUT_MAC, SERVER, SERVER_MAC, Lab, block_of
from pcp_client import Client

MAPPING = {"name": "residential", "in": "10.0.0.0/22", "out": "1.1.1.0/28"}  # 64 hosts an address, 1008 ports each
OTHER = {"name": "business", "in": "10.0.8.0/24", "out": "1.1.2.0/28"}
PCP = {"listen": [GATEWAY_IN], "mappings": ["residential"]}
HOST, NEIGHBOUR, UNSERVED, UNMAPPED = "10.0.1.9", "10.0.1.10", "10.0.8.9", "10.0.20.9"
BLOCK = block_of(HOST, MAPPING)


def real_hosts(lab):
    """Makes the hosts kernels: every address of 10.0.0.0/16 but the gateway's is one of the inside namespace's own."""
    lab.inside_ns.batch(f"addr add {HOST}/16 dev eth0", "route add local 10.0.0.0/19 dev lo",
                        f"route add {GATEWAY_IN}/32 dev eth0 table local", f"route add default via {GATEWAY_IN} dev eth0")
    lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                         f"route add 1.1.0.0/16 via {GATEWAY_OUT}")


def configured(**changes):
    return {"mappings": [MAPPING, OTHER], "pcp": {**PCP, **changes}}


@pytest.fixture(scope="module")
def pcp_lab(run_directory):
    """A lab with PCP and kernels as hosts, shared by the tests of the module; each uses its own subscribers."""
    lab = Lab(run_directory)
    try:
        real_hosts(lab)
        lab.start(**configured())
        yield lab
    finally:
        lab.close()


@pytest.fixture
def own_lab(lab):
    """The same for one test, not started yet."""
    real_hosts(lab)
    return lab


_subscribers = iter(f"10.0.{n // 200}.{20 + n % 200}" for n in range(600))


@pytest.fixture
def client(pcp_lab):
    with Client(pcp_lab.inside_ns, next(_subscribers), GATEWAY_IN) as client:
        yield client


def leases(agent, *arguments):
    return agent.ctl("portmap", "list", *arguments, "--origin", "pcp")


def assert_reachable(lab, out, inside, kind=socket.SOCK_STREAM):
    """What the outside sends to an outside endpoint arrives at an inside one, and the answer comes back from there."""
    with lab.inside_ns.enter():
        server = socket.socket(socket.AF_INET, kind)
    with lab.outside_ns.enter():
        client = socket.socket(socket.AF_INET, kind)
    with server, client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(inside)
        server.settimeout(10)
        client.settimeout(10)
        if kind == socket.SOCK_STREAM:
            server.listen()
        client.connect(out)
        client.send(b"hello")
        if kind == socket.SOCK_STREAM:
            connection, peer = server.accept()
            with connection:
                assert connection.recv(5) == b"hello"
                connection.send(b"back")
                assert client.recv(4) == b"back"
        else:
            said, peer = server.recvfrom(100)
            assert said == b"hello"
            server.sendto(b"back", peer)
            assert client.recv(4) == b"back"
        assert peer[0] == SERVER


def assert_unreachable(lab, out):
    # A kernel would send the segment again after a second.
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(out[0], TCP(sport=40000, dport=out[1], flags="S")))


# ---- leases

@pytest.mark.parametrize("proto,kind", [(pcp.TCP, socket.SOCK_STREAM), (pcp.UDP, socket.SOCK_DGRAM)], ids=["tcp", "udp"])
def test_a_leased_port_is_reachable_from_outside(pcp_lab, client, proto, kind):
    block = block_of(client.addr, MAPPING)
    response = client.map(proto=proto, port=8080, lifetime=600)
    assert (response.result, response.lifetime, response.out) == ("SUCCESS", 600, block.first_choice(8080))
    assert_reachable(pcp_lab, response.out, (client.addr, 8080), kind)
    assert client.map(proto=proto, port=8080, lifetime=0).result == "SUCCESS"
    if kind == socket.SOCK_STREAM:
        assert_unreachable(pcp_lab, response.out)


def test_what_the_leased_port_sends_leaves_by_the_lease(pcp_lab, client):
    block = block_of(client.addr, MAPPING)
    out = client.lease(proto=pcp.UDP, port=4000, suggest=(block.addr, block.lo + 7))
    assert out == (block.addr, block.lo + 7)
    with pcp_lab.outside_ns.enter():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with pcp_lab.inside_ns.enter():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, sender:
        server.bind((SERVER, 5353))
        server.settimeout(10)
        sender.bind((client.addr, 4000))
        sender.sendto(b"hello", (SERVER, 5353))
        assert server.recvfrom(100) == (b"hello", out)


def test_a_leased_port_is_its_subscribers_own_in_the_history(pcp_lab, client):
    """Leases are not recorded: who names the subscriber of the block before, with and after one."""
    agent = pcp_lab.agent
    there = ("--state-dir", agent.state)
    out = client.lease(proto=pcp.TCP, port=8081)
    lines = agent.ctl("history", "list", *there)
    assert agent.ctl("who", "%s:%d" % out, *there)["in_addr"] == client.addr
    assert not [line for line in lines if line["event"] == "portmap"]


def test_the_operator_sees_and_ends_leases(pcp_lab, client):
    agent = pcp_lab.agent
    out = client.lease(port=22, lifetime=1000)
    [lease] = leases(agent, client.addr)
    assert (lease["proto"], lease["in_addr"], lease["in_port"]) == ("tcp", client.addr, 22)
    assert (lease["out_addr"], lease["out_port"], lease["origin"]) == (*out, "pcp")
    assert lease["expires"] is not None
    before = agent.ctl("status")["pcp"]["leases"]
    agent.ctl("portmap", "del", "tcp", f"{out[0]}:{out[1]}")
    assert leases(agent, client.addr) == []
    assert agent.ctl("status")["pcp"]["leases"] == before - 1
    assert client.lease(port=22) == out


def test_status_and_metrics_tell_of_pcp(own_lab):
    own_lab.start(metrics={"listen": "127.0.0.1:9469"}, **configured())
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        client.lease()
        client.lease()
        client.map(proto=47)
        client.ask(b"\0\0")
    status = own_lab.agent.ctl("status")["pcp"]
    assert status["listening"] == 1 and status["leases"] == 1 and status["epoch"] >= 0
    with own_lab.gateway.enter():
        text = urllib.request.urlopen("http://127.0.0.1:9469/metrics", timeout=10).read().decode()
    lines = text.splitlines()
    assert 'detnat_pcp_responses_total{opcode="map",result="success"} 2' in lines
    assert 'detnat_pcp_responses_total{opcode="map",result="unsupp_protocol"} 1' in lines
    assert 'detnat_pcp_responses_total{opcode="other",result="unsupp_version"} 1' in lines
    assert "detnat_pcp_leases 1" in lines


def test_a_lease_ends_when_its_time_is_over(own_lab):
    own_lab.start(**configured(lifetime={"min": 1, "max": 60}))
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        response = client.map(lifetime=2)
        assert response.lifetime == 2
        wait_for(lambda: leases(own_lab.agent) == [], what="the lease to end")
        assert_unreachable(own_lab, response.out)


# ---- filters

STRANGERS = "192.0.2.0/24"


def outside_sockets(lab, *endpoints):
    """UDP sockets of hosts outside."""
    sockets = []
    with lab.outside_ns.enter():
        for endpoint in endpoints:
            sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sockets[-1].bind(endpoint)
    return sockets


def heard(lab, out, inside, *senders):
    """Which of the sockets outside are heard at an inside endpoint; what the others send is dropped by its filters."""
    with lab.inside_ns.enter():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver:
        receiver.bind(inside)
        before = lab.agent.counters()
        for sender in senders:
            sender.sendto(b"hello", out)

        def arrived():
            now = lab.agent.counters()
            return sum(now[name] - before[name] for name in ("drop_portmap_filter", "portmap_in")) == len(senders)

        wait_for(arrived, what="the packets to arrive")
        dropped = lab.agent.counters()["drop_portmap_filter"] - before["drop_portmap_filter"]
        receiver.settimeout(10)
        got = {receiver.recvfrom(100)[1] for _ in range(len(senders) - dropped)}
        assert not select.select([receiver], [], [], 0)[0]
    return [sender.getsockname() in got for sender in senders]


def test_a_filtered_port_lets_in_whom_its_client_names(pcp_lab, client):
    lab, inside = pcp_lab, (client.addr, 4000)
    lab.outside_ns.ip("addr", "replace", "192.0.2.7/32", "dev", "lo")
    friend, by_port, other_port, stranger = sockets = outside_sockets(
        lab, (SERVER, 6000), ("192.0.2.7", 443), ("192.0.2.7", 444), ("192.0.2.7", 445))
    asked = pcp.filter_of(SERVER) + pcp.filter_of("192.0.2.0", 120, 443)
    try:
        response = client.map(proto=pcp.UDP, port=4000, options=asked)
        assert (response.result, response.options) == ("SUCCESS", asked)
        out = response.out
        [lease] = leases(lab.agent, client.addr)
        assert lease["filters"] == [SERVER, f"{STRANGERS}:443"]
        assert heard(lab, out, inside, *sockets) == [True, True, False, False]
        # A renewal without filters keeps them, one with others adds these, and the prefix length 0 removes those before it.
        client.lease(proto=pcp.UDP, port=4000)
        assert heard(lab, out, inside, *sockets) == [True, True, False, False]
        client.lease(proto=pcp.UDP, port=4000, options=pcp.filter_of("192.0.2.7", 128, 444))
        assert heard(lab, out, inside, *sockets) == [True, True, True, False]
        client.lease(proto=pcp.UDP, port=4000, options=pcp.filter_of(None, 0) + pcp.filter_of("192.0.2.7"))
        assert heard(lab, out, inside, *sockets) == [False, True, True, True]
        text = lab.agent.text("portmap", "list", client.addr)
        assert "FILTERS" in text.splitlines()[0] and text.splitlines()[1].split()[-1] == "192.0.2.7"
        [finding] = [f for f in lab.agent.ctl("explain", "%s:%d" % out)["findings"] if f["reason"] == "drop_portmap_filter"]
        assert not finding["drops"] and "only packets from 192.0.2.7 are let in" in finding["text"]
        client.lease(proto=pcp.UDP, port=4000, options=pcp.filter_of(None, 0))
        assert leases(lab.agent, client.addr)[0]["filters"] == []
        assert heard(lab, out, inside, *sockets) == [True] * 4
    finally:
        for s in sockets:
            s.close()


def test_a_ninth_filter_is_refused_and_changes_nothing(pcp_lab, client):
    eight = b"".join(pcp.filter_of(f"198.51.100.{n}") for n in range(8))
    asked = pcp.map_request(client.addr, options=eight + pcp.filter_of("198.51.100.8"))
    response = client.ask(asked)
    assert (response.result, response.octets[24:]) == ("EXCESSIVE_REMOTE_PEERS", asked[24:])
    assert leases(pcp_lab.agent, client.addr) == []
    client.lease(lifetime=600, options=eight)
    before = leases(pcp_lab.agent, client.addr)[0]["filters"]
    assert len(before) == 8
    response = client.map(lifetime=6000, options=pcp.filter_of("198.51.100.8"))
    assert (response.result, response.lifetime) == ("EXCESSIVE_REMOTE_PEERS", 1800)
    [lease] = leases(pcp_lab.agent, client.addr)
    assert lease["filters"] == before and lease["expires"] <= 600
    assert client.map(lifetime=0, options=pcp.filter_of("198.51.100.1")).result == "MALFORMED_OPTION"
    assert leases(pcp_lab.agent, client.addr)[0]["filters"] == before


def test_filters_survive_restarts_and_kills_and_end_with_their_lease(own_lab):
    agent = own_lab.start(**configured())
    [friend, stranger] = outside_sockets(own_lab, (SERVER, 6000), (SERVER, 6001))
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client, friend, stranger:
        out = client.lease(proto=pcp.UDP, port=4000, options=pcp.filter_of(SERVER, 128, 6000))
        for end in (agent.stop, agent.kill):
            end()
            agent.start()
            assert leases(agent)[0]["filters"] == [f"{SERVER}:6000"]
            assert heard(own_lab, out, (HOST, 4000), friend, stranger) == [True, False]
        agent.kill()
        stranger.sendto(b"hello", out)
        agent.start()
        assert client.map(proto=pcp.UDP, port=4000, lifetime=0).result == "SUCCESS"
        pinned = str(next(agent.pins.rglob("portmap_filters")))
        assert json.loads(own_lab.gateway.run("bpftool", "-j", "map", "dump", "pinned", pinned).stdout) == []
        assert client.lease(proto=pcp.UDP, port=4000) == out
        assert heard(own_lab, out, (HOST, 4000), friend, stranger) == [True, True]
        assert agent.ctl("check")["findings"] == []


# ---- result codes

def test_each_refusal_of_the_rfc_is_sent(pcp_lab, client):
    block, addr = block_of(client.addr, MAPPING), client.addr
    rows = [
        ("UNSUPP_VERSION", 1800, pcp.request(addr, pcp.MAP, version=1)),
        ("MALFORMED_REQUEST", 1800, pcp.request(addr, pcp.MAP)),
        ("UNSUPP_OPCODE", 1800, pcp.request(addr, 3)),
        ("UNSUPP_OPTION", 1800, pcp.map_request(addr, options=pcp.third_party(NEIGHBOUR))),
        ("MALFORMED_OPTION", 1800, pcp.map_request(addr, options=pcp.filter_of("198.51.100.9", 95))),
        ("MALFORMED_OPTION", 1800, pcp.map_request(addr, options=2 * pcp.PREFER_FAILURE)),
        ("NO_RESOURCES", 30, pcp.peer_request(addr, pcp.UDP, 99, (SERVER, 53))),
        ("UNSUPP_PROTOCOL", 1800, pcp.map_request(addr, proto=0, port=0)),
        ("CANNOT_PROVIDE_EXTERNAL", 30, pcp.map_request(addr, suggest=(block.addr, block.hi + 1), options=pcp.PREFER_FAILURE)),
        ("ADDRESS_MISMATCH", 1800, pcp.map_request("192.168.1.2")),
    ]
    for result, lifetime, octets in rows:
        response = client.ask(octets)
        assert (response.result, response.lifetime) == (result, lifetime)
        assert response.octets[24:] == octets[24:], "the request is not repeated"
    assert leases(pcp_lab.agent, addr) == []


def test_another_nonce_is_refused_for_as_long_as_the_lease(client):
    client.lease(lifetime=500)
    for lifetime in (0, 600):
        response = client.map(lifetime=lifetime, nonce=bytes(12))
        assert response.result == "NOT_AUTHORIZED" and 490 <= response.lifetime <= 500


def test_the_quota_of_leases(own_lab):
    own_lab.start(**configured(max_per_subscriber=3))
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        for port in (1, 2, 3):
            client.lease(port=port)
        response = client.map(port=4)
        assert (response.result, response.lifetime) == ("USER_EX_QUOTA", 30)
        [finding] = [f for f in own_lab.agent.ctl("explain", HOST)["findings"] if f["reason"] == "pcp"]
        assert "has 3 leases of PCP, as many as it may have" in finding["text"]
        client.map(port=2, lifetime=0)
        client.lease(port=4)


def test_a_block_without_a_free_port_has_no_resources(own_lab):
    # 15 ports a host.
    own_lab.start(mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30"}], pcp={"listen": [GATEWAY_IN]})
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        got = {_patient(client, port).out for port in range(100, 115)}
        assert len(got) == 15
        assert _patient(client, port=115).result == "NO_RESOURCES"


def test_a_port_in_use_for_another_inside_port_is_not_leased(own_lab):
    """By endpoint-independent mapping, or by a session without it; what a port has itself it gets."""
    own_lab.start(**configured(), endpoint_independent={"mapping": ["udp"]})
    block = block_of(HOST, MAPPING)
    plan = block.lo + 5000 % 1008

    def send(kind, port):
        with own_lab.inside_ns.enter(), socket.socket(socket.AF_INET, kind) as sender:
            sender.bind((HOST, port))
            sender.setblocking(False)
            sender.connect_ex((SERVER, 53))
            if kind == socket.SOCK_DGRAM:
                sender.send(b"hello")
        wait_for(lambda: [s for s in own_lab.sessions() if s["in_port"] == port], what="the session")

    send(socket.SOCK_DGRAM, 5000)
    send(socket.SOCK_DGRAM, 5000 + 1008)
    send(socket.SOCK_STREAM, 5000 + 2 * 1008)
    bound = {b["in_port"]: b["out_port"] for b in own_lab.agent.ctl("binding", "list")}
    assert bound[5000] == plan and bound[5000 + 1008] != plan
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        taken = {*bound.values()}
        other = client.lease(port=5000 + 3 * 1008, proto=pcp.UDP)[1]
        assert other not in taken
        assert client.lease(port=5000 + 1008, proto=pcp.UDP)[1] == bound[5000 + 1008]
        assert client.lease(port=5000, proto=pcp.UDP)[1] == plan
        assert client.lease(port=5000, proto=pcp.TCP)[1] != plan, "a session of another inside port has it"
        assert client.lease(port=5000 + 2 * 1008, proto=pcp.TCP)[1] == plan


def _patient(client, port):
    """A client that repeats what is not answered, as one that asks too often must. A late answer may be one to the port before."""
    while True:
        client.send(pcp.map_request(client.addr, port=port))
        while response := client.receive(0.3):
            if struct.unpack_from(">H", response.octets, 40)[0] == port:
                return response


def test_peer_tells_the_outside_endpoint_of_a_session(pcp_lab, client):
    block = block_of(client.addr, MAPPING)
    with pcp_lab.inside_ns.enter():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.bind((client.addr, 4321))
        sender.sendto(b"hello", (SERVER, 9))
        wait_for(lambda: pcp_lab.agent.ctl("session", "list", client.addr), what="the session")
    response = client.ask(pcp.peer_request(client.addr, pcp.UDP, 4321, (SERVER, 9), lifetime=86400))
    assert (response.result, response.out) == ("SUCCESS", block.first_choice(4321))
    assert 290 <= response.lifetime <= 300
    assert pcp_lab.agent.ctl("session", "list", client.addr)[0]["expires"] >= 290


# ---- who is not answered

def test_only_subscribers_of_served_mappings_are_answered(own_lab):
    own_lab.start(**configured())
    for addr in (UNSERVED, UNMAPPED):
        with Client(own_lab.inside_ns, addr, GATEWAY_IN) as client:
            client.send(pcp.request(addr, pcp.ANNOUNCE))
            client.send(pcp.map_request(addr))
            assert client.receive(0.5) is None
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        assert client.announce().result == "SUCCESS"
    assert leases(own_lab.agent) == []


def test_all_protocols_lead_to_a_subscriber_whose_inbound_is_open(own_lab):
    """By their own numbers, so nothing is leased."""
    customer = {"name": "acme", "in": f"{NEIGHBOUR}/32", "out": "1.1.3.9/32", "inbound": "open"}
    config = configured()
    own_lab.start(**{**config, "mappings": [*config["mappings"], customer], "pcp": {"listen": [GATEWAY_IN]}})
    with Client(own_lab.inside_ns, NEIGHBOUR, GATEWAY_IN) as client:
        assert client.lease(proto=0, port=0) == ("1.1.3.9", 0)
        assert client.lease(port=8080, suggest=("1.1.3.9", 9000)) == ("1.1.3.9", 8080)
        assert client.map(proto=0, port=0, lifetime=0).result == "NOT_AUTHORIZED"
    assert leases(own_lab.agent) == []
    assert_reachable(own_lab, ("1.1.3.9", 8080), (NEIGHBOUR, 8080))
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        assert client.lease(port=8080)


def test_neither_pool_addresses_nor_the_outside_answer(own_lab):
    own_lab.start(**configured())
    own_lab.outside_ns.ip("route", "add", f"{GATEWAY_IN}/32", "via", GATEWAY_OUT)
    for addr, server in ((SERVER, GATEWAY_IN), (SERVER, GATEWAY_OUT), (SERVER, "1.1.1.0")):
        with Client(own_lab.outside_ns, addr, server) as client:
            client.send(pcp.map_request(addr))
            assert client.receive(0.3) is None
    # A source that claims to be a subscriber's.
    claims = Ether(src=SERVER_MAC, dst=OUT_MAC) / IP(src=HOST, dst=GATEWAY_IN) / UDP(sport=5350, dport=5351) / pcp.map_request(HOST)
    own_lab.gateway.sysctl("net.ipv4.conf.all.rp_filter", 0)
    own_lab.gateway.sysctl("net.ipv4.conf.out0.rp_filter", 0)
    own_lab.outside.send(claims)
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        assert client.announce().result == "SUCCESS"
    assert leases(own_lab.agent) == []


def test_a_subscriber_is_not_heard_by_another_inside_interface(own_lab):
    lab = own_lab
    lab.gateway.ip("link", "add", "in1", "type", "veth", "peer", "name", "peer1")
    lab.gateway.batch("link set in1 up", "link set peer1 up", "addr add 10.1.0.1/24 dev in1")
    for name in ("all", "in0", "in1"):
        lab.gateway.sysctl(f"net.ipv4.conf.{name}.rp_filter", 0)
    lab.start(interfaces={"inside": ["in0", "in1"], "outside": ["out0"]}, **configured())
    other = wire.Wire(lab.gateway, "peer1")
    mac = json.loads(lab.gateway.ip("-j", "link", "show", "in1"))[0]["address"]
    forged = Ether(src="02:00:00:00:09:09", dst=mac) / IP(src=HOST, dst=GATEWAY_IN) / UDP(sport=5350, dport=5351)
    other.send(forged / pcp.map_request(HOST))
    with Client(lab.inside_ns, HOST, GATEWAY_IN) as client:
        wait_for(lambda: lab.agent.ctl("status")["pcp"]["dropped"] == 1, what="the request to be dropped")
        assert leases(lab.agent) == []
        client.lease()
    other.close()


def test_ten_requests_a_second_are_answered(own_lab):
    own_lab.start(**configured())
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        # The agent finds all of them at once.
        own_lab.agent.process.send_signal(signal.SIGSTOP)
        for _ in range(50):
            client.send(pcp.request(HOST, pcp.ANNOUNCE))
        own_lab.agent.process.send_signal(signal.SIGCONT)
        answers = []

        def handled():
            dropped = own_lab.agent.ctl("status")["pcp"]["dropped"]
            answers.extend(iter(lambda: client.receive(0), None))
            return len(answers) + dropped == 50

        wait_for(handled, what="50 requests to be answered or dropped")
        # The second may end once meanwhile.
        assert 10 <= len(answers) <= 20


# ---- bad configurations

@pytest.mark.parametrize("changes,message", [
    ({"listen": ["10.0.0.77"]}, "pcp.listen[0]: cannot listen on 10.0.0.77:5351"),
    ({"listen": ["1.1.1.3"]}, "pcp.listen[0]: 1.1.1.3 is a pool address"),
    ({"mappings": ["nobody"]}, "pcp.mappings[0]: no mapping has the name nobody"),
    ({"lifetime": {"min": 500, "max": 100}}, "pcp.lifetime: min, 500, is above max, 100"),
    ({"third_party": True}, "pcp.third_party: must be false, or the list of prefixes"),
], ids=lambda v: next(iter(v)) if isinstance(v, dict) else "")
def test_a_reload_of_what_cannot_be_is_refused_and_changes_nothing(own_lab, changes, message):
    agent = own_lab.start(**configured())
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        out = client.lease()
        agent.write(pcp={**PCP, **changes})
        assert message in agent.refused("reload")
        assert agent.once("-t").status == 2
        assert client.lease() == out


def test_an_address_that_comes_later_is_waited_for_at_a_start(own_lab):
    agent = own_lab.start(**configured(listen=["10.0.0.77"]))
    assert "pcp" in [trouble["what"] for trouble in agent.ctl("status")["troubles"]]
    own_lab.gateway.ip("addr", "add", "10.0.0.77/32", "dev", "in0")
    own_lab.inside_ns.ip("route", "add", "10.0.0.77/32", "dev", "eth0", "table", "local")
    wait_for(lambda: agent.ctl("status")["pcp"]["listening"] == 1, what="the agent to listen")
    assert "pcp" not in [trouble["what"] for trouble in agent.ctl("status")["troubles"]]
    with Client(own_lab.inside_ns, HOST, "10.0.0.77") as client:
        assert client.announce().result == "SUCCESS"
