# SPDX-License-Identifier: BSD-2-Clause
"""A gateway that is lost: the package and two directories, the configuration's and the state's, are put back on another.

Three days are lived through by a clock of the agent's own. The same 10,000 questions are asked before the loss and after it; where the newest day is
missing from what is put back, its questions have no customer, and never another one.
"""

import calendar
import json
import os
import pathlib
import random
import shutil
import subprocess
import time

import pytest

import agent as programs
import clock as own_clock
from agent import BUILD
from lab import MAPPING, Lab, block_of
from radius import INTERIM, START, STOP, Nas
from test_history_told import library
from test_identity_radius import PORT, source

QUESTIONS = 10000
HOSTS = [f"10.0.{i}.{i}" for i in range(1, 25)]
# The pool of each day's second mapping, whose inside addresses stay.
SECOND = {"in": "10.64.0.0/24"}
POOLS = ["1.1.2.0/28", "1.1.3.0/28", "1.1.4.0/28"]

pytestmark = pytest.mark.slow


def program(name):
    """As it was installed, for `make drill`; else as it was built."""
    return next(pathlib.Path(os.environ["DRILL"]).rglob(f"*bin/{name}")) if "DRILL" in os.environ else BUILD / name


def second(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def text(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def noon(day):
    """The shift of a clock that shows noon, `day` days from today."""
    now = int(time.time())
    return now - now % 86400 + day * 86400 + 43200 - now


def live(lab, agent, nas, shifted, day):
    """One day: customers come, one goes and another takes the address, a mapping gets other addresses. Its first second, and its last, in which it ends."""
    begun = int(time.time()) + shifted.shift
    agent.ctl("mapping", "add", SECOND["in"], POOLS[day], *(["--replace"] if day else []))
    for n, host in enumerate(HOSTS):
        nas.tell(START, host, user=f"customer{day}-{n}", session=f"{day}-{n}")
    for n, host in enumerate(HOSTS[::2]):
        nas.tell(STOP, host, user=f"customer{day}-{2 * n}", session=f"{day}-{2 * n}")
        nas.tell(START, host, user=f"next{day}-{n}", session=f"next{day}-{n}")
    for n, host in enumerate(HOSTS[1::2]):
        nas.tell(INTERIM, host, user=f"customer{day}-{2 * n + 1}", session=f"{day}-{2 * n + 1}")
    for n, host in enumerate(HOSTS):
        user = f"customer{day}-{n}" if n % 2 else f"next{day}-{n // 2}"
        nas.tell(STOP, host, user=user, session=f"{day}-{n}" if n % 2 else user)
    return begun, int(time.time()) + shifted.shift


def questions(days):
    chance = random.Random(20260131)
    outs = [f"1.1.1.{n}" for n in range(4)] + [f"1.1.{pool}.{n}" for pool in (2, 3, 4) for n in range(16)]
    asked = []
    for n in range(QUESTIONS):
        first, last = days[n % len(days)]
        block = block_of(chance.choice(HOSTS))
        # One of four is about anybody, the others about subscribers who had leases.
        out, port = (chance.choice(outs), chance.randrange(1024, 65536)) if n % 4 == 0 else (block.addr, block.lo + chance.randrange(block.ports))
        asked.append(f"{text(chance.randrange(first - 2, last - 1))} {out}:{port}")
    return asked


def ask(asked, state):
    told = subprocess.run([program("detnatctl"), "-j", "who", "-", "--margin", "0", "--state-dir", state],
                          input="\n".join(asked) + "\n", capture_output=True, text=True, timeout=300, check=False)
    answers = json.loads(told.stdout)
    assert len(answers) == len(asked), told.stderr
    for answer in answers:
        # Where it was read, until when the history there says something, and when the mapping ended, which it had not at the loss.
        for key in ("state_dir", "read_until", "to"):
            answer.pop(key, None)
    return answers


def names(answer):
    """All customers that an answer names."""
    return {c["id"] for c in [answer.get("customer"), *answer.get("customers", [])] if c}


@pytest.fixture
def elsewhere(run_directory):
    """Another machine."""
    other = Lab(run_directory)
    yield other
    other.close()


def put_back(other, kept, monkeypatch):
    """The package and the two directories."""
    monkeypatch.setattr(programs, "AGENT", program("detnat-agent"))
    agent = other.prepare()
    shutil.copytree(kept / "state", agent.state)
    config = json.loads((kept / "detnat.json").read_text())
    agent.write(mappings=config["mappings"], leases=[source(agent)])
    return agent


def test_a_lost_gateway_answers_as_before(lab, elsewhere, tmp_path, monkeypatch):
    agent = lab.prepare(mappings=[MAPPING])
    agent.write(leases=[source(agent)])
    shifted = own_clock.Clock(library(lab.directory), lab.directory / "clock")
    nas = Nas(lab.gateway, ("127.0.0.1", PORT))
    days = []
    for day in range(3):
        shifted.set(noon(day - 3))
        agent.start(**shifted.environment)
        days.append(live(lab, agent, nas, shifted, day))
        agent.ctl("config", "save")
        if day == 1:
            shutil.copytree(agent.state, tmp_path / "older/state")
            shutil.copy(agent.path, tmp_path / "older/detnat.json")
        agent.stop()
    shutil.copytree(agent.state, tmp_path / "kept/state")
    shutil.copy(agent.path, tmp_path / "kept/detnat.json")
    asked = questions(days)
    before = ask(asked, agent.state)
    known = sum(1 for answer in before if answer.get("customer"))
    assert known > QUESTIONS / 20, known
    agent.detach()

    found = put_back(elsewhere, tmp_path / "kept", monkeypatch).start()
    assert ask(asked, found.state) == before
    assert found.ctl("mapping", "list")

    # The newest file of leases is missing.
    shutil.copytree(tmp_path / "kept/state", tmp_path / "without")
    gone = [path for path in (tmp_path / "without").glob(f"leases-{text(days[2][0])[:10]}.*")]
    assert gone
    for path in gone:
        path.unlink()
    compare(asked, before, ask(asked, tmp_path / "without"), days[2][0], same_host=True)

    # All of the newest day is missing: the copy is of the day before.
    compare(asked, before, ask(asked, tmp_path / "older/state"), days[2][0], same_host=False)


def compare(asked, before, after, newest, same_host):
    """Of earlier days the same, of the newest no customer; the inside address of before, or none."""
    for question, one, two in zip(asked, before, after):
        if second(question.split()[0]) < newest - 3:
            assert one == two, question
            continue
        assert not names(two), (question, two)
        if same_host:
            assert two["in_addr"] == one["in_addr"], (question, one, two)
        else:
            # What was so when the copy was made, said to be known until then, or nothing.
            assert two["in_addr"] is None or second(two["known_until"]) < newest, (question, two)
