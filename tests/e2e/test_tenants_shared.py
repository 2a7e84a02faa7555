# SPDX-License-Identifier: BSD-2-Clause
"""Two tenants with the same inside prefix: every command, the history, drains, portmaps, kills and reloads.

The kernel may have no VRFs: a tenant whose VRF is not there is waited for, and its mappings are in the tables all the same.
"""

import json
import time

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from lab import SERVER, Host, block_of
from test_metrics import LISTEN, gathered

IN = "10.0.0.0/24"
OUT_A, OUT_B = "1.1.1.0/30", "1.1.2.0/30"
SPARE_A, SPARE_B = "1.1.3.0/30", "1.1.4.0/30"
MAPPING_A = {"tenant": "ispA", "in": IN, "out": OUT_A, "name": "homes-a", "spare": [SPARE_A]}
MAPPING_B = {"tenant": "ispB", "in": IN, "out": OUT_B, "name": "homes-b", "spare": [SPARE_B]}
TENANTS = [{"name": "ispA", "interfaces": {"inside": ["in0"], "outside": ["out0"]}},
           {"name": "ispB", "vrf": "vrf-b", "interfaces": {"inside": ["in1"], "outside": ["out0"]}}]
CONFIG = {"tenants": TENANTS, "mappings": [MAPPING_A, MAPPING_B]}
ADDR = "10.0.0.20"
BOTH = "is an address of ispA and of ispB: --tenant NAME says which"


def endpoint(mapping, addr=ADDR, port=5000):
    out, number = block_of(addr, mapping).first_choice(port)
    return f"{out}:{number}"


def ask(lab, place):
    return lab.agent.ctl("who", place)


def verified(lab):
    """The tables are right, and the history agrees with them and with itself."""
    lab.agent.ctl("check")
    assert lab.agent.text("history", "verify")


@pytest.fixture
def both(lab):
    lab.start(**CONFIG)
    yield lab
    verified(lab)


def test_who_had_what_names_the_tenant(both):
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    for mapping in (MAPPING_A, MAPPING_B):
        place = endpoint(mapping)
        assert both.agent.text("reverse", place) == f"{ADDR} of {mapping['tenant']}\n"
        answer = both.agent.ctl("who", place)
        assert (answer["in_addr"], answer["tenant"]) == (ADDR, mapping["tenant"])
        assert both.agent.ctl("forward", ADDR, "--tenant", mapping["tenant"])["out_addr"] == place.split(":")[0]
    assert [s["tenant"] for s in both.agent.ctl("session", "list")] == ["ispA"]
    assert both.agent.ctl("session", "list", ADDR, "--tenant", "ispB") == []


@pytest.mark.parametrize("words", [
    ["forward", ADDR], ["user", "show", ADDR], ["user", "move", ADDR, "1.1.9.0/30"], ["explain", ADDR],
    ["session", "list", ADDR], ["session", "flush", ADDR], ["binding", "list", ADDR],
    ["trace", "start", "--in", ADDR], ["portmap", "list", ADDR], ["grant", "list", ADDR]])
def test_an_ambiguous_address_needs_a_tenant(both, words):
    assert BOTH in both.agent.refused(*words, status=2)
    both.agent.ctl(*words, "--tenant", "ispB")


def test_a_session_is_closed_by_tenant(both):
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    words = ("session", "close", "in", f"{ADDR}:5000", f"{SERVER}:53")
    assert BOTH in both.agent.refused(*words, status=2)
    assert "no session of" in both.agent.refused(*words, "--tenant", "ispB")
    assert both.agent.ctl(*words, "--tenant", "ispA") == {"closed": 1}


def test_an_ambiguous_prefix_needs_a_tenant(both):
    says = f"{IN} is an inside prefix of ispA and of ispB: --tenant NAME says which"
    assert says in both.agent.refused("mapping", "set", IN, "--name", "homes", status=2)
    assert says in both.agent.refused("mapping", "del", IN, status=2)
    assert says in both.agent.refused("mapping", "add", IN, "1.1.8.0/30", "--replace", status=2)
    both.agent.ctl("mapping", "set", IN, "--tenant", "ispB", "--sessions-per-user", "77")
    assert [m["sessions_per_user"] for m in both.agent.ctl("mapping", "list")][1] == 77
    assert both.agent.ctl("mapping", "list")[0]["sessions_per_user"] != 77
    both.agent.ctl("mapping", "del", IN, OUT_B)
    assert [m["tenant"] for m in both.agent.ctl("mapping", "list")] == ["ispA"]
    both.agent.ctl("mapping", "add", IN, OUT_B, "--tenant", "ispB")
    both.agent.ctl("mapping", "del", IN, "--tenant", "ispA")
    assert [m["tenant"] for m in both.agent.ctl("mapping", "list")] == ["ispB"]


def test_main_table_holds_one_of_them(lab):
    tenants = [TENANTS[0], {**TENANTS[1]}]
    del tenants[1]["vrf"]
    lab.start(tenants=tenants, mappings=[MAPPING_A])
    refused = lab.agent.refused("mapping", "add", IN, OUT_B, "--tenant", "ispB")
    assert "both are routed by the main table: give ispA or ispB a `vrf`" in refused
    lab.agent.write(mappings=[MAPPING_A, MAPPING_B])
    assert "mappings[1].in: 10.0.0.0/24 overlaps 10.0.0.0/24, of the tenant ispA" in lab.agent.refused("reload")


def test_exceptions_are_of_one_tenant(both):
    """A prefix within the other's is none of its exceptions, and one in part beside it is none of its either."""
    both.agent.ctl("mapping", "add", "10.0.0.0/28", "1.1.5.0/32", "--tenant", "ispB", "--name", "inner")
    both.agent.ctl("mapping", "add", "10.0.0.0/8", "none", "--tenant", "ispB")
    inner = {m["name"]: m["within"] for m in both.agent.ctl("mapping", "list")}
    assert inner == {"homes-a": None, "homes-b": "10.0.0.0/8", "inner": IN, None: None}
    answers = {t: both.agent.ctl("forward", "10.0.0.3", "--tenant", t)["out_addr"] for t in ("ispA", "ispB")}
    assert answers == {"ispA": "1.1.1.0", "ispB": "1.1.5.0"}
    place = endpoint({"in": IN, "out": OUT_A}, "10.0.0.3")
    assert ask(both, place)["tenant"] == "ispA"
    assert both.agent.ctl("who", place)["in_addr"] == "10.0.0.3"


def test_pools_are_drained_by_tenant(both):
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    for out in ("1.1.1.0", "1.1.2.0"):
        drained = both.agent.ctl("pool", "drain", out)
        assert (drained["addresses"], drained["subscribers"]) == (1, 64)
    outs = {t: both.agent.ctl("forward", ADDR, "--tenant", t)["out_addr"] for t in ("ispA", "ispB")}
    assert outs == {"ispA": "1.1.3.0", "ispB": "1.1.4.0"}
    assert both.session(Host(ADDR, None), "--tenant", "ispA")["out_addr"] == "1.1.1.0"
    states = {p["addr"]: p["state"] for p in both.agent.ctl("pool", "list", "1.1.0.0/16")}
    assert (states["1.1.1.0"], states["1.1.2.0"]) == ("draining", "out of use")
    verified(both)
    both.agent.restart()
    for out in ("1.1.2.0", "1.1.1.0"):
        both.agent.ctl("pool", "restore", out)
    outs = {t: both.agent.ctl("forward", ADDR, "--tenant", t)["out_addr"] for t in ("ispA", "ispB")}
    assert outs == {"ispA": "1.1.1.0", "ispB": "1.1.2.0"}


def test_both_subscribers_of_an_address_are_moved(both):
    for tenant, out in (("ispA", "1.1.6.1"), ("ispB", "1.1.6.2")):
        moved = both.agent.ctl("user", "move", ADDR, out, "--tenant", tenant)
        assert (moved["out_addr"], moved["tenant"]) == (out, tenant)
    names = {m["name"]: m["tenant"] for m in both.agent.ctl("mapping", "list") if m["in"] == f"{ADDR}/32" and m["state"] == "in use"}
    assert names == {f"move-{ADDR}": "ispA", f"move-{ADDR}-ispB": "ispB"}
    assert [both.agent.ctl("who", f"1.1.6.{n}:2000")["tenant"] for n in (1, 2)] == ["ispA", "ispB"]


def test_a_prefix_drains_while_the_other_tenant_has_it(both):
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    both.agent.ctl("mapping", "del", IN, OUT_A, "--drain", "300")
    assert [(m["tenant"], m["state"]) for m in both.agent.ctl("mapping", "list")] == [
        ("ispB", "in use"), ("ispA", "draining")]
    assert both.session(Host(ADDR, None), "--tenant", "ispA")["out_addr"] in ("1.1.1.0",)
    assert BOTH in both.agent.refused("user", "show", ADDR, status=2)
    both.agent.restart()
    assert ask(both, endpoint(MAPPING_A))["tenant"] == "ispA"
    both.agent.ctl("session", "flush", ADDR, "--tenant", "ispA")


def test_sessions_end_with_their_tenant(both):
    """They would drain to nowhere, and later to the tenant that gets the number of the former one."""
    mapping_a = {**MAPPING_A, "drain": 300}
    only_b = [("ispB", "in use")]

    def listed():
        return [(m["tenant"], m["state"]) for m in both.agent.ctl("mapping", "list")]

    def reload(*tenants, mappings):
        both.agent.write(tenants=tenants, mappings=mappings)
        both.agent.ctl("reload")

    reload(*TENANTS, mappings=[mapping_a, MAPPING_B])
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    reload(*TENANTS, mappings=[MAPPING_B])
    assert listed() == [*only_b, ("ispA", "draining")]
    reload(TENANTS[1], mappings=[MAPPING_B])
    assert listed() == only_b
    assert both.agent.ctl("session", "list") == []
    tenant_c = {**TENANTS[0], "name": "ispC"}
    mapping_c = {**mapping_a, "tenant": "ispC", "out": SPARE_A, "spare": []}
    reload(TENANTS[1], tenant_c, mappings=[MAPPING_B, mapping_c])
    both.open_udp(both.host(ADDR), mapping=mapping_c)
    reload(TENANTS[1], {**TENANTS[0], "name": "ispD"}, mappings=[MAPPING_B])
    assert listed() == only_b


def test_a_number_changes_hands_in_two_reloads(both):
    """In one, the other tenant would get sessions and portmaps that the history says are the former one's."""
    numbered = [{**t, "id": 7 + i} for i, t in enumerate(TENANTS)]
    former = {"tenants": numbered, "mappings": CONFIG["mappings"], "portmaps": [{"proto": "tcp", "in": f"{ADDR}:80", "out": "1.1.1.0:80"}]}
    renamed = {**former, "tenants": [{**numbered[0], "name": "ispX"}, numbered[1]], "mappings": [{**MAPPING_A, "tenant": "ispX"}, MAPPING_B]}
    both.agent.write(**former)
    both.agent.ctl("reload")
    both.agent.write(**renamed)
    reason = "tenants[0]: 7 is the id of the tenant ispA so far: write another id, or first reload a configuration without ispA"
    assert reason in both.agent.refused("reload")
    assert reason in both.agent.once("-t").err
    both.agent.write(**{**former, "tenants": numbered[1:], "mappings": [MAPPING_B], "portmaps": []})
    both.agent.ctl("reload")
    both.agent.write(**renamed)
    both.agent.ctl("reload")
    assert ask(both, endpoint(MAPPING_A))["tenant"] == "ispX"
    assert ask(both, "1.1.1.0:80")["tenant"] == "ispX"


def test_portmaps_of_both(both):
    """The same inside endpoint of two subscribers, from a command and from the file, over restarts and kills."""
    assert BOTH in both.agent.refused("portmap", "add", "tcp", f"{ADDR}:80", status=2)
    added = both.agent.ctl("portmap", "add", "tcp", f"{ADDR}:80", "--tenant", "ispA")
    assert (added["tenant"], added["out_addr"]) == ("ispA", "1.1.1.0")
    added = both.agent.ctl("portmap", "add", "tcp", f"{ADDR}:80", "1.1.2.0:80")
    assert added["tenant"] == "ispB"
    expected = [(ADDR, "ispA", "1.1.1.0"), (ADDR, "ispB", "1.1.2.0")]

    def listed(*words):
        return [(p["in_addr"], p["tenant"], p["out_addr"]) for p in both.agent.ctl("portmap", "list", *words)]

    assert listed() == expected
    assert listed("--tenant", "ispB") == listed(ADDR, "--tenant", "ispB") == listed("1.1.2.0") == expected[1:]
    assert listed("10.0.0.21", "--tenant", "ispB") == []
    assert ask(both, "1.1.2.0:80")["tenant"] == "ispB"
    both.agent.ctl("config", "save")
    both.agent.kill()
    both.agent.start()
    assert listed() == expected
    both.agent.ctl("pool", "drain", "1.1.2.0", "--portmaps", "move")
    assert listed() == [expected[0], (ADDR, "ispB", "1.1.4.0")]
    both.agent.ctl("pool", "restore", "1.1.2.0", "--portmaps", "move")
    assert listed() == expected


def test_a_portmap_goes_with_its_own_mapping(both):
    """The other tenant's, of the same inside endpoint, stays and works."""
    for out in ("1.1.1.0:80", "1.1.2.0:80"):
        both.agent.ctl("portmap", "add", "udp", f"{ADDR}:80", out)
    assert "10.0.0.20 is not an inside address of any mapping of ispB: portmap 10.0.0.20:80" in both.agent.refused(
        "mapping", "del", IN, OUT_B)
    assert len(both.agent.ctl("portmap", "list")) == 2
    portmaps = [{"proto": "udp", "in": f"{ADDR}:80", "out": f"1.1.{n}.0:80"} for n in (1, 2)]
    both.agent.write(mappings=[MAPPING_A], portmaps=portmaps)
    assert "10.0.0.20 of ispA leaves through 1.1.1.0, not 1.1.2.0" in both.agent.refused("reload")
    both.agent.write(mappings=[MAPPING_A], portmaps=portmaps[:1])
    both.agent.ctl("reload")
    assert [p["tenant"] for p in both.agent.ctl("portmap", "list")] == ["ispA"]
    verified(both)
    host, packet = both.host(ADDR), both.from_outside("1.1.1.0", UDP(sport=9000, dport=80) / b"stranger")
    both.send_in(packet, host, 80)
    both.agent.kill()
    both.agent.start()
    verified(both)
    both.send_in(packet, host, 80)
    both.agent.write(mappings=[MAPPING_A, MAPPING_B], portmaps=portmaps)
    both.agent.ctl("reload")
    assert [p["tenant"] for p in both.agent.ctl("portmap", "list")] == ["ispA", "ispB"]


def test_check_repairs_what_is_the_tenants(both):
    for tenant in ("ispA", "ispB"):
        both.agent.ctl("portmap", "add", "udp", f"{ADDR}:80", "--tenant", tenant)
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    before = both.agent.ctl("portmap", "list"), both.agent.ctl("session", "list", ADDR, "--tenant", "ispA")[0]["out_port"]
    assert both.agent.ctl("check", "--repair")["findings"] == []
    assert (both.agent.ctl("portmap", "list"), both.agent.ctl("session", "list", ADDR, "--tenant", "ispA")[0]["out_port"]) == before


def test_bindings_filtering_and_limits_are_of_one_tenant(lab):
    """With endpoint-independent mapping and filtering; the other tenant's subscriber of the address has none of it."""
    independent = {"endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}
    limited = {"limits": {"udp": 2}}
    lab.start(tenants=TENANTS, mappings=[{**MAPPING_A, **limited}, MAPPING_B], **independent)
    host = lab.host(ADDR)
    src = lab.open_udp(host, mapping=MAPPING_A)
    lab.send_in(lab.from_outside(src[0], UDP(sport=7777, dport=src[1]) / b"stranger", src="203.0.113.77"), host, 5000)
    assert [b["in_port"] for b in lab.agent.ctl("binding", "list", ADDR, "--tenant", "ispA")] == [5000]
    assert lab.agent.ctl("binding", "list", ADDR, "--tenant", "ispB") == []
    shown = {t: lab.agent.ctl("user", "show", ADDR, "--tenant", t) for t in ("ispA", "ispB")}
    assert [shown[t]["sessions"] for t in ("ispA", "ispB")] == [2, 0]
    lab.open_udp(host, 5001, mapping=MAPPING_A)
    with lab.counting(drop_quota_protocol=1, sent_icmp_unreachable=None):
        lab.inside.send(lab.from_inside(host, UDP(sport=6000, dport=53) / b"query"))
    lab.inside.drain()
    assert lab.agent.ctl("user", "show", ADDR, "--tenant", "ispA")["limits"]["udp"] == {"sessions": 2, "limit": 2}
    assert "limits" not in lab.agent.ctl("user", "show", ADDR, "--tenant", "ispB")
    verified(lab)


def test_a_reload_that_gives_a_prefix_to_the_other_tenant_is_a_change_of_owner(both):
    both.agent.ctl("portmap", "add", "tcp", f"{ADDR}:80", "1.1.1.0:80", "--name", "web")
    both.agent.ctl("config", "save")
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    swapped = [{**MAPPING_A, "tenant": "ispB"}, {**MAPPING_B, "tenant": "ispA"}]
    both.agent.write(mappings=swapped, portmaps=[{"proto": "tcp", "in": f"{ADDR}:80", "out": "1.1.1.0:80", "name": "web"}])
    would = both.agent.ctl("reload", "--dry-run")
    assert would["sessions_cut"] == 1
    before = len(both.agent.ctl("history", "list"))
    both.agent.ctl("reload")
    assert both.agent.ctl("session", "list") == []
    changes = [(r["event"], r["tenant"]) for r in both.agent.ctl("history", "list")[before:]
               if r["event"] in ("add", "del", "portmap")]
    assert sorted(changes[:2]) == [("del", "ispA"), ("del", "ispB")]
    assert sorted(changes[2:4]) == [("add", "ispA"), ("add", "ispB")]
    assert changes[4:] == [("portmap", "ispA"), ("portmap", "ispB")]
    assert both.agent.ctl("who", endpoint(MAPPING_A))["tenant"] == "ispB"
    assert both.agent.ctl("who", "1.1.1.0:80")["tenant"] == "ispB"


def test_a_reload_of_the_same_file_ends_nothing(both):
    """Also after tenants have got numbers, which the file lacks."""
    both.agent.write(reload_guard=1)
    both.agent.ctl("reload")
    host = both.host(ADDR)
    for port in (5000, 6000):
        both.open_udp(host, port, mapping=MAPPING_A)
    both.agent.write(sessions_per_user=500)
    would = both.agent.ctl("reload", "--dry-run")
    assert (would["sessions_cut"], would["deleted"], would["added"]) == (0, [], [])
    both.agent.ctl("reload")
    assert len(both.agent.ctl("session", "list")) == 2


def test_kills_leave_both_as_they_were(both):
    both.open_udp(both.host(ADDR), mapping=MAPPING_A)
    both.agent.kill()
    both.agent.start()
    verified(both)
    assert both.session(Host(ADDR, None), "--tenant", "ispA")["tenant"] == "ispA"
    both.agent.kill()
    both.agent.write(mappings=[{**MAPPING_A, "tenant": "ispB"}, {**MAPPING_B, "tenant": "ispA"}])
    both.agent.start()
    assert both.agent.ctl("who", endpoint(MAPPING_A))["tenant"] == "ispB"


def test_grown_blocks_of_both(lab):
    """Blocks are granted to the tenant's subscriber whose own are full."""
    growth = {"ports_per_host": 8, "growth": {"block": 8, "max_blocks": 2}}
    mapping = {**MAPPING_A, **growth}
    lab.start(tenants=TENANTS, mappings=[mapping, {**MAPPING_B, **growth}], session_slots=16)
    host = lab.host(ADDR)
    for port in range(5000, 5012):
        lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=53) / b"query"))
    lab.settle()
    lab.inside.clear()

    def granted():
        for port in range(5000, 5012):
            lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=53) / b"again"))
        return lab.agent.ctl("grant", "list")

    wait_for(granted, what="a granted block")
    grants = lab.agent.ctl("grant", "list", "--tenant", "ispA")
    assert grants and lab.agent.ctl("grant", "list", ADDR, "--tenant", "ispA") == grants
    assert lab.agent.ctl("grant", "list", grants[0]["out_addr"]) == grants
    assert lab.agent.ctl("grant", "list", "--tenant", "ispB") == lab.agent.ctl("grant", "list", ADDR, "--tenant", "ispB") == []
    place = f"{grants[0]['out_addr']}:{grants[0]['port_lo']}"
    assert ask(lab, place)["tenant"] == "ispA"
    lab.agent.restart()
    assert ask(lab, place)["tenant"] == "ispA"
    lab.outside.clear()
    verified(lab)


def test_metrics_and_refusals_name_the_tenant(lab):
    lab.start(metrics={"listen": LISTEN}, sweep_interval=1, sessions_per_user=2, **CONFIG)
    found = gathered(lab)
    for mapping in (MAPPING_A, MAPPING_B):
        labels = f'inside="{IN}",outside="{mapping["out"]}",mapping="{mapping["name"]}",tenant="{mapping["tenant"]}"'
        assert found[f"detnat_mapping_addresses{{{labels}}}"] == 256
    host = lab.host(ADDR)
    for port in (1000, 1001):
        lab.open_udp(host, port, mapping=MAPPING_A)
    with lab.counting(drop_quota=1, sent_icmp_unreachable=None):
        lab.inside.send(lab.from_inside(host, UDP(sport=2000, dport=53), SERVER))
    lab.inside.drain()
    assert f"subscriber {ADDR} of ispA is at its quota of 2 sessions" in lab.agent.log_text()
    assert f"`detnatctl session list {ADDR} --tenant ispA`" in lab.agent.log_text()
    top = lab.agent.ctl("top", "--by", "quota")
    assert [(u["in_addr"], u["tenant"]) for u in top] == [(ADDR, "ispA")]


DETAIL = """{when}
\tUser-Name = "{user}"
\tAcct-Status-Type = {kind}
\tAcct-Session-Id = "0001"
\tNAS-IP-Address = 192.0.2.9
\tFramed-IP-Address = {addr}
\tTimestamp = {seconds}

"""


def test_customers_of_both(both, tmp_path):
    """Leases of two servers that give the same addresses and number their sessions alike; evidence has those of one."""
    now = int(time.time())
    leases = tmp_path / "leases"
    leases.mkdir()
    for tenant, user in (("ispA", "alice"), ("ispB", "bob")):
        detail = tmp_path / f"{tenant}.detail"
        detail.write_text("".join(DETAIL.format(when=time.ctime(at), kind=kind, user=user, addr=ADDR, seconds=at)
                                  for kind, at in (("Start", now - 3600), ("Interim-Update", now + 3600))))
        words = ("leases", "import", "freeradius-detail", str(detail), "--leases", str(leases), "--tenant", tenant)
        assert both.agent.ctl(*words)["added"] == 2
        assert both.agent.ctl(*words)["known"] == 2
    for mapping, user in ((MAPPING_A, "alice"), (MAPPING_B, "bob")):
        answer = both.agent.ctl("who", endpoint(mapping), "--leases", leases, "--margin", "0")
        assert (answer["tenant"], answer["customer"]["id"], answer["customer"]["tenant"]) == (
            mapping["tenant"], user, mapping["tenant"])
    both.agent.text("evidence", "case-1", endpoint(MAPPING_B), "--at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "--leases", leases, "--directory", tmp_path, "--state-dir", both.agent.state)
    case = tmp_path / "case-1"
    assert f"Inside address: {ADDR} of ispB\n" in (case / "README.txt").read_text()
    assert json.loads((case / "answer.json").read_text())["tenant"] == "ispB"
    lines = (case / "leases.jsonl").read_text()
    assert "bob" in lines and "alice" not in lines


def test_prefixes_that_overlap_in_part(lab):
    """The guard keeps all of their addresses."""
    part = {"tenant": "ispB", "in": "10.0.0.128-10.0.1.191", "out": "1.1.2.0/29", "subscribers_per_address": 64}
    lab.start(tenants=TENANTS, mappings=[MAPPING_A, part])
    assert lab.agent.ctl("forward", "10.0.0.200", "--tenant", "ispB")["out_addr"] == "1.1.2.1"
    assert "guard" not in [t["trouble"] for t in lab.agent.ctl("status")["troubles"]]
    rules = lab.gateway.run("nft", "list", "table", "inet", lab.agent.guard_table())
    assert "10.0.0.0-10.0.1.191" in rules.stdout
    lab.agent.write(mappings=[MAPPING_A])
    lab.agent.ctl("reload")
    verified(lab)
