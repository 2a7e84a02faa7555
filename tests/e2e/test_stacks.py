# SPDX-License-Identifier: BSD-2-Clause
"""Configured interfaces that are stacked."""

import pytest

import isolation
import machine
from agent import wait_for
from xdp_mode import WITHOUT, xdp_only

STACKS = {
    "macvlan": ["link add top0 link out0 type macvlan mode bridge", "link set top0 up"],
    "bridge": ["link add top0 type bridge", "link set out0 master top0", "link set top0 up"],
}


def can_make(kind):
    made = isolation.run("unshare", "-n", "ip", "link", "add", "t0", *(() if kind == "bridge" else ("link", "lo")), "type", kind,
                         check=False)
    return made.returncode == 0 or "Unknown device type" not in made.stderr


def listed(lab, name):
    return next(i for i in lab.agent.ctl("interface", "list") if i["name"] == name)


def programs(lab):
    return {name for name, xdp in machine.links(lab.gateway).items() if xdp}


@pytest.fixture(params=STACKS)
def stacked_interfaces(request):
    if not can_make(request.param):
        pytest.skip(f"this kernel has no {request.param}")
    return STACKS[request.param]


@pytest.fixture
def lab_without_gro(lab):
    """A lab with GRO off, as generic XDP on stacked interfaces requires."""
    lab.gateway.run("ethtool", "-K", "out0", "gro", "off")
    return lab


BOTH = {"inside": ["in0"], "outside": ["out0", "top0"]}


def test_a_stack_is_refused_by_check_start_reload_and_interface_add(lab_without_gro, stacked_interfaces):
    lab = lab_without_gro
    lab.gateway.batch(*stacked_interfaces)
    agent = lab.start()
    message = "top0: is a %s stacked on out0, and both have a role" % stacked_interfaces[0].split("type ")[1].split()[0]
    assert message in agent.refused("interface", "add", "top0", "outside")
    agent.write(interfaces=BOTH)
    assert message in agent.refused("reload")
    result = agent.once("-t")
    assert result.status == 2 and message in result.err, result
    agent.stop()
    result = agent.once("--detach")
    assert result.status == 0
    agent.write(interfaces=BOTH)
    result = agent.once()
    assert result.status == 2 and message in result.err, result
    agent.write(interfaces={"inside": ["in0"], "outside": ["out0"]})
    agent.start()


def test_a_stack_that_appears_while_the_agent_runs_is_reported(lab_without_gro, stacked_interfaces):
    lab = lab_without_gro
    agent = lab.start(interfaces=BOTH)
    assert listed(lab, "top0")["xdp"] == "absent"
    lab.gateway.batch(*stacked_interfaces)
    wait_for(lambda: "stacked on out0" in (listed(lab, "top0")["problem"] or ""), what="the stack to be told of")
    assert agent.log_text().count("stacked on out0") == 1
    # Nothing is detached; the bridge may have got its programs before the port was added.
    assert WITHOUT or programs(lab) >= {"in0", "out0"}
    assert "stacked on out0" in str(agent.ctl("explain", "10.0.0.9"))
    lab.gateway.ip("link", "del", "top0")
    wait_for(lambda: listed(lab, "top0")["problem"] is None, what="all to be well again")


def make_bridge_of_both(lab):
    """Both carry programs before one becomes a port of the other."""
    lab.gateway.batch("link add top0 type bridge", "link set top0 up")
    agent = lab.start(interfaces={"inside": ["in0"], "outside": ["out0", {"name": "top0", "xdp_mode": "skb"}]})
    assert programs(lab) == {"in0", "out0", "top0"}
    lab.gateway.ip("link", "set", "out0", "master", "top0")
    wait_for(lambda: "stacked on out0" in (listed(lab, "top0")["problem"] or ""), what="the stack to be told of")
    return agent


@xdp_only
def test_del_does_not_print_deleted_while_a_program_remains(lab_without_gro):
    lab = lab_without_gro
    if not can_make("bridge"):
        pytest.skip("this kernel has no bridge")
    agent = make_bridge_of_both(lab)
    refused = agent.refused("interface", "del", "out0", "outside")
    assert "out0: the kernel removes no program from it while top0" in refused
    assert listed(lab, "out0")["xdp"] == "native" and programs(lab) == {"in0", "out0", "top0"}
    agent.ctl("interface", "del", "top0", "outside")
    assert programs(lab) == {"in0", "out0"}
    agent.ctl("interface", "del", "out0", "outside")
    assert programs(lab) == {"in0"}


@xdp_only
@pytest.mark.parametrize("how", ["--detach", "a file without them"])
def test_programs_are_detached_from_the_top_of_a_stack_down(lab_without_gro, how):
    lab = lab_without_gro
    if not can_make("bridge"):
        pytest.skip("this kernel has no bridge")
    agent = make_bridge_of_both(lab)
    if how == "--detach":
        agent.stop()
        agent.detach()
        assert programs(lab) == set()
    else:
        agent.write(interfaces={"inside": ["in0"], "outside": []})
        agent.ctl("reload")
        assert programs(lab) == {"in0"}
