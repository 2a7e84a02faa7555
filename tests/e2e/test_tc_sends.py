# SPDX-License-Identifier: BSD-2-Clause
"""Where `auto` has tc send in place of XDP, and the change from the one to the other."""

import threading

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from xdp_mode import xdp_only

REASON = "XDP on {} (veth) would have the kernel cut frames of several segments"

pytestmark = xdp_only


def listed(lab):
    return {i["name"]: (i["xdp"], i["xdp_reason"], i["forwarding"]) for i in lab.agent.ctl("interface", "list")}


def has_xdp(lab, name):
    return "xdp" in lab.gateway.ip("link", "show", name)


TC = {name: ("tc", REASON.format(name), "redirect") for name in ("in0", "out0")}
NATIVE = {name: ("native", None, "redirect") for name in ("in0", "out0")}


def works(lab, host, src):
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"out"), src)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"in"), host, 5000)


def test_auto_has_tc_send_on_a_veth_and_says_why(lab):
    lab.start(xdp_mode="auto")
    assert listed(lab) == TC and not has_xdp(lab, "in0") and not has_xdp(lab, "out0")
    assert REASON.format("in0") in lab.agent.text("interface", "list")
    host = lab.host()
    works(lab, host, lab.open_udp(host))
    assert lab.agent.counters()["passed_untranslated"] == 0, "the kernel forwarded"


@pytest.mark.parametrize("config", [{"xdp_mode": "native"}, {"xdp_mode": "auto", "forwarding": "kernel"}], ids=["native", "kernel"])
def test_native_and_the_kernel_s_forwarding_mean_xdp_as_ever(lab, config):
    lab.start(**config)
    assert [i["xdp"] for i in lab.agent.ctl("interface", "list")] == ["native", "native"] and has_xdp(lab, "in0")


def test_a_restart_keeps_it(lab):
    agent = lab.start(xdp_mode="auto")
    host = lab.host()
    src = lab.open_udp(host)
    agent.stop()
    agent.start()
    assert listed(lab) == TC
    works(lab, host, src)


@pytest.mark.parametrize("restarts", [False, True], ids=["reload", "restart"])
@pytest.mark.parametrize("modes", [("native", "auto"), ("auto", "native")], ids=["to tc", "to XDP"])
def test_from_one_to_the_other_no_packet_is_lost(lab, modes, restarts):
    agent = lab.start(xdp_mode=modes[0])
    host = lab.host()
    src = lab.open_udp(host)
    ended, sent = threading.Event(), [0]
    packet = lab.from_inside(host, UDP(sport=5000, dport=53) / b"steady")
    before = agent.counters()

    def send():
        while not ended.wait(0.002):
            lab.inside.send(packet)
            sent[0] += 1

    sender = threading.Thread(target=send)
    sender.start()
    try:
        agent.write(xdp_mode=modes[1])
        if restarts:
            agent.stop()
            agent.start()
        else:
            agent.ctl("reload")
        wait_for(lambda: listed(lab) == (TC if modes[1] == "auto" else NATIVE), what="the other programs")
        some = sent[0]
        wait_for(lambda: sent[0] > some + 50, what="packets behind the change")
    finally:
        ended.set()
        sender.join()
    got = 0
    while got < sent[0]:
        assert lab.outside.packet()[UDP].sport == src[1], f"{got} of {sent[0]}"
        got += 1
    after = agent.counters()
    assert after["in2out_translated"] - before["in2out_translated"] == sent[0]
