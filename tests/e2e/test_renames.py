# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces whose name differs from the configuration: followed by index, and reported."""

import pytest
from scapy.layers.inet import UDP

import machine
import netns
import tc_programs
import wire
from agent import wait_for
from lab import GATEWAY_OUT, OUT_MAC, ROUTER, ROUTER_MAC, SERVER, SERVER_MAC
from xdp_mode import FORWARDING, FORWARDING_REASON, WITHOUT, XDP, XDP_REASON


def listed(lab, name):
    return next(i for i in lab.agent.ctl("interface", "list") if i["name"] == name)


def programs(lab, link):
    """Ids of the link's programs: XDP, and tc at its egress."""
    xdp = machine.links(lab.gateway)[link]
    return xdp and xdp["prog"]["id"], tc_programs.ids(lab.gateway, link, "egress")


def attached(lab, link):
    """Whether the programs of an outside link stand."""
    xdp, egress = programs(lab, link)
    return bool(egress) and (WITHOUT or bool(xdp))


def as_listed(name):
    """What is listed of an outside link that is as configured."""
    return {"name": name, "role": "outside", "xdp": XDP, "xdp_reason": XDP_REASON, "shared": False, "dispatcher": None, "programs": None, "link": name,
            "forwarding": FORWARDING, "forwarding_reason": FORWARDING_REASON, "problem": None,
            "pattern": None, "matches": None}


def rename(lab, old, new):
    """As udev does it, but with the link up."""
    lab.gateway.ip("link", "set", old, "name", new)


def wait_for_link(lab, name, link):
    wait_for(lambda: listed(lab, name)["link"] == link, what=f"{name} to be {link}")


def works(lab, host, src):
    """A packet in each direction, compared completely."""
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"out"), src)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"in"), host, 5000)


@pytest.mark.parametrize("name", ["in0", "out0"])
def test_a_renamed_interface_keeps_its_programs_and_no_packet_leaves_untranslated(lab, mode, name):
    agent = lab.start(**mode)
    host = lab.host()
    src = lab.open_udp(host)
    before = programs(lab, name)
    assert any(before) or (mode["xdp_mode"] in ("none", "tc") and name == "in0")  # without XDP all stands at the outside
    rename(lab, name, "other0")
    for _ in range(20):
        works(lab, host, src)
    wait_for_link(lab, name, "other0")
    works(lab, host, src)
    assert programs(lab, "other0") == before
    assert "other0" in listed(lab, name)["problem"] and f"{name}: is called other0 now" in agent.log_text()
    assert "other0" in agent.text("interface", "list")
    assert [t["what"] for t in agent.ctl("status")["troubles"]] == ["interfaces"]
    rename(lab, "other0", name)
    wait_for(lambda: listed(lab, name)["problem"] is None, what="the name to be right again")
    assert programs(lab, name) == before and agent.ctl("status")["troubles"] == []
    works(lab, host, src)


def test_renamed_while_it_is_down(lab):
    lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    before = programs(lab, "out0")
    lab.gateway.batch("link set out0 down", "link set out0 name wan0", "link set wan0 up",
                      f"route replace default via {ROUTER}",
                      f"neigh replace {SERVER} lladdr {SERVER_MAC} dev wan0 nud permanent")
    wait_for_link(lab, "out0", "wan0")
    lab.settle()
    works(lab, host, src)
    assert programs(lab, "wan0") == before


@pytest.mark.parametrize("when", ["while the agent runs", "while no agent runs"])
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_later_agent_follows_the_link_too(lab, how, when):
    agent = lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    if when == "while the agent runs":
        rename(lab, "out0", "wan0")
        wait_for_link(lab, "out0", "wan0")
    getattr(agent, how)()
    if when == "while no agent runs":
        rename(lab, "out0", "wan0")
    works(lab, host, src)
    assert agent.once("-t").status == 0
    agent.start()
    wait_for_link(lab, "out0", "wan0")
    assert listed(lab, "out0")["xdp"] == XDP and attached(lab, "wan0")
    wait_for(lambda: agent.log_text().rfind("out0: is called wan0 now") > agent.log_text().find("ready"), what="a warning")
    works(lab, host, src)


def test_a_reload_keeps_the_link_and_one_with_the_new_name_adopts_it(lab):
    agent = lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    before = programs(lab, "out0")
    rename(lab, "out0", "wan0")
    wait_for_link(lab, "out0", "wan0")
    agent.write(timeouts={"udp": 99})
    agent.ctl("reload")
    assert listed(lab, "out0")["link"] == "wan0" and programs(lab, "wan0") == before
    agent.write(interfaces={"inside": ["in0"], "outside": ["wan0"]})
    assert agent.once("-t").status == 0
    agent.ctl("reload")
    assert listed(lab, "wan0") == as_listed("wan0")
    assert programs(lab, "wan0") == before
    works(lab, host, src)
    agent.restart()
    assert listed(lab, "wan0")["problem"] is None
    works(lab, host, src)


@pytest.mark.parametrize("name", ["out0", "wan0"])
def test_both_names_take_a_renamed_interface_out(lab, name):
    agent = lab.start()
    rename(lab, "out0", "wan0")
    wait_for_link(lab, "out0", "wan0")
    agent.ctl("interface", "del", name, "outside")
    assert [i["name"] for i in agent.ctl("interface", "list")] == ["in0"]
    assert programs(lab, "wan0") == (None, [])


def test_one_link_is_not_named_twice(lab):
    agent = lab.start()
    rename(lab, "out0", "wan0")
    wait_for_link(lab, "out0", "wan0")
    assert "wan0 is out0 of the configuration" in agent.refused("interface", "add", "wan0", "inside")
    agent.write(interfaces={"inside": ["in0"], "outside": ["out0", "wan0"]})
    assert "wan0 is out0 of the configuration" in agent.refused("reload")
    agent.ctl("interface", "add", "out0", "inside")
    assert listed(lab, "out0")["role"] == "both" and attached(lab, "wan0")


def test_another_link_of_the_old_name_is_reported_and_attached_when_the_first_is_gone(lab):
    lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    rename(lab, "out0", "wan0")
    wait_for_link(lab, "out0", "wan0")
    netns.connect(lab.outside_ns, "eth1", lab.gateway, "out0", OUT_MAC)
    wait_for(lambda: "another link" in (listed(lab, "out0")["problem"] or ""), what="the other link to be told of")
    works(lab, host, src)
    assert programs(lab, "out0") == (None, []) and attached(lab, "wan0")
    lab.gateway.batch("link del wan0", f"addr add {GATEWAY_OUT}/24 dev out0", f"route add default via {ROUTER}",
                      f"neigh add {SERVER} lladdr {SERVER_MAC} dev out0 nud permanent",
                      f"neigh add {ROUTER} lladdr {ROUTER_MAC} dev out0 nud permanent")
    wait_for(lambda: listed(lab, "out0") == as_listed("out0"), what="the other link to be attached")
    lab.outside.close()
    lab.outside = wire.Wire(lab.outside_ns, "eth1")
    lab.settle()
    works(lab, host, src)


def test_links_that_swap_names_keep_their_roles(lab):
    agent = lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    for old, new in (("out0", "x0"), ("in0", "out0"), ("x0", "in0")):
        rename(lab, old, new)
    wait_for(lambda: (listed(lab, "in0")["link"], listed(lab, "out0")["link"]) == ("out0", "in0"), what="the swap")
    works(lab, host, src)
    agent.ctl("reload")
    works(lab, host, src)
    agent.restart()
    wait_for(lambda: (listed(lab, "in0")["link"], listed(lab, "out0")["link"]) == ("out0", "in0"), what="the swap")
    works(lab, host, src)


def test_only_a_start_waits_for_a_missing_interface(lab):
    agent = lab.prepare(interfaces={"inside": ["in0"], "outside": ["out0", "late0"]})
    refused = agent.once("-t")
    assert refused.status == 2 and "there is no interface late0" in refused.err, refused
    agent.start()
    assert "late0: there is no such interface yet" in agent.log_text()
    assert listed(lab, "late0")["xdp"] == "absent" and listed(lab, "late0")["link"] is None
    host = lab.host()
    works(lab, host, lab.open_udp(host))
    agent.refused("interface", "add", "later0", "outside")
    agent.write(interfaces={"inside": ["in0"], "outside": ["out0", "late0", "later0"]})
    assert "there is no interface later0" in agent.refused("reload")
    netns.connect(lab.outside_ns, "eth7", lab.gateway, "late0")
    wait_for(lambda: listed(lab, "late0")["xdp"] == XDP, what="late0 to be attached")
    assert attached(lab, "late0")
