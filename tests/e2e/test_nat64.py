# SPDX-License-Identifier: BSD-2-Clause
"""NAT64: packets of IPv6-only subscribers both ways, and what the agent says and keeps of them."""

import json
import shutil

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest

from agent import wait_for
from lab import SERVER
from lab64 import CPE, MAPPING64, PREFIX, block, host, kill_and_start, stop_and_start, subscriber_prefix

PORT = 5000


@pytest.fixture(name="lab")
def _lab(lab64_by_mode):
    return lab64_by_mode


def test_udp_both_ways(lab):
    lab.start()
    src = lab.open6(host(3), subscriber=3)
    for _ in range(3):
        lab.answer6(src, host(3))
        lab.open6(host(3), subscriber=3)


def test_tcp_both_ways(lab):
    lab.start()
    src = block(7).first_choice(PORT)

    def out(flags, **fields):
        lab.send6(lab.out6(host(7), TCP(sport=PORT, dport=80, flags=flags, **fields)), src)

    def back(flags, **fields):
        lab.send4(lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags=flags, **fields)), host(7), PORT)

    out("S", seq=100)
    back("SA", seq=500, ack=101)
    out("A", seq=101, ack=501)
    for n in range(3):
        back("PA", seq=501 + n, ack=101)
        out("PA", seq=101 + n, ack=501)
    out("FA", seq=104, ack=504)
    back("FA", seq=504, ack=105)
    out("A", seq=105, ack=505)


def test_echo_both_ways(lab):
    lab.start()
    src = block(9).first_choice(77)
    for number in (1, 2):
        lab.send6(lab.out6(host(9), ICMPv6EchoRequest(id=77, seq=number, data=b"ping")), src)
        lab.send4(lab.from_outside(src[0], ICMP(type=0, id=src[1], seq=number) / b"ping"), host(9), 77)


def test_two_hosts_of_a_subscriber_with_one_port_are_two_outside_ports(lab):
    lab.start()
    first = lab.open6(host(3, 1), subscriber=3)
    lab.inside.send(lab.out6(host(3, 2), UDP(sport=PORT, dport=53) / b"query"))
    came = lab.outside.packet()
    second = came["IP"].src, came[UDP].sport
    assert second[0] == first[0] and second[1] != first[1] and block(3).lo <= second[1] <= block(3).hi
    for _ in range(2):
        lab.answer6(first, host(3, 1))
        lab.answer6(second, host(3, 2))
        lab.open6(host(3, 2), outside=second)
        lab.open6(host(3, 1), outside=first)
    assert len(lab.agent.ctl("session", "list", subscriber_prefix(3))) == 2


def test_what_is_for_no_mapping_is_not_translated(lab):
    lab.start()
    strange = lab.out6("2001:db8:5000::1", UDP(sport=PORT, dport=53) / b"query")
    lab.inside.send(strange)
    stranger = lab.from_outside(block(3).addr, UDP(sport=53, dport=block(3).lo) / b"none")
    lab.outside.send(stranger)
    lab.open6(host(3), subscriber=3)
    lab.outside.assert_silent()
    lab.silent6()


def test_commands_know_subscribers_by_prefix_and_hosts_by_address(lab):
    lab.start()
    src = lab.open6(host(3), subscriber=3)
    session, = lab.agent.ctl("session", "list")
    assert (session["in_addr"], session["in_port"], session["out_addr"], session["out_port"]) == (host(3), PORT, *src), session
    assert (session["ext_addr"], session["ext_port"]) == (SERVER, 53), session
    forward = lab.agent.ctl("forward", host(3))
    assert (forward["in_prefix"], forward["out_addr"], forward["port_lo"]) == (subscriber_prefix(3), src[0], block(3).lo), forward
    reverse = lab.agent.ctl("reverse", f"{src[0]}:{src[1]}")
    assert reverse["in_prefix"] == subscriber_prefix(3), reverse
    who = lab.agent.command("--json", "who", f"{src[0]}:{src[1]}").out
    assert subscriber_prefix(3) in who, who


def test_a_closed_session_is_gone_and_the_other_hosts_stays(lab):
    lab.start()
    first = lab.open6(host(3, 1), subscriber=3)
    lab.inside.send(lab.out6(host(3, 2), UDP(sport=PORT, dport=53) / b"query"))
    second = lab.outside.packet()[UDP].sport
    lab.agent.ctl("session", "close", "in", f"[{host(3, 1)}]:{PORT}", f"{SERVER}:53")
    left, = lab.agent.ctl("session", "list")
    assert (left["in_addr"], left["out_port"]) == (host(3, 2), second), left
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(first[0], UDP(sport=53, dport=first[1]) / b"late"))
    lab.answer6((first[0], second), host(3, 2))


def reload(lab):
    lab.agent.write(timeouts={"udp": 200})
    lab.agent.ctl("reload")


def change_of_file(lab):
    lab.agent.stop()
    lab.agent.write(mappings=[MAPPING64, {"in": "10.0.0.0/18", "out": "1.1.2.0/30"}])
    lab.agent.start()


@pytest.mark.parametrize("change", (stop_and_start, kill_and_start, reload, change_of_file))
def test_sessions_go_on(lab, change):
    lab.start()
    opened = [(host(n, 1 + n % 3), lab.open6(host(n, 1 + n % 3), subscriber=n)) for n in (0, 3, 255)]
    lab.inside.send(lab.out6(host(3, 9), UDP(sport=PORT, dport=53) / b"query"))
    opened.append((host(3, 9), (block(3).addr, lab.outside.packet()[UDP].sport)))
    before = sorted((s["in_addr"], s["out_port"]) for s in lab.agent.ctl("session", "list"))
    change(lab)
    assert sorted((s["in_addr"], s["out_port"]) for s in lab.agent.ctl("session", "list")) == before
    for addr, src in opened:
        lab.answer6(src, addr)
        lab.open6(addr, outside=src)


@pytest.mark.parametrize("history", ("kept", "lost"))
def test_sessions_go_on_where_the_file_has_the_mappings_in_another_order(lab, history):
    second = {**MAPPING64, "in": "2001:db8:5000::/48", "out": "1.1.4.0/30"}
    lab.gateway.ip("-6", "route", "add", second["in"], "via", CPE, "dev", "in0")
    lab.start(mappings=[MAPPING64, second])
    of_second = host(3).replace("4000", "5000")
    src = lab.open6(host(3), subscriber=3)
    other = "1.1.4.0", src[1]
    lab.open6(of_second, outside=other)
    lab.agent.stop()
    if history == "lost":
        shutil.rmtree(lab.agent.state)
    lab.agent.write(mappings=[second, MAPPING64])
    lab.agent.start()
    assert sorted(s["in_addr"] for s in lab.agent.ctl("session", "list")) == [host(3), of_second]
    lab.answer6(src, host(3))
    lab.answer6(other, of_second)


def test_packets_pass_while_the_agent_is_away(lab):
    lab.start()
    src = lab.open6(host(3), subscriber=3)
    lab.agent.kill()
    lab.answer6(src, host(3))
    lab.open6(host(3), outside=src)
    lab.open6(host(4), subscriber=4)
    lab.agent.start()
    lab.answer6(src, host(3))


def test_a_mapping_goes_and_comes_back(lab):
    other = {"in": "10.0.0.0/18", "out": "1.1.2.0/30"}
    lab.start(mappings=[MAPPING64, other])
    src = lab.open6(host(3), subscriber=3)
    lab.agent.write(mappings=[other])
    lab.agent.ctl("reload")
    assert not lab.agent.ctl("session", "list")
    lab.inside.send(lab.out6(host(3), UDP(sport=PORT, dport=53) / b"query"))
    v4 = lab.host("10.0.0.77")
    lab.open_udp(v4, mapping=other)
    lab.outside.assert_silent()
    lab.inside.clear()
    lab.agent.write(mappings=[MAPPING64, other])
    lab.agent.ctl("reload")
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"late"))
    lab.answer6(lab.open6(host(3), subscriber=3), host(3))
    lab.agent.write(mappings=[other])
    lab.agent.ctl("reload")
    lab.agent.stop()
    lab.agent.start()
    assert not list(lab.agent.pins.glob("v*/*6")), "pins of IPv6 are gone with the last mapping of it"


def test_without_ipv6_mappings_nothing_of_it_is_there(lab):
    lab.start(mappings=[{"in": "10.0.0.0/18", "out": "1.1.2.0/30"}])
    assert not [p.name for p in lab.agent.pins.glob("v*/*") if p.name.rstrip("0123456789_").endswith(("six", "host", "records")) or "6" in p.name]


def test_a_nested_mapping_has_its_subscribers(lab):
    inner = {**MAPPING64, "in": "2001:db8:4000:80::/57", "out": "1.1.3.0/32", "subscriber_plen": 64}
    inner = {**MAPPING64, "in": "2001:db8:4000:8000::/52", "out": "1.1.3.0/32"}
    lab.start(mappings=[MAPPING64, inner])
    lab.answer6(lab.open6(host(0x7F), subscriber=0x7F), host(0x7F))
    lab.inside.send(lab.out6(host(0x85), UDP(sport=PORT, dport=53) / b"query"))
    came = lab.outside.packet()
    assert came["IP"].src == "1.1.3.0"
    lab.answer6((came["IP"].src, came[UDP].sport), host(0x85))


def test_mappings_around_and_within_leave_sessions_as_they_are(lab):
    """An exception that the mapping around it comes to later, and goes before; and a smaller one within it."""
    own = {**MAPPING64, "in": "2001:db8:4000:4000::/50"}
    lab.start(mappings=[own, {**MAPPING64, "in": "2001:db8:5000::/48", "out": "1.1.4.0/30"}])
    addr = host(0x43)
    lab.inside.send(lab.out6(addr, TCP(sport=PORT, dport=80, flags="S", seq=100)))
    came = lab.outside.packet()
    src = came["IP"].src, came[TCP].sport

    def answer(seq, flags="PA"):
        lab.send4(lab.from_outside(src[0], TCP(sport=80, dport=src[1], flags=flags, seq=seq, ack=101)), addr, PORT)
        lab.send6(lab.out6(addr, TCP(sport=PORT, dport=80, flags="A", seq=101, ack=seq + 1)), src)

    def add(prefix, out):
        lab.agent.ctl("mapping", "add", prefix, out, "--subscriber-plen", "56", "--nat64-prefix", MAPPING64["nat64_prefix"])

    def restart():
        lab.agent.kill()
        lab.agent.start()

    def file_has(*mappings):
        lab.agent.write(mappings=[own, *mappings])
        lab.agent.ctl("reload")

    around = {**MAPPING64, "out": "1.1.2.0/30"}
    steps = (
        lambda: answer(500, "SA"),
        lambda: add(MAPPING64["in"], "1.1.2.0/30"),
        lambda: add("2001:db8:4000::/40", "1.1.5.0/24"),
        restart,
        lambda: add("2001:db8:4000:4800::/53", "1.1.3.0/32"),
        lambda: lab.agent.ctl("mapping", "del", MAPPING64["in"]),
        lambda: lab.agent.ctl("mapping", "del", "2001:db8:4000::/40"),
        lambda: lab.agent.ctl("mapping", "del", "2001:db8:4000:4800::/53"),
        lambda: file_has(around),
        lambda: file_has({**MAPPING64, "in": "2001:db8:4000::/38", "out": "1.1.8.0/22", "ports_per_host": 16, "hosts_per_subscriber": 1}),
        restart,
        lambda: file_has(around),
        file_has,
        restart,
    )
    for number, step in enumerate(steps):
        step()
        answer(600 + number)
        session, = lab.agent.ctl("session", "list")
        assert (session["in_addr"], session["in_port"], session["out_addr"], session["out_port"]) == (addr, PORT, *src), (number, session)
        assert lab.agent.ctl("reverse", f"{src[0]}:{src[1]}")["in_prefix"] == subscriber_prefix(0x43), number
        assert lab.agent.ctl("forward", addr)["out_addr"] == src[0], number
        assert not lab.agent.ctl("check")["findings"], number
    assert subscriber_prefix(0x43) in lab.agent.command("--json", "who", f"{src[0]}:{src[1]}").out


def test_routes_of_subscribers_are_followed(lab):
    lab.start()
    src = lab.open6(host(3), subscriber=3)
    lab.answer6(src, host(3))
    other = "02:00:00:00:01:0d"
    lab.gateway.batch(f"neigh replace fe80::d lladdr {other} dev in0 nud permanent", f"route add {subscriber_prefix(3)} via fe80::d dev in0")

    def moved():
        lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"))
        frame = lab.inside.receive(timeout=5, kinds=(b"\x86\xdd",))
        return frame and frame[:6] == bytes.fromhex(other.replace(":", ""))

    wait_for(moved, what="the new router to get the packets")


def test_blackhole_route_of_the_prefix(lab):
    lab.start()
    assert PREFIX in lab.gateway.ip("-6", "route", "show", "type", "blackhole", "proto", "215")
    lab.gateway.ip("-6", "route", "del", "blackhole", PREFIX + "/96", "metric", "1048576")
    wait_for(lambda: PREFIX in lab.gateway.ip("-6", "route", "show", "type", "blackhole"), what="the route to come back")
    lab.agent.stop()
    lab.agent.detach()
    assert PREFIX not in lab.gateway.ip("-6", "route", "show", "type", "blackhole")


def test_guard_has_rules_of_the_prefix(lab):
    lab.start()
    table = lab.gateway.run("nft", "list", "table", "inet", lab.agent.guard_table()).stdout
    inside, prefix = MAPPING64["in"], MAPPING64["nat64_prefix"]
    assert f"ip6 saddr {prefix} ip6 daddr {inside}" in table or f"ip6 daddr {inside} ip6 saddr {prefix}" in table, table
    assert f"ip6 saddr {inside} ip6 daddr {prefix}" in table, table


@pytest.mark.parametrize("key, value", (("xdp_mode", "none"), ("forwarding", "kernel")))
def test_ways_by_the_kernel_are_refused(lab, key, value):
    it = lab.prepare(**{"xdp_mode": "native", key: value})
    result = it.once("-t")
    assert result.status == 2 and key in result.err and "IPv6 subscribers" in result.err, result


def test_auto_has_tc_send_where_xdp_would_cut_frames(lab):
    lab.start(xdp_mode="auto")
    shown = {i["name"]: i for i in lab.agent.ctl("interface", "list")}
    assert [shown[n]["xdp"] for n in ("in0", "out0")] == ["tc", "tc"], json.dumps(shown)
    lab.answer6(lab.open6(host(3), subscriber=3), host(3))


def interfaces(inside, outside):
    return {"inside": [{"name": "in0", "xdp_mode": inside}], "outside": [{"name": "out0", "xdp_mode": outside}]}


def test_xdp_inside_beside_tc_outside_is_refused(lab):
    result = lab.prepare(interfaces=interfaces("native", "tc")).once("-t")
    assert result.status == 2 and "in0: packets of IPv6 subscribers that XDP translates cannot leave by out0" in result.err, result


def test_tc_inside_and_xdp_outside(lab):
    lab.start(interfaces=interfaces("tc", "native"))
    src = lab.open6(host(3), subscriber=3)
    for _ in range(3):
        lab.answer6(src, host(3))
        lab.open6(host(3), subscriber=3)


def test_warnings_of_the_machine(lab):
    lab.gateway.sysctl("net.ipv6.conf.all.forwarding", 0)
    lab.gateway.ip("-6", "route", "del", MAPPING64["in"], "via", CPE, "dev", "in0")
    it = lab.prepare(tcp_mss_clamp=0)
    text = it.once("-t").err
    assert "does not forward IPv6" in text and "no route to the inside prefix 2001:db8:4000::/48" in text and "Packet Too Big" in text, text
    lab.gateway.sysctl("net.ipv6.conf.all.forwarding", 1)
    lab.gateway.sysctl("net.ipv6.conf.out0.accept_ra", 1)
    lab.lead_inside()
    text = it.once("-t").err
    assert "out0: accept_ra is 1" in text and "does not forward IPv6" not in text and "no route to the inside" not in text, text
