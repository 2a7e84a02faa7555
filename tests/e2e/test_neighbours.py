# SPDX-License-Identifier: BSD-2-Clause
"""Next hops that die or silently change their MAC address."""

import contextlib
import random
import threading
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from agent import wait_for
from lab import ROUTER, ROUTER_MAC, Host, block_of
from xdp_mode import xdp_only

OLD, NEW, OTHER = "02:00:00:00:0a:01", "02:00:00:00:0a:02", "02:00:00:00:0a:03"
FAR = "203.0.113.77"

# Without probing it took 64 s.
PATIENCE = 30


def quick(namespace, link):
    """Three requests without an answer take 0.3 s instead of 3."""
    for family in ("ipv4", "ipv6"):
        namespace.sysctl(f"net.{family}.neigh.{link}.retrans_time_ms", 100)


def live_router(namespace, address, mac=OLD):
    """The kernel at the other end of a wire is a router: it answers requests, by this MAC address."""
    namespace.ip("link", "set", "eth0", "address", mac)
    namespace.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
    namespace.ip("addr", "add", address, "dev", "eth0", *(("nodad",) if ":" in address else ()))


@contextlib.contextmanager
def traffic(wire, *frames):
    """Sends the frames repeatedly."""
    end = threading.Event()

    def send():
        while not end.wait(0.02):
            wire.send(*frames)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def sent_to(wire, mac):
    """Whether a frame to this MAC address arrives; waiting frames are read first."""
    wire.drain()
    frame = wire.receive(0.5)
    return frame is not None and Ether(frame).dst == mac


def out_by_ipv4(lab):
    live_router(lab.outside_ns, f"{ROUTER}/24")
    lab.gateway.ip("neigh", "del", ROUTER, "dev", "out0")
    host = lab.host()
    return lab.inside, [lab.from_inside(host, UDP(sport=5000, dport=53), FAR)], lab.outside_ns, lab.outside


def out_by_ipv6(lab):
    """RFC 8950: an IPv4 route by an IPv6 next hop."""
    live_router(lab.outside_ns, "fe80::fe/64")
    lab.gateway.sysctl("net.ipv6.conf.out0.disable_ipv6", 0)
    lab.gateway.ip("route", "add", "203.0.113.0/24", "via", "inet6", "fe80::fe", "dev", "out0")
    host = lab.host()
    return lab.inside, [lab.from_inside(host, UDP(sport=5000, dport=53), FAR)], lab.outside_ns, lab.outside


def in_by_ipv4(lab):
    live_router(lab.inside_ns, "10.0.0.254/16")
    lab.gateway.ip("route", "add", "10.0.5.0/24", "via", "10.0.0.254")
    host = Host("10.0.5.5", OLD)
    src = block_of(host.addr).first_choice(5000)
    packet = lab.from_inside(host, UDP(sport=5000, dport=53))
    lab.inside.send(packet)
    lab.outside.expect(lab.going_out(packet, src))
    return lab.outside, [lab.from_outside(src[0], UDP(sport=53, dport=src[1]))], lab.inside_ns, lab.inside


def by_policy(lab, forward):
    lab.gateway.run("nft", "add", "table", "ip", "fw")
    lab.gateway.run("nft", "add", "chain", "ip", "fw", "f", "{ type filter hook forward priority 0; " + forward + "; }")


# ROUTER and host on a link: neither is in the table of neighbours, and what the kernel forwards is dropped before it would ask for them.
@xdp_only
@pytest.mark.parametrize("way, mode", [(out_by_ipv4, "native"), (out_by_ipv4, "skb"), (out_by_ipv6, "native"), (in_by_ipv4, "native")])
def test_a_next_hop_is_resolved_whatever_the_firewall_drops(lab, way, mode):
    lab.start(xdp_mode=mode, stages=2 if mode == "native" else 1)
    wire, frames, namespace, to = way(lab)
    by_policy(lab, "policy drop")
    for link in ("in0", "out0"):
        lab.gateway.ip("neigh", "flush", "dev", link, "nud", "all")
    with traffic(wire, *frames):
        wait_for(lambda: sent_to(to, OLD), what="the next hop to be resolved")
        link = "out0" if to is lab.outside else "in0"
        lab.gateway.ip("link", "set", link, "down")
        lab.gateway.ip("link", "set", link, "up")
        if to is lab.outside:
            lab.gateway.ip("route", "replace", "default", "via", ROUTER)
            if way is out_by_ipv6:
                lab.gateway.ip("route", "replace", "203.0.113.0/24", "via", "inet6", "fe80::fe", "dev", "out0")
        else:
            lab.gateway.ip("route", "replace", "10.0.5.0/24", "via", "10.0.0.254")
        wait_for(lambda: sent_to(to, OLD), what="it to be resolved after its link was down")


# What the kernel forwards by itself, it probes at its own pace.
@pytest.mark.parametrize("way", [pytest.param(out_by_ipv4, marks=xdp_only), pytest.param(out_by_ipv6, marks=xdp_only), in_by_ipv4])
def test_a_router_that_silently_changes_its_mac_address_is_noticed(lab, way):
    lab.start()
    quick(lab.gateway, "out0")
    quick(lab.gateway, "in0")
    sender, frames, router, receiver = way(lab)
    with traffic(sender, *frames):
        wait_for(lambda: sent_to(receiver, OLD), PATIENCE, "frames to the router")
        router.ip("link", "set", "eth0", "address", NEW)
        wait_for(lambda: sent_to(receiver, NEW), PATIENCE, "frames to its new address")
    receiver.drain()


def taken_by(lab, frames):
    """By inside endpoint and destination, the MAC addresses that rounds of frames are sent to; who sends first changes."""
    taken = {}
    for seed in range(10):
        lab.outside.drain()
        lab.inside.send(*random.Random(seed).sample(frames, len(frames)))
        for _ in frames:
            packet = Ether(lab.outside.receive(2))
            taken.setdefault((packet[IP].src, packet[UDP].sport, packet[IP].dst), set()).add(packet.dst)
        time.sleep(0.4)
    return taken


@xdp_only
@pytest.mark.parametrize("stages", [1, 2])
def test_a_flow_keeps_its_path_of_several(lab, stages):
    """Which next hop of a multipath route the packets of a flow take does not depend on who else sends to the same address."""
    lab.start(stages=stages)
    lab.gateway.batch(f"neigh add 198.51.100.253 lladdr {OTHER} dev out0 nud permanent",
                      f"route replace default nexthop via {ROUTER} nexthop via 198.51.100.253")
    hosts = [lab.host() for _ in range(12)]
    taken = taken_by(lab, [lab.from_inside(host, UDP(sport=5000, dport=53), f"203.0.113.{n}") for host in hosts for n in range(1, 9)])
    assert len(taken) == len(hosts) * 8
    assert [flow for flow, macs in taken.items() if len(macs) > 1] == []
    assert set.union(*taken.values()) == {ROUTER_MAC, OTHER}


@xdp_only
def test_a_dead_router_gets_no_more_packets_if_there_is_another(lab):
    """With fib_multipath_use_neigh the kernel selects among several next hops when a neighbour has failed."""
    lab.start()
    quick(lab.gateway, "out0")
    live_router(lab.outside_ns, f"{ROUTER}/24")
    lab.gateway.sysctl("net.ipv4.fib_multipath_use_neigh", 1)
    lab.gateway.batch(f"neigh del {ROUTER} dev out0", f"neigh add 198.51.100.253 lladdr {OTHER} dev out0 nud permanent",
                      f"route replace default nexthop via {ROUTER} nexthop via 198.51.100.253")
    host = lab.host()
    frames = [lab.from_inside(host, UDP(sport=5000 + i % 15, dport=53), f"203.0.113.{i}") for i in range(1, 33)]

    def served():
        """The MAC addresses that one round of flows is sent to."""
        lab.outside.drain()
        lab.inside.send(*frames)
        return {Ether(lab.outside.receive(1) or bytes(14)).dst for _ in frames}

    wait_for(lambda: served() == {OLD, OTHER}, PATIENCE, "both routers to serve")
    lab.outside_ns.ip("addr", "del", f"{ROUTER}/24", "dev", "eth0")
    wait_for(lambda: served() == {OTHER}, PATIENCE, "the dead router to get nothing more")
