# SPDX-License-Identifier: BSD-2-Clause
"""As much as a configuration may have passes each door: a start, reload, `config save`, a restart, a boot, history, JSON, desk."""

import json

import pytest

from agent import wait_for
from desk import Desk

pytestmark = pytest.mark.slow

MOST_OCTETS = 16 << 20


def label(letter, number):
    """A name of as many octets as there may be."""
    return f"{letter}{number}".ljust(63, letter)


def interfaces():
    return {"interfaces": {"inside": ["in0", *(f"e{n}" for n in range(4094))], "outside": ["out0"]}}


def tenants():
    names = [label("t", n) for n in range(255)]
    return {"tenants": [{"name": name, "id": n + 1, "interfaces": {"inside": [f"e{n}" if n else "in0"], "outside": ["out0"]}}
                        for n, name in enumerate(names)],
            "mappings": [{"tenant": name, "in": f"10.{n}.0.0/24", "out": f"203.0.{n}.0/30", "session_slots": 8} for n, name in enumerate(names)]}


def slots():
    return {"mappings": [{"in": "10.0.0.0/24", "out": "203.0.113.0/28", "session_slots": 2048}]}


def sixteen_mib(outs=48000):
    """Names and comments as long as may be of 4096 mappings and 65,536 portmaps: some 170 KiB less than 16 MiB."""
    tenant = label("t", 0)
    portmaps = [{"name": label("p", n), "tenant": tenant, "proto": "tcp", "in": f"10.{n % 4096 >> 8}.{n & 255}.{n >> 12}:{60000 + n % 5000}"}
                for n in range(65536)]
    for n, portmap in enumerate(portmaps[:outs]):
        portmap["out"] = f"203.{n % 4096 >> 8}.{n & 255}.0:{1029 + 4032 * (n >> 12)}"
    return {"unmatched": "drop", "portmaps": portmaps,
            "tenants": [{"name": tenant, "id": 1, "interfaces": {"inside": ["in0"], "outside": ["out0"]}}],
            "mappings": [{"name": label("m", n), "tenant": tenant, "in": f"10.{n >> 8}.{n & 255}.0/28", "out": f"203.{n >> 8}.{n & 255}.0/32",
                          "session_slots": 8, "comment": '"' * 256} for n in range(4096)]}


def boot(agent):
    agent.stop()
    agent.detach()
    agent.start()


def in_a_batch(agent, command):
    """A command for each of 4096 mappings, as one change."""
    commands = agent.directory / "commands"
    commands.write_text("".join(command.format(label("m", n)) + "\n" for n in range(4096)))
    return agent.command("-b", commands)


def is_as_in_the_file(agent):
    return agent.ctl("config", "diff", str(agent.path)) == []


def pass_the_doors(agent):
    """What the file has is taken, and what runs is written and read again."""
    agent.start()
    assert is_as_in_the_file(agent)
    agent.ctl("config", "save")
    assert is_as_in_the_file(agent) and agent.ctl("reload")["changed"] is False
    agent.ctl("timeouts", "set", "udp=299")
    agent.restart()
    assert agent.ctl("timeouts", "show")["udp"] == 299, "what was not saved is kept over a restart"
    agent.ctl("config", "save")
    boot(agent)
    assert agent.ctl("timeouts", "show")["udp"] == 299 and is_as_in_the_file(agent)
    assert agent.ctl("status")["troubles"] == [] and agent.ctl("check")["findings"] == []
    assert agent.command("history", "verify").status == 0


@pytest.mark.parametrize("most, listing", [(interfaces, "interface"), (tenants, "mapping"), (slots, "mapping")], ids=lambda v: getattr(v, "__name__", ""))
def test_as_many_as_there_may_be_pass_each_door(lab, most, listing):
    agent = lab.prepare(**most())
    pass_the_doors(agent)
    assert len(agent.ctl(listing, "list")) == {"interfaces": 4096, "tenants": 255, "slots": 1}[most.__name__]


def test_seven_peers_pass_each_door(gateways):
    agent = gateways.prepare(0)
    agent.write(replication={**agent.config["replication"], "peers": [f"192.0.2.{n}:9470" for n in range(2, 9)]})
    pass_the_doors(agent)
    assert len(agent.ctl("peer", "list")) == 7


def test_sixteen_mib_pass_each_door_and_more_is_refused(lab):
    agent = lab.prepare(**sixteen_mib())
    text = json.dumps(agent.config, separators=(",", ":"))
    assert MOST_OCTETS - (1 << 18) < len(text) < MOST_OCTETS
    agent.path.write_text(text + (MOST_OCTETS + 1 - len(text)) * " ")
    assert f"is longer than {MOST_OCTETS} octets" in agent.once("-t").err
    agent.path.write_text(text + (MOST_OCTETS - len(text)) * " ")
    assert agent.once("-t").status == 0
    pass_the_doors(agent)
    desk = Desk(agent.directory / "desk", "--control", agent.socket, "--state-dir", agent.state)
    assert [desk.ask(f"/api/{page}").status for page in ("mappings", "pools", "history", "subscriber/10.0.0.0", "explain/10.0.0.0")] == [200] * 5
    desk.end()

    # What no file could have is not let in; what was let in is saved.
    done = [in_a_batch(agent, "mapping set {} " + options) for options in ("--limit-tcp 60000 --limit-udp 60000", "--limit-icmp 60000")]
    assert done[0].status == 0 and f"more than the {MOST_OCTETS} that a file may have" in done[1].err
    agent.ctl("config", "save")
    assert MOST_OCTETS - (1 << 16) < agent.path.stat().st_size <= MOST_OCTETS
    assert agent.ctl("reload")["changed"] is False and len(agent.ctl("portmap", "list")) == 65536


def test_full_lists_are_alike_at_two_gateways(gateways):
    most = sixteen_mib(0)
    for portmap in most["portmaps"]:
        del portmap["name"]
    for number in range(2):
        gateways.prepare(number, **most).start()
    for number, one in enumerate(gateways.labs):
        wait_for(lambda n=number: gateways.state(n) == "synchronised", 300, "the gateways to be synchronised")
        (peer,) = one.agent.ctl("peer", "list")
        assert (peer["state"], peer["differences"], peer["not_exchanged"], peer["reason"]) == ("synchronised", [], [], None)
