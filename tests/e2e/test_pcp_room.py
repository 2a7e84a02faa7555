# SPDX-License-Identifier: BSD-2-Clause
"""How much room leases of PCP have: shares of subscribers, portmaps of the configuration beside them, other sizes of their table."""

import json

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import pcp_client as pcp
from agent import wait_for
from lab import GATEWAY_IN, IN_MAC, SERVER, block_of
from test_pcp import leases

# Behind a router, so that the gateway cannot tell them apart.
MAPPING = {"name": "routed", "in": "10.64.0.0/26", "out": "1.1.1.0/30"}
ROUTER, ROUTER_MAC = "10.0.255.9", "02:00:01:00:00:aa"
HONEST = "10.64.0.9"
NEIGHBOURS = [f"10.64.0.{n}" for n in range(64) if n != 9]


def behind_router(lab):
    lab.gateway.ip("route", "add", MAPPING["in"], "via", ROUTER, "dev", "in0")
    lab.gateway.ip("neigh", "add", ROUTER, "lladdr", ROUTER_MAC, "dev", "in0", "nud", "permanent")
    return lab


def configured(**changes):
    return {"mappings": [MAPPING], "metrics": {"listen": "127.0.0.1:9469"}, "pcp": {"listen": [GATEWAY_IN], "announce": False, **changes}}


def send(lab, addr, **what):
    lab.inside.send(Ether(src=ROUTER_MAC, dst=IN_MAC) / IP(src=addr, dst=GATEWAY_IN) / UDP(sport=5350, dport=5351)
                    / pcp.map_request(addr, **what))


def ask(lab, addr, **what):
    """The response to a request for a lease."""
    lab.inside.clear()
    send(lab, addr, **what)
    while True:
        packet = lab.inside.packet()
        if UDP in packet and packet[UDP].sport == 5351 and packet[IP].dst == addr:
            return pcp.decode(bytes(packet[UDP].payload))


def room(agent):
    status = agent.ctl("status")["pcp"]
    return status["leases"], status["limit"], status["assured"], status["no_room"]


def portmap_room(lab):
    """How many portmaps and leases the maps of the datapath have room for."""
    sizes = {}
    for name in ("portmaps", "portmap_filters"):
        [pinned] = lab.agent.pins.rglob(name)
        sizes[name] = json.loads(lab.gateway.run("bpftool", "-j", "map", "show", "pinned", str(pinned)).stdout)["max_entries"]
    assert sizes["portmaps"] == 2 * sizes["portmap_filters"]
    return sizes["portmap_filters"]


def static_portmap(port, addr=HONEST):
    return {"proto": "tcp", "in": f"{addr}:{port}", "out": f"{block_of(addr, MAPPING).addr}:{port}"}


def test_whatever_others_ask_for_a_subscriber_gets_what_it_is_assured(lab):
    agent = behind_router(lab).start(**configured(max_leases=256))
    assert room(agent) == (0, 256, 2, 0)
    for addr in NEIGHBOURS:
        for port in range(1, 6):
            send(lab, addr, port=port)
    wait_for(lambda: sum(v for k, v in pcp.figures(lab.gateway).items() if 'opcode="map"' in k) == 5 * len(NEIGHBOURS), what="the answers")
    # As many as are common to all; of the others' 63 each had two at least.
    count, _, _, refused = room(agent)
    assert count + refused == 5 * len(NEIGHBOURS) and 128 <= count <= 256 - 2
    assert {lease["in_addr"] for lease in leases(agent)} == set(NEIGHBOURS)
    assert [ask(lab, HONEST, port=port).result for port in (80, 443, 22)] == ["SUCCESS", "SUCCESS", "NO_RESOURCES"]
    [finding] = [f for f in agent.ctl("explain", HONEST)["findings"] if f["reason"] == "pcp"]
    assert f"has 2 leases of PCP and gets no further one: all have {count + 2} of 256, and each is assured 2" in finding["text"]
    # What it has it can renew and end.
    assert ask(lab, HONEST, port=80, lifetime=7200).lifetime == 7200
    assert ask(lab, HONEST, port=443, lifetime=0).result == "SUCCESS"
    assert ask(lab, HONEST, port=22).result == "SUCCESS"
    figures = pcp.figures(lab.gateway)
    assert figures["detnat_pcp_no_room_total"] == refused + 1
    assert (figures["detnat_pcp_leases_limit"], figures["detnat_pcp_leases_assured"]) == (256, 2)
    wait_for(lambda: "leases of PCP are refused for lack of room" in agent.log_text(), what="a line in the log")


def test_portmaps_of_the_operator_have_room_when_leases_have_none(lab):
    agent = behind_router(lab).start(**configured(max_leases=50))
    assert "PCP serves 64 subscribers, and not each is assured a lease" in agent.log_text()
    for addr in NEIGHBOURS:
        send(lab, addr)
    wait_for(lambda: room(agent)[::3] == (50, len(NEIGHBOURS) - 50), what="all leases")
    assert ask(lab, HONEST).result == "NO_RESOURCES"
    added = static_portmap(22)
    agent.ctl("portmap", "add", "tcp", added["in"], added["out"])
    agent.write(portmaps=[static_portmap(443)])
    agent.ctl("reload")
    agent.stop()
    agent.write(portmaps=[static_portmap(443), static_portmap(80)])
    agent.start()
    assert {p["in_port"] for p in agent.ctl("portmap", "list", "--origin", "static")} == {80, 443}
    assert room(agent)[0] == 50
    # One of them ends for a portmap that needs its port; the rest stay.
    victim = leases(agent)[0]
    agent.ctl("portmap", "add", victim["proto"], f"{victim['in_addr']}:9999", f"{victim['out_addr']}:{victim['out_port']}")
    assert room(agent)[0] == 49


def test_the_table_has_the_size_that_the_configuration_asks_for_and_keeps_what_is_in_it(lab):
    """In place of a smaller or larger one, under traffic, after a restart and a kill."""
    agent = behind_router(lab).start(portmaps=[static_portmap(443)], **configured())
    assert room(agent)[1:3] == (65536, 32) and portmap_room(lab) == 131072
    for addr in NEIGHBOURS:
        assert ask(lab, addr, proto=pcp.UDP, port=4000).result == "SUCCESS"
    filtered = ask(lab, HONEST, proto=pcp.UDP, port=4000, options=pcp.filter_of(SERVER)).out
    before = agent.ctl("portmap", "list")
    assert len(before) == 65

    def passes():
        packet = lab.from_outside(filtered[0], UDP(sport=53, dport=filtered[1]) / b"hello")
        lab.inside.clear()
        lab.outside.send(packet)
        while True:
            came = lab.inside.packet()
            if UDP in came and came[UDP].sport == 53:
                return (came[IP].dst, came[UDP].dport) == (HONEST, 4000)

    def same():
        def kept(p):
            return {k: v for k, v in p.items() if k not in ("expires", "packets_in", "packets_out")}
        assert [kept(p) for p in agent.ctl("portmap", "list")] == [kept(p) for p in before]
        assert agent.ctl("check")["findings"] == []
        return passes()

    for number, (leases_room, end) in enumerate([(200000, agent.stop), (1048576, agent.kill), (None, agent.stop)], 1):
        end()
        assert passes()
        agent.write(pcp={**configured()["pcp"], **({"max_leases": leases_room} if leases_room else {})})
        agent.start()
        assert portmap_room(lab) == 65536 + (leases_room or 65536)
        assert room(agent)[:2] == (64, leases_room or 65536)
        assert same()
        [counted] = [p for p in agent.ctl("portmap", "list") if p["in_addr"] == HONEST and p["origin"] == "pcp"]
        assert counted["packets_in"] == 2 * number
    assert ask(lab, HONEST, port=8080).result == "SUCCESS"


def test_a_reload_has_the_table_that_there_is_until_the_next_start(lab):
    agent = behind_router(lab).start(**configured())
    agent.write(**configured(max_leases=100000))
    agent.ctl("reload")
    assert room(agent)[1] == 65536
    assert "has room for 65536 until the agent's next start" in agent.log_text()
    agent.restart()
    assert room(agent)[1] == 100000
    agent.write(**configured(max_leases=10))
    agent.ctl("reload")
    assert room(agent)[1] == 10 and portmap_room(lab) == 165536


def test_a_number_of_leases_is_one_or_auto(lab):
    agent = lab.prepare(**configured())
    for value in (0, 1048577, "many", -1):
        agent.write(**configured(max_leases=value))
        checked = agent.once("-t")
        assert checked.status == 2 and "pcp.max_leases: must be" in checked.err
    agent.write(**configured(max_leases="auto"))
    assert agent.once("-t").status == 0
