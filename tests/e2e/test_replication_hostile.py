# SPDX-License-Identifier: BSD-2-Clause
"""What a peer that knows the key and lies, an operator and a crash do to gateways that copy sessions."""

import os
import pathlib

import pytest

from agent import wait_for
from gateways import endpoint
from liar import CHANGES, WHOLE, WHOLE_END, Liar, group, record, wide
from test_replication import listed, wait_same

pytestmark = pytest.mark.long

EIM = {"endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}


# ---- crashes


@pytest.mark.parametrize("harm", ["truncated", "garbage", "of another boot", "directory"])
def test_marks_that_are_no_marks_are_discarded_and_what_they_said_comes_again(gateways, harm):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    b.agent.kill()
    (path,) = b.agent.socket.parent.glob("replication.*")
    data = path.read_bytes()
    path.unlink()
    if harm == "truncated":
        path.write_bytes(data[:5000])
    elif harm == "garbage":
        path.write_bytes(b"\xff" * len(data))
    elif harm == "of another boot":
        path.write_bytes(data[:16] + b"0" * 36 + data[52:])
    else:
        path.mkdir()
    b.agent.start()
    gateways.wait_synchronised()
    wait_same(a, b, host)
    b.agent.check()
    late = a.host()
    a.open_udp(late)
    wait_same(a, b, late)


@pytest.mark.parametrize("survivor", ["runs", "is restarted"])
def test_a_peer_that_comes_back_without_its_tables_ends_no_session_of_which_it_was_told(gateways, survivor):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    a.agent.kill()
    gateways.wait_state("down", 1)
    a.agent.detach()
    if survivor == "is restarted":
        b.agent.kill()
        b.agent.start()
    assert listed(b, host)
    a.agent.start()
    gateways.wait_synchronised()
    # It has what it has lost again, from the other one.
    wait_same(b, a, host)
    gateways.wait_copied(0, 1)
    gateways.wait_copied(1, 0)
    for lab in (a, b):
        lab.agent.check()


def test_sessions_of_a_mapping_that_drains_and_comes_again_are_copied(gateways):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    a.agent.ctl("mapping", "del", "10.0.0.0/18", "1.1.1.0/30", "--drain", "600")
    a.agent.ctl("mapping", "add", "10.0.0.0/18", "1.1.1.4/30")
    a.agent.ctl("mapping", "del", "10.0.0.0/18", "1.1.1.4/30")
    a.agent.ctl("mapping", "add", "10.0.0.0/18", "1.1.1.0/30")
    late = a.host()
    a.open_udp(late)
    wait_same(a, b, late)
    wait_same(a, b, host)
    gateways.wait_synchronised()


# ---- a peer that lies


@pytest.fixture
def liar(gateways):
    gateways.prepare(0).start()
    with Liar(gateways) as it:
        yield it
    gateways.a.agent.check()


def test_a_liars_payloads_end_its_connection_and_nothing_else(gateways, liar):
    for payloads in liar.lies():
        liar.connect()
        for kind, payload in payloads:
            liar.send(kind, payload)
        liar.alive()
        assert liar.is_closed(), payloads
        gateways.a.agent.check()
    assert gateways.a.sessions() == []


def test_a_liars_sessions_are_those_that_a_subscriber_could_have_had(gateways, liar):
    liar.connect()
    liar.flood(200)
    liar.alive()
    assert not liar.is_closed(), gateways.a.agent.log_end()
    gateways.a.agent.check()
    liar.close()
    a = gateways.a
    a.agent.check()
    a.open_udp(a.host("10.0.63.254"))


def processor_seconds(agent):
    user, system = pathlib.Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


SMALL = {
    "empty ranges": lambda liar: (WHOLE, wide(liar.mapping, 0, 1 << 16)),
    "tables": lambda liar: liar.table_frame,
    "ends of copies": lambda liar: (WHOLE_END, b""),
}


@pytest.mark.parametrize("what", SMALL)
def test_small_frames_that_ask_for_much_cost_little(gateways, what):
    """Frames of some 60 octets: a range of all subscribers, say, of whom the peer has told something."""
    agent = gateways.prepare(0, mappings=[{"in": "10.0.0.0/16", "out": "1.1.0.0/20"}]).start()
    with Liar(gateways) as liar:
        liar.connect()
        liar.send(*liar.table_frame)
        for subscriber in range(0, 1 << 16, 1 << 12):
            liar.send(CHANGES, group(liar.mapping, subscriber, record(0xC633640700350050, 1000, 17, 1, 5)))
        liar.alive()
        assert not liar.is_closed()
        before = processor_seconds(agent)
        for _ in range(500):
            liar.send(*SMALL[what](liar))
        liar.alive()
        assert not liar.is_closed()
    spent = processor_seconds(agent) - before
    assert spent < 0.5, spent
    agent.check()


def test_only_a_frame_of_this_conversation_is_taken_and_none_twice(gateways, liar):
    recorded = []
    liar.connect(recorded)
    liar.send(*liar.table_frame)
    liar.alive()
    assert not liar.is_closed()
    liar.close()
    # What was recorded, again: the proof is of another conversation.
    liar.replay(recorded)
    assert liar.is_closed()
    liar.connect()
    liar.send(*liar.table_frame)
    liar.send(200, b"", skip=1)
    assert liar.is_closed()
    liar.connect()
    liar.alive()
    assert not liar.is_closed()
    liar.socket.sendall(b"\xff" * 64)
    assert liar.is_closed()


def descriptors(agent):
    return len(list(pathlib.Path(f"/proc/{agent.process.pid}/fd").iterdir()))


def test_two_hundred_connections_of_a_peer_leave_no_descriptors_behind(gateways, liar):
    agent = gateways.a.agent
    liar.connect()
    liar.alive()
    assert not liar.is_closed()
    before = descriptors(agent)
    for _ in range(200):
        liar.connect()
        liar.send(*liar.table_frame)
        liar.alive()
        assert not liar.is_closed()
    assert descriptors(agent) <= before + 4


# ---- operators


def test_peers_that_cannot_be_are_refused_with_a_reason(gateways):
    agent = gateways.prepare(0)
    for peers, reason in (([endpoint(0)], "is this gateway itself"), ([endpoint(1), endpoint(1)], "is in this list already"),
                          (["[2001:db8::1]:9470"], "must be the address and port"), (["gateway-b:9470"], "must be the address and port"),
                          ([], "replication.peers"), (["224.0.0.1:9470"], "is not an address of a single gateway"),
                          (["1.1.1.1:9470"], "is a pool address")):
        agent.write(replication=gateways.replication(0, peers=peers))
        refused = agent.once("-t")
        assert refused.status == 2 and reason in refused.err, (peers, refused)


def test_reloads_while_sessions_are_copied_leave_both_gateways_in_order(gateways):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    for change in ({"session_slots": 64}, {"timeouts": {"udp": 40}}, {"session_slots": 128}, {"sessions_per_user": 20}):
        for lab in (a, b):
            lab.agent.write(**change)
            lab.agent.command("reload")
            lab.agent.check()
    gateways.wait_synchronised()
    a.open_udp(host, 6001)
    wait_same(a, b, host)


def test_an_address_that_disappears_and_a_key_that_is_replaced(gateways):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    a.gateway.ip("addr", "del", "192.0.2.1/24", "dev", "sync0")
    gateways.wait_state("down")
    a.agent.ctl("status")
    a.gateway.ip("addr", "add", "192.0.2.1/24", "dev", "sync0")
    gateways.wait_synchronised()
    for number, key in ((0, bytes(32)), (1, bytes(32))):
        gateways.key_file(number, key)
        gateways.labs[number].agent.ctl("reload")
    gateways.wait_synchronised()
    assert listed(a, host) == listed(b, host) != []


# ---- other features


def test_a_flush_at_either_gateway_and_moves_leave_both_in_order(gateways):
    a, b = gateways.start().labs
    host = a.host()
    a.open_udp(host)
    wait_same(a, b, host)
    # Of a copy: it ends at its owner, too.
    b.agent.ctl("session", "flush", host.addr)
    wait_for(lambda: listed(a, host) == [], what="the end at the owner", interval=0.05)
    gateways.b.agent.ctl("peer", "resync", endpoint(0))
    a.open_udp(host)
    wait_same(a, b, host)
    for lab in (a, b):
        lab.agent.ctl("user", "move", host.addr, "1.1.9.0/28", "--drain", "600")
    gateways.wait_synchronised()
    wait_same(a, b, host)
    for lab in (a, b):
        lab.agent.check()
    a.agent.ctl("session", "flush", host.addr)
    wait_for(lambda: listed(b, host) == [], what="the end of the copy", interval=0.05)
    for lab in (a, b):
        lab.agent.check()


@pytest.mark.parametrize("config", [{}, EIM], ids=["endpoint-dependent", "endpoint-independent"])
def test_a_full_quota_is_exact_and_a_split_brain_settles(gateways, config):
    a, b = gateways.start(sessions_per_user=8, **config).labs
    host = a.host()
    b.host(host.addr)
    gateways.link("down")
    gateways.wait_state("down")
    for port in range(6):
        a.open_udp(host, 5000 + port)
        b.open_udp(host, 7000 + port)
    gateways.link("up")
    gateways.wait_synchronised()
    wait_for(lambda: len(listed(a, host)) == len(listed(b, host)) == 8, what="full quotas", interval=0.05)
    for lab in (a, b):
        lab.agent.check()
    assert gateways.peer(0)["sessions_refused"] > 0
