# SPDX-License-Identifier: BSD-2-Clause
"""Two tenants with the same inside addresses, whose VRFs do not exist. With VRFs: tests/vm/tenants.sh."""

import pytest
from scapy.layers.inet import UDP

import tc_programs
from agent import wait_for

IN = "10.0.0.0/18"
HOST = "10.0.0.20"
TENANTS = [{"name": "ispA", "vrf": "blue", "interfaces": {"inside": ["in0"], "outside": ["out0"]}},
           {"name": "ispB", "vrf": "red", "interfaces": {"inside": ["in1"], "outside": ["out0"]}}]
CONFIG = {"tenants": TENANTS,
          "mappings": [{"tenant": "ispA", "in": IN, "out": "1.1.1.0/30"}, {"tenant": "ispB", "in": IN, "out": "1.1.2.0/30"}],
          "portmaps": [{"proto": "udp", "in": f"{HOST}:3074", "out": "1.1.1.0:80"},
                       {"proto": "udp", "in": f"{HOST}:3074", "out": "1.1.2.0:81"}]}


@pytest.mark.parametrize("way", [{}, {"forwarding": "kernel"}, {"xdp_mode": "none"}], ids=["redirect", "kernel", "tc"])
def test_nothing_is_sent_to_subscribers_whose_vrf_does_not_exist(lab, way):
    """The main table has a route to these addresses, but it is not theirs."""
    lab.start(**CONFIG, **way)
    lab.host(HOST)
    for out, port in ("1.1.1.0", 80), ("1.1.2.0", 81):
        with lab.counting(drop_unreachable=1, sent_icmp_unreachable=None):
            lab.outside.send(lab.from_outside(out, UDP(sport=9000, dport=port) / b"stranger"))
    lab.inside.drain()


def test_explain_and_the_doctor_name_the_vrf_that_is_missing(lab):
    lab.start(**CONFIG)
    lab.agent.ctl("portmap", "list")
    explained = lab.agent.ctl("explain", HOST, "--tenant", "ispB")
    assert [f["text"] for f in explained["findings"] if f["reason"] == "route"] == [
        f"the VRF of the tenant does not exist, or has none of its interfaces: nothing is sent to {HOST}"]
    found = [line for line in lab.agent.once("--doctor").out.splitlines() if "inside routes" in line]
    assert ["the VRF blue of tenant ispA does not exist" in line for line in found] == [True, False]
    assert ["the VRF red of tenant ispB does not exist" in line for line in found] == [False, True]


def test_a_vrf_that_is_none_is_refused_with_its_place_in_the_file(lab):
    """The kernel may have no VRFs, so one that does not exist is waited for by a start alone."""
    agent = lab.prepare(tenants=TENANTS[:1], mappings=CONFIG["mappings"][:1])
    tested = agent.once("-t")
    assert tested.status and "tenants[0].vrf: there is no VRF blue on this machine" in tested.err, tested
    agent.write(tenants=[{**TENANTS[0], "vrf": "lo"}])
    for way in (["-t"], []):
        refused = agent.once(*way)
        assert refused.status and f"{agent.path}:" in refused.err and "tenants[0].vrf: lo is an interface, and no VRF" in refused.err, refused


def test_a_program_for_vrfs_is_at_the_outside_while_a_tenant_has_one(lab):
    """XDP leaves to it what the kernel has to route. Who detaches it by hand gets it back."""
    def programs(name="out0"):
        return tc_programs.linked(lab.gateway, name, "ingress")

    def is_there():
        return "tc_into_vrf" in programs()

    agent = lab.start(**CONFIG)
    assert programs() == ["tc_into_vrf"] and programs("in0") == []
    tc_programs.detach(lab.gateway, "out0", "ingress")
    wait_for(is_there, what="the program to be back")
    agent.kill()
    agent.start()
    assert is_there()
    agent.write(xdp_mode="none")
    agent.ctl("reload")
    assert programs() == ["tc_from_outside"]
    agent.write(xdp_mode="native")
    agent.ctl("reload")
    assert programs() == ["tc_into_vrf"]
    without_vrfs = [{key: value for key, value in t.items() if key != "vrf"} for t in TENANTS]
    agent.write(tenants=without_vrfs, mappings=CONFIG["mappings"][:1], portmaps=[])
    agent.ctl("reload")
    assert programs() == []
    agent.write(**CONFIG)
    agent.ctl("reload")
    assert is_there()
    agent.ctl("interface", "del", "out0", "outside", "--tenant", "ispA")
    assert is_there()
    agent.ctl("interface", "del", "out0", "outside", "--tenant", "ispB")
    assert programs() == []
    agent.ctl("interface", "add", "out0", "outside", "--tenant", "ispB")
    assert is_there()
    agent.stop()
    agent.detach()
    assert programs() == []
