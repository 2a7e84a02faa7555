# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl: what session list selects, and session flush."""

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from lab import SERVER, block_of


@pytest.fixture
def lab(running_lab):
    running_lab.agent.ctl("session", "flush", "10.0.0.0/18", "--yes")
    return running_lab


def test_a_listing_has_what_fits_all_that_is_asked(lab):
    agent, host, other = lab.agent, lab.host(), lab.host()
    lab.open_udp(host, port=5000, dport=53)
    lab.open_udp(host, port=5001, dport=54)
    lab.handshake(host, port=6000, dport=80)
    lab.open_udp(other, port=5000, dport=53)
    block = block_of(host.addr)
    for options, n in [
        ((), 4), (("--ext", SERVER), 4), (("--ext", f"{SERVER}:53"), 2), (("--ext", "198.51.100.0/24:80"), 1),
        (("--ext", "203.0.113.0/24"), 0), (("--ext", "0.0.0.0/0"), 4), (("--out", block.addr), 4),
        (("--out", "%s:%d" % block.first_choice(5000)), 1), (("--state", "tcp-established"), 1),
        (("--state", "udp-active", "--ext", f"{SERVER}:54"), 1), (("--older", "600"), 0), ((host.addr, "--ext", f"{SERVER}:53"), 1),
    ]:
        assert len(agent.ctl("session", "list", *options)) == n, options
        assert agent.ctl("session", "list", "--count", *options) == {"count": n}, options
        assert agent.text("session", "list", "--count", *options) == f"{n}\n"


def test_older_counts_the_seconds_since_a_packet_from_inside(lab):
    host = lab.host()
    lab.open_udp(host)
    assert lab.agent.ctl("session", "list", host.addr, "--older", "299") == []
    lab.agent.ctl("timeouts", "set", "udp=3600")
    wait_for(lambda: lab.agent.ctl("session", "list", host.addr, "--older", "1"), what="a second")
    lab.agent.ctl("timeouts", "reset")


def test_flush_ends_what_fits_and_a_dry_run_nothing(lab):
    agent, host, other = lab.agent, lab.host(), lab.host()
    lab.open_udp(host, port=5000, dport=53)
    lab.open_udp(host, port=5001, dport=54)
    lab.handshake(host, port=6000, dport=80)
    lab.open_udp(other, port=5000, dport=53)
    assert agent.ctl("session", "flush", host.addr, "--dry-run") == {"closed": 3, "dry_run": True}
    assert agent.text("session", "flush", "10.0.0.0/18", "--dry-run") == "would close 4\n"
    assert len(agent.ctl("session", "list")) == 4
    assert agent.ctl("session", "flush", host.addr, "--proto", "tcp") == {"closed": 1}
    assert agent.ctl("session", "flush", host.addr, "--ext", f"{SERVER}:54") == {"closed": 1}
    assert agent.text("session", "flush", host.addr) == "closed 1\n"
    assert agent.ctl("session", "flush", host.addr) == {"closed": 0}
    assert [s["in_addr"] for s in agent.ctl("session", "list")] == [other.addr]
    assert agent.ctl("session", "flush", "10.0.0.0/19") == {"closed": 1}
    lab.open_udp(host, port=5000, dport=53)


def test_a_whole_mapping_has_to_be_confirmed(lab):
    host = lab.host()
    lab.open_udp(host)
    for prefix in ("10.0.0.0/18", "10.0.0.0/8", "0.0.0.0/0"):
        assert "--yes" in lab.agent.refused("session", "flush", prefix)
    assert "of any mapping" in lab.agent.refused("session", "flush", "11.0.0.0/8")
    assert "of any mapping" in lab.agent.refused("session", "flush", "11.0.0.1")
    assert lab.agent.ctl("session", "flush", "0.0.0.0/0", "--yes") == {"closed": 1}


def test_more_sessions_than_a_batch_are_flushed(lab):
    hosts = [lab.host() for _ in range(30)]
    for host in hosts:
        for port in range(10):
            lab.inside.send(lab.from_inside(host, UDP(sport=5000 + port, dport=53)))
    wait_for(lambda: lab.agent.ctl("session", "list", "--count")["count"] == 300, what="300 sessions")
    lab.outside.clear()
    assert lab.agent.ctl("session", "flush", "10.0.0.0/18", "--yes") == {"closed": 300}
    assert lab.agent.ctl("session", "list") == []
