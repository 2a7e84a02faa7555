# SPDX-License-Identifier: BSD-2-Clause
"""Connections of real hosts go on at the other gateway: a client and a server that reach each other by two gateways, and
static routes that the test switches from one to the other.

    client 10.0.0.9 (lo) -- eth0 -- [ gateway a ] -- eth0 -- (lo) server 198.51.100.7
                         -- eth1 -- [ gateway b ] -- eth1 --
"""

import contextlib
import socket
import struct
import threading

import pytest

import netns
from agent import wait_for
from gateways import Gateways
from lab import MAPPING, SERVER, block_of

CLIENT = "10.0.0.9"
PORT = 8080
PIECE = 4096
NOBODY = "02:00:00:00:ff:ff"


def pattern(offset):
    """What stands in the stream from an offset on: a number every eight octets."""
    return b"".join(n.to_bytes(8, "big") for n in range(offset // 8, (offset + PIECE) // 8))


class Ways:
    """The hosts of gateway a, which reach gateway b as well."""

    def __init__(self, gateways):
        a, b = gateways.labs
        self.client, self.server = a.inside_ns, a.outside_ns
        for host, name, near, far in ((self.client, "in1", "10.9.0.1", "10.9.0.2"), (self.server, "out1", "203.0.113.1", "203.0.113.2")):
            netns.connect(host, "eth1", b.gateway, name)
            host.ip("addr", "add", f"{far}/24", "dev", "eth1")
            b.gateway.ip("addr", "add", f"{near}/24", "dev", name)
        for namespace in (self.client, self.server, a.gateway, b.gateway):
            for name in ("all", "default"):
                namespace.sysctl(f"net.ipv4.conf.{name}.rp_filter", 0)
        self.client.batch(f"addr add {CLIENT}/32 dev lo", "addr add 10.0.200.1/16 dev eth0")
        self.server.batch(f"addr add {SERVER}/32 dev lo", "addr add 198.51.100.200/24 dev eth0")
        a.gateway.batch(f"route replace {CLIENT}/32 via 10.0.200.1", f"route replace {SERVER}/32 via 198.51.100.200")
        b.gateway.batch(f"route replace {CLIENT}/32 via 10.9.0.2", f"route replace {SERVER}/32 via 203.0.113.2")
        self.by_a()

    def by_a(self):
        self.client.ip("route", "replace", f"{SERVER}/32", "via", "10.0.0.1", "dev", "eth0", "src", CLIENT)
        self.server.ip("route", "replace", "1.1.1.0/30", "via", "198.51.100.1", "dev", "eth0", "src", SERVER)

    def cut(self):
        """Nothing reaches gateway a any more, and the hosts do not see that by the carrier."""
        self.client.ip("neigh", "replace", "10.0.0.1", "lladdr", NOBODY, "dev", "eth0", "nud", "permanent")
        self.server.ip("neigh", "replace", "198.51.100.1", "lladdr", NOBODY, "dev", "eth0", "nud", "permanent")

    def by_b(self):
        self.client.ip("route", "replace", f"{SERVER}/32", "via", "10.9.0.1", "dev", "eth1", "src", CLIENT)
        self.server.ip("route", "replace", "1.1.1.0/30", "via", "203.0.113.1", "dev", "eth1", "src", SERVER)


@pytest.fixture
def gateways(run_directory):
    it = Gateways(run_directory)
    try:
        it.ways = Ways(it)
        it.prepare(0).start()
        it.prepare(1, interfaces={"inside": ["in1"], "outside": ["out1"]}).start()
        it.wait_synchronised()
        yield it
    finally:
        it.close()


class Reader:
    """Takes from a socket what arrives, as it arrives: however late the test reads, the receive window stays open."""

    def __init__(self, client):
        self._client = client
        self._octets = bytearray()
        self._ended = False
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        octets = True
        while octets:
            try:
                octets = self._client.recv(1 << 16)
            except OSError:
                octets = b""
            with self._more:
                self._octets += octets
                self._ended = not octets
                self._more.notify()

    def take(self, count):
        """The next `count` octets."""
        with self._more:
            assert self._more.wait_for(lambda: len(self._octets) >= count or self._ended, 20), "nothing arrives any more"
            assert len(self._octets) >= count, "the connection ended"
            taken = bytes(self._octets[:count])
            del self._octets[:count]
        return taken

    def join(self):
        self._thread.join(20)


@contextlib.contextmanager
def download(ways):
    """A server that sends as long as the client takes it; yields the client's socket, a reader of it, and the server's socket."""
    with ways.server.enter():
        listener = socket.create_server((SERVER, PORT))
    with ways.client.enter():
        client = socket.socket()
    ended = threading.Event()

    def serve(connection):
        offset = 0
        with contextlib.suppress(OSError):
            while not ended.is_set():
                connection.sendall(pattern(offset))
                offset += PIECE
                ended.wait(0.005)

    with listener, client:
        client.bind((CLIENT, 0))
        client.settimeout(60)
        client.connect((SERVER, PORT))
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(20)
            server = threading.Thread(target=serve, args=(connection,), daemon=True)
            server.start()
            reader = Reader(client)
            try:
                yield client, reader, connection
            finally:
                ended.set()
                # The gateway may be gone: the end is not waited for.
                client.shutdown(socket.SHUT_RDWR)
                reader.join()
                server.join(20)


def receive(reader, offset, count):
    """Takes `count` pieces and compares them with what stands there; returns the offset behind them."""
    for _ in range(count):
        assert reader.take(PIECE) == pattern(offset)
        offset += PIECE
    return offset


def unanswered_for(connection):
    """Milliseconds since the last acknowledgement, where something waits for one: tcpi_last_ack_recv, tcpi_unacked."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 60)
    unacknowledged, last = struct.unpack_from("=I", info, 24)[0], struct.unpack_from("=I", info, 56)[0]
    return last if unacknowledged else 0


def take_over(gateways, sender=None):
    """Gateway a dies and its links go down; the routes lead to the other, once what was under way is lost and only the sender still speaks."""
    a = gateways.a
    gateways.ways.cut()
    a.agent.kill()
    a.agent = None
    if sender:
        wait_for(lambda: unanswered_for(sender) > 1000, what="the sender to be alone")
    for name in ("in0", "out0", "sync0"):
        a.gateway.ip("link", "set", name, "down")
    gateways.ways.by_b()


def test_a_download_goes_on_after_its_gateway_was_killed(gateways):
    b = gateways.b
    with download(gateways.ways) as (client, reader, connection):
        source, offset = client.getsockname()[1], 0

        def copied():
            nonlocal offset
            offset = receive(reader, offset, 20)
            return b.sessions(CLIENT)

        wait_for(copied, what="the copy")
        assert b.sessions(CLIENT)[0]["out_port"] == block_of(CLIENT, MAPPING).first_choice(source)[1]
        take_over(gateways, connection)
        receive(reader, offset, 400)
    assert b.agent.counters()["sessions_opened"] == 0


def test_a_connection_in_which_nobody_speaks_goes_on_from_the_servers_side(gateways):
    ways = gateways.ways
    with ways.server.enter():
        listener = socket.create_server((SERVER, PORT))
    with ways.client.enter():
        client = socket.socket()
    with listener, client:
        client.settimeout(20)
        client.bind((CLIENT, 0))
        client.connect((SERVER, PORT))
        connection, _ = listener.accept()
        with connection:
            wait_for(lambda: gateways.b.sessions(CLIENT), what="the copy", interval=0.05)
            take_over(gateways)
            connection.sendall(b"a push message")
            assert client.recv(100) == b"a push message"
            client.sendall(b"thanks")
            assert connection.recv(100) == b"thanks"
