# SPDX-License-Identifier: BSD-2-Clause
"""What gateways say of each other where something is not as it should be."""

import json

import pytest
from scapy.layers.inet import UDP

import isolation
from agent import wait_for
from lab import MAPPING
from test_drain import NEW, goes_on
from test_history import limit_writes, next_second, verified, who
from test_replication import wait_same


def test_a_full_directory_of_marks_is_a_trouble_costs_no_copy_and_is_over_once_there_is_room(gateways):
    a, b = gateways.labs
    gateways.prepare(0).start()
    place = b.directory / "run"
    place.mkdir()
    isolation.mount(b"tmpfs", place, data=b"size=200k")
    b.at_end(isolation.unmount, place)
    agent = gateways.prepare(1, control_socket=str(place / "agent.sock"))
    agent.socket = place / "agent.sock"
    agent.start()
    gateways.wait_synchronised()
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    gateways.wait_copied(1, 1)
    (trouble,) = wait_for(lambda: agent.ctl("status")["troubles"], what="the trouble")
    assert trouble["what"] == "replication" and "No space left on device" in trouble["text"] and str(place) in trouble["text"]
    assert gateways.state(1) == "synchronised"
    isolation.mount(b"tmpfs", place, data=b"size=20m", flags=isolation.MS_REMOUNT)
    wait_for(lambda: agent.ctl("status")["troubles"] == [], what="the end of the trouble")
    # So the next agent knows what is a copy.
    agent.kill()
    agent.start()
    gateways.wait_synchronised()
    gateways.wait_copied(1, 1)
    assert agent.log_text().count("No space left on device") == 1


def has_trouble(agent, what):
    return any(trouble["what"] == what for trouble in agent.ctl("status")["troubles"])


def fill(agent):
    """Leaves no room in its state directory; returns the file that does it."""
    ballast = agent.state / "ballast"
    with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
    # The rest of the last page may still take some lines.
    while not agent.command("mapping", "add", "10.77.0.0/32", "1.1.77.0/32").status and \
            not agent.command("mapping", "del", "10.77.0.0/32").status:
        pass
    return ballast


def test_where_one_history_has_no_room_changes_are_refused_there_alone_and_a_takeover_loses_nothing(gateways):
    a, b = gateways.labs
    gateways.prepare(0)
    limit_writes(gateways.prepare(1), 24576)
    b.at_end(isolation.unmount, b.agent.state)
    for lab in gateways.labs:
        lab.agent.start()
    gateways.wait_synchronised()
    host = a.host("10.0.0.20")
    b.host(host.addr)
    old = a.open_udp(host)
    wait_same(a, b, host)
    ballast = fill(b.agent)
    spare = [m for m in b.agent.ctl("mapping", "list") if m["in"] == "10.77.0.0/32"]

    # A change is made where it can be recorded, and refused where it cannot; both say that they differ.
    change = ("mapping", "add", MAPPING["in"], NEW["out"], "--replace", "--drain", "600")
    a.agent.ctl(*change)
    assert "No space left on device" in b.agent.refused(*change)
    for number in (0, 1):
        wait_for(lambda n=number: gateways.peer(n)["differ"], what="the difference to be named", interval=0.05)
    new = a.open_udp(host, 5001, mapping=NEW)
    at_b = b.open_udp(host, 5002)

    # The one that could record it dies, and later the other one's agent as well.
    a.agent.kill()
    gateways.link("down")
    goes_on(b, host, 5000, old)
    b.agent.kill()
    b.agent.start()
    assert has_trouble(b.agent, "history")
    goes_on(b, host, 5000, old)
    goes_on(b, host, 5002, at_b)
    assert "No space left on device" in b.agent.refused(*change)
    next_second()
    for endpoint in (old, at_b):
        assert who(b.agent, "%s:%d" % endpoint)["in_addr"] == host.addr
    for endpoint in (old, new):
        assert who(a.agent, "%s:%d" % endpoint)["in_addr"] == host.addr

    # With room again, the change is made up for, and they are alike.
    ballast.unlink()
    wait_for(lambda: not has_trouble(b.agent, "history"), what="the end of the trouble")
    b.agent.ctl(*change)
    for mapping in spare:
        b.agent.ctl("mapping", "del", mapping["in"])
    a.agent.start()
    gateways.link("up")
    gateways.wait_synchronised()
    wait_for(lambda: not any(gateways.peer(n)["differ"] for n in (0, 1)), what="the gateways to be alike", interval=0.05)
    for lab in gateways.labs:
        for port, endpoint in ((5000, old), (5001, new), (5002, at_b)):
            wait_for(lambda: (port, *endpoint) in {(s["in_port"], s["out_addr"], s["out_port"]) for s in lab.sessions(host.addr)},
                     what=f"the session of port {port}", interval=0.05)
        verified(lab.agent)
        assert lab.agent.ctl("check")["findings"] == []
    goes_on(b, host, 5001, new)


NEXT = {"in": "10.1.0.0/24", "out": "1.1.2.0/30"}
WEB = {"proto": "tcp", "in": "10.0.0.8:443"}
IS_THERE, IS_HERE = "is missing there", "is missing here"
DIFFERENCES = {
    "a mapping": ({"mappings": [MAPPING, NEXT]}, {}, ("mapping", IS_THERE, IS_HERE)),
    "slots": ({"mappings": [MAPPING, NEXT]}, {"mappings": [MAPPING, {**NEXT, "session_slots": 256}]}, ("mapping", "differs", "differs")),
    "bindings": ({"mappings": [MAPPING, NEXT]}, {"mappings": [MAPPING, {**NEXT, "endpoint_independent": {"mapping": ["udp"], "filtering": []}}]},
                 ("mapping", "differs", "differs")),
    "an open customer": ({"mappings": [MAPPING, {"in": "10.0.0.7/32", "out": "1.1.9.9/32", "inbound": "open"}]}, {},
                         ("mapping", IS_THERE, IS_HERE)),
    "a routed customer": ({}, {"mappings": [MAPPING, {"in": "10.0.0.7/32", "out": None}]}, ("mapping", IS_HERE, IS_THERE)),
    "a portmap": ({"portmaps": [WEB]}, {}, ("portmap", IS_THERE, IS_HERE)),
    "where a portmap leads": ({"portmaps": [{**WEB, "out": "1.1.1.0:1150"}]}, {"portmaps": [{**WEB, "in": "10.0.0.8:80", "out": "1.1.1.0:1150"}]},
                              ("portmap", "differs", "differs")),
}


@pytest.mark.parametrize("what", [what if what in ("slots", "an open customer", "a portmap") else pytest.param(what, marks=pytest.mark.long)
                                  for what in DIFFERENCES])
def test_gateways_that_are_not_alike_say_so_on_both_sides_until_a_reload_mends_it(gateways, what):
    first, second, (kind, *reasons) = DIFFERENCES[what]
    gateways.prepare(0, **first).start()
    gateways.prepare(1, **second).start()
    gateways.wait_state("differs")
    for number, lab in enumerate(gateways.labs):
        peer = gateways.peer(number)
        matters = [d for d in peer["differences"] if d["matters"]]
        assert [(d["what"], d["reason"]) for d in matters] == [(kind, reasons[number])], peer["differences"]
        assert peer["differ"] == 1 and matters[0]["in"] in str(peer["reason"]) + matters[0]["in"]
        assert matters[0]["reason"] in lab.agent.text("peer", "list")
        assert lab.agent.ctl("status")["replication"]["differs"] == 1
        # Before, it says for a second that the peer's agent does not run yet.
        (trouble,) = wait_for(lambda agent=lab.agent: [t for t in agent.ctl("status")["troubles"] if "would lose sessions" in t["text"]],
                              what="the trouble")
        assert trouble["what"] == "replication" and kind in trouble["text"] and lab.agent.ctl("status")["troubles"] == [trouble]
        (found,) = json.loads(lab.agent.command("-j", "check").out)["findings"]
        assert (found["what"], found["where"]) == ("peer", f"peer {peer['peer']}") and reasons[number] in found["text"]
    assert gateways.peer(0)["mapping_digest"] != gateways.peer(1)["mapping_digest"]
    # Sessions of what is alike are copied all the same.
    a, b = gateways.labs
    host = a.host("10.0.0.99")
    a.open_udp(host)
    wait_same(a, b, host)
    b.agent.write(**{"portmaps": None, "mappings": [MAPPING], **first})
    b.agent.ctl("reload", "--force")
    gateways.wait_synchronised()
    for lab in gateways.labs:
        wait_for(lambda agent=lab.agent: agent.ctl("status")["troubles"] == [], what="the end of the trouble")
    assert gateways.peer(0)["differences"] == gateways.peer(1)["differences"] == []
    assert gateways.peer(0)["mapping_digest"] == gateways.peer(1)["mapping_digest"]


WITHIN = {
    "another mapping": {"in": "10.0.0.0/28", "out": "1.1.9.9/32"},
    "an exception": {"in": "10.0.0.7/32", "out": None},
}


@pytest.mark.parametrize("what", WITHIN)
def test_sessions_of_addresses_that_one_gateway_had_elsewhere_are_copied_once_gateways_are_alike(gateways, what):
    a, b = gateways.labs
    gateways.prepare(0).start()
    gateways.prepare(1, mappings=[MAPPING, WITHIN[what]]).start()
    gateways.wait_state("differs")
    host, other = a.host("10.0.0.7"), a.host("10.0.0.99")
    a.open_udp(host)
    a.open_udp(other)
    wait_same(a, b, other)
    wait_for(lambda: gateways.peer(1)["sessions_refused"] == 1, what="the session that has no place there")
    b.agent.write(mappings=[MAPPING])
    b.agent.ctl("reload", "--force")
    wait_same(a, b, host)
    gateways.wait_synchronised()
    gateways.wait_copied(1, 2)
    assert len(b.sessions(host.addr)) == 1


def test_quotas_limits_and_timeouts_may_differ_and_are_named(gateways):
    gateways.prepare(0, sessions_per_user=50, mappings=[{**MAPPING, "limits": {"udp": 7}}]).start()
    gateways.prepare(1, timeouts={"udp": 100}).start()
    gateways.wait_synchronised()
    for number in range(2):
        (difference,) = gateways.peer(number)["differences"]
        assert not difference["matters"] and all(key in difference["text"] for key in ("sessions_per_user", "timeouts", "limits"))
        assert gateways.peer(number)["reason"] is None
        wait_for(lambda agent=gateways.labs[number].agent: agent.ctl("status")["troubles"] == [], what="no trouble")
    assert gateways.peer(0)["mapping_digest"] == gateways.peer(1)["mapping_digest"]


def check_finds_nothing(gateways):
    for lab in gateways.labs:
        document = json.loads(lab.agent.command("-j", "check").out)
        assert document["findings"] == [] and document["checked"]["peers"] == 1


def copied_sessions(gateways):
    """A host with 41 sessions by the first gateway, and copies of all at the second."""
    a, _ = gateways.labs
    for number in (0, 1):
        gateways.prepare(number, sessions_per_user=500).start()
    gateways.wait_synchronised()
    host = a.host()
    a.open_udp(host)
    a.inside.send(*(a.from_inside(host, UDP(sport=5000 + i % 10, dport=60 + i // 10) / b"query") for i in range(40)))
    gateways.wait_copied(1, 41)
    return host


def test_check_finds_that_a_peer_lacks_copies_and_nothing_while_sessions_come_and_go(gateways):
    a, b = gateways.labs
    gateways.prepare(0, sessions_per_user=500).start()
    gateways.prepare(1, sessions_per_user=20).start()
    gateways.wait_synchronised()
    host, others = a.host(), [a.host() for _ in range(4)]
    for other in others:
        a.open_udp(other)
    gateways.wait_copied(1, 4)
    check_finds_nothing(gateways)
    # New sessions all the time, and ends of all: told and not copied yet, copied and ended.
    for round_ in range(6):
        a.inside.send(*(a.from_inside(host, UDP(sport=5000 + i % 10, dport=2 * round_ + 1 + i // 10) / b"query") for i in range(19)))
        assert a.agent.ctl("check")["findings"] == []
        a.agent.ctl("session", "flush", host.addr)
    # More than the peer's quota.
    a.inside.send(*(a.from_inside(host, UDP(sport=5000 + i % 10, dport=53 + i // 10) / b"query") for i in range(200)))
    wait_for(lambda: len(a.sessions(host.addr)) == 200, what="the sessions")
    (found,) = wait_for(lambda: json.loads(a.agent.command("-j", "check").out)["findings"], what="the finding")
    assert (found["what"], found["text"].split(": ")[0]) == ("peer", "it has copies of 24 sessions, but 204 were announced")
    assert json.loads(b.agent.command("-j", "check").out)["findings"] == []
    a.agent.ctl("session", "flush", host.addr)
    wait_for(lambda: json.loads(a.agent.command("-j", "check").out)["findings"] == [], what="no finding")


def test_sessions_beyond_the_slots_for_which_the_peer_has_no_room_are_counted_and_named_and_cost_no_other_copy(gateways):
    a, b = gateways.labs
    crowded, others = [a.host() for _ in range(2)], [a.host() for _ in range(2)]
    # Of 128 buckets the first host has 16 and the second 4: more would be more than its share of what is left.
    for number, room in enumerate((8000, 256)):
        gateways.prepare(number, mappings=[{**MAPPING, "session_slots": 8, "sessions_per_user": 500}], overflow_sessions=room).start()
    gateways.wait_synchronised()
    announced = 1
    a.open_udp(others[0])
    for host in crowded:
        gateways.wait_copied(1, announced)
        a.inside.send(*(a.from_inside(host, UDP(sport=5000 + i % 2, dport=53 + i // 2) / b"query") for i in range(64)))
        announced += 64

    def lacks():
        peer = gateways.peer(1)
        return peer["lacking_sessions"] and peer["lacking_sessions"] + peer["copies"] == announced and peer["copies"]

    copies = wait_for(lacks, timeout=40, what="the number that is lacking")
    assert 1 + 64 + 8 + 8 <= copies <= 1 + 64 + 8 + 32
    wait_for(lambda: gateways.state(0) == gateways.state(1) == "differs", what="gateways that say so")
    (found,) = wait_for(lambda: json.loads(a.agent.command("-j", "check").out)["findings"], what="the finding")
    text = f"it has copies of {copies} sessions, but {announced} were announced"
    assert (found["what"], found["text"].split(": ")[0]) == ("peer", text)
    a.inside.send(a.from_inside(others[1], UDP(sport=5000, dport=53) / b"query"))
    gateways.wait_copied(1, copies + 1)
    assert [len(a.sessions(host.addr)) for host in crowded] == [64, 64]
    assert [len(b.sessions(other.addr)) for other in others] == [1, 1]
    assert json.loads(b.agent.command("-j", "check").out)["findings"] == []
    # Once others have ended, there is room.
    a.agent.ctl("session", "flush", crowded[0].addr)
    wait_for(lambda: len(b.sessions(crowded[1].addr)) == 64, timeout=40, what="the copies that had no room")
    wait_for(lambda: gateways.state(0) == gateways.state(1) == "synchronised", what="gateways that lack nothing")
    check_finds_nothing(gateways)


def test_check_asks_for_no_copies_of_addresses_whose_drain_is_over_at_the_peer(gateways):
    a, b = gateways.labs
    host = copied_sessions(gateways)
    exception = f"{host.addr}/32", "1.1.9.9/32"
    b.agent.ctl("mapping", "add", *exception)
    a.agent.ctl("mapping", "add", *exception, "--drain", "600")
    wait_for(lambda: gateways.peer(1)["copies"] == 0, what="the end of the copies")
    gateways.wait_synchronised()
    check_finds_nothing(gateways)
    assert len(a.sessions(host.addr)) == 41 and b.sessions(host.addr) == []


def test_check_asks_for_no_copies_of_a_mapping_that_drains_at_one_gateway_alone(gateways):
    a, b = gateways.labs
    host = copied_sessions(gateways)
    b.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace")
    a.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
    gateways.wait_synchronised()
    wait_for(lambda: gateways.peer(0)["differ_noted"] == 1 and gateways.peer(1)["copies"] == 0, what="the difference that is noted")
    assert len(a.sessions(host.addr)) == 41 and b.sessions(host.addr) == []
    check_finds_nothing(gateways)
