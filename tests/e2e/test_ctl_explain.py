# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl explain: what it knows of an address, and every reason for which packets are dropped."""

import json
import pathlib
import re

import pytest
from scapy.layers.inet import UDP

import frame_flood
import netns
import shapes
from agent import wait_for
from lab import MAPPING, ROUTER, SERVER, block_of
from xdp_mode import NONE

SUBSCRIBER = {**shapes.USER, "tcp": int, "udp": int, "icmp": int, "time_wait": int, "expired": int, "overflow": int, "slots": int,
              "slots_free": int, "ports": int, "ports_used": int, "nat_type": str, "shares_address": bool}
del SUBSCRIBER["ports_in_use"]
FINDING = {"drops": bool, "reason": str, "text": str, "advice": str}
EXPLANATION = {"addr": str, "side": str, "found": bool, "findings": list}


def explain(lab, place, found=True):
    """The explanation; the exit status and stderr must agree with it, and the text must tell the same findings."""
    result = lab.agent.command("-j", "explain", place)
    assert result.status == (0 if found else 1), result
    assert (result.err == "") == found and (found or result.err.startswith("detnatctl: ")), result
    answer = shapes.assert_shape(json.loads(result.out), EXPLANATION)
    assert answer["found"] is found
    shapes.assert_all(answer["findings"], FINDING)
    text = lab.agent.command("explain", place)
    assert text.status == result.status and text.out.startswith(place), text
    for finding in answer["findings"]:
        assert finding["reason"] in text.out, text
    assert ("Nothing stands in the way" in text.out) == (answer["findings"] == []), text
    return answer


def reasons(answer):
    return [(finding["reason"], finding["drops"]) for finding in answer["findings"]]


def test_explain_finds_nothing_wrong_with_a_working_subscriber(running_lab):
    host = running_lab.host()
    block = block_of(host.addr)
    running_lab.handshake(host)
    running_lab.open_udp(host, 6000)
    running_lab.open_udp(host, 6001)
    running_lab.ping(host)
    source = "kernel" if NONE else "copy"
    wait_for(lambda: running_lab.agent.ctl("explain", host.addr)["way_in"]["route_from"] == source, what="the source of the routes")
    answer = explain(running_lab, host.addr)
    assert answer["side"] == "inside" and answer["findings"] == []
    assert answer["mapping"] == {**MAPPING, "sharing_ratio": 4096, "ports_per_host": 15, "session_slots": 128, "sessions_per_user": 1000,
                                 "inbound": "sessions"}
    subscriber = shapes.assert_shape(answer["subscriber"], SUBSCRIBER)
    assert {key: subscriber[key] for key in ("in_addr", "out_addr", "port_lo", "port_hi", "sessions", "quota", "quota_exceeded", "tcp",
                                             "udp", "icmp", "slots", "slots_free", "overflow", "ports", "ports_used")} == {
        "in_addr": host.addr, "out_addr": block.addr, "port_lo": block.lo, "port_hi": block.hi, "sessions": 4, "quota": 1000,
        "quota_exceeded": 0, "tcp": 1, "udp": 2, "icmp": 1, "slots": 128, "slots_free": 124, "overflow": 0, "ports": 15, "ports_used": 2}
    assert subscriber["busiest"] == {"proto": "udp", "ext_addr": SERVER, "ext_port": 53, "sessions": 2}
    assert subscriber["last_quota_refusal"] is None and subscriber["last_ports_refusal"] is None
    assert answer["way_in"] == {"addr": host.addr, "interface": "in0", "next_hop": host.addr, "neighbour": "resolved", "mac": host.mac,
                                "mtu": 1500, "route_from": source}
    assert answer["way_out"]["interface"] == "out0" and answer["way_out"]["next_hop"] == SERVER
    assert running_lab.agent.text("explain", host.addr).count(f"; route from the {source}\n") == 2


def test_without_sessions_the_next_hop_is_that_of_the_default_route(running_lab):
    host = running_lab.host()
    for own in ("192.0.2.1/32", "192.0.2.0/24", "198.51.100.2/24"):
        running_lab.gateway.ip("addr", "add", own, "dev", "in0")
        running_lab.settle()
        answer = explain(running_lab, host.addr)
        running_lab.gateway.ip("addr", "del", own, "dev", "in0")
        assert answer["way_out"]["next_hop"] == ROUTER and answer["findings"] == []


def test_endpoints_show_their_sessions(running_lab):
    host = running_lab.host()
    out = running_lab.open_udp(host, 7000)
    running_lab.handshake(host, 7000)
    running_lab.open_udp(host, 7001)
    inside = explain(running_lab, f"{host.addr}:7000")
    assert sorted(session["proto"] for session in shapes.assert_all(inside["sessions"], shapes.SESSION)) == ["tcp", "udp"]
    assert inside["matching"] == 2 and inside["first_choice"] == f"{out[0]}:{out[1]}" and inside["findings"] == []
    outside = explain(running_lab, f"{out[0]}:{out[1]}")
    assert outside["side"] == "outside" and outside["subscriber"]["in_addr"] == host.addr
    assert {session["in_port"] for session in outside["sessions"]} == {7000}


def test_an_endpoint_without_a_session(running_lab):
    host = running_lab.host()
    block = block_of(host.addr)
    assert reasons(explain(running_lab, f"{host.addr}:9")) == [("session", False)]
    assert reasons(explain(running_lab, f"{block.addr}:{block.lo}")) == [("drop_no_session", True)]
    with running_lab.counting(drop_no_session=1):
        running_lab.outside.send(running_lab.from_outside(block.addr, UDP(sport=53, dport=block.lo)))


@pytest.mark.parametrize("port", [0, 80, 1023, 64512 // 4096 * 4096 + 1024, 65535])
def test_ports_without_an_owner(running_lab, port):
    answer = explain(running_lab, f"1.1.1.1:{port}", found=False)
    assert reasons(answer) == [("drop_no_session", True)] and "subscriber" not in answer
    assert ("below 1024" if port < 1024 else "remainder") in answer["findings"][0]["text"]


def test_a_pool_address(running_lab):
    host = running_lab.host("10.0.32.9")
    running_lab.open_udp(host)
    answer = explain(running_lab, "1.1.1.2")
    assert answer["pool"] == {"in_first": "10.0.32.0", "in_last": "10.0.47.255", "subscribers": 4096, "excepted": 0, "active": 1, "at_quota": 0,
                              "sessions": 1, "quota_exceeded": 0}
    assert answer["findings"] == []


def test_an_address_in_no_mapping(running_lab):
    private = explain(running_lab, "10.1.0.1", found=False)  # by the default route alone
    assert private["side"] == "none" and private["mapping"] is None and reasons(private) == [("drop_no_mapping", True)]
    running_lab.gateway.ip("route", "add", "192.0.2.0/24", "via", running_lab.host().addr)
    assert reasons(explain(running_lab, "192.0.2.9", found=False)) == [("passed_untranslated", False)]
    running_lab.gateway.ip("route", "del", "192.0.2.0/24")
    own = explain(running_lab, "198.51.100.1:22", found=False)
    assert reasons(own) == [("passed_untranslated", False)] * 2 and "gateway's own" in own["findings"][1]["text"]


def test_a_host_that_is_not_translated(running_lab):
    running_lab.agent.ctl("mapping", "add", "10.0.7.0/24", "none", "--name", "lab")
    answer = explain(running_lab, "10.0.7.9")
    assert answer["side"] == "inside" and answer["mapping"]["out"] is None and "subscriber" not in answer
    assert reasons(answer) == [("passed_untranslated", False)] and "routed unchanged" in answer["findings"][0]["text"]
    assert "\nMapping:         lab: 10.0.7.0/24 is not translated\n" in running_lab.agent.text("explain", "10.0.7.9")


def test_a_host_outside_is_called_one(running_lab):
    for addr in (SERVER, "8.8.8.8"):
        answer = explain(running_lab, addr, found=False)
        assert answer["side"] == "none" and reasons(answer) == [("outside", False)] and "reached through out0" in answer["findings"][0]["text"]
    text = running_lab.agent.command("explain", SERVER)
    assert text.out.startswith(f"{SERVER} is a host outside.\n") and text.err == f"detnatctl: {SERVER} is a host outside, in no mapping\n"


@pytest.mark.parametrize("unmatched, public, private", [("route", False, False), ("drop", True, True)])
def test_explain_knows_what_happens_to_unmatched_packets(lab, unmatched, public, private):
    lab.start(unmatched=unmatched)
    lab.gateway.ip("route", "add", "203.0.113.0/24", "via", lab.host().addr)
    for addr, dropped in (("203.0.113.9", public), ("192.168.0.9", private)):
        assert reasons(explain(lab, addr, found=False)) == [("drop_no_mapping", True) if dropped else ("passed_untranslated", False)]


def test_explain_names_a_deleted_mapping(lab):
    lab.start()
    lab.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
    for addr in ("10.0.0.9", "1.1.1.1"):
        answer = explain(lab, addr, found=False)
        assert answer["findings"][1]["reason"] == "mapping" and "reload" in answer["findings"][1]["advice"]
    lab.agent.ctl("reload")
    assert explain(lab, "10.0.0.9")["side"] == "inside"


def test_a_subscriber_at_its_quota(lab):
    lab.start(sessions_per_user=2)
    host = lab.host()
    lab.open_udp(host, 1000)
    lab.open_udp(host, 1001)
    assert reasons(explain(lab, host.addr)) == [("drop_quota", True)]
    with lab.counting(drop_quota=3, sent_icmp_unreachable=None):
        lab.inside.send(*(lab.from_inside(host, UDP(sport=2000, dport=53)) for _ in range(3)))
    subscriber = explain(lab, host.addr)["subscriber"]
    assert subscriber["quota_exceeded"] == 3 and subscriber["last_quota_refusal"] in range(20)
    lab.agent.ctl("session", "close", "in", f"{host.addr}:1000", f"{SERVER}:53")
    answer = explain(lab, host.addr)
    assert reasons(answer) == [("drop_quota", False)] and "s ago" in answer["findings"][0]["text"]
    assert explain(lab, block_of(host.addr).addr)["pool"]["quota_exceeded"] == 3


def test_all_ports_towards_one_destination(lab):
    lab.start()
    host = lab.host()
    for port in range(5000, 5015):
        lab.open_udp(host, port)
    answer = explain(lab, host.addr)
    assert reasons(answer) == [("drop_ports_exhausted", True)] and f"udp {SERVER}:53" in answer["findings"][0]["text"]
    with lab.counting(drop_ports_exhausted=1, sent_icmp_unreachable=1):
        lab.inside.send(lab.from_inside(host, UDP(sport=6000, dport=53)))
    assert explain(lab, host.addr)["subscriber"]["last_ports_refusal"] in range(20)


def test_no_room_beyond_the_slots(lab):
    lab.start(mappings=[{**MAPPING, "session_slots": 8}], overflow_sessions=0)
    host = lab.host()
    port = 5000
    while explain(lab, host.addr)["subscriber"]["slots_free"]:
        lab.open_udp(host, port, dport=port)
        port += 1
    answer = explain(lab, host.addr)
    assert reasons(answer) == [("drop_overflow_full", True)]
    with lab.counting(drop_overflow_full=1, sent_icmp_unreachable=1):
        lab.inside.send(lab.from_inside(host, UDP(sport=port, dport=port)))


def test_strict_filters_that_drop_what_comes_by_another_interface(lab):
    """Of several interfaces of a role, the way back leads by one; what comes by the others is dropped."""
    for name in ("in1", "out1"):
        lab.gateway.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
        lab.gateway.batch(f"link set {name} up", f"link set {name}p up")
        lab.gateway.sysctl(f"net.ipv4.conf.{name}.rp_filter", "1")
    lab.start(interfaces={"inside": ["in0", "in1"], "outside": ["out0", "out1"]})
    host = lab.host()
    inside, outside = explain(lab, host.addr)["findings"]
    assert inside["reason"] == "drop_martian" and f"packets from {host.addr} through in1 are dropped" in inside["text"]
    assert outside["reason"] == "rp_filter" and "come through out1 are translated and then dropped by the kernel" in outside["text"]
    for name in ("in1", "out1"):
        lab.gateway.sysctl(f"net.ipv4.conf.{name}.rp_filter", "2")
    # One look at a time: the filters may be read between the two of explain().
    wait_for(lambda: not lab.agent.ctl("explain", host.addr)["findings"], what="the filters of the interfaces to be read")
    assert explain(lab, host.addr)["findings"] == []


def test_forwarding_that_is_off(lab):
    lab.start()
    host = lab.host()
    assert explain(lab, host.addr)["findings"] == []
    lab.gateway.sysctl("net.ipv4.conf.in0.forwarding", 0)
    answer = explain(lab, host.addr)
    assert reasons(answer) == [("forwarding", True)] and "in0" in answer["findings"][0]["text"]


@pytest.mark.parametrize("name, role", [("in0", "inside"), ("out0", "outside")])
def test_an_interface_that_is_down(lab, name, role):
    lab.start()
    host = lab.host()
    lab.gateway.ip("link", "set", name, "down")
    wait_for(lambda: any(i["problem"] for i in lab.agent.ctl("interface", "list")), what="the link to be noticed")
    answer = explain(lab, host.addr)
    assert reasons(answer)[:2] == [("interface", True), ("interface", False)]
    assert answer["findings"][0]["text"] == f"no {role} interface is up: nothing is translated"
    assert answer["findings"][1]["text"].startswith(f"{name}: down, and with it the routes through it")


def test_a_routing_rule_by_source_leads_the_way_out(lab):
    """explain asks for a packet of the subscriber, not of the gateway."""
    lab.start()
    host = lab.host()
    add_third(lab)
    lab.gateway.batch(f"route add default via {THIRD} dev third0 table 77", f"rule add from {host.addr} lookup 77")
    wait_for(lambda: explain(lab, host.addr)["way_out"]["interface"] == "third0", what="the rule")
    assert ("drop_guard_out", True) in reasons(explain(lab, host.addr))
    assert explain(lab, "10.0.0.77")["way_out"]["interface"] == "out0"
    lab.gateway.batch("route replace blackhole default table 77")
    answer = explain(lab, host.addr)
    assert ("drop_unreachable", True) in reasons(answer) and "way_out" not in answer


@pytest.mark.parametrize("eim, eif, kind, words", [
    ([], [], "strict", "PlayStation type 3"),
    (["udp"], [], "moderate", "PlayStation type 2"),
    (["udp"], ["udp"], "open", "open; PlayStation type 2"),
    (["tcp"], ["tcp"], "strict", "PlayStation type 3"),
])
def test_the_type_of_nat_in_the_words_of_consoles(lab, eim, eif, kind, words):
    lab.start(mappings=[{**MAPPING, "endpoint_independent": {"mapping": eim, "filtering": eif}} if eim else MAPPING])
    host = lab.host()
    assert explain(lab, host.addr)["subscriber"]["nat_type"] == kind
    (line,) = [line for line in lab.agent.text("explain", host.addr).splitlines() if line.startswith("NAT type:")]
    assert words in line, line


@pytest.mark.parametrize("mapping, shared, words", [
    (MAPPING, True, "are dropped, as others share the outside address"),
    ({"in": "10.0.0.0/30", "out": "1.1.1.0/30"}, False, "are translated, as the outside address is its own"),
])
def test_protocols_without_ports(lab, mapping, shared, words):
    lab.start(mappings=[mapping])
    assert explain(lab, "10.0.0.2")["subscriber"]["shares_address"] is shared
    (line,) = [line for line in lab.agent.text("explain", "10.0.0.2").splitlines() if line.startswith("Other protocols:")]
    assert line.startswith("Other protocols: GRE (PPTP), ESP") and words in line, line


def test_interfaces_that_are_missing(lab):
    lab.start()
    host = lab.host()
    lab.agent.ctl("interface", "del", "in0", "inside")
    found = reasons(explain(lab, host.addr))
    assert found == [("interface", True), ("drop_guard_out", True)]
    lab.agent.ctl("interface", "add", "in0", "inside")
    lab.gateway.ip("link", "del", "out0")
    wait_for(lambda: "absent" in [interface["xdp"] for interface in lab.agent.ctl("interface", "list")], what="the interface to go")
    assert ("interface", True) in reasons(explain(lab, host.addr))


def test_explain_checks_routes_and_neighbours(lab):
    lab.start()
    host = lab.host()
    lab.gateway.ip("neigh", "replace", host.addr, "dev", "in0", "nud", "failed")
    answer = explain(lab, host.addr)
    assert reasons(answer) == [("neighbour", True)] and answer["way_in"]["neighbour"] == "failed"
    lab.gateway.ip("route", "add", "unreachable", f"{host.addr}/32")
    answer = explain(lab, host.addr)
    assert reasons(answer) == [("route", True)] and "way_in" not in answer
    lab.gateway.ip("route", "replace", f"{host.addr}/32", "via", ROUTER)
    assert reasons(explain(lab, host.addr)) == [("route", True)]
    lab.gateway.ip("route", "del", f"{host.addr}/32")
    lab.gateway.ip("route", "del", "default")
    assert ("drop_unreachable", True) in reasons(explain(lab, host.addr))


THIRD, THIRD_MAC, THIRD_PEER_MAC = "172.17.0.2", "02:00:00:00:03:01", "02:00:00:00:03:07"


def add_third(lab):
    """An interface of the gateway that has no role."""
    third = netns.Namespace(lab.gateway.name.replace("gw", "third"))
    lab.at_end(third.delete)
    netns.connect(third, "eth0", lab.gateway, "third0", THIRD_MAC)
    lab.gateway.batch("addr add 172.17.0.1/24 dev third0", f"neigh add {THIRD} lladdr {THIRD_PEER_MAC} dev third0 nud permanent")
    lab.settle()
    return third


@pytest.mark.parametrize("config, out, back", [
    ({}, [("drop_guard_out", True)], [("drop_guard_out", True)]),
    ({"bypass": ["192.0.2.0/24"]}, [("passed_untranslated", False)], [("drop_guard_out", True)]),
    ({"guard": False}, [("guard", False), ("passed_untranslated", True)], [("guard", False), ("route", True)]),
], ids=["guard", "bypass", "no guard"])
def test_interfaces_without_a_role(lab, config, out, back):
    """explain agrees with what happens to packets from a subscriber behind such an interface."""
    lab.start(**config)
    host = lab.host()
    third = add_third(lab)
    # One of two halves of a default route.
    lab.gateway.ip("route", "add", "128.0.0.0/1", "via", THIRD)
    assert reasons(explain(lab, host.addr)) == out
    sniffer = frame_flood.Sniffer(third)
    packet = lab.from_inside(host, UDP(sport=5000, dport=53) / b"MARK-OUT", "192.0.2.1")
    dropped = out == [("drop_guard_out", True)]
    with lab.counting(passed_untranslated=None, **({"drop_guard_out": 3} if dropped else {})):
        lab.inside.send(packet, packet, packet)
        if not dropped:
            wait_for(lambda: sniffer.count(b"MARK-OUT") != [0], what="the packet")
    assert not dropped or sniffer.count(b"MARK-OUT") == [0]
    sniffer.close()
    if dropped:
        assert reasons(explain(lab, host.addr))[0] == ("drop_guard_out", False)
        # Nor about packets that are translated as they should be.
        assert "past the interfaces that translate" in explain(lab, "10.0.0.77")["findings"][0]["text"]
        return
    lab.gateway.ip("route", "del", "128.0.0.0/1")
    lab.gateway.ip("route", "add", f"{host.addr}/32", "via", THIRD)
    assert reasons(explain(lab, host.addr)) == back


def test_explain_reports_a_missing_guard(lab):
    agent = lab.prepare()
    lab.gateway.run("nft", "add", "table", "inet", agent.guard_table())
    agent.start()
    answer = explain(lab, "10.0.0.9")
    assert reasons(answer) == [("guard", False)] and "that detnat has not made" in answer["findings"][0]["text"]
    lab.gateway.run("nft", "delete", "table", "inet", agent.guard_table())
    wait_for(lambda: not lab.agent.ctl("status")["troubles"], what="the guard")
    assert explain(lab, "10.0.0.9")["findings"] == []


def test_the_gateway_itself(running_lab):
    assert reasons(explain(running_lab, "10.0.0.1")) == [("passed_untranslated", False)]


def test_explain_distinguishes_expired_sessions_and_time_wait(lab):
    lab.start(timeouts={"udp": 1}, sweep_interval=3600)
    host = lab.host()
    lab.open_udp(host)
    wait_for(lambda: explain(lab, host.addr)["subscriber"]["expired"] == 1, what="the session to expire")
    subscriber = explain(lab, host.addr)["subscriber"]
    assert (subscriber["sessions"], subscriber["slots_free"]) == (0, 127)


def test_sessions_that_are_never_answered(running_lab):
    host = running_lab.host()
    src = block_of(host.addr).first_choice(5000)
    running_lab.tcp_out(host, src, "S", port=5000)
    (finding,) = explain(running_lab, host.addr)["findings"]
    assert finding["reason"] == "unanswered" and finding["text"].startswith(f"No packet has come back to {src[0]} yet: does the upstream"), finding
    running_lab.open_udp(host, 6000)
    for port in (5001, 5002):
        running_lab.tcp_out(host, block_of(host.addr).first_choice(port), "S", port=port)
    (finding,) = explain(running_lab, host.addr)["findings"]
    assert finding["reason"] == "unanswered", finding
    running_lab.tcp_in(host, src, "SA")
    assert explain(running_lab, host.addr)["findings"] == []


@pytest.mark.parametrize("arguments", [(), ("10.0.0",), ("10.0.0.1:65536",), ("10.0.0.1:",), ("10.0.0.0/18",), ("10.0.0.2", "10.0.0.3"),
                                       ("--all", "10.0.0.2")], ids="-".join)
def test_explain_bad_usage(running_lab, arguments):
    running_lab.agent.refused("explain", *arguments, status=2)


def test_each_cause_in_the_table_of_complaints_has_a_test():
    """TROUBLESHOOTING names what explain says to each complaint; a test asserts each of these words."""
    tree = pathlib.Path(__file__).parents[2]
    text = (tree / "docs/guide" / "TROUBLESHOOTING.md").read_text()
    table = text.split("## From a complaint to its cause")[1].split("\n## ")[0]
    causes = set(re.findall(r"`\(([a-z_]+)\)`", table))
    assert len(causes) > 15
    tests = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py"))
    assert {cause for cause in causes if f'"{cause}"' not in tests} == set()
    assert {line for line in re.findall(r"the line `([^`]+)`", table) if f"{line}:" not in tests} == set()
