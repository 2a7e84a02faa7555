# SPDX-License-Identifier: BSD-2-Clause
"""What leases of PCP survive, and what ends them: restarts, kills, changes of the configuration."""

import select
import socket
import struct
import time

import pytest

import pcp_client as pcp
from agent import wait_for
from lab import GATEWAY_IN, SERVER
from pcp_client import Client
from test_pcp import (BLOCK, HOST, MAPPING, PCP, UNSERVED, assert_reachable, assert_unreachable, configured, leases,
                      real_hosts)


@pytest.fixture
def own_lab(lab):
    """A lab whose hosts are kernels, not started yet."""
    real_hosts(lab)
    return lab


def test_leases_and_epoch_survive_restarts_and_kills(own_lab):
    agent = own_lab.start(**configured())
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        out = client.lease(port=8080)
        epoch = client.announce().epoch
        for end in (agent.stop, agent.kill):
            end()
            assert_reachable(own_lab, out, (HOST, 8080))
            agent.start()
            assert client.lease(port=8080) == out
            assert client.map(port=8080, nonce=bytes(12)).result == "NOT_AUTHORIZED"
            assert client.announce().epoch >= epoch
            assert len(leases(agent)) == 1


def test_a_lease_is_in_force_before_it_is_answered(own_lab):
    agent = own_lab.start(**configured())
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        out = client.lease(port=8080)
        agent.kill()
        assert_reachable(own_lab, out, (HOST, 8080))


def test_a_kill_at_any_moment_of_an_answer_leaves_a_lease_or_none(own_lab):
    agent = own_lab.start(**configured())
    for port in range(8000, 8010):
        with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
            client.send(pcp.map_request(HOST, port=port))
            agent.kill()
            answered = client.receive(0)
            agent.start()
            kept = [lease for lease in leases(agent, HOST) if lease["in_port"] == port]
            assert len(kept) <= 1 and (kept or not answered)
            again = client.lease(port=port)
            assert not answered or again == answered.out


def test_leases_end_with_their_mapping_and_the_epoch_begins_anew(own_lab):
    agent = own_lab.start(**configured(mappings=["residential", "business"]))
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client, Client(own_lab.inside_ns, UNSERVED, GATEWAY_IN) as other:
        out = client.lease()
        other.lease()
        wait_for(lambda: client.announce().epoch >= 3, what="the epoch to grow", interval=0.2)
        began = time.monotonic()
        agent.write(mappings=[MAPPING], pcp=PCP)
        agent.ctl("reload")
        assert [lease["in_addr"] for lease in leases(agent)] == [HOST]
        assert client.announce().epoch <= time.monotonic() - began + 1
        assert client.lease() == out


def test_subscribers_of_drained_addresses_are_served_as_before(own_lab):
    agent = own_lab.start(**configured())
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        out = client.lease()
        agent.ctl("pool", "drain", BLOCK.addr, "--to", "1.1.3.0/28")
        assert leases(agent) == []
        assert client.lease() == ("1.1.3.0", out[1])
        agent.ctl("user", "move", HOST, "1.1.4.4", "--name", "quarantine")
        assert client.lease()[0] == "1.1.4.4"
        agent.ctl("mapping", "del", "quarantine")
        agent.ctl("pool", "restore", BLOCK.addr)
        assert client.lease() == out


def test_a_lease_that_is_over_while_no_agent_runs_ends_with_the_next_start(own_lab):
    agent = own_lab.start(**configured(lifetime={"min": 1, "max": 86400}))
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        out, long = client.lease(port=8080, lifetime=2), client.lease(port=8081, lifetime=3600)
        over = time.monotonic() + 3
        agent.kill()
        # Its client had no server to renew it with.
        wait_for(lambda: time.monotonic() > over, what="the end of the lease")
        assert_reachable(own_lab, out, (HOST, 8080))
        agent.start()
        wait_for(lambda: [lease["in_port"] for lease in leases(agent)] == [8081], what="the lease to be deleted")
        assert_unreachable(own_lab, out)
        assert_reachable(own_lab, long, (HOST, 8081))
        # The port is of the subscriber's block, whoever asks when.
        for endpoint in (out, long):
            assert agent.ctl("who", "%s:%d" % endpoint, "--state-dir", str(agent.state))["in_addr"] == HOST
        assert client.lease(port=8080) == out


def test_while_a_subscriber_drains_it_leases_ports_of_its_new_address(own_lab):
    """A lease does not drain: it ends with the move; sessions go on, and the new lease stays when they have ended."""
    agent = own_lab.start(**configured())
    with own_lab.outside_ns.enter():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with own_lab.inside_ns.enter():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, sender, Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        server.bind((SERVER, 5353))
        server.settimeout(10)
        sender.bind((HOST, 4000))
        sender.sendto(b"hello", (SERVER, 5353))
        old = server.recvfrom(100)[1]
        leased = client.lease(port=8080)
        agent.ctl("user", "move", HOST, "1.1.4.4", "--name", "quarantine", "--drain", "600")
        assert leases(agent) == []
        assert_unreachable(own_lab, leased)
        new = client.lease(port=8080)
        assert new[0] == "1.1.4.4"
        sender.sendto(b"again", (SERVER, 5353))
        assert server.recvfrom(100) == (b"again", old)
        # The port of a session that drains is another address's: it is free here.
        moved = client.lease(proto=pcp.UDP, port=4000)
        assert moved[0] == "1.1.4.4"
        sender.sendto(b"still", (SERVER, 5353))
        assert server.recvfrom(100) == (b"still", old)
        assert_reachable(own_lab, new, (HOST, 8080))
        agent.restart()
        assert {(lease["in_port"], lease["out_addr"]) for lease in leases(agent)} == {(8080, "1.1.4.4"), (4000, "1.1.4.4")}
        assert agent.ctl("check")["findings"] == []
        agent.ctl("mapping", "del", "quarantine")
        assert leases(agent) == [] and client.lease(port=8080) == leased


def test_leases_end_with_pcp(own_lab):
    agent = own_lab.start(**configured())
    with Client(own_lab.inside_ns, HOST, GATEWAY_IN) as client:
        out = client.lease()
        agent.write(pcp=None)
        agent.ctl("reload")
        assert agent.ctl("portmap", "list") == []
        assert agent.ctl("status")["pcp"] is None
        assert_unreachable(own_lab, out)
        agent.write(**configured())
        agent.ctl("reload")
        assert client.lease() == out


def announcements(namespace):
    """A socket that receives them."""
    with namespace.enter():
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("", pcp.CLIENT_PORT))
    listener.setsockopt(socket.SOL_IP, socket.IP_ADD_MEMBERSHIP,
                        struct.pack("4s4s", socket.inet_aton("224.0.0.1"), socket.inet_aton(HOST)))
    listener.settimeout(10)
    return listener


def test_a_new_epoch_is_announced(own_lab):
    with announcements(own_lab.inside_ns) as listener:
        agent = own_lab.start(**configured())
        for _ in range(2):
            octets, sender = listener.recvfrom(2048)
            response = pcp.decode(octets)
            assert sender == (GATEWAY_IN, pcp.SERVER_PORT)
            assert (response.opcode, response.result, response.lifetime, len(octets)) == (pcp.ANNOUNCE, "SUCCESS", 0, 24)
        agent.restart()
        # The epoch goes on, so nothing is announced.
        while select.select([listener], [], [], 0)[0]:
            listener.recv(2048)
        assert not select.select([listener], [], [], 1)[0]


def test_each_server_announces_from_its_own_address(own_lab):
    second = "10.0.255.250"
    own_lab.gateway.ip("addr", "add", f"{second}/16", "dev", "in0")
    with announcements(own_lab.inside_ns) as listener:
        own_lab.start(**configured(listen=[GATEWAY_IN, second]))
        senders = [listener.recvfrom(2048)[1] for _ in range(4)]
    assert sorted(senders) == 2 * [(GATEWAY_IN, pcp.SERVER_PORT)] + 2 * [(second, pcp.SERVER_PORT)]


@pytest.mark.long
def test_ten_thousand_leases(own_lab):
    agent = own_lab.start(**configured())
    got = {}
    sockets = []
    hosts = [f"10.0.{n // 250}.{2 + n % 250}" for n in range(500)]
    for addr in hosts:
        sockets.append(Client(own_lab.inside_ns, addr, GATEWAY_IN))
    by_socket = {client.socket: client for client in sockets}
    wanted = {(client.addr, port): client for client in sockets for port in range(7000, 7020)}
    while wanted:
        for (addr, port), client in list(wanted.items())[:200]:
            client.send(pcp.map_request(addr, port=port))
        while ready := select.select(list(by_socket), [], [], 0.1)[0]:
            for client in (by_socket[s] for s in ready):
                response = client.receive()
                inside = struct.unpack_from(">H", response.octets, 40)[0]
                assert response.result == "SUCCESS", response
                got[client.addr, inside] = response.out
                wanted.pop((client.addr, inside), None)
    for client in sockets:
        client.socket.close()
    assert len(set(got.values())) == 10000
    assert agent.ctl("status")["pcp"]["leases"] == 10000
    agent.kill()
    agent.start()
    assert agent.ctl("status")["pcp"]["leases"] == 10000
    assert_reachable(own_lab, got[hosts[-1], 7019], (hosts[-1], 7019))
