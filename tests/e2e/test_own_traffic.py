# SPDX-License-Identifier: BSD-2-Clause
"""Traffic that detnat does not touch: the gateway's own, between inside addresses, and outside all mappings."""

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
def gateway_socket(mode_lab):
    with mode_lab.gateway.enter():
        it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.settimeout(5)
    it.bind((GATEWAY_OUT, 0))
    with it:
        yield it


def test_the_gateways_own_packets_and_their_replies_are_untranslated(mode_lab, gateway_socket):
    port = gateway_socket.getsockname()[1]
    gateway_socket.sendto(b"question", (SERVER, 53))
    out = mode_lab.outside.packet()
    assert (out.src, out.dst) == (OUT_MAC, SERVER_MAC)
    assert (out[IP].src, out[UDP].sport, out[IP].dst, out[UDP].dport, out[IP].ttl) == (GATEWAY_OUT, port, SERVER, 53, 64)
    mode_lab.outside.send(mode_lab.from_outside(GATEWAY_OUT, UDP(sport=53, dport=port) / b"answer"))
    assert gateway_socket.recvfrom(100) == (b"answer", (SERVER, 53))


def test_external_hosts_reach_the_gateways_own_services(mode_lab, gateway_socket):
    port = gateway_socket.getsockname()[1]
    mode_lab.outside.send(mode_lab.from_outside(GATEWAY_OUT, UDP(sport=1234, dport=port) / b"hello", src="203.0.113.5"))
    assert gateway_socket.recvfrom(100) == (b"hello", ("203.0.113.5", 1234))


@pytest.mark.parametrize("address", [GATEWAY_IN, GATEWAY_OUT])
def test_subscribers_reach_the_gateways_own_addresses(mode_lab, address):
    host = mode_lab.host()
    mode_lab.inside.send(mode_lab.from_inside(host, ICMP(type=8, id=5, seq=6) / b"data", dst=address))
    answer = mode_lab.inside.packet()
    assert (answer.src, answer.dst) == (IN_MAC, host.mac)
    assert (answer[IP].src, answer[IP].dst) == (address, host.addr)
    assert (answer[ICMP].type, answer[ICMP].id, answer[ICMP].seq) == (0, 5, 6)
    assert mode_lab.sessions(host.addr) == []


def test_a_subscriber_and_a_service_of_the_gateway(mode_lab, gateway_socket):
    host = mode_lab.host()
    port = gateway_socket.getsockname()[1]
    mode_lab.inside.send(mode_lab.from_inside(host, UDP(sport=4444, dport=port) / b"up", dst=GATEWAY_OUT))
    assert gateway_socket.recvfrom(100) == (b"up", (host.addr, 4444))
    gateway_socket.sendto(b"down", (host.addr, 4444))
    down = mode_lab.inside.packet()
    assert (down[IP].src, down[UDP].sport, down[IP].dst, down[UDP].dport) == (GATEWAY_OUT, port, host.addr, 4444)


@pytest.mark.parametrize("payload", [UDP(sport=1, dport=2), TCP(sport=1, dport=2, flags="S"), ICMP(type=8, id=3)], ids=lambda p: p.name)
def test_inside_to_inside_is_routed_untranslated(mode_lab, payload):
    for name in ("all", "in0"):
        mode_lab.gateway.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
    host, other = mode_lab.host(), mode_lab.host()
    packet = mode_lab.from_inside(host, payload, dst=other.addr)
    mode_lab.inside.send(packet)
    mode_lab.inside.expect(packets.translated(packet, (IN_MAC, other.mac)))
    assert mode_lab.sessions(host.addr) == []


@pytest.fixture(scope="module")
def lab_by_unmatched(run_directory, mode):
    """Labs by the value of `unmatched`, created on first use."""
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
def test_sources_of_no_mapping(lab_by_unmatched, policy, dropped, routed):
    lab = lab_by_unmatched(policy)
    for address in dropped:
        with lab.counting(drop_no_mapping=1):
            lab.inside.send(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)))
        lab.outside.assert_silent()
    for address in routed:
        lab.send_out(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)), (address, 1))
        lab.send_out(lab.from_inside(lab.host(address), TCP(sport=1, dport=2, flags="S"), dst="192.0.2.55"), (address, 1))
    assert lab.sessions() == []


def test_strict_drops_what_is_not_routed_back(lab_by_unmatched):
    lab = lab_by_unmatched("strict")
    for address in PRIVATE:
        with lab.counting(drop_no_mapping=1):
            lab.inside.send(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)))
    for address in [a for a in PUBLIC if a != "203.0.113.50"]:
        with lab.counting(drop_spoofed=1):
            lab.inside.send(lab.from_inside(lab.host(address), UDP(sport=1, dport=2)))
    lab.outside.assert_silent()
    lab.send_out(lab.from_inside(lab.host("203.0.113.50"), UDP(sport=1, dport=2)), ("203.0.113.50", 1))


def test_replies_to_routed_packets_come_back(lab_by_unmatched):
    lab = lab_by_unmatched("drop-private")
    host = lab.host("203.0.113.50")
    lab.send_in(lab.from_outside(host.addr, UDP(sport=53, dport=1000)), host, 1000)


@pytest.mark.parametrize("policy", ["drop-private", "route", "drop", "strict"])
def test_unmatched_traffic_to_the_gateway_is_untouched(lab_by_unmatched, policy):
    lab = lab_by_unmatched(policy)
    host = lab.host("10.200.0.9")
    lab.inside.send(lab.from_inside(host, ICMP(type=8, id=5), dst=GATEWAY_IN))
    answer = lab.inside.packet()
    assert (answer[IP].src, answer[IP].dst, answer[ICMP].type) == (GATEWAY_IN, host.addr, 0)


def test_frames_that_are_not_ipv4_go_to_the_kernel(mode_lab):
    """The kernel answers ARP requests on the inside; IPv6 and VLAN frames are not dropped."""
    host = mode_lab.host()
    with mode_lab.counting():
        mode_lab.inside.send(
            Ether(src=host.mac, dst=IN_MAC, type=0x86DD) / (b"\x60" + bytes(60)),
            Ether(src=host.mac, dst=IN_MAC, type=0x88CC) / bytes(46),
            Ether(src=host.mac, dst=IN_MAC, type=0x0806) / bytes(28),
            Ether(src=host.mac, dst=IN_MAC, type=0x8863) / bytes(46),
        )
        mode_lab.open_udp(host)


def test_straight_to_an_inside_address_is_dropped(mode_lab):
    host = mode_lab.host()
    with mode_lab.counting(drop_direct_to_inside=2):
        mode_lab.outside.send(mode_lab.from_outside(host.addr, UDP(sport=53, dport=5000)),
                              mode_lab.from_outside("10.0.33.33", TCP(sport=80, dport=22, flags="S"), src="203.0.113.9"))
    mode_lab.inside.assert_silent()
    # The gateway's own address is in the mapping and is let through.
    mode_lab.outside.send(mode_lab.from_outside(GATEWAY_IN, ICMP(type=8, id=9)))
    answer = mode_lab.outside.packet()
    assert (answer[IP].src, answer[IP].dst, answer[ICMP].type) == (GATEWAY_IN, SERVER, 0)


@pytest.fixture
def lab_with_address_in_pool(lab, mode):
    """The gateway's outside address is also one of the pool's."""
    lab.start(mappings=[{"in": "10.0.0.0/18", "out": "198.51.100.0/30"}], **mode)
    return lab


def test_an_own_address_inside_a_pool(lab_with_address_in_pool):
    lab = lab_with_address_in_pool
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


def test_priority_tags_are_no_vlan(mode_lab):
    """Frames of VLAN 0 belong to the interface: those to the gateway go up unchanged, others are translated."""
    from scapy.layers.l2 import Dot1Q

    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"tagged")
    mode_lab.inside.send(Ether(src=host.mac, dst=IN_MAC) / Dot1Q(vlan=0, prio=5) / packet[IP])
    mode_lab.outside.expect(mode_lab.going_out(packet, src))
    ping = mode_lab.from_inside(host, ICMP(type=8, id=5), dst=GATEWAY_IN)
    mode_lab.inside.send(Ether(src=host.mac, dst=IN_MAC) / Dot1Q(vlan=0, prio=5) / ping[IP])
    answer = mode_lab.inside.packet()
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
    """The complete packet, as the gateway's own stack sends it."""
    (src, sport), (dst, dport) = ends
    assert (frame.src, frame.dst) == macs, frame.summary()
    assert (frame[IP].src, frame[UDP].sport, frame[IP].dst, frame[UDP].dport) == (src, sport, dst, dport), frame.summary()
    assert bytes(frame[UDP].payload) == payload
    packets.assert_checksums(frame)


def test_dhcp_from_inside(mode_lab):
    """The server is on the gateway: broadcast DISCOVER and OFFER, then a lease renewed by unicast."""
    host = mode_lab.host()
    with dhcp_socket(mode_lab, "in0", 67) as server, mode_lab.counting():
        discover, offer, renew, ack = (dhcp(n, host.mac, kind) for n, kind in ((1, "discover"), (2, "offer"), (1, "request"), (2, "ack")))
        mode_lab.inside.send(packets.rebuilt(Ether(src=host.mac, dst=EVERYBODY) / IP(src="0.0.0.0", dst="255.255.255.255")
                                             / UDP(sport=68, dport=67) / discover))
        assert server.recvfrom(2000) == (discover, ("0.0.0.0", 68))
        server.sendto(offer, ("255.255.255.255", 68))
        assert_datagram(mode_lab.inside.packet(), ((GATEWAY_IN, 67), ("255.255.255.255", 68)), (IN_MAC, EVERYBODY), offer)
        mode_lab.inside.send(mode_lab.from_inside(host, UDP(sport=68, dport=67) / renew, dst=GATEWAY_IN))
        assert server.recvfrom(2000) == (renew, (host.addr, 68))
        server.sendto(ack, (host.addr, 68))
        assert_datagram(mode_lab.inside.packet(), ((GATEWAY_IN, 67), (host.addr, 68)), (IN_MAC, host.mac), ack)
    assert mode_lab.sessions(host.addr) == []


def test_dhcp_of_the_gateway_outside(mode_lab):
    """The gateway is a client of the network outside."""
    with dhcp_socket(mode_lab, "out0", 68) as client, mode_lab.counting():
        discover, offer = dhcp(1, OUT_MAC, "discover"), dhcp(2, OUT_MAC, "offer")
        client.sendto(discover, ("255.255.255.255", 67))
        assert_datagram(mode_lab.outside.packet(), ((GATEWAY_OUT, 68), ("255.255.255.255", 67)), (OUT_MAC, EVERYBODY), discover)
        mode_lab.outside.send(packets.rebuilt(Ether(src=SERVER_MAC, dst=EVERYBODY) / IP(src=SERVER, dst="255.255.255.255")
                                              / UDP(sport=67, dport=68) / offer))
        assert client.recvfrom(2000) == (offer, (SERVER, 67))


def test_a_dhcp_client_gets_a_lease(mode_lab):
    """udhcpd on the gateway, udhcpc inside."""
    configuration = mode_lab.directory / "udhcpd.conf"
    leases = mode_lab.directory / "udhcpd.leases"
    leases.touch()
    configuration.write_text(f"start 10.0.40.7\nend 10.0.40.7\ninterface in0\nlease_file {leases}\npidfile {mode_lab.directory}/udhcpd.pid\n")
    server = mode_lab.gateway.popen("busybox", "udhcpd", "-f", "-a", "1", configuration, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with mode_lab.counting():
            client = mode_lab.inside_ns.run("busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "10", "-T", "1", "-s", "/bin/true")
        assert "lease of 10.0.40.7 obtained" in client.stdout + client.stderr, client
    finally:
        server.kill()
        server.wait()
    mode_lab.inside.clear()


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_the_gateways_own_arp(mode_lab, side):
    """The gateway resolves a neighbour and gets its packet through; for requests to it see test_arp.py."""
    wire, mac, own, target = {"inside": (mode_lab.inside, IN_MAC, GATEWAY_IN, "10.0.77.77"),
                              "outside": (mode_lab.outside, OUT_MAC, GATEWAY_OUT, "198.51.100.77")}[side]
    with mode_lab.gateway.enter():
        it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with it, mode_lab.counting():
        it.sendto(b"to a new neighbour", (target, 9))
        asked = wire.packet(kinds=(ETH_ARP,))
        assert (asked.src, asked.dst, asked[ARP].op) == (mac, EVERYBODY, 1)
        assert (asked[ARP].hwsrc, asked[ARP].psrc, asked[ARP].pdst) == (mac, own, target)
        wire.send(Ether(src="02:00:00:00:77:77", dst=mac)
                  / ARP(op=2, hwsrc="02:00:00:00:77:77", psrc=target, hwdst=mac, pdst=own))
        came = wire.packet()
        assert (came.src, came.dst, came[IP].src, came[IP].dst) == (mac, "02:00:00:00:77:77", own, target)
        assert bytes(came[UDP].payload) == b"to a new neighbour"
    mode_lab.gateway.ip("neigh", "del", target, "dev", "in0" if side == "inside" else "out0")


# ---- kernels at both ends: IPv6, and services on an address that is also in the pool ------------------------------

POOL = {"in": "10.0.0.0/18", "out": "198.51.100.0/30"}
CLIENT = "10.0.16.9"  # its outside address is GATEWAY_OUT
CLIENT6, GATEWAY_IN6, GATEWAY_OUT6, SERVER6 = "2001:db8:1::9", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::7"


@pytest.fixture(scope="module")
def real_hosts_lab(run_directory, mode):
    """A lab whose hosts are kernels, with IPv6 and IPv4, and with the gateway's outside address in the pool."""
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


def test_neighbour_discovery_of_the_gateway(real_hosts_lab):
    """Solicitations and advertisements in both directions, on both sides."""
    for namespace in (real_hosts_lab.inside_ns, real_hosts_lab.gateway, real_hosts_lab.outside_ns):
        namespace.ip("-6", "neigh", "flush", "all")
    with real_hosts_lab.counting():
        assert ping(real_hosts_lab.inside_ns, "-6", GATEWAY_IN6).returncode == 0
        assert ping(real_hosts_lab.gateway, "-6", SERVER6).returncode == 0
    assert f"lladdr {IN_MAC}" in real_hosts_lab.inside_ns.ip("-6", "neigh", "show", GATEWAY_IN6)
    assert f"lladdr {SERVER_MAC}" in real_hosts_lab.gateway.ip("-6", "neigh", "show", SERVER6)


def test_ipv6_is_routed_end_to_end(real_hosts_lab):
    before = real_hosts_lab.agent.counters()
    with real_hosts_lab.counting():
        result = ping(real_hosts_lab.inside_ns, "-6", SERVER6)
        assert result.returncode == 0 and "ttl=63" in result.stdout, result
        assert ping(real_hosts_lab.outside_ns, "-6", CLIENT6).returncode == 0, "inbound IPv6 is not filtered: that is a firewall's task"
        for server_ns, at, client_ns, addr in ((real_hosts_lab.outside_ns, SERVER6, real_hosts_lab.inside_ns, CLIENT6),
                                               (real_hosts_lab.inside_ns, CLIENT6, real_hosts_lab.outside_ns, SERVER6)):
            with connection(server_ns, (at, 8000), client_ns) as (client, server, peer):
                assert peer == (addr, client.getsockname()[1])
                talk(client, server)
    after = real_hosts_lab.agent.counters()
    assert after["passed_untranslated"] > before["passed_untranslated"]
    assert after["sessions_opened"] == before["sessions_opened"]


@pytest.mark.parametrize("port", [22, 179], ids=["ssh", "bgp"])
def test_a_service_of_the_gateway_on_an_address_of_the_pool(real_hosts_lab, port):
    with real_hosts_lab.counting():
        with connection(real_hosts_lab.gateway, (GATEWAY_OUT, port), real_hosts_lab.outside_ns) as (client, server, peer):
            assert peer == (SERVER, client.getsockname()[1])
            talk(client, server)
        with connection(real_hosts_lab.gateway, (GATEWAY_OUT, port), real_hosts_lab.inside_ns) as (client, server, peer):
            assert peer == (CLIENT, client.getsockname()[1])
            talk(client, server)
    assert real_hosts_lab.sessions("--all") == []


@pytest.mark.parametrize("port", [22, 179], ids=["ssh", "bgp"])
@pytest.mark.parametrize("source", [179, 1023, 45000])
def test_the_gateway_connects_from_an_address_of_the_pool(real_hosts_lab, port, source):
    """From a port below all blocks, as BGP may use, and from one in a subscriber's block."""
    lab = real_hosts_lab
    with lab.counting(), connection(lab.outside_ns, (SERVER, port), lab.gateway, (GATEWAY_OUT, source)) as (client, server, peer):
        assert peer == (GATEWAY_OUT, source)
        talk(client, server)
    assert real_hosts_lab.sessions("--all") == []


def test_ping_from_and_to_an_own_address_of_the_pool(real_hosts_lab):
    with real_hosts_lab.counting():
        assert ping(real_hosts_lab.gateway, "-I", GATEWAY_OUT, SERVER).returncode == 0
        assert ping(real_hosts_lab.outside_ns, GATEWAY_OUT).returncode == 0
        assert ping(real_hosts_lab.inside_ns, GATEWAY_OUT).returncode == 0
    assert real_hosts_lab.sessions("--all") == []


def test_sessions_of_a_subscriber_by_the_gateways_own_address(real_hosts_lab):
    """Also while a service of the gateway listens on the same port: the server's endpoint tells them apart."""
    with real_hosts_lab.counting():
        with connection(real_hosts_lab.outside_ns, (SERVER, 80), real_hosts_lab.inside_ns) as (client, server, peer):
            assert peer == block_of(CLIENT, POOL).first_choice(client.getsockname()[1])
            assert peer[0] == GATEWAY_OUT
            talk(client, server)
            with connection(real_hosts_lab.gateway, peer, real_hosts_lab.outside_ns) as (external, own, seen):
                assert seen == (SERVER, external.getsockname()[1])
                talk(external, own)
                talk(client, server)
            talk(client, server)
        assert ping(real_hosts_lab.inside_ns, SERVER).returncode == 0
