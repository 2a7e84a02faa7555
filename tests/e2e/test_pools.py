# SPDX-License-Identifier: BSD-2-Clause
"""Outside addresses taken out of service and put back, subscribers moved for a while, and reloads that would end many sessions."""

import datetime
import json

import pytest
from scapy.layers.inet import TCP, UDP

import shapes
from agent import wait_for
from lab import MAPPING, block_of
from test_metrics import LISTEN, samples as scraped

SPARE = "1.1.8.0/29"
PLAN = {**MAPPING, "name": "homes", "spare": [SPARE]}
# What is behind 1.1.1.2, and what becomes of it.
DRAINED = {"in": "10.0.32.0/20", "out": "1.1.8.0/32"}
ADDR = "10.0.32.7"


@pytest.fixture
def agent(lab):
    return lab.prepare(mappings=[PLAN]).start()


def states(agent, *arguments):
    return {(p["addr"], p["last"]): p["state"] for p in shapes.assert_all(agent.ctl("pool", "list", *arguments), shapes.POOL)}


def soon(seconds=8):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_pools_are_listed_with_their_states(lab, agent):
    lab.open_udp(lab.host("10.0.0.9"))
    found = agent.ctl("pool", "list")
    assert found[0] == {"addr": "1.1.1.0", "last": "1.1.1.0", "addresses": 1, "state": "in use", "subscribers": 4096,
                        "sessions": 1, "mapping": "homes", "in": MAPPING["in"], "out": MAPPING["out"]}
    assert found[-1]["state"] == "spare" and found[-1]["addresses"] == 8 and found[-1]["last"] == "1.1.8.7"
    assert len(found) == 5 and agent.ctl("pool") == found
    assert len(agent.ctl("pool", "list", "1.1.8.4/30")) == 4 and len(agent.ctl("pool", "list", "1.1.1.3")) == 1
    text = agent.text("pool", "list")
    assert "1.1.8.0-1.1.8.7" in text and "in use" in text
    assert "9.9.9.9/32 contains no pool address" in agent.refused("pool", "list", "9.9.9.9")


def test_without_a_drain_sessions_end_at_once(lab, agent):
    host = lab.host(ADDR)
    old = lab.open_udp(host, 5000)
    agent.ctl("pool", "drain", "1.1.1.2", "--to", "1.1.9.0/30", "--drain", "0")
    wait_for(lambda: states(agent)[("1.1.1.2", "1.1.1.2")] == "out of use", what="the end of the session")
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(old[0], UDP(sport=53, dport=old[1]) / b"late"))
    lab.inside.assert_silent()
    assert lab.open_udp(host, 5000, mapping={**DRAINED, "out": "1.1.9.0/32"})[0] == "1.1.9.0"


@pytest.mark.parametrize("arguments,reason", [
    (("9.9.9.9",), "9.9.9.9 is in no mapping's pool"),
    (("1.1.1.0/24",), "is larger than the pool of mapping homes"),
    (("1.1.1.0/30", "--to", "1.1.9.0/31"), "1.1.9.0/31 has 2 free addresses, but 1.1.1.0/30 needs 4"),
    (("1.1.1.2", "--to", "1.1.1.3"), "1.1.1.3 has 0 free addresses"),
    (("1.1.1.2", "--to", "10.0.0.0/24"), "10.0.0.0/24 has inside addresses, of mapping homes"),
    (("1.1.1.2", "--to", "198.51.100.254"), "the next hop of a route"),
])
def test_a_drain_that_cannot_be_made_changes_nothing(agent, arguments, reason):
    before = agent.ctl("config")
    assert reason in agent.refused("pool", "drain", *arguments)
    assert agent.ctl("config") == before


@pytest.mark.parametrize("arguments", [("pool", "drain", "1.1.1"), ("pool", "drain", "1.1.1.2:80"), ("pool", "drain", "1.1.1.2", "--drain", "604801"),
                                       ("pool", "drain"), ("pool", "restore", "x"), ("user", "move", "10.0.0.3"),
                                       ("user", "move", "10.0.0.3", "1.1.9.0", "--until", "soon")])
def test_malformed_arguments_are_wrong_usage(agent, arguments):
    agent.refused(*arguments, status=2)


@pytest.fixture
def mapped(agent):
    """Two portmaps at the address that is drained, one elsewhere, and one that has the port of the plan."""
    agent.ctl("portmap", "add", "tcp", f"{ADDR}:80", "1.1.1.2:80", "--name", "web")
    agent.ctl("portmap", "add", "both", "10.0.32.8:8000-8001", "1.1.1.2:800-801")
    agent.ctl("portmap", "add", "tcp", "10.0.0.2:80", "1.1.1.0:80", "--name", "other")
    agent.ctl("portmap", "add", "udp", f"{ADDR}:3074", "--name", "xbox")
    return agent


def outside(agent):
    return {(m["proto"], m["in_addr"], m["in_port"]): (m["out_addr"], m["out_port"]) for m in agent.ctl("portmap", "list")}


def test_portmaps_of_the_address_are_in_the_way_and_all_are_named(mapped):
    before = mapped.ctl("config")
    said = mapped.refused("pool", "drain", "1.1.1.2")
    assert "web (tcp 1.1.1.2:80), both 1.1.1.2:800-801;" in said and "other" not in said and "xbox" not in said
    assert "--portmaps move gives" in said and "--portmaps delete ends" in said
    said = mapped.refused("user", "move", ADDR, "1.1.9.0")
    assert "web (tcp 1.1.1.2:80); `detnatctl portmap del` with a name" in said
    assert mapped.ctl("config") == before


def test_portmaps_move_with_the_drain_and_back(lab, mapped):
    host, before = lab.host(ADDR), outside(mapped)
    said = mapped.text("pool", "drain", "1.1.1.2", "--drain", "10m", "--portmaps", "move")
    assert said.endswith("sessions go on for 600 s at most; 2 portmaps moved\n")
    moved = {place: ("1.1.8.0", out[1]) if out[0] == "1.1.1.2" else out for place, out in before.items()}
    assert outside(mapped) == moved
    assert mapped.ctl("who", "1.1.8.0:80")["in_addr"] == mapped.ctl("reverse", "1.1.8.0:80")["in_addr"] == ADDR
    lab.send_in(lab.from_outside("1.1.8.0", TCP(sport=999, dport=80, flags="S") / b"in", "192.0.2.77"), host, 80)
    wait_for(lambda: len(mapped.ctl("mapping")) == 2, what="the end of the drain, as there are no sessions")
    before_restore = mapped.ctl("config")
    assert "web (tcp 1.1.8.0:80)" in mapped.refused("pool", "restore", "1.1.1.2")
    assert mapped.ctl("config") == before_restore
    told = mapped.ctl("pool", "restore", "1.1.1.2", "--portmaps", "move")
    assert told["portmaps"] == 2 and outside(mapped) == before
    assert mapped.ctl("who", "1.1.1.2:80")["in_addr"] == ADDR


def test_portmaps_can_end_with_the_drain(mapped):
    told = mapped.ctl("pool", "drain", "1.1.1.2", "--portmaps", "delete")
    assert told["portmaps"] == 2
    assert outside(mapped) == {("tcp", "10.0.0.2", 80): ("1.1.1.0", 80), ("udp", ADDR, 3074): ("1.1.8.0", block_of(ADDR).first_choice(3074)[1])}


def test_portmaps_stay_where_the_drain_is_refused(mapped):
    before = mapped.ctl("config")
    assert "has 0 free addresses" in mapped.refused("pool", "drain", "1.1.1.2", "--to", "1.1.1.3", "--portmaps", "delete")
    assert mapped.ctl("config") == before


def test_times_may_be_told_from_now_and_with_units(agent):
    told = agent.ctl("user", "move", ADDR, "1.1.9.0", "--until", "+2h", "--drain", "90s")
    assert told["drain"] == 90 and soon(7000) < told["until"] <= soon(7200)
    assert "is past" in agent.refused("user", "move", "10.0.0.3", "1.1.9.1", "--until", "-5m")
    assert agent.ctl("pool", "drain", "1.1.1.3", "--drain", "1h30m")["drain"] == 5400
    assert agent.ctl("timeouts", "set", "udp=5m")["udp"] == 300
    assert "604800 seconds" in agent.refused("mapping", "del", "homes", "--drain", "8d", status=2)


def test_a_large_pool_is_listed_in_ranges(lab):
    large = {"in": "10.0.0.0/20", "out": "1.1.4.0/22"}
    agent = lab.start(mappings=[large])
    lab.open_udp(lab.host("10.0.7.9"), mapping=large)
    assert states(agent) == {("1.1.4.0", "1.1.7.255"): "in use"}
    (whole,) = agent.ctl("pool", "list")
    assert (whole["addresses"], whole["subscribers"], whole["sessions"]) == (1024, 4096, 1)
    agent.ctl("pool", "drain", "1.1.5.16/28", "--to", "1.1.8.0/28", "--drain", "0")
    assert states(agent) == {("1.1.4.0", "1.1.5.15"): "in use", ("1.1.5.16", "1.1.5.31"): "out of use", ("1.1.5.32", "1.1.7.255"): "in use",
                             **{(f"1.1.8.{i}", f"1.1.8.{i}"): "in use" for i in range(16)}}
    assert [m["name"] for m in agent.ctl("mapping")][1:] == ["drain-1.1.5.16-28"]
    assert [p["addr"] for p in agent.ctl("pool", "list", "1.1.5.30/31")] == ["1.1.5.30", "1.1.5.31"]


def test_a_drained_address_has_no_subscribers_until_it_is_restored(lab, agent):
    host = lab.host(ADDR)
    told = shapes.assert_shape(agent.ctl("pool", "drain", "1.1.1.2", "--drain", "0"), shapes.POOL_DRAINED)
    assert told == {"out": "1.1.1.2/32", "addresses": 1, "subscribers": 4096, "mappings": 1, "drain": 0, "portmaps": 0, "warnings": []}
    assert agent.ctl("forward", ADDR)["mapping"] == "drain-1.1.1.2"
    assert lab.open_udp(host, 5001, mapping=DRAINED)[0] == "1.1.8.0" and block_of(ADDR, DRAINED).ports == block_of(ADDR).ports
    assert states(agent)[("1.1.1.2", "1.1.1.2")] == "out of use"
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside("1.1.1.2", UDP(sport=53, dport=block_of(ADDR).lo + 3) / b"stranger"))
    lab.inside.assert_silent()
    assert "out of use already; `detnatctl pool restore 1.1.1.2` brings it back" in agent.refused("pool", "drain", "1.1.1.2")
    agent.ctl("pool", "restore", "1.1.1.2", "--drain", "0")
    assert lab.open_udp(host, 5002)[0] == "1.1.1.2"
    assert states(agent)[("1.1.1.2", "1.1.1.2")] == "in use" and states(agent)[("1.1.8.0", "1.1.8.7")] == "spare"


def test_a_move_ends_by_itself(lab, agent):
    host = lab.host(ADDR)
    told = shapes.assert_shape(agent.ctl("user", "move", ADDR, "1.1.9.0/28", "--name", "quarantine", "--drain", "0"), shapes.USER_MOVE)
    assert told == {"in_addr": ADDR, "out_addr": "1.1.9.0", "mapping": "quarantine", "until": None, "drain": 0, "warnings": []}
    assert agent.ctl("user", "move", "10.0.0.3", "1.1.9.0/28", "--drain", "0")["out_addr"] == "1.1.9.1"
    moved = {"in": f"{ADDR}/32", "out": "1.1.9.0/32"}
    assert lab.open_udp(host, 5001, mapping=moved)[0] == "1.1.9.0"
    # Named no more, it would be a mapping like others; with an end it is known as a move.
    until = soon()
    assert agent.ctl("user", "move", "10.0.0.3", "1.1.9.0/28", "--until", until, "--drain", "0")["until"] == until
    wait_for(lambda: agent.ctl("forward", "10.0.0.3")["out_addr"] == "1.1.1.0", timeout=60, what="the end of the move")
    agent.ctl("mapping", "del", "quarantine")
    assert lab.open_udp(host, 5002)[0] == "1.1.1.2"
    assert agent.ctl("config")["mappings"] == [PLAN]


def test_a_move_ends_while_no_agent_runs(lab, agent):
    agent.ctl("user", "move", ADDR, "1.1.9.0", "--until", soon(20), "--drain", "0")
    agent.ctl("config", "save")
    agent.kill()
    wait_for(lambda: soon(0) > json.loads(agent.path.read_text())["mappings"][1]["until"], timeout=60, what="that time")
    agent.start()
    wait_for(lambda: len(agent.ctl("mapping")) == 1, what="the end of the move")
    assert agent.ctl("reload")["changed"] is False, "the file's mapping has ended, too"


def test_moves_that_cannot_be_made_are_refused(agent):
    before = agent.ctl("config")
    assert "is past" in agent.refused("user", "move", ADDR, "1.1.9.0", "--until", "2020-01-01")
    assert "not an inside address" in agent.refused("user", "move", "192.0.2.9", "1.1.9.0")
    assert "1.1.1.3 has no free address" in agent.refused("user", "move", ADDR, "1.1.1.3")
    assert "10.0.0.0/8 has inside addresses, of mapping homes" in agent.refused("user", "move", ADDR, "10.0.0.0/8")
    assert "is already the name of the mapping" in agent.refused("user", "move", ADDR, "1.1.9.0", "--name", "homes")
    assert agent.ctl("config") == before


def test_what_drains_and_moves_made_is_shown_saved_and_taken_over(agent):
    agent.ctl("pool", "drain", "1.1.1.2")
    agent.ctl("user", "move", "10.0.0.3", "1.1.9.0", "--until", "2099-01-01")
    diff = agent.command("config", "diff").out
    assert "drain-1.1.1.2" in diff and "2099-01-01T00:00:00Z" in diff
    # Without sessions the drains end at once, which is a change of its own.
    wait_for(lambda: all(m["state"] == "in use" for m in agent.ctl("mapping", "list")), what="the end of the drains")
    agent.ctl("config", "save")
    assert agent.command("config", "diff").status == 0 and agent.once("-t").status == 0
    agent.restart()
    assert agent.ctl("forward", ADDR)["out_addr"] == "1.1.8.0" and agent.ctl("forward", "10.0.0.3")["out_addr"] == "1.1.9.0"
    assert agent.ctl("reload")["changed"] is False


def test_metrics_count_addresses_by_state(lab):
    agent = lab.start(mappings=[PLAN], metrics={"listen": LISTEN}, sweep_interval=1)
    agent.ctl("pool", "drain", "1.1.1.2", "--drain", "0")
    wanted = {"in use": 4, "draining": 0, "out of use": 1, "spare": 7}
    wait_for(lambda: {s: scraped(lab).get(f'detnat_pool_addresses{{state="{s}"}}') for s in wanted} == wanted, what="the metrics")


GUARDED = {"mappings": [PLAN], "reload_guard": 2}


def test_a_reload_that_would_end_too_many_sessions_is_refused(lab):
    agent = lab.prepare(**GUARDED).start()
    for number in range(3):
        lab.open_udp(lab.host(), 5000 + number)
    agent.write(mappings=[{**MAPPING, "out": "1.1.3.0/30"}])
    told = agent.ctl("reload", "--dry-run", "--force")
    assert told["sessions_cut"] == 3 and told["deleted"][0]["sessions"] == 3 and told["deleted"][0]["drain"] == 0
    assert "3 sessions would end" in agent.text("reload", "--dry-run", "--force")
    running = agent.ctl("config")
    refusal = agent.refused("reload")
    assert "would end 3 sessions, and `reload_guard` allows 2" in refusal
    text, document = agent.command("reload", "--dry-run"), agent.command("-j", "reload", "--dry-run")
    assert (text.status, text.err) == (document.status, document.err) == (1, refusal)
    assert text.out == agent.text("reload", "--dry-run", "--force")
    assert json.loads(document.out) == {**told, "refused": refusal.removeprefix("detnatctl: ").strip()}
    agent.hang_up()
    wait_for(lambda: agent.log_text().count("would end 3 sessions") >= 3, what="the refusal by SIGHUP in the log")
    assert agent.ctl("config") == running and len(lab.sessions()) == 3
    assert agent.ctl("reload", "--force")["sessions_cut"] == 3
    assert agent.ctl("mapping")[0]["out"] == "1.1.3.0/30"


def test_an_exception_counts_the_sessions_that_it_takes(lab):
    agent = lab.prepare(**GUARDED).start()
    for number in range(3):
        lab.open_udp(lab.host("10.0.5.5"), 5000 + number)
    for number in range(2):
        lab.open_udp(lab.host("10.0.5.6"), 5000 + number)
    agent.write(mappings=[PLAN, {"in": "10.0.5.5/32", "out": "1.1.3.0/32"}])
    told = agent.ctl("reload", "--dry-run", "--force")
    assert told["sessions_cut"] == 3 and [(m["in"], m["sessions"]) for m in told["parted"]] == [(MAPPING["in"], 3)]
    assert "would end 3 sessions" in agent.refused("reload")
    agent.write(mappings=[PLAN, {"in": "10.0.5.6/32", "out": "1.1.3.0/32"}])
    assert agent.ctl("reload")["sessions_cut"] == 2, "as many as are allowed"


def test_commands_warn_of_pools_that_clash_with_the_machine(lab, agent):
    own = "holds 198.51.100.1, the gateway's own address on out0"
    added = agent.command("mapping", "add", "10.64.0.0/24", "198.51.100.0/30")
    assert added.status == 0 and own in added.err and added.err.startswith("detnatctl: warning: "), added
    agent.ctl("mapping", "del", "10.64.0.0/24")
    (warning,) = agent.ctl("mapping", "add", "10.65.0.0/24", "224.0.0.0/30")["warnings"]
    assert "the pool 224.0.0.0/30 overlaps the multicast addresses 224.0.0.0/4" in warning
    (warning,) = agent.ctl("mapping", "add", "10.64.0.0/24", "127.8.0.0/30")["warnings"]
    assert "the pool 127.8.0.0/30 overlaps the loopback addresses 127.0.0.0/8" in warning
    (warning,) = agent.ctl("user", "move", ADDR, "169.254.8.1")["warnings"]
    assert "the pool 169.254.8.1/32 overlaps the link-local addresses 169.254.0.0/16" in warning
    (warning,) = agent.ctl("pool", "drain", "1.1.1.2", "--to", "198.51.100.255")["warnings"]
    assert "holds 198.51.100.255, the broadcast address of the network of out0" in warning
