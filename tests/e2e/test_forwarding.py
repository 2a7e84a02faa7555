# SPDX-License-Identifier: BSD-2-Clause
"""Who forwards, by interface: status, interface list and metrics say what is in force, and why it is the kernel."""

from agent import wait_for
from test_metrics import LISTEN, scrape
from test_redirects import gro


def shown(agent):
    """What status says of the whole and of each interface, and what interface list says."""
    status = agent.ctl("status")
    lists = [{i["name"]: (i["forwarding"], i["forwarding_reason"]) for i in found}
             for found in (status["interfaces"], agent.ctl("interface", "list"))]
    return (status["forwarding"], status["forwarding_reason"]), *lists


def becomes(agent, whole, interfaces):
    wait_for(lambda: shown(agent) == (whole, interfaces, interfaces), what=f"{whole}, {interfaces}")


REDIRECT = ("redirect", None)
REFUSED = ("kernel", "veth peer refuses frames")


def test_an_interface_whose_peer_refuses_frames_is_served_by_the_kernel(lab):
    agent = lab.start(forwarding="redirect", xdp_mode="native")
    becomes(agent, REDIRECT, {"in0": REDIRECT, "out0": REDIRECT})
    assert "Forwarding:" in agent.text("status") and "redirect\n" in agent.text("status")
    agent.end()
    lab.inside_ns.run("ethtool", "-K", "eth0", "gro", "off")
    agent.start()
    becomes(agent, REDIRECT, {"in0": REFUSED, "out0": REDIRECT})
    assert "redirect; in0: kernel (veth peer refuses frames)\n" in agent.text("status")
    assert "kernel (veth peer refuses frames)" in agent.text("interface", "list")
    lab.inside_ns.run("ethtool", "-K", "eth0", "gro", "on")
    becomes(agent, REDIRECT, {"in0": REDIRECT, "out0": REDIRECT})


def test_status_says_kernel_where_no_interface_takes_frames(lab):
    gro(lab, "off")
    becomes(lab.start(forwarding="redirect", xdp_mode="native"), REFUSED, {"in0": REFUSED, "out0": REFUSED})


def test_rules_on_marks_leave_all_to_the_kernel(lab):
    agent = lab.start(forwarding="redirect", xdp_mode="native")
    lab.gateway.ip("rule", "add", "fwmark", "7", "table", "100")
    marks = ("kernel", "routing rules on marks, ports or the like")
    becomes(agent, marks, {"in0": marks, "out0": marks})
    lab.gateway.ip("rule", "del", "fwmark", "7", "table", "100")
    becomes(agent, REDIRECT, {"in0": REDIRECT, "out0": REDIRECT})


def test_an_absent_interface_is_not_redirected_to(lab):
    agent = lab.start(forwarding="redirect", xdp_mode="native")
    lab.gateway.ip("link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
    agent.ctl("interface", "add", "spare0", "inside")
    lab.gateway.ip("link", "del", "spare0")
    becomes(agent, REDIRECT, {"in0": REDIRECT, "out0": REDIRECT, "spare0": ("kernel", "not attached")})


def test_metrics_name_the_reason(lab):
    lab.start(forwarding="kernel", metrics={"listen": LISTEN})
    name = 'detnat_interface_redirects{interface="out0",role="outside",reason="configured"} 0'
    wait_for(lambda: name in scrape(lab), what=name)
