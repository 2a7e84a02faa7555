# SPDX-License-Identifier: BSD-2-Clause
"""A PCP client (RFC 6887) of raw octets, written without regard to the agent's source."""

import dataclasses
import ipaddress
import select
import socket
import struct
import urllib.request

SERVER_PORT, CLIENT_PORT = 5351, 5350
ANNOUNCE, MAP, PEER = 0, 1, 2
TCP, UDP = 6, 17
NONCE = bytes(range(1, 13))
PREFER_FAILURE = struct.pack(">BxH", 2, 0)

RESULTS = ("SUCCESS", "UNSUPP_VERSION", "NOT_AUTHORIZED", "MALFORMED_REQUEST", "UNSUPP_OPCODE", "UNSUPP_OPTION",
           "MALFORMED_OPTION", "NETWORK_FAILURE", "NO_RESOURCES", "UNSUPP_PROTOCOL", "USER_EX_QUOTA",
           "CANNOT_PROVIDE_EXTERNAL", "ADDRESS_MISMATCH", "EXCESSIVE_REMOTE_PEERS")


def mapped(addr):
    """An address as PCP writes it: IPv6, or IPv4-mapped; None: no IPv4 address in particular."""
    addr = ipaddress.ip_address(addr or "0.0.0.0")
    return addr.packed if addr.version == 6 else bytes(10) + b"\xff\xff" + addr.packed


def unmapped(octets):
    assert octets[:12] == bytes(10) + b"\xff\xff", octets
    return str(ipaddress.ip_address(octets[12:]))


def third_party(addr):
    return struct.pack(">BxH", 1, 16) + mapped(addr)


def filter_of(addr, plen=128, port=0):
    return struct.pack(">BxHxBH", 3, 20, plen, port) + mapped(addr)


def request(client, opcode, lifetime=0, body=b"", version=2):
    return struct.pack(">BBHI", version, opcode, 0, lifetime) + mapped(client) + body


def map_request(client, proto=TCP, port=443, lifetime=3600, suggest=(None, 0), nonce=NONCE, options=b""):
    addr, suggested = suggest
    return request(client, MAP, lifetime,
                   nonce + struct.pack(">BxxxHH", proto, port, suggested) + mapped(addr) + options)


def peer_request(client, proto, port, remote, lifetime=3600, suggest=(None, 0), nonce=NONCE):
    addr, suggested = suggest
    return request(client, PEER, lifetime, nonce + struct.pack(">BxxxHH", proto, port, suggested) + mapped(addr)
                   + struct.pack(">Hxx", remote[1]) + mapped(remote[0]))


@dataclasses.dataclass
class Response:
    octets: bytes
    opcode: int
    result: str
    lifetime: int
    epoch: int
    out: tuple = None  # (address, port) of a response to MAP or PEER that is a success
    options: bytes = b""


def decode(octets):
    """A response, of which everything is checked that no request is needed for."""
    assert len(octets) % 4 == 0 and 24 <= len(octets) <= 1100, octets
    version, opcode, reserved, result, lifetime, epoch = struct.unpack_from(">BBBBII", octets)
    assert version == 2 and opcode & 0x80 and reserved == 0, octets
    response = Response(octets, opcode & 0x7F, RESULTS[result], lifetime, epoch)
    if result == 0:
        assert octets[12:24] == bytes(12), octets
        end = {ANNOUNCE: 24, MAP: 60, PEER: 80}[response.opcode]
        response.options = octets[end:]
        if end > 24 and octets[44:56] == bytes(10) + b"\xff\xff":
            response.out = unmapped(octets[44:60]), struct.unpack_from(">H", octets, 42)[0]
    return response


class Client:
    """A client at an address of a namespace, asking a server."""

    def __init__(self, namespace, addr, server):
        self.addr, self.server = addr, (server, SERVER_PORT)
        with namespace.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((addr, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, octets):
        self.socket.sendto(octets, self.server)

    def receive(self, timeout=10.0):
        """The next response, or None."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return None
        octets, sender = self.socket.recvfrom(2048)
        assert sender == self.server, f"answered by {sender}, not {self.server}"
        return decode(octets)

    def ask(self, octets):
        """The response to a request, which it must repeat as far as the RFC says."""
        self.send(octets)
        response = self.receive()
        assert response is not None, "no answer"
        if response.opcode in (MAP, PEER) and octets[0] == 2 and len(octets) >= 60:
            assert response.octets[24:36] == octets[24:36], "another nonce"
            assert response.octets[36] == octets[36] and response.octets[40:42] == octets[40:42], "another inside endpoint"
        return response

    def map(self, **what):
        return self.ask(map_request(self.addr, **what))

    def lease(self, **what):
        """A lease; its outside endpoint."""
        response = self.map(**what)
        assert response.result == "SUCCESS", response
        return response.out

    def announce(self):
        return self.ask(request(self.addr, ANNOUNCE))


def figures(gateway):
    """The metrics of PCP, which are served at port 9469."""
    with gateway.enter():
        text = urllib.request.urlopen("http://127.0.0.1:9469/metrics", timeout=10).read().decode()
    return {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if line.startswith("detnat_pcp_")}
