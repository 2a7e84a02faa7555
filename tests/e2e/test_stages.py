# SPDX-License-Identifier: BSD-2-Clause
"""One stage or two: which the agent chooses and why, and switches between them, which lose nothing."""

import json

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

import isolation
from agent import START_PATIENCE, wait_for
from test_history import attach_foreign_program
from test_redirects import gro
from test_restart import Stream
from xdp_mode import xdp_only

pytestmark = xdp_only  # without XDP packets take one stage

# 16384 subscribers: 2 MiB of slots with 8 each, and 16 MiB with 64.
SMALL, LARGE = 8, 64
# 131072 subscribers more, 16 MiB with 8 slots each.
STAGES = "auto"  # as the agent chooses
ADDED = ("10.64.0.0/15", "1.1.2.0/24")

PAYS = "two stages pay from 16 MiB on"


def stages(lab):
    status = lab.agent.ctl("status")
    return status["stages"], status["stages_reason"]


def becomes(lab, number, reason):
    # Programs are loaded, as by a start, but only some seconds after the cause.
    wait_for(lambda: stages(lab) == (number, reason), START_PATIENCE, f"{number} stages as {reason!r}")


def in_two(lab, **config):
    """Starts an agent that has chosen two stages, with its copy of the routes in force."""
    lab.start(stages="auto", session_slots=LARGE, **config)
    assert stages(lab) == (2, "slots take 16 MiB")
    wait_for(lambda: lab.agent.ctl("status")["routes"]["in_force"], what="the copy of the routes")


@pytest.mark.parametrize("config, wanted", [
    ({"stages": "auto", "session_slots": SMALL}, (1, f"slots take 2 MiB, {PAYS}")),
    ({"stages": "auto", "session_slots": LARGE}, (2, "slots take 16 MiB")),
    ({"stages": None, "session_slots": LARGE}, (2, "slots take 16 MiB")),
    ({"stages": 1, "session_slots": LARGE}, (1, "set to 1")),
    ({"stages": 2, "session_slots": SMALL}, (2, "set to 2")),
    ({"stages": "auto", "forwarding": "kernel"}, (1, "the kernel forwards")),
    ({"stages": "auto", "xdp_mode": "skb"}, (1, "in0 runs XDP in generic mode")),
    ({"stages": "auto", "interfaces": {"inside": ["in0", "out0"], "outside": ["out0"]}}, (1, "out0 is inside and outside")),
    ({"stages": "auto", "unsolicited_tcp": "answer", "session_slots": LARGE},
     (2, "slots take 16 MiB; TCP from outside has one, as unsolicited TCP is answered")),
], ids=str)
def test_the_choice_and_its_reason(lab, config, wanted):
    lab.prepare(**{key: value for key, value in config.items() if value is not None})
    lab.agent.write(**config)
    lab.agent.start()
    assert stages(lab) == wanted
    assert f"Stages:           {wanted[0]} ({wanted[1]})" in lab.agent.text("status")
    said = f"packets are handled in {'two stages' if wanted[0] == 2 else 'one stage'}: {wanted[1]}"
    wait_for(lambda: said in lab.agent.log_text(), what="the choice in the log")
    assert lab.agent.log_text().count(said) == 1
    host = lab.host()
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)


@pytest.mark.parametrize("value, said", [(0, "0"), (3, "3"), ("two", '"two"'), (1.5, "1.5")])
def test_other_values_are_refused(lab, value, said):
    agent = lab.start(stages=1)
    agent.write(stages=value)
    message = f'stages: must be "auto" or a whole number from 1 to 2, not {said}'
    assert message in agent.once("-t").err
    assert message in agent.refused("reload")
    assert stages(lab) == (1, "set to 1")
    agent.write(stages=1)


def test_two_that_cannot_be_had_are_one_with_a_warning(lab):
    lab.start(stages=2, xdp_mode="skb")
    assert stages(lab) == (1, "in0 runs XDP in generic mode")
    assert '"stages": 2 is not possible here, packets are handled in one stage: in0 runs XDP in generic mode' in lab.agent.log_text()
    lab.open_udp(lab.host())


def test_a_large_mapping_switches_under_traffic(lab):
    lab.start(stages="auto", session_slots=SMALL)
    with Stream(lab):
        lab.agent.ctl("mapping", "add", *ADDED)
        assert stages(lab) == (2, "slots take 18 MiB")
    with Stream(lab):
        lab.agent.ctl("mapping", "del", *ADDED)
        assert stages(lab) == (1, f"slots take 2 MiB, {PAYS}")


def test_reloads_switch_under_traffic(lab):
    lab.start(stages=1)
    with Stream(lab):
        for number in (2, 1, 2, "auto", 1):
            lab.agent.write(stages=number)
            lab.agent.ctl("reload")
            assert stages(lab)[0] == (2 if number == "auto" else number)
    assert lab.agent.counters()["drop_stage2"] == 0


def test_a_kill_and_a_restart_in_two_stages(lab):
    in_two(lab)
    with Stream(lab):
        lab.agent.kill()
    with Stream(lab):
        lab.agent.start()
        assert stages(lab) == (2, "slots take 16 MiB")
    with Stream(lab):
        lab.agent.kill()
        lab.agent.write(stages=1)
        lab.agent.start()
        assert stages(lab) == (1, "set to 1")
    assert lab.agent.counters()["drop_stage2"] == 0


def test_a_trace_and_routing_rules(lab):
    in_two(lab)
    with Stream(lab):
        lab.agent.ctl("trace", "start", "--count", 10000)
        assert lab.agent.ctl("status")["tracing"]
        assert stages(lab) == (1, "a trace runs in one stage")
        lab.agent.ctl("trace", "stop")
        assert stages(lab) == (2, "slots take 16 MiB")
        lab.gateway.ip("rule", "add", "from", "10.0.0.0/24", "lookup", "main")
        becomes(lab, 1, "there are routing rules")
        lab.gateway.ip("rule", "del", "from", "10.0.0.0/24", "lookup", "main")
        becomes(lab, 2, "slots take 16 MiB")


def add_dull(lab, *options):
    """An interface without native XDP: a veth with fewer queues than its peer sends by."""
    lab.gateway.ip("link", "add", "dull0", *options, "numrxqueues", 1, "type", "veth", "peer", "name", "dull1", "numtxqueues", 2)
    lab.gateway.run("ethtool", "-L", "dull1", "tx", "2")
    lab.gateway.batch("link set dull0 up", "link set dull1 up")


def with_dull(lab):
    """The file of an agent that has it inside, too, in the only mode of XDP that it has."""
    inside = ["in0", {"name": "dull0", "xdp_mode": "skb"}]
    lab.agent.write(interfaces={"inside": inside, "outside": ["out0"]})
    lab.agent.ctl("reload")


def test_an_interface_without_native_xdp(lab):
    in_two(lab)
    add_dull(lab)
    with Stream(lab):
        with_dull(lab)
        becomes(lab, 1, "dull0 runs XDP in generic mode")
        # A start knows it from the beginning.
        lab.agent.restart()
        assert stages(lab) == (1, "dull0 runs XDP in generic mode")
        lab.agent.ctl("interface", "del", "dull0", "inside")
        assert stages(lab) == (2, "slots take 16 MiB")


def test_an_interface_that_refuses_frames(lab):
    in_two(lab, xdp_mode="native")
    gro(lab, "off")
    lab.agent.restart()
    becomes(lab, 1, "in0 refuses redirected frames")
    gro(lab, "on")
    becomes(lab, 2, "slots take 16 MiB")
    lab.open_udp(lab.host())


def test_an_interface_that_is_absent_changes_nothing(lab):
    in_two(lab)
    lab.gateway.ip("link", "del", "in0")
    wait_for(lambda: "in0: the interface is gone" in lab.agent.log_text(), what="in0 to be missed")
    lab.agent.restart()
    assert stages(lab) == (2, "slots take 16 MiB")


def forged(mac, sequence):
    """A frame that looks as if it waited for stage 2."""
    return Ether(src=mac, dst=bytes((0x02, 0x6E)) + sequence.to_bytes(4, "little"), type=0x88B6)


def test_marks_from_the_wire_are_nobodys(lab):
    in_two(lab)
    lab.gateway.ip("link", "set", "in0", "promisc", "on")
    host = lab.host()
    with Stream(lab) as stream:
        packet = bytes(lab.from_inside(host, UDP(sport=6000, dport=53) / b"forged"))
        for sequence in (*range(100), stream.sent, 0xFFFFFFFF):
            lab.inside.send(bytes(forged(host.mac, sequence)) + packet[14:])
    assert not lab.sessions(host.addr)
    assert lab.agent.counters()["drop_stage2"] == 0


def ports(lab):
    """The interfaces in the map by which programs with stages redirect, as indexes."""
    dump = isolation.run("bpftool", "-j", "map", "dump", "pinned", next(lab.agent.pins.glob("v*")) / "ports").stdout
    return {int.from_bytes(bytes(int(octet, 16) for octet in entry["key"]), "little") for entry in json.loads(dump)}


def index(lab, name):
    return json.loads(lab.gateway.ip("-j", "link", "show", name))[0]["ifindex"]


def test_ports_follow_the_interfaces(lab):
    lab.start(stages=1)
    add_dull(lab)
    both = {index(lab, "in0"), index(lab, "out0")}
    assert ports(lab) == both
    with_dull(lab)
    assert ports(lab) == both | {index(lab, "dull0")}
    lab.agent.ctl("interface", "del", "dull0", "inside")
    assert ports(lab) == both
    lab.agent.ctl("reload")
    assert ports(lab) == both | {index(lab, "dull0")}
    lab.agent.kill()
    lab.agent.write(timeouts={"udp": 99}, interfaces={"inside": ["in0"], "outside": ["out0"]})
    lab.agent.start()
    assert ports(lab) == both, "the new file does not name it"


def test_an_index_that_is_used_again_is_no_port(lab):
    lab.start(stages=1)
    number = index(lab, "in0")
    lab.agent.kill()
    lab.gateway.ip("link", "del", "in0")
    add_dull(lab, "index", number)
    lab.agent.start()
    assert ports(lab) == {index(lab, "out0")}


def test_check_puts_back_what_two_stages_need(lab):
    in_two(lab)
    pins = next(lab.agent.pins.glob("v*"))
    wanted = [("stage2_entries 0", "the second stage is a program other than the one loaded, or none"), ("out0", "the map `ports` lacks it")]
    isolation.run("bpftool", "map", "delete", "pinned", pins / "ports", "key", *(str(octet) for octet in index(lab, "out0").to_bytes(4, "little")))
    isolation.run("bpftool", "map", "delete", "pinned", pins / "stage2_entries", "key", *"0000")
    for options, repaired in ((), False), (("--repair",), True):
        found = json.loads(lab.agent.command("-j", "check", *options).out)["findings"]
        assert sorted((f["where"], f["text"], f["repaired"]) for f in found) == sorted((*w, repaired) for w in wanted)
    assert ports(lab) == {index(lab, "in0"), index(lab, "out0")}
    with Stream(lab):
        pass


def test_an_agent_that_starts_beside_another_program_has_one_stage_from_the_beginning(lab):
    attach_foreign_program(lab, "out0")
    agent = lab.start(interfaces={"inside": ["in0"], "outside": [{"name": "out0", "xdp_mode": "auto"}]}, stages=2)
    assert stages(lab) == (1, "out0 runs no XDP")
    host = lab.host()
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert "two stages" not in agent.log_text().replace("two stages pay", "")
