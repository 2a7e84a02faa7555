# SPDX-License-Identifier: BSD-2-Clause
"""The datapath's copy of the kernel's routes: packets go where the kernel would send them, soon after every change."""

import random
import statistics
import threading
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from agent import wait_for
from lab import ROUTER, ROUTER_MAC, Host
from wire import PATIENCE

OTHER, OTHER_MAC = "198.51.100.253", "02:00:00:00:02:fd"
INNER, INNER_MAC = "10.0.0.250", "02:00:00:00:01:fa"
FAR = "203.0.113.77"

# A change is followed within this time. A busy machine may delay the test itself, so the median counts.
FOLLOWED = 0.1

# A second, beside it.
CHANGES = 1000


@pytest.fixture
def routed(lab):
    """A lab with a second router outside and one inside, a running agent, and a host with a session to FAR."""
    lab.gateway.batch(f"neigh add {OTHER} lladdr {OTHER_MAC} dev out0 nud permanent",
                      f"neigh add {INNER} lladdr {INNER_MAC} dev in0 nud permanent")
    lab.start()
    wait_for(lambda: in_force(lab), what="the copy to come into force")
    return lab


def routes(lab):
    return lab.agent.ctl("status")["routes"]


def in_force(lab):
    return routes(lab)["in_force"]


def held_by(lab):
    return routes(lab)["held_by"]


def sent_to(lab, host, dst, patience=0.5):
    """The MAC address that a packet of the host to an address leaves to; None if it does not within `patience`."""
    lab.outside.drain()
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53), dst))
    frame = lab.outside.receive(patience)
    return Ether(frame).dst if frame else None


def leaves_to(lab, host, dst):
    """The same of a packet that has to leave, however late a busy machine is."""
    return sent_to(lab, host, dst, PATIENCE)


def test_changes_are_followed_at_once(routed):
    """Of many routes, by routers, prefixes and metrics."""
    host = routed.host()
    delays = []
    generator = random.Random(7)
    for number in range(30):
        length = generator.choice((8, 16, 20, 24, 25, 31, 32))
        prefix = f"203.0.113.{77 >> (32 - length) << (32 - length) if length > 24 else 0}/{length}"
        prefix = {8: "203.0.0.0/8", 16: "203.0.0.0/16", 20: "203.0.112.0/20"}.get(length, prefix)
        metric = generator.randrange(3)
        routed.gateway.ip("route", "replace", prefix, "via", OTHER, "metric", str(metric))
        begin = time.monotonic()
        wait_for(lambda: sent_to(routed, host, FAR) == OTHER_MAC, what=f"{number}: {prefix} to be used", interval=0)
        delays.append(time.monotonic() - begin)
        routed.gateway.ip("route", "del", prefix, "metric", str(metric))
        begin = time.monotonic()
        wait_for(lambda: sent_to(routed, host, FAR) == ROUTER_MAC, what=f"{number}: {prefix} to be forgotten", interval=0)
        delays.append(time.monotonic() - begin)
    assert statistics.median(delays) < FOLLOWED, delays
    assert in_force(routed)


def test_a_thousand_changes_a_second_are_followed(routed):
    """Of other routes, by a control plane that keeps its pace, while one route changes that packets take."""
    host = routed.host()
    batches = []
    for verb, router in (("replace", OTHER), ("replace", ROUTER), ("del", OTHER)):
        via = f" via {router}" if verb == "replace" else ""
        batches.append([f"route {verb} 192.128.{number}.0/24{via}" for number in range(CHANGES // 10)])
    stop = threading.Event()
    made = []

    def churn():
        next_at = begin = time.monotonic()
        while not stop.is_set():
            for batch in batches:
                routed.gateway.batch(*batch)
                next_at += len(batch) / CHANGES
                stop.wait(max(next_at - time.monotonic(), 0))
                made.append((len(batch), time.monotonic() - begin))

    churner = threading.Thread(target=churn)
    churner.start()
    delays = []
    try:
        for wanted, mac in ((OTHER, OTHER_MAC), (ROUTER, ROUTER_MAC)) * 20:
            routed.gateway.ip("route", "replace", "203.0.113.0/24", "via", wanted)
            begin = time.monotonic()
            wait_for(lambda: sent_to(routed, host, FAR) == mac, what=f"{wanted} to be used", interval=0)
            delays.append(time.monotonic() - begin)
        wait_for(lambda: len(made) >= len(batches), what="every kind of change to be made")
    finally:
        stop.set()
        churner.join()
    count, seconds = sum(number for number, _ in made), made[-1][1]
    print(f"{count} changes in {seconds:.1f} s; followed within {statistics.median(delays):.4f} s (median), {max(delays):.3f} s at most")
    assert statistics.median(delays) < FOLLOWED, delays
    assert in_force(routed)
    # The last batch deleted all of them: nothing is left over.
    wait_for(lambda: routes(routed)["routes"] < CHANGES // 10, what="what was deleted to be forgotten")


def test_the_way_in_follows_routes_too(routed):
    """Subscribers behind a router share a next hop; one with a route of its own has another."""
    routed.gateway.ip("route", "add", "10.0.8.0/24", "via", INNER)
    behind = Host("10.0.8.5", INNER_MAC)
    port = routed.open_udp(behind, dst=FAR)

    def arrives_at(mac):
        routed.inside.drain()
        routed.outside.send(routed.from_outside(port[0], UDP(sport=53, dport=port[1]), src=FAR))
        frame = routed.inside.receive(0.5)
        return frame is not None and Ether(frame).dst == mac

    wait_for(lambda: arrives_at(INNER_MAC), what="the router to get it")
    moved = routed.host("10.0.8.5")
    routed.gateway.ip("route", "add", "10.0.8.5/32", "dev", "in0")
    wait_for(lambda: arrives_at(moved.mac), what="the host itself to get it")
    routed.gateway.ip("neigh", "replace", "10.0.8.5", "lladdr", INNER_MAC, "dev", "in0", "nud", "permanent")
    wait_for(lambda: arrives_at(INNER_MAC), what="its new MAC address to be used")
    assert in_force(routed)


def test_discarded_destinations_are_not_forwarded(routed):
    """A throw route ends the look-up in `main`, and no other table has a route."""
    host = routed.host()
    assert leaves_to(routed, host, FAR) == ROUTER_MAC
    for kind in ("blackhole", "unreachable", "prohibit", "throw"):
        routed.gateway.ip("route", "add", kind, "203.0.113.0/24")
        wait_for(lambda: sent_to(routed, host, FAR) is None, what=f"{kind} to be obeyed")
        routed.gateway.ip("route", "del", kind, "203.0.113.0/24")
        wait_for(lambda: sent_to(routed, host, FAR) == ROUTER_MAC, what=f"the end of {kind}")


def test_what_the_copy_cannot_say_holds_it(routed):
    host = routed.host()
    assert leaves_to(routed, host, FAR) == ROUTER_MAC
    routed.gateway.batch(f"route add default via {OTHER} table 100", f"rule add from {host.addr} table 100")
    wait_for(lambda: sent_to(routed, host, FAR) == OTHER_MAC, what="the rule to be followed")
    assert held_by(routed) == ["rules"]
    assert "the kernel is asked: rules" in routed.agent.text("status")
    routed.gateway.ip("rule", "del", "from", host.addr, "table", "100")
    wait_for(lambda: in_force(routed), what="the copy to be in force again")
    assert leaves_to(routed, host, FAR) == ROUTER_MAC
    routed.gateway.sysctl("net.ipv4.ip_forward_use_pmtu", 1)
    wait_for(lambda: held_by(routed) == ["path-mtu"], what="path MTUs to hold the copy")
    routed.gateway.sysctl("net.ipv4.ip_forward_use_pmtu", 0)
    wait_for(lambda: in_force(routed), what="the copy to be in force again")
    routed.gateway.sysctl("net.ipv4.conf.in0.forwarding", 0)
    wait_for(lambda: held_by(routed) == ["forwarding-off"], what="forwarding to hold the copy")
    assert sent_to(routed, host, FAR) is None
    routed.gateway.sysctl("net.ipv4.conf.in0.forwarding", 1)
    wait_for(lambda: in_force(routed), what="the copy to be in force again")
    assert leaves_to(routed, host, FAR) == ROUTER_MAC


def test_what_is_left_to_the_kernel_is_told(routed):
    routed.gateway.batch(f"route add 203.0.1.0/24 nexthop via {ROUTER} nexthop via {OTHER}",
                         f"route add 203.0.2.0/24 via {OTHER} mtu lock 1400", "route add throw 203.0.3.0/24",
                         f"route add 203.0.4.0/24 via {OTHER}", f"route append 203.0.4.0/24 via {ROUTER}")
    wait_for(lambda: routes(routed)["left_to_kernel"]["type"] == 1, what="the routes to be read")
    left = routes(routed)["left_to_kernel"]
    assert {name: left[name] for name in ("multipath", "mtu_lock", "type")} == {"multipath": 1, "mtu_lock": 1, "type": 1}
    host = routed.host()
    assert leaves_to(routed, host, "203.0.2.1") == OTHER_MAC
    assert leaves_to(routed, host, "203.0.4.1") == OTHER_MAC
    assert "3 left to the kernel" in routed.agent.text("status")


def test_a_pool_that_holds_a_gateway_is_refused(routed):
    """Gateways of multipath routes, and of other tables, too; not those of routes that are gone."""
    routed.gateway.batch("route add 203.0.1.0/24 nexthop via 198.51.100.241 nexthop via 198.51.100.242",
                         "route add 203.0.2.0/24 via 198.51.100.243 table 7", "route add 203.0.3.0/24 via 198.51.100.244")
    for gateway in ("198.51.100.242", "198.51.100.243", "198.51.100.244"):
        message = routed.agent.refused("mapping", "add", "10.9.0.0/24", f"{gateway}/32")
        assert f"holds {gateway}, the next hop of a route" in message
    routed.gateway.ip("route", "del", "203.0.3.0/24")
    routed.agent.ctl("mapping", "add", "10.9.0.0/24", "198.51.100.244/32")
    now = routes(routed)
    assert now["in_force"] or now["held_by"] == ["reading"]


def test_without_the_agent_the_kernel_is_asked_within_a_second(routed):
    host = routed.host()
    assert leaves_to(routed, host, FAR) == ROUTER_MAC
    routed.agent.kill()
    routed.gateway.ip("route", "replace", "default", "via", OTHER)
    begin = sent = time.monotonic()
    while (went := leaves_to(routed, host, FAR)) != OTHER_MAC:
        # A second for the lease, and one for what is cached by destination.
        assert went == ROUTER_MAC and sent - begin < 2.5
        sent = time.monotonic()
    routed.agent.start()
    wait_for(lambda: in_force(routed), what="the copy to come into force")
    assert leaves_to(routed, host, FAR) == OTHER_MAC
    routed.gateway.ip("route", "replace", "default", "via", ROUTER)
    wait_for(lambda: sent_to(routed, host, FAR) == ROUTER_MAC, what="the change to be followed")


def test_new_pools_and_bypassed_destinations_leave_the_copy(routed):
    host = routed.host()
    assert leaves_to(routed, host, FAR) == ROUTER_MAC
    routed.agent.write(bypass=["203.0.113.0/24"])
    routed.agent.hang_up()

    def untranslated():
        routed.outside.drain()
        routed.inside.send(routed.from_inside(host, UDP(sport=5000, dport=53), FAR))
        frame = routed.outside.receive(0.5)
        return frame is not None and Ether(frame)[IP].src == host.addr

    wait_for(untranslated, what="the destination to be bypassed")
    wait_for(lambda: in_force(routed), what="the copy to be in force again")
    assert untranslated()
    routed.agent.write(bypass=[])
    routed.agent.hang_up()
    wait_for(lambda: not untranslated(), what="the destination to be translated again")


def test_an_interface_that_goes_down_takes_its_routes_along(routed):
    """The kernel does not notify of them."""
    host = routed.host()
    routed.gateway.batch("link add out1 type veth peer name far1", "link set out1 up", "link set far1 up",
                         "addr add 192.0.2.1/24 dev out1", f"neigh add 192.0.2.2 lladdr {OTHER_MAC} dev out1 nud permanent",
                         "route add 203.0.113.0/24 via 192.0.2.2")
    wait_for(lambda: sent_to(routed, host, FAR) is None, what="the route by another interface to be used")
    routed.gateway.ip("link", "set", "out1", "down")
    wait_for(lambda: sent_to(routed, host, FAR) == ROUTER_MAC, what="the default route to be used")
    routed.gateway.ip("link", "set", "out1", "up")
    assert leaves_to(routed, host, FAR) == ROUTER_MAC
