# SPDX-License-Identifier: BSD-2-Clause
"""Linux on both sides: real sockets, curl, iperf3 and coturn's NAT discovery, in every mode."""

import itertools
import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, MAPPING, SERVER, SERVER_MAC, Lab, block_of
from wire import SO_RCVBUFFORCE

CLIENT = "10.0.0.9"
OTHER = "10.0.0.10"  # another subscriber of the same kernel
SECOND = "198.51.100.8"  # another address of the server

IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0


@pytest.fixture(scope="module")
def real_hosts_lab(run_directory, mode):
    """A lab whose hosts are kernels instead of scapy."""
    lab = Lab(run_directory)
    try:
        lab.inside_ns.batch(f"addr add {CLIENT}/16 dev eth0", f"route add default via {GATEWAY_IN}")
        lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                             f"addr add {SECOND}/24 dev eth0", f"route add {MAPPING['out']} via {GATEWAY_OUT}")
        lab.start(**mode)
        yield lab
    finally:
        lab.close()


class Server:
    """A process outside, up once its TCP port is open."""

    def __init__(self, world, port, *command):
        self.world, self.port = world, port
        self.process = world.outside_ns.popen(*command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens(self):
        assert self.process.poll() is None, "the server has ended"
        # Not by connecting, which would occupy the server.
        with self.world.outside_ns.enter(), open("/proc/thread-self/net/tcp") as tcp, open("/proc/thread-self/net/tcp6") as tcp6:
            sockets = [line.split() for line in (*tcp, *tcp6)]
        return any(s[1].endswith(f":{self.port:04X}") and s[3] == "0A" for s in sockets)

    def __enter__(self):
        wait_for(self.listens, what="the server to listen")
        return self

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def inside(world, *command):
    return world.inside_ns.run(*command).stdout


def test_curl(real_hosts_lab, tmp_path):
    (tmp_path / "page").write_bytes(bytes(range(256)) * 4000)
    with Server(real_hosts_lab, 8080, sys.executable, "-m", "http.server", "8080", "--directory", str(tmp_path)):
        inside(real_hosts_lab, "curl", "-sf", "-m", "20", "-o", str(tmp_path / "got"), f"http://{SERVER}:8080/page")
    assert (tmp_path / "got").read_bytes() == (tmp_path / "page").read_bytes()


@pytest.mark.parametrize("options", [(), ("-R",), ("-u", "-b", "5M"), ("-u", "-b", "5M", "-R")], ids="-".join)
def test_iperf3(real_hosts_lab, options):
    with Server(real_hosts_lab, 5201, "iperf3", "-s"):
        result = json.loads(inside(real_hosts_lab, "iperf3", "-J", "-c", SERVER, "-t", "1", *options))
    assert "error" not in result
    end = result["end"].get("sum_received") or result["end"]["sum"]
    assert end["bytes"] > 100000
    assert end.get("lost_percent", 0) < 50


ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: the buffer size is not what is tested
s.bind((sys.argv[1], 7))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(data, peer)
"""


@pytest.mark.parametrize("size", [1473, 2953, 8000, 60000])
def test_udp_that_both_kernels_fragment(real_hosts_lab, size):
    """Datagrams of 2 to 41 fragments in each direction, several of one socket in flight at once."""
    server = real_hosts_lab.outside_ns.popen(sys.executable, "-c", ECHO, SERVER, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "ready\n"
        with real_hosts_lab.inside_ns.enter():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with client:
            client.settimeout(10)
            client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
            client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
            client.bind((CLIENT, 0))
            sent = [bytes((i * 31 + n) % 251 for i in range(size)) for n in range(4)]
            with real_hosts_lab.counting():
                for datagram in sent:
                    client.sendto(datagram, (SERVER, 7))
                assert sorted(client.recvfrom(65536)[0] for _ in sent) == sorted(sent)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_ping_in_fragments(real_hosts_lab):
    out = inside(real_hosts_lab, "ping", "-c", "3", "-i", "0.2", "-W", "5", "-s", "4000", SERVER)
    assert "3 received, 0% packet loss" in out, out


def peer(addr, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((addr, port))
    s.setblocking(False)
    return s


def test_both_sides_open_at_once(real_hosts_lab):
    """Without any listening socket: each side's SYN meets the other's."""
    src = block_of(CLIENT).first_choice(5000)
    with real_hosts_lab.outside_ns.enter():
        there = peer(SERVER, 80)
    with real_hosts_lab.inside_ns.enter():
        here = peer(CLIENT, 5000)
    with here, there:
        before = real_hosts_lab.agent.counters()["drop_no_session"]
        there.connect_ex(src)
        wait_for(lambda: real_hosts_lab.agent.counters()["drop_no_session"] > before, what="the SYN from outside to be dropped")
        here.connect_ex((SERVER, 80))
        for s in (here, there):
            s.settimeout(20)
        wait_for(lambda: here.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and connected(here), what="the connection")
        here.sendall(b"from inside")
        there.sendall(b"from outside")
        assert there.recv(100) == b"from inside"
        assert here.recv(100) == b"from outside"
        assert there.getpeername() == src
        (session,) = [s for s in real_hosts_lab.sessions(CLIENT, "--proto", "tcp") if s["in_port"] == 5000]
        assert session["state"] == "tcp-established"


def connected(s):
    try:
        s.getpeername()
    except OSError:
        return False
    return True


_ports = itertools.count(6000)
STUN = ("turnserver", "-n", "-L", SERVER, "-L", SECOND, "--no-auth", "--no-tls", "--no-dtls", "--no-cli",
        "--log-file", "stdout", "--pidfile", "/dev/null", "--no-software-attribute")


def reassembled(namespace):
    """Datagrams that this kernel has made of fragments."""
    with namespace.enter(), open("/proc/thread-self/net/snmp") as snmp:
        names, values = [line.split() for line in snmp if line.startswith("Ip:")]
    return int(values[names.index("ReasmOKs")])


def answers(world):
    """Whether the STUN server has all its UDP sockets, which it opens after those of TCP; earlier requests are lost."""
    with world.outside_ns.enter(), open("/proc/thread-self/net/udp") as udp:
        bound = {line.split()[1] for line in udp}
    return all(f"{int.from_bytes(socket.inet_aton(addr), sys.byteorder):08X}:{port:04X}" in bound
               for addr in (SERVER, SECOND) for port in (3478, 3479))


def discovery(world, *options):
    """Runs the client from a local port whose first choice no other run has used; returns (local port, output)."""
    port = next(_ports)
    with Server(world, 3478, *STUN):
        wait_for(lambda: answers(world), what="the sockets of the STUN server")
        return port, inside(world, "turnutils_natdiscovery", "-L", CLIENT, "-l", port, *options, SERVER)


@pytest.mark.parametrize("padding", [(), ("-P",)], ids=["short", "in fragments"])
def test_nat_discovery(real_hosts_lab, padding):
    """RFC 5780, with coturn's client and server: endpoint-independent mapping, filtering by address and port."""
    before = reassembled(real_hosts_lab.outside_ns)
    for option, verdict in (("-m", "NAT with Endpoint Independent Mapping!"), ("-f", "NAT with Address and Port Dependent Filtering!")):
        port, out = discovery(real_hosts_lab, option, *padding)
        assert verdict in out, out
        assert set(re.findall(r"reflexive addr: (\S+)", out)) == {"{}:{}".format(*block_of(CLIENT).first_choice(port))}, out
    assert (reassembled(real_hosts_lab.outside_ns) > before) == bool(padding)


def test_nat_discovery_of_collisions(real_hosts_lab):
    """Two subscribers with the same local port get different endpoints, each in its own block."""
    real_hosts_lab.inside_ns.ip("addr", "replace", f"{OTHER}/16", "dev", "eth0")
    port, out = discovery(real_hosts_lab, "-c", "-A", OTHER)
    wanted = ["{}:{}".format(*block_of(host).first_choice(port)) for host in (CLIENT, OTHER)]
    assert re.findall(r"reflexive addr: (\S+)", out) == wanted, out
    assert re.findall(r"Local addr: :? ?(\S+)", out) == [f"{host}:{port}" for host in (CLIENT, OTHER)], out
