# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl: names and comments of mappings, mapping set."""

import http.client
import socket

import pytest

from agent import wait_for
from lab import MAPPING

NAMED = {**MAPPING, "name": "residential", "comment": "north, floor 2"}
OTHER = ("10.64.0.0/24", "1.1.2.0/28")


@pytest.fixture
def agent(running_lab):
    """The agent with one named mapping, which it has again afterwards."""
    running_lab.agent.write(mappings=[NAMED], metrics={"listen": "127.0.0.1:9469"})
    running_lab.agent.ctl("reload")
    yield running_lab.agent
    running_lab.agent.write(mappings=[NAMED])
    running_lab.agent.ctl("reload")


def test_a_name_stands_in_listings_and_answers(agent):
    (mapping,) = agent.ctl("mapping")
    assert (mapping["name"], mapping["comment"]) == (NAMED["name"], NAMED["comment"])
    assert all(text in agent.text("mapping") for text in (NAMED["name"], NAMED["comment"]))
    assert agent.ctl("forward", "10.0.0.2")["mapping"] == "residential"
    assert agent.ctl("reverse", "1.1.1.1:1276")["mapping"] == "residential"
    assert agent.ctl("user", "show", "10.0.0.2")["mapping"] == "residential"
    assert "residential" in agent.text("user", "show", "10.0.0.2")
    assert agent.ctl("explain", "10.0.0.2")["mapping"]["name"] == "residential"
    assert "residential: 10.0.0.0/18" in agent.text("explain", "10.0.0.2")


def test_a_mapping_without_a_name_has_null(agent):
    agent.ctl("mapping", "set", "residential", "--name", "", "--comment", "")
    (mapping,) = agent.ctl("mapping")
    assert (mapping["name"], mapping["comment"]) == (None, None)
    assert "name" not in agent.ctl("explain", "10.0.0.2")["mapping"]
    assert "mapping" not in agent.ctl("forward", "10.0.0.2")
    assert "Mapping" not in agent.text("user", "show", "10.0.0.2")


def test_metrics_have_the_name_as_a_label(running_lab, agent):
    def page():
        with running_lab.gateway.enter():
            connection = http.client.HTTPConnection("127.0.0.1", 9469, timeout=10)
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
    wanted = 'detnat_mapping_addresses{inside="10.0.0.0/18",outside="1.1.1.0/30",mapping="residential"} 16384'
    wait_for(lambda: wanted in page(), what="the label")


def test_add_takes_a_name_and_del_takes_it_for_the_prefixes(agent):
    added = agent.ctl("mapping", "add", *OTHER, "--name", "business", "--comment", "as of May")
    assert (added["name"], added["comment"]) == ("business", "as of May")
    assert "business" in agent.refused("mapping", "add", "10.65.0.0/24", "1.1.3.0/28", "--name", "business")
    assert "1.1.2.0/28, not to 1.1.9.0/28" in agent.refused("mapping", "del", "business", "1.1.9.0/28")
    assert "no mapping named bus" in agent.refused("mapping", "del", "bus")
    assert len(agent.ctl("mapping")) == 2
    assert agent.ctl("mapping", "del", "business") == {}
    assert [m["name"] for m in agent.ctl("mapping")] == ["residential"]
    agent.ctl("mapping", "add", *OTHER)
    agent.ctl("mapping", "del", OTHER[0])
    assert len(agent.ctl("mapping")) == 1


def test_set_changes_quota_name_and_comment_and_sessions_stay(running_lab, agent):
    host = running_lab.host()
    running_lab.open_udp(host)
    answer = agent.ctl("mapping", "set", "residential", "--sessions-per-user", "77", "--name", "homes")
    assert (answer["name"], answer["sessions_per_user"], answer["comment"]) == ("homes", 77, NAMED["comment"])
    assert "sessions" not in answer
    agent.ctl("mapping", "set", "10.0.0.0/18", "--comment", "new")
    (mapping,) = agent.ctl("mapping")
    assert (mapping["name"], mapping["comment"], mapping["sessions_per_user"]) == ("homes", "new", 77)
    assert agent.ctl("user", "show", host.addr)["quota"] == 77
    assert len(running_lab.sessions(host.addr)) == 1
    assert "no mapping named residential" in agent.refused("mapping", "set", "residential", "--name", "x")
    assert "no mapping of 10.0.0.0/17" in agent.refused("mapping", "set", "10.0.0.0/17", "--name", "x")


@pytest.mark.parametrize("arguments", [
    ("residential",), ("residential", "--name", "a b"), ("residential", "--name", "a\nb"), ("residential", "--name", "x" * 64),
    ("residential", "--comment", "x" * 257), ("residential", "--comment", "\x1b[2J"), ("residential", "--sessions-per-user", "0"),
    ("residential", "--session-slots", "64"), ("resi dential", "--name", "a"), ("", "--name", "a"),
], ids=repr)
def test_set_bad_usage_changes_nothing(agent, arguments):
    before = agent.ctl("mapping")
    message = agent.refused("mapping", "set", *arguments, status=2)
    assert "\x1b" not in message and message.count("\n") == 1
    assert agent.ctl("mapping") == before


def test_names_survive_a_restart(agent):
    agent.ctl("mapping", "set", "residential", "--name", "homes", "--comment", "ä")
    agent.restart()
    (mapping,) = agent.ctl("mapping")
    assert (mapping["name"], mapping["comment"]) == ("homes", "ä")


def test_a_comment_may_have_what_looks_like_an_escape(agent):
    """Of a NUL, which no text may have; and one that is one."""
    agent.ctl("mapping", "set", "residential", "--comment", r"\u0000 \\u0000")
    assert agent.ctl("mapping")[0]["comment"] == r"\u0000 \\u0000"
    with socket.socket(socket.AF_UNIX) as it:
        it.connect(str(agent.socket))
        it.sendall(rb'{"verb":"mapping set","args":{"mapping":"residential","comment":"\\\u0000"}}' + b"\n")
        assert b"not a request" in it.recv(4096)


def test_the_history_has_the_names_and_who_shows_them(agent):
    who = ("who", "1.1.1.0:1100", "--state-dir", agent.state)
    assert agent.ctl(*who)["mapping"] == {"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "residential"}
    assert "10.0.0.0/18 to 1.1.1.0/30, residential" in agent.text(*who)
    agent.ctl("mapping", "set", "residential", "--name", "homes")
    assert agent.ctl(*who)["mapping"]["name"] == "homes"
    agent.restart()
    assert agent.ctl(*who)["mapping"]["name"] == "homes"
    agent.ctl("mapping", "add", *OTHER, "--name", "business")
    agent.ctl("mapping", "del", "business")
    records = agent.ctl("history", "list", "--state-dir", agent.state)
    changes = [(r["event"], r.get("name")) for r in records if r["event"] in ("add", "del")]
    assert changes[-2:] == [("add", "business"), ("del", "business")]
    assert "business, since" in agent.text("history", "list", "--state-dir", agent.state)
    agent.ctl("mapping", "set", "homes", "--name", "")
    assert "name" not in agent.ctl(*who)["mapping"]
    assert agent.command("history", "verify", "--state-dir", agent.state).status == 0
