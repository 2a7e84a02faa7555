# SPDX-License-Identifier: BSD-2-Clause
"""The tokens of detnat-desk: what they are for, their rates, their file, and what is refused without one."""

import concurrent.futures
import json
from urllib.parse import urlencode

import pytest

from agent import CTL, execute, wait_for
from desk import DESK, Desk
from desk_program import FORM, OUT, TEXT, Program, assert_problem, desk, place, program  # noqa: F401


def test_without_a_valid_token_nothing_is_answered_and_a_line_is_left(desk, place, program):  # noqa: F811
    question = {"endpoint": OUT, "reason": "abuse"}
    late = Program(desk, place / "tokens", "late", "--expires", "+1")
    gone = Program(desk, place / "tokens", "gone")
    assert gone.ask("who", **question).status == 200
    gone.revoke()
    wait_for(lambda: late.ask("who", **question).status == 401, what="the end of the token")
    for answer, why in ((desk.ask(f"/api/v1/who?{urlencode(question)}", user="ops"), "Bearer TOKEN is needed"),
                        (program.ask("who", secret="detnat_" + "A" * 43, **question), "not known"),
                        (program.ask("who", secret=program.secret[:-1], **question), "not known"),
                        (program.ask("who", headers=[("Authorization", "Bearer x")], **question), "Bearer TOKEN is needed, once"),
                        (gone.ask("who", **question), "was revoked"), (late.ask("who", **question), "has expired")):
        assert_problem(answer, 401, why)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="detnat"'
    log = desk.log.read_text()
    assert "a program without a valid token asks who, case none, reason none: 401, this token is not known" in log
    assert "gone asks who, case none, reason none: 401, this token was revoked" in log
    assert program.secret[:20] not in log and (place / "tokens").stat().st_mode & 0o777 == 0o600
    assert program.secret not in (place / "tokens").read_text()
    assert program.ask("who", **question).status == 200


def test_a_token_is_for_its_kinds(desk, place):  # noqa: F811
    it = Program(desk, place / "tokens", "questions-only", kinds="questions")
    for path, body in (("who", None), ("evidence", "case=a"), ("customer", None)):
        assert_problem(it.ask(path, body, FORM, reason="x"), 403, "not for questions of this kind")
    assert "questions-only asks customer, case none, reason none: 403" in desk.log.read_text()
    assert it.ask("questions", "hello", reason="x").status == 200


def test_a_rate_is_kept_and_lists_count_by_their_lines(desk, place, program):  # noqa: F811
    it = Program(desk, place / "tokens", "rated", "--rate", "4/h")
    lines = f"2999-01-31T13:05:00Z {OUT}\n"
    assert it.ask("who", lines * 3, TEXT, reason="x").status == 200
    answer = it.ask("who", lines * 2, TEXT, reason="x")
    assert_problem(answer, 429, "no questions left")
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    assert_problem(it.ask("who", lines * 5, TEXT, reason="x"), 413, "parts of at most 4")
    assert it.ask("who", endpoint=OUT, reason="x").status == 200
    assert it.ask("who", endpoint=OUT, reason="x").status == 429
    assert "rated asks who 2 lines, case none, reason x: 429" in desk.log.read_text()
    assert program.ask("who", endpoint=OUT, reason="x").status == 200, "others have theirs"


def test_a_flood_of_refusals_makes_few_lines_and_hides_no_look(running_lab, place, run_directory):  # noqa: F811
    """Guesses, malformed questions, other kinds and questions beyond the rate: one line an asker, kind and hour, and the number."""
    queries = run_directory / "flooded-queries"
    queries.mkdir()
    desk = Desk(run_directory / "flooded", "--control", running_lab.agent.socket, "--tokens", place / "flooded-tokens", "--queries", queries)  # noqa: F811
    n = 200
    try:
        it, poor = (Program(desk, place / "flooded-tokens", name, *more, kinds="who") for name, more in (("valid", ()), ("poor", ("--rate", "1/d"))))

        def guess(k):
            statuses.append(it.ask("who", secret=f"detnat_{k}", headers=[("X-Forwarded-For", f"10.9.9.{k}, 192.0.2.{k % 2}")]).status)
            return (it.ask("who", frob=k), it.ask("customer", customer=k), poor.ask("who", endpoint=OUT, reason=k))
        statuses = []
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(guess, range(n)))
        assert {a.status for a, _, _ in answers} == {400} and {b.status for _, b, _ in answers} == {403} and {c.status for _, _, c in answers} == {200, 429}
        # Two clients, each with a rate of its own.
        assert set(statuses) == {401, 429} and 120 <= statuses.count(401) < 180
        assert it.ask("who", endpoint=OUT, reason="at last").status == 200 and desk.ask("/api/me").status == 200
    finally:
        desk.end()
    lines = [json.loads(line) for line in next(queries.glob("queries-*.jsonl")).read_text().splitlines()]
    assert [q for q in lines if q.get("reason") == "at last" and "refused" not in q], lines
    refused = [q for q in lines if "refused" in q]
    hours = len({q["time"][:13] for q in lines})
    # Of each client those that were told why, and those that were too many.
    assert len([q for q in refused if "times" not in q]) <= 7 * hours, lines
    total = sum(q.get("times", 1) for q in refused)
    assert total == 4 * n - 1, (total, refused)
    assert {q["for"] for q in refused} == {"token valid", "token poor", *(f"a program without a valid token at 192.0.2.{k}" for k in (0, 1))}
    assert len(desk.log.read_text().splitlines()) < 40 * hours
    assert "was changed" not in execute(CTL, "history", "verify", "--state-dir", queries).out


def test_tokens_that_others_may_read_are_refused(running_lab, run_directory, place):  # noqa: F811
    tokens = place / "open-tokens"
    tokens.write_text("")
    tokens.chmod(0o640)
    told = execute(DESK, "--listen", "127.0.0.1:1", "--tokens", tokens)
    assert told.status == 1 and "chmod 600" in told.err and str(tokens) in told.err, told
    told = execute(DESK, "token", "add", "a", "--kind", "who", "--tokens", tokens)
    assert told.status == 1 and told.out == "" and "chmod 600" in told.err
    tokens.chmod(0o600)
    desk = Desk(run_directory / "opened", "--control", running_lab.agent.socket, "--tokens", tokens)  # noqa: F811
    try:
        it = Program(desk, tokens, "a")
        assert it.ask("who", endpoint=OUT, reason="x").status == 200
        tokens.chmod(0o644)
        answer = it.ask("who", endpoint=OUT, reason="x")
        assert_problem(answer, 503, "journal")
        assert int(answer.headers["Retry-After"]) >= 1 and desk.log.read_text().count("chmod 600") == 1
        tokens.chmod(0o600)
        assert it.ask("who", endpoint=OUT, reason="x").status == 200
    finally:
        desk.end()


@pytest.mark.parametrize("words, told", [
    (("add",), "token add needs a name"), (("add", "-a", "--kind", "who"), "is no option"), (("add", "a b", "--kind", "who"), "token add needs a name"),
    (("add", "a"), "--kind takes"), (("add", "a", "--kind", "all"), "--kind takes"), (("add", "a", "--kind", "who", "--rate", "5"), "--rate takes"),
    (("add", "a", "--kind", "who", "--expires", "-1d"), "is in the past"), (("add", "a", "--kind", "who", "--expires", "soon"), "--expires takes"),
    (("add", "a", "--kind", "who", "--tenant", "1.1.1.1"), "--tenant takes"), (("list", "--rate", "1/h"), "takes no option but"),
    (("revoke",), "needs the name"), (("revoke", "nobody"), "there is no token"), (("frob",), "token revoke"), ((), "token revoke"),
    (("add", "a", "b", "--kind", "who"), "one word too many"), (("add", "a", "--kind", "who", "--kind", "evidence"), "--kind is given twice; its values"),
    (("add", "a", "--kind", "who", "--rate", "1/s", "--rate", "9/s"), "--rate is given twice"),
])
def test_wrong_words_make_no_token(tmp_path, words, told):
    result = execute(DESK, "token", *words, "--tokens", tmp_path / "tokens")
    assert result.status in (1, 2) and told in result.err and not (tmp_path / "tokens").exists(), result


def test_two_lines_of_one_secret_are_refused(running_lab, place, run_directory):  # noqa: F811
    """At the start, and later: which one would be asked, and which one revoked?"""
    tokens = place / "double-tokens"
    desk = Desk(run_directory / "doubled", "--control", running_lab.agent.socket, "--tokens", tokens)  # noqa: F811
    try:
        it = Program(desk, tokens, "first")
        assert it.ask("who", endpoint=OUT, reason="x").status == 200
        right = tokens.read_text()
        for wrong, told in ((right + right.replace('"first"', '"second"'), "line 2: sha256: second has the same secret as first"),
                            (right + right, "line 2: a token first is there already"), (right.replace("{", '{"rate":"1/s",'), "line 1: rate is there twice")):
            tokens.write_text(wrong)
            assert_problem(it.ask("who", endpoint=OUT, reason="x"), 503, "journal")
            assert f"{tokens}: {told}" in desk.log.read_text()
            for words in (("--listen", "127.0.0.1:1"), ("token", "list")):
                refused = execute(DESK, *words, "--tokens", tokens)
                assert refused.status == 1 and f"{tokens}: {told}" in refused.err, refused
        tokens.write_text(right)
        assert it.ask("who", endpoint=OUT, reason="x").status == 200
    finally:
        desk.end()


def test_a_secret_that_cannot_be_printed_is_no_success(tmp_path):
    told = execute("sh", "-c", '"$0" token add a --kind who --tokens "$1" >/dev/full', DESK, tmp_path / "tokens")
    assert told.status != 0 and "the secret of a cannot be printed" in told.err, told
    for words in ("token list --tokens \"$1\"", "--help", "--version"):
        told = execute("sh", "-c", f'"$0" {words} >/dev/full', DESK, tmp_path / "tokens")
        assert told.status == 1 and "standard output cannot be written: No space left" in told.err, told
