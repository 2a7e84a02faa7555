# SPDX-License-Identifier: BSD-2-Clause
"""What the outside has opened, at the gateway that takes over and again at the one that returns: sessions, and the share of them."""

import pytest
from scapy.layers.inet import TCP, UDP

from agent import wait_for
from test_bindings import ROOMY
from test_replication import wait_same

FILTERS = {"endpoint_independent": {"mapping": ["udp", "tcp"], "filtering": ["udp", "tcp"], "inbound_sessions": 5}}
# Of a quota of 40, five of a hundred: the outside may open two.
CONFIG = {"mappings": [{**ROOMY, **FILTERS}], "sessions_per_user": 40}
CALLERS = [f"203.0.114.{n}" for n in range(101, 110)]


def segment(proto, sport, dport):
    return UDP(sport=sport, dport=dport) / b"call" if proto == "udp" else TCP(sport=sport, dport=dport, flags="S", seq=7)


def opens(lab, host, proto, port, dport=53):
    """Sends from an inside port; the outside endpoint that it has."""
    lab.inside.send(lab.from_inside(host, segment(proto, port, dport)))

    def has():
        return {(s["out_addr"], s["out_port"]) for s in lab.sessions(host.addr) if s["in_port"] == port and s["ext_port"] == dport}

    (src,) = wait_for(has, what="the session", interval=0.05)
    lab.outside.clear()
    return src


def calls(lab, src, host, proto, port, caller):
    """A host outside sends by itself, and arrives."""
    lab.send_in(lab.from_outside(src[0], segment(proto, 9999, src[1]), caller), host, port)


def answers(lab, src, host, proto, port, caller):
    lab.send_out(lab.from_inside(host, UDP(sport=port, dport=9999) / b"answer" if proto == "udp" else TCP(sport=port, dport=9999, flags="SA"), caller), src)


def is_refused(lab, src, proto, caller):
    with lab.counting(drop_inbound_limit=1):
        lab.outside.send(lab.from_outside(src[0], segment(proto, 9999, src[1]), caller))


def falls(gateways, number):
    gateways.labs[number].agent.kill()
    gateways.wait_state("down", 1 - number)


def comes_back(gateways, number, with_tables):
    agent = gateways.labs[number].agent
    if not with_tables:
        agent.detach()
    agent.start()
    gateways.wait_synchronised()


@pytest.mark.parametrize("with_tables", [True, False], ids=["kept", "rebooted"])
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_sessions_from_outside_go_on_and_count_where_routes_lead_and_after_the_return(gateways, proto, with_tables):
    a, b = gateways.start(**CONFIG).labs
    host = a.host()
    b.host(host.addr)
    src = opens(a, host, proto, 3074)
    calls(a, src, host, proto, 3074, CALLERS[0])
    answers(a, src, host, proto, 3074, CALLERS[0])
    assert a.agent.counters()["sessions_inbound"] == 1
    wait_same(a, b, host)
    falls(gateways, 0)

    # It goes on, and is one of the two that the outside may have.
    calls(b, src, host, proto, 3074, CALLERS[0])
    answers(b, src, host, proto, 3074, CALLERS[0])
    assert b.agent.counters()["sessions_inbound"] == b.agent.counters()["sessions_opened"] == 0
    calls(b, src, host, proto, 3074, CALLERS[1])
    assert b.agent.counters()["sessions_inbound"] == 1
    is_refused(b, src, proto, CALLERS[2])
    answers(b, src, host, proto, 3074, CALLERS[1])
    b.agent.check()

    comes_back(gateways, 0, with_tables)
    wait_same(b, a, host)
    before = a.agent.counters()["sessions_inbound"]
    falls(gateways, 1)
    for caller in CALLERS[:2]:
        calls(a, src, host, proto, 3074, caller)
        answers(a, src, host, proto, 3074, caller)
    is_refused(a, src, proto, CALLERS[2])
    assert a.agent.counters()["sessions_inbound"] == before
    # Once one of them has ended, there is room for another: sessions are counted once a tick, and the refusal has counted them.
    a.agent.ctl("session", "flush", host.addr, "--ext", f"{CALLERS[0]}:9999")

    def is_let_in():
        a.outside.send(a.from_outside(src[0], segment(proto, 9999, src[1]), CALLERS[2]))
        return a.agent.counters()["sessions_inbound"] > before

    wait_for(is_let_in, what="a tick in which they are counted", interval=0.05)
    a.inside.clear()
    calls(a, src, host, proto, 3074, CALLERS[2])
    a.agent.check()
