# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl who: the holder of an outside address and port at a time, from the mapping history alone."""

import ctypes
import datetime
import json
import re
import time

import pytest

import shapes
from agent import CTL, execute
from lab import MAPPING

HISTORY = "history.jsonl"


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def who(agent, *arguments):
    result = execute(CTL, "-j", "who", *arguments, "--state-dir", agent.state)
    assert result.status == 0 and result.err == "", result
    return shapes.assert_shape(json.loads(result.out), shapes.WHO)


def next_second():
    """Waits for the clock to reach the next whole second, the grain of the history."""
    now = time.time()
    while int(time.time()) == int(now):
        time.sleep(0.02)


def test_the_present_holder(running_lab):
    answer = who(running_lab.agent, "1.1.1.1:1276")
    assert answer["in_addr"] == "10.0.16.16" and answer["mapping"] == MAPPING and answer["to"] is None
    age = datetime.datetime.now(datetime.timezone.utc) - when(answer["from"])
    assert datetime.timedelta(-1) < age < datetime.timedelta(minutes=10)


def test_the_clock_is_known_a_second_after_the_agent_noted_it(lab):
    agent = lab.start()
    next_second()
    assert who(agent, "1.1.1.1:1276")["clock"] is not None


def test_who_needs_no_agent(lab):
    agent = lab.start()
    agent.stop()
    assert who(agent, "1.1.1.1:1276")["in_addr"] == "10.0.16.16"


def kernel_says_synchronised():
    """ntp_gettime(3): TIME_ERROR is 5."""
    return ctypes.CDLL(None).ntp_gettime(ctypes.create_string_buffer(256)) not in (-1, 5)


def test_an_answer_says_how_right_the_clock_was(lab):
    agent = lab.start()
    agent.stop()
    until = who(agent, "1.1.1.1:1276")["read_until"]
    clock = who(agent, "1.1.1.1:1276", "--at", until)["clock"]
    text = execute(CTL, "who", "1.1.1.1:1276", "--at", until, "--state-dir", agent.state).out
    if kernel_says_synchronised():
        assert clock["synchronised"] and clock["error_ms"] < 16000
        assert f"Clock:          synchronised within {clock['error_ms']} ms\n" in text
    else:
        assert clock == {"synchronised": False}
        assert "Clock:          not known to have been right: it was not synchronised\n" in text


def test_the_history_is_that_of_the_agent_at_the_socket(lab):
    agent = lab.start()
    for words in (("who", "1.1.1.1:1276"), ("history", "list"), ("history", "verify")):
        there = agent.command(*words)
        assert there.status == 0 and there.err == "", there
        assert there.out == agent.text(*words, "--state-dir", agent.state)
    agent.stop()
    told = agent.command("who", "1.1.1.1:1276", "--state-dir", agent.state)
    assert re.search(rf"(?m)^History:        {agent.state}, read until 20\S+Z$", told.out), told
    gone = agent.command("history", "list")
    assert gone.err.startswith("detnatctl: warning: the history in /var/lib/detnat is read: no agent"), gone


def test_times_may_be_told_from_now(lab):
    agent = lab.start()
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2, seconds=1)
    said = agent.refused("who", "1.1.1.1:1276", "--at", "-2h")
    told = when(said.split(" at ")[1].split(": ")[0])
    assert before < told < before + datetime.timedelta(minutes=10) and "the history begins at" in said
    assert agent.ctl("who", "1.1.1.1:1276", "--at", "now")["in_addr"] == "10.0.16.16"
    assert "or from now such as -5m" in agent.refused("who", "1.1.1.1:1276", "--at", "5m", status=2)


def test_text_names_the_subscriber(running_lab):
    result = execute(CTL, "who", "1.1.1.1:1276", "--state-dir", running_lab.agent.state)
    assert result.status == 0 and "10.0.16.16" in result.out


def test_no_holder_before_the_mapping_and_below_the_ports(running_lab):
    for arguments in (("1.1.1.1:1276", "--at", "2001-01-01"), ("1.1.1.1:80",), ("9.9.9.9:5000",), ("1.1.1.0:65535",)):
        result = execute(CTL, "-j", "who", *arguments, "--state-dir", running_lab.agent.state)
        assert result.status == 1 and result.out == "" and result.err.startswith("detnatctl: "), result


def test_a_mapping_that_ended_is_remembered(lab):
    agent = lab.start()
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.9/32")
    begun = who(agent, "1.1.9.9:1024")
    assert begun["in_addr"] == "10.9.0.0" and begun["to"] is None
    next_second()
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.9/32")
    next_second()
    agent.ctl("mapping", "add", "10.8.0.0/24", "1.1.9.9/32")
    ended = who(agent, "1.1.9.9:1024", "--at", begun["from"])
    assert ended["in_addr"] == "10.9.0.0" and ended["from"] == begun["from"] and when(ended["to"]) > when(ended["from"])
    now = who(agent, "1.1.9.9:1024")
    assert now["in_addr"] == "10.8.0.0" and when(now["from"]) >= when(ended["to"])
    # The end is not part of the interval.
    at_end = execute(CTL, "-j", "who", "1.1.9.9:1024", "--at", ended["to"], "--state-dir", agent.state)
    assert at_end.status == 1 or json.loads(at_end.out)["in_addr"] == "10.8.0.0"


def test_a_restart_continues_the_same_interval(lab):
    agent = lab.start()
    begun = who(agent, "1.1.1.1:1276")
    next_second()
    agent.restart()
    again = who(agent, "1.1.1.1:1276")
    # The error of a clock that is synchronised grows between two answers.
    assert again.pop("clock")["synchronised"] == begun.pop("clock")["synchronised"]
    assert again.pop("read_until") > begun.pop("read_until") and again == begun


@pytest.mark.parametrize("at", ["{:%Y-%m-%dT%H:%M:%SZ}", "{:%Y-%m-%dT%H:%M:%S+00:00}", "{:%Y-%m-%d %H:%M:%S}", "{:%Y-%m-%d %H:%M}", "{:%Y-%m-%d}"])
def test_formats_of_a_time(running_lab, at):
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    assert who(running_lab.agent, "1.1.1.1:1276", "--at", at.format(tomorrow))["in_addr"] == "10.0.16.16"


def test_a_time_with_an_offset(running_lab):
    start = when(who(running_lab.agent, "1.1.1.1:1276")["from"])
    east = start.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
    assert who(running_lab.agent, "1.1.1.1:1276", "--at", east.isoformat())["in_addr"] == "10.0.16.16"
    before = (start - datetime.timedelta(seconds=1)).astimezone(datetime.timezone(datetime.timedelta(hours=-8)))
    result = execute(CTL, "who", "1.1.1.1:1276", "--at", before.isoformat(), "--state-dir", running_lab.agent.state)
    assert result.status == 1


@pytest.mark.parametrize("at", ["", "now-ish", "2026-13-01", "2026-02-30", "2026-01-01 25:00", "2026-01-01T10:00", "2026-1-1", "2026-01-01Z"])
def test_malformed_times_are_bad_usage(running_lab, at):
    result = execute(CTL, "who", "1.1.1.1:1276", "--at", at, "--state-dir", running_lab.agent.state)
    assert result.status == 2, result


def test_the_history_has_one_object_per_line_and_only_grows(lab):
    agent = lab.start()
    history = agent.state / HISTORY
    before = history.read_bytes()
    for line in before.splitlines():
        assert isinstance(json.loads(line), dict)
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.9/32")
    agent.ctl("mapping", "del", "10.9.0.0/24", "1.1.9.9/32")
    after = history.read_bytes()
    assert after.startswith(before) and len(after) > len(before)


def test_no_history_finds_nothing(run_directory):
    result = execute(CTL, "who", "1.1.1.1:1276", "--state-dir", run_directory / "nowhere")
    assert result.status == 1 and result.err.startswith("detnatctl: ")
