# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl interface: add, del, list."""

import pytest
from scapy.layers.inet import UDP

import shapes
import tc_programs
from xdp_mode import WITHOUT, XDP


@pytest.fixture
def agent(running_lab):
    yield running_lab.agent
    running_lab.agent.ctl("reload")
    if "spare0" in running_lab.gateway.ip("link"):
        running_lab.gateway.ip("link", "del", "spare0")


@pytest.fixture
def spare_interface(running_lab):
    running_lab.gateway.ip("link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
    return "spare0"


def roles(agent):
    return {i["name"]: i["role"] for i in agent.ctl("interface", "list")}


def test_list_has_the_documented_shape(agent):
    interfaces = shapes.assert_all(agent.ctl("interface", "list"), shapes.INTERFACE)
    assert {i["name"]: i["role"] for i in interfaces} == {"in0": "inside", "out0": "outside"}
    assert {i["xdp"] for i in interfaces} == {XDP}


def test_add_and_del(agent, spare_interface):
    for role in ("inside", "outside"):
        assert agent.ctl("interface", "add", spare_interface, role) == {}
        assert roles(agent)[spare_interface] == role
        assert agent.ctl("interface", "del", spare_interface, role) == {}
        assert spare_interface not in roles(agent)


def test_both_roles_in_turn(agent, spare_interface):
    agent.ctl("interface", "add", spare_interface, "outside")
    agent.ctl("interface", "add", spare_interface, "inside")
    assert roles(agent)[spare_interface] == "both"
    agent.refused("interface", "add", spare_interface, "inside")
    agent.ctl("interface", "del", spare_interface, "outside")
    assert roles(agent)[spare_interface] == "inside"


def test_texts(agent, spare_interface):
    assert agent.text("interface", "add", spare_interface, "inside").startswith("added ")
    assert all(word in agent.text("interface", "list") for word in (spare_interface, "in0", "out0", "inside", "outside", XDP))
    assert agent.text("interface", "del", spare_interface, "inside").startswith("deleted ")


def test_a_deleted_interface_is_detached(running_lab, agent, spare_interface):
    agent.ctl("interface", "add", spare_interface, "outside")
    assert WITHOUT or "xdp" in running_lab.gateway.ip("link", "show", spare_interface)
    assert tc_programs.linked(running_lab.gateway, spare_interface, "egress") == ["tc_outside"]
    agent.ctl("interface", "del", spare_interface, "outside")
    assert "xdp" not in running_lab.gateway.ip("link", "show", spare_interface)
    assert tc_programs.linked(running_lab.gateway, spare_interface, "egress") == []


@pytest.mark.parametrize("arguments", [
    ("add", "nosuch0", "inside"), ("add", "in0", "inside"), ("add", "out0", "outside"),
    ("del", "in0", "outside"), ("del", "nosuch0", "inside"),
], ids="-".join)
def test_refused(agent, arguments):
    before = roles(agent)
    agent.refused("interface", *arguments)
    assert roles(agent) == before


@pytest.mark.parametrize("arguments", [
    ("add", "in0"), ("add", "in0", "both"), ("add", "in0", "middle"), ("add",), ("add", "in0", "inside", "outside"),
    ("add", "x" * 16, "inside"), ("add", "", "inside"), ("rename", "in0", "inside"),
], ids="-".join)
def test_bad_usage(agent, arguments):
    agent.refused("interface", *arguments, status=2)


def test_an_interface_that_is_no_longer_outside_translates_nothing(lab):
    agent = lab.start(unmatched="route")
    host = lab.host()
    src = lab.open_udp(host)
    agent.ctl("interface", "del", "out0", "outside")
    with lab.counting(drop_guard_out=1):
        lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53)))
    lab.outside.assert_silent()
    agent.ctl("interface", "add", "out0", "outside")
    assert lab.open_udp(host) == src
    assert len(lab.sessions(host.addr)) == 1
