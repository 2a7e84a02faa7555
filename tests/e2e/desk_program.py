# SPDX-License-Identifier: BSD-2-Clause
"""A program that asks detnat-desk by its token; shared by the tests of /api/v1."""

import datetime
import itertools
import json
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import pytest

from agent import execute
from desk import DESK, Desk
from test_leases import lease_file, session_of

OUT = "1.1.1.1:1276"
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
TEXT = (("Content-Type", "text/plain"),)
numbers = itertools.count()
KINDS = "who,questions,evidence,customer"


def stamp(seconds=0):
    return f"{datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


class Program:
    """What a program asks, by its token."""

    def __init__(self, desk, tokens, name, *options, kinds=KINDS):
        self.desk, self.tokens, self.name = desk, tokens, name
        told = execute(DESK, "token", "add", name, "--kind", kinds, *options, "--tokens", tokens)
        assert told.status == 0, told
        self.secret = told.out.strip()

    def ask(self, path, body=None, headers=(), method=None, secret=None, **parameters):
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.desk.ask(f"/api/v1/{path}{query}", user=None, method=method or ("GET" if body is None else "POST"),
                             body=body.encode() if isinstance(body, str) else body,
                             headers=(("Authorization", f"Bearer {secret or self.secret}"), *headers))

    def revoke(self):
        assert execute(DESK, "token", "revoke", self.name, "--tokens", self.tokens).status == 0


@pytest.fixture(scope="module")
def place(run_directory):
    directory = Path(tempfile.mkdtemp(dir=run_directory, prefix="api-"))
    for name in ("leases", "queries"):
        (directory / name).mkdir()
    lease_file(directory / "leases", *session_of("alice", circuit="ge-0/0/1"), *session_of("-j", in_addr="10.0.16.20"))
    return directory


@pytest.fixture(scope="module")
def desk(running_lab, place):
    it = Desk(place / "desk", "--control", running_lab.agent.socket, "--leases", place / "leases", "--queries", place / "queries",
              "--tokens", place / "tokens")
    yield it
    it.end()


@pytest.fixture
def program(desk, place, request):
    return Program(desk, place / "tokens", f"{request.function.__name__[5:40]}-{next(numbers)}", "--rate", "100000/h")


def assert_problem(answer, status, detail):
    assert answer.status == status and answer.headers["Content-Type"] == "application/problem+json", answer
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"} and problem["status"] == status and detail in problem["detail"], problem


def lines_of(program):
    """Those of the ledger about what it asked."""
    lines = (json.loads(line) for line in next((program.tokens.parent / "queries").glob("queries-*.jsonl")).read_text().splitlines())
    return [line for line in lines if line["for"] == f"token {program.name}"]
