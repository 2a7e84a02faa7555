# SPDX-License-Identifier: BSD-2-Clause
"""/api/v1 of detnat-desk: what other programs ask, what they are answered, and what is malformed."""

import io
import json
import re
import tarfile
from urllib.parse import urlencode

import pytest

from agent import CTL, execute
from desk import Desk
from desk_program import FORM, OUT, TEXT, Program, assert_problem, desk, lines_of, place, program, stamp  # noqa: F401


def test_answers_are_the_json_of_detnatctl(program, running_lab, place):  # noqa: F811
    at, places = stamp(), ("--state-dir", running_lab.agent.state, "--leases", place / "leases")
    reason = {"reason": "abuse", "case": "2026-17"}

    def theirs(*words):
        return re.sub(r'"(read_until|known_until)":[^,}]*', "", execute(CTL, "-j", *words).out).strip()

    def ours(answer):
        assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", answer
        return re.sub(r'"(read_until|known_until)":[^,}]*', "", answer.body.decode()).strip()
    assert ours(program.ask("who", endpoint=OUT, at=at, margin=10, **reason)) == theirs("who", OUT, "--at", at, "--margin", "10", *places)
    assert ours(program.ask("who", endpoint="1.1.1.1", at=at, limit=3, offset=2, **reason)) == theirs(
        "who", "1.1.1.1", "--at", at, "--limit", "3", "--offset", "2", *places)
    for name in ("alice", "ge-0/0/1", "-j"):
        assert ours(program.ask("customer", customer=name, **reason)) == theirs("customer", *places, "--", name) != "[]"
    row, = program.ask("who", f"{at} {OUT}\n", TEXT, **reason).json()
    assert row["customer"]["id"] == "alice" and row["line"] == 1
    mail = f"Subject: abuse\nDate: Sun, 1 Feb 2026 00:00:00 +0000\n\nAt 2026-01-31 14:05:00 your customer {OUT} scanned us.\n"
    row, = program.ask("questions", mail, zone="Europe/Berlin", **reason).json()
    assert (row["time"], row["out_addr"], row["out_port"]) == ("2026-01-31T13:05:00Z", "1.1.1.1", 1276)


def test_parameters_may_be_in_a_form(program):  # noqa: F811
    at = "2999-01-31T13:05:00+01:00"
    form = urlencode({"endpoint": OUT, "at": at, "reason": "abuse & \u00e9"})
    answer = program.ask("who", form, FORM)
    assert answer.status == 200 and answer.json()["in_addr"] == "10.0.16.16", answer
    assert f"asks who {OUT} at {at}, case none, reason abuse & \u00e9: 200" in program.desk.log.read_text()
    assert_problem(program.ask("who", form, FORM, reason="again"), 400, "reason is given twice")
    assert_problem(program.ask("who", form + "&a=" + "b" * 5000, FORM), 400, '"a" is no parameter')


def test_evidence_is_an_archive_and_leaves_its_line(program, place):  # noqa: F811
    answer = program.ask("evidence", urlencode({"case": "2026-18", "endpoint": OUT, "at": stamp(), "reason": "court"}), FORM)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-tar", answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        assert json.load(archive.extractfile("2026-18/answer.json"))["customer"]["id"] == "alice"
    line, = (line for line in lines_of(program) if line.get("case") == "2026-18")
    assert (line["via"], line["kind"], line["endpoint"], line["reason"]) == ("desk", "evidence", OUT, "court") and len(line["answer"]) == 64


def test_each_request_leaves_its_line_in_the_ledger(desk, place):  # noqa: F811
    it = Program(desk, place / "tokens", "noted", kinds="who,questions,customer")
    why = {"case": "2026-19", "reason": "abuse \u202e \u00e9"}
    at = "2999-01-31T13:05:00Z"
    assert it.ask("who", endpoint=OUT, at=at, **why).status == 200
    assert it.ask("who", f"{at} {OUT}\n2001-01-01T00:00:00Z {OUT}\n", TEXT, **why).status == 200
    assert it.ask("customer", customer="alice", **why).status == 200
    assert it.ask("questions", "hello", **why).status == 200
    assert it.ask("evidence", **why).status == 405 and it.ask("evidence", "", FORM, **why).status == 403
    assert it.ask("who", endpoint=OUT, frob="1", **why).status == 400
    lines = lines_of(it)
    assert [(line["kind"], line.get("endpoint") or line.get("question"), line.get("refused")) for line in lines] == [
        ("who", OUT, None), ("who", OUT, None), ("who", OUT, None), ("customer", "alice", None), ("questions", "1 lines", None),
        ("evidence", None, "this token is not for questions of this kind"), ("who", OUT, '"frob" is no parameter here')]
    assert all(line["case"] == "2026-19" and "\u00e9" in line["reason"] for line in lines if line["kind"] != "evidence")
    it.revoke()
    assert it.ask("who", endpoint=OUT, **why).status == 401 and lines_of(it)[-1]["refused"] == "this token was revoked"
    told = execute(CTL, "history", "verify", "--state-dir", place / "queries")
    assert "was changed" not in told.out, told


def test_without_its_line_there_is_no_answer(running_lab, run_directory, place):  # noqa: F811
    tokens = place / "unnoted-tokens"
    desk = Desk(run_directory / "unnoted", "--control", running_lab.agent.socket, "--queries", place / "absent", "--tokens", tokens)  # noqa: F811
    try:
        it = Program(desk, place / "unnoted-tokens", "unnoted")
        for answer in (it.ask("who", endpoint=OUT, reason="x"), it.ask("customer", customer="alice", reason="x"), it.ask("questions", "hello", reason="x")):
            assert answer.status >= 404 and "absent" in answer.json()["detail"], answer
    finally:
        desk.end()


@pytest.mark.parametrize("path, parameters, why", [
    ("who", {"endpoint": OUT}, "reason is missing"),
    ("who", {"endpoint": OUT, "reason": " "}, "reason: expected"),
    ("who", {"endpoint": OUT, "reason": "a\nb"}, "reason: expected"),
    ("who", {"endpoint": OUT, "reason": "a" * 513}, "reason: expected"),
    ("who", {"reason": "x"}, "endpoint is missing"),
    ("who", {"endpoint": "--help", "reason": "x"}, "endpoint: expected"),
    ("who", {"endpoint": OUT, "reason": "x", "frob": "1"}, '"frob" is no parameter here'),
    ("who", {"endpoint": OUT, "reason": "x", "state_dir": "/etc"}, '"state_dir" is no parameter here'),
    ("who", {"endpoint": OUT, "reason": "x", "zone": "UTC"}, '"zone" is no parameter here'),
    ("who", {"endpoint": OUT, "reason": "x", "at": "2026-01-31T14:05:00"}, "at: expected a time with its zone"),
    ("who", {"endpoint": OUT, "reason": "x", "margin": "3601"}, "margin: expected"),
    ("who", {"endpoint": OUT, "reason": "x", "case": "../a"}, "case: expected"),
    ("who", {"endpoint": OUT, "reason": "x", "case": ""}, "case: expected"),
    ("customer", {"reason": "x"}, "customer is missing"),
    ("customer", {"customer": "a" * 256, "reason": "x"}, "customer: expected"),
])
def test_malformed_parameters_are_told(program, path, parameters, why):  # noqa: F811
    assert_problem(program.ask(path, **parameters), 400, why)


def test_parameters_are_given_once_and_have_no_null(program):  # noqa: F811
    for query, why in ((f"endpoint={OUT}&endpoint={OUT}&reason=x", "endpoint is given twice"), (f"endpoint={OUT}%00&reason=x", "endpoint: expected"),
                       (f"endpoint={OUT}&reason", "reason: expected")):
        assert_problem(program.desk.ask(f"/api/v1/who?{query}", user=None, headers=[("Authorization", f"Bearer {program.secret}")]), 400, why)


def test_a_list_begins_with_what_its_answers_say_together(program):  # noqa: F811
    lines = f"2999-01-31T13:05:00Z {OUT}\n2001-01-01T00:00:00Z {OUT}\n"
    rows = program.ask("who", lines, TEXT, reason="x").json()
    assert len(rows) == 2 and program.ask("who", lines, TEXT, reason="x", verdict="false").json() == rows
    assert program.ask("who", lines, TEXT, reason="x", verdict="true").json() == {"verdict": "not definite: lines 1, 2", "answers": rows}
    assert_problem(program.ask("who", endpoint=OUT, reason="x", verdict="true"), 400, "verdict is for a list, not for one question")
    assert_problem(program.ask("who", lines, TEXT, reason="x", verdict="1"), 400, "verdict: expected true or false")
    assert_problem(program.ask("customer", customer="a", reason="x", verdict="true"), 400, '"verdict" is no parameter here')


def test_bodies_are_what_the_path_takes(program):  # noqa: F811
    assert_problem(program.ask("who", "x\n", TEXT, endpoint=OUT, reason="x"), 400, "endpoint is for one question")
    assert_problem(program.ask("evidence", "x", TEXT, case="a", endpoint=OUT, at=stamp(), reason="x"), 400, "a body here is a form")
    assert_problem(program.ask("questions", "", reason="x"), 400, "the complaint")
    assert_problem(program.ask("who", "nonsense\n", TEXT, reason="x"), 400, "TIME ADDR:PORT")
    assert_problem(program.ask("questions", b"x" * (10 * 1048576 + 1), reason="x"), 413, "10 MB")


def test_other_methods_and_paths_are_refused(program):  # noqa: F811
    for path, allowed in (("who", "GET, HEAD, POST"), ("customer", "GET, HEAD, POST"), ("questions", "POST"), ("evidence", "POST"),
                          ("openapi.json", "GET, HEAD")):
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", *(() if "GET" in allowed else ("GET",)), *(() if "POST" in allowed else ("POST",))):
            answer = program.ask(path, "", method=method)
            assert answer.status == 405 and answer.headers["Allow"] == allowed, (path, method, answer)
    for path in ("", "status", "who/", "../status", "me"):
        assert_problem(program.ask(path), 404, "openapi.json")
    # The token is none for what people see.
    assert program.desk.ask("/api/status", user=None, headers=[("Authorization", f"Bearer {program.secret}")]).status == 401
