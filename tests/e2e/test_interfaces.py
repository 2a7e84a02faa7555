# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces that disappear, come back and change while the agent runs."""

import pytest
from scapy.layers.inet import UDP

import machine
import netns
import tc_programs
import wire
from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, OUT_MAC, ROUTER, ROUTER_MAC, SERVER, SERVER_MAC, block_of
from test_history import attach_foreign_program
from xdp_mode import WITHOUT


def xdp(lab):
    return {i["name"]: i["xdp"] for i in lab.agent.ctl("interface", "list")}


def make_again(lab, name):
    """Recreates the link to one side as it was at the beginning."""
    if name == "in0":
        netns.connect(lab.inside_ns, "eth0", lab.gateway, "in0", IN_MAC)
        lab.gateway.ip("addr", "add", f"{GATEWAY_IN}/16", "dev", "in0")
        lab.inside.close()
        lab.inside = wire.Wire(lab.inside_ns, "eth0")
    else:
        netns.connect(lab.outside_ns, "eth0", lab.gateway, "out0", OUT_MAC)
        lab.gateway.batch(
            f"addr add {GATEWAY_OUT}/24 dev out0",
            f"route add default via {ROUTER}",
            f"neigh add {SERVER} lladdr {SERVER_MAC} dev out0 nud permanent",
            f"neigh add {ROUTER} lladdr {ROUTER_MAC} dev out0 nud permanent",
        )
        lab.outside.close()
        lab.outside = wire.Wire(lab.outside_ns, "eth0")


@pytest.mark.parametrize("name", ["in0", "out0"])
def test_gone_and_back(lab, mode, name):
    agent = lab.start(**mode)
    host = lab.host("10.0.0.9")
    src = lab.open_udp(host)
    attached = xdp(lab)
    lab.gateway.ip("link", "del", name)
    wait_for(lambda: xdp(lab)[name] == "absent", what=f"{name} to be absent")
    assert agent.ctl("status")["sessions"] == 1
    make_again(lab, name)
    wait_for(lambda: xdp(lab) == attached, what=f"{name} to be attached again")
    lab.host("10.0.0.9")
    assert lab.open_udp(host) == src
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert len(lab.sessions(host.addr)) == 1


def test_ten_times_gone_and_back(lab):
    lab.start()
    host = lab.host("10.0.0.9")
    src = lab.open_udp(host)
    attached = xdp(lab)
    for _ in range(10):
        lab.gateway.ip("link", "del", "out0")
        make_again(lab, "out0")
    wait_for(lambda: xdp(lab) == attached and (WITHOUT or machine.links(lab.gateway)["out0"]), what="attachment")
    assert lab.open_udp(host) == src


def test_absent_over_a_restart(lab):
    """A new agent also waits for a missing interface, as the file is the one last applied."""
    agent = lab.start()
    host = lab.host("10.0.0.9")
    src = lab.open_udp(host)
    attached = xdp(lab)
    agent.stop()
    lab.gateway.ip("link", "del", "out0")
    agent.start()
    assert xdp(lab) == {**attached, "out0": "absent"}
    make_again(lab, "out0")
    wait_for(lambda: xdp(lab) == attached, what="attachment")
    assert lab.open_udp(host) == src


def test_without_xdp_it_is_back_without_xdp(lab):
    """At no moment does it run XDP, which would have the other end of a veth cut GSO frames."""
    agent = lab.start(xdp_mode="none")
    host = lab.host("10.0.0.9")
    src = lab.open_udp(host)
    lab.gateway.ip("link", "del", "out0")
    wait_for(lambda: xdp(lab)["out0"] == "absent", what="absence")
    make_again(lab, "out0")
    wait_for(lambda: xdp(lab) == {"in0": "none", "out0": "none"}, what="attachment")
    assert lab.open_udp(host) == src
    assert "native XDP" not in agent.log.read_text() and "out0: back, attached, tc alone" in agent.log.read_text()


def test_reload_while_absent(lab):
    agent = lab.start()
    lab.gateway.ip("link", "del", "out0")
    wait_for(lambda: xdp(lab)["out0"] == "absent", what="absence")
    agent.write(timeouts={"udp": 99})
    agent.ctl("reload")
    assert agent.ctl("timeouts", "show")["udp"] == 99 and xdp(lab)["out0"] == "absent"


def test_down_and_up(mode_lab):
    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    mode_lab.gateway.ip("link", "set", "out0", "down")
    mode_lab.inside.send(mode_lab.from_inside(host, UDP(sport=5000, dport=53)))
    mode_lab.gateway.batch("link set out0 up", f"route replace default via {ROUTER}",
                           f"neigh replace {SERVER} lladdr {SERVER_MAC} dev out0 nud permanent",
                           f"neigh replace {ROUTER} lladdr {ROUTER_MAC} dev out0 nud permanent")
    mode_lab.inside.drain()
    mode_lab.outside.drain()
    assert mode_lab.open_udp(host) == src


def test_a_restart_reattaches_a_program_that_was_removed(lab):
    agent = lab.start()
    lab.gateway.batch("link set in0 xdp off", "link set out0 xdp off")
    tc_programs.detach(lab.gateway, "out0", "egress")
    agent.restart()
    lab.open_udp(lab.host())
    assert tc_programs.linked(lab.gateway, "out0", "egress") == ["tc_outside"]


def test_next_hops_follow_neighbours_and_routes(mode_lab):
    """A changed neighbour or route applies to the next packet."""
    host = mode_lab.host()
    src = mode_lab.open_udp(host)
    packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53))
    try:
        mode_lab.gateway.ip("neigh", "replace", SERVER, "lladdr", "02:00:00:00:02:99", "dev", "out0", "nud", "permanent")

        def moved():
            mode_lab.inside.send(packet)
            came = mode_lab.outside.packet()
            return came.dst == "02:00:00:00:02:99"

        wait_for(moved, what="the new neighbour to be used")
    finally:
        mode_lab.gateway.ip("neigh", "replace", SERVER, "lladdr", SERVER_MAC, "dev", "out0", "nud", "permanent")
    wait_for(lambda: not moved(), what="the old neighbour to be used")
    mode_lab.outside.drain()
    other = block_of(host.addr)
    assert other.addr == src[0]


def test_an_unresolved_neighbour_is_resolved(mode_lab):
    """The first packets may be lost during resolution; once ARP is answered, packets flow."""
    from scapy.layers.l2 import ARP, Ether

    host = mode_lab.host()
    target = "198.51.100.77"
    mac = "02:00:00:00:02:77"
    packet = mode_lab.from_inside(host, UDP(sport=5000, dport=53) / b"first", dst=target)
    mode_lab.inside.send(packet)
    asked = mode_lab.outside.packet(kinds=(wire.ETH_ARP,))
    assert asked[ARP].op == 1 and asked[ARP].pdst == target and asked.src == OUT_MAC
    mode_lab.outside.send(Ether(src=mac, dst=OUT_MAC) / ARP(op=2, hwsrc=mac, psrc=target, hwdst=OUT_MAC, pdst=asked[ARP].psrc))

    def flows():
        mode_lab.inside.send(packet)
        frame = mode_lab.outside.receive(0.2)
        return frame is not None and frame[:6] == bytes.fromhex(mac.replace(":", "")) and frame

    frame = wait_for(flows, what="packets to the resolved neighbour")
    assert frame[26:30] == bytes(map(int, block_of(host.addr).addr.split(".")))
    mode_lab.outside.drain()


def test_a_foreign_program_is_refused_and_stays(lab):
    """Sharing by libxdp's dispatcher is not supported: detnat attaches alone, and reports that."""
    attach_foreign_program(lab, "out0")
    link = lab.gateway.ip("-d", "link", "show", "out0")
    agent = lab.prepare(xdp_mode="native")
    for options in (["-t"], []):
        result = agent.once(*options)
        assert result.status != 0 and result.out == "", result
        assert 'out0: carries the XDP program "pass" (id ' in result.err and "`ip link set dev out0 xdp" in result.err, result
    assert lab.gateway.ip("-d", "link", "show", "out0") == link
    lab.gateway.ip("link", "set", "dev", "out0", "xdp", "off")
    agent.start()
    assert [(i["name"], i["xdp"], i["shared"]) for i in agent.ctl("interface", "list")] == [("in0", "native", False), ("out0", "native", False)]
    lab.open_udp(lab.host())
