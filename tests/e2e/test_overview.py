# SPDX-License-Identifier: BSD-2-Clause
"""detnat(7): the gateway that the page shows does what the page says, and its commands run."""

import json
import re

import pytest
from scapy.layers.inet import ICMP, TCP, UDP

import prometheus
from lab import ROUTER, Lab, block_of

PAGE = (prometheus.TREE / "docs/man/detnat.7").read_text()
CONFIG = json.loads(re.search(r"^\.Bd -literal.*?\n(\{.*?\n\})\n\.Ed", PAGE, re.MULTILINE | re.DOTALL)[1])
COMMANDS = re.findall(r"^(?:\.Dl )?detnatctl (.*)$", PAGE, re.MULTILINE)
HOMES, ACME = CONFIG["mappings"]


@pytest.fixture(scope="module")
def gateway(run_directory):
    it = Lab(run_directory)
    try:
        it.gateway.ip("route", "add", HOMES["in"], "dev", "in0")
        it.start(**{key: value for key, value in CONFIG.items() if key != "interfaces"})
        yield it
    finally:
        it.close()


def test_the_port_forward_is_reached_from_outside_and_answers(gateway):
    host = gateway.host("100.64.9.3")
    gateway.send_in(gateway.from_outside("203.0.113.36", TCP(sport=40000, dport=443, flags="S", seq=1)), host, 443)
    gateway.send_out(gateway.from_inside(host, TCP(sport=443, dport=40000, flags="SA", seq=9, ack=2)), ("203.0.113.36", 443))
    assert gateway.sessions(host.addr) == []


def test_the_customer_with_an_address_of_its_own_is_open_both_ways(gateway):
    host = gateway.host(ACME["in"].split("/")[0])
    out = ACME["out"].split("/")[0]
    gateway.send_in(gateway.from_outside(out, TCP(sport=40000, dport=25, flags="S", seq=1)), host, 25)
    gateway.send_out(gateway.from_inside(host, UDP(sport=5060, dport=53) / b"query"), (out, 5060))
    gateway.send_in(gateway.from_outside(out, ICMP(type=8, id=7, seq=1) / b"ping"), host, 7)
    assert gateway.sessions(host.addr) == []


def test_udp_of_homes_has_one_port_towards_everybody_and_anyone_may_answer(gateway):
    host = gateway.host("100.64.1.2")
    src = gateway.open_udp(host, 3074, mapping=HOMES)
    assert src == block_of(host.addr, HOMES).first_choice(3074)
    assert gateway.open_udp(host, 3074, dst=ROUTER, dport=3478, mapping=HOMES) == src
    gateway.send_in(gateway.from_outside(src[0], UDP(sport=9999, dport=src[1]) / b"stranger", ROUTER), host, 3074)


def test_the_commands_run(gateway):
    """But for one that ends only with its reader, and a question about a time before the test."""
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        if command == "monitor":
            continue
        words = command.split()
        if words[0] == "who":
            words += ["--state-dir", str(gateway.agent.state)]
        result = gateway.agent.command(*words)
        expected = {"config diff": 1}.get(command, 0) if "--at" not in words else 1
        assert result.status == expected, f"{command}: {result}"
