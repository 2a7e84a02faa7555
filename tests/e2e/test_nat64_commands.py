# SPDX-License-Identifier: BSD-2-Clause
"""Commands about IPv6-only subscribers: mappings of the command line, hosts of a subscriber, refusals, the history."""

import json
import shutil

import pytest
from scapy.layers.inet import UDP

from lab import SERVER
from lab64 import ADD, CPE, CPE_MAC, MAPPING64, PREFIX, Lab64, block, embedded, host, subscriber_prefix

LAB = Lab64
PORT = 5000


def two_hosts(lab):
    """Two hosts of subscriber 3 and one of subscriber 4 have a session each."""
    lab.open6(host(3, 1), subscriber=3)
    lab.inside.send(lab.out6(host(3, 2), UDP(sport=PORT, dport=53) / b"query"))
    assert lab.outside.packet() is not None
    lab.open6(host(4), subscriber=4)


def refused(lab, *words, status=1):
    said = lab.agent.command(*words)
    assert said.status == status, said
    return said.err


def test_mappings_are_added_set_and_deleted(lab):
    lab.start(mappings=[])
    added = lab.agent.ctl("mapping", "add", MAPPING64["in"], MAPPING64["out"], *ADD, "--hosts-per-subscriber", "9")
    assert (added["in"], added["subscriber_plen"], added["nat64_prefix"], added["hosts_per_subscriber"]) == (
        MAPPING64["in"], 56, PREFIX + "/96", 9), added
    lab.open6(host(3), subscriber=3)
    lab.agent.ctl("mapping", "set", MAPPING64["in"], "--lowest-ipv6-mtu", "1400", "--hosts-per-subscriber", "12")
    listed, = lab.agent.ctl("mapping", "list")
    assert (listed["lowest_ipv6_mtu"], listed["hosts_per_subscriber"], listed["sessions"]) == (1400, 12, 1), listed
    shown = lab.agent.ctl("config", "show")["mappings"][0]
    assert shown["in"] == MAPPING64["in"] and shown["hosts_per_subscriber"] == 12, shown
    lab.agent.ctl("mapping", "del", MAPPING64["in"])
    assert not lab.agent.ctl("mapping", "list")


def test_what_makes_no_sense_is_refused(lab):
    lab.start(mappings=[MAPPING64, {"in": "10.0.0.0/24", "out": "1.1.2.0/30"}])
    inner = "2001:db8:4000:1000::/52"
    assert "--subscriber-plen" in refused(lab, "mapping", "add", "2001:db8:5000::/48", "1.1.3.0/30")
    assert "--nat64-prefix" in refused(lab, "mapping", "add", "2001:db8:5000::/48", "1.1.3.0/30", "--subscriber-plen", "56")
    assert "must be alike" in refused(lab, "mapping", "add", inner, "1.1.3.0/30", "--subscriber-plen", "60", *ADD[2:])
    assert "for an inside prefix of IPv6" in refused(lab, "mapping", "add", "10.1.0.0/24", "1.1.3.0/30", *ADD)
    assert "for IPv6 subscribers" in refused(lab, "mapping", "set", "10.0.0.0/24", "--hosts-per-subscriber", "3")
    assert "endpoint_independent" in refused(lab, "mapping", "set", MAPPING64["in"], "--eim", "udp")
    assert "limits" in refused(lab, "mapping", "set", MAPPING64["in"], "--limit-tcp", "9")
    assert "not an inside address" in refused(lab, "forward", "2001:db8:7000::1")
    assert "subscribers: name one" in refused(lab, "forward", "2001:db8:4000::/52")
    assert "a part of the prefix" in refused(lab, "user", "show", "2001:db8:4000:300::/60")


def test_an_address_selects_a_host_and_a_prefix_the_subscriber(lab):
    lab.start()
    two_hosts(lab)
    assert [s["in_addr"] for s in lab.agent.ctl("session", "list", host(3, 2))] == [host(3, 2)]
    of_three = lab.agent.ctl("session", "list", subscriber_prefix(3))
    assert {s["in_addr"] for s in of_three} == {host(3, 1), host(3, 2)}, of_three
    assert all(s["in_prefix"] == subscriber_prefix(3) and s["ext_addr6"] == "64:ff9b::c633:6407" for s in of_three), of_three
    user = lab.agent.ctl("user", "show", host(3, 77))
    assert user["in_prefix"] == subscriber_prefix(3) and user["port_lo"] == block(3).lo, user
    assert sorted((h["addr"], h["sessions"]) for h in user["hosts"]) == [(host(3, 1), 1), (host(3, 2), 1)], user
    assert lab.agent.ctl("session", "flush", host(3, 2))["closed"] == 1
    assert [s["in_addr"] for s in lab.agent.ctl("session", "list", subscriber_prefix(3))] == [host(3, 1)]
    assert lab.agent.ctl("session", "flush", subscriber_prefix(3))["closed"] == 1
    assert [s["in_addr"] for s in lab.agent.ctl("session", "list")] == [host(4)]


def test_top_explain_and_the_history_name_prefixes(lab):
    lab.start()
    two_hosts(lab)
    top = lab.agent.ctl("top", "-n", "1")
    assert top[0]["in_prefix"] == subscriber_prefix(3) and top[0]["sessions"] == 2, top
    explained = lab.agent.command("explain", host(3)).out
    assert subscriber_prefix(3) in explained and "224." not in explained, explained
    listed = lab.agent.command("history", "list").out
    assert MAPPING64["in"] in listed, listed
    assert lab.agent.command("check").status == 0


# Nobody answers what these tests send.
UNANSWERED = "Note (unanswered): No packet has come back to 1.1.1.0 yet: does the upstream route 1.1.1.0/30 to this gateway?"


def explain(lab, place, status=0):
    """The explanation of a place; the first line of its text."""
    text = lab.agent.command("explain", place)
    assert text.status == status and "224." not in text.out + text.err, text
    return json.loads(lab.agent.command("-j", "explain", place).out), text.out.splitlines()[0]


def test_explain_of_a_host_walks_in_and_out(lab):
    lab.start(tcp_mss_clamp="mtu")
    two_hosts(lab)
    explained, first = explain(lab, f"[{host(3, 2)}]:{PORT}")
    assert first == f"[{host(3, 2)}]:{PORT} is inside. {UNANSWERED}"
    assert (explained["addr"], explained["port"], explained["side"], explained["found"]) == (host(3, 2), PORT, "inside", True)
    session, = explained["sessions"]
    assert (session["in_addr"], session["in_prefix"], session["ext_addr6"]) == (host(3, 2), subscriber_prefix(3), embedded(SERVER))
    subscriber = explained["subscriber"]
    assert subscriber["in_prefix"] == subscriber_prefix(3) and subscriber["port_lo"] == block(3).lo, subscriber
    assert subscriber["busiest"] == {"proto": "udp", "ext_addr": SERVER, "ext_addr6": embedded(SERVER), "ext_port": 53, "sessions": 2}
    assert {h["addr"] for h in subscriber["hosts"]} == {host(3, 1), host(3, 2)} and subscriber["hosts_per_subscriber"] == 16
    assert explained["way_in"] == {"addr": host(3, 2), "interface": "in0", "next_hop": CPE, "mtu": 1500, "neighbour": "resolved",
                                   "mac": CPE_MAC, "route_from": explained["way_in"]["route_from"]}
    assert (explained["way_out"]["addr"], explained["way_out"]["interface"]) == (SERVER, "out0")
    assert [f["text"] for f in explained["findings"]] == [UNANSWERED.removeprefix("Note (unanswered): ")]


def test_explain_of_an_outside_endpoint_walks_in(lab):
    lab.start(tcp_mss_clamp="mtu")
    src = lab.open6(host(3), subscriber=3)
    explained, first = explain(lab, f"{src[0]}:{src[1]}")
    assert first == f"{src[0]}:{src[1]} is outside, in the pool. {UNANSWERED}"
    assert explained["sessions"][0]["in_addr"] == host(3) and explained["subscriber"]["in_prefix"] == subscriber_prefix(3)
    assert (explained["way_in"]["addr"], explained["way_in"]["next_hop"]) == (host(3), CPE)
    pool, _ = explain(lab, src[0])
    assert pool["pool"]["in_first"].endswith("/56") and pool["pool"]["in_last"].endswith("/56") and pool["pool"]["sessions"] == 1, pool


def test_explain_of_what_has_no_session(lab):
    lab.start()
    lab.open6(host(3), subscriber=3)
    explained, first = explain(lab, f"[{host(3, 9)}]:{PORT}")
    assert "Note (session): there is no session of" in first and "NAT64 prefix" in first, first
    assert (explained["matching"], explained["way_in"]["addr"]) == (0, host(3, 9))
    _, first = explain(lab, f"{block(3).addr}:{block(3).hi}")
    assert "DROPPED (drop_no_session)" in first and "IPv6 subscribers have no portmaps" in first and "PCP" not in first, first
    unused, _ = explain(lab, f"{block(3).addr}:{block(3).hi}")
    assert unused["way_in"]["addr"] == host(3), "the host that has a session stands for the others"
    assert "--eim" not in lab.agent.command("explain", host(3)).out
    said = lab.agent.command("explain", embedded(SERVER))
    assert said.status == 1 and "is in the NAT64 prefix" in said.err and f"the outside host {SERVER}: name that" in said.err, said


def no_route(lab):
    lab.gateway.batch(f"route del {MAPPING64['in']}", f"route add unreachable {MAPPING64['in']}")


def silent_neighbour(lab):
    lab.gateway.batch(f"neigh replace {CPE} lladdr {CPE_MAC} dev in0 nud failed")


def other_interface(lab):
    lab.gateway.batch("addr add 2001:db8:fe::1/64 dev out0 nodad", f"route replace {MAPPING64['in']} via fe80::d dev out0")


def unanswered_length(_lab):
    """The MTU of the lab's interfaces is 1500, and no MSS is clamped."""


def without_forwarding(lab):
    lab.gateway.sysctl("net.ipv6.conf.all.forwarding", 0)


@pytest.mark.parametrize("spoil, reason, cause, cure", [
    (no_route, "DROPPED (route)", "no route to", "add a route"),
    (silent_neighbour, "DROPPED (neighbour)", "does not answer to neighbour discovery", "ndisc6"),
    (other_interface, "DROPPED (route)", "which is not an inside interface", "check the routes"),
    (unanswered_length, "Note (mtu)", "more than 1480 octets", "tcp_mss_clamp"),
    (without_forwarding, "(forwarding)", "does not forward IPv6", "net.ipv6.conf.all.forwarding=1"),
])
def test_explain_names_cause_and_cure_of_the_way_inwards(lab, spoil, reason, cause, cure):
    lab.start()
    spoil(lab)
    _, first = explain(lab, host(3))
    assert reason in first and cause in first and cure in first and host(3) in first, first


def test_explain_counts_hosts(lab):
    lab.start(mappings=[{**MAPPING64, "hosts_per_subscriber": 2}])
    two_hosts(lab)
    _, first = explain(lab, subscriber_prefix(3))
    assert "Note (drop_hosts): 2 hosts of" in first and "hosts_per_subscriber" in first, first
    assert "drop_hosts" not in lab.agent.command("explain", host(4)).out


def test_who_answers_from_a_copy_of_the_history(lab, tmp_path):
    lab.start()
    src = lab.open6(host(3), subscriber=3)
    copy = tmp_path / "copy"
    shutil.copytree(lab.agent.state, copy)
    said = lab.agent.command("--json", "who", f"{src[0]}:{src[1]}", "--state-dir", str(copy)).out
    assert f'"in_prefix":"{subscriber_prefix(3)}"' in said.replace(" ", "") and MAPPING64["in"] in said, said


def test_a_change_of_the_nat64_prefix_ends_sessions_and_one_of_the_mtu_does_not(lab):
    lab.start()
    lab.open6(host(3), subscriber=3)
    lab.agent.write(mappings=[{**MAPPING64, "lowest_ipv6_mtu": 1500, "hosts_per_subscriber": 10}])
    assert "lowest_ipv6_mtu" in lab.agent.command("config", "diff").out
    lab.agent.ctl("reload")
    assert len(lab.agent.ctl("session", "list")) == 1
    lab.agent.write(mappings=[{**MAPPING64, "nat64_prefix": "2001:db8:64::/96"}])
    assert "nat64_prefix" in lab.agent.command("config", "diff").out
    lab.agent.ctl("reload", "--force")
    assert not lab.agent.ctl("session", "list")


def test_an_exception_within_a_mapping_has_its_own_addresses(lab):
    lab.start()
    lab.agent.ctl("mapping", "add", "2001:db8:4000:1000::/52", "1.1.3.0/30", *ADD)
    forward = lab.agent.ctl("forward", host(0x10))
    assert forward["out_addr"].startswith("1.1.3."), forward
    assert lab.agent.ctl("forward", host(3))["out_addr"].startswith("1.1.1.")
    listed = {m["in"]: m["within"] for m in lab.agent.ctl("mapping", "list")}
    assert listed["2001:db8:4000:1000::/52"] == MAPPING64["in"], listed
