# SPDX-License-Identifier: BSD-2-Clause
"""
Two gateways under random traffic, part of it of the same subscribers, while their link is cut again and again. CHURN=900 runs for a
quarter of an hour, with a cut each minute.
"""

import os
import random
import time

import pytest
from scapy.layers.inet import TCP, UDP

from agent import wait_for
from lab import MAPPING
from test_replication import listed

pytestmark = pytest.mark.long

CHURN = float(os.environ.get("CHURN", "8"))
PERIOD = min(60.0, CHURN / 4)  # from cut to cut
HOSTS, SHARED = 20, 4
SEED = int(os.environ.get("CHURN_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
# Sessions shall end by themselves, too.
TIMEOUTS = {"udp": 6, "tcp_established": 12, "tcp_transitory": 5, "icmp": 5}


def frames(dice, lab, hosts):
    """Packets from inside of some hundred sessions: openings, data, ends."""
    def one():
        sport, dport = dice.randrange(1024, 1600), dice.choice((53, 80, 443))
        if dice.random() < 0.5:
            return UDP(sport=sport, dport=dport) / b"churn"
        return TCP(sport=sport, dport=dport, flags=dice.choice(("S", "A", "A", "PA", "FA", "R")), seq=1, ack=1)
    return [bytes(lab.from_inside(dice.choice(hosts), one(), dst=dice.choice(("198.51.100.7", "198.51.100.8", "192.0.2.9"))))
            for _ in range(1500)]


def test_churn_and_cuts_leave_the_tables_of_both_sides_right(gateways):
    gateways.start({"min_age": 1}, timeouts=TIMEOUTS, sweep_interval=1)
    dice = random.Random(SEED)
    shared = [f"10.0.9.{n}" for n in range(1, SHARED + 1)]
    sent = []
    for number, lab in enumerate(gateways.labs):
        own = [lab.host(f"10.0.{number}.{n}") for n in range(1, HOSTS + 1)]
        sent.append(frames(dice, lab, own + [lab.host(addr) for addr in shared]))
    began = time.monotonic()
    cut_at, cuts, most = began + PERIOD, 0, 0
    while time.monotonic() - began < CHURN:
        for lab, packets in zip(gateways.labs, sent):
            lab.inside.send(*dice.sample(packets, 150))
            lab.outside.clear()
            if dice.random() < 0.05:
                lab.agent.command("session", "flush", dice.choice(shared))
        most = max(most, *(peer["copies"] for peer in map(gateways.peer, range(2))))
        if time.monotonic() >= cut_at:
            # Longer than silence that is taken for a failure, and sometimes shorter.
            gateways.link("down")
            time.sleep(dice.choice((0.2, 4)))
            gateways.link("up")
            cuts, cut_at = cuts + 1, time.monotonic() + PERIOD
    gateways.wait_synchronised()
    for lab in gateways.labs:
        lab.agent.check()
    # What is still there of either's own is the other's, or the other refuses it for a session of its own.
    host, other = (lab.host(f"10.0.{number}.99") for number, lab in enumerate(gateways.labs))
    a, b = gateways.labs
    a.open_udp(host)
    b.open_udp(other)
    wait_for(lambda: listed(a, host) == listed(b, host) != [], what="the same sessions on both", interval=0.05)
    wait_for(lambda: listed(a, other) == listed(b, other) != [], what="the same sessions on both", interval=0.05)
    figures = [gateways.peer(number) for number in range(2)]
    assert cuts and most, (cuts, most)
    print(f"seed {SEED}: {cuts} cuts in {CHURN:.0f} s, up to {most} copies, whole copies {[f['whole_copies'] for f in figures]}, "
          f"received {[f['sessions_received'] for f in figures]}, refused {[f['sessions_refused'] for f in figures]}")


NEXT = {"in": "10.1.0.0/24", "out": "1.1.2.0/30"}
CUSTOMER = {"in": "10.0.0.64/28", "out": "1.1.3.0/32"}


def test_mappings_that_come_and_go_one_gateway_after_the_other_leave_both_in_order(gateways):
    """Under traffic of their subscribers: added and deleted on one gateway first, then on the other, in any order."""
    gateways.start({"min_age": 1}, timeouts=TIMEOUTS, sweep_interval=1)
    dice = random.Random(SEED)
    labs = gateways.labs
    addresses = (("10.0.0.9", "10.0.0.70", "10.1.0.5"), ("10.0.0.10", "10.0.0.71", "10.1.0.6"))
    sent = [frames(dice, lab, [lab.host(addr) for addr in own]) for lab, own in zip(labs, addresses)]
    has = [set(), set()]
    for _ in range(int(CHURN) * 2):
        number = dice.randrange(2)
        mapping = dice.choice((NEXT, CUSTOMER))
        verb = "del" if mapping["in"] in has[number] else "add"
        labs[number].agent.ctl("mapping", verb, mapping["in"], mapping["out"])
        has[number] ^= {mapping["in"]}
        for lab, packets in zip(labs, sent):
            lab.inside.send(*dice.sample(packets, 100))
            lab.outside.clear()
    # Alike in the end.
    for mapping in (NEXT, CUSTOMER):
        for number, lab in enumerate(labs):
            if mapping["in"] not in has[number]:
                lab.agent.ctl("mapping", "add", mapping["in"], mapping["out"])
    gateways.wait_synchronised()
    assert gateways.peer(0)["mapping_digest"] == gateways.peer(1)["mapping_digest"]
    a, b = labs
    for addr, mapping in (("10.0.0.33", MAPPING), ("10.0.0.66", CUSTOMER), ("10.1.0.77", NEXT)):
        host = a.host(addr)
        a.open_udp(host, mapping=mapping)
        wait_for(lambda h=host: listed(a, h) == listed(b, h) != [], what=f"{addr} on both, seed {SEED}", interval=0.05)
    for lab in labs:
        lab.agent.check()
