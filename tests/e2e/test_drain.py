# SPDX-License-Identifier: BSD-2-Clause
"""Mappings that drain: their sessions go on while new ones are opened elsewhere, over kills of the agent, too."""

import datetime
import json

from scapy.layers.inet import UDP

from agent import CTL, execute, wait_for
from lab import MAPPING, Lab, block_of
from test_history import events, lose_datapath, next_second, records, stamp, verified, who

NEW = {"in": MAPPING["in"], "out": "1.1.9.0/28"}


def goes_on(lab, host, port, src):
    lab.send_out(lab.from_inside(host, UDP(sport=port, dport=53) / b"question"), src)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, port)


def state(agent):
    return sorted((m["out"], m["state"]) for m in agent.ctl("mapping", "list"))


def test_sessions_go_on_when_a_mapping_is_replaced_and_the_agent_killed(run_directory):
    lab = Lab(run_directory)
    try:
        lab.start(mappings=[MAPPING])
        host = lab.host("10.0.5.76")
        old = lab.open_udp(host, port=5000)
        lab.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
        assert state(lab.agent) == [(MAPPING["out"], "draining"), (NEW["out"], "in use")]
        goes_on(lab, host, 5000, old)
        new = lab.open_udp(host, port=5001, mapping=NEW)
        lab.agent.kill()
        goes_on(lab, host, 5000, old)
        lab.agent.start()
        goes_on(lab, host, 5000, old)
        goes_on(lab, host, 5001, new)
        assert len(lab.sessions(host.addr)) == 2
        assert "draining" in lab.agent.refused("mapping", "add", "10.50.0.0/18", MAPPING["out"])
        lab.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
        wait_for(lambda: len(lab.agent.ctl("mapping", "list")) == 1, what="the end of the drain")
        # Its ports rest before other subscribers have them; the same ones may have them at once.
        refusal = lab.agent.refused("mapping", "add", "10.50.0.0/18", MAPPING["out"])
        assert "have drained from 1.1.1.0/30, whose ports rest" in refusal and 0 < int(refusal.split()[-2]) <= 120
        # From the record of the end on, which a busy machine writes late; the history has whole seconds.
        ended = datetime.datetime.fromisoformat(records(lab.agent)[-1]["time"])

        def rested():
            return (datetime.datetime.now(datetime.timezone.utc) - ended).total_seconds()

        wait_for(lambda: rested() > 4, what="some of the rest to be over")
        lab.agent.kill()
        lab.agent.start()
        most = 122 - rested()
        again = lab.agent.refused("mapping", "add", "10.50.0.0/18", MAPPING["out"])
        assert "have drained from 1.1.1.0/30, whose ports rest" in again
        assert 0 < int(again.split()[-2]) <= most, "not 120 s anew"
        assert lab.agent.ctl("reverse", f"{old[0]}:{old[1]}")["rest_left"] <= 120
        lab.agent.ctl("mapping", "add", MAPPING["in"], MAPPING["out"], "--replace", "--drain", "600")
        lab.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
        lab.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
        wait_for(lambda: len(lab.agent.ctl("mapping", "list")) == 1, what="the end of the drain")
        goes_on(lab, host, 5001, new)
        assert [e for e in events(lab.agent) if e in ("add", "retire", "drained", "del")] == [
            "add", "add", "retire", "del", "add", "retire", "drained", "retire", "del"]
    finally:
        lab.close()


def test_ports_rest_over_a_reboot(lab):
    agent = lab.start(mappings=[MAPPING])
    lab.open_udp(lab.host("10.0.5.76"), port=5000)
    agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
    agent.write(mappings=[NEW])
    agent.kill()
    lose_datapath(agent)
    agent.start()
    assert state(agent) == [(NEW["out"], "in use")], "the sessions that drained are gone"
    refusal = agent.refused("mapping", "add", "10.50.0.0/18", MAPPING["out"])
    assert "have drained from 1.1.1.0/30, whose ports rest" in refusal and 100 < int(refusal.split()[-2]) <= 120
    # What the file says takes effect all the same.
    agent.kill()
    agent.write(mappings=[NEW, {"in": "10.50.0.0/18", "out": MAPPING["out"]}])
    agent.start()
    assert len(agent.ctl("mapping", "list")) == 2
    assert "sessions of 10.0.0.0/18 have drained from its addresses, whose ports were to rest" in agent.log_text()


def test_sessions_drain_from_a_mapping_that_is_gone_from_the_file_at_a_start(lab):
    agent = lab.start(mappings=[{**MAPPING, "drain": 600}])
    host = lab.host("10.0.5.76")
    old = lab.open_udp(host, port=5000)
    agent.kill()
    agent.write(mappings=[{"in": "10.9.0.0/24", "out": "1.1.9.0/30"}])
    agent.start()
    goes_on(lab, host, 5000, old)
    assert [m["state"] for m in agent.ctl("mapping", "list")] == ["in use", "draining"]


def owner(agent, src, at):
    """Who had an endpoint then; None: no subscriber."""
    result = execute(CTL, "-j", "who", f"{src[0]}:{src[1]}", "--at", at, "--state-dir", agent.state)
    assert result.status == 0 or (result.status == 1 and "no subscriber held" in result.err), result
    return json.loads(result.out)["in_addr"] if result.status == 0 else None


def moments(agent, change):
    """The seconds before a change of the drains and after it."""
    before = stamp()
    next_second()
    change()
    next_second()
    return before, stamp()


def test_who_names_the_owner_of_both_endpoints_while_a_subscriber_moves(lab):
    agent = lab.start(mappings=[MAPPING])
    host = lab.host("10.0.5.76")
    other = lab.host("10.0.5.77")
    old = lab.open_udp(host, port=5000)
    kept = block_of(other.addr)
    moved = moments(agent, lambda: agent.ctl("user", "move", host.addr, "1.1.9.0/28", "--drain", "600"))
    new = lab.open_udp(host, port=5001, mapping={"in": f"{host.addr}/32", "out": "1.1.9.0/32"})
    # Without a drain the block is kept for the other one at once.
    cut = moments(agent, lambda: agent.ctl("user", "move", other.addr, "1.1.9.4/30", "--drain", "0"))
    agent.kill()
    agent.start()
    goes_on(lab, host, 5000, old)
    assert owner(agent, old, moved[0]) == owner(agent, old, moved[1]) == owner(agent, new, moved[1]) == host.addr
    assert owner(agent, new, moved[0]) is None and owner(agent, (kept.addr, kept.lo), cut[0]) == other.addr
    assert "was kept for" in who(agent, f"{kept.addr}:{kept.lo}", "--at", cut[1], status=1)
    before = stamp()
    agent.ctl("session", "flush", host.addr)
    wait_for(lambda: "drained" in events(agent), what="the end of the drain")
    next_second()
    assert owner(agent, old, before) == owner(agent, new, before) == owner(agent, new, stamp()) == host.addr
    assert "was kept for" in who(agent, f"{old[0]}:{old[1]}", "--at", stamp(), status=1)
    assert [e for e in events(agent) if e in ("retire", "drained")] == ["retire", "drained"]
    # Back in its mapping, the subscriber has the old endpoint again.
    agent.ctl("mapping", "del", f"{host.addr}/32")
    next_second()
    assert owner(agent, old, stamp()) == host.addr
    verified(agent)


def test_what_cannot_drain_is_refused_before_anything_is_changed(lab):
    plans = [{"in": f"10.0.0.0/{18 + 2 * i}", "out": f"1.1.{i + 1}.0/30", "drain": 600} for i in range(5)]
    agent = lab.start(mappings=plans)
    host = lab.host("10.0.0.9")
    kept = lab.open_udp(host, port=5000, mapping=plans[-1])
    agent.write(mappings=[{"in": "10.9.0.0/24", "out": "1.1.9.0/30"}])
    assert "would drain from more than 4 mappings" in agent.refused("reload")
    assert len(agent.ctl("mapping", "list")) == 5 and "retire" not in events(agent)
    goes_on(lab, host, 5000, kept)
    # One level less can.
    agent.write(mappings=[plans[0], {"in": "10.9.0.0/24", "out": "1.1.9.0/30"}])
    agent.ctl("reload")
    goes_on(lab, host, 5000, kept)
    assert events(agent).count("retire") == 4


def test_a_return_to_a_mapping_that_drains_is_refused_as_a_whole_where_one_drain_more_is_too_many(lab):
    pools = [f"1.1.{i}.0/30" for i in range(1, 6)]
    agent = lab.start(mappings=[{**MAPPING, "out": pools[0]}])
    host = lab.host("10.0.5.76")
    opened = {}
    for i, pool in enumerate(pools):
        if i:
            agent.ctl("mapping", "add", MAPPING["in"], pool, "--replace", "--drain", "600")
        opened[5000 + i] = lab.open_udp(host, 5000 + i, mapping={**MAPPING, "out": pool})
    before = state(agent)
    refusal = agent.refused("mapping", "add", MAPPING["in"], pools[0], "--replace", "--drain", "600")
    assert "would drain from more than 4 mappings" in refusal
    assert state(agent) == before
    for port, src in opened.items():
        goes_on(lab, host, port, src)
    # Of three, one may return.
    agent.ctl("session", "close", "in", f"{host.addr}:5001", "198.51.100.7:53")
    wait_for(lambda: len(state(agent)) == 4, what="the end of a drain")
    agent.ctl("mapping", "add", MAPPING["in"], pools[0], "--replace", "--drain", "600")
    del opened[5001]
    for port, src in opened.items():
        goes_on(lab, host, port, src)
