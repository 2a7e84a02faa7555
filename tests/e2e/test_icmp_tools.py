# SPDX-License-Identifier: BSD-2-Clause
"""Path MTU discovery and traceroute through the NAT, with real tools and a real stack on every host of the path.

    host -- home [router] -- in0 [gateway] out0 -- isp [router] -- server
    10.0.9.2     10.0.9.1    10.0.0.2 10.0.0.1   198.51.100.1 .254     192.0.2.1 192.0.2.9
"""

import contextlib
import re
import subprocess
import sys

import pytest

import netns
from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, Lab, ROUTER, ROUTER_MAC, block_of

HOST = "10.0.9.2"
HOME = "10.0.9.1"
HOME_OUT = "10.0.0.2"
SERVER = "192.0.2.9"

SEND = """
import socket
s = socket.create_server(("", 8000))
print("ready", flush=True)
c, _ = s.accept()
c.sendall(bytes(400000))
c.close()
"""

RECEIVE = """
import socket, sys
c = socket.create_connection((sys.argv[1], 8000), timeout=20)
n = 0
while True:
    piece = c.recv(65536)
    if not piece:
        break
    n += len(piece)
print(n)
"""


class Path:
    """Routers and hosts; the lab's namespaces at the gateway's wires are the routers."""

    def __init__(self, lab):
        self.lab = lab
        self.home, self.isp = lab.inside_ns, lab.outside_ns
        self.host, self.server = netns.Namespace(f"{self.home.name}-h"), netns.Namespace(f"{self.isp.name}-s")
        netns.connect(self.host, "eth0", self.home, "lan")
        netns.connect(self.server, "eth0", self.isp, "lan")
        lab.gateway.ip("neigh", "del", ROUTER, "dev", "out0")
        self.isp.ip("link", "set", "eth0", "address", ROUTER_MAC)
        self.home.batch(f"addr add {HOME_OUT}/16 dev eth0", f"addr add {HOME}/24 dev lan",
                        f"route add default via {GATEWAY_IN}")
        self.isp.batch(f"addr add {ROUTER}/24 dev eth0", "addr add 192.0.2.1/24 dev lan",
                       f"route add 1.1.1.0/30 via {GATEWAY_OUT}")
        self.host.batch(f"addr add {HOST}/24 dev eth0", f"route add default via {HOME}")
        self.server.batch(f"addr add {SERVER}/24 dev eth0", "route add default via 192.0.2.1")
        lab.gateway.ip("route", "add", "10.0.9.0/24", "via", HOME_OUT)
        for router in (self.home, self.isp, lab.gateway):
            router.sysctl("net.ipv4.ip_forward", 1)
            router.sysctl("net.ipv4.icmp_ratelimit", 0)
            router.sysctl("net.ipv4.icmp_msgs_per_sec", 100000)

    def close(self):
        self.host.delete()
        self.server.delete()

    def forget(self):
        """Flushes what the hosts have learned about the path."""
        for host in (self.host, self.server):
            host.ip("route", "flush", "cache")

    def download(self):
        """Downloads 400,000 octets by TCP from the server; returns how many arrived."""
        server = self.server.popen(sys.executable, "-c", SEND, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout.readline() == "ready\n"
            return int(self.host.run(sys.executable, "-c", RECEIVE, SERVER).stdout)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()

    @contextlib.contextmanager
    def narrow(self, router, interface, other, mtu):
        """Gives a link a smaller MTU, known at both of its ends."""
        router.ip("link", "set", interface, "mtu", mtu)
        other.ip("link", "set", "eth0", "mtu", mtu)
        try:
            yield
        finally:
            router.ip("link", "set", interface, "mtu", 1500)
            other.ip("link", "set", "eth0", "mtu", 1500)
            self.forget()


@pytest.fixture(scope="module")
def routed_path(run_directory, mode):
    lab = Lab(run_directory)
    try:
        it = Path(lab)
        lab.at_end(it.close)
        lab.start(**mode)
        # The first packets resolve the neighbours on the path.
        wait_for(lambda: it.host.run("ping", "-c", "1", "-W", "1", SERVER, check=False).returncode == 0, what="the path")
        yield it
    finally:
        lab.close()


def hops(text):
    """Addresses by hop of a traceroute."""
    return [m.group(1) for m in re.finditer(r"^ *\d+  (\S+)", text, re.MULTILINE)]


@pytest.mark.parametrize("way", [["-U"], ["-I"], ["-T", "-p", "81"], []], ids=["udp-to-53", "icmp", "tcp", "udp"])
def test_traceroute(routed_path, way):
    with routed_path.lab.counting(icmp_error_translated=None, drop_no_session=None):
        out = routed_path.host.run("traceroute", "-n", "-q", "1", "-w", "2", "-N", "1", *way, SERVER).stdout
    assert hops(out) == [HOME, GATEWAY_IN, ROUTER, SERVER], out


def test_tracepath(routed_path):
    with routed_path.narrow(routed_path.isp, "lan", routed_path.server, 1300):
        out = routed_path.host.run("tracepath", "-n", "-m", "6", SERVER).stdout
    assert "pmtu 1300" in out and re.search(rf"^ *\d+:  {re.escape(SERVER)} .*reached", out, re.MULTILINE), out
    assert ROUTER in out, out


def test_ping_that_is_too_long_learns_the_mtu(routed_path):
    with routed_path.narrow(routed_path.isp, "lan", routed_path.server, 1300):
        ping = ["ping", "-W", "2", "-M", "do"]
        out = routed_path.host.run(*ping, "-c", "2", "-i", "0.2", "-s", "1400", SERVER, check=False).stdout
        assert f"From {ROUTER} " in out and "mtu = 1300" in out, out
        assert "mtu 1300" in routed_path.host.ip("route", "get", SERVER), "the host's stack believed the error"
        routed_path.host.run(*ping, "-c", "1", "-s", "1272", SERVER)


def test_ping_to_a_host_that_is_not_there(routed_path):
    out = routed_path.host.run("ping", "-c", "1", "-W", "5", "192.0.2.77", check=False).stdout
    assert f"From {ROUTER} " in out and "Destination Host Unreachable" in out, out


def test_a_download_adapts_to_a_narrow_link_inside(routed_path):
    """An inside router reports it to the server, whose segments are too long, as the host's MSS allows them."""
    routed_path.home.ip("route", "replace", f"{HOST}/32", "dev", "lan", "mtu", "lock", "1200")
    try:
        before = routed_path.lab.agent.counters()["icmp_error_translated"]
        assert routed_path.download() == 400000
        assert routed_path.lab.agent.counters()["icmp_error_translated"] > before, "no error was translated"
        assert "mtu 1200" in routed_path.server.ip("route", "get", block_of(HOST).addr)
    finally:
        routed_path.home.ip("route", "del", f"{HOST}/32", "dev", "lan")
        routed_path.forget()


def test_the_gateways_own_error_quotes_what_its_receiver_sent(routed_path):
    """The route inside has an MTU that only the kernel knows: its error quotes the translated packet."""
    if routed_path.lab.agent.config["forwarding"] != "kernel":
        pytest.skip("XDP forwards by the interface's MTU")
    routed_path.lab.gateway.ip("route", "replace", f"{HOST}/32", "via", HOME_OUT, "mtu", "lock", "1100")
    try:
        assert routed_path.download() == 400000
        assert "mtu 1100" in routed_path.server.ip("route", "get", block_of(HOST).addr)
    finally:
        routed_path.lab.gateway.ip("route", "del", f"{HOST}/32")
        routed_path.forget()
