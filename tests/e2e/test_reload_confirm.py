# SPDX-License-Identifier: BSD-2-Clause
"""reload --confirm: what runs comes back unless somebody confirms, whatever becomes of the agent meanwhile."""

import json
import time

import pytest

from agent import wait_for
from lab import MAPPING

OTHER = {"in": "10.64.0.0/24", "out": "1.1.2.0/28"}
SECONDS = "60"


@pytest.fixture
def agent(lab):
    return lab.start()


def record(agent):
    return agent.state / "unconfirmed.json"


def mappings(agent):
    return [m["in"] for m in agent.ctl("mapping", "list")]


def over(agent):
    """The time of the reload is over, as the file says to the next agent."""
    noted = json.loads(record(agent).read_text())
    record(agent).write_text(json.dumps({**noted, "until": int(time.time()) - 1}))


def try_other(agent, *options):
    """A reload that waits for its confirmation: one mapping more, and the first one without its quota."""
    agent.write(mappings=[MAPPING, OTHER], sessions_per_user=77)
    return agent.ctl("reload", "--confirm", SECONDS, *options)


def wait_until_back(agent):
    wait_for(lambda: mappings(agent) == [MAPPING["in"]], what="what ran before")
    wait_for(lambda: not record(agent).exists(), what="the end of the note")


def test_what_is_confirmed_stays(lab, agent):
    told = try_other(agent)
    assert told["confirm_until"] and told["peers"] is False
    assert agent.ctl("status")["unconfirmed_until"] == told["confirm_until"]
    assert f"Unconfirmed: the reload is taken back at {told['confirm_until']}; `detnatctl confirm` keeps it\n" in agent.text("status")
    assert agent.text("confirm") == "confirmed\n"
    assert agent.ctl("status")["unconfirmed_until"] is None and not record(agent).exists()
    for options in ((), ("--back",)):
        assert agent.refused("confirm", *options) == "detnatctl: no reload waits for a confirmation\n"
    agent.restart()
    assert mappings(agent) == [MAPPING["in"], OTHER["in"]]


def test_what_nobody_confirms_is_taken_back_and_its_sessions_stay(lab, agent):
    host = lab.host()
    lab.open_udp(host)
    agent.write(mappings=[MAPPING, OTHER])
    assert agent.text("reload", "--confirm", "10").startswith("reloaded\nit is taken back at 20")
    assert mappings(agent) == [MAPPING["in"], OTHER["in"]]
    wait_until_back(agent)
    assert lab.session(host)
    trouble, = agent.ctl("status")["troubles"]
    assert trouble["what"] == "config" and "was taken back, as nobody confirmed it" in trouble["text"]
    text = agent.text("history", "list")
    assert "reload" in text and "unconfirmed" in text
    # What the file says is not what a restart takes, until somebody reloads.
    agent.restart()
    assert mappings(agent) == [MAPPING["in"]]
    agent.ctl("reload")
    assert mappings(agent) == [MAPPING["in"], OTHER["in"]] and not agent.ctl("status")["troubles"]


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_it_is_taken_back_by_the_next_agent(lab, agent, how):
    host = lab.host()
    lab.open_udp(host)
    try_other(agent)
    getattr(agent, how)()
    over(agent)
    agent.start()
    wait_until_back(agent)
    assert lab.session(host) and agent.ctl("config", "show").get("sessions_per_user") is None


def test_it_is_taken_back_after_the_pins_are_gone(lab, agent):
    """As after a reboot, where the file alone says what to begin with."""
    try_other(agent)
    agent.stop()
    agent.detach()
    over(agent)
    agent.start()
    wait_until_back(agent)


def test_it_waits_on_after_a_kill_and_can_be_confirmed(lab, agent):
    until = try_other(agent)["confirm_until"]
    agent.kill()
    agent.start()
    assert agent.ctl("status")["unconfirmed_until"] == until
    agent.ctl("confirm")
    assert mappings(agent) == [MAPPING["in"], OTHER["in"]] and not record(agent).exists()


def test_it_is_taken_back_at_once(lab, agent):
    host = lab.host()
    lab.open_udp(host)
    agent.write(mappings=[OTHER])
    agent.ctl("reload", "--confirm", SECONDS)
    assert mappings(agent) == [OTHER["in"]]
    assert agent.text("confirm", "--back") == "taken back; the file still says what was taken back\n"
    assert mappings(agent) == [MAPPING["in"]] and not record(agent).exists()
    lab.open_udp(host, port=5001)


def test_nothing_else_changes_meanwhile(lab, agent):
    try_other(agent)
    why = "a reload waits for its confirmation until "
    agent.write(mappings=[MAPPING])
    for command in (["reload"], ["reload", "--confirm", "60"], ["mapping", "del", OTHER["in"]], ["timeouts", "set", "udp=100"]):
        assert why in agent.refused(*command), command
    agent.hang_up()
    wait_for(lambda: why in agent.log_text(), what="the refusal of the signal")
    assert mappings(agent) == [MAPPING["in"], OTHER["in"]]
    agent.ctl("confirm")
    assert not agent.ctl("status")["troubles"]
    agent.ctl("timeouts", "set", "udp=100")


def test_a_reload_that_fails_leaves_no_note(lab, agent):
    agent.write(mappings=[{"in": "10.0.0.0/18", "out": "none such"}])
    agent.refused("reload", "--confirm", SECONDS)
    assert not record(agent).exists() and agent.ctl("status")["unconfirmed_until"] is None
    assert "must be 10 to 86400" in agent.refused("reload", "--confirm", "5", status=2)


def test_it_is_refused_while_something_drains(lab, agent):
    host = lab.host()
    lab.open_udp(host)
    agent.ctl("mapping", "del", MAPPING["in"], "--drain", "600")
    agent.write(mappings=[OTHER])
    assert "nothing drains" in agent.refused("reload", "--confirm", SECONDS)
    assert not record(agent).exists()


def test_what_its_reload_drains_comes_back_with_its_sessions(lab, agent):
    host = lab.host()
    port = lab.open_udp(host)
    agent.write(mappings=[OTHER])
    agent.write(mappings=[{**MAPPING, "drain": 600}])
    agent.ctl("reload")
    agent.write(mappings=[OTHER])
    agent.ctl("reload", "--confirm", SECONDS)
    assert mappings(agent) != [MAPPING["in"]]
    agent.ctl("confirm", "--back")
    assert MAPPING["in"] in mappings(agent) and OTHER["in"] not in mappings(agent)
    assert lab.session(host), port


def test_a_note_that_is_damaged_is_said_and_kept(lab, agent):
    try_other(agent)
    agent.stop()
    record(agent).write_text("{")
    agent.start()
    assert "unconfirmed.json: is no note of a reload" in agent.log_text()
    assert mappings(agent) == [MAPPING["in"], OTHER["in"]]


def test_a_state_directory_that_cannot_be_written_refuses_it(lab, agent):
    agent.write(mappings=[MAPPING, OTHER])
    record(agent).mkdir()
    assert "nothing was changed" in agent.refused("reload", "--confirm", SECONDS)
    assert mappings(agent) == [MAPPING["in"]]
    record(agent).rmdir()
