# SPDX-License-Identifier: BSD-2-Clause
"""What other programs do to the tc hooks shows no inside address: they delete the qdisc, filters or a link, or have their own."""

import contextlib
import os
import signal
import socket

import pytest

import frame_flood
import isolation
import netns
import tc_programs
from agent import wait_for
from lab import SERVER
from scapy.layers.inet import UDP
from test_guard import interfaces, make_out0_again, set_up_out0

MARK = b"MARK-OUT"


@contextlib.contextmanager
def flooded(lab, lost=0, leaked=0):
    """Traffic of a subscriber. At most so many of its packets may get lost, or appear outside with its address."""
    host = lab.host("10.0.0.9")
    plain = socket.inet_aton(host.addr) + socket.inet_aton(SERVER)
    sniffer = frame_flood.Sniffer(lab.outside_ns)
    seen = [0, 0]

    def see():
        for k, n in enumerate(sniffer.count(plain, MARK)):
            seen[k] += n
        return seen[1]

    with frame_flood.Flood(lab.inside_ns, "eth0", lab.from_inside(host, UDP(sport=5000, dport=53) / MARK)) as flood:
        flood.wait(100)
        yield flood.wait
        flood.wait(200)
    with contextlib.suppress(AssertionError):
        wait_for(lambda: see() >= flood.sent - lost, timeout=5, what="the last packets")
    sniffer.close()
    assert seen[1] >= flood.sent - lost, f"{flood.sent - seen[1]} of {flood.sent} packets got lost: {lab.agent.running() and lab.agent.counters()}"
    assert seen[0] <= leaked, f"{seen[0]} of {flood.sent} packets left with an inside source"
    lab.leaked = seen[0]


def delete_everything(lab):
    """As scripts and other programs do that set up filters of their own."""
    for name in ("in0", "out0"):
        lab.gateway.run("tc", "qdisc", "del", "dev", name, "clsact", check=False)
        lab.gateway.run("tc", "qdisc", "add", "dev", name, "clsact")
        lab.gateway.run("tc", "filter", "del", "dev", name, "egress")
        lab.gateway.run("tc", "qdisc", "del", "dev", name, "clsact")


MODES = pytest.mark.parametrize("mode", [{"forwarding": "kernel"}, {"xdp_mode": "none"}, {"xdp_mode": "tc"}], ids=["kernel", "none", "tc"])
ENDS = {"with an agent": lambda agent: None, "killed": lambda agent: agent.kill(), "ended": lambda agent: agent.stop()}


@pytest.mark.parametrize("end", ENDS)
@MODES
def test_deletion_of_the_qdisc_takes_nothing_away(lab, mode, end, monkeypatch):
    agent = lab.start(**mode)
    # The kernel itself loses some that are under way when a qdisc goes: those of a few milliseconds.
    monkeypatch.setattr(frame_flood, "PAUSE", 0.002)
    with flooded(lab, lost=30) as wait:
        ENDS[end](agent)
        delete_everything(lab)
        wait(200)
    assert tc_programs.linked(lab.gateway, "out0", "egress") == ["tc_outside"]


def start_with_filters(lab, **config):
    with isolation.hidden_mounts():
        agent = lab.start(**config)
    assert tc_programs.linked(lab.gateway, "out0", "egress") == [] and tc_programs.filtered(lab.gateway, "out0", "egress")
    return agent


@MODES
def test_a_link_takes_over_from_a_filter_with_no_packet_lost_or_translated_twice(lab, mode):
    agent = start_with_filters(lab, unmatched="drop", **mode)
    with flooded(lab) as wait:
        agent.kill()
        agent.start()
        wait(100)
    for side in ("ingress", "egress"):
        assert tc_programs.filtered(lab.gateway, "out0", side) == []
    assert tc_programs.linked(lab.gateway, "out0", "egress") == ["tc_outside"]
    assert agent.ctl("check")["findings"] == [] and not list(agent.pins.glob("v*/takeover*"))


@MODES
def test_a_link_that_somebody_detaches_is_noticed_and_comes_back(lab, mode):
    agent = lab.start(**mode)
    tc_programs.detach(lab.gateway, "out0", "egress")
    wait_for(lambda: tc_programs.linked(lab.gateway, "out0", "egress") == ["tc_outside"], timeout=20, what="the link")
    lab.settle()  # the guard opens after that
    with flooded(lab):
        pass
    assert "detnat's programs were detached by something else" in agent.log_text()
    assert agent.ctl("check")["findings"] == []


def test_links_of_an_interface_that_is_gone_go_with_it(lab):
    agent = lab.start(forwarding="kernel")

    def pins():
        return sorted(p.name for p in agent.pins.glob("v*/tcx_*"))

    def make_again():
        lab.gateway.ip("link", "del", "out0")
        make_out0_again(lab)

    before = pins()
    assert len(before) == 1
    make_again()
    wait_for(lambda: len(pins()) == 1 and pins() != before, timeout=20, what="the link of the new interface")
    before = pins()
    agent.kill()
    make_again()
    agent.start()
    assert len(pins()) == 1 and pins() != before
    with flooded(lab):
        pass


@pytest.mark.parametrize("end", ["with an agent", "killed"])
@MODES
def test_an_interface_in_another_namespace_keeps_no_link_and_is_taken_up_when_it_is_back(lab, mode, end):
    agent = lab.start(**mode)
    other = netns.Namespace(lab.gateway.name + "-other")
    lab.at_end(other.delete)
    ENDS[end](agent)
    lab.gateway.ip("link", "set", "out0", "netns", other.name)
    if end == "killed":
        agent.start()
    wait_for(lambda: all(tc_programs.linked(other, "out0", side) == [] for side in ("ingress", "egress")), what="the links to go")
    assert interfaces(lab) == ["in0"]
    moved = "out0: was moved to another network namespace, where detnat's XDP program stays on it: 'ip link set out0 xdp off' there"
    assert (moved in agent.log_text()) == (end == "with an agent" and "forwarding" in mode)
    other.ip("link", "set", "out0", "netns", lab.gateway.name)
    set_up_out0(lab)
    wait_for(lambda: interfaces(lab) == ["in0", "out0"], what="the interface")
    with flooded(lab):
        pass


def test_an_unfinished_start_that_is_begun_again_lets_nothing_out(lab):
    agent = lab.prepare(forwarding="kernel")
    trace = agent.directory / "strace"

    def launch(*options):
        """A first start under strace, with the guard up before."""
        assert agent.once("--guard").status == 0
        agent.prefix = ("strace", "-f", "-q", "-o", trace, "-e", "trace=sendto,unlink", *options)
        agent.launch()
        agent.prefix = ()
        agent.first_line()
        for pid in open(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children", encoding="ascii").read().split():
            os.kill(int(pid), signal.SIGKILL)
        agent.process.wait()
        agent.process.stdout.close()
        agent.process = None

    launch()
    agent.detach()
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines()]
    attached = next(n for n, call in enumerate(calls) if "/takeover_" in call)
    opened = next(n for n, call in enumerate(calls) if n > attached and "RTM_GETLINK" in call)
    number = sum(call.startswith("sendto(") for call in calls[:opened + 1])
    launch("-e", f"inject=sendto:signal=SIGKILL:when={number}")
    assert tc_programs.linked(lab.gateway, "out0", "egress") == ["tc_outside"] and "out0" in interfaces(lab), "killed too early"
    with flooded(lab, lost=10**6):
        agent.start()
    assert "left by an incomplete start" in agent.log_text()
    with flooded(lab):
        pass
    assert agent.ctl("check")["findings"] == []


def test_a_start_that_fails_when_all_is_attached_leaves_the_guard_shut(lab):
    agent = lab.prepare(forwarding="kernel")
    agent.socket.touch()
    assert agent.once("--guard").status == 0
    with flooded(lab, lost=10**6) as wait:
        assert "is in the way and is not a socket" in agent.once().err
        wait(100)
    assert interfaces(lab) == []


PASS, DROP = 0, 2


@pytest.mark.parametrize("pref", ["100", "300"])
@pytest.mark.parametrize("links", [True, False], ids=["links", "filters"])
@pytest.mark.parametrize("mode", [{"forwarding": "kernel"}, {"xdp_mode": "tc"}], ids=["kernel", "tc"])
def test_filters_of_others_still_see_what_is_translated(lab, mode, links, pref):
    lab.start(**mode) if links else start_with_filters(lab, **mode)
    program = tc_programs.program_of_others(DROP)
    lab.at_end(os.close, program)
    tc_programs.filter_of_others(lab.gateway, "out0", "egress", program, lab.agent.pins / "others", "pref", pref)
    host = lab.host()
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53)))
    seen_first = pref == "100" and not links and "xdp_mode" not in mode
    wait_for(lambda: seen_first or lab.agent.counters()["in2out_translated"] == 1, what="the packet to be translated")
    lab.outside.assert_silent()


@pytest.mark.parametrize("mode,places", [({"forwarding": "kernel"}, [("out0", "egress")]),
                                         ({"xdp_mode": "tc"}, [("out0", "egress"), ("in0", "ingress")])], ids=["kernel", "tc"])
def test_programs_of_others_that_pass_everything_keep_no_packet_from_being_translated(lab, mode, places):
    programs = [tc_programs.program_of_others(PASS) for _ in range(3)]
    for program in programs:
        lab.at_end(os.close, program)
    for place in places:
        lab.at_end(os.close, tc_programs.link_of_others(lab.gateway, *place, programs[0]))
    lab.start(**mode)
    for place in places:
        lab.at_end(os.close, tc_programs.link_of_others(lab.gateway, *place, programs[1]))
        tc_programs.filter_of_others(lab.gateway, *place, programs[2], lab.agent.pins / "others", "pref", "1")
    with flooded(lab):
        pass


def in_front(lab, side="egress", verdict=PASS):
    program = tc_programs.program_of_others(verdict)
    lab.at_end(os.close, program)
    return tc_programs.link_of_others(lab.gateway, "out0", side, program, front=True)


def first(lab, side="egress"):
    return tc_programs.linked(lab.gateway, "out0", side)[0]


@pytest.mark.parametrize("side", ["egress", "ingress"])
@MODES
def test_a_program_put_in_front_is_noticed_and_comes_next(lab, mode, side, monkeypatch):
    """What leaves until then is what comes in a tenth of a second, in which the agent looks."""
    if side == "ingress" and "xdp_mode" not in mode:
        pytest.skip("detnat has no program there")
    monkeypatch.setattr(frame_flood, "PAUSE", 0.01)
    agent = lab.start(**mode)
    own = first(lab, side)
    with flooded(lab, lost=10**6, leaked=30):
        lab.at_end(os.close, in_front(lab, side))
        wait_for(lambda: first(lab, side) == own, timeout=20, what="the first place")
    assert tc_programs.linked(lab.gateway, "out0", side) == [own, "of_others"]
    lab.settle()
    with flooded(lab):
        pass
    number = tc_programs.ids(lab.gateway, "out0", side)[1]
    said = f"out0: program {number} ('bpftool prog show id {number}' names it) was attached in front of detnat's at its {side}"
    assert said in agent.log_text() and said in agent.text("status")
    assert agent.ctl("check")["findings"] == [] and not list(agent.pins.glob("v*/takeover*"))


def test_a_program_put_in_front_while_no_agent_runs_comes_next_at_the_start(lab):
    agent = lab.start(forwarding="kernel")
    agent.kill()
    lab.at_end(os.close, in_front(lab))
    assert 'program "of_others"' in agent.once("--doctor").out
    agent.start()
    assert tc_programs.linked(lab.gateway, "out0", "egress") == ["tc_outside", "of_others"]
    assert 'out0: program "of_others" (id ' in agent.text("status")
    with flooded(lab):
        pass


@pytest.mark.slow
def test_a_program_that_comes_in_front_again_and_again_finds_the_guard_shut(lab):
    agent = lab.start(forwarding="kernel")
    links = [in_front(lab)]

    def fight():
        """Once each time that detnat is first; true when the agent has given up."""
        if first(lab) == "tc_outside":
            os.close(links.pop())
            links.append(in_front(lab))
        return "the guard keeps the interface shut" in agent.text("status")

    wait_for(fight, timeout=60, interval=0.2, what="the guard to stay shut")
    with flooded(lab, lost=10**6):
        wait_for(lambda: fight() and first(lab) != "tc_outside", what="the last fight")
    os.close(links.pop())
    assert "the guard keeps it shut" in agent.command("check").out
    assert agent.command("check", "--repair").err == "detnatctl: 1 findings, all repaired\n"
    with flooded(lab):
        pass
    assert "keeps the interface shut" not in agent.text("status")


@MODES
def test_without_links_the_guard_shuts_at_once(lab, mode, monkeypatch):
    """As before Linux 6.6. So many packets is what comes while the agent is told."""
    monkeypatch.setattr(frame_flood, "PAUSE", 0.01)
    start_with_filters(lab, **mode)
    with flooded(lab, lost=10**6, leaked=10):
        lab.gateway.run("tc", "qdisc", "del", "dev", "out0", "clsact")
        wait_for(lambda: tc_programs.filtered(lab.gateway, "out0", "egress"), timeout=20, what="the filter")


def test_detach_succeeds_where_others_have_deleted_the_qdisc(lab):
    agent = start_with_filters(lab, forwarding="kernel")
    agent.stop()
    lab.gateway.run("tc", "qdisc", "del", "dev", "out0", "clsact")
    agent.detach()
