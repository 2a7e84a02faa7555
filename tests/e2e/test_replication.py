# SPDX-License-Identifier: BSD-2-Clause
"""Sessions are copied between two gateways: what each has of the other, through restarts, kills and cuts of the link."""

import contextlib
import ipaddress
import json
import os
import pathlib
import signal
import socket
import struct
import urllib.request

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from gateways import ADDRESSES, PORT, endpoint
from lab import MAPPING, block_of
from shapes import PEER, assert_all
from test_ctl_monitor import Monitor
from test_privileges import UID, as_user


def listed(lab, host):
    """The sessions of a host, without what two gateways may have differently."""
    return sorted((s["proto"], s["in_port"], s["out_addr"], s["out_port"], s["ext_addr"], s["ext_port"], s["state"])
                  for s in lab.sessions(host.addr))


def wait_same(a, b, host):
    """Waits until gateway b lists the sessions of a host as gateway a does."""
    wait_for(lambda: listed(a, host) and listed(a, host) == listed(b, host), what="the same sessions on both", interval=0.05)


def scrape(lab):
    """The samples of a gateway's metrics."""
    with lab.gateway.enter(), urllib.request.urlopen("http://127.0.0.1:9469/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_sessions_of_either_gateway_are_copied_to_the_other(gateways):
    a, b = gateways.start().labs
    host, other = a.host(), b.host("10.0.0.99")
    a.open_udp(host)
    a.handshake(host, 5001)
    a.ping(host)
    b.open_udp(other)
    wait_same(a, b, host)
    wait_same(b, a, other)
    peers = a.agent.ctl("peer", "list")
    assert_all(peers, PEER)
    assert [p["peer"] for p in peers] == [endpoint(1)] and [p["state"] for p in peers] == ["synchronised"]
    gateways.wait_copied(0, 1)
    gateways.wait_copied(1, 3)
    assert gateways.peer(0)["mapping_digest"] == gateways.peer(1)["mapping_digest"] != "0" * 16
    # What one has sent, the other has received.
    wait_for(lambda: gateways.peer(0)["sessions_sent"] == gateways.peer(1)["sessions_received"] >= 3, what="all records to arrive")
    assert gateways.peer(1)["sessions_refused"] == 0


def test_a_download_goes_on_at_the_other_gateway_though_the_client_sends_nothing(gateways):
    a, b = gateways.start().labs
    host = a.host()
    b.host(host.addr)
    src = a.handshake(host)
    wait_same(a, b, host)
    a.agent.kill()
    a.gateway.ip("link", "set", "in0", "down")
    a.gateway.ip("link", "set", "out0", "down")
    # The server's segments are the first packets that the other gateway sees of the connection.
    b.tcp_in(host, src, "A", seq=501, ack=101)
    b.tcp_in(host, src, "PA", seq=502, ack=101)
    b.tcp_out(host, src, "A", seq=101, ack=503)
    a.agent = None


def test_sessions_beyond_the_slots_are_copied_go_on_at_the_other_gateway_and_end_there(gateways):
    a, b = gateways.start().labs
    host = a.host()
    b.host(host.addr)
    # The ninth flow of a group of eight ports towards one endpoint finds none there.
    block = block_of(host.addr, MAPPING)
    ports = [5000 + flow * block.ports for flow in range(9)]
    a.inside.send(*(a.from_inside(host, UDP(sport=port, dport=53) / b"query") for port in ports))
    wait_for(lambda: len(a.sessions(host.addr)) == 9, what="the sessions")
    assert a.agent.counters()["sessions_overflowed"] == 1
    wait_same(a, b, host)
    gateways.wait_copied(1, 9)
    assert b.agent.counters()["sessions_opened"] == 0
    # After a kill of the receiver it is still known as a copy.
    b.agent.kill()
    b.agent.start()
    gateways.wait_synchronised()
    gateways.wait_copied(1, 9)
    group = 5000 % block.ports // 8
    (beyond,) = [s for s in b.sessions(host.addr) if (s["out_port"] - block.lo) // 8 != group]
    b.send_in(b.from_outside(beyond["out_addr"], UDP(sport=53, dport=beyond["out_port"]) / b"answer"), host, beyond["in_port"])
    a.agent.ctl("session", "flush", host.addr)
    wait_for(lambda: len(listed(b, host)) <= 1, what="the end of the copies", interval=0.05)
    for lab in gateways.labs:
        lab.agent.check()


# ---- restarts and cuts


@pytest.mark.parametrize("number", [0, 1])
def test_a_gateway_that_is_killed_and_restarted_has_its_copies_and_gets_what_it_missed(gateways, number):
    a, b = gateways.start().labs
    mine, theirs = a.host(), b.host("10.0.0.99")
    a.open_udp(mine)
    b.open_udp(theirs)
    wait_same(a, b, mine)
    wait_same(b, a, theirs)
    dead, other = gateways.labs[number], gateways.labs[1 - number]
    dead.agent.kill()
    gateways.wait_state("down", 1 - number)
    late = other.host("10.0.0.50")
    other.open_udp(late)
    dead.agent.start()
    gateways.wait_synchronised()
    wait_same(other, dead, late)
    assert listed(a, mine) == listed(b, mine) and listed(a, theirs) == listed(b, theirs)
    # Its own are its own again, and the others' are copies.
    gateways.wait_copied(number, 2)
    gateways.wait_copied(1 - number, 1)


def test_a_link_that_is_cut_and_comes_back_loses_nothing(gateways):
    a, b = gateways.start().labs
    before, meanwhile = a.host(), a.host()
    a.open_udp(before)
    wait_same(a, b, before)
    gateways.link("down")
    gateways.wait_state("down")
    a.open_udp(meanwhile)
    assert listed(b, meanwhile) == []
    gateways.link("up")
    gateways.wait_synchronised()
    wait_same(a, b, meanwhile)
    assert listed(a, before) == listed(b, before)


def test_what_ends_at_its_gateway_ends_at_the_other(gateways):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    a.agent.ctl("session", "flush", host.addr)
    wait_for(lambda: listed(b, host) == [], what="the end of the copy", interval=0.05)
    gateways.wait_copied(1, 0)


def test_a_peer_that_is_stopped_costs_no_memory_and_is_copied_to_when_it_goes_on(gateways):
    a, b = gateways.start().labs
    host = a.host()
    b.agent.process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: gateways.state(0) == "down", what="the silence to be noticed", interval=0.1)
        a.inside.send(*(a.from_inside(host, UDP(sport=port, dport=53) / b"query") for port in range(6000, 6010)))
        wait_for(lambda: len(a.sessions(host.addr)) == 10, what="the sessions")
        assert a.agent.ctl("status")["replication"]["memory_bytes"] < 32 << 20
        # Each direction notices the silence for itself: until sending is given up, they wait to be sent.
        wait_for(lambda: gateways.peer(0)["unsent"] == 0, what="sending to be given up")
    finally:
        b.agent.process.send_signal(signal.SIGCONT)
    gateways.wait_synchronised()
    wait_same(a, b, host)


def test_a_link_that_is_slow_and_drops_packets_delays_copies_and_loses_none(gateways):
    a, b = gateways.start().labs
    host = a.host()
    for lab in (a, b):
        lab.gateway.run("tc", "qdisc", "add", "dev", "sync0", "root", "tbf", "rate", "64kbit", "burst", "4kb", "latency", "100ms")
    a.inside.send(*(a.from_inside(host, UDP(sport=port, dport=53) / b"query") for port in range(6000, 6010)))
    wait_for(lambda: len(a.sessions(host.addr)) == 10, what="the sessions")
    wait_same(a, b, host)
    assert a.agent.ctl("status")["replication"]["memory_bytes"] < 32 << 20
    # Of requests and packets none waits.
    b.open_udp(b.host("10.0.0.99"))


def test_resync_copies_everything_again_both_ways(gateways):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    before = [gateways.peer(n)["whole_copies"] for n in range(2)]
    assert a.agent.text("peer", "resync", endpoint(1)) == f"all sessions are copied again, to {endpoint(1)} and back\n"
    wait_for(lambda: all(gateways.peer(n)["whole_copies"] > before[n] for n in range(2)), what="a whole copy both ways", interval=0.05)
    gateways.wait_synchronised()
    assert listed(a, host) == listed(b, host)
    assert "is not a peer" in a.agent.refused("peer", "resync", "192.0.2.7:9470")
    gateways.link("down")
    gateways.wait_state("down", 0)
    assert "is down" in a.agent.refused("peer", "resync", endpoint(1))


def test_a_gateway_tells_of_its_own_mappings_alone_and_stands_in_for_the_others(gateways):
    mine, theirs = {"name": "mine", **MAPPING}, {"name": "theirs", "in": "10.1.0.0/24", "out": "1.1.2.0/30"}
    for number, name in enumerate(("mine", "theirs")):
        gateways.prepare(number, {"mappings": [name]}, mappings=[mine, theirs]).start()
    gateways.wait_synchronised()
    a, b = gateways.labs
    host, other = a.host(), a.host("10.1.0.9")
    a.open_udp(other, mapping=theirs)
    a.open_udp(host)
    b.open_udp(other, 5001, mapping=theirs)
    wait_same(a, b, host)
    wait_for(lambda: len(listed(a, other)) == 2, what="the copy")
    assert [s[1] for s in listed(b, other)] == [5001]
    # What it gives up, its peer ends.
    a.agent.write(replication=gateways.replication(0, mappings=["theirs"]))
    a.agent.ctl("reload")
    wait_for(lambda: len(listed(b, other)) == 2 and listed(b, host) == [], what="the other mapping's sessions", interval=0.05)
    assert len(listed(a, host)) == 1


def test_a_subscriber_that_was_moved_is_copied_as_before(gateways):
    for number in range(2):
        gateways.prepare(number, {"mappings": ["mine"]}, mappings=[{"name": "mine", **MAPPING}]).start()
    gateways.wait_synchronised()
    a, b = gateways.labs
    host = a.host()
    for lab in (a, b):
        lab.agent.ctl("user", "move", host.addr, "1.1.9.9")
    a.open_udp(host, mapping={"in": f"{host.addr}/32", "out": "1.1.9.9/32"})
    wait_same(a, b, host)


def test_sessions_of_a_mapping_that_both_get_while_they_run_are_copied(gateways):
    a, b = gateways.start().labs
    new = {"in": "10.1.0.0/24", "out": "1.1.2.0/30"}
    host = a.host("10.1.0.9")
    a.agent.ctl("mapping", "add", new["in"], new["out"])
    a.open_udp(host, mapping=new)
    wait_for(lambda: gateways.peer(0)["not_exchanged"], what="the difference", interval=0.05)
    b.agent.ctl("mapping", "add", new["in"], new["out"])
    wait_same(a, b, host)
    wait_for(lambda: gateways.peer(0)["not_exchanged"] == gateways.peer(1)["not_exchanged"] == [], what="both tables", interval=0.05)
    # With the mapping its copies end, and nothing else.
    b.agent.ctl("mapping", "del", new["in"])
    other = a.host()
    a.open_udp(other)
    wait_same(a, b, other)
    assert len(listed(a, host)) == 1
    assert host.addr not in [s["in_addr"] for s in b.sessions()]


def test_a_new_key_is_taken_by_reloads_one_after_the_other(gateways):
    a, b = gateways.start().labs
    for number in range(2):
        gateways.key_file(number, b"n" * 32)
        gateways.labs[number].agent.ctl("reload")
    gateways.wait_synchronised()
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)


# ---- what keeps gateways apart


def test_a_peer_with_another_key_gets_nothing_and_both_say_so_once_a_minute(gateways):
    gateways.prepare(0).start()
    gateways.prepare(1, {"key": b"x" * 32}).start()
    for number, lab in enumerate(gateways.labs):
        wait_for(lambda n=number: "another key" in (gateways.peer(n)["reason"] or ""), what="the reason", interval=0.05)
        wait_for(lambda a=lab.agent: "another key" in "".join(t["text"] for t in a.ctl("status")["troubles"] if t["what"] == "replication"),
                 what="the trouble", interval=0.05)
    a = gateways.a
    host = a.host()
    a.open_udp(host)
    assert gateways.peer(0)["sessions_sent"] == gateways.peer(1)["sessions_received"] == 0
    # Dials go on; the log does not grow with them.
    before = a.agent.log_text().count("\n")
    wait_for(lambda: gateways.b.agent.log_text().count("another HMAC") >= 1, what="the log")
    assert a.agent.log_text().count("a connection from") == 1
    assert a.agent.log_text().count("\n") <= before + 2


def test_a_mapping_that_differs_is_named_on_both_sides_and_the_others_are_copied(gateways):
    common, mine, theirs = MAPPING, {"in": "10.1.0.0/24", "out": "1.1.2.0/30"}, {"in": "10.1.0.0/24", "out": "1.1.2.0/29"}
    gateways.prepare(0, mappings=[common, mine]).start()
    gateways.prepare(1, mappings=[common, theirs]).start()
    gateways.wait_state("differs")
    for number in range(2):
        named = {(m["in"], m["out"]): m["reason"] for m in gateways.peer(number)["not_exchanged"]}
        assert named == {(m["in"], m["out"]): r for m, r in
                         [((mine, theirs)[number], "is missing there"), ((theirs, mine)[number], "is missing here")]}
        text = gateways.labs[number].agent.text("peer", "list")
        assert "not exchanged: 10.1.0.0/24 to 1.1.2.0/30" in text
    assert gateways.peer(0)["mapping_digest"] != gateways.peer(1)["mapping_digest"]
    a, b = gateways.labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)


def test_gateways_without_a_common_mapping_say_mismatch_until_a_reload_mends_it(gateways):
    gateways.prepare(0, mappings=[{**MAPPING, "session_slots": 64}]).start()
    gateways.prepare(1, mappings=[{**MAPPING, "session_slots": 128}]).start()
    gateways.wait_state("mismatch")
    for number in range(2):
        (difference,) = gateways.peer(number)["not_exchanged"]
        assert (difference["in"], difference["reason"]) == (MAPPING["in"], "differs")
    gateways.b.agent.write(mappings=[{**MAPPING, "session_slots": 64}])
    gateways.b.agent.ctl("reload", "--force")
    gateways.wait_synchronised()
    a, b = gateways.labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)


def hello(version):
    """A dialler's hello without an HMAC."""
    payload = struct.pack(">I16sIHHI", version, bytes(16), int(ipaddress.ip_address(ADDRESSES[1])), PORT, 0, 1000)
    return struct.pack(">IBBHQ", len(payload), 1, 0x80, 0, 0) + payload + bytes(32)


def test_an_older_protocol_is_refused_and_said(gateways):
    a, b = gateways.labs
    gateways.prepare(0).start()
    with b.gateway.enter():
        peer = socket.socket()
    with peer:
        peer.bind((ADDRESSES[1], 0))
        peer.settimeout(10)
        peer.connect((ADDRESSES[0], PORT))
        peer.sendall(hello(0))
        assert peer.recv(1) == b""
    assert "it has version 0 of the protocol, this gateway has 5" in a.agent.log_text()


def test_connections_that_prove_nothing_do_not_add_up_and_do_not_keep_the_peer_out(gateways):
    a, b = gateways.start().labs
    b.gateway.ip("addr", "add", "192.0.2.77/24", "dev", "sync0")

    def descriptors():
        return len(list(pathlib.Path(f"/proc/{a.agent.process.pid}/fd").iterdir()))

    before = descriptors()
    with contextlib.ExitStack() as stack:
        for source in ["192.0.2.77"] * 200 + [ADDRESSES[1]] * 100:
            with b.gateway.enter():
                it = stack.enter_context(socket.socket())
            it.bind((source, 0))
            it.connect((ADDRESSES[0], PORT))
            it.send(b"GET / HTTP/1.1\r\n"[:3])
        wait_for(lambda: descriptors() <= before + 17, what="the strangers to be closed")
        gateways.link("down")
        gateways.wait_state("down")
        gateways.link("up")
        gateways.wait_synchronised()
    log = a.agent.log_text()
    assert log.count("a connection from 192.0.2.77 is refused: the address does not belong to a peer") == 1
    assert log.count("a connection from") <= 2


# ---- configuration


def test_agents_without_root_copy_sessions_and_know_their_copies_after_a_kill(gateways):
    for number in range(2):
        agent = gateways.prepare(number)
        agent.prefix = as_user()
        for path in (agent.directory, agent.pins, agent.config["replication"]["key_file"]):
            os.chown(path, UID, UID)
        agent.start()
    gateways.wait_synchronised()
    a, b = gateways.labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    b.agent.kill()
    b.agent.start()
    gateways.wait_synchronised()
    gateways.wait_copied(1, 1)
    assert "discarded" not in b.agent.log_text()


def test_a_key_file_that_others_may_read_is_refused_and_a_start_waits_for_a_better_one(gateways):
    a = gateways.a
    agent = gateways.prepare(0, {"mode": 0o640})
    path = agent.config["replication"]["key_file"]
    refused = agent.once("-t")
    assert refused.status == 2 and f"has mode 0640, so others may read the key; `chmod 0600 {path}`" in refused.err
    agent.start()
    # Traffic does not wait for it.
    a.open_udp(a.host())
    assert ["replication"] == [t["what"] for t in agent.ctl("status")["troubles"]]
    gateways.key_file(0)
    gateways.prepare(1).start()
    gateways.wait_synchronised()
    # A peer that took more than five seconds to come was a trouble, which ends with the next second.
    wait_for(lambda: agent.ctl("status")["troubles"] == [], what="the end of the trouble")


def place(agent, key):
    """Where messages say that a key of `replication` stands."""
    lines = agent.path.read_text().splitlines()
    start = lines.index(' "replication": {')
    return f"{agent.path}:{next(i + 1 for i in range(start, len(lines)) if json.dumps(key) in lines[i])}: replication.{key}"


def test_a_reload_adds_changes_and_removes_replication(gateways):
    a, b = gateways.labs
    a.start()
    gateways.prepare(1).start()
    host = a.host()
    a.open_udp(host)
    assert a.agent.ctl("peer", "list") == [] and a.agent.ctl("status")["replication"] is None
    assert a.agent.text("peer", "list") == "no sessions are copied to or from other gateways\n"
    a.agent.write(replication=gateways.replication(0))
    a.agent.ctl("reload")
    gateways.wait_synchronised()
    wait_same(a, b, host)
    assert a.agent.ctl("status")["replication"]["synchronised"] == 1
    # What cannot be is refused, and changes nothing.
    a.agent.write(replication=gateways.replication(0, listen="192.0.2.9:9470"))
    assert f"{place(a.agent, 'listen')}: cannot listen on 192.0.2.9:9470" in a.agent.refused("reload")
    a.agent.write(replication=gateways.replication(0, key_file="/nonexistent/key"))
    refused = a.agent.refused("reload")
    assert place(a.agent, "key_file") in refused and "does not exist" in refused
    assert gateways.state(0) == "synchronised"
    a.agent.write(replication=gateways.replication(0, interval=2))
    a.agent.ctl("reload")
    gateways.wait_synchronised()
    a.agent.write(replication=None)
    a.agent.ctl("reload")
    assert a.agent.ctl("peer", "list") == []
    gateways.wait_state("down", 1)
    assert listed(b, host)


def test_a_trouble_of_replication_ends_where_a_reload_removes_replication(gateways):
    agent = gateways.prepare(0, {"mode": 0o640})
    agent.start()
    assert ["replication"] == [t["what"] for t in agent.ctl("status")["troubles"]]
    agent.write(replication=None)
    agent.ctl("reload")
    assert agent.ctl("status")["troubles"] == []


def test_without_a_key_only_loopback_and_tunnels_will_do(gateways):
    agent = gateways.prepare(0, {"key_file": None})
    refused = agent.once("-t")
    assert refused.status == 2
    assert f"{place(agent, 'key_file')}: null is for loopback, WireGuard and IPsec interfaces, but 192.0.2.2 is reached through sync0" in refused.err
    agent.write(replication={**gateways.replication(0), "listen": "192.0.2.9:9470"})
    assert f"{place(agent, 'listen')}: cannot listen on 192.0.2.9:9470" in agent.once("-t").err
    agent.write(replication={**gateways.replication(0), "key_file": None, "peers": ["127.0.0.2:9470"], "listen": "127.0.0.1:9470"})
    assert agent.once("-t").status == 0


# ---- what operators are told


def test_status_explain_metrics_and_notices_tell_of_peers(gateways):
    gateways.start(metrics={"listen": "127.0.0.1:9469"})
    a, b = gateways.labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    assert a.agent.ctl("explain", host.addr)["replication"] == {"own": 1, "copies": []}
    assert b.agent.ctl("explain", host.addr)["replication"] == {"own": 0, "copies": [{"peer": endpoint(0), "sessions": 1}]}
    assert f"0 sessions of this gateway's own, 1 copies of {endpoint(0)}" in b.agent.text("explain", host.addr)
    # Its first packet at the other gateway makes a session that gateway's own.
    b.host(host.addr)

    def is_own():
        b.open_udp(host)
        return b.agent.ctl("explain", host.addr)["replication"]["own"] == 1

    wait_for(is_own, what="the session to be its own", interval=0.1)
    status = b.agent.ctl("status")["replication"]
    assert (status["peers"], status["synchronised"], status["down"]) == (1, 1, 0) and 0 <= status["lag_seconds"] < 10
    assert "1 peer, 1 synchronised, lag " in b.agent.text("status")
    metrics = scrape(b)
    label = f'{{peer="{endpoint(0)}"}}'
    assert metrics[f"detnat_peer_up{label}"] == 1 and metrics[f"detnat_peer_lag_seconds{label}"] < 10
    assert metrics[f"detnat_peer_sessions_received_total{label}"] >= 1
    assert metrics[f"detnat_peer_sessions_refused_total{label}"] == 0
    # Events and the log are of the second in which the state is looked at.
    wait_for(lambda: f"peer {endpoint(0)} is synchronised" in b.agent.log_text(), what="the peer to be told of")
    told = Monitor(b.agent, "peers")
    a.agent.kill()
    event = told.event()
    assert (event["kind"], event["event"], event["peer"], event["state"]) == ("peers", "peer-down", endpoint(0), "down")
    told.close()
    assert f"peer {endpoint(0)} is down" in b.agent.log_text()
    assert scrape(b)[f"detnat_peer_up{label}"] == 0
    a.agent = None
