# SPDX-License-Identifier: BSD-2-Clause
"""What detnat leaves alone: the gateway's own traffic, traffic between inside addresses, what no mapping covers."""

import contextlib
import socket
import subprocess

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

import packets
from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, OUT_MAC, SERVER, SERVER_MAC, Lab, block_of
from wire import ETH_ARP


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


def test_strict_drops_what_is_not_routed_back(unmatched):
    lab = unmatched("strict")
    for address in PRIVATE:
        with lab.counting(drop_no_mapping=1):
            lab.inside.send(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)))
    for address in [a for a in PUBLIC if a != "203.0.113.50"]:
        with lab.counting(drop_spoofed=1):
            lab.inside.send(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)))
    lab.outside.assert_silent()
    lab.send_out(lab.from_inside(lab.host("203.0.113.50"), UDP(sport=1, dport=2)), ("203.0.113.50", 1))


def test_answers_to_what_was_routed_come_back(unmatched):
    lab = unmatched("drop-private")
    host = lab.host("203.0.113.50")
    lab.send_in(lab.from_outside(host.addr, UDP(sport=53, dport=1000)), host, 1000)


@pytest.mark.parametrize("policy", ["drop-private", "route", "drop", "strict"])
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


# ---- DHCP, ARP ---------------------------------------------------------------------------------------------------------

EVERYBODY = "ff:ff:ff:ff:ff:ff"


def dhcp_socket(lab, interface, port):
    """As DHCP's servers and clients open them."""
    with lab.gateway.enter():
        it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    it.settimeout(5)
    it.bind(("0.0.0.0", port))
    return it


def dhcp(operation, mac, kind):
    return bytes(BOOTP(op=operation, chaddr=bytes.fromhex(mac.replace(":", "")), xid=7) / DHCP(options=[("message-type", kind), "end"]))


def assert_datagram(frame, ends, macs, payload):
    """Whole, as the gateway's own stack sends it."""
    (src, sport), (dst, dport) = ends
    assert (frame.src, frame.dst) == macs, frame.summary()
    assert (frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport) == (src, sport, dst, dport), frame.summary()
    assert bytes(frame[UDP].payload) == payload
    packets.assert_checksums(frame)


def test_dhcp_from_inside(each):
    """The server is on the gateway: DISCOVER and OFFER to all, then a lease that is renewed from address to address."""
    host = each.host()
    with dhcp_socket(each, "in0", 67) as server, each.counting():
        discover, offer, renew, ack = (dhcp(n, host.mac, kind) for n, kind in ((1, "discover"), (2, "offer"), (1, "request"), (2, "ack")))
        each.inside.send(packets.rebuilt(Ether(src=host.mac, dst=EVERYBODY) / IP(src="0.0.0.0", dst="255.255.255.255")
                                         / UDP(sport=68, dport=67) / discover))
        assert server.recvfrom(2000) == (discover, ("0.0.0.0", 68))
        server.sendto(offer, ("255.255.255.255", 68))
        assert_datagram(each.inside.packet(), ((GATEWAY_IN, 67), ("255.255.255.255", 68)), (IN_MAC, EVERYBODY), offer)
        each.inside.send(each.from_inside(host, UDP(sport=68, dport=67) / renew, dst=GATEWAY_IN))
        assert server.recvfrom(2000) == (renew, (host.addr, 68))
        server.sendto(ack, (host.addr, 68))
        assert_datagram(each.inside.packet(), ((GATEWAY_IN, 67), (host.addr, 68)), (IN_MAC, host.mac), ack)
    assert each.sessions(host.addr) == []


def test_dhcp_of_the_gateway_outside(each):
    """The gateway is a client of the network outside."""
    with dhcp_socket(each, "out0", 68) as client, each.counting():
        discover, offer = dhcp(1, OUT_MAC, "discover"), dhcp(2, OUT_MAC, "offer")
        client.sendto(discover, ("255.255.255.255", 67))
        assert_datagram(each.outside.packet(), ((GATEWAY_OUT, 68), ("255.255.255.255", 67)), (OUT_MAC, EVERYBODY), discover)
        each.outside.send(packets.rebuilt(Ether(src=SERVER_MAC, dst=EVERYBODY) / IP(src=SERVER, dst="255.255.255.255")
                                          / UDP(sport=67, dport=68) / offer))
        assert client.recvfrom(2000) == (offer, (SERVER, 67))


def test_a_dhcp_client_gets_a_lease(each):
    """udhcpd on the gateway, udhcpc inside."""
    configuration = each.directory / "udhcpd.conf"
    leases = each.directory / "udhcpd.leases"
    leases.touch()
    configuration.write_text(f"start 10.0.40.7\nend 10.0.40.7\ninterface in0\nlease_file {leases}\npidfile {each.directory}/udhcpd.pid\n")
    server = each.gateway.popen("busybox", "udhcpd", "-f", "-a", "1", configuration, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with each.counting():
            client = each.inside_ns.run("busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "10", "-T", "1", "-s", "/bin/true")
        assert "lease of 10.0.40.7 obtained" in client.stdout + client.stderr, client
    finally:
        server.kill()
        server.wait()
    each.inside.clear()


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_the_gateways_own_arp(each, side):
    """It asks for a neighbour, and what is answered gets it its packet; requests to it: test_arp.py."""
    wire, mac, own, target = {"inside": (each.inside, IN_MAC, GATEWAY_IN, "10.0.77.77"),
                              "outside": (each.outside, OUT_MAC, GATEWAY_OUT, "198.51.100.77")}[side]
    with each.gateway.enter():
        it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with it, each.counting():
        it.sendto(b"to a new neighbour", (target, 9))
        asked = wire.packet(kinds=(ETH_ARP,))
        assert (asked.src, asked.dst, asked[ARP].op) == (mac, EVERYBODY, 1)
        assert (asked[ARP].hwsrc, asked[ARP].psrc, asked[ARP].pdst) == (mac, own, target)
        wire.send(Ether(src="02:00:00:00:77:77", dst=mac)
                  / ARP(op=2, hwsrc="02:00:00:00:77:77", psrc=target, hwdst=mac, pdst=own))
        came = wire.packet()
        assert (came.src, came.dst, came[IP].src, came[IP].dst) == (mac, "02:00:00:00:77:77", own, target)
        assert bytes(came[UDP].payload) == b"to a new neighbour"
    each.gateway.ip("neigh", "del", target, "dev", "in0" if side == "inside" else "out0")


# ---- kernels at both ends: IPv6, and services on an address that is also one of the pool's ------------------------------

POOL = {"in": "10.0.0.0/18", "out": "198.51.100.0/30"}
CLIENT = "10.0.16.9"  # its outside address is GATEWAY_OUT
CLIENT6, GATEWAY_IN6, GATEWAY_OUT6, SERVER6 = "2001:db8:1::9", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::7"


@pytest.fixture(scope="module")
def kernels(run_directory, mode):
    """A lab whose wires end in kernels, with IPv6 beside IPv4, and the gateway's outside address inside the pool."""
    lab = Lab(run_directory)
    try:
        for namespace, name in ((lab.inside_ns, "eth0"), (lab.gateway, "in0"), (lab.gateway, "out0"), (lab.outside_ns, "eth0")):
            for which in ("all", name):
                namespace.sysctl(f"net.ipv6.conf.{which}.disable_ipv6", 0)
        lab.gateway.sysctl("net.ipv6.conf.all.forwarding", 1)
        lab.gateway.batch(f"addr add {GATEWAY_IN6}/64 dev in0 nodad", f"addr add {GATEWAY_OUT6}/64 dev out0 nodad")
        lab.inside_ns.batch(f"addr add {CLIENT}/16 dev eth0", f"route add default via {GATEWAY_IN}",
                            f"addr add {CLIENT6}/64 dev eth0 nodad", f"route add default via {GATEWAY_IN6}")
        lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                             f"addr add {SERVER6}/64 dev eth0 nodad", f"route add default via {GATEWAY_OUT6}")
        lab.start(mappings=[POOL], **mode)
        assert block_of(CLIENT, POOL).addr == GATEWAY_OUT
        yield lab
    finally:
        lab.close()


@contextlib.contextmanager
def connection(server_ns, at, client_ns, source=None):
    """A TCP connection between two kernels: (client's socket, server's, the client as the server sees it)."""
    family = socket.AF_INET6 if ":" in at[0] else socket.AF_INET
    with server_ns.enter():
        listener = socket.socket(family)
    with client_ns.enter():
        client = socket.socket(family)
    with listener, client:
        for it in (listener, client):
            it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            it.settimeout(10)
        listener.bind(at)
        listener.listen()
        if source:
            client.bind(source)
        client.connect(at)
        server, peer = listener.accept()
        with server:
            server.settimeout(10)
            yield client, server, peer[:2]


def talk(one, other):
    """Some segments in each direction."""
    data = bytes(range(256)) * 200
    for sender, receiver in ((one, other), (other, one)):
        sender.sendall(data)
        came = b""
        while len(came) < len(data) and (piece := receiver.recv(65536)):
            came += piece
        assert came == data


def ping(namespace, *arguments):
    return namespace.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", *arguments, check=False)


def test_neighbour_discovery_of_the_gateway(kernels):
    """Solicited and advertised both ways, on both sides."""
    for namespace in (kernels.inside_ns, kernels.gateway, kernels.outside_ns):
        namespace.ip("-6", "neigh", "flush", "all")
    with kernels.counting():
        assert ping(kernels.inside_ns, "-6", GATEWAY_IN6).returncode == 0
        assert ping(kernels.gateway, "-6", SERVER6).returncode == 0
    assert f"lladdr {IN_MAC}" in kernels.inside_ns.ip("-6", "neigh", "show", GATEWAY_IN6)
    assert f"lladdr {SERVER_MAC}" in kernels.gateway.ip("-6", "neigh", "show", SERVER6)


def test_ipv6_is_routed_end_to_end(kernels):
    before = kernels.agent.counters()
    with kernels.counting():
        result = ping(kernels.inside_ns, "-6", SERVER6)
        assert result.returncode == 0 and "ttl=63" in result.stdout, result
        assert ping(kernels.outside_ns, "-6", CLIENT6).returncode == 0, "nothing keeps strangers out: that is a firewall's"
        for server_ns, at, client_ns, addr in ((kernels.outside_ns, SERVER6, kernels.inside_ns, CLIENT6),
                                               (kernels.inside_ns, CLIENT6, kernels.outside_ns, SERVER6)):
            with connection(server_ns, (at, 8000), client_ns) as (client, server, peer):
                assert peer == (addr, client.getsockname()[1])
                talk(client, server)
    after = kernels.agent.counters()
    assert after["passed_untranslated"] > before["passed_untranslated"]
    assert after["sessions_opened"] == before["sessions_opened"]


@pytest.mark.parametrize("port", [22, 179], ids=["ssh", "bgp"])
def test_a_service_of_the_gateway_on_an_address_of_the_pool(kernels, port):
    with kernels.counting():
        with connection(kernels.gateway, (GATEWAY_OUT, port), kernels.outside_ns) as (client, server, peer):
            assert peer == (SERVER, client.getsockname()[1])
            talk(client, server)
        with connection(kernels.gateway, (GATEWAY_OUT, port), kernels.inside_ns) as (client, server, peer):
            assert peer == (CLIENT, client.getsockname()[1])
            talk(client, server)
    assert kernels.sessions("--all") == []


@pytest.mark.parametrize("port", [22, 179], ids=["ssh", "bgp"])
@pytest.mark.parametrize("source", [179, 1023, 45000])
def test_the_gateway_is_the_client_by_an_address_of_the_pool(kernels, port, source):
    """By a port below all blocks, as BGP may, and by one that lies in a subscriber's."""
    with kernels.counting(), connection(kernels.outside_ns, (SERVER, port), kernels.gateway, (GATEWAY_OUT, source)) as (client, server, peer):
        assert peer == (GATEWAY_OUT, source)
        talk(client, server)
    assert kernels.sessions("--all") == []


def test_ping_from_and_to_an_own_address_of_the_pool(kernels):
    with kernels.counting():
        assert ping(kernels.gateway, "-I", GATEWAY_OUT, SERVER).returncode == 0
        assert ping(kernels.outside_ns, GATEWAY_OUT).returncode == 0
        assert ping(kernels.inside_ns, GATEWAY_OUT).returncode == 0
    assert kernels.sessions("--all") == []


def test_sessions_of_a_subscriber_by_the_gateways_own_address(kernels):
    """Also while a service of the gateway listens at the very port: the server's endpoint tells who is meant."""
    with kernels.counting():
        with connection(kernels.outside_ns, (SERVER, 80), kernels.inside_ns) as (client, server, peer):
            assert peer == block_of(CLIENT, POOL).first_choice(client.getsockname()[1])
            assert peer[0] == GATEWAY_OUT
            talk(client, server)
            with connection(kernels.gateway, peer, kernels.outside_ns) as (stranger, own, seen):
                assert seen == (SERVER, stranger.getsockname()[1])
                talk(stranger, own)
                talk(client, server)
            talk(client, server)
        assert ping(kernels.inside_ns, SERVER).returncode == 0
