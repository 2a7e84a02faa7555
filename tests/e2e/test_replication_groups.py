# SPDX-License-Identifier: BSD-2-Clause
"""Copies of sessions in mappings that drain, among three gateways, and what collectors are told of them."""

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from gateways import Gateways, endpoint
from ipfix_tools import Collector as IpfixCollector
from lab import MAPPING, SERVER, block_of
from test_drain import NEW, goes_on, state
from test_replication import listed, wait_same
from test_syslog import Collector


@pytest.fixture
def gateways(run_directory, request):
    it = Gateways(run_directory, getattr(request, "param", 2))
    try:
        yield it
    finally:
        it.close()


def die(lab):
    """Agent and links of a gateway end; what forwards between the others stays."""
    lab.agent.kill()
    lab.agent = None
    for name in ("in0", "out0"):
        lab.gateway.ip("link", "set", name, "down")


def test_sessions_of_a_mapping_that_drains_on_both_go_on_when_one_dies(gateways):
    a, b = gateways.start().labs
    host = a.host()
    b.host(host.addr)
    # The ninth has no port in the group, so it is in the extent.
    block = block_of(host.addr, MAPPING)
    ports = [5000 + flow * block.ports for flow in range(9)]
    a.inside.send(*(a.from_inside(host, UDP(sport=port, dport=53) / b"query") for port in ports))
    wait_for(lambda: len(a.sessions(host.addr)) == 9, what="the sessions")
    a.outside.clear()
    a.open_udp(host, 7000, dport=54)
    wait_same(a, b, host)
    for lab in gateways.labs:
        lab.agent.ctl("mapping", "add", NEW["in"], NEW["out"], "--replace", "--drain", "600")
        assert state(lab.agent) == [(MAPPING["out"], "draining"), (NEW["out"], "in use")]
    new = a.open_udp(host, 6000, mapping=NEW)
    # What ends in the mapping that drains ends on both.
    a.agent.ctl("session", "flush", host.addr, "--ext", f"{SERVER}:54")
    wait_for(lambda: len(listed(b, host)) == 10 and listed(a, host) == listed(b, host), what="the same sessions on both", interval=0.05)
    gateways.wait_synchronised()
    die(a)
    gateways.wait_state("down", 1)
    for session in b.sessions(host.addr):
        goes_on(b, host, session["in_port"], (session["out_addr"], session["out_port"]))
    assert new in [(s["out_addr"], s["out_port"]) for s in b.sessions(host.addr)]
    assert b.agent.counters()["sessions_opened"] == 0
    b.agent.check()


@pytest.mark.parametrize("gateways", [3], indirect=True)
def test_the_third_gateway_has_every_session_when_the_two_others_have_died_one_after_the_other(gateways):
    a, b, c = gateways.start().labs
    host, other = a.host(), b.host("10.0.0.99")
    for lab in (b, c):
        lab.host(host.addr)
    c.host(other.addr)
    src, udp = a.handshake(host), a.open_udp(host, 6000)
    theirs = b.open_udp(other)
    for lab in (b, c):
        wait_same(a, lab, host)
    for lab in (a, c):
        wait_same(b, lab, other)
    assert [gateways.peers(2)[endpoint(n)]["copies"] for n in range(2)] == [2, 1]
    die(a)
    for number in (1, 2):
        wait_for(lambda n=number: gateways.peers(n)[endpoint(0)]["state"] == "down", what="the silence", interval=0.05)
    # The second takes over, the server speaking first; what it takes over it tells the third.
    b.tcp_in(host, src, "A", seq=501, ack=101)
    b.tcp_out(host, src, "A", seq=101, ack=502)
    goes_on(b, host, 6000, udp)

    def third_has_them_of_the_second():
        goes_on(b, host, 6000, udp)
        b.tcp_out(host, src, "A", seq=101, ack=502)
        return gateways.peers(2)[endpoint(1)]["copies"] == 3

    wait_for(third_has_them_of_the_second, what="the copies to be the second's", interval=0.1)
    # What ends at the second ends at the third, though the first has told it.
    b.agent.ctl("session", "flush", host.addr, "--proto", "udp")
    wait_for(lambda: len(listed(c, host)) == 1, what="the end", interval=0.05)
    die(b)
    gateways.wait_state("down", 2)
    c.tcp_in(host, src, "A", seq=502, ack=101)
    c.tcp_out(host, src, "A", seq=101, ack=503)
    goes_on(c, other, 5000, theirs)
    assert c.agent.counters()["sessions_opened"] == 0
    c.agent.check()


@pytest.mark.parametrize("gateways", [3], indirect=True)
def test_a_gateway_that_comes_back_learns_the_sessions_of_one_that_is_dead(gateways):
    a, b, c = gateways.start().labs
    host = a.host()
    for lab in (b, c):
        lab.host(host.addr)
    c.agent.stop()
    c.agent.detach()
    udp = a.open_udp(host, 6000)
    wait_same(a, b, host)
    die(a)
    c.agent.start()
    wait_for(lambda: listed(c, host) == listed(b, host) != [], timeout=30, what="the session of the dead one", interval=0.2)
    die(b)
    goes_on(c, host, 6000, udp)
    assert c.agent.counters()["sessions_opened"] == 0
    c.agent.check()


@pytest.mark.parametrize("how", ["killed", "reloaded"])
@pytest.mark.parametrize("gateways", [3], indirect=True)
def test_a_gateway_that_speaks_for_another_goes_on_where_its_agent_begins_anew(gateways, how):
    a, b, c = gateways.start(timeouts={"udp": 120}).labs
    host = a.host()
    for lab in (b, c):
        lab.host(host.addr)
    c.agent.stop()
    c.agent.detach()
    a.open_udp(host, 6000)
    wait_same(a, b, host)
    die(a)
    c.agent.start()
    wait_for(lambda: gateways.peers(1)[endpoint(0)]["spoken_for"] and listed(c, host) != [], timeout=30, what="the session of the dead one", interval=0.2)
    assert "tells the others of its sessions, on its behalf" in b.agent.text("peer", "list")
    begun = gateways.peers(2)[endpoint(1)]["whole_copies"], gateways.peers(1)[endpoint(2)]["whole_copies"]
    if how == "killed":
        b.agent.kill()
        b.agent.start()
    else:
        b.agent.write(replication={**b.agent.config["replication"], "interval": 2})
        b.agent.ctl("reload")

    def has_heard_all():
        assert listed(c, host), "the third has no copy for a while"
        return gateways.peers(2)[endpoint(1)]["state"] == gateways.peers(1)[endpoint(2)]["state"] == "synchronised" and (
            gateways.peers(2)[endpoint(1)]["whole_copies"] > begun[0])

    wait_for(has_heard_all, what="a whole copy after it", interval=0.05)
    assert listed(c, host) and gateways.peers(1)[endpoint(0)]["spoken_for"]
    c.agent.check()
    # Once the dead one is back it is spoken for no more.
    a.agent = None
    assert gateways.peers(1)[endpoint(0)]["state"] == "down"


def test_collectors_are_told_of_peers_and_of_the_end_of_a_copy_that_expires_not_of_its_copying(gateways):
    a, b = gateways.labs
    collector = Collector(b)
    with IpfixCollector(b) as ipfix:
        gateways.prepare(0).start()
        gateways.prepare(1, syslog={"to": collector.to, "events": ["peers"]}, ipfix={"collector": ipfix.endpoint, "events": ["sessions"]},
                         sweep_interval=1).start()
        gateways.wait_synchronised()
        message = collector.message()
        assert (message["event"], message["params"]) == ("peer-up", {"peer": endpoint(0), "state": "synchronised"})
        host = a.host()
        src = a.open_udp(host)
        wait_same(a, b, host)
        die(a)
        message = collector.message()
        assert message["event"] == "peer-down" and message["params"]["peer"] == endpoint(0) and message["params"]["reason"]
        b.agent.ctl("timeouts", "set", "udp=1")
        wait_for(lambda: listed(b, host) == [], what="the copy to expire")
        told = []

        def is_told():
            ipfix.receive(0.1)
            told[:] = [r for m in ipfix.messages for r in m.records]
            return told

        wait_for(is_told, what="its end", interval=0.1)
        assert len(told) == 1, told
        assert str(src[1]) in str(told[0])
        assert collector.silent()
    collector.socket.close()
