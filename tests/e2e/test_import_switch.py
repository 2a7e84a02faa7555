# SPDX-License-Identifier: BSD-2-Clause
"""A switch from Linux's own NAT: rules that the kernel takes, and detnat with what import makes of them, translate alike."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from agent import CTL
from lab import IN_MAC

CORPUS = pathlib.Path(__file__).parent.parent / "import"
POOL = "203.0.113.1"
PORTS = (1024, 5000, 33000, 65535)


def rules_of(name):
    """The rules, with the interface of the lab, and an outside address that is not the gateway's own."""
    return (CORPUS / name).read_text().replace("wan0", "out0").replace("198.51.100.1", POOL)


def blocks_of(rules):
    """Ports by subscriber, as the rules say: read by an expression of the test's own."""
    found = re.findall(r"(?:-s|saddr) (100\.65\.0\.\d)(?:/32)? .*(?:snat to|--to-source) \S+:(\d+)-(\d+)", rules)
    return {addr: (int(lo), int(hi)) for addr, lo, hi in found}


def load(gateway, name, rules):
    if name.endswith(".nft"):
        gateway.run("nft", "-f", "-", input=rules)
    else:
        gateway.run("iptables-restore", input=rules)


def outside_endpoints(lab, hosts):
    """Sends TCP and UDP of each host from several ports; where each leaves."""
    seen = {}
    for host in hosts:
        for port in PORTS:
            for payload in (UDP(sport=port, dport=53) / b"query", TCP(sport=port, dport=80, flags="S", seq=1)):
                lab.inside.send(lab.from_inside(host, payload))
                frame = lab.outside.receive()
                assert frame is not None, f"a packet of {host.addr} did not leave"
                packet = Ether(frame)[IP]
                seen[host.addr, port, packet.proto] = packet.src, packet[TCP if packet.proto == 6 else UDP].sport
    return seen


@pytest.mark.parametrize("name", ["nft-rules.nft", "iptables-snat.save"])
def test_packets_leave_by_the_same_address_and_block_before_and_after_the_switch(lab, name):
    program = "nft" if name.endswith(".nft") else "iptables-restore"
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    rules = rules_of(name)
    blocks = blocks_of(rules)
    assert len(blocks) == 8, "a subscriber has no rule"
    lab.gateway.ip("route", "add", "100.65.0.0/29", "dev", "in0")
    hosts = [lab.host(addr) for addr in sorted(blocks)]

    load(lab.gateway, name, rules)
    before = outside_endpoints(lab, hosts)
    lab.gateway.run("nft", "flush", "ruleset")

    path = lab.directory / name
    path.write_text(rules)
    done = subprocess.run([CTL, "import", "auto", str(path)], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("8 subscribers: 8 keep address and ports")
    config = json.loads(done.stdout)
    assert config["interfaces"]["outside"] == ["out0"]
    lab.start(mappings=config["mappings"])
    after = outside_endpoints(lab, hosts)

    assert set(before) == set(after)
    for (addr, port, proto), (out, outside_port) in before.items():
        lo, hi = blocks[addr]
        assert out == POOL and lo <= outside_port <= hi, f"the kernel: {addr}:{port}, protocol {proto}"
        out, outside_port = after[addr, port, proto]
        assert out == POOL and lo <= outside_port <= hi, f"detnat: {addr}:{port}, protocol {proto}"


def test_answers_reach_the_subscriber_after_the_switch(lab):
    """An answer to the endpoint that the import promised comes to the subscriber of the rules."""
    rules = rules_of("nft-rules.nft")
    path = lab.directory / "rules.nft"
    path.write_text(rules)
    config = json.loads(subprocess.run([CTL, "import", "nft", str(path)], capture_output=True, text=True, check=False).stdout)
    lab.gateway.ip("route", "add", "100.65.0.0/29", "dev", "in0")
    lab.start(mappings=config["mappings"])
    for addr, (lo, _) in sorted(blocks_of(rules).items()):
        host = lab.host(addr)
        lab.inside.send(lab.from_inside(host, UDP(sport=lo, dport=53) / b"query"))
        sent = Ether(lab.outside.receive())[IP]
        lab.outside.send(lab.from_outside(sent.src, UDP(sport=53, dport=sent[UDP].sport) / b"answer"))
        got = Ether(lab.inside.receive())
        assert (got.src, got.dst, got[IP].dst, got[UDP].dport) == (IN_MAC, host.mac, addr, lo)
