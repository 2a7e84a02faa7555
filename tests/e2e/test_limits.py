# SPDX-License-Identifier: BSD-2-Clause
"""Limits of a subscriber beside the quota: sessions of a protocol, and sessions opened per second (RFC 6888 REQ-4, REQ-5)."""

import json
import socket
import struct
import subprocess
import time

import pytest
from scapy.layers.inet import TCP, UDP

from agent import wait_for
from lab import GATEWAY_IN, MAPPING, SERVER, Host
from pcp_client import Client
from test_geometry import NETMAP
from test_metrics import samples
from test_pcp import HOST, configured, real_hosts
from test_pcp import MAPPING as LEASED

LIMITED = {**MAPPING, "limits": {"tcp": 2, "udp": 3}}


def query(lab, host, port):
    return lab.from_inside(host, UDP(sport=port, dport=53) / b"query")


def limits_of(lab, host):
    return lab.agent.ctl("user", "show", host.addr)["limits"]


def refused(lab, host, packets, reason="drop_quota_protocol", first=7000):
    with lab.counting(**{reason: packets}, sent_icmp_unreachable=None):
        lab.inside.send(*(query(lab, host, first + i) for i in range(packets)))
    lab.inside.drain()


def test_a_protocol_is_refused_at_its_limit_and_the_others_go_on(lab, mode):
    lab.start(mappings=[LIMITED], **mode)
    host, other = lab.host(), lab.host()
    for port in (5000, 5001, 5002):
        lab.open_udp(host, port)
    with lab.counting(drop_quota_protocol=1, sent_icmp_unreachable=1):
        lab.inside.send(query(lab, host, 5003))
    lab.inside.drain()
    lab.handshake(host, 6000)
    lab.ping(host)
    lab.open_udp(other)
    assert limits_of(lab, host) == {"tcp": {"sessions": 1, "limit": 2}, "udp": {"sessions": 3, "limit": 3}, "refused_protocol": 1,
                                    "refused_rate": 0, "counting": False}
    assert "udp 3 of 3" in lab.agent.text("user", "show", host.addr)
    finding, = [f for f in lab.agent.ctl("explain", host.addr)["findings"] if f["reason"] == "drop_quota_protocol" and f["drops"]]
    assert "UDP: 3 of 3" in finding["text"]
    wait_for(lambda: f"subscriber {host.addr} is at its limit of 3 sessions of UDP" in lab.agent.log_text(), what="the line of the log")
    lab.agent.ctl("session", "close", "in", f"{host.addr}:5000", f"{SERVER}:53")
    lab.open_udp(host, 5003)


def test_the_first_limit_counts_the_sessions_there_are(lab):
    lab.start(mappings=[MAPPING])
    host = lab.host()
    for port in (5000, 5001, 5002, 5004):
        lab.open_udp(host, port)
    assert "limits" not in lab.agent.ctl("user", "show", host.addr)
    lab.agent.ctl("mapping", "set", MAPPING["in"], "--limit-udp", "4")
    wait_for(lambda: not limits_of(lab, host)["counting"], what="the counts")
    assert limits_of(lab, host)["udp"] == {"sessions": 4, "limit": 4}
    refused(lab, host, 5)
    # Another value comes at once, and so does none.
    lab.agent.ctl("mapping", "set", MAPPING["in"], "--limit-udp", "5")
    lab.open_udp(host, 5005)
    refused(lab, host, 2)
    lab.agent.ctl("mapping", "set", MAPPING["in"], "--limit-udp", "0")
    lab.open_udp(host, 5006)
    assert "limits" not in lab.agent.ctl("user", "show", host.addr)
    assert "limits" not in [m for m in lab.agent.ctl("mapping", "list") if m["in"] == MAPPING["in"]][0]
    assert lab.agent.ctl("check")["findings"] == []


def test_openings_have_a_rate_and_a_burst(lab, mode):
    lab.start(mappings=[{**MAPPING, "limits": {"new_per_second": 1, "new_burst": 4}}], **mode)
    host = lab.host()
    for port in range(5000, 5004):
        lab.open_udp(host, port)
    refused(lab, host, 3, "drop_rate")
    lab.open_udp(host, 5000)
    found = limits_of(lab, host)
    assert (found["new_burst"], found["new_per_second"], found["refused_rate"]) == (4, 1, 3) and found["tokens"] <= 1
    wait_for(lambda: limits_of(lab, host)["tokens"], what="a token")
    lab.open_udp(host, 5009)
    assert "1 a second" in lab.agent.text("user", "show", host.addr)


def test_limits_survive_the_agent(lab):
    lab.start(mappings=[LIMITED])
    host = lab.host()
    for port in (5000, 5001, 5002):
        lab.open_udp(host, port)
    lab.agent.kill()
    lab.agent.start()
    wait_for(lambda: not limits_of(lab, host)["counting"], what="the counts")
    assert limits_of(lab, host)["udp"] == {"sessions": 3, "limit": 3}
    refused(lab, host, 2)
    assert lab.agent.ctl("check")["findings"] == []


@pytest.mark.parametrize("options,message", [
    (("--limit-udp", "65536"), "limit_udp"), (("--new-burst", "5"), "new_burst without new_per_second"),
    (("--new-per-second", "x"), "new_per_second"),
])
def test_bad_limits_are_refused_and_change_nothing(lab, options, message):
    lab.start(mappings=[LIMITED])
    before = lab.agent.ctl("mapping", "list")
    status = 1 if "without" in message else 2
    text = lab.agent.refused("mapping", "set", MAPPING["in"], *options, status=status)
    assert message.split()[0].replace("_", "-") in text or message in text
    assert lab.agent.ctl("mapping", "list") == before


def line_of(lab, host):
    """The pin of the records of subscribers, and the key of the line of a host of the first mapping: lines follow records."""
    base = MAPPING["in"].split("/", maxsplit=1)[0]
    number = struct.unpack(">I", socket.inet_aton(host.addr))[0] - struct.unpack(">I", socket.inet_aton(base))[0]
    return next(lab.agent.pins.glob("v*/subscriber_0")), list(struct.pack("<I", 2 ** (32 - int(MAPPING["in"].split("/")[1])) + number))


def count_wrong(lab, host, udp, planted):
    """Changes the count of UDP in a line, where it is as expected."""
    pin, key = line_of(lab, host)
    keys = [str(octet) for octet in key]
    found = subprocess.run(["bpftool", "-j", "map", "lookup", "pinned", pin, "key", *keys], check=True, capture_output=True, text=True).stdout
    line = [int(octet, 16) for octet in json.loads(found)["value"]]
    assert struct.unpack_from("<3I", bytes(line)) == (0, udp, 0)
    line[4:8] = struct.pack("<I", planted)
    subprocess.run(["bpftool", "map", "update", "pinned", pin, "key", *keys, "value", *map(str, line)], check=True)


def test_a_wrong_count_is_found_and_counted_again(lab):
    lab.start(mappings=[LIMITED])
    host = lab.host()
    lab.open_udp(host, 5000)
    count_wrong(lab, host, 1, 3)
    refused(lab, host, 1)
    for options in ((), ("--repair",)):
        document = json.loads(lab.agent.command("-j", "check", *options).out)
        (finding,) = document["findings"]
        assert (finding["what"], finding["where"], finding["repaired"]) == ("limit-count", host.addr, bool(options))
        assert "its line counts 0 TCP, 3 UDP and 0 ICMP sessions; 0, 1 and 0 are in its slots" in finding["text"]
    wait_for(lambda: not limits_of(lab, host)["counting"], what="the counts")
    assert limits_of(lab, host)["udp"] == {"sessions": 1, "limit": 3}
    assert lab.agent.ctl("check")["findings"] == []
    lab.open_udp(host, 5001)


def test_sessions_that_drain_are_shown_as_they_count(lab):
    lab.start(mappings=[LIMITED])
    host = lab.host()
    for port in (5000, 5001, 5002):
        lab.open_udp(host, port)
    lab.agent.ctl("mapping", "add", MAPPING["in"], "1.1.5.0/26", "--replace", "--drain", "600")
    assert limits_of(lab, host)["udp"] == {"sessions": 3, "limit": 3}
    refused(lab, host, 1)
    finding, = [f for f in lab.agent.ctl("explain", host.addr)["findings"] if f["reason"] == "drop_quota_protocol" and f["drops"]]
    assert "UDP: 3 of 3" in finding["text"]


def test_an_address_that_comes_back_from_an_exception_is_limited(lab):
    exception = {"in": "10.0.0.5/32", "out": "1.1.9.9/32"}
    lab.start(mappings=[MAPPING, exception])
    host = lab.host("10.0.0.5")
    lab.agent.ctl("mapping", "set", MAPPING["in"], "--limit-udp", "2")
    lab.agent.write(mappings=[{**MAPPING, "limits": {"udp": 2}}])
    lab.agent.ctl("reload", "--force")
    wait_for(lambda: not limits_of(lab, host)["counting"], what="the counts")
    for port in (5000, 5001):
        lab.open_udp(host, port)
    refused(lab, host, 2)
    assert limits_of(lab, host)["udp"] == {"sessions": 2, "limit": 2}


def test_floods_leave_the_sessions_of_others(lab):
    """A host that opens all it can, and strangers that flood one pool address: all packets of another subscriber arrive."""
    lab.start(mappings=[{**MAPPING, "limits": {"udp": 100, "new_per_second": 50, "new_burst": 100}}])
    noisy, other = lab.host(), lab.host()
    out = lab.open_udp(other, 5000)
    for first in range(0, 2000, 100):
        lab.inside.send(*(lab.from_inside(noisy, UDP(sport=5000, dport=10000 + first + i) / b"flood") for i in range(100)))
        lab.outside.send(*(lab.from_outside("1.1.1.0", UDP(sport=53, dport=30000 + first + i) / b"flood") for i in range(100)))
        lab.inside.drain()
        lab.outside.drain()
        lab.open_udp(other, 5000)
        lab.send_in(lab.from_outside(out[0], UDP(sport=53, dport=out[1]) / b"answer"), other, 5000)
    found = limits_of(lab, noisy)
    assert found["udp"]["sessions"] <= 100 and found["refused_protocol"] + found["refused_rate"] > 1000
    assert limits_of(lab, other)["refused_rate"] == 0 and limits_of(lab, other)["udp"]["sessions"] == 1
    assert lab.agent.counters()["drop_no_session"] > 1000


def test_one_infected_host_fills_no_table_no_log_and_no_metric(lab):
    """However much it opens: sessions up to the limits, one line of each kind an hour, and no figure of the host's own in the metrics."""
    lab.start(mappings=[{**MAPPING, "limits": {"udp": 20, "new_per_second": 1, "new_burst": 30}}], metrics={})
    infected = lab.host()
    names, began = set(samples(lab)), time.monotonic()
    for first in range(1000, 2000, 100):
        flows = range(first, first + 50)
        lab.inside.send(*(lab.from_inside(infected, UDP(sport=5000, dport=port) / b"flood") for port in flows))
        lab.inside.send(*(lab.from_inside(infected, TCP(sport=5000, dport=port, flags="S")) for port in flows))
        lab.inside.drain()
        lab.outside.drain()

    def settled():
        found, opened = limits_of(lab, infected), lab.agent.counters()["sessions_opened"]
        return found["refused_protocol"] + found["refused_rate"] + opened == 1000

    wait_for(settled, what="each packet to open a session or be refused")
    took = time.monotonic() - began
    assert limits_of(lab, infected)["udp"]["sessions"] <= 20 and lab.agent.ctl("status")["sessions"] <= 30 + took + 1
    for text in ("is at its limit of 20 sessions of UDP", "as it opens more than 1 a second"):
        wait_for(lambda text=text: text in lab.agent.log_text(), what="the line of the log")
    assert len([line for line in lab.agent.log_text().splitlines() if f"subscriber {infected.addr} " in line]) == 2
    assert {name for name in set(samples(lab)) - names if infected.addr in name} == set()
    assert len(samples(lab)) == len(names)


def test_limits_hold_in_two_stages(lab):
    lab.start(mappings=[{**MAPPING, "limits": {"udp": 3, "new_per_second": 1, "new_burst": 5}}], stages=2)
    host, other = lab.host(), lab.host()
    assert lab.agent.ctl("status")["stages"] == 2
    for port in (5000, 5001, 5002):
        lab.open_udp(host, port)
    refused(lab, host, 2)
    # At the limit he has tokens yet; the other uses up his own.
    lab.handshake(host, 6000)
    lab.ping(other)
    for port in range(6000, 6004):
        lab.handshake(other, port)
    refused(lab, other, 2, "drop_rate")
    assert lab.agent.ctl("check")["findings"] == []


def test_limits_hold_in_netmap_order(lab):
    """The line is the subscriber's, wherever his block is: neighbours share no count, nor do those of one outside address."""
    lab.start(mappings=[{**NETMAP, "limits": {"udp": 2}}])
    first, neighbour, same_address = (lab.host(f"10.0.16.{n}") for n in (1, 2, 33))
    for host in (first, neighbour, same_address):
        assert limits_of(lab, host)["udp"]["sessions"] == 0
        with lab.counting(sessions_opened=2):
            lab.inside.send(*(query(lab, host, port) for port in (5000, 5001)))
        lab.outside.drain()
        refused(lab, host, 2)
    assert [limits_of(lab, host)["udp"]["sessions"] for host in (first, neighbour, same_address)] == [2, 2, 2]
    assert lab.agent.ctl("check")["findings"] == []


def test_a_lease_of_pcp_takes_no_place_and_works_at_the_limit(lab):
    """A portmap's packets open no session, so no limit refuses them."""
    real_hosts(lab)
    config = configured()
    config["mappings"][0] = {**LEASED, "limits": {"udp": 1, "new_per_second": 1, "new_burst": 2}}
    lab.start(**config)
    host = Host(HOST, "02:00:01:00:00:01")
    with Client(lab.inside_ns, HOST, GATEWAY_IN) as client:
        out = client.lease(proto=17, port=4430)
        with lab.counting(sessions_opened=1):
            lab.inside.send(query(lab, host, 5000))
        refused(lab, host, 2)
        lab.outside.drain()
        with lab.counting(portmap_out=3, portmap_in=3, sessions_opened=0, drop_quota_protocol=0, drop_rate=0):
            for n in range(3):
                lab.inside.send(lab.from_inside(host, UDP(sport=4430, dport=1000 + n) / b"leased"))
                lab.outside.send(lab.from_outside(out[0], UDP(sport=1000 + n, dport=out[1]) / b"leased"))
    assert limits_of(lab, host)["udp"] == {"sessions": 1, "limit": 1}


def test_after_a_split_brain_no_limit_ends_a_session_of_either_gateway(gateways):
    """Both have what both opened, beyond the limit; his next session waits until there are as few as it says."""
    a, b = gateways.start(mappings=[{**MAPPING, "limits": {"udp": 4}}]).labs
    host = a.host()
    b.host(host.addr)
    gateways.link("down")
    gateways.wait_state("down")
    for port in range(4):
        a.open_udp(host, 5000 + port)
        b.open_udp(host, 7000 + port)
    gateways.link("up")
    gateways.wait_synchronised()
    for lab, number in ((a, 0), (b, 1)):
        wait_for(lambda lab=lab: limits_of(lab, host)["udp"] == {"sessions": 8, "limit": 4}, what="the sessions of both", interval=0.05)
        assert gateways.peer(number)["sessions_refused"] == 0
        lab.agent.check()
    # The gateway that takes over has all of them, and opens none beside.
    a.agent.stop()
    for port in (5000, 5001, 5002, 5003, 7000, 7001, 7002, 7003):
        b.open_udp(host, port)
    refused(b, host, 2, first=8000)
    b.agent.ctl("session", "flush", host.addr)
    b.open_udp(host, 8000)
    b.agent.check()
