# SPDX-License-Identifier: BSD-2-Clause
"""464XLAT (RFC 6877): a host of IPv4 behind tayga as its CLAT, over IPv6 alone to detnat as the PLAT, to a server of IPv4."""

import hashlib
import os
import random
import socket
import subprocess
import sys

import pytest

import netns
import translators
from agent import wait_for
from lab import GATEWAY_OUT, SERVER, SERVER_MAC
from lab64 import CPE, CPE_MAC, GATEWAY6, MAPPING64, Lab64, host

BULK = 20 << 20
HOME = "192.168.1.2"  # the host, which knows no IPv6
# Not 64:ff9b::/96, in which tayga translates no addresses of documentation.
PREFIX = "2001:db8:64::/96"
CLAT = host(7, 2)  # its address as the gateway sees it
SETTINGS = f"""
tun-device clat
ipv4-addr 192.168.1.254
ipv6-addr {host(7, 0x64)}
prefix {PREFIX}
map {HOME} {CLAT}
"""
SERVE = """
import hashlib, http.server, socket, sys, threading
def echo():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", 7))
    while True:
        udp.sendto(*udp.recvfrom(65536))
threading.Thread(target=echo, daemon=True).start()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, data):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        self.answer(open(sys.argv[1], "rb").read())
    def do_PUT(self):
        self.answer(hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest().encode())
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


class Home:
    """A host of IPv4 and the router with its CLAT, in the place of the lab's subscribers."""

    def __init__(self, world):
        self.world = world
        self.router, self.namespace = world.inside_ns, netns.Namespace("dn464-home")
        netns.connect(self.namespace, "eth0", self.router, "home0")
        self.namespace.batch(f"addr add {HOME}/24 dev eth0", "route add default via 192.168.1.1")
        self.router.sysctl("net.ipv4.ip_forward", 1)
        for device in ("all", "default", "eth0"):
            self.router.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", 0)
        self.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.router.batch(f"link set eth0 address {CPE_MAC}", f"addr add {CPE}/64 dev eth0 nodad",
                          f"addr add {GATEWAY6[:-1]}c/64 dev eth0 nodad", "addr add 192.168.1.1/24 dev home0")
        self.start_clat()

    def start_clat(self):
        config = self.world.directory / "clat.conf"
        config.write_text(SETTINGS)
        self.router.run(translators.tayga(), "--mktun", "-c", config)
        self.router.batch("link set clat mtu 1480 up", "route replace default dev clat", f"route add {CLAT} dev clat",
                          f"route replace ::/0 via {GATEWAY6}")
        self.log = open(self.world.directory / "clat.log", "wb")
        self.tayga = self.router.popen(translators.tayga(), "--nodetach", "-c", config, stdout=self.log, stderr=self.log)

    def run(self, *command):
        return self.namespace.run(*command).stdout

    def end(self):
        self.tayga.kill()
        self.tayga.wait()
        self.log.close()
        self.namespace.delete()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("464xlat") / "page"
    path.write_bytes(random.Random(464).randbytes(BULK))
    return path


@pytest.fixture(scope="module")
def home(run_directory, page):
    if translators.tayga() is None:
        pytest.skip("tayga is missing: deploy/install-deps.sh test")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/net/tun")
    lab = Lab64(run_directory)
    lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                         f"route add {MAPPING64['out']} via {GATEWAY_OUT}")
    it = Home(lab)
    server = lab.outside_ns.popen(sys.executable, "-c", SERVE, page, stdin=subprocess.DEVNULL)
    try:
        lab.start(mappings=[{**MAPPING64, "nat64_prefix": PREFIX}])
        wait_for(lambda: " 0% packet loss" in it.namespace.run("ping", "-c1", "-W1", SERVER, check=False).stdout, what="the way through both")
        yield it
    finally:
        server.kill()
        server.wait()
        it.end()
        lab.close()


def test_ping(home):
    before = home.world.agent.counters()
    answer = home.run("ping", "-c", "5", "-i", "0.2", SERVER)
    assert "5 received" in answer
    after = home.world.agent.counters()
    assert after["in2out_translated"] - before["in2out_translated"] >= 5
    assert after["out2in_translated"] - before["out2in_translated"] >= 5


def test_20_mb_both_ways(home, page, tmp_path):
    url, got = f"http://{SERVER}:8080/page", tmp_path / "got"
    home.run("curl", "-sf", "-m", "60", "-o", str(got), url)
    assert got.read_bytes() == page.read_bytes()
    assert home.run("curl", "-sf", "-m", "60", "-T", str(page), url) == hashlib.sha256(page.read_bytes()).hexdigest()
    assert {s["in_addr"] for s in home.world.sessions()} == {CLAT}


def echoed(udp, data):
    """What comes back, if anything: the first one may be lost to an error that tells an MTU."""
    try:
        udp.sendto(data, (SERVER, 7))
        return udp.recv(65536)
    except OSError:
        return None


def test_long_datagrams_come_back(home):
    """Fragments of IPv4, then of IPv6, which the CLAT makes of 1280 octets, and of IPv4 again, both ways."""
    with home.namespace.enter():
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(1)
    for size in (1300, 1472, 4000):
        data = random.Random(size).randbytes(size)
        wait_for(lambda: echoed(udp, data) == data, what=f"{size} octets")
    udp.close()


def test_the_path_mtu_is_told(home):
    """The link of the CLAT takes 1480 octets of IPv6, so 1460 of IPv4. Answers to a ping would come in fragments, which tayga drops."""
    refused = home.namespace.run("ping", "-c", "2", "-i", "0.2", "-M", "do", "-s", "1452", SERVER, check=False)
    # What comes back; in what the socket says of the second, Debian 13's ping has no number.
    assert "(mtu = 1460)" in refused.stdout, refused
