# SPDX-License-Identifier: BSD-2-Clause
"""Leases from real servers of Debian: radclient and FreeRADIUS, Kea and dnsmasq, each with clients of its own."""

import contextlib
import json
import re

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import radius
from agent import wait_for
from lab import GATEWAY_IN
from radius import FreeRadius, home, radclient
from test_identity_radius import HOST, PORT, configure, figures, lines, source, verify, who

SESSION = f"""User-Name = "alice"
Acct-Session-Id = "4711"
NAS-IP-Address = 192.0.2.9
Framed-IP-Address = {HOST}
Calling-Station-Id = "02-00-00-00-00-01"
Delegated-IPv6-Prefix = 2001:db8:7::/56
ADSL-Agent-Circuit-Id = "ge-0/0/1"
"""


def said(kind):
    return f"Acct-Status-Type = {kind}\n{SESSION}"


@contextlib.contextmanager
def running(server):
    try:
        yield server.start()
    finally:
        server.stop()


def test_radclient_gets_answers_that_it_takes(lab):
    agent = configure(lab).start()
    result = radclient(lab.gateway, f"127.0.0.1:{PORT}", "\n".join(said(kind) for kind in ("Start", "Interim-Update", "Stop")), "-s")
    assert result.returncode == 0 and re.search(r"Passed filter *: 3$", result.stdout, re.MULTILINE), result
    assert [line["event"] for line in lines(agent, "start", "interim", "stop")] == ["start"] * 2 + ["interim"] * 2 + ["stop"] * 2
    start = lines(agent, "start")[0]
    assert start["circuit"] == "ge-0/0/1" and start["session"] == "192.0.2.9/4711" and start["mac"] == "02:00:00:00:00:01"
    assert who(agent, at=start["time"])["customer"]["id"] == "alice"
    verify(agent)


def test_a_freeradius_gets_what_is_forwarded(lab, tmp_path):
    agent = configure(lab)
    agent.write(leases=[source(agent, forward="127.0.0.1:1899")])
    agent.start()
    # The access server is answered before the other server is even there.
    assert radclient(lab.gateway, f"127.0.0.1:{PORT}", said("Start")).returncode == 0
    with running(FreeRadius(lab.gateway, tmp_path / "radius", 1899)) as server:
        wait_for(lambda: server.details().count("Acct-Status-Type = Start") == 1, timeout=60, what="the detail file")
        assert radclient(lab.gateway, f"127.0.0.1:{PORT}", said("Stop")).returncode == 0
        wait_for(lambda: "Acct-Status-Type = Stop" in server.details(), what="the stop")
        wait_for(lambda: figures(lab)["radius_forwarded_total"] == 2, what="the answers")
        assert f"Framed-IP-Address = {HOST}" in server.details() and "Delegated-IPv6-Prefix = 2001:db8:7::/56" in server.details()


def test_a_freeradius_proxies_to_the_agent(lab, tmp_path):
    agent = configure(lab).start()
    proxy = FreeRadius(lab.gateway, tmp_path / "radius", 1899, preacct="update control {\n Proxy-To-Realm := up\n }", more=home(PORT))
    with running(proxy):
        for kind in ("Start", "Stop"):
            result = radclient(lab.gateway, "127.0.0.1:1899", said(kind))
            assert result.returncode == 0 and "Accounting-Response" in result.stdout, result
    assert [line["event"] for line in lines(agent, "start", "stop") if line["in_addr"] == HOST] == ["start", "stop"]


def test_a_freeradius_sends_copies_to_a_passive_agent(lab, tmp_path):
    agent = configure(lab)
    agent.write(leases=[source(agent, mode="passive")])
    agent.start()
    server = FreeRadius(lab.gateway, tmp_path / "radius", 1899, more=home(PORT),
                        accounting="update control {\n Replicate-To-Realm := up\n }\n replicate\n detail")
    with running(server):
        assert radclient(lab.gateway, "127.0.0.1:1899", said("Start")).returncode == 0
        wait_for(lambda: lines(agent, "start"), what="the line of the copy")
    assert figures(lab)["radius_answers_total"] == 0


def lease_to(lab, mac):
    """A DHCP client gets an address, and leaves its interface as it is."""
    lab.inside_ns.ip("link", "set", "eth0", "address", mac)
    client = lab.inside_ns.popen("busybox", "udhcpc", "-f", "-n", "-q", "-C", "-i", "eth0", "-s", "/bin/true", "-t", "20", "-T", "1")
    assert client.wait(60) == 0


def release(lab, mac):
    frame = (Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src=HOST, dst=GATEWAY_IN) / UDP(sport=68, dport=67)
             / BOOTP(ciaddr=HOST, chaddr=bytes.fromhex(mac.replace(":", "")), xid=7)
             / DHCP(options=[("message-type", "release"), ("server_id", GATEWAY_IN), "end"]))
    lab.inside.send(frame)


class Kea:
    def __init__(self, namespace, directory):
        self.namespace, self.directory = namespace, directory
        directory.mkdir()
        self.leases, self.log = directory / "kea-leases4.csv", directory / "log"
        (directory / "kea.json").write_text(json.dumps({"Dhcp4": {
            "interfaces-config": {"interfaces": ["in0"]}, "valid-lifetime": 600,
            "lease-database": {"type": "memfile", "persist": True, "name": str(self.leases), "lfc-interval": 0},
            "subnet4": [{"subnet": "10.0.0.0/16", "pools": [{"pool": f"{HOST} - {HOST}"}]}]}}))
        self.process = None

    def start(self):
        libraries = radius.UNPACKED / "usr/lib/x86_64-linux-gnu"
        with open(self.log, "ab") as log:
            self.process = self.namespace.popen(
                "env", f"LD_LIBRARY_PATH={libraries}", f"KEA_PIDFILE_DIR={self.directory}", f"KEA_LOCKFILE_DIR={self.directory}",
                radius.program("kea-dhcp4"), "-c", str(self.directory / "kea.json"), stdout=log, stderr=log)
        wait_for(lambda: "DHCP4_STARTED" in self.log.read_text() or self.process.poll() is not None, what="Kea to start")
        assert self.process.poll() is None, self.log.read_text()
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def test_a_lease_of_kea_names_the_customer(lab, tmp_path):
    directory = tmp_path / "kea"
    agent = lab.prepare(leases=[{"type": "kea-csv", "path": str(directory / "kea-leases4.csv")}])
    agent.start()
    wait_for(lambda: "once it is there" in json.dumps(agent.ctl("status")["troubles"]), what="the trouble of a missing file")
    with running(Kea(lab.gateway, directory)):
        lease_to(lab, "02:00:00:00:aa:01")
        start = wait_for(lambda: lines(agent, "start"), what="the line")[0]
    assert start["in_addr"] == HOST and start["mac"] == "02:00:00:00:aa:01"
    assert who(agent, at=start["time"], status=None)["customer"]["mac"] == "02:00:00:00:aa:01"
    wait_for(lambda: not agent.ctl("status")["troubles"], what="the end of the trouble")
    assert sum("once it is there" in line and "detnat-agent: " in line for line in agent.log_text().splitlines()) == 1
    verify(agent)


class Dnsmasq:
    def __init__(self, namespace, directory):
        self.namespace, self.directory = namespace, directory
        directory.mkdir()
        self.leases, self.log, self.process = directory / "leases", directory / "log", None

    def start(self):
        self.process = self.namespace.popen(
            radius.program("dnsmasq"), "-k", "--port=0", "--user=root", "--group=root", "--interface=in0", "--no-ping", f"--dhcp-range={HOST},10.0.16.17,1h",
            f"--dhcp-leasefile={self.leases}", "--conf-file=/dev/null", "--dhcp-authoritative", "--dhcp-sequential-ip", f"--pid-file={self.directory}/pid",
            f"--log-facility={self.log}", "--log-dhcp")
        wait_for(lambda: self.leases.exists(), what="dnsmasq to start")
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def test_leases_of_dnsmasq_begin_and_end(lab, tmp_path):
    directory = tmp_path / "dnsmasq"
    agent = lab.prepare(leases=[{"type": "dnsmasq", "path": str(directory / "leases")}])
    with running(Dnsmasq(lab.gateway, directory)):
        agent.start()
        lease_to(lab, "02:00:00:00:aa:01")
        start = wait_for(lambda: lines(agent, "start", "interim"), what="the line")[0]
        assert start["in_addr"] == HOST and start["mac"] == "02:00:00:00:aa:01"
        release(lab, "02:00:00:00:aa:01")
        stop = wait_for(lambda: lines(agent, "stop"), what="the end")[0]
    assert stop["in_addr"] == HOST and stop["to"] >= start["time"]
    assert not agent.ctl("status")["troubles"]
    verify(agent)


@pytest.mark.parametrize("kind", ["isc-dhcpd", "accel-ppp"])
def test_files_of_others_are_followed(lab, tmp_path, kind):
    path = tmp_path / "file"
    agent = lab.prepare(leases=[{"type": kind, "path": str(path)}])
    texts = {
        "isc-dhcpd": f"lease {HOST} {{\n  starts 4 2026/11/26 10:00:00;\n  ends never;\n  binding state active;\n  hardware ethernet 02:00:00:00:00:01;\n}}\n",
        "accel-ppp": f" ifname | username | calling-sid       | ip         | uptime   | sid\n ppp0   | alice    | 02:00:00:00:00:01 | {HOST} | 00:01:00 | s1\n",
    }
    path.write_text(texts[kind])
    agent.start()
    line = wait_for(lambda: lines(agent, "start", "interim"), what="the line")[0]
    assert line["in_addr"] == HOST and line["mac"] == "02:00:00:00:00:01"
