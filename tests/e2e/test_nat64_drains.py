# SPDX-License-Identifier: BSD-2-Clause
"""Sessions of IPv6 subscribers that drain: from mappings that are replaced, deleted, or have an exception in them."""

import json

import pytest
from scapy.layers.inet import TCP, UDP

from agent import CTL, execute, wait_for
from lab import SERVER
from lab64 import ADD, MAPPING64, Lab64, block, host, kill_and_start, stop_and_start, subscriber_prefix

LAB = Lab64
PORT = 5000
NEW = {**MAPPING64, "out": "1.1.2.0/30"}


def goes_on(lab, addr, src, port=PORT):
    """A session passes packets both ways; the first one from inside, so that nothing depends on the other direction."""
    lab.open6(addr, port=port, outside=src)
    lab.answer6(src, addr, port=port)
    lab.open6(addr, port=port, outside=src)


def opened_at(lab, addr, pool, port=PORT):
    """A new session has an address of that pool; its outside endpoint."""
    lab.inside.send(lab.out6(addr, UDP(sport=port, dport=53) / b"query"))
    came = lab.outside.packet()
    src = came["IP"].src, came[UDP].sport
    assert src[0].startswith(pool), src
    lab.answer6(src, addr, port=port)
    return src


def states(lab):
    return sorted((m["out"], m["state"]) for m in lab.agent.ctl("mapping", "list"))


def drained(lab, addr, *ports):
    for port in ports:
        lab.agent.ctl("session", "close", "in", f"[{addr}]:{port}", f"{SERVER}:53")


def replace(lab):
    lab.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")


def replace_by_file(lab):
    lab.agent.write(mappings=[{**NEW, "drain": 600}])
    lab.agent.ctl("reload")


def reload(lab):
    lab.agent.ctl("reload")


@pytest.mark.parametrize("change", (replace, replace_by_file))
def test_sessions_go_on_when_a_mapping_is_replaced(lab, change):
    lab.start()
    a, b = host(3, 2), host(3, 1)
    first = lab.open6(a, subscriber=3)
    second = opened_at(lab, b, "1.1.1.")
    change(lab)
    assert states(lab) == [("1.1.1.0/30", "draining"), ("1.1.2.0/30", "in use")]
    goes_on(lab, a, first)
    goes_on(lab, b, second)
    # The numbers of the hosts are others in the new mapping.
    new_b, new_a = opened_at(lab, b, "1.1.2.", 5001), opened_at(lab, a, "1.1.2.", 5001)
    lab.agent.write(mappings=[{**NEW, "drain": 600}])
    for step in (stop_and_start, kill_and_start, reload):
        step(lab)
        goes_on(lab, a, first)
        goes_on(lab, b, second)
        goes_on(lab, a, new_a, 5001)
        goes_on(lab, b, new_b, 5001)
        assert not lab.agent.ctl("check")["findings"]
    listed = sorted((s["in_addr"], s["in_port"], s["out_addr"]) for s in lab.agent.ctl("session", "list", subscriber_prefix(3)))
    assert listed == [(b, 5000, second[0]), (b, 5001, new_b[0]), (a, 5000, first[0]), (a, 5001, new_a[0])], listed
    for src in (first, new_a):
        assert lab.agent.ctl("reverse", f"{src[0]}:{src[1]}")["in_prefix"] == subscriber_prefix(3)
        assert subscriber_prefix(3) in lab.agent.command("--json", "who", f"{src[0]}:{src[1]}").out
    lab.agent.ctl("mapping", "del", MAPPING64["in"], MAPPING64["out"])
    wait_for(lambda: states(lab) == [("1.1.2.0/30", "in use")], what="the end of the drain")
    goes_on(lab, a, new_a, 5001)
    opened_at(lab, a, "1.1.2.")


def test_tcp_goes_on_and_a_new_connection_has_the_new_address(lab):
    lab.start()
    addr, src = host(7), block(7).first_choice(PORT)
    lab.send6(lab.out6(addr, TCP(sport=PORT, dport=80, flags="S", seq=100)), src)
    lab.send4(lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="SA", seq=500, ack=101)), addr, PORT)
    lab.send6(lab.out6(addr, TCP(sport=PORT, dport=80, flags="A", seq=101, ack=501)), src)
    replace(lab)
    for n in range(3):
        lab.send6(lab.out6(addr, TCP(sport=PORT, dport=80, flags="PA", seq=101 + n, ack=501)), src)
        lab.send4(lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="A", seq=501, ack=102 + n)), addr, PORT)
    lab.inside.send(lab.out6(addr, TCP(sport=PORT + 1, dport=80, flags="S", seq=100)))
    assert lab.outside.packet()["IP"].src.startswith("1.1.2.")
    lab.send6(lab.out6(addr, TCP(sport=PORT, dport=80, flags="FA", seq=104, ack=501)), src)
    lab.send4(lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags="FA", seq=501, ack=105)), addr, PORT)
    lab.send6(lab.out6(addr, TCP(sport=PORT, dport=80, flags="A", seq=105, ack=502)), src)
    wait_for(lambda: states(lab) == [("1.1.2.0/30", "in use")], what="the end of the drain")


@pytest.mark.parametrize("others", ((), ({"in": "10.0.0.0/18", "out": "1.1.9.0/30"},), ({**MAPPING64, "in": "2001:db8:4001::/48", "out": "1.1.9.0/30"},)))
def test_sessions_drain_from_a_mapping_without_another(lab, others):
    """Nothing new is opened, and nothing else has these subscribers."""
    others = list(others) or [{"in": "10.77.0.0/24", "out": "1.1.8.0/32"}]
    lab.start(mappings=[MAPPING64, *others])
    addr = host(3)
    src = lab.open6(addr, subscriber=3)
    lab.agent.ctl("mapping", "del", MAPPING64["in"], "--drain", "600")
    goes_on(lab, addr, src)
    with lab.counting(drop_no_mapping=2):
        lab.inside.send(lab.out6(addr, UDP(sport=PORT + 1, dport=53) / b"query"))
        lab.inside.send(lab.out6(host(4), UDP(sport=PORT, dport=53) / b"query"))
    lab.outside.assert_silent()
    lab.agent.write(mappings=others)
    for step in (kill_and_start, reload, stop_and_start):
        step(lab)
        goes_on(lab, addr, src)
        assert not lab.agent.ctl("check")["findings"]
    assert ("1.1.1.0/30", "draining") in states(lab)
    assert "64:ff9b::" in lab.gateway.ip("-6", "route", "show", "type", "blackhole", "proto", "215")
    # Taken into use again with its sessions.
    lab.agent.ctl("mapping", "add", MAPPING64["in"], MAPPING64["out"], *ADD)
    goes_on(lab, addr, src)
    opened_at(lab, addr, "1.1.1.", PORT + 1)
    assert ("1.1.1.0/30", "in use") in states(lab) and not lab.agent.ctl("check")["findings"]
    lab.agent.ctl("mapping", "del", MAPPING64["in"], "--drain", "600")
    lab.agent.ctl("mapping", "del", MAPPING64["in"], MAPPING64["out"])
    wait_for(lambda: "1.1.1.0/30" not in [out for out, _ in states(lab)], what="the end of the drain")


def test_an_exception_and_its_end_leave_sessions_as_they_are(lab):
    lab.start()
    addr = host(0x83)
    old = lab.open6(addr, subscriber=0x83)
    lab.agent.ctl("mapping", "add", "2001:db8:4000:8000::/52", "1.1.3.0/32", *ADD, "--drain", "600")
    goes_on(lab, addr, old)
    middle = opened_at(lab, addr, "1.1.3.", 5001)
    lab.agent.ctl("mapping", "add", subscriber_prefix(0x83), "1.1.4.1/32", *ADD, "--drain", "600")
    new = opened_at(lab, addr, "1.1.4.", 5002)
    sessions = ((PORT, old), (5001, middle), (5002, new))
    for port, src in sessions:
        goes_on(lab, addr, src, port)
    kill_and_start(lab)
    lab.agent.ctl("mapping", "del", "2001:db8:4000:8000::/52", "--drain", "600")
    for port, src in sessions:
        goes_on(lab, addr, src, port)
    lab.agent.ctl("mapping", "del", subscriber_prefix(0x83), "--drain", "600")
    back = opened_at(lab, addr, "1.1.1.", 5003)
    for port, src in (*sessions, (5003, back)):
        goes_on(lab, addr, src, port)
    assert not lab.agent.ctl("check")["findings"]
    assert len(lab.agent.ctl("session", "list", subscriber_prefix(0x83))) == 4


def test_a_subscriber_is_moved_to_an_address_of_his_own(lab):
    lab.start()
    addr = host(3)
    old = lab.open6(addr, subscriber=3)
    moved = lab.agent.ctl("user", "move", subscriber_prefix(3), "1.1.9.0/30")
    assert moved["in_prefix"] == subscriber_prefix(3) and moved["out_addr"].startswith("1.1.9."), moved
    new = opened_at(lab, addr, "1.1.9.", 5001)
    goes_on(lab, addr, old)
    again = lab.agent.ctl("user", "move", addr, "1.1.10.0/30", "--drain", "600")
    assert again["mapping"] == moved["mapping"] == "move-2001-db8-4000-300", again
    newest = opened_at(lab, addr, "1.1.10.", 5002)
    sessions = ((PORT, old), (5001, new), (5002, newest))
    for port, src in sessions:
        goes_on(lab, addr, src, port)
    lab.agent.command("config", "save")
    kill_and_start(lab)
    for port, src in sessions:
        goes_on(lab, addr, src, port)
    refusal = lab.agent.refused("user", "move", addr, "1.1.1.0/30")
    assert "free" in refusal or "/32" not in refusal, refusal
    lab.agent.ctl("mapping", "del", again["mapping"], "--drain", "600")
    for port, src in sessions:
        goes_on(lab, addr, src, port)
    assert not lab.agent.ctl("check")["findings"]


def test_a_pool_address_is_drained_and_restored(lab):
    lab.start()
    addr = host(0x43)
    old = lab.open6(addr, subscriber=0x43)
    assert old[0] == "1.1.1.1"
    lab.agent.ctl("pool", "drain", "1.1.1.1", "--to", "1.1.9.0/30", "--drain", "600")
    goes_on(lab, addr, old)
    new = opened_at(lab, addr, "1.1.9.", 5001)
    assert {p["out"]: p["state"] for p in lab.agent.ctl("pool", "list")}
    goes_on(lab, host(3), lab.open6(host(3), subscriber=3))
    lab.agent.ctl("pool", "restore", "1.1.1.1")
    goes_on(lab, addr, old)
    goes_on(lab, addr, new, 5001)
    opened_at(lab, addr, "1.1.1.1", 5002)
    assert not lab.agent.ctl("check")["findings"]


def test_other_hosts_have_no_part_in_sessions_that_drain(lab):
    """Two hosts with one port, whose numbers are the other way round in the new mapping."""
    lab.start()
    hosts = [host(3, n) for n in range(1, 6)]
    old = {hosts[0]: lab.open6(hosts[0], subscriber=3)}
    for addr in hosts[1:]:
        old[addr] = opened_at(lab, addr, "1.1.1.")
    replace(lab)
    new = {addr: opened_at(lab, addr, "1.1.2.", 5001) for addr in reversed(hosts)}
    for addr in hosts:
        goes_on(lab, addr, old[addr])
        goes_on(lab, addr, new[addr], 5001)
    stranger = host(3, 99)
    opened_at(lab, stranger, "1.1.2.", 5000)


def test_the_prefix_of_ipv4_hosts_does_not_change_with_a_drain(lab):
    """Nobody could reach the sessions, so they end."""
    lab.start()
    lab.open6(host(3), subscriber=3)
    lab.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--nat64-prefix", "2001:db8:64::/96", "--drain", "600")
    assert states(lab) == [("1.1.2.0/30", "in use")]
    assert not lab.agent.ctl("session", "list")


def test_history_knows_both_addresses_years_later(lab):
    lab.start()
    src = lab.open6(host(3), subscriber=3)
    replace(lab)
    new = opened_at(lab, host(3), "1.1.2.", 5001)
    drained(lab, host(3), PORT)
    wait_for(lambda: states(lab) == [("1.1.2.0/30", "in use")], what="the end of the drain")
    lab.agent.stop()
    events = [json.loads(line) for line in (lab.agent.state / "history.jsonl").read_text().splitlines()]
    at = next(e["time"] for e in events if e["event"] == "retire")
    for endpoint in (src, new):
        result = execute(CTL, "-j", "who", f"{endpoint[0]}:{endpoint[1]}", "--at", at, "--state-dir", lab.agent.state)
        assert result.status == 0 and subscriber_prefix(3) in result.out, result
