# SPDX-License-Identifier: BSD-2-Clause
"""/api/v1 of detnat-desk: what other programs ask, with which tokens, and what is refused."""

import concurrent.futures
import datetime
import io
import itertools
import json
import re
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import pytest

from agent import BUILD, CTL, execute, wait_for
from desk import DESK, Desk
from test_leases import lease_file, session_of
from test_tenants import CONFIG, two  # noqa: F401

OUT = "1.1.1.1:1276"
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
TEXT = (("Content-Type", "text/plain"),)
DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
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
    directory = run_directory / "api"
    for name in ("", "leases", "queries"):
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


def test_answers_are_the_json_of_detnatctl(program, running_lab, place):
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


def test_parameters_may_be_in_a_form(program):
    at = "2999-01-31T13:05:00+01:00"
    form = urlencode({"endpoint": OUT, "at": at, "reason": "abuse & \u00e9"})
    answer = program.ask("who", form, FORM)
    assert answer.status == 200 and answer.json()["in_addr"] == "10.0.16.16", answer
    assert f"asks who {OUT} at {at}, case none, reason abuse & \u00e9: 200" in program.desk.log.read_text()
    assert_problem(program.ask("who", form, FORM, reason="again"), 400, "reason is given twice")
    assert_problem(program.ask("who", form + "&a=" + "b" * 5000, FORM), 400, '"a" is no parameter')


def test_evidence_is_an_archive_and_leaves_its_line(program, place):
    answer = program.ask("evidence", urlencode({"case": "2026-18", "endpoint": OUT, "at": stamp(), "reason": "court"}), FORM)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-tar", answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        assert json.load(archive.extractfile("2026-18/answer.json"))["customer"]["id"] == "alice"
    line, = (line for line in lines_of(program) if line.get("case") == "2026-18")
    assert (line["via"], line["kind"], line["endpoint"], line["reason"]) == ("desk", "evidence", OUT, "court") and len(line["answer"]) == 64


def lines_of(program):
    """Those of the ledger about what it asked."""
    lines = (json.loads(line) for line in next((program.tokens.parent / "queries").glob("queries-*.jsonl")).read_text().splitlines())
    return [line for line in lines if line["for"] == f"token {program.name}"]


def test_each_request_leaves_its_line_in_the_ledger(desk, place):
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


def test_without_its_line_there_is_no_answer(running_lab, run_directory, place):
    desk = Desk(run_directory / "unnoted", "--control", running_lab.agent.socket, "--queries", place / "absent", "--tokens", place / "unnoted-tokens")
    try:
        it = Program(desk, place / "unnoted-tokens", "unnoted")
        for answer in (it.ask("who", endpoint=OUT, reason="x"), it.ask("customer", customer="alice", reason="x"), it.ask("questions", "hello", reason="x")):
            assert answer.status >= 404 and "absent" in answer.json()["detail"], answer
    finally:
        desk.end()


def test_without_a_valid_token_nothing_is_answered_and_a_line_is_left(desk, place, program):
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


def test_a_token_is_for_its_kinds(desk, place):
    it = Program(desk, place / "tokens", "questions-only", kinds="questions")
    for path, body in (("who", None), ("evidence", "case=a"), ("customer", None)):
        assert_problem(it.ask(path, body, FORM, reason="x"), 403, "not for questions of this kind")
    assert "questions-only asks customer, case none, reason none: 403" in desk.log.read_text()
    assert it.ask("questions", "hello", reason="x").status == 200


def test_a_rate_is_kept_and_lists_count_by_their_lines(desk, place, program):
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
def test_malformed_parameters_are_told(program, path, parameters, why):
    assert_problem(program.ask(path, **parameters), 400, why)


def test_parameters_are_given_once_and_have_no_null(program):
    for query, why in ((f"endpoint={OUT}&endpoint={OUT}&reason=x", "endpoint is given twice"), (f"endpoint={OUT}%00&reason=x", "endpoint: expected"),
                       (f"endpoint={OUT}&reason", "reason: expected")):
        assert_problem(program.desk.ask(f"/api/v1/who?{query}", user=None, headers=[("Authorization", f"Bearer {program.secret}")]), 400, why)


def test_bodies_are_what_the_path_takes(program):
    assert_problem(program.ask("who", "x\n", TEXT, endpoint=OUT, reason="x"), 400, "endpoint is for one question")
    assert_problem(program.ask("evidence", "x", TEXT, case="a", endpoint=OUT, at=stamp(), reason="x"), 400, "a body here is a form")
    assert_problem(program.ask("questions", "", reason="x"), 400, "the complaint")
    assert_problem(program.ask("who", "nonsense\n", TEXT, reason="x"), 400, "TIME ADDR:PORT")
    assert_problem(program.ask("questions", b"x" * (10 * 1048576 + 1), reason="x"), 413, "10 MB")


def test_other_methods_and_paths_are_refused(program):
    for path, allowed in (("who", "GET, HEAD, POST"), ("customer", "GET, HEAD, POST"), ("questions", "POST"), ("evidence", "POST"),
                          ("openapi.json", "GET, HEAD")):
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", *(() if "GET" in allowed else ("GET",)), *(() if "POST" in allowed else ("POST",))):
            answer = program.ask(path, "", method=method)
            assert answer.status == 405 and answer.headers["Allow"] == allowed, (path, method, answer)
    for path in ("", "status", "who/", "../status", "me"):
        assert_problem(program.ask(path), 404, "openapi.json")
    # The token is none for what people see.
    assert program.desk.ask("/api/status", user=None, headers=[("Authorization", f"Bearer {program.secret}")]).status == 401


def test_a_flood_of_refusals_makes_few_lines_and_hides_no_look(running_lab, place, run_directory):
    """Guesses, malformed questions, other kinds and questions beyond the rate: one line an asker, kind and hour, and the number."""
    queries = run_directory / "flooded-queries"
    queries.mkdir()
    desk = Desk(run_directory / "flooded", "--control", running_lab.agent.socket, "--tokens", place / "flooded-tokens", "--queries", queries)
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


def test_tokens_that_others_may_read_are_refused(running_lab, run_directory, place):
    tokens = place / "open-tokens"
    tokens.write_text("")
    tokens.chmod(0o640)
    told = execute(DESK, "--listen", "127.0.0.1:1", "--tokens", tokens)
    assert told.status == 1 and "chmod 600" in told.err and str(tokens) in told.err, told
    told = execute(DESK, "token", "add", "a", "--kind", "who", "--tokens", tokens)
    assert told.status == 1 and told.out == "" and "chmod 600" in told.err
    tokens.chmod(0o600)
    desk = Desk(run_directory / "opened", "--control", running_lab.agent.socket, "--tokens", tokens)
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


# ---- the document

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def nodes(value, path="#"):
    """Each object of a document, with its place."""
    if isinstance(value, dict):
        yield path, value
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(child, f"{path}/{key}")


def faults(document):
    """What is wrong in a document of OpenAPI 3.1, as far as this one uses it."""
    if not re.fullmatch(r"3\.1\.\d+", document.get("openapi", "")) or not {"title", "version"} <= set(document.get("info", {})):
        yield "openapi or info"
    if not set(document) <= {"openapi", "info", "servers", "security", "paths", "components"}:
        yield "a key at the top"
    used = set()
    for place, node in nodes(document):
        if "$ref" in node and not place.endswith("/properties"):
            target = document
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target.get(key, {}) if isinstance(target, dict) else {}
            used.add(node["$ref"])
            if not target or set(node) != {"$ref"}:
                yield f"{place}: {node['$ref']}"
    for kind in ("schemas", "responses"):
        yield from (f"{name} is not used" for name in document["components"][kind] if f"#/components/{kind}/{name}" not in used)
    schemes, names = document["components"]["securitySchemes"], []
    for path, item in document["paths"].items():
        if not path.startswith("/") or not set(item) <= METHODS:
            yield path
        for method, operation in item.items():
            where = f"{method} {path}"
            names.append(operation.get("operationId"))
            if not {"operationId", "summary", "responses"} <= set(operation) or "200" not in operation.get("responses", ()):
                yield where
            if not set(operation) <= {"operationId", "summary", "description", "parameters", "requestBody", "responses", "security"}:
                yield f"{where}: a key"
            for status, response in operation.get("responses", {}).items():
                if not re.fullmatch(r"[1-5]\d\d", status) or not ("$ref" in response or response.get("description")):
                    yield f"{where}: {status}"
            parameters = [(p.get("name"), p.get("in")) for p in operation.get("parameters", ())]
            if len(set(parameters)) != len(parameters) or any(p.get("in") not in ("query", "path", "header") or "schema" not in p
                                                              for p in operation.get("parameters", ())):
                yield f"{where}: parameters"
            if not operation.get("requestBody", {"content": {"x": {}}})["content"]:
                yield f"{where}: requestBody"
            yield from (f"{where}: {name}" for one in operation.get("security", document["security"]) for name in one if name not in schemes)
    if len(set(names)) != len(names):
        yield "operationId is there twice"
    types = {"object", "array", "string", "integer", "number", "boolean", "null"}
    for place, node in nodes(document):
        kind = node.get("type") if place.endswith(("schema", "items")) or "/schemas/" in place and "/properties" not in place[-11:] else None
        if isinstance(kind, (str, list)) and not set([kind] if isinstance(kind, str) else kind) <= types:
            yield f"{place}: type {kind}"
        if isinstance(node.get("required"), list) and "properties" in node and not set(node["required"]) <= set(node["properties"]):
            yield f"{place}: required"


def test_the_document_is_served_to_anybody_and_has_no_fault(desk, program):
    answer = desk.ask("/api/v1/openapi.json", user=None)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", answer
    document = answer.json()
    assert document == json.loads((DOCUMENTS / "reference" / "openapi.json").read_text()) and list(faults(document)) == []
    for path, item in document["paths"].items():
        for method in METHODS - {"head"}:
            asked = program.ask(path.removeprefix("/api/v1/"), "" if method not in ("get", "head") else None, method=method.upper())
            assert (asked.status == 405) == (method not in item) and asked.status != 404, (method, path, asked)
            if method in item:
                assert str(asked.status) in item[method]["responses"], (method, path, asked)


@pytest.mark.parametrize("change", [
    lambda d: d.update(openapi="3.0.0"), lambda d: d["components"]["schemas"].pop("Answer"), lambda d: d["components"]["schemas"].update(Lost={}),
    lambda d: d["paths"]["/api/v1/who"]["get"].pop("responses"), lambda d: d["paths"]["/api/v1/who"]["get"].update(operationId="askWhoByPost"),
    lambda d: d["paths"]["/api/v1/who"]["get"]["parameters"].append(d["paths"]["/api/v1/who"]["get"]["parameters"][0]),
    lambda d: d["paths"]["/api/v1/who"]["get"]["responses"].update({"ok": {"description": "x"}}),
    lambda d: d["components"]["securitySchemes"].clear(), lambda d: d["components"]["schemas"]["Problem"].update(type="text"),
    lambda d: d["components"]["schemas"]["Problem"]["required"].append("frob"),
], ids=range(10))
def test_a_fault_of_the_document_would_be_seen(change):
    document = json.loads((DOCUMENTS / "reference" / "openapi.json").read_text())
    assert list(faults(document)) == []
    change(document)
    assert list(faults(document))


def commands(document, heading):
    """The shell commands below a heading of a document."""
    text = (DOCUMENTS / document).read_text()
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.S | re.M)[1]
    return "".join(re.findall(r"^```sh\n(.*?)^```", section, re.S | re.M))


def test_a_ticket_systems_way_is_as_it_is_written(running_lab, place, tmp_path):
    """The commands of EVIDENCE, but for names of this machine: the desk, the file of tokens, and what is asked about."""
    (tmp_path / "queries").mkdir()
    script = commands("guide/EVIDENCE.md", "Ask from a ticket system") + commands("reference/API.md", "Tokens").replace("tickets", "others")
    for old, new in (("https://desk.example.net", "http://127.0.0.1:8080"), ("detnat-desk token", f"{DESK} token"), ("203.0.113.36:5100", OUT),
                     ("2026-01-31T14:05:00+01:00", stamp().replace("Z", "+00:00"))):
        assert old in script, old
        script = script.replace(old, new)
    script = re.sub(r"(token (add|list|revoke))", rf"\1 --tokens {tmp_path}/tokens", script)
    (tmp_path / "complaint.eml").write_text(f"Subject: abuse\n\nAt 2026-01-31 14:05:00 your customer {OUT} scanned us.\n")
    desk = Desk(tmp_path / "desk", "--control", running_lab.agent.socket, "--leases", place / "leases", "--queries", tmp_path / "queries",
                "--tokens", tmp_path / "tokens", listen="127.0.0.1:8080", namespace=running_lab.gateway)
    try:
        told = execute("sh", "-ec", f"cd {tmp_path}; {script}", namespace=running_lab.gateway)
        assert told.status == 0, (told, desk.log.read_text())
        log = desk.log.read_text()
    finally:
        desk.end()
    question, = json.loads((tmp_path / "questions.json").read_text())
    assert (question["time"], question["out_addr"], question["out_port"]) == ("2026-01-31T13:05:00Z", "1.1.1.1", 1276)
    assert json.loads((tmp_path / "answer.json").read_text())["customer"]["id"] == "alice"
    with tarfile.open(tmp_path / "2026-17.tar") as archive:
        assert json.load(archive.extractfile("2026-17/answer.json"))["customer"]["id"] == "alice"
    for asked in ("questions 2 lines", f"who {OUT}", f"evidence {OUT}"):
        assert re.search(rf"tickets asks {asked}.*, case 2026-17, reason abuse: 200", log), log
    assert re.search(r"others +revoked +who,questions,evidence +ispA +100/h", execute(DESK, "token", "list", "--tokens", tmp_path / "tokens").out)


# ---- tenants

@pytest.fixture
def tenants(two, place):  # noqa: F811
    two.start(**CONFIG)
    directory = Path(tempfile.mkdtemp(dir=place))
    for name in ("leases", "queries"):
        (directory / name).mkdir()
    lease_file(directory / "leases", *session_of("alice", in_addr="10.0.0.20", tenant="ispA"), *session_of("alice", in_addr="10.1.0.20", tenant="ispB"))
    it = Desk(directory / "desk", "--control", two.agent.socket, "--leases", directory / "leases", "--queries", directory / "queries",
              "--tokens", directory / "tokens")
    yield it, directory
    it.end()


def test_nobody_sees_another_tenants_subscribers(tenants):
    desk, directory = tenants
    a, anybody = (Program(desk, directory / "tokens", name, *more) for name, more in (("a", ("--tenant", "ispA")), ("anybody", ())))
    held = {row["tenant"]: f"{row['out_addr']}:{row['port_lo']}" for row in anybody.ask("customer", customer="alice", reason="x").json()
            if row["out_addr"]}
    assert set(held) == {"ispA", "ispB"}
    at, line = stamp(), {name: f"{stamp()} {out}\n" for name, out in held.items()}
    assert a.ask("who", endpoint=held["ispA"], at=at, reason="x").json()["tenant"] == "ispA"
    for answer in (a.ask("who", endpoint=held["ispB"], at=at, reason="x"), a.ask("who", line["ispA"] + line["ispB"], TEXT, reason="x"),
                   a.ask("who", endpoint=held["ispB"].split(":")[0], at=at, reason="x"),
                   a.ask("evidence", urlencode({"case": "c", "endpoint": held["ispB"], "at": at, "reason": "x"}), FORM)):
        assert_problem(answer, 403, "another tenant")
    assert [(line["kind"], bool(line.get("refused"))) for line in lines_of(a)][-1] == ("evidence", True)
    assert not [line for line in lines_of(a) if line["kind"] == "evidence" and not line.get("refused")]
    assert a.ask("who", line["ispA"] * 2, TEXT, reason="x").status == 200
    assert {row["tenant"] for row in a.ask("customer", customer="alice", reason="x").json()} == {"ispA"}
    assert a.ask("evidence", urlencode({"case": "c", "endpoint": held["ispA"], "at": at, "reason": "x"}), FORM).status == 200
    # The same of a person, by the group.
    for user, mine, other in (("lea-a", "ispA", "ispB"), ("lea-b", "ispB", "ispA")):
        assert [row["tenant"] for row in desk.post("/api/who", line[mine], user=user).json()] == [mine]
        assert desk.post("/api/who", line[mine] + line[other], user=user).status == 403
        assert desk.post("/api/evidence", f"c-{user} {at} {held[other]}", user=user).status == 403
        assert desk.post("/api/evidence", f"c-{user} {at} {held[mine]}", user=user).status == 200
        assert desk.ask("/api/history", user).status == 403 and desk.ask("/", user).status == 200
    # The state without persons.
    assert desk.ask("/api/status", "watch").status == desk.ask("/state", "watch").status == desk.ask("/", "watch").status == 200
    for path in ("/api/subscriber/10.0.0.20/ispA", "/api/explain/10.0.0.20/ispA", "/subscriber/10.0.0.20", "/api/history", "/lookup"):
        assert desk.ask(path, "watch").status == 403, path
    assert desk.post("/api/who", line["ispA"], user="watch").status == 403
    assert desk.ask("/api/me", "figures").json() == {"user": "figures", "look_up": True, "history": False, "state": True, "subscribers": False}


def test_two_lines_of_one_secret_are_refused(running_lab, place, run_directory):
    """At the start, and later: which one would be asked, and which one revoked?"""
    tokens = place / "double-tokens"
    desk = Desk(run_directory / "doubled", "--control", running_lab.agent.socket, "--tokens", tokens)
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


def routes():
    """Of people and of programs, as the source and the document have them: a new one is walked, too."""
    tree = DOCUMENTS.parent
    found = re.findall(r'^\t\{ "(/[^"]*)"', (tree / "desk/pages.c").read_text(), re.M)
    assert len(found) > 20 and "/api/subscriber/" in found
    return found + list(json.loads((DOCUMENTS / "reference" / "openapi.json").read_text())["paths"]) + ["/static/desk.js", "/nowhere"]


def spellings(path):
    """One path in other words."""
    at = path.rindex("/", 0, -1) + 1 if len(path) > 1 else 1
    return [path, f"/{path}", f"{path[:at]}./{path[at:]}", f"{path[:at]}%{ord(path[at:at + 1] or '/'):02x}{path[at + 1:]}", f"/state/..{path}", path.upper(),
            f"{path}?tenant=ispB&user=ops&X-Remote-User=ops", f"{path}%00", f"{path}?"]


def test_no_url_shows_another_tenant_or_a_person(tenants):
    """A user of one tenant, a token of one, the state without persons, a stranger and nobody, on all ways that there are."""
    desk, directory = tenants
    day = 86400
    lease_file(directory / "leases", *session_of("alice", in_addr="10.0.0.20", tenant="ispA"),
               *session_of("bertha-b", circuit="circuit-b", mac="02:00:00:00:00:bb", in_addr="10.1.0.20", tenant="ispB"), (-day, "mark", "", {}))
    anybody = Program(desk, directory / "tokens", "walk-all", "--rate", "1000000/s")
    a = Program(desk, directory / "tokens", "walk-a", "--tenant", "ispA", "--rate", "1000000/s")
    row = next(row for row in anybody.ask("customer", customer="bertha-b", reason="x").json() if row["out_addr"])
    assert row["in_addr"] == "10.1.0.20"
    out, at = f"{row['out_addr']}:{row['port_lo']}", stamp()
    tails = ("", "10.1.0.20", "10.1.0.20/ispB", "10.1.0.20/ispA", row["out_addr"])
    bodies = (f"{at} {out}\n", f"c-1 {at} {out}", "bertha-b", f"At {at} your customer {out} scanned us.\n")
    forms = [urlencode({**f, "reason": "x"}) for f in ({"endpoint": out, "at": at, "case": "c"}, {"endpoint": row["out_addr"], "at": at},
                                                       {"customer": "bertha-b"}, {"customer": "10.1.0.20", "tenant": "ispB"})]
    secrets = ("bertha-b", "circuit-b", "02:00:00:00:00:bb", "10.1.0.20")
    token = (("Authorization", f"Bearer {a.secret}"),)
    askers = [*((user, ()) for user in ("lea-a", "watch", "figures", "stranger", None)), (None, token), ("watch", token)]
    walked = {}

    def walk(user, headers, method, path, body=None, form=False):
        answer = desk.ask(path, user, method=method, body=body, headers=(*headers, *(FORM if form else ())))
        asked = f"{path} {body}"
        shown = [s for s in secrets if s.encode() in answer.body and s not in asked]
        assert not shown and b"Bertha" not in answer.body, (user, bool(headers), method, path, body, shown, answer)
        # Of a person even what was asked about is not repeated by an answer.
        assert answer.status != 200 or path.startswith(("/static", "/api/v1/openapi", "/api/questions", "/api/v1/questions")) or not [
            s for s in secrets if s.encode() in answer.body], (user, method, path, body, answer)
        walked[answer.status] = walked.get(answer.status, 0) + 1
        return answer.status
    for user, headers in askers:
        for route in routes():
            for tail in tails if route.endswith("/") and route != "/" else ("",):
                for path in spellings(route + tail):
                    walk(user, headers, "GET", path)
            for query in forms:
                walk(user, headers, "GET", f"{route}?{query}")
                walk(user, headers, "POST", route, query.encode(), form=True)
            for body in bodies:
                walk(user, headers, "POST", f"{route}?reason=x&case=c", body.encode())
                walk(user, headers, "POST", route, body.encode())
            for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"):
                walk(user, headers, method, route, None if method == "HEAD" else bodies[0].encode())
    assert walked[403] > 100 and walked[401] > 100 and walked[200] > 20 and max(walked) < 500, walked
    # Those who may see it do.
    assert all(s.encode() in desk.post("/api/who", bodies[0], user="lea-b").body for s in secrets)
    assert b"bertha-b" in anybody.ask("who", endpoint=out, at=at, reason="x").body


def test_a_secret_that_cannot_be_printed_is_no_success(tmp_path):
    told = execute("sh", "-c", '"$0" token add a --kind who --tokens "$1" >/dev/full', DESK, tmp_path / "tokens")
    assert told.status != 0 and "the secret of a cannot be printed" in told.err, told
    for words in ("token list --tokens \"$1\"", "--help", "--version"):
        told = execute("sh", "-c", f'"$0" {words} >/dev/full', DESK, tmp_path / "tokens")
        assert told.status == 1 and "standard output cannot be written: No space left" in told.err, told


@pytest.mark.parametrize("words", [
    ("detnatctl", "help"), ("detnatctl", "--version"), ("detnatctl", "-j", "version"), ("detnatctl", "import", "--help"), ("detnat-leases", "--help"),
    ("detnat-leases", "--version"), ("detnat-agent", "--help"), ("detnat-agent", "--version"), ("detnat-agent", "--schema"), ("detnat-xdp", "--help"),
    ("detnat-xdp", "--version"), ("detnatctl", "plan", "--in", "10.0.0.0/24", "--out", "192.0.2.0/30"), ("detnat-desk", "--help"),
    ("detnat-desk", "--sample", "5", "-h"),
], ids=" ".join)
def test_what_cannot_be_printed_is_no_success(words):
    assert execute("sh", "-c", '"$@" >/dev/null', "sh", BUILD / words[0], *words[1:]).status == 0
    told = execute("sh", "-c", '"$@" >/dev/full', "sh", BUILD / words[0], *words[1:])
    assert told.status == 1 and "written" in told.err or "write" in told.err, told
