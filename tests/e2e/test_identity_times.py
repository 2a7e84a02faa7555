# SPDX-License-Identifier: BSD-2-Clause
"""Leases and time: addresses handed on within a second, silence, clocks that are set, and times of which there is no record."""

import time

import clock as own_clock
from agent import wait_for
from lab import GATEWAY_IN
from radius import INTERIM, OFF, START, STOP, Nas, event, request
from test_history_told import library
from test_identity_radius import HOST, PORT, clock, configure, lines, radius_lab, source, time_of, verify, who  # noqa: F401

OTHER, FREE = "10.0.8.8", "10.0.7.7"


def text(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def client(lab):
    return Nas(lab.gateway, ("127.0.0.1", PORT))


def reason(agent, at, host=HOST):
    """The customer, or the reason why there is none."""
    answer = who(agent, host, at=text(at), status=None)
    return answer["customer"]["id"] if answer["customer"] else answer["customer_reason"]


def let_pass(t):
    wait_for(lambda: time.time() >= t + 1, what="the next second")


def test_an_address_handed_on_within_a_second_has_two_leases_in_it(radius_lab):  # noqa: F811
    agent, nas = radius_lab.agent, client(radius_lab)
    begun = int(time.time())
    let_pass(begun)
    for n in range(1, 200):
        host, at = f"10.0.5.{n}", int(time.time())
        first = {"user": "alice", "session": f"a{n}"}
        nas.tell(START, host, delay=int(time.time()) - begun, **first)
        nas.tell(STOP, host, delay=int(time.time()) - at, **first)
        nas.tell(START, host, delay=int(time.time()) - at, user="bob", session=f"b{n}")
        told = {event: [time_of(line) for line in lines(agent, event) if line["in_addr"] == host] for event in ("start", "stop")}
        if told["stop"] == told["start"][1:]:
            break
    else:
        raise AssertionError("no second was long enough for three requests")
    at = told["stop"][0]
    let_pass(at + 1)
    nas.tell(INTERIM, host, user="bob", session=f"b{n}", session_time=int(time.time()) - at)
    assert [reason(agent, t, host) for t in (at - 1, at, at + 1)] == ["alice", "two-leases", "bob"]
    assert {holder["id"] for holder in who(agent, host, at=text(at), status=1)["customers"]} == {"alice", "bob"}
    verify(agent)


def test_after_the_last_sign_of_life_a_customer_is_only_possible(radius_lab):  # noqa: F811
    agent, nas = radius_lab.agent, client(radius_lab)
    nas.tell(START, HOST)
    start = time_of(lines(agent, "start")[0])
    let_pass(start)
    nas.tell(INTERIM, HOST, session_time=int(time.time()) - start)
    alive = time_of(lines(agent, "interim")[0])
    end = alive + 3 * (alive - start)
    let_pass(end + 1)
    nas.tell(START, HOST, user="bob", session="s2")
    bob = time_of(lines(agent, "start")[-1])
    let_pass(bob)
    nas.tell(STOP, HOST, user="bob", session="s2", session_time=int(time.time()) - bob)
    assert [reason(agent, t) for t in (start, alive, alive + 1, end + 1, bob + 1)] == ["alice", "alice", "perhaps", "perhaps", "bob"]
    answer = who(agent, at=text(end + 1), status=1)
    assert answer["customer_doubt"] == "unheard" and answer["customers"][0]["end_assumed"] and not answer["others"]


def test_a_record_is_of_its_event_and_of_its_server_however_it_comes(radius_lab):  # noqa: F811
    """Held by a proxy, sent again from a recording, without an address, by another name of the server."""
    agent, nas = radius_lab.agent, client(radius_lab)
    begun = int(time.time())
    recorded = [request(*event(START, HOST, at=begun, identifier="bng")), request(*event(OFF, user="", nas="192.0.2.10"))]
    for packet in recorded:
        nas.ask(packet)
    nas.tell(START, OTHER, user="bob", session="s2")
    let_pass(begun + 7)
    nas.tell(INTERIM, HOST, at=begun + 1, session_time=1)
    nas.tell(STOP, user="bob", session="s2")
    nas.tell(OFF, user="", nas=None, identifier="bng")
    found = lines(agent, "interim", "stop", "off")
    assert [(line["event"], line["session"], line.get("in_addr")) for line in found] == [
        ("off", "192.0.2.10/", None), ("interim", "192.0.2.9/s1", HOST), ("stop", "192.0.2.9/s2", None), ("off", "192.0.2.9/", None)]
    interim, stop, off = found[1:]
    assert time_of(interim) - time_of(lines(agent, "start")[0]) == 1
    let_pass(time_of(off))
    nas.tell(START, FREE, user="carol", session="s3")
    assert reason(agent, begun + 1) == "alice"
    assert reason(agent, time_of(off) + 1) == reason(agent, time_of(off) + 1, OTHER) == "no-lease"
    agent.kill()
    agent.start()
    for packet in recorded:
        client(radius_lab).ask(packet)
    assert len(lines(agent, "start", "interim", "stop", "off")) == 7
    verify(agent)


def test_a_source_that_is_added_has_no_record_of_before(radius_lab):  # noqa: F811
    agent, nas = radius_lab.agent, client(radius_lab)
    free = {"user": "carol", "session": "s7"}
    nas.tell(START, HOST)
    nas.tell(START, FREE, **free)
    nas.tell(STOP, FREE, **free)
    start = time_of(lines(agent, "stop")[0])
    let_pass(start + 1)
    nas.tell(INTERIM, HOST, session_time=int(time.time()) - start)
    assert reason(agent, start + 1) == "alice" and reason(agent, start + 1, FREE) == "no-lease"
    agent.write(leases=[source(agent), source(agent, listen=f"{GATEWAY_IN}:{PORT}")])
    agent.ctl("reload")
    added = time_of(wait_for(lambda: lines(agent, "begin")[1:], what="the line of the new source")[0])
    let_pass(added + 1)
    nas.tell(START, FREE, **{**free, "session": "s8"})
    nas.tell(STOP, FREE, **{**free, "session": "s8"})
    again = time_of(lines(agent, "stop")[-1])
    let_pass(again + 1)
    nas.tell(INTERIM, HOST, session_time=int(time.time()) - start)
    assert [reason(agent, t, FREE) for t in (added - 1, added, added + 1, again + 1)] == ["no-record"] * 3 + ["no-lease"]
    assert reason(agent, start + 1) == "alice"
    agent.stop()
    down = int(time.time())
    let_pass(down + 1)
    agent.start()
    nas.tell(STOP, HOST)
    up = time_of(lines(agent, "begin")[-1])
    assert len(lines(agent, "begin")) == 4 and lines(agent, "begin")[-1]["from"] != "1970-01-01T00:00:00Z"
    assert [reason(agent, t, FREE) for t in (again + 1, down + 1, up)] == ["no-lease", "no-record", "no-record"]
    assert who(agent, at=text(down + 1), status=1)["customer_doubt"] == "gap"
    verify(agent)


def test_a_clock_that_is_set_keeps_both_accounts_and_leaves_what_it_left_out_without_record(lab):
    agent = configure(lab)
    shifted = own_clock.Clock(library(lab.directory), lab.directory / "clock")
    agent.start(**shifted.environment)
    nas = client(lab)

    def set_clock(shift):
        """Lets the agent look at its clock, before and after."""
        for s in (shifted.shift, shift):
            shifted.set(s, agent.process)
            now = int(time.time())
            let_pass(now + 3)

    nas.tell(START, HOST)
    start = time_of(lines(agent, "start")[0])
    set_clock(3600)
    nas.tell(STOP, HOST)
    stop = time_of(lines(agent, "stop")[0])
    assert stop - start >= 3600
    lost = wait_for(lambda: lines(agent, "lost"), what="the line of what was left out")[0]
    assert start <= time_of({"time": lost["from"]}) <= start + 60 and time_of({"time": lost["to"]}) <= stop + 1
    assert [reason(agent, t) for t in (start, start + 1800, stop)] == ["alice", "perhaps", "alice"]
    assert reason(agent, start + 1800, OTHER) == "no-record"
    # Half an hour back: times come again, in which somebody else has the address.
    set_clock(1800)
    step = wait_for(lambda: lines(agent, "step"), what="the line of the clock that was set back")[0]
    assert time_of({"time": step["from"]}) - time_of({"time": step["to"]}) in range(1795, 1806) and step["format"] == 2
    nas.tell(START, HOST, user="bob", session="s2")
    again = time_of(lines(agent, "start")[1])
    assert start < again < stop
    assert reason(agent, again) == "two-leases" and reason(agent, start) == "alice"
    nas.tell(OFF, user="")
    answer = who(agent, at=text(again + 900), status=1)
    assert "alice" in [holder["id"] for holder in answer["customers"] + answer["customers_after"]]
    verify(agent)
    agent.kill()
    agent.start(**shifted.environment)
    verify(agent)
