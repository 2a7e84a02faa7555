# SPDX-License-Identifier: BSD-2-Clause
"""Pools that become on-link here are announced, so that hosts of the link forget the gateway that had them before."""

import collections
import time

import pytest
from scapy.layers.l2 import ARP, Ether

from agent import wait_for
from lab import MAPPING, OUT_MAC
from wire import ETH_ARP

BROADCAST = "ff:ff:ff:ff:ff:ff"
ON_LINK = {"in": "10.1.0.0/24", "out": "198.51.100.64/30"}
ALL = {f"198.51.100.{n}" for n in range(64, 68)}


def announced(lab, seconds):
    """Times at which each address was announced."""
    times, end = collections.defaultdict(list), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        frame = lab.outside.receive(left, kinds=(ETH_ARP,))
        if frame is None:
            break
        arp = Ether(frame)[ARP]
        if arp.psrc != arp.pdst:
            continue
        assert len(frame) == 60 and (Ether(frame).dst, Ether(frame).src, arp.hwsrc, arp.op) == (BROADCAST, OUT_MAC, OUT_MAC, 1)
        assert (arp.hwtype, arp.ptype, arp.hwlen, arp.plen, arp.hwdst) == (1, 0x0800, 6, 4, "00:00:00:00:00:00")
        times[arp.psrc].append(time.monotonic())
    return dict(times)


def assert_thrice(times, addresses):
    assert set(times) == set(addresses)
    for addr, at in times.items():
        assert len(at) == 3, (addr, at)
        assert all(0.8 < later - sooner for sooner, later in zip(at, at[1:])), (addr, at)


def test_at_the_start_and_for_a_new_mapping(lab):
    agent = lab.start(mappings=[MAPPING, ON_LINK])
    assert_thrice(announced(lab, 6), ALL)
    agent.ctl("mapping", "add", "10.2.0.0/24", "198.51.100.80/32")
    assert_thrice(announced(lab, 6), {"198.51.100.80"})
    agent.ctl("mapping", "add", "10.3.0.0/24", "1.1.9.9/32")
    agent.ctl("mapping", "del", "10.2.0.0/24", "198.51.100.80/32")
    assert announced(lab, 3) == {}, "a routed pool has no neighbours, and one that goes is not ours to announce"


def test_when_a_link_comes_up_and_at_a_takeover(lab):
    lab.start(mappings=[MAPPING, ON_LINK])
    announced(lab, 6)
    lab.gateway.ip("link", "set", "out0", "down")
    wait_for(lambda: "out0: down" in lab.agent.log_text(), what="the agent to see the link go down")
    lab.gateway.ip("link", "set", "out0", "up")
    assert_thrice(announced(lab, 6), ALL)
    lab.gateway.ip("addr", "add", "198.51.100.3/24", "dev", "out0")
    assert_thrice(announced(lab, 6), ALL)
    lab.gateway.ip("addr", "del", "198.51.100.3/24", "dev", "out0")
    assert announced(lab, 3) == {}


def test_not_if_arp_is_not_answered(lab):
    lab.start(mappings=[MAPPING, ON_LINK], answer_arp=False)
    assert announced(lab, 3) == {}


@pytest.mark.parametrize("plen", [20, 19])
def test_more_than_4096_are_told_in_the_log_instead(lab, plen):
    lab.gateway.ip("addr", "add", "172.24.0.1/13", "dev", "out0")
    agent = lab.start(mappings=[MAPPING, {"in": "10.64.0.0/14", "out": f"172.25.0.0/{plen}"}])
    if plen == 20:
        began = time.monotonic()
        times = announced(lab, 12)
        assert len(times) == 4096
        first = sorted(at[0] for at in times.values())
        assert first[-1] - began > 7, "at most 500 a second"
    else:
        wait_for(lambda: "8192 pool addresses are new on the link, too many to be announced" in agent.log_text(), what="the line")
        assert announced(lab, 3) == {}
