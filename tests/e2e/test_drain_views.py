# SPDX-License-Identifier: BSD-2-Clause
"""What the commands and the metrics tell of sessions that drain."""

import pytest
from scapy.layers.inet import UDP

import shapes
from agent import wait_for
from lab import MAPPING, block_of
from test_ctl_explain import explain, reasons
from test_ctl_trace import details, traces
from test_metrics import LISTEN, samples

NEW = {"in": MAPPING["in"], "out": "1.1.9.0/28"}
FORMER = {key: MAPPING[key] for key in ("in", "out")}


@pytest.fixture
def drained(lab):
    """A mapping that has been replaced, with a host that has one session in each and another that has one in the old alone."""
    lab.start(mappings=[MAPPING], metrics={"listen": LISTEN}, sweep_interval=1)
    host, idle = lab.host("10.0.5.76"), lab.host("10.0.5.77")
    lab.old, lab.idle = lab.open_udp(host, 5000), lab.open_udp(idle, 5000)
    lab.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
    lab.new = lab.open_udp(host, 5001, mapping=NEW)
    lab.moved, lab.alone = host, idle
    return lab


def endpoint(src):
    return f"{src[0]}:{src[1]}"


def test_forward_and_reverse_know_both_blocks(drained):
    agent, host, old = drained.agent, drained.moved, block_of(drained.moved.addr)
    told = shapes.assert_shape(agent.ctl("forward", host.addr), shapes.FORWARD)
    assert told["out_addr"] == drained.new[0]
    (block,) = told["draining"]
    left = block.pop("drain_left")
    assert 0 < left <= 600
    assert block == {"out_addr": old.addr, "port_lo": old.lo, "port_hi": old.hi, **{k: MAPPING[k] for k in ("in", "out")}, "sessions": 1}
    assert f"{old.addr}:<{old.lo}-{old.hi}> draining, sessions: 1" in agent.text("forward", host.addr)
    told = agent.ctl("reverse", endpoint(drained.old))
    assert told["in_addr"] == host.addr and 0 < told["drain_left"] <= 600 and told["drains_from"] == FORMER
    assert not {"drain_left", "drains_from"} & set(agent.ctl("reverse", endpoint(drained.new)))
    text = agent.text("reverse", endpoint(drained.old))
    assert text.startswith(f"{host.addr}, for sessions that drain from mapping {MAPPING['in']} to {MAPPING['out']}, ")


def test_reverse_names_who_had_a_block_that_rests(drained):
    agent, host = drained.agent, drained.moved
    agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
    wait_for(lambda: len(agent.ctl("mapping", "list")) == 1, what="the end of the drain")
    told = shapes.assert_shape(agent.ctl("reverse", endpoint(drained.old)), shapes.REVERSE)
    assert told["in_addr"] == host.addr and 0 < told["rest_left"] <= 120 and told["drains_from"] == FORMER
    text = agent.text("reverse", endpoint(drained.old))
    assert text.startswith(f"{host.addr}, until its sessions had drained from mapping {MAPPING['in']} to {MAPPING['out']}; the ports rest for ")
    assert "no mapping" in agent.refused("reverse", f"{drained.old[0]}:80")


def test_reverse_names_the_mapping_that_a_single_subscriber_drains_from(lab):
    agent = lab.start(mappings=[{**MAPPING, "name": "homes"}])
    old = lab.open_udp(lab.host("10.0.5.76"), 5000)
    agent.ctl("user", "move", "10.0.5.76", "1.1.9.0/28", "--drain", "600")
    told = agent.ctl("reverse", endpoint(old))
    assert (told["in_addr"], told["mapping"], told["drains_from"]) == ("10.0.5.76", "homes", FORMER) and 0 < told["drain_left"] <= 600


def test_explain_tells_of_old_and_new_sessions(drained):
    answer = explain(drained, drained.moved.addr)
    assert ("draining", False) in reasons(answer) and answer["subscriber"]["sessions"] == 2
    assert answer["subscriber"]["out_addr"] == drained.new[0] and answer["subscriber"]["ports_used"] == 1
    answer = explain(drained, endpoint(drained.old))
    assert answer["subscriber"]["in_addr"] == drained.moved.addr and answer["mapping"]["out"] == MAPPING["out"]
    assert [s["out_addr"] for s in answer["sessions"]] == [drained.old[0]] and ("draining", False) in reasons(answer)
    assert explain(drained, endpoint(drained.new))["matching"] == 1
    assert explain(drained, drained.old[0])["pool"]["sessions"] == 2


def test_an_address_without_a_mapping_is_explained_while_it_drains(drained):
    agent = drained.agent
    agent.ctl("mapping", "del", NEW["in"], "--drain", "600")
    answer = explain(drained, drained.moved.addr, found=False)
    assert [r for r, _ in reasons(answer)].count("draining") == 2
    assert "explain its sessions that drain" in agent.refused("forward", drained.moved.addr)
    assert {t["in_addr"]: (t["sessions"], t["draining"]) for t in agent.ctl("top")} == {drained.moved.addr: (2, 2), drained.alone.addr: (1, 1)}


def test_top_counts_what_drains(drained):
    found = {t["in_addr"]: (t["sessions"], t["draining"]) for t in shapes.assert_all(drained.agent.ctl("top"), shapes.TOP)}
    assert found == {drained.moved.addr: (2, 1), drained.alone.addr: (1, 1)}


def test_a_trace_names_the_block_of_the_session(drained):
    drained.agent.ctl("trace", "start", "--in", drained.moved.addr)
    drained.send_out(drained.from_inside(drained.moved, UDP(sport=5000, dport=53) / b"again"), drained.old)
    (packet,) = traces(drained.agent, 1)
    subscribers = details(packet)["subscriber"]
    assert drained.new[0] in subscribers[0] and drained.old[0] in subscribers[-1] and subscribers[-1].endswith("which drains")


def test_metrics_tell_what_drains(drained):
    labels = f'{{inside="{MAPPING["in"]}",outside="{MAPPING["out"]}"}}'
    wait_for(lambda: samples(drained).get("detnat_mapping_draining_sessions" + labels) == 2, what="the sweep's count")
    assert 0 < samples(drained)["detnat_mapping_drain_left_seconds" + labels] <= 600
    drained.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
    wait_for(lambda: not any(name.startswith("detnat_mapping_drain") for name in samples(drained)), what="the end of the samples")


def test_check_compares_subscribers_that_drain(drained):
    found = drained.agent.ctl("check")
    assert found["findings"] == [] and found["checked"]["sessions"] == 3


def test_bindings_that_drain_are_listed(lab):
    old = {**MAPPING, "endpoint_independent": {"mapping": ["udp"]}}
    agent = lab.start(mappings=[old])
    host = lab.host("10.0.5.76")
    src = lab.open_udp(host, 5000)
    agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
    for found in (agent.ctl("binding", "list"), agent.ctl("binding", "list", host.addr)):
        assert [(b["in_addr"], b["in_port"], b["out_addr"], b["out_port"]) for b in found] == [(host.addr, 5000, *src)]


def test_the_list_of_mappings_tells_spare_addresses_and_ends(lab):
    agent = lab.start(mappings=[{**MAPPING, "name": "homes", "spare": ["1.1.8.0/29"], "drain": 3600}])
    agent.ctl("user", "move", "10.0.5.76", "1.1.9.0/28", "--until", "2099-01-01")
    homes, moved = agent.ctl("mapping", "list")[:2]
    assert (homes["spare"], homes["drain"], homes["until"]) == (["1.1.8.0/29"], 3600, None)
    assert (moved["spare"], moved["until"]) == ([], "2099-01-01T00:00:00Z")
    text = agent.text("mapping", "list")
    assert "until 2099-01-01T00:00:00Z" in text and "1.1.8.0/29" in text


def test_each_session_is_counted_once_while_a_subscriber_drains(lab):
    agent = lab.start(mappings=[MAPPING], metrics={"listen": LISTEN}, sweep_interval=1)
    host, other = lab.host("10.0.5.76"), lab.host("10.0.5.77")
    for port in (5000, 5001):
        lab.open_udp(host, port)
    lab.open_udp(other, 5000)
    agent.ctl("user", "move", host.addr, "1.1.9.0/32", "--drain", "600")
    lab.open_udp(host, 5002, mapping={"in": f"{host.addr}/32", "out": "1.1.9.0/32"})
    rows = {(m["in"], m["out"], m["state"]): m["sessions"] for m in agent.ctl("mapping", "list")}
    assert rows == {(MAPPING["in"], MAPPING["out"], "in use"): 1, (f"{host.addr}/32", "1.1.9.0/32", "in use"): 1,
                    (f"{host.addr}/32", "1.1.1.0/32", "draining"): 2}
    assert agent.ctl("status")["sessions"] == 4

    def counted():
        found = {name: value for name, value in samples(lab).items()
                 if name.startswith(("detnat_sessions{", "detnat_mapping_draining_sessions{")) and value}
        return sorted(found.values()) == [1, 1, 2] and any(v == 2 and name.startswith("detnat_mapping_draining") for name, v in found.items())

    wait_for(counted, what="the sweep's count, and the usage pass")


@pytest.fixture
def orphaned(lab):
    """A mapping with open ports that was deleted, with a session that drains and no mapping for new ones."""
    lab.start(mappings=[{**MAPPING, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}])
    lab.alone = lab.host("10.0.5.77")
    lab.old = lab.open_udp(lab.alone, 5000)
    lab.agent.ctl("mapping", "del", MAPPING["in"], "--drain", "600")
    return lab


def test_a_subscriber_without_a_mapping_is_shown_by_its_sessions(orphaned):
    agent, addr = orphaned.agent, orphaned.alone.addr
    assert "only sessions that drain; `detnatctl session list" in agent.refused("user", "show", addr)
    assert [s["in_port"] for s in agent.ctl("session", "list", addr)] == [5000]
    assert "draining" in [finding[0] for finding in reasons(explain(orphaned, endpoint(orphaned.old)))]
    agent.ctl("mapping", "add", "10.0.5.0/24", "none")
    assert "draining" in [finding[0] for finding in reasons(explain(orphaned, addr))]
    assert "only sessions that drain" in agent.refused("user", "show", addr)


def test_what_drains_without_a_mapping_can_be_flushed(orphaned):
    agent, addr = orphaned.agent, orphaned.alone.addr
    assert agent.ctl("session", "flush", addr, "--dry-run")["closed"] == agent.ctl("session", "flush", "10.0.5.0/24", "--dry-run")["closed"] == 1
    assert "--yes ends its sessions" in agent.refused("session", "flush", MAPPING["in"])
    assert "not an inside address" in agent.refused("session", "flush", "10.0.64.1")
    assert agent.ctl("session", "flush", addr) == {"closed": 1}
    assert agent.ctl("session", "list") == []


def test_open_ports_of_a_drained_address_are_explained_by_the_mapping_that_it_drains_from(lab):
    spread = {**MAPPING, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}
    agent = lab.start(mappings=[spread])
    host = lab.host("10.0.63.255")
    old = lab.open_udp(host, 5000)
    agent.ctl("user", "move", host.addr, "1.1.9.9")
    assert ("drop_inbound_limit", False) not in reasons(explain(lab, endpoint(old)))
    agent.check()
