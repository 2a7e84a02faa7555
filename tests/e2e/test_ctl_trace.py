# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl trace: the steps of a packet, filters, and how a trace ends."""

import contextlib
import datetime
import os
import pathlib
import re
import signal

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

import shapes
from agent import wait_for
from lab import IN_MAC, MAPPING, SERVER, SERVER_MAC, block_of
from test_restart import Stream
from xdp_mode import NONE, TC, xdp_only


@pytest.fixture(scope="module")
def agent(running_lab):
    """Traces may keep running: another start only replaces the filter."""
    return running_lab.agent


STAGES = "auto"  # as the agent chooses
MAP_TYPE_RINGBUF = 27


def shown(agent):
    """
    The records, as XDP's would be. Without XDP, where the kernel forwards, a packet from inside has one more, at the ingress, and
    that at the egress is what the tests look for. Where tc sends, its records are of the ingress.
    """
    found = agent.ctl("trace", "show")
    if TC:
        return [{**t, "hook": "xdp"} if t["hook"] == "ingress" else t for t in found]
    return [as_by_xdp(t) for t in found if (t["hook"], t["verdict"]) != ("ingress", "passed_untranslated")] if NONE else found


def as_by_xdp(trace):
    return {**trace, "hook": "xdp", "interface": "in0" if trace["hook"] == "tc" else trace["interface"]}


def traces(agent, number, look=shown):
    """Waits for this many records, makes sure that there are no more, and returns them."""

    def enough():
        found = look(agent)
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
    """Source and destination of the packet as it arrived and as it left."""
    first, last = trace["steps"][0], trace["steps"][-1]
    return (first["src"], first["dst"]), (last["src"], last["dst"])


def details(trace):
    """The steps that have details, by kind, in order."""
    found = {}
    for step in trace["steps"]:
        if "detail" in step:
            found.setdefault(step["step"], []).append(step["detail"])
    return found


def cut(packet):
    """A frame's packet as two fragments, each in its own frame."""
    packet = Ether(bytes(packet))
    return [Ether(bytes(Ether(src=packet.src, dst=packet.dst) / f)) for f in fragment(packet[IP], fragsize=800)]


ARRAYS = 2 if os.environ.get("STAGES") == "1" and not NONE else 3  # of tail-call programs, in each set


def leaves(agent):
    return sorted(p.name for p in agent.pins.glob("v*/*_leaves_*"))


def test_start_and_stop_return_an_empty_object(agent):
    assert agent.ctl("status")["tracing"] is False
    assert agent.ctl("trace", "show") == [] and agent.text("trace", "show") == "no packets\n"
    assert agent.ctl("trace", "start") == {}
    assert agent.ctl("status")["tracing"] is True
    assert agent.ctl("trace", "show") == []
    assert agent.ctl("trace", "stop") == {}
    assert agent.ctl("status")["tracing"] is False
    assert agent.ctl("trace", "stop") == {}


def ring_buffers(agent):
    """How many the agent has open."""
    count = 0
    for info in pathlib.Path(f"/proc/{agent.process.pid}/fdinfo").iterdir():
        # The connection of the last command may be closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            count += f"map_type:\t{MAP_TYPE_RINGBUF}\n" in info.read_text()
    return count


def test_a_trace_that_was_stopped_keeps_no_ring_buffer(agent):
    before = ring_buffers(agent)
    agent.ctl("trace", "start")
    assert ring_buffers(agent) > before
    agent.ctl("trace", "stop")
    assert ring_buffers(agent) == before


def test_both_directions_of_a_subscriber_are_traced_and_no_other(running_lab, agent):
    host, other = running_lab.host(), running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = running_lab.open_udp(host)
    running_lab.open_udp(other)
    running_lab.send_in(running_lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    outward, inward = traces(agent, 2)
    assert seen(outward) == ("in0", "xdp", "in2out_translated")
    assert seen(inward) == ("out0", "xdp", "out2in_translated")
    inside, outside, server = f"{host.addr}:5000", f"{src[0]}:{src[1]}", f"{SERVER}:53"
    assert ends(outward) == ((inside, server), (outside, server))
    assert ends(inward) == ((server, outside), (server, inside))
    text = agent.text("trace", "show")
    assert host.addr in text and src[0] in text and "in2out_translated" in text and other.addr not in text


def test_steps_name_session_subscriber_and_next_hop(running_lab, agent):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = running_lab.open_udp(host)
    running_lab.open_udp(host)
    opening, following = traces(agent, 2)
    block = block_of(host.addr)
    details = {s["step"]: s.get("detail") for s in opening["steps"]}
    assert details["subscriber"] == f"{host.addr} has {block.addr}:{block.lo}-{block.hi}"
    assert details["session-opened"] == f"outside port {src[1]}"
    assert "udp" in details["received"]
    if not NONE:
        assert "out0" in details["next-hop"] and details["redirect"] == "by out0"
    details = {s["step"]: s.get("detail") for s in following["steps"]}
    assert details["session"] == f"udp-active, outside port {src[1]}" and "session-opened" not in details
    assert [s["ns"] for s in following["steps"]] == sorted(s["ns"] for s in following["steps"])


@xdp_only
def test_a_trace_distinguishes_fast_path_and_slow_path(running_lab, agent):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)

    def quick():
        """A next hop that has just changed is looked up on the slow path; so is a frame too short for a wire."""
        running_lab.inside.send(running_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(32)))
        return [t for t in agent.ctl("trace", "show") if t["path"] == "quick"]

    found = wait_for(quick, what="a packet on the fast path")
    assert "in2out" not in steps(found[-1]) and seen(found[-1]) == ("in0", "xdp", "in2out_translated")
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.inside.send(running_lab.from_inside(host, ICMP(type=8, id=5)))
    (echo,) = traces(agent, 1)
    assert echo["path"] == "slow"
    assert echo["steps"][0]["src"] == f"{host.addr}:5" and "in2out" in steps(echo)


def test_tcp_states(running_lab, agent):
    host = running_lab.host()
    src = block_of(host.addr).first_choice(5000)
    agent.ctl("trace", "start", "--in", host.addr, "--proto", "tcp")
    running_lab.open_udp(host, 7000)
    running_lab.tcp_out(host, src, "S")
    running_lab.tcp_in(host, src, "SA")
    running_lab.tcp_out(host, src, "A")
    found = traces(agent, 3)
    assert found[0]["steps"][0]["detail"].startswith("tcp SYN,")
    session = [s["detail"] for s in found[2]["steps"] if s["step"] == "session"]
    assert session and session[0].startswith("tcp-") and "to tcp-established" in session[0]


def test_a_drop_is_traced_with_its_reason(running_lab, agent):
    host = running_lab.host()
    src = running_lab.open_udp(host)
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.outside.send(running_lab.from_outside(src[0], UDP(sport=9999, dport=src[1])))
    (trace,) = traces(agent, 1)
    assert seen(trace) == ("out0", "xdp", "drop_no_session") and steps(trace)[-1] == "dropped"
    before, after = ends(trace)
    assert before == after == (f"{SERVER}:9999", f"{src[0]}:{src[1]}")


def test_an_error_about_the_subscribers_packet_is_its_own(running_lab, agent):
    host = running_lab.host()
    src = running_lab.open_udp(host)
    sent = IP(src=src[0], dst=SERVER) / UDP(sport=src[1], dport=53) / b"query"
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.outside.send(running_lab.from_outside(src[0], ICMP(type=3, code=3) / sent))
    (trace,) = traces(agent, 1)
    assert trace["interface"] == "out0" and "icmp type 3 code 3" in trace["steps"][0]["detail"]


def test_filters_by_outside_and_external_endpoint(running_lab, agent):
    host, other = running_lab.host(), running_lab.host()
    first, second = running_lab.open_udp(host), running_lab.open_udp(host, 5001)
    running_lab.open_udp(other)

    def packets():
        for port, src in ((5000, first), (5001, second)):
            running_lab.open_udp(host, port)
            running_lab.send_in(running_lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, port)
        running_lab.open_udp(other)
        running_lab.open_udp(host, 5000, dport=54)

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
        found = traces(agent, number) if number else shown(agent)
        assert [t["interface"] for t in found] == interfaces, options
        assert all(e in inside for t in found if t["interface"] == "in0" for e in (ends(t)[0][0],))


def test_an_icmp_error_from_outside_shows_what_it_quotes(running_lab, agent):
    host, other = running_lab.host(), running_lab.host()
    src, router = running_lab.open_udp(host), "203.0.113.9"
    agent.ctl("trace", "start", "--in", f"{host.addr}:5000")

    def error(port):
        quote = IP(src=src[0], dst=SERVER) / UDP(sport=port, dport=53) / b"query"
        return running_lab.from_outside(src[0], ICMP(type=3, code=1) / bytes(quote), src=router)

    running_lab.outside.send(error(block_of(other.addr).lo), error(src[1]))
    running_lab.inside.packet()
    (trace,) = traces(agent, 1)
    assert seen(trace) == ("out0", "xdp", "icmp_error_translated") and "icmp-in" in steps(trace)
    assert ends(trace) == ((f"{router}:0", f"{src[0]}:0"), (f"{router}:0", f"{host.addr}:0"))
    told = details(trace)
    assert told["received"][0].endswith(f", quotes {src[0]}:{src[1]} > {SERVER}:53") and "icmp type 3 code 1" in told["received"][0]
    assert told["session"] == [f"udp-active, outside port {src[1]}"]
    assert told["rewritten"] == [f"quotes {host.addr}:5000 > {SERVER}:53"]
    assert told["way-in"] == ["inside, through the kernel"] if NONE else told["way-in"][0].startswith("inside, by in0")
    assert NONE or told["redirect"] == ["by in0"]
    assert f"quotes {host.addr}:5000" in agent.text("trace", "show")


def test_an_icmp_error_of_no_session_is_traced_as_such(running_lab, agent):
    host = running_lab.host()
    block = block_of(host.addr)
    agent.ctl("trace", "start", "--in", host.addr)
    quote = IP(src=block.addr, dst=SERVER) / UDP(sport=block.lo, dport=53)
    running_lab.outside.send(running_lab.from_outside(block.addr, ICMP(type=11) / bytes(quote)))
    (trace,) = traces(agent, 1)
    assert seen(trace) == ("out0", "xdp", "drop_no_session") and steps(trace)[-1] == "dropped"
    assert "session" not in steps(trace) and "rewritten" not in steps(trace)


def test_a_trace_of_fragments_shows_the_first_ones_translation(running_lab, agent):
    host = running_lab.host()
    src = block_of(host.addr).first_choice(5000)
    first, later = cut(running_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(1200), id=4711))
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.inside.send(later)
    traces(agent, 1)
    running_lab.inside.send(first)
    early, whole, late = traces(agent, 3)
    assert seen(early) == ("in0", "xdp", "fragments_parked") and "first" in early["meaning"]
    assert seen(whole) == seen(late) == ("in0", "xdp", "in2out_translated")
    assert "fragment at 0, more follow" in details(whole)["received"][0] and "fragment at 800" in details(late)["received"][0]
    assert details(whole)["datagram"] == [f"those that follow: {src[0]} > {SERVER}"]
    assert details(late)["datagram"] == [f"as its first fragment: {src[0]} > {SERVER}"] and "fragment" in steps(late)
    assert ends(late) == ((f"{host.addr}:0", f"{SERVER}:0"), (f"{src[0]}:0", f"{SERVER}:0"))

    # From outside, only the first fragment says which subscriber a later one belongs to.
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.outside.send(*cut(running_lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(1200), id=4712)))
    whole, late = traces(agent, 2)
    assert seen(whole) == seen(late) == ("out0", "xdp", "out2in_translated")
    assert ends(late) == ((f"{SERVER}:0", f"{src[0]}:0"), (f"{SERVER}:0", f"{host.addr}:0"))


def test_a_hairpin_shows_both_sessions_and_both_rewrites(running_lab, agent):
    alice, bob = running_lab.host(), running_lab.host()
    a, b = block_of(alice.addr).first_choice(4001), block_of(bob.addr).first_choice(4002)
    with running_lab.counting(drop_no_session=1):
        running_lab.inside.send(running_lab.from_inside(alice, UDP(sport=4001, dport=b[1]), dst=b[0]))
    agent.ctl("trace", "start", "--in", bob.addr)
    running_lab.inside.send(running_lab.from_inside(bob, UDP(sport=4002, dport=a[1]), dst=a[0]))
    (trace,) = traces(agent, 1)
    assert seen(trace) == ("in0", "xdp", "hairpin_translated") and trace["path"] == "slow" and "missed_steps" not in trace
    assert ends(trace) == ((f"{bob.addr}:4002", f"{a[0]}:{a[1]}"), (f"{b[0]}:{b[1]}", f"{alice.addr}:4001"))
    told = details(trace)
    assert [s.split()[0] for s in told["subscriber"]] == [bob.addr]
    assert told["session-opened"] == [f"outside port {b[1]}"]
    assert told["session"] == [f"udp-active, outside port {port}" for port in (b[1], a[1])]
    assert (NONE or told["next-hop"] == ["a pool address"]) and told["redirect"] == ["by in0"]
    rewritten = [(s["src"], s["dst"]) for s in trace["steps"] if s["step"] == "rewritten"]
    both = [(f"{b[0]}:{b[1]}", f"{a[0]}:{a[1]}"), (f"{b[0]}:{b[1]}", f"{alice.addr}:4001")]
    assert rewritten == (both[1:] if NONE or TC else both), "tc rewrites both ends in one step"


@xdp_only
def test_tags_are_shown(running_lab, agent):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    packet = running_lab.from_inside(host, UDP(sport=5000, dport=53))
    running_lab.inside.send(Ether(src=host.mac, dst=IN_MAC) / Dot1Q(vlan=0, prio=5) / packet[IP])
    (trace,) = traces(agent, 1)
    assert seen(trace) == ("in0", "xdp", "in2out_translated")
    assert details(trace)["received"][0].startswith("VLAN 0, udp") and details(trace)["untagged"] == ["as by in0"]
    found = steps(trace)
    at = found.index("vlan")
    assert found[at:at + 3] == ["vlan", "untagged", "in2out"] and "rewritten" in found[at:]


def test_frames_that_are_not_ipv4_are_traced_without_a_filter(running_lab, agent):
    asked = block_of("10.0.0.200").addr
    request = Ether(src=SERVER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=SERVER_MAC, psrc=SERVER, pdst=asked)
    agent.ctl("trace", "start")
    running_lab.outside.send(request)
    wait_for(lambda: any(t["verdict"] == "arp_answered" for t in agent.ctl("trace", "show")), what="the ARP request")
    (trace,) = (t for t in agent.ctl("trace", "show") if t["verdict"] == "arp_answered")
    assert trace["steps"][0]["src"] == f"{SERVER}:0" and trace["steps"][0]["dst"] == f"{asked}:0"
    assert "arp" in steps(trace) and steps(trace)[-1] == "sent"


def test_malformed_and_cut_packets_are_shown(running_lab, agent):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    frame = bytes(running_lab.from_inside(host, TCP(sport=1, dport=2)))
    for size in range(34, len(frame), 5):
        running_lab.inside.send(frame[:size])
    found = traces(agent, len(range(34, len(frame), 5)))
    assert {t["verdict"] for t in found} == {"drop_malformed"}


def test_another_start_replaces_the_trace(running_lab, agent):
    host, other = running_lab.host(), running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.open_udp(host)
    traces(agent, 1)
    agent.ctl("trace", "start", "--in", other.addr)
    assert agent.ctl("trace", "show") == []
    running_lab.open_udp(host)
    running_lab.open_udp(other)
    (trace,) = traces(agent, 1)
    assert ends(trace)[0][0] == f"{other.addr}:5000"


def test_a_configuration_change_does_not_end_a_trace(running_lab, agent):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    agent.ctl("timeouts", "set", "udp=99")
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
    running_lab.open_udp(host)
    traces(agent, 1)
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.0/28")
    agent.ctl("timeouts", "reset")


def test_a_flood_ends_the_trace_at_its_packet_count(running_lab, agent):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr, "--count", "50")
    packet = running_lab.from_inside(host, UDP(sport=5000, dport=53) / b"query")
    for _ in range(300):
        running_lab.inside.send(packet)
    wait_for(lambda: not agent.ctl("status")["tracing"], what="the trace to end")
    traces(agent, 25 if NONE else 50)
    running_lab.open_udp(host)
    assert len(agent.ctl("trace", "show")) == 50, "records stay, and no more come"
    assert len(leaves(agent)) == ARRAYS


def test_refusals_name_what_is_expected(agent):
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
    assert trace["verdict"] == "drop_quota" and "answered" in steps(trace)
    if NONE or TC:
        assert steps(trace)[-1] == "dropped", "the agent sends the answer"
    else:
        assert steps(trace)[-1] == "sent" and ends(trace)[1] == ("10.0.0.1:0", f"{host.addr}:0")


@xdp_only
def test_a_packet_through_the_kernel_is_traced_at_both_hooks(lab):
    agent = lab.start(forwarding="kernel")
    host = lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = lab.open_udp(host)
    up, down = traces(agent, 2)
    assert seen(up) == ("in0", "xdp", "passed_untranslated") and steps(up)[-1] == "to-kernel"
    assert seen(down) == ("out0", "tc", "in2out_translated")
    assert ends(down)[1] == (f"{src[0]}:{src[1]}", f"{SERVER}:53")


def test_a_protocol_without_ports_is_traced_in_both_directions(lab):
    own = {"in": "10.0.64.0/28", "out": "203.0.113.16/28"}
    agent = lab.start(mappings=[MAPPING, own])
    host, outside = lab.host("10.0.64.3"), "203.0.113.19"
    agent.ctl("trace", "start", "--in", host.addr)
    lab.inside.send(lab.from_inside(host, Raw(bytes(32)), proto=47))
    lab.outside.packet()
    lab.outside.send(lab.from_outside(outside, Raw(bytes(32)), proto=47))
    lab.inside.packet()
    up, down = traces(agent, 2)
    assert seen(up) == ("in0", "xdp", "in2out_translated") and seen(down) == ("out0", "xdp", "out2in_translated")
    assert ends(up) == ((f"{host.addr}:0", f"{SERVER}:0"), (f"{outside}:0", f"{SERVER}:0"))
    assert ends(down) == ((f"{SERVER}:0", f"{outside}:0"), (f"{SERVER}:0", f"{host.addr}:0"))
    assert "protocol" in steps(up) and "protocol-in" in steps(down)
    assert all("protocol 47" in details(t)["received"][0] and details(t)["subscriber"][0].startswith(host.addr) for t in (up, down))


def test_start_and_stop_lose_no_packet(lab):
    agent = lab.start()
    with Stream(lab):
        agent.ctl("trace", "start", "--count", "10000")
        wait_for(lambda: agent.ctl("trace", "show"), what="a packet of the stream")
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
    assert len(leaves(agent)) == ARRAYS, "of one set of programs alone"


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


def test_packets_that_a_trace_missed_are_reported(lab):
    """The agent is stopped while more records come than the ring buffer holds."""
    agent = lab.start()
    host = lab.host()
    lab.open_udp(host)
    agent.ctl("trace", "start", "--in", host.addr, "--count", "10000")
    agent.process.send_signal(signal.SIGSTOP)
    lab.inside.send(*[lab.from_inside(host, UDP(sport=5000, dport=53) / b"again")] * 1500)
    agent.process.send_signal(signal.SIGCONT)
    agent.ctl("trace", "stop")
    found = wait_for(lambda: re.search(r"(\d+) packets are missing from the trace", agent.log_text()), what="the log line")
    kept, sent = agent.ctl("trace", "show"), 3000 if NONE else 1500
    assert 0 < len(kept) < sent and int(found[1]) == sent - len(kept)
