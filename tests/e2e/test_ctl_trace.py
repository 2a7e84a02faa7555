# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl trace: what a packet went through, who is traced, and how a trace ends."""

import datetime

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

import shapes
from agent import wait_for
from lab import SERVER, SERVER_MAC, block_of
from test_restart import Stream


@pytest.fixture(scope="module")
def agent(running):
    """Traces are left running: another start only replaces the filter."""
    return running.agent


def traces(agent, number):
    """The records, once there are so many; then there are no more of them."""

    def enough():
        found = agent.ctl("trace", "show")
        return len(found) >= number and found

    found = shapes.assert_all(wait_for(enough, what=f"{number} traced packets"), shapes.TRACE)
    assert len(found) == number, found
    for trace in found:
        shapes.assert_all(trace["steps"], shapes.STEP)
        datetime.datetime.fromisoformat(trace["time"].replace("Z", "+00:00"))
    return found


def seen(trace):
    return trace["interface"], trace["hook"], trace["verdict"]


def steps(trace):
    return [s["step"] for s in trace["steps"]]


def ends(trace):
    """Source and destination as the packet came, and as it left."""
    first, last = trace["steps"][0], trace["steps"][-1]
    return (first["src"], first["dst"]), (last["src"], last["dst"])


def leaves(agent):
    return sorted(p.name for p in agent.pins.glob("v*/*_leaves_*"))


def test_start_and_stop_answer_an_empty_object(agent):
    assert agent.ctl("status")["tracing"] is False
    assert agent.ctl("trace", "show") == [] and agent.text("trace", "show") == "no packets\n"
    assert agent.ctl("trace", "start") == {}
    assert agent.ctl("status")["tracing"] is True
    assert agent.ctl("trace", "show") == []
    assert agent.ctl("trace", "stop") == {}
    assert agent.ctl("status")["tracing"] is False
    assert agent.ctl("trace", "stop") == {}


def test_both_directions_of_a_subscriber_are_traced_and_nobody_else(running, agent):
    host, other = running.host(), running.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = running.open_udp(host)
    running.open_udp(other)
    running.send_in(running.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    outward, inward = traces(agent, 2)
    assert seen(outward) == ("in0", "xdp", "in2out_translated")
    assert seen(inward) == ("out0", "xdp", "out2in_translated")
    inside, outside, server = f"{host.addr}:5000", f"{src[0]}:{src[1]}", f"{SERVER}:53"
    assert ends(outward) == ((inside, server), (outside, server))
    assert ends(inward) == ((server, outside), (server, inside))
    text = agent.text("trace", "show")
    assert host.addr in text and src[0] in text and "in2out_translated" in text and other.addr not in text


def test_steps_tell_session_subscriber_and_way(running, agent):
    host = running.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = running.open_udp(host)
    running.open_udp(host)
    opening, following = traces(agent, 2)
    block = block_of(host.addr)
    details = {s["step"]: s.get("detail") for s in opening["steps"]}
    assert details["subscriber"] == f"{host.addr} has {block.addr}:{block.lo}-{block.hi}"
    assert details["session-opened"] == f"outside port {src[1]}"
    assert "out0" in details["next-hop"] and details["redirect"] == "by out0" and "udp" in details["received"]
    details = {s["step"]: s.get("detail") for s in following["steps"]}
    assert details["session"] == f"udp-active, outside port {src[1]}" and "session-opened" not in details
    assert [s["ns"] for s in following["steps"]] == sorted(s["ns"] for s in following["steps"])


def test_the_quick_path_is_told_from_the_slow_one(running, agent):
    host = running.host()
    agent.ctl("trace", "start", "--in", host.addr)

    def quick():
        """A next hop that has just changed is looked up on the slow path; so is a frame too short for a wire."""
        running.inside.send(running.from_inside(host, UDP(sport=5000, dport=53) / bytes(32)))
        return [t for t in agent.ctl("trace", "show") if t["path"] == "quick"]

    found = wait_for(quick, what="a packet on the quick path")
    assert "in2out" not in steps(found[-1]) and seen(found[-1]) == ("in0", "xdp", "in2out_translated")
    agent.ctl("trace", "start", "--in", host.addr)
    running.inside.send(running.from_inside(host, ICMP(type=8, id=5)))
    (echo,) = traces(agent, 1)
    assert echo["path"] == "slow"
    assert echo["steps"][0]["src"] == f"{host.addr}:5" and "in2out" in steps(echo)


def test_tcp_states(running, agent):
    host = running.host()
    src = block_of(host.addr).first_choice(5000)
    agent.ctl("trace", "start", "--in", host.addr, "--proto", "tcp")
    running.open_udp(host, 7000)
    running.tcp_out(host, src, "S")
    running.tcp_in(host, src, "SA")
    running.tcp_out(host, src, "A")
    found = traces(agent, 3)
    assert found[0]["steps"][0]["detail"].startswith("tcp SYN,")
    session = [s["detail"] for s in found[2]["steps"] if s["step"] == "session"]
    assert session and session[0].startswith("tcp-") and "to tcp-established" in session[0]


def test_a_drop_is_traced_with_its_reason(running, agent):
    host = running.host()
    src = running.open_udp(host)
    agent.ctl("trace", "start", "--in", host.addr)
    running.outside.send(running.from_outside(src[0], UDP(sport=9999, dport=src[1])))
    (trace,) = traces(agent, 1)
    assert seen(trace) == ("out0", "xdp", "drop_no_session") and steps(trace)[-1] == "dropped"
    before, after = ends(trace)
    assert before == after == (f"{SERVER}:9999", f"{src[0]}:{src[1]}")


def test_an_error_about_the_subscribers_packet_is_its_own(running, agent):
    host = running.host()
    src = running.open_udp(host)
    sent = IP(src=src[0], dst=SERVER) / UDP(sport=src[1], dport=53) / b"query"
    agent.ctl("trace", "start", "--in", host.addr)
    running.outside.send(running.from_outside(src[0], ICMP(type=3, code=3) / sent))
    (trace,) = traces(agent, 1)
    assert trace["interface"] == "out0" and "icmp type 3 code 3" in trace["steps"][0]["detail"]


def test_filters_by_outside_and_external_endpoint(running, agent):
    host, other = running.host(), running.host()
    first, second = running.open_udp(host), running.open_udp(host, 5001)
    running.open_udp(other)

    def packets():
        for port, src in ((5000, first), (5001, second)):
            running.open_udp(host, port)
            running.send_in(running.from_outside(src[0], UDP(sport=53, dport=src[1])), host, port)
        running.open_udp(other)
        running.open_udp(host, 5000, dport=54)

    inside = {f"{host.addr}:5000", f"{host.addr}:5001", f"{other.addr}:5000"}
    for options, number, interfaces in (
        (("--out", f"{second[0]}:{second[1]}"), 2, ["in0", "out0"]),
        (("--in", f"{host.addr}:5001"), 2, ["in0", "out0"]),
        (("--out", first[0], "--in", other.addr), 1, ["in0"]),
        (("--ext", f"{SERVER}:54"), 1, ["in0"]),
        (("--ext", SERVER, "--proto", "udp"), 6, ["in0", "out0", "in0", "out0", "in0", "in0"]),
        (("--proto", "icmp"), 0, []),
    ):
        agent.ctl("trace", "start", *options)
        packets()
        found = traces(agent, number) if number else agent.ctl("trace", "show")
        assert [t["interface"] for t in found] == interfaces, options
        assert all(e in inside for t in found if t["interface"] == "in0" for e in (ends(t)[0][0],))


def test_what_is_not_ipv4_is_traced_where_nothing_is_asked_for(running, agent):
    asked = block_of("10.0.0.200").addr
    request = Ether(src=SERVER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=SERVER_MAC, psrc=SERVER, pdst=asked)
    agent.ctl("trace", "start")
    running.outside.send(request)
    wait_for(lambda: any(t["verdict"] == "arp_answered" for t in agent.ctl("trace", "show")), what="the ARP request")
    (trace,) = (t for t in agent.ctl("trace", "show") if t["verdict"] == "arp_answered")
    assert trace["steps"][0]["src"] == f"{SERVER}:0" and trace["steps"][0]["dst"] == f"{asked}:0"
    assert "arp" in steps(trace) and steps(trace)[-1] == "sent"


def test_malformed_and_cut_packets_are_shown(running, agent):
    host = running.host()
    agent.ctl("trace", "start", "--in", host.addr)
    frame = bytes(running.from_inside(host, TCP(sport=1, dport=2)))
    for size in range(34, len(frame), 5):
        running.inside.send(frame[:size])
    found = traces(agent, len(range(34, len(frame), 5)))
    assert {t["verdict"] for t in found} == {"drop_malformed"}


def test_another_start_replaces_the_trace(running, agent):
    host, other = running.host(), running.host()
    agent.ctl("trace", "start", "--in", host.addr)
    running.open_udp(host)
    traces(agent, 1)
    agent.ctl("trace", "start", "--in", other.addr)
    assert agent.ctl("trace", "show") == []
    running.open_udp(host)
    running.open_udp(other)
    (trace,) = traces(agent, 1)
    assert ends(trace)[0][0] == f"{other.addr}:5000"


def test_a_change_during_a_trace_goes_on_tracing(running, agent):
    host = running.host()
    agent.ctl("trace", "start", "--in", host.addr)
    agent.ctl("timeouts", "set", "udp=99")
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
    running.open_udp(host)
    traces(agent, 1)
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.0/28")
    agent.ctl("timeouts", "reset")


def test_a_flood_is_bounded_and_the_trace_ends_by_itself(running, agent):
    host = running.host()
    agent.ctl("trace", "start", "--in", host.addr, "--count", "50")
    packet = running.from_inside(host, UDP(sport=5000, dport=53) / b"query")
    for _ in range(300):
        running.inside.send(packet)
    wait_for(lambda: not agent.ctl("status")["tracing"], what="the trace to end")
    assert len(traces(agent, 50)) == 50
    running.open_udp(host)
    assert len(agent.ctl("trace", "show")) == 50, "records stay, and no more come"
    assert len(leaves(agent)) == 2


def test_refusals_say_what_is_expected(agent):
    for arguments, word in (
        (("--in", "10.0.0"), "in"),
        (("--in", "0.0.0.0"), "in"),
        (("--out", "1.1.1.0:0"), "out"),
        (("--out", "1.1.1.0:65536"), "out"),
        (("--ext", ""), "ext"),
        (("--proto", "gre"), "proto"),
        (("--count", "0"), "count"),
        (("--count", "10001"), "count"),
        (("--count", "x"), "count"),
        (("--count",), "--count"),
        (("10.0.0.1",), "unexpected"),
    ):
        assert word in agent.refused("trace", "start", *arguments, status=2)
    agent.refused("trace", "show", "x", status=2)


def test_a_refusal_is_traced_with_its_answer(lab):
    agent = lab.start(sessions_per_user=1)
    host = lab.host()
    lab.open_udp(host)
    agent.ctl("trace", "start", "--in", host.addr)
    lab.inside.send(lab.from_inside(host, UDP(sport=5001, dport=53)))
    (trace,) = traces(agent, 1)
    assert trace["verdict"] == "drop_quota" and "answered" in steps(trace) and steps(trace)[-1] == "sent"
    assert ends(trace)[1] == ("10.0.0.1:0", f"{host.addr}:0")


def test_the_kernels_way_is_traced_at_both_hooks(lab):
    agent = lab.start(forwarding="kernel")
    host = lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = lab.open_udp(host)
    up, down = traces(agent, 2)
    assert seen(up) == ("in0", "xdp", "passed_untranslated") and steps(up)[-1] == "to-kernel"
    assert seen(down) == ("out0", "tc", "in2out_translated")
    assert ends(down)[1] == (f"{src[0]}:{src[1]}", f"{SERVER}:53")


def test_start_and_stop_lose_no_packet(lab):
    agent = lab.start()
    with Stream(lab):
        agent.ctl("trace", "start", "--count", "10000")
        agent.ctl("trace", "stop")
    assert agent.ctl("trace", "show")


def test_an_agent_killed_during_a_trace_leaves_a_datapath_that_works(lab):
    agent = lab.start()
    with Stream(lab) as stream:
        agent.ctl("trace", "start", "--in", stream.host.addr, "--count", "10")
        agent.kill()
        agent.start()
        assert agent.ctl("status")["tracing"] is False
    assert agent.ctl("trace", "show") == []
    assert len(leaves(agent)) == 2, "of one set of programs alone"


def test_an_agent_that_ends_during_a_trace_leaves_the_normal_programs(lab):
    agent = lab.start()
    before = leaves(agent)
    with Stream(lab):
        agent.ctl("trace", "start")
        assert leaves(agent) != before
        agent.stop()
        assert leaves(agent) == before
    agent.start()
    assert agent.ctl("status")["tracing"] is False
