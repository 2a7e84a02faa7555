# SPDX-License-Identifier: BSD-2-Clause
"""tc that routes and sends in place of XDP: by `xdp_mode`, or by the choice of `auto`; and the change from the one to the other."""

import threading

import pytest
from scapy.layers.inet import UDP

import packets
from agent import wait_for
from lab import IN_MAC, block_of
from test_ctl_trace import seen, steps, traces
from test_history import attach_foreign_program
from xdp_mode import xdp_only

pytestmark = xdp_only

REASON = "XDP on {} (veth) would cut large frames"

TC = {"in0": "tc", "out0": "tc"}
NATIVE = {"in0": "native", "out0": "native"}


def modes_of(lab):
    return {i["name"]: i["xdp"] for i in lab.agent.ctl("interface", "list")}


def works(lab, host, src):
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"out"), src)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"in"), host, 5000)


def test_tc_sends_and_no_interface_has_xdp(lab):
    lab.start(xdp_mode="tc")
    assert modes_of(lab) == TC
    assert not any("xdp" in lab.gateway.ip("link", "show", name) for name in TC)
    host = lab.host()
    works(lab, host, lab.open_udp(host))
    assert lab.agent.counters()["passed_untranslated"] == 0, "the kernel forwarded"


def test_auto_has_tc_send_on_a_veth_and_says_why(lab):
    lab.start(xdp_mode="auto")
    listed = {i["name"]: (i["xdp"], i["xdp_reason"], i["forwarding"]) for i in lab.agent.ctl("interface", "list")}
    assert listed == {name: ("tc", REASON.format(name), "redirect") for name in TC}
    assert not any("xdp" in lab.gateway.ip("link", "show", name) for name in TC)
    assert REASON.format("in0") in lab.agent.text("interface", "list")
    host = lab.host()
    works(lab, host, lab.open_udp(host))
    assert lab.agent.counters()["passed_untranslated"] == 0, "the kernel forwarded"


@pytest.mark.parametrize("config", [{"xdp_mode": "native"}, {"xdp_mode": "auto", "forwarding": "kernel"}], ids=["native", "kernel"])
def test_native_and_the_kernel_s_forwarding_mean_xdp_as_ever(lab, config):
    lab.start(**config)
    assert modes_of(lab) == NATIVE and "xdp" in lab.gateway.ip("link", "show", "in0")


@pytest.mark.parametrize("mode", ["tc", "auto"])
def test_a_restart_keeps_sessions(lab, mode):
    agent = lab.start(xdp_mode=mode)
    host = lab.host()
    src = lab.open_udp(host)
    agent.stop()
    agent.start()
    assert modes_of(lab) == TC
    works(lab, host, src)


@pytest.mark.parametrize("inside,outside", [("tc", "none"), ("none", "tc"), ("tc", "native"), ("native", "tc")])
def test_interfaces_of_several_modes_send_to_each_other(lab, inside, outside):
    lab.start(interfaces={"inside": [{"name": "in0", "xdp_mode": inside}], "outside": [{"name": "out0", "xdp_mode": outside}]})
    assert modes_of(lab) == {"in0": inside, "out0": outside}
    host, other = lab.host(), lab.host()
    with lab.counting():
        works(lab, host, lab.open_udp(host))
        lab.handshake(host)
    # A hairpin, both of whose ends are at one interface.
    out, back = block_of(host.addr).first_choice(7000), block_of(other.addr).first_choice(8000)
    lab.inside.send(lab.from_inside(other, UDP(sport=8000, dport=out[1]), dst=out[0]))
    packet = lab.from_inside(host, UDP(sport=7000, dport=back[1]) / b"hairpin", dst=back[0])
    lab.inside.send(packet)
    lab.inside.expect(packets.translated(packet, (IN_MAC, other.mac), src=out, dst=(other.addr, 8000)))


class Steady:
    """A packet each two milliseconds, each of which must arrive."""

    def __init__(self, wire, far, packet, translated):
        self.wire, self.far, self.packet, self.translated = wire, far, packet, translated
        self.ended, self.sent = threading.Event(), 0
        self.thread = threading.Thread(target=self.send)

    def send(self):
        while not self.ended.wait(0.002):
            self.wire.send(self.packet)
            self.sent += 1

    def end(self):
        self.ended.set()
        self.thread.join()

    def expect_all(self):
        for n in range(self.sent):
            assert self.translated(self.far.packet()), f"{n} of {self.sent}"


@pytest.mark.parametrize("restarts", [False, True], ids=["reload", "restart"])
@pytest.mark.parametrize(
    "modes,inwards", [(("native", "tc"), False), (("native", "tc"), True), (("tc", "native"), False), (("tc", "native"), True)],
    ids=["to tc, outwards", "to tc, inwards", "to XDP, outwards", "to XDP, inwards"])
def test_from_one_to_the_other_no_packet_is_lost(lab, modes, restarts, inwards):
    agent = lab.start(xdp_mode=modes[0])
    host = lab.host()
    src = lab.open_udp(host)
    if inwards:
        packet = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"steady")
        steady = Steady(lab.outside, lab.inside, packet, lambda p: p[UDP].dport == 5000)
    else:
        packet = lab.from_inside(host, UDP(sport=5000, dport=53) / b"steady")
        steady = Steady(lab.inside, lab.outside, packet, lambda p: p[UDP].sport == src[1])
    steady.thread.start()
    try:
        agent.write(xdp_mode=modes[1])
        if restarts:
            agent.stop()
            agent.start()
        else:
            agent.ctl("reload")
        wait_for(lambda: modes_of(lab) == (TC if modes[1] == "tc" else NATIVE), what="the other programs")
        some = steady.sent
        wait_for(lambda: steady.sent > some + 50, what="packets behind the change")
    finally:
        steady.end()
    steady.expect_all()


def test_xdp_programs_of_others_run_before_it(lab):
    """XDP is theirs, and tc is detnat's."""
    attach_foreign_program(lab, "in0")
    attach_foreign_program(lab, "out0")
    before = {name: lab.gateway.ip("-d", "link", "show", name) for name in TC}
    agent = lab.start(xdp_mode="tc")
    assert modes_of(lab) == TC
    host = lab.host()
    with lab.counting():
        works(lab, host, lab.open_udp(host))
    assert {name: lab.gateway.ip("-d", "link", "show", name) for name in TC} == before
    assert agent.ctl("check")["findings"] == []


def test_it_is_shown_and_explained_as_any_other(lab):
    """Counters, `trace`, `explain` and `check`."""
    agent = lab.start(xdp_mode="tc")
    host = lab.host()
    with lab.counting(in2out_translated=1, sessions_opened=1):
        src = lab.open_udp(host)
    agent.ctl("trace", "start")
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"traced"), src)
    (trace,) = traces(agent, 1, lambda agent: agent.ctl("trace", "show"))
    agent.ctl("trace", "stop")
    assert seen(trace) == ("in0", "ingress", "in2out_translated"), trace
    assert steps(trace)[-2:] == ["redirect", "sent"], trace
    shown = agent.text("explain", host.addr)
    assert "out0" in shown or src[0] in shown
    assert agent.ctl("check")["findings"] == []
    # A packet that must be dropped has the same reason as at XDP.
    with lab.counting(drop_no_session=1):
        lab.outside.send(lab.from_outside(src[0], UDP(sport=54, dport=src[1])))
    lab.inside.assert_silent()
