# SPDX-License-Identifier: BSD-2-Clause
"""Endpoint-independent mapping and filtering: STUN's behaviour tests, consoles that find each other, floods, changes under traffic."""

import ftplib
import itertools
import socket
import struct
import threading
import time

import pytest
from scapy.layers.inet import ICMP, TCP, UDP

import packets
from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, MAPPING, SERVER, SERVER_MAC, Lab, block_of
from shapes import assert_all, assert_shape
from test_metrics import LISTEN, scrape
from test_real_stacks import SECOND, STUN, Server, answers, inside

CLIENT, OTHER = "10.0.0.9", "10.0.0.10"
# 1008 ports a host: enough for a warning not to be due.
ROOMY = {"in": "10.0.0.0/24", "out": "1.1.1.0/30"}
OPEN = {"mapping": ["udp", "tcp", "icmp"], "filtering": ["udp", "tcp"]}
STRANGER = "192.0.2.77"
BINDING = {"in_addr": str, "in_port": int, "out_addr": str, "out_port": int, "proto": str, "sessions": int, "expires": int}


@pytest.fixture(params=["redirect", "kernel"])
def hosts_lab(request, run_directory):
    """A lab whose hosts are kernels, with endpoint-independent mapping and filtering."""
    lab = Lab(run_directory)
    try:
        lab.inside_ns.batch(f"addr add {CLIENT}/16 dev eth0", f"addr add {OTHER}/16 dev eth0", f"route add default via {GATEWAY_IN}")
        lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                             f"addr add {SECOND}/24 dev eth0", f"route add {MAPPING['out']} via {GATEWAY_OUT}")
        lab.start(forwarding=request.param, mappings=[{**ROOMY, "endpoint_independent": OPEN}])
        yield lab
    finally:
        lab.close()


_ports = itertools.count(7000)


@pytest.mark.parametrize("option, verdict", [("-m", "NAT with Endpoint Independent Mapping!"),
                                             ("-f", "NAT with Endpoint Independent Filtering!")])
def test_stun_finds_both_independent_of_endpoints(hosts_lab, option, verdict):
    with Server(hosts_lab, 3478, *STUN):
        wait_for(lambda: answers(hosts_lab), what="the sockets of the STUN server")
        assert verdict in inside(hosts_lab, "turnutils_natdiscovery", "-L", CLIENT, "-l", next(_ports), option, SERVER)


# A client and a server of RFC 5389 and RFC 5780, as far as these tests need them.
MAGIC = 0x2112A442
CHANGE_IP, CHANGE_PORT = 4, 2


def stun_request(ident, change=0):
    attribute = struct.pack("!HHI", 3, 4, change)
    return struct.pack("!HHI12s", 1, len(attribute), MAGIC, ident) + attribute


def stun_response(request, addr, port):
    ident = request[8:20]
    value = struct.pack("!BBHI", 0, 1, port ^ MAGIC >> 16, struct.unpack("!I", socket.inet_aton(addr))[0] ^ MAGIC)
    return struct.pack("!HHI12sHH", 0x101, 12, MAGIC, ident, 0x20, 8) + value


def stun_mapped(response):
    port, addr = struct.unpack("!HI", response[26:32])
    return socket.inet_ntoa(struct.pack("!I", addr ^ MAGIC)), port ^ MAGIC >> 16


class Stun:
    """The server: a socket on each of two addresses and two ports; it answers from the one that the client asks for."""

    def __init__(self, lab):
        self.at = {}
        with lab.outside_ns.enter():
            for addr, port in itertools.product((SERVER, SECOND), (3478, 3479)):
                self.at[addr, port] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.at[addr, port].bind((addr, port))
                self.at[addr, port].settimeout(5)

    def answer(self, to):
        """Answers one request that came to this socket. Returns where it came from."""
        request, src = self.at[to].recvfrom(100)
        (change,) = struct.unpack("!I", request[24:28])
        addr = next(a for a in (SERVER, SECOND) if (a == to[0]) != bool(change & CHANGE_IP))
        port = next(p for p in (3478, 3479) if (p == to[1]) != bool(change & CHANGE_PORT))
        self.at[addr, port].sendto(stun_response(request, *src), src)
        return src


def udp_socket(lab, addr, port):
    with lab.inside_ns.enter():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((addr, port))
    s.settimeout(5)
    return s


def test_rfc_5780_mapping_and_filtering(hosts_lab):
    stun, client = Stun(hosts_lab), udp_socket(hosts_lab, CLIENT, next(_ports))
    seen = set()
    # Section 4.3: one mapping towards each address and port.
    for to in ((SERVER, 3478), (SECOND, 3478), (SECOND, 3479)):
        client.sendto(stun_request(b"mapping test"), to)
        seen.add(stun.answer(to))
        assert stun_mapped(client.recv(100)) in seen
    assert len(seen) == 1
    # Section 4.4, with a fresh socket: what it has never sent to answers.
    client = udp_socket(hosts_lab, CLIENT, next(_ports))
    for change in (CHANGE_IP | CHANGE_PORT, CHANGE_PORT, 0):
        client.sendto(stun_request(b"filter tests", change), (SERVER, 3478))
        stun.answer((SERVER, 3478))
        response, src = client.recvfrom(100)
        assert src == (SECOND if change & CHANGE_IP else SERVER, 3479 if change & CHANGE_PORT else 3478)
        assert response[8:20] == b"filter tests"


def test_two_consoles_find_each_other_by_stun(hosts_lab):
    """Each learns its outside endpoint from the server and sends to the other's; both packets arrive, whoever is first."""
    stun = Stun(hosts_lab)
    consoles = [udp_socket(hosts_lab, addr, 3074) for addr in (CLIENT, OTHER)]
    public = []
    for console in consoles:
        console.sendto(stun_request(b"where am I??"), (SERVER, 3478))
        stun.answer((SERVER, 3478))
        public.append(stun_mapped(console.recv(100)))
    assert public == [block_of(addr, ROOMY).first_choice(3074) for addr in (CLIENT, OTHER)]
    # No hole has to be punched: the first packet arrives.
    consoles[0].sendto(b"hello", public[1])
    assert consoles[1].recvfrom(100) == (b"hello", public[0])
    consoles[1].sendto(b"hello yourself", public[0])
    assert consoles[0].recvfrom(100) == (b"hello yourself", public[1])


def test_a_server_inside_takes_connections_from_strangers(hosts_lab):
    """Its port is bound by a connection of its own; the kernel's handshake makes the session an established one."""
    port = next(_ports)
    with hosts_lab.outside_ns.enter():
        rendezvous, stranger = socket.create_server((SERVER, 5000)), socket.socket()
    with hosts_lab.inside_ns.enter():
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((CLIENT, port))
        out = socket.socket()
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        out.bind((CLIENT, port))
    listener.listen()
    with rendezvous, listener, out, stranger:
        out.connect((SERVER, 5000))
        connection, public = rendezvous.accept()
        stranger.settimeout(5)
        listener.settimeout(5)
        stranger.bind((SECOND, 0))
        stranger.connect(public)
        peer, src = listener.accept()
        assert src == stranger.getsockname()
        stranger.sendall(b"let me in")
        assert peer.recv(100) == b"let me in"
        peer.sendall(b"welcome")
        assert stranger.recv(100) == b"welcome"
        states = {s["ext_addr"]: s["state"] for s in hosts_lab.sessions(CLIENT, "--proto", "tcp")}
        assert states == {SERVER: "tcp-established", SECOND: "tcp-established"}
        connection.close()
        peer.close()


def test_an_ftp_client_takes_data_connections_of_a_server(hosts_lab):
    """Active FTP (RFC 959) by a client that tells its outside endpoint, bound by its control connection's neighbour."""
    port = next(_ports)
    with hosts_lab.outside_ns.enter():
        control_port, rendezvous = socket.create_server((SERVER, 21)), socket.create_server((SECOND, 5000))
        data = socket.socket()
    with hosts_lab.inside_ns.enter():
        listener, out = socket.socket(), socket.socket()
        for each in (listener, out):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind((CLIENT, port))
        client = ftplib.FTP(timeout=10)
        listener.listen()
        server = threading.Thread(target=serve_ftp, args=(control_port, data), daemon=True)
        server.start()
        with control_port, rendezvous, data, listener, out:
            # What a STUN server would tell it.
            out.connect((SECOND, 5000))
            public = rendezvous.accept()[1]
            client.connect(SERVER, 21, source_address=(CLIENT, 0))
            client.login()
            client.sendport(*public)
            client.putcmd("RETR file")
            assert client.getresp().startswith("150")
            listener.settimeout(10)
            peer, src = listener.accept()
            assert src == (SERVER, 20)
            with peer:
                assert peer.recv(100) == b"contents"
            assert client.getresp().startswith("226")
            client.quit()
        server.join(10)


def serve_ftp(listener, data):
    """One session of a server: it connects from port 20 to where PORT says, and sends a file."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rw", newline="") as lines:

        def say(text):
            lines.write(text + "\r\n")
            lines.flush()

        say("220 ready")
        for line in lines:
            word, _, rest = line.strip().partition(" ")
            if word == "PORT":
                *addr, high, low = rest.split(",")
                data.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                data.bind((SERVER, 20))
                data.connect((".".join(addr), int(high) * 256 + int(low)))
                say("200 connected")
            elif word == "RETR":
                say("150 here it comes")
                data.sendall(b"contents")
                data.close()
                say("226 done")
            else:
                say("221 bye" if word == "QUIT" else "230 fine")


def test_a_quic_client_has_one_endpoint_for_both_addresses_of_its_server(hosts_lab):
    """
    RFC 9000: the server's preferred address (9.6) is validated from the port of the handshake, and the server may probe
    the client from there first (9.1); after that packets of the old path still arrive (9.3).
    """
    port = next(_ports)
    long_header, short_header = b"\xc3\0\0\0\1", b"\x43"
    client = udp_socket(hosts_lab, CLIENT, port)
    with hosts_lab.outside_ns.enter():
        first, preferred = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with client, first, preferred:
        for server, addr in ((first, SERVER), (preferred, SECOND)):
            server.bind((addr, 443))
            server.settimeout(10)
        client.sendto(long_header + bytes(1195), (SERVER, 443))
        octets, public = first.recvfrom(2000)
        assert octets == long_header + bytes(1195) and public == block_of(CLIENT, ROOMY).first_choice(port)
        first.sendto(long_header + b"handshake", public)
        assert client.recvfrom(100) == (long_header + b"handshake", (SERVER, 443))
        # A probe of the server's, before the client has sent anything there.
        preferred.sendto(short_header + b"PATH_CHALLENGE", public)
        assert client.recvfrom(100) == (short_header + b"PATH_CHALLENGE", (SECOND, 443))
        client.sendto(short_header + b"PATH_RESPONSE", (SECOND, 443))
        assert preferred.recvfrom(100) == (short_header + b"PATH_RESPONSE", public)
        for server, addr in ((first, SERVER), (preferred, SECOND)):
            client.sendto(short_header + bytes(1200), (addr, 443))
            assert server.recvfrom(2000) == (short_header + bytes(1200), public)
            server.sendto(short_header + b"late", public)
            assert client.recvfrom(100) == (short_header + b"late", (addr, 443))


def send_out(lab, host, port, dport=53, dst=SERVER):
    lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=dport), dst))
    came = lab.outside.packet()
    return came["IP"].src, came["UDP"].sport


def start(lab, **independent):
    lab.start(mappings=[{**ROOMY, "endpoint_independent": independent}])
    return lab.host()


def test_a_flood_onto_a_bound_port_harms_nobody(lab):
    lab.start(mappings=[{**ROOMY, "sessions_per_user": 40, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}])
    host, other = lab.host(), lab.host()
    addr, port = send_out(lab, host, 3074)
    for n in range(300):
        lab.outside.send(lab.from_outside(addr, UDP(sport=1024 + n, dport=port), src=f"192.0.2.{n % 200 + 1}"))
    wait_for(lambda: lab.agent.counters()["drop_inbound_limit"] == 290, what="the flood")
    assert lab.agent.counters()["sessions_inbound"] == 10
    assert len(lab.sessions(host.addr)) == 11
    # Its own sessions find room up to the quota, and others' are untouched.
    for dport in range(2000, 2035):
        assert send_out_after(lab, host, 3074, dport) == (addr, port)
    assert block_of(other.addr, ROOMY).first_choice(77) == send_out_after(lab, other, 77, 53)


def send_out_after(lab, host, port, dport):
    """As send_out(), past what the flood has left on the wires."""
    lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=dport)))

    def came():
        frame = lab.outside.receive(0.2)
        packet = packets.Ether(frame) if frame else None
        return packet and UDP in packet and packet[UDP].dport == dport and (packet["IP"].src, packet[UDP].sport)

    return wait_for(came, what="the packet outside")


def test_bindings_are_listed_and_outlive_the_agent(lab):
    host = start(lab, mapping=["udp", "tcp", "icmp"])
    udp = send_out(lab, host, 3074)
    lab.inside.send(lab.from_inside(host, TCP(sport=3075, dport=80, flags="S")))
    lab.outside.packet()
    lab.inside.send(lab.from_inside(host, ICMP(type=8, id=9)))
    lab.outside.packet()

    def listed(*args):
        rows = assert_all(lab.agent.ctl("binding", "list", *args), BINDING)
        return {(row["proto"], row["in_port"]): (row["out_addr"], row["out_port"]) for row in rows}

    block = block_of(host.addr, ROOMY)
    wanted = {("udp", 3074): udp, ("tcp", 3075): block.first_choice(3075), ("icmp", 9): block.first_choice(9)}
    assert listed() == listed(host.addr) == wanted
    assert assert_shape(lab.agent.ctl("user", "show", host.addr), {"bindings": int})["bindings"] == 3
    lab.agent.kill()
    # The port stays, towards others as well, without an agent and with the next one.
    assert send_out(lab, host, 3074, 54) == udp
    lab.agent.start()
    assert listed() == wanted
    assert send_out(lab, host, 3074, 55) == udp
    lab.agent.check()


def test_without_an_agent_bindings_expire_and_their_ports_are_free(lab):
    """Nothing sweeps; the datapath itself counts neither a binding nor a session that is too old."""
    lab.start(mappings=[{**ROOMY, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}], timeouts={"udp": 2})
    host = lab.host()
    bound, stays, used = (send_out(lab, host, port) for port in (3074, 3075, 3076))
    block = block_of(host.addr, ROOMY)
    dports = itertools.count(100)
    lab.send_in(lab.from_outside(bound[0], UDP(sport=9, dport=bound[1]), STRANGER), host, 3074)
    lab.agent.kill()
    begun = time.monotonic()

    def goes_on():
        """3075 opens sessions meanwhile, 3076 goes on with one, 3074 is silent."""
        assert send_out(lab, host, 3075, next(dports)) == stays and send_out(lab, host, 3076) == used
        return time.monotonic() - begun > 4

    wait_for(goes_on, what="the end of the binding", interval=0.3)
    # Its stranger is not let in any more, that of 3075 is.
    lab.inside.clear()
    lab.outside.send(lab.from_outside(bound[0], UDP(sport=9, dport=bound[1]), STRANGER))
    lab.send_in(lab.from_outside(stays[0], UDP(sport=9, dport=stays[1]), STRANGER), host, 3075)
    # Inside ports whose first choices these are get others than those in use, and 3074 finds its own again.
    others = [send_out(lab, host, port + block.ports) for port in (3074, 3075, 3076)]
    assert not {stays, used} & set(others) and len(set(others)) == 3
    assert send_out(lab, host, 3076) == used
    assert bound in (send_out(lab, host, 3074), others[0])
    lab.inside.assert_silent()
    lab.agent.start()
    rows = {(row["in_addr"], row["in_port"]): row["out_port"] for row in lab.agent.ctl("binding", "list")}
    assert len(set(rows.values())) == len(rows) and rows.get((host.addr, 3076), used[1]) == used[1]
    # Whoever asks for the time between: the port is of the subscriber's block.
    assert lab.agent.ctl("who", "%s:%d" % bound, "--at", "-3s", "--state-dir", str(lab.agent.state))["in_addr"] == host.addr
    lab.agent.check()


def test_sessions_of_bindings_and_ports_in_use_are_counted(lab):
    """Those beyond the slots, too."""
    mapping = {**ROOMY, "session_slots": 8, "endpoint_independent": {"mapping": ["udp"]}}
    lab.start(mappings=[mapping])
    host, other = lab.host(), lab.host()
    for ports in (range(53, 73), range(53, 56)):
        for dport in ports:
            send_out(lab, host, 3074 if len(ports) > 3 else 3075, dport)
    send_out(lab, other, 3074)
    lab.inside.send(lab.from_inside(other, TCP(sport=80, dport=80, flags="S")))
    lab.outside.packet()
    assert lab.agent.counters()["sessions_overflowed"]
    rows = [(b["in_addr"], b["in_port"], b["sessions"]) for b in lab.agent.ctl("binding", "list")]
    of_host = [(host.addr, 3074, 20), (host.addr, 3075, 3)]
    assert sorted(rows) == [*of_host, (other.addr, 3074, 1)]
    assert sorted((b["in_addr"], b["in_port"], b["sessions"]) for b in lab.agent.ctl("binding", "list", host.addr)) == of_host
    assert lab.agent.ctl("user", "show", host.addr)["ports_in_use"] == {"tcp": 0, "udp": 2, "icmp": 0}
    assert lab.agent.ctl("user", "show", other.addr)["ports_in_use"] == {"tcp": 1, "udp": 1, "icmp": 0}
    assert "\nPorts in use:    tcp 1, udp 1, icmp 0\n" in lab.agent.text("user", "show", other.addr)
    # What drains is counted apart from what has taken its place.
    lab.agent.ctl("mapping", "add", mapping["in"], "1.1.2.0/30", "--replace", "--drain", "600")
    send_out(lab, host, 3074, 90)
    rows = [(b["out_addr"], b["in_port"], b["sessions"]) for b in lab.agent.ctl("binding", "list", host.addr)]
    assert sorted(rows) == [("1.1.1.0", 3074, 20), ("1.1.1.0", 3075, 3), ("1.1.2.0", 3074, 1)]
    assert lab.agent.ctl("user", "show", host.addr)["ports_in_use"] == {"tcp": 0, "udp": 1, "icmp": 0}


def test_it_is_turned_on_and_off_under_traffic(lab):
    lab.start(mappings=[{**ROOMY, "name": "homes"}])
    host = lab.host()
    first, second = send_out(lab, host, 5000), send_out(lab, host, 5000 + 1008, 54)
    assert first == second, "without it one port serves two inside ports towards two destinations"
    on = lab.agent.ctl("mapping", "set", "homes", "--eim", "udp,tcp", "--eif", "udp", "--inbound-sessions", 50)
    assert (on["eim"], on["eif"], on["inbound_sessions"]) == (["udp", "tcp"], ["udp"], 50)
    head, row = lab.agent.text("mapping", "list").splitlines()
    assert row[head.index("EIM"):head.index("MEMORY")].split("  ")[:2] == ["udp, tcp", "udp"]
    assert "EIM udp, tcp; EIF udp" in lab.agent.text("mapping", "set", "homes", "--inbound-sessions", 50)
    # Sessions stay, one of the two has the port, and a new one is nobody else's.
    assert send_out(lab, host, 5000) == send_out(lab, host, 5000 + 1008, 54) == first
    ports = {send_out(lab, host, port, 55) for port in (5000, 5000 + 1008)}
    assert len(ports) == 2 and first in ports
    third = send_out(lab, host, 6000)
    lab.send_in(lab.from_outside(third[0], UDP(sport=999, dport=third[1]), src="192.0.2.7"), host, 6000)
    assert lab.agent.ctl("config", "show")["mappings"][0]["endpoint_independent"] == {
        "mapping": ["udp", "tcp"], "filtering": ["udp"], "inbound_sessions": 50}
    off = lab.agent.ctl("mapping", "set", "homes", "--eim", "none")
    assert (off["eim"], off["eif"]) == ([], [])
    assert send_out(lab, host, 6000) == third
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(third[0], UDP(sport=998, dport=third[1]), src="192.0.2.8"))
    lab.inside.assert_silent()


def test_a_change_leaves_bound_ports_open(lab):
    """Bindings are listed, and open to strangers, at once: of sessions from before any, and after one protocol more."""
    lab.start(mappings=[{**ROOMY, "name": "homes"}])
    host, other = lab.host(), lab.host()
    bound = {(h.addr, port): send_out(lab, h, port) for h, port in ((host, 5000), (host, 5001), (other, 5000))}
    stranger = itertools.count(2000)

    def expect_open(*protocols):
        listed = {(b["in_addr"], b["in_port"]): (b["out_addr"], b["out_port"]) for b in lab.agent.ctl("binding", "list")}
        assert listed == bound, protocols
        for h, port in ((host, 5000), (host, 5001), (other, 5000)):
            addr, out_port = bound[h.addr, port]
            lab.send_in(lab.from_outside(addr, UDP(sport=next(stranger), dport=out_port), src="192.0.2.7"), h, port)

    for protocols in ("udp", "udp,icmp", "udp,icmp,tcp"):
        lab.agent.ctl("mapping", "set", "homes", "--eim", protocols, "--eif", "udp")
        expect_open(protocols)
    lab.agent.check()


@pytest.mark.parametrize("options, text, status", [
    (("--eif", "udp"), "udp must be in `mapping`, too", 1),
    (("--eim", "udp", "--eif", "udp,tcp"), "tcp must be in `mapping`, too", 1),
    (("--eim", "icmp", "--eif", "icmp"), "filtering is for udp and tcp", 1),
    (("--eim", "sctp"), "--eim PROTO[,...] must be none, or protocols out of udp, tcp and icmp", 2),
    (("--eim", "udp", "--inbound-sessions", "101"), "from 1 to 100", 2),
])
def test_what_makes_no_sense_is_refused(lab, options, text, status):
    lab.start(mappings=[{**ROOMY, "name": "homes"}])
    before = lab.agent.ctl("config", "show")
    assert text in lab.agent.refused("mapping", "set", "homes", *options, status=status)
    assert lab.agent.ctl("config", "show") == before


def test_few_ports_are_warned_of(lab):
    lab.start(mappings=[{**MAPPING, "endpoint_independent": {"mapping": ["udp"]}}])
    assert "each inside port takes one of its subscriber's 15 ports" in lab.agent.log_text()


@pytest.mark.parametrize("mapping", [{"out": None}, {"out": "1.1.1.0/24", "inbound": "open"}])
def test_where_there_are_no_sessions_it_is_refused(lab, mapping):
    lab.start(mappings=[{"in": "10.0.0.0/24", "name": "homes", **mapping}])
    assert "leave endpoint_independent out" in lab.agent.refused("mapping", "set", "homes", "--eim", "udp")
    lab.agent.write(mappings=[{"in": "10.0.0.0/24", **mapping, "endpoint_independent": {"mapping": ["udp"]}}])
    assert "mappings[0].endpoint_independent: " in lab.agent.refused("reload")


def findings_of(lab, *place):
    return {f["reason"]: f for f in lab.agent.ctl("explain", *place)["findings"]}


def test_explain_names_the_port_that_an_endpoint_has(lab):
    start(lab, mapping=["udp"], filtering=["udp"])
    host = lab.host()
    src = send_out(lab, host, 3074)
    for place in (f"{host.addr}:3074", "%s:%d" % src):
        found = findings_of(lab, place)["binding"]
        assert not found["drops"]
        assert found["text"] == f"udp {host.addr}:3074 has {src[0]}:{src[1]} for all destinations, and packets from anyone there open a session"
    assert "binding" not in findings_of(lab, host.addr) and "binding" not in findings_of(lab, f"{host.addr}:3075")
    # Without a session the port is bound for a while: nothing is dropped.
    lab.agent.ctl("session", "flush", host.addr)
    assert not any(f["drops"] for f in findings_of(lab, "%s:%d" % src).values())


def test_explain_says_that_a_block_is_bound(lab):
    lab.start(mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "endpoint_independent": {"mapping": ["udp"]}}])
    host = lab.host()
    for port in range(15):
        send_out(lab, host, 7000 + port)
    found = findings_of(lab, host.addr)["drop_ports_exhausted"]
    assert found["drops"] and "all 15 ports of the block are bound for udp" in found["text"]


def test_explain_says_that_the_outside_has_its_share(lab):
    lab.start(mappings=[{**ROOMY, "sessions_per_user": 40, "endpoint_independent": {
        "mapping": ["udp"], "filtering": ["udp"], "inbound_sessions": 5}}])
    host = lab.host()
    src = send_out(lab, host, 3074)
    for number in (1, 2):
        lab.send_in(lab.from_outside(src[0], UDP(sport=999, dport=src[1]), src=f"192.0.2.{number + 7}"), host, 3074)
    with lab.counting(drop_inbound_limit=1):
        lab.outside.send(lab.from_outside(src[0], UDP(sport=999, dport=src[1]), src="192.0.2.99"))
    assert "all 2 sessions that may be opened from outside" in findings_of(lab, host.addr)["drop_inbound_limit"]["text"]


def test_bindings_are_counted_by_mapping_and_protocol(lab):
    lab.start(mappings=[{**ROOMY, "name": "homes", "endpoint_independent": {"mapping": ["udp"]}}], metrics={"listen": LISTEN},
              sweep_interval=1)
    for port in (3074, 3075):
        send_out(lab, lab.host(), port)
    line = f'detnat_bindings{{inside="{ROOMY["in"]}",outside="{ROOMY["out"]}",mapping="homes",protocol="udp"}} 2'
    wait_for(lambda: line in scrape(lab), what="the bindings in the metrics")
    assert lab.agent.ctl("check")["checked"]["bindings"] == 2
