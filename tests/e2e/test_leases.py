# SPDX-License-Identifier: BSD-2-Clause
"""Customers: who had the inside address behind an answer, from files of leases."""

import datetime
import json

import pytest

import isolation
from agent import CTL, execute

OUT, IN = "1.1.1.1:1276", "10.0.16.16"


def lease_file(directory, *events):
    """Writes lines of (seconds from now, event, id, more) to the files of their days."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for seconds, event, name, more in events:
        at = now + datetime.timedelta(seconds=seconds)
        line = {"time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "event": event, **({"in_addr": IN, "id": name} if name else {}), **more}
        with open(directory / f"leases-{at:%Y-%m-%d}.jsonl", "a") as out:
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


def who(agent, *arguments, status=0):
    result = execute(CTL, "-j", "who", *arguments, "--state-dir", agent.state)
    assert result.status == status, result
    return json.loads(result.out)


@pytest.fixture
def leases(tmp_path):
    directory = tmp_path / "leases"
    directory.mkdir()
    return directory


def test_an_answer_names_the_customer(running_lab, leases):
    lease_file(leases, (-86400, "start", "alice", {"session": "nas/1", "circuit": "ge-0/0/1"}))
    answer = who(running_lab.agent, OUT, "--leases", leases, "--margin", "0")
    assert answer["in_addr"] == IN and answer["customer"]["id"] == "alice" and answer["customer"]["circuit"] == "ge-0/0/1"
    assert answer["margin"] == {"seconds": 0, "same": True}
    text = execute(CTL, "who", OUT, "--leases", leases, "--state-dir", running_lab.agent.state)
    assert text.status == 0 and "Customer:       alice, circuit ge-0/0/1, session nas/1" in text.out


@pytest.mark.parametrize("events, reason", [
    ([(-86400, "mark", "", {}), (60, "mark", "", {})], "no-lease"),
    ([(-86400, "mark", "", {})], "no-record"),
    ([(-60, "start", "alice", {"session": "nas/1"}), (-60, "start", "bob", {"session": "nas/2"}),
      (60, "stop", "alice", {"session": "nas/1"}), (60, "stop", "bob", {"session": "nas/2"})], "two-leases"),
])
def test_an_answer_without_a_customer_says_why(running_lab, leases, events, reason):
    lease_file(leases, *events)
    answer = who(running_lab.agent, OUT, "--leases", leases, status=1)
    assert answer["in_addr"] == IN and answer["customer"] is None and answer["customer_reason"] == reason
    assert [c["id"] for c in answer.get("customers", [])] == (["alice", "bob"] if reason == "two-leases" else [])
    question = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ} {OUT}\n"
    row = isolation.run(CTL, "-j", "who", "-", "--leases", leases, "--state-dir", running_lab.agent.state, input=question, check=False)
    assert row.returncode == 1 and json.loads(row.stdout)[0]["customer_reason"] == reason


def test_without_leases_the_answer_is_as_before(running_lab):
    answer = who(running_lab.agent, OUT)
    assert "customer" not in answer and "margin" not in answer


def test_a_directory_without_leases_is_refused(running_lab, leases):
    result = execute(CTL, "who", OUT, "--leases", leases, "--state-dir", running_lab.agent.state)
    assert result.status == 1 and "there is no leases-YYYY-MM-DD.jsonl" in result.err
