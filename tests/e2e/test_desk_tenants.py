# SPDX-License-Identifier: BSD-2-Clause
"""Nobody sees another tenant's subscribers, on any way that detnat-desk has."""

import json
import re
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import pytest

from desk import Desk
from desk_program import FORM, TEXT, Program, assert_problem, lines_of, place, stamp  # noqa: F401
from test_leases import lease_file, session_of
from test_tenants import CONFIG, two  # noqa: F401

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"


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
