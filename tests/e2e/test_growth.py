# SPDX-License-Identifier: BSD-2-Clause
"""Blocks that grow: subscribers without a free port get blocks of the shared range of their outside address."""

import json
import re
import signal
import time

import pytest
from scapy.layers.inet import ICMP, UDP

from agent import CTL, execute, wait_for
from lab import SERVER, Block
import shapes
import strace
from test_history import all_records, next_second, stamp, verified

OUT = "203.0.113.9"
# Sixteen subscribers with 8 ports each: from port 1152 on, the address has 8048 blocks of 8 for all of them.
GROWING = {"name": "growing", "in": "10.0.0.0/28", "out": f"{OUT}/32", "ports_per_host": 8,
           "growth": {"block": 8, "max_blocks": 3, "idle": 86400, "rest": 1}}
SHARED = 1024 + 16 * 8
# Large blocks, of which the address has 14.
SCARCE = {**GROWING, "first_port": 57344, "growth": {"block": 4096, "idle": 86400, "rest": 1}}


def block(host, first=1024):
    return Block(OUT, first + 8 * (int(host.addr.split(".")[3]) % 16), 8)


@pytest.fixture
def growing(lab):
    lab.start(mappings=[GROWING], unmatched="drop")
    return lab


def query(lab, host, port, payload=b"query"):
    return lab.from_inside(host, UDP(sport=port, dport=53) / payload)


def fill(lab, host, first=1024):
    """Sessions on all ports of the block towards one endpoint."""
    for port in range(5000, 5008):
        lab.send_out(query(lab, host, port), block(host, first).first_choice(port))


def open_one(lab, host, port):
    """Opens a session on whatever port is free; a block that it needs is granted meanwhile."""
    sent = [0.0]

    def opened():
        if time.monotonic() - sent[0] > 0.3:
            lab.inside.send(query(lab, host, port))
            sent[0] = time.monotonic()
        return any(s["in_port"] == port for s in lab.sessions(host.addr))

    wait_for(opened, what="a session")
    lab.outside.clear()


def close_all(lab, host, ports):
    for port in ports:
        lab.agent.ctl("session", "close", "in", f"{host.addr}:{port}", f"{SERVER}:53")


def grants(lab, *addr):
    return lab.agent.ctl("grant", "list", *addr)


def grow(lab, host, port):
    """A flow without a free port: its first packet is dropped in silence, the second leaves by a granted port, which is returned."""
    had = grants(lab, host.addr)
    sent = [0.0]

    def granted():
        # The agent is asked four times a second at most.
        if time.monotonic() - sent[0] > 1:
            lab.inside.send(query(lab, host, port))
            sent[0] = time.monotonic()
        return len(grants(lab, host.addr)) > len(had)

    wait_for(granted, what="a grant")
    new, = [g for g in grants(lab, host.addr) if not any(g["port_lo"] == h["port_lo"] for h in had)]
    src = (OUT, new["port_lo"] + port % (new["port_hi"] - new["port_lo"] + 1))
    lab.send_out(query(lab, host, port), src)
    return src


def lines(lab, event="grant"):
    text = (lab.agent.state / "history.jsonl").read_text()
    return [record for record in map(json.loads, text.splitlines()) if record["event"] == event]


def checked(lab):
    assert lab.agent.ctl("check")["findings"] == []


def test_a_subscriber_without_a_free_port_gets_a_block_and_the_retransmission_opens_on_it(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    with lab.counting(drop_ports_exhausted=1):
        src = grow(lab, host, 5008)
    grant, = grants(lab)
    assert shapes.assert_shape(grant, shapes.GRANT).keys() == shapes.GRANT.keys()
    assert (grant["in_addr"], grant["out_addr"], grant["port_hi"] - grant["port_lo"], grant["sessions"]) == (host.addr, OUT, 7, 1)
    assert grant["port_lo"] >= SHARED and (grant["port_lo"] - SHARED) % 8 == 0
    # Back, by the granted port.
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    line, = lines(lab)
    assert (line["in"], line["out"], line["port_lo"]) == (host.addr, OUT, grant["port_lo"])
    checked(lab)


def test_the_next_block_follows_when_the_first_is_full_until_max_blocks(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    for n in range(1, 4):
        for port in range(6000 + 8 * n, 6008 + 8 * n):
            open_one(lab, host, port)
        assert [g["sessions"] for g in grants(lab, host.addr)] == [8] * n
    lab.inside.drain()
    with lab.counting(drop_growth_exhausted=1, sent_icmp_unreachable=1):
        lab.inside.send(query(lab, host, 7000))
    assert len(grants(lab)) == 3
    assert "drop_growth_exhausted" in [f["reason"] for f in lab.agent.ctl("explain", host.addr)["findings"] if f["drops"]]
    checked(lab)


def test_of_an_address_without_a_free_block_subscribers_are_refused_until_one_has_rested(lab):
    lab.start(mappings=[SCARCE], unmatched="drop")
    *hosts, last = [lab.host(f"10.0.0.{n}") for n in range(16) if n != 1]
    for host in hosts:
        fill(lab, host, 57344)
        open_one(lab, host, 6000)
    assert len(grants(lab)) == len({g["port_lo"] for g in grants(lab)}) == 14
    fill(lab, last, 57344)
    lab.inside.drain()
    lab.outside.drain()
    with lab.counting(drop_growth_exhausted=1, sent_icmp_unreachable=1):
        lab.inside.send(query(lab, last, 6000))
    found, = [f for f in lab.agent.ctl("explain", last.addr)["findings"] if f["reason"] == "drop_growth_exhausted" and not f["drops"]]
    assert "none left" in found["text"]
    taken, = grants(lab, "10.0.0.3")
    lab.agent.ctl("grant", "revoke", f"{OUT}:{taken['port_lo'] + 7}")
    wait_for(lambda: not grants(lab, "10.0.0.3"), what="the end of the grant")
    open_one(lab, last, 6000)
    assert grants(lab, last.addr)[0]["port_lo"] == taken["port_lo"]
    checked(lab)


def test_openings_of_one_subscriber_at_once_are_answered_by_one_grant(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    lab.inside.send(*(query(lab, host, port) for port in range(6000, 6006)))
    wait_for(lambda: grants(lab), what="a grant")
    for port in range(6000, 6006):
        open_one(lab, host, port)
    assert [g["sessions"] for g in grants(lab)] == [6]
    assert len(lines(lab)) == 1


def test_grants_of_many_subscribers_share_records(growing):
    lab, hosts = growing, [growing.host(f"10.0.0.{n}") for n in range(2, 14)]
    for host in hosts:
        fill(lab, host)
    before = len(lines(lab, "confirm"))
    first, *others = hosts
    with strace.held(lab.agent.process.pid, "fsync"):
        lab.inside.send(query(lab, first, 6000))
        wait_for(lambda: lines(lab), what="the line of a grant")
        lab.inside.send(*(query(lab, host, 6000) for host in others))
        wait_for(lambda: lab.agent.counters()["drop_ports_exhausted"] == len(hosts), what="the requests of the others")
        assert grants(lab) == [] and len(lines(lab)) == 1
    wait_for(lambda: len(grants(lab)) == len(hosts), what="grants")
    assert len({(g["in_addr"], g["port_lo"]) for g in grants(lab)}) == len(hosts)
    # Each group has an fsync, and a line that confirms it: the first request alone, the others together, or in two if they came in two.
    wait_for(lambda: all_records(lab.agent)[-1]["event"] == "confirm", what="the confirmation")
    assert 2 <= len(lines(lab, "confirm")) - before <= 3
    checked(lab)


def settled(lab):
    """A second in which everything that is recorded has taken effect, and nothing else happens."""
    wait_for(lambda: all_records(lab.agent)[-1]["event"] in ("confirm", "start", "undo"), what="the confirmation")
    # A packet may be under way for a tenth of a second.
    next_second()
    next_second()
    there = stamp()
    next_second()
    return there


def holder(lab, port, at):
    """The subscriber by the history alone; None: it was nobody's."""
    result = execute(CTL, "-j", "who", f"{OUT}:{port}", "--at", at, "--state-dir", lab.agent.state)
    if result.status == 0:
        answer = json.loads(result.out)
        assert not answer.get("also"), answer
        return answer["in_addr"]
    assert result.status == 1 and "no subscriber" in result.err and "also" not in result.err, result
    return None


def test_an_idle_block_is_taken_back_rests_and_is_free_and_who_knows_its_times(lab):
    # It still rests when it is looked at.
    lab.start(mappings=[{**GROWING, "growth": {**GROWING["growth"], "idle": 1, "rest": 6}}], unmatched="drop")
    host = lab.host("10.0.0.3")
    fill(lab, host)
    before = settled(lab)
    src = grow(lab, host, 5008)
    granted = settled(lab)
    assert lab.agent.ctl("reverse", f"{OUT}:{src[1]}")["granted"]["port_lo"] == grants(lab)[0]["port_lo"]
    # It is in use: idle or not, it stays.
    then = time.time() + 2
    wait_for(lambda: time.time() > then, what="two seconds")
    assert [g["sessions"] for g in grants(lab)] == [1]
    close_all(lab, host, [5008])
    wait_for(lambda: not grants(lab), what="the end of the grant")
    assert "rests" in lab.agent.refused("reverse", f"{OUT}:{src[1]}")
    ended = settled(lab)
    wait_for(lambda: "not granted" in lab.agent.refused("reverse", f"{OUT}:{src[1]}"), what="the end of the rest")
    begins, ends = lines(lab)
    assert begins["to"] is None and ends["to"] and ends["port_lo"] == begins["port_lo"]
    assert [holder(lab, src[1], at) for at in (before, granted, ended)] == [None, host.addr, None]
    verified(lab.agent)
    checked(lab)


def test_a_grant_survives_a_restart_and_a_kill_and_its_sessions_go_on(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    for how in (lab.agent.restart, lambda: (lab.agent.kill(), lab.agent.start())):
        before = grants(lab)
        how()
        assert grants(lab) == before
        lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
        lab.send_out(query(lab, host, 5008), src)
        checked(lab)
        verified(lab.agent)
    open_one(lab, host, 6000)
    assert [g["sessions"] for g in grants(lab)] == [2]


def test_without_an_agent_nothing_is_granted_and_what_is_granted_serves_on(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    other = lab.host("10.0.0.4")
    fill(lab, other)
    lab.agent.stop()
    lab.send_out(query(lab, host, 5009), (OUT, src[1] - 5008 % 8 + 5009 % 8))
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    lab.inside.drain()
    lab.inside.send(query(lab, other, 6000))
    assert lab.inside.packet()[ICMP].type == 3
    lab.agent.start()
    open_one(lab, other, 6000)


def test_a_kill_between_the_line_and_the_table_is_undone_at_the_next_start(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    with strace.held(lab.agent.process.pid, "fsync"):
        lab.inside.send(query(lab, host, 5008))
        wait_for(lambda: lines(lab), what="the line of a grant")
        lab.agent.process.send_signal(signal.SIGKILL)
    lab.agent.kill()
    lab.agent.start()
    assert grants(lab) == [] and len(lines(lab)) == 1
    assert "undo" in [r["event"] for r in all_records(lab.agent)]
    port = lines(lab)[0]["port_lo"]
    assert holder(lab, port, settled(lab)) is None
    verified(lab.agent)
    checked(lab)
    grow(lab, host, 5008)


def test_where_the_history_cannot_be_written_nothing_is_granted_and_that_is_said_once(lab):
    agent = lab.prepare(mappings=[GROWING], unmatched="drop").start(ASAN_OPTIONS="detect_leaks=0")
    host = lab.host("10.0.0.3")
    fill(lab, host)
    with strace.failing(agent.process.pid, "fsync", "ENOSPC"):
        lab.inside.send(query(lab, host, 5008))
        wait_for(lambda: agent.ctl("status")["troubles"], what="the trouble")
        # From now on the refused are told so.
        wait_for(lambda: lab.inside.send(query(lab, host, 5008)) and lab.inside.drain(), what="an answer")
        assert grants(lab) == [] and lines(lab) == []
        # Once each time that it begins, and each time that it ends, as between two failing fsyncs a line that needs none may be written.
        told = re.findall("No space left|can be written again", agent.log_text())
        assert told[0] == "No space left" and all(a != b for a, b in zip(told, told[1:])), told
    wait_for(lambda: not agent.ctl("status")["troubles"], what="the end of the trouble")
    open_one(lab, host, 5008)
    assert len(grants(lab)) == len(lines(lab)) == 1
    verified(agent)


def test_a_slow_disk_delays_grants_and_nothing_else(lab):
    agent = lab.prepare(mappings=[GROWING], unmatched="drop").start(ASAN_OPTIONS="detect_leaks=0")
    host, other = lab.host("10.0.0.3"), lab.host("10.0.0.4")
    fill(lab, host)
    with strace.held(agent.process.pid, "fsync"):
        lab.inside.send(query(lab, host, 5008))
        wait_for(lambda: lines(lab), what="the line of a grant")
        assert grants(lab) == []
        fill(lab, other)
        agent.ctl("stats")
    open_one(lab, host, 5008)
    assert len(grants(lab)) == 1


def test_revoked_sessions_end_at_once_or_after_the_drain_and_no_session_opens_meanwhile(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    assert "not granted" in lab.agent.refused("grant", "revoke", f"{OUT}:{src[1] + 8}")
    lab.agent.ctl("grant", "revoke", f"{OUT}:{src[1]}", "--drain", "3")
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    lab.send_out(query(lab, host, 5008), src)
    # Another flow gets another block, as this one is closed.
    other = grow(lab, host, 5009)
    assert abs(other[1] - src[1]) >= 7 and len(grants(lab)) == 2
    wait_for(lambda: len(grants(lab)) == 1, what="the end of the drain")
    assert not [s for s in lab.sessions(host.addr) if s["in_port"] == 5008]
    lab.agent.ctl("grant", "revoke", f"{OUT}:{other[1]}")
    wait_for(lambda: not grants(lab), what="the end of the grant")
    assert len(lab.sessions(host.addr)) == 8
    checked(lab)


def test_a_drain_ends_when_it_says_where_idle_and_rest_are_long(lab):
    lab.start(mappings=[{**GROWING, "growth": {**GROWING["growth"], "rest": 600}}], unmatched="drop")
    host = lab.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    lab.agent.ctl("grant", "revoke", f"{OUT}:{src[1]}", "--drain", "3")
    began = time.monotonic()
    wait_for(lambda: 5008 not in [s["in_port"] for s in lab.sessions(host.addr)], what="the end of the drain", interval=0.05)
    assert 1.9 < time.monotonic() - began < 5


def test_views_know_granted_ports(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    grant, = grants(lab)
    given = {key: grant[key] for key in ("port_lo", "port_hi", "from")}
    there = lab.agent.ctl("reverse", f"{OUT}:{src[1]}")
    assert (there["in_addr"], there["granted"], there["mapping"]) == (host.addr, given, "growing")
    assert lab.agent.ctl("forward", host.addr)["grants"] == [given]
    assert lab.agent.ctl("user", "show", host.addr)["grants"] == [given]
    assert f"{grant['port_lo']}-{grant['port_hi']}" in lab.agent.text("user", "show", host.addr)
    assert f"<{grant['port_lo']}-{grant['port_hi']}> granted" in lab.agent.text("forward", host.addr)
    told = lab.agent.ctl("explain", f"{OUT}:{src[1]}")
    assert told["subscriber"]["in_addr"] == host.addr and told["subscriber"]["grants"] == [given]
    assert "granted" in [f["reason"] for f in told["findings"]]
    free = next(p for p in range(SHARED, 65536, 8) if p != grant["port_lo"])
    assert "not granted" in lab.agent.refused("reverse", f"{OUT}:{free}")
    assert "not granted" in json.dumps(lab.agent.command("--json", "explain", f"{OUT}:{free}").out)
    assert [s["out_port"] for s in lab.sessions("--out", f"{OUT}:{src[1]}")] == [src[1]]
    line, = lab.agent.ctl("pool", "list")
    assert line["granted_blocks"] == 1 and "no_block_left" not in line
    assert lab.agent.ctl("status")["grants"] == {"blocks": 1, "ports": 8, "resting": 0, "addresses_full": 0}
    assert grants(lab, OUT) == grants(lab, host.addr) == [grant] and grants(lab, "10.0.0.4") == []
    assert lab.agent.ctl("session", "close", "out", f"{OUT}:{src[1]}", f"{SERVER}:53") == {"closed": 1}
    assert grants(lab)[0]["sessions"] == 0


def test_a_portmap_into_the_shared_range_is_refused(growing):
    lab = growing
    said = lab.agent.refused("portmap", "add", "tcp", "10.0.0.3:80", f"{OUT}:{SHARED + 100}")
    assert "shared range" in said and lab.agent.ctl("portmap", "list") == []
    lab.agent.ctl("portmap", "add", "tcp", "10.0.0.3:80", f"{OUT}:80")
    lab.agent.ctl("portmap", "add", "tcp", "10.0.0.3:81", f"{OUT}:{block(lab.host('10.0.0.3')).lo}")


def test_grants_end_with_their_mapping_and_begin_anew(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    granted = settled(lab)
    lab.agent.ctl("mapping", "del", "growing")
    assert grants(lab) == [] and lab.sessions() == []
    ended = settled(lab)
    assert [holder(lab, src[1], at) for at in (granted, ended)] == [host.addr, None]
    checked(lab)
    lab.agent.ctl("reload")
    fill(lab, host)
    open_one(lab, host, 5008)
    assert len(grants(lab)) == 1
    verified(lab.agent)
    checked(lab)


def test_sessions_on_granted_ports_drain_with_their_mapping(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    lab.agent.ctl("mapping", "del", "growing", "--drain", "600")
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    lab.send_out(query(lab, host, 5008), src)
    assert [g["sessions"] for g in grants(lab)] == [1]
    assert holder(lab, src[1], settled(lab)) == host.addr
    checked(lab)
    lab.agent.restart()
    lab.send_out(query(lab, host, 5008), src)
    checked(lab)
    lab.agent.ctl("mapping", "del", GROWING["in"], GROWING["out"])
    assert grants(lab) == [] and holder(lab, src[1], settled(lab)) is None
    checked(lab)
    verified(lab.agent)


def test_a_moved_subscriber_keeps_granted_ports_while_it_drains(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    lab.agent.ctl("user", "move", host.addr, "203.0.113.20", "--drain", "600")
    lab.send_out(query(lab, host, 5008), src)
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    assert [g["sessions"] for g in grants(lab)] == [1] and holder(lab, src[1], settled(lab)) == host.addr
    close_all(lab, host, [5008])
    wait_for(lambda: not grants(lab), what="the end of the grant")
    assert holder(lab, src[1], settled(lab)) is None
    checked(lab)
    verified(lab.agent)


def test_another_size_of_blocks_ends_those_of_the_former_after_the_drain(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    src = grow(lab, host, 5008)
    assert grants(lab)[0]["sessions"] == 1
    lab.agent.write(mappings=[{**GROWING, "growth": {**GROWING["growth"], "block": 16}}])
    assert lab.agent.ctl("reload", "--dry-run")["sessions_cut"] == 1
    lab.agent.write(mappings=[{**GROWING, "drain": 3, "growth": {**GROWING["growth"], "block": 16}}])
    assert lab.agent.ctl("reload")["sessions_cut"] == 0
    lab.send_out(query(lab, host, 5008), src)
    lab.send_in(lab.from_outside(OUT, UDP(sport=53, dport=src[1]) / b"answer"), host, 5008)
    wait_for(lambda: not grants(lab), what="the end of the drain")
    open_one(lab, host, 5009)
    grant, = grants(lab)
    assert grant["port_hi"] - grant["port_lo"] == 15
    checked(lab)
    # And without growth they end at once.
    lab.agent.ctl("mapping", "set", "growing", "--growth", "0")
    wait_for(lambda: not grants(lab), what="the end of the grant")
    assert len(lab.sessions(host.addr)) == 8 and "growth" not in lab.agent.ctl("mapping", "list")[0]
    checked(lab)
    verified(lab.agent)


def test_fewer_blocks_close_those_beyond(growing):
    lab, host = growing, growing.host("10.0.0.3")
    fill(lab, host)
    for port in range(6000, 6009):
        open_one(lab, host, port)
    assert len(grants(lab)) == 2
    lab.agent.ctl("mapping", "set", "growing", "--max-blocks", "1")
    close_all(lab, host, range(6000, 6009))
    wait_for(lambda: len(grants(lab)) == 1, what="the end of a grant")
    checked(lab)


def refused_flows(lab, demands):
    """Flows that get no session although each is tried again, of subscribers who want so many at once."""
    hosts = {lab.host(f"10.0.0.{n}"): wanted for n, wanted in demands.items()}
    packets = [query(lab, host, 5000 + i) for host, wanted in hosts.items() for i in range(wanted)]
    opened, told = -1, 0
    # As long as retransmissions open more.
    while opened < (opened := len(lab.sessions())) or told < 2:
        told += 1
        for n in range(0, len(packets), 50):
            lab.inside.send(*packets[n:n + 50])
        then = time.monotonic() + 0.5
        wait_for(lambda until=then: time.monotonic() > until, what="the time of a retransmission")
        lab.inside.clear()
        lab.outside.clear()
    return sum(demands.values()) - len(lab.sessions())


def test_of_zipfs_demand_growth_refuses_a_twentieth_at_most_on_the_same_addresses(lab):
    # Half as much for the second as for the first, a third for the third, and so on.
    demands = {n: max(1, 32 // rank) for rank, n in enumerate((n for n in range(16) if n != 1), 1)}
    fixed = {key: value for key, value in GROWING.items() if key != "growth"} | {"subscribers_per_address": 16}
    lab.start(mappings=[fixed], unmatched="drop")
    without = refused_flows(lab, demands)
    assert without == sum(max(0, n - 8) for n in demands.values())
    lab.agent.ctl("mapping", "del", "growing")
    lab.agent.write(mappings=[GROWING])
    lab.agent.ctl("reload")
    assert refused_flows(lab, demands) <= without * 0.05
    checked(lab)


def test_with_endpoint_independent_mapping_an_inside_endpoint_keeps_its_granted_port_towards_all(lab):
    eim = {**GROWING, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}
    lab.start(mappings=[eim], unmatched="drop")
    host = lab.host("10.0.0.3")
    for port in range(5000, 5008):
        open_one(lab, host, port)
    lab.inside.send(query(lab, host, 6000))
    wait_for(lambda: grants(lab), what="a grant")
    open_one(lab, host, 6000)
    src, = [(s["out_addr"], s["out_port"]) for s in lab.sessions(host.addr) if s["in_port"] == 6000]
    assert src[1] >= SHARED
    lab.outside.clear()
    lab.send_out(lab.from_inside(host, UDP(sport=6000, dport=99) / b"elsewhere", "192.0.2.77"), src)
    # A stranger reaches it.
    lab.send_in(lab.from_outside(src[0], UDP(sport=4, dport=src[1]) / b"stranger", "192.0.2.78"), host, 6000)
    checked(lab)
    lab.agent.restart()
    lab.send_out(lab.from_inside(host, UDP(sport=6000, dport=98) / b"elsewhere", "192.0.2.77"), src)
    lab.agent.ctl("grant", "revoke", f"{OUT}:{src[1]}")
    wait_for(lambda: not grants(lab), what="the end of the grant")
    assert not [s for s in lab.sessions(host.addr) if s["in_port"] == 6000]
    checked(lab)


def test_blocks_rest_over_a_new_datapath_and_nobody_has_them_meanwhile(lab):
    lab.start(mappings=[{**SCARCE, "growth": {**SCARCE["growth"], "rest": 86400}}], unmatched="drop")
    host = lab.host("10.0.0.3")
    fill(lab, host, 57344)
    open_one(lab, host, 6000)
    taken, = grants(lab)
    lab.agent.kill()
    lab.agent.detach()
    lab.agent.start()
    assert grants(lab) == [] and "rests" in lab.agent.refused("reverse", f"{OUT}:{taken['port_lo']}")
    fill(lab, host, 57344)
    open_one(lab, host, 6000)
    assert grants(lab)[0]["port_lo"] != taken["port_lo"]
    checked(lab)
