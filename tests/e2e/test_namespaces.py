# SPDX-License-Identifier: BSD-2-Clause
"""Pins belong to a network namespace: operations on them in another."""

import time

import pytest
from scapy.layers.inet import UDP

import isolation
import machine
import netns
import tc_programs
from agent import AGENT, execute

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def attached(namespace):
    return {name: xdp and xdp["prog"]["id"] for name, xdp in machine.links(namespace).items()}


def elsewhere(lab, *options):
    """The daemon, with the same configuration, in another network namespace; a start must end by itself."""
    return execute(AGENT, *options, "-c", lab.agent.path, namespace=lab.outside_ns)


@pytest.mark.parametrize("agent_runs", [True, False])
@pytest.mark.parametrize("options", [["-t"], ["--detach"], []], ids=["-t", "--detach", "start"])
def test_another_namespace_is_refused_and_nothing_is_changed(lab, options, agent_runs):
    agent = lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    # There may be unrelated interfaces with the same names and indexes.
    before, theirs, traces = attached(lab.gateway), attached(lab.outside_ns), machine.traces(lab)
    if not agent_runs:
        agent.kill()
    result = elsewhere(lab, *options)
    assert result.status in (1, 2) and result.out == "", result
    assert "belongs to another network namespace, net:[" in result.err, result
    assert f"nsenter --net={lab.gateway.path}" in result.err, result
    assert "take it off" not in result.err and "there is no interface" not in result.err, result
    assert (attached(lab.gateway), attached(lab.outside_ns), machine.traces(lab)) == (before, theirs, traces)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"on"), src)
    if not agent_runs:
        agent.start()
        lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53) / b"on"), src)
        assert len(lab.sessions(host.addr)) == 1


def test_a_namespace_that_another_is_mounted_over_is_still_there(lab):
    agent = lab.start()
    agent.kill()
    isolation.run("mount", "--bind", lab.outside_ns.path, lab.gateway.path)
    lab.at_end(isolation.unmount, lab.gateway.path)
    result = elsewhere(lab, "--detach")
    assert result.status == 1 and "belongs to another network namespace, net:[" in result.err, result


def enter_another(lab):
    """A new namespace takes the place of the agent's own, which was deleted."""
    lab.gateway = lab.agent.namespace = netns.Namespace("new-" + lab.gateway.name)


def assert_taken_over(lab):
    lab.gateway.batch("link add in0 type veth peer name out0", "link set in0 up", "link set out0 up")
    lab.gateway.sysctl("net.ipv4.ip_forward", 1)
    # The mounts of the first process are a test's, and its root is not.
    with isolation.hidden_mounts():
        lab.agent.start()
    assert "its network namespace is gone" in lab.agent.log_text()


def leave_pins_behind(lab):
    """Pins of a deleted namespace: the agent is killed, and another namespace replaces its own."""
    agent = lab.start()
    lab.open_udp(lab.host("10.0.0.9"))
    agent.kill()
    lab.gateway.delete()
    enter_another(lab)
    return agent


def test_pins_of_a_namespace_whose_inode_another_has_now_are_taken_over(lab):
    """The kernel gives the lowest free inode to the next namespace: to one of these, or to another test's."""
    agent = lab.start()
    inode = lab.gateway.path.stat().st_ino
    agent.kill()
    lab.gateway.delete()
    for number in range(50):
        other = netns.Namespace(f"other{number}-{lab.gateway.name}")
        lab.at_end(other.delete)
        if other.path.stat().st_ino == inode:
            break
        # The kernel has not taken the old one away yet, or has given its inode to another test.
        time.sleep(0.05)
    enter_another(lab)
    assert_taken_over(lab)


def test_pins_of_a_deleted_namespace_are_removed_and_no_interface_is_touched(lab):
    agent = leave_pins_behind(lab)
    # An unrelated clsact, on an interface whose index is in the records.
    lab.gateway.ip("link", "add", "in0", "type", "veth", "peer", "name", "out0")
    for name in ("in0", "out0"):
        lab.gateway.run("tc", "qdisc", "add", "dev", name, "clsact")
    before = lab.gateway.run("tc", "qdisc", "show").stdout
    result = agent.once("--detach")
    assert (result.status, result.out) == (0, "detached\n"), result
    assert "its network namespace is gone" in result.err
    assert lab.gateway.run("tc", "qdisc", "show").stdout == before
    assert not list(agent.pins.glob("v*"))


def test_a_start_takes_over_pins_of_a_deleted_namespace(lab):
    agent = leave_pins_behind(lab)
    assert_taken_over(lab)
    assert agent.ctl("status")["sessions"] == 1
    agent.restart()
    assert agent.log_text().count("its network namespace is gone") == 1
    agent.stop()
    agent.detach()
    agent.process = None


def test_detach_in_a_container_with_a_boot_id_of_its_own_removes_the_datapath(lab):
    """Managers of containers mount a file over it, which the agent, with a procfs of its own under the unit, does not see."""
    agent = lab.start()
    lab.open_udp(lab.host())
    agent.kill()
    boot_id = lab.directory / "boot_id"
    boot_id.write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    isolation.run("mount", "--bind", str(boot_id), BOOT_ID)
    lab.at_end(isolation.unmount, BOOT_ID)
    assert agent.once("--doctor").out.count("belongs to another network namespace") == 0
    result = agent.once("--detach")
    assert (result.status, result.out) == (0, "detached\n"), result
    assert "is gone" not in result.err, result
    assert set(attached(lab.gateway).values()) == {None}
    assert tc_programs.all_of(lab.gateway, "out0", "egress") == []
    assert lab.gateway.ip("route", "show", "proto", "215") == ""
    assert not list(agent.pins.glob("v*"))


@pytest.mark.parametrize("xdp_mode", ["auto", "none"])
def test_a_live_program_with_invisible_pins_is_left_alone_and_not_called_foreign(lab, xdp_mode):
    """As under `ip netns exec`, which mounts another /sys: another pin path does the same."""
    agent = lab.start(xdp_mode=xdp_mode)
    host = lab.host()
    src = lab.open_udp(host)
    hidden = lab.directory / "hidden"
    hidden.mkdir()
    isolation.mount(b"bpf", hidden)
    lab.at_end(isolation.unmount, hidden)
    right = agent.path.read_text()
    agent.path.write_text(right.replace(str(agent.pins), str(hidden)))
    for options in (["-t"], []):
        result = agent.once(*options)
        assert result.status == 2 and "carries detnat's program" in result.err, result
        assert "nsenter --net=" in result.err and "off`" not in result.err, result
    agent.path.write_text(right)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
