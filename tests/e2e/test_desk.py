# SPDX-License-Identifier: BSD-2-Clause
"""detnat-desk: who may ask, each route, the headers, and what it refuses."""

import base64
import concurrent.futures
import datetime
import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

import isolation
from agent import CTL, execute, wait_for
from desk import DESK, Desk
from test_leases import lease_file, session_of

HOSTILE = "<img src=x onerror=alert(1)>\"' --x"

PAGES = ("/", "/lookup", "/customer", "/history", "/state", "/subscriber/10.0.0.2")
STATE = ("/api/status", "/api/stats", "/api/mappings", "/api/pools", "/api/pools/1.1.1.0/30", "/api/interfaces", "/api/peers",
         "/api/samples", "/api/subscriber/10.0.0.2", "/api/explain/10.0.0.2")
LOOKUP = ("/api/me", "/api/history")
POLICY = ("default-src 'none'; script-src 'self'; style-src 'HASH'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
          "frame-ancestors 'none'; base-uri 'none'")


@pytest.fixture(scope="module")
def desk(running_lab, run_directory):
    it = Desk(run_directory / "desk", "--control", running_lab.agent.socket)
    yield it
    it.end()


def files(desk, page):
    """The paths that the page and its modules name."""
    views = {f"/static/{view}.js" for view in ("lookup", "customer", "state", "history", "subscriber")}
    found, left = set(), views | set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    while left:
        path = left.pop()
        found.add(path)
        text = desk.ask(path).body.decode()
        left |= {f"/static/{name}" for name in re.findall(r'from "\./([a-z]+\.js)"', text)} - found
    return found


def test_without_a_name_every_path_is_401(desk):
    for path in (*PAGES, *STATE, *LOOKUP, "/static/desk.js", "/nowhere"):
        assert desk.ask(path, user=None).status == 401, path
        assert desk.ask(path, user="").status == 401, path
    assert desk.ask("/", headers=[("X-Remote-User", "lea")]).status == 401, "two names"


def test_groups_decide(desk):
    rights = {"lea": (200, 403), "ops": (200, 200), "both": (200, 200), "primary": (200, 403), "stranger": (403, 403),
              "nobody-knows": (403, 403)}
    for user, (lookup, state) in rights.items():
        for path in ("/", "/lookup", "/history", *LOOKUP):
            assert desk.ask(path, user).status == lookup, (user, path)
        for path in ("/state", "/subscriber/10.0.0.2", *STATE):
            assert desk.ask(path, user).status == state, (user, path)
    assert desk.ask("/api/me", "lea").json() == {"user": "lea", "look_up": True, "history": True, "state": False, "subscribers": False}


@pytest.mark.parametrize("user", ["<script>alert(1)</script>", '"><img src=x>', "-rf", "a" * 65, "ops ops", "../ops", "ops\tops", "\u00e9"])
def test_hostile_names_are_refused_and_not_repeated(desk, user):
    answer = desk.ask("/", user=user.encode("utf-8"))
    assert answer.status == 403 and answer.headers["Content-Type"].startswith("text/plain"), answer
    assert user.encode() not in answer.body
    answer = desk.ask("/api/me", user=user.encode("utf-8"))
    assert answer.status == 403 and set(answer.json()) == {"error"} and b"<" not in answer.body


def test_every_answer_has_the_headers(desk):
    style = re.search(rb"<style>(.*?)</style>", desk.ask("/").body, re.S)[1]
    policy = POLICY.replace("HASH", "sha256-" + base64.b64encode(hashlib.sha256(style).digest()).decode())
    for path in (*PAGES, *STATE, *LOOKUP, "/static/desk.js", "/nowhere", "/api/nowhere", "/api/explain/x"):
        for user in ("ops", None):
            headers = desk.ask(path, user).headers
            assert headers["Content-Security-Policy"] == policy
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
            assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
            assert "Set-Cookie" not in headers


def test_the_page_loads_nothing_from_elsewhere_and_weighs_little(desk):
    page = desk.ask("/").body.decode()
    paths = files(desk, page)
    bodies = [desk.ask(path) for path in paths]
    assert all(b.status == 200 for b in bodies) and len(paths) == 11, paths
    everything = page + "".join(b.body.decode() for b in bodies)
    assert not re.search(r"<script(?![^>]*src=)|\son[a-z]+=\"|style=|innerHTML|document\.write|\beval\(", everything)
    assert set(re.findall(r"https?://[^\"'\s`]+", everything)) == {"http://www.w3.org/2000/svg"}
    assert len(everything.encode()) <= 150 * 1024


def test_the_state_is_the_json_of_detnatctl(desk, running_lab):
    agent = running_lab.agent
    for path, words in (("mappings", ("mapping", "list")), ("pools", ("pool", "list")), ("pools/1.1.1.2", ("pool", "list", "1.1.1.2")),
                        ("interfaces", ("interface", "list")), ("peers", ("peer", "list")), ("history", ("history", "list")),
                        ("subscriber/10.0.77.7", ("user", "show", "10.0.77.7"))):
        theirs = agent.command("-j", *words)
        answer = desk.ask(f"/api/{path}")
        if theirs.status == 0:
            assert answer.status == 200 and answer.body.decode().strip() == theirs.out.strip(), path
        else:
            assert answer.status == 404 and answer.json()["error"] in theirs.err, answer


def test_no_path_changes_anything(desk):
    for path in ("/api/reload", "/api/mapping/add", "/api/session/flush/10.0.0.2", "/api/check", "/api/config", "/api/pools/--help",
                 "/api/explain/10.0.0.2%20--x", "/api/explain/-h", "/api/explain/", "/subscriber/x", "/static/../desk.c",
                 "/static/%2e%2e/%2e%2e/etc/passwd", "//", "/lookup/", "/api"):
        assert desk.ask(path).status == 404, path
    for path in ("/", "/api/status", "/static/desk.js"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            assert desk.ask(path, method=method, body=b"").status == 405, (path, method)
    assert desk.ask("/api/who").status == 405
    assert desk.ask("/api/status", method="HEAD").body == b""


def test_pages_of_elsewhere_are_refused(desk):
    for site in ("cross-site", "same-site"):
        assert desk.post("/api/who", "x", headers=[("Sec-Fetch-Site", site)]).status == 403
    assert desk.ask("/api/me", headers=[("Sec-Fetch-Site", "same-origin")]).status == 200
    # Browsers that do not say it, by the origin of a POST. The client of these tests asks the host "desk".
    for origin in ("https://attacker.example", "null", "https://desk.attacker.example", "https://notdesk", "https://desk:8443.attacker.example"):
        answer = desk.post("/api/questions", "x", headers=[("Origin", origin)])
        assert answer.status == 403 and "elsewhere" in answer.json()["error"], origin
    for origin in ("https://desk", "http://DESK", "https://desk:8443"):
        assert desk.post("/api/questions", "x", headers=[("Origin", origin)]).status == 200, origin
    assert desk.post("/api/questions", "x", headers=[("Origin", "https://desk"), ("Origin", "https://desk")]).status == 403


def test_the_history_is_sent_once(desk):
    first = desk.ask("/api/history", "lea")
    mark = [("If-None-Match", first.headers["ETag"])]
    again = desk.ask("/api/history", "lea", headers=mark)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert desk.ask("/api/history", "lea", headers=[("If-None-Match", '"other"')]).body == first.body


def test_who_has_a_part_of_the_history_gets_what_came_behind(desk, running_lab):
    def after(record, **changed):
        r = {**record, **changed}
        return f"/api/history?after={r['line']}.{r['hash']}"

    def everything():
        return desk.ask("/api/history", "lea").json()

    wait_for(lambda: everything()[-1]["event"] == "confirm", what="the changes of the start are confirmed")
    whole = everything()
    for n in (0, len(whole) - 1):
        assert desk.ask(after(whole[n]), "lea").json() == whole[n + 1:]
    # Of another history, or of a file that has not so many lines: all.
    for changed in ({"hash": "0" * 64}, {"line": 10**9}, {"line": whole[-1]["line"] + 1}, {"line": 0}):
        assert desk.ask(after(whole[-1], **changed), "lea").json() == whole, changed
    for malformed in ("", "1", "1.", "x.y", "1." + "g" * 64, "1." + "0" * 63, "-1." + "0" * 64):
        assert desk.ask(f"/api/history?after={malformed}", "lea").status == 400, malformed
    last = after(whole[-1])
    answer = desk.ask(last, "lea")
    mark = [("If-None-Match", answer.headers["ETag"])]
    assert (answer.json(), desk.ask(last, "lea", headers=mark).status) == ([], 304)
    for verb in ("add", "del"):
        running_lab.agent.ctl("portmap", verb, "tcp", *(["10.0.0.2:80"] if verb == "add" else []), "1.1.1.0:80")
        answer = desk.ask(last, "lea", headers=mark)
        assert answer.status == 200 and answer.json()[0]["event"] == "portmap" and answer.headers["ETag"] != mark[0][1], answer
    wait_for(lambda: whole + desk.ask(last, "lea").json() == everything(), what="the parts are the whole")


MAIL = """Hello,
one of your users attacked us from 1.1.1.1:1276 at 2999-01-31T14:05:00+01:00, please act.
<b>2026-01-31 14:05:00</b> 1.1.1.1:1276 has no zone
<script>alert(1)</script> 1.1.1.1:99999 is no port; 1.1.1.1:1277 without a time
Jan: [1.1.1.0:1030] (2999-01-31 13:05:01.123 UTC)
2999-02-31T00:00:00Z 1.1.1.0:1031
"""


def places(line, *columns):
    """Of address, port and time, with column and length each, in one line."""
    return {name: {"line": line, "column": column, "length": length}
            for name, column, length in zip(("addr", "port", "time"), columns[::2], columns[1::2])}


def test_a_complaint_becomes_questions(desk):
    rows = desk.post("/api/questions", MAIL, user="lea").json()
    assert [row for row in rows if "time" in row] == [
        {"line": 2, "time": "2999-01-31T13:05:00Z", "out_addr": "1.1.1.1", "out_port": 1276, "places": places(2, 36, 7, 44, 4, 52, 25)},
        {"line": 5, "time": "2999-01-31T13:05:01Z", "out_addr": "1.1.1.0", "out_port": 1030, "places": places(5, 7, 7, 15, 4, 22, 27)}]
    assert [(row["line"], row["reason"]) for row in rows if "time" not in row] == [(3, "not-read"), (4, "malformed"), (6, "malformed")]
    assert "no zone" in rows[1]["error"]


ACNS = """<?xml version="1.0"?><Infringement><Source><TimeStamp>2026-01-31T14:05:00{zone}</TimeStamp>
<IP_Address>1.1.1.1</IP_Address><Port>1276</Port></Source></Infringement>"""
FORMS = {
    "acns": ACNS.format(zone="Z"),
    "x-arf": '{"Version":"2","ReporterInfo":{},"Report":{\n"Date": "2026-01-31T14:05:00Z",\n"SourceIp": "1.1.1.1",\n"SourcePort": "1276"}}',
    "csv": "time,source_ip,source_port\n2026-01-31 14:05:00Z,1.1.1.1,1276\n",
    "mail": "Subject: abuse\nDate: Sun, 1 Feb 2026 00:00:00 +0000\n\nAt Sat, 31 Jan 2026 14:05:00 +0000\nyour IP 1.1.1.1 source port 1276\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_the_parsers_of_detnatctl_request_read_what_is_pasted(desk, form):
    row, = desk.post("/api/questions", FORMS[form], user="lea").json()
    assert (row["time"], row["out_addr"], row["out_port"]) == ("2026-01-31T14:05:00Z", "1.1.1.1", 1276)


def test_a_zone_is_named_for_times_that_have_none(desk):
    text, capture = ACNS.format(zone=""), "2026-01-31 14:05:00.123456 IP 1.1.1.1.1276 > 198.51.100.7.443: tcp 0\n"
    for body in (text, capture):
        assert "zone" in desk.post("/api/questions", body).json()[0]["error"]
        for zone, time in (("Europe/Berlin", "13:05:00"), ("%2B02:00", "12:05:00"), ("UTC", "14:05:00")):
            assert desk.post(f"/api/questions?zone={zone}", body).json()[0]["time"] == f"2026-01-31T{time}Z", zone
    for zone in ("--leases", "Nowhere/At_all", "../../etc/passwd", "a%20b", "%00", "", "a" * 64):
        answer = desk.post(f"/api/questions?zone={zone}", text)
        assert answer.status == 400 and "zone" in answer.json()["error"], zone


def test_questions_are_answered_in_their_order(desk):
    rows = desk.post("/api/who", "2999-01-31T13:05:00Z 1.1.1.1:1276\n2001-01-01T00:00:00Z 1.1.1.1:1276\n", user="lea").json()
    assert [row["in_addr"] for row in rows] == ["10.0.16.16", None] and rows[1]["reason"] == "no-record"
    assert "customer" not in rows[0]
    # In one line, so that nobody can write another's.
    assert (r"lea asks who it was: 2 questions: 2999-01-31T13:05:00Z 1.1.1.1:1276\x0a2001-01-01T00:00:00Z 1.1.1.1:1276"
            in desk.log.read_text())


def test_a_verdict_comes_with_the_answers_where_it_is_asked_for(desk):
    lines = "2999-01-31T13:05:00Z 1.1.1.1:1276\n2001-01-01T00:00:00Z 1.1.1.1:1276\n"
    told = desk.post("/api/who?verdict=1", lines, user="lea").json()
    assert set(told) == {"verdict", "answers"} and told["verdict"] == "not definite: lines 1, 2" and told["answers"] == desk.post(
        "/api/who", lines, user="lea").json(), told


def test_a_look_that_is_refused_leaves_a_line(leasing):
    """One a user, page and hour, of one form; of more, the number."""
    desk, _, queries = leasing
    for n in range(3):
        assert desk.post("/api/who", "x", user="watch").status == 403
        assert desk.ask(f"/api/subscriber/10.0.0.{2 + n}", "lea").status == 403
        assert desk.ask("/api/explain/10.0.0.2", user=None).status == 401
        assert desk.ask("/api/pools", "lea").status == 403
    lines = [json.loads(line) for line in next(queries.glob("queries-*.jsonl")).read_text().splitlines()]
    assert [(line["for"], line["kind"], line["question"], line["via"]) for line in lines if "times" not in line][:3] == [
        ("watch", "page", "/api/who", "desk"), ("lea", "page", "/api/subscriber/10.0.0.2", "desk"),
        ("nobody who is named", "page", "/api/explain/10.0.0.2", "desk")]
    assert all("groups" in line["refused"] for line in lines[:2]) and "nobody is named" in lines[2]["refused"]
    assert len(lines) == 3 or len({line["time"][:13] for line in lines}) == 2, lines
    assert desk.log.read_text().count("watch asks page /api/who") == len([line for line in lines if line["for"] == "watch" and "times" not in line])


def test_questions_that_are_none_are_refused(desk):
    for text in ("", "\n \n", "hello", "1.1.1.1:1276 2026-01-31 14:05:00", "--state-dir /etc"):
        answer = desk.post("/api/who", text, user="lea")
        assert answer.status == 400 and "TIME ADDR:PORT" in answer.json()["error"], answer


# ---- leases and evidence


def stamp(seconds=0):
    return f"{datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def place(run_directory):
    return Path(tempfile.mkdtemp(dir=run_directory))


@pytest.fixture
def leasing(running_lab, place):
    """A desk with leases and queries of its own, and their directories."""
    (place / "leases").mkdir()
    (place / "queries").mkdir()
    it = Desk(place / "desk", "--control", running_lab.agent.socket, "--leases", place / "leases", "--queries", place / "queries")
    yield it, place / "leases", place / "queries"
    it.end()


@pytest.mark.parametrize("events, customer, reason", [
    (session_of(HOSTILE, circuit="ge-0/0/1"), HOSTILE, None),
    ([(-86400, "start", "alice", {"session": "nas/1"}), (-3600, "stop", "alice", {"session": "nas/1"}), (60, "mark", "", {})], None, "no-lease"),
    ([(-86400, "mark", "", {})], None, "no-record"),
    ([(-86400, "start", "alice", {"session": "nas/1"}), (60, "mark", "", {})], None, "perhaps"),
    ([(-60, "start", "alice", {"session": "nas/1"}), (-60, "start", "bob", {"session": "nas/2"}),
      (60, "stop", "alice", {"session": "nas/1"}), (60, "stop", "bob", {"session": "nas/2"})], None, "two-leases"),
])
def test_answers_name_the_customer_or_the_reason(leasing, events, customer, reason):
    desk, leases, _ = leasing
    lease_file(leases, *events)
    row, = desk.post("/api/who", f"{stamp()} 1.1.1.1:1276", user="lea").json()
    assert row["in_addr"] == "10.0.16.16" and row["margin"]["seconds"] == 60
    assert (row["customer"] and row["customer"]["id"]) == customer and row.get("customer_reason") == reason


def test_evidence_is_an_archive_that_proves_itself(leasing, running_lab):
    desk, leases, queries = leasing
    lease_file(leases, *session_of("alice"))
    answer = desk.post("/api/evidence", f"case-1 {stamp()} 1.1.1.1:1276", user="lea")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/x-tar", answer
    assert answer.headers["Content-Disposition"] == 'attachment; filename="case-1.tar"'
    archive = leases.parent / "case-1.tar"
    archive.write_bytes(answer.body)
    isolation.run("tar", "-xf", archive, "-C", leases.parent)
    case = leases.parent / "case-1"
    assert isolation.run("sh", "-c", f"cd {case} && sha256sum -c --quiet SHA256SUMS", check=False).returncode == 0
    assert json.loads((case / "answer.json").read_text())["customer"]["id"] == "alice"
    assert json.loads((case / "question.json").read_text())["for"] == "lea" and 'Customer:       "alice"' in (case / "README.txt").read_text()
    assert execute(CTL, "history", "verify", "--state-dir", case).status == 0
    query, = (json.loads(line) for line in next(queries.glob("queries-*.jsonl")).read_text().splitlines())
    assert (query["for"], query["user"], query["case"], query["endpoint"]) == ("lea", "root", "case-1", "1.1.1.1:1276")
    assert query["answer"] == hashlib.sha256((case / "answer.json").read_bytes()).hexdigest()
    assert "lea takes evidence about 1.1.1.1:1276" in desk.log.read_text()
    assert not list(running_lab.agent.state.glob("queries-*")), "the history's directory is only read"


def test_a_customer_is_found_by_name(leasing):
    desk, leases, queries = leasing
    lease_file(leases, *session_of("--erase", circuit="ge-0/0/1"))
    for text in ("--erase", "ge-0/0/1"):
        rows = desk.post("/api/customer", text, user="lea").json()
        assert rows and {row["in_addr"] for row in rows} == {"10.0.16.16"}
    assert desk.post("/api/customer", "nobody", user="lea").json() == []
    for text in ("", "a\nb", "a" * 256, b"\xff"):
        assert desk.post("/api/customer", text, user="lea").status == 400
    assert 'lea asks what customer --erase had' in desk.log.read_text()
    assert desk.ask("/api/customer", "lea").status == 405 and desk.post("/api/customer", "x", user="watch").status == 403


@pytest.mark.parametrize("body", ["", "case-1", "case-1 2026-01-31T14:05:00 1.1.1.1:1276", "../x 2026-01-31T14:05:00Z 1.1.1.1:1276",
                                  "--key 2026-01-31T14:05:00Z 1.1.1.1:1276", "a 2026-01-31T14:05:00Z 1.1.1.1:1276 --tar",
                                  "a" * 65 + " 2026-01-31T14:05:00Z 1.1.1.1:1276", "<b> 2026-01-31T14:05:00Z 1.1.1.1:1276"])
def test_evidence_of_no_question_is_refused(leasing, body):
    desk, _, queries = leasing
    answer = desk.post("/api/evidence", body, user="lea")
    assert answer.status == 400 and "CASE TIME ADDR:PORT" in answer.json()["error"], answer
    assert not list(queries.iterdir())


def test_an_archive_may_be_longer_than_what_is_kept_in_memory(running_lab, place, run_directory):
    """More than 64 MiB of a history that is damaged, and therefore given as a whole: the desk's own memory stays small."""
    state, queries = run_directory / "long-history", run_directory / "long-queries"
    state.mkdir()
    queries.mkdir()
    with open(state / "history.jsonl", "w") as out:
        for _ in range((71 << 20) // 8000):
            out.write("x" * 7999 + "\n")
    desk = Desk(place / "desk", "--control", running_lab.agent.socket, "--state-dir", state, "--queries", queries)
    try:
        answer = desk.post("/api/evidence", f"long {stamp()} 1.1.1.1:1276", user="lea")
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{desk.process.pid}/status").read_text())[1])
    finally:
        desk.end()
    assert answer.status == 200 and len(answer.body) > 70 << 20 and int(answer.headers["Content-Length"]) == len(answer.body), answer
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        sums = archive.extractfile("long/SHA256SUMS").read().decode()
        assert hashlib.sha256(archive.extractfile("long/history.jsonl").read()).hexdigest() in sums
    assert peak < 40000, peak


def test_without_a_line_about_its_use_there_is_no_evidence(running_lab, place):
    desk = Desk(place / "desk", "--control", running_lab.agent.socket, "--queries", place / "absent")
    try:
        answer = desk.post("/api/evidence", f"case-1 {stamp()} 1.1.1.1:1276", user="lea")
    finally:
        desk.end()
    assert answer.status == 502 and "absent" in answer.json()["error"], answer


def test_evidence_is_signed_by_a_key(running_lab, place):
    isolation.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "key")
    desk = Desk(place / "desk", "--control", running_lab.agent.socket, "--queries", place, "--key", place / "key")
    try:
        answer = desk.post("/api/evidence", f"case-1 {stamp()} 1.1.1.1:1276", user="lea")
    finally:
        desk.end()
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        assert {"case-1/SHA256SUMS", "case-1/SHA256SUMS.sig", "case-1/README.txt"} <= set(archive.getnames())


def test_desk_and_command_line_append_at_once_and_the_ledger_stays_right(lab, place):
    """Both note evidence in the directory of the history, while the agent writes there, too."""
    agent = lab.start()
    desk = Desk(place / "desk", "--control", agent.socket, "--state-dir", agent.state)
    try:
        def by_desk(n):
            return desk.post("/api/evidence", f"desk-{n} {stamp()} 1.1.1.1:1276", user="lea").status == 200

        def by_command(n):
            return execute(CTL, "evidence", f"ctl-{n}", "1.1.1.1:1276", "--at", stamp(), "--state-dir", agent.state, "--directory", place).status == 0

        def by_agent(n):
            return agent.command("mapping", "add", f"10.9.{n}.0/24", f"1.1.9.{n * 4}/30").status == 0
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            assert all(pool.map(lambda work: work[0](work[1]), [(by, n) for n in range(8) for by in (by_desk, by_command, by_agent)]))
    finally:
        desk.end()
    told = execute(CTL, "history", "verify", "--state-dir", agent.state)
    assert told.status == 0, told
    cases = {json.loads(line)["case"] for line in next(agent.state.glob("queries-*.jsonl")).read_text().splitlines()}
    assert cases == {f"{by}-{n}" for by in ("desk", "ctl") for n in range(8)}


def test_history_verify_covers_the_queries_of_a_desk_below_the_history(lab, place):
    agent = lab.start()
    own = agent.state / "desk"
    own.mkdir()
    desk = Desk(place / "desk", "--control", agent.socket, "--state-dir", agent.state, "--queries", own)
    try:
        for case in ("case-1", "case-2"):
            assert desk.post("/api/evidence", f"{case} {stamp()} 1.1.1.1:1276", user="lea").status == 200
    finally:
        desk.end()
    told = execute(CTL, "-j", "history", "verify", "--state-dir", agent.state)
    found = json.loads(told.out)["desk"]
    assert told.status == 0 and (found["files"], found["lines"], found["damage"]) == (1, 2, []), told
    queries = next(own.glob("queries-*.jsonl"))
    queries.write_text(queries.read_text().replace("case-1", "case-9", 1))
    told = execute(CTL, "history", "verify", "--state-dir", agent.state)
    assert told.status == 1 and f"desk/{queries.name}: line 1 was changed" in told.out, told
    queries.unlink()
    told = execute(CTL, "history", "verify", "--state-dir", agent.state)
    assert told.status == 1 and f"desk/{queries.name} is gone" in told.out, told
    # What cannot be read is told beside the rest.
    (own / "chain.jsonl").unlink()
    (own / "chain.jsonl").mkdir()
    told = execute(CTL, "history", "verify", "--state-dir", agent.state)
    assert told.status == 1 and "desk/" in told.out and "cannot be read" in told.out and "lines from" in told.out, told


def test_samples_come_by_themselves(running_lab, run_directory):
    desk = Desk(run_directory / "sampled", "--control", running_lab.agent.socket, "--sample", "1")
    try:
        answer = {"samples": []}
        while len([s for s in answer["samples"] if s["sessions"] is not None]) < 2:
            answer = desk.ask("/api/samples").json()
    finally:
        desk.end()
    assert answer["interval"] == 1 and set(answer["samples"][0]) == {"time", "sessions", "opened", "translated", "octets", "refused", "dropped"}


# ---- the agent is away

def test_an_absent_agent_is_told(run_directory):
    desk = Desk(run_directory / "alone", "--control", run_directory / "nobody.sock")
    try:
        for path in ("/api/status", "/api/explain/10.0.0.2"):
            answer = desk.ask(path)
            assert answer.status == 503 and "nobody.sock" in answer.json()["error"], answer
        assert desk.ask("/state").status == 200
        # The first one is taken by a thread of its own, as the desk begins to answer.
        wait_for(lambda: desk.ask("/api/samples").json()["samples"], what="the first sample")
        assert desk.ask("/api/samples").json()["samples"][0]["sessions"] is None
    finally:
        desk.end()


def test_a_silent_agent_is_told(run_directory):
    path = run_directory / "silent.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        desk = Desk(run_directory / "silenced", "--control", path)
        try:
            answer = desk.ask("/api/status")
            assert answer.status == 504 and "did not answer" in answer.json()["error"], answer
            assert desk.ask("/lookup").status == 200
        finally:
            desk.end()


def test_an_agent_that_hangs_is_not_asked_where_the_history_is(lab, run_directory):
    agent = lab.start()
    desk = Desk(run_directory / "hung", "--control", agent.socket)
    try:
        wait_for(lambda: desk.ask("/api/samples").json()["samples"], what="the first answer of the agent")
        agent.process.send_signal(signal.SIGSTOP)
        row, = desk.post("/api/who", "2999-01-31T13:05:00Z 1.1.1.1:1276", user="lea").json()
        assert row["in_addr"] == "10.0.16.16" and desk.ask("/api/history", "lea").status == 200
    finally:
        agent.process.send_signal(signal.SIGCONT)
        desk.end()


def test_a_copy_of_the_history_answers_without_an_agent(lab, run_directory):
    agent = lab.start()
    agent.stop()
    desk = Desk(run_directory / "copy", "--state-dir", agent.state)
    try:
        rows = desk.post("/api/who", "2999-01-31T13:05:00Z 1.1.1.1:1276", user="lea").json()
        assert rows[0]["in_addr"] == "10.0.16.16" and rows[0]["state_dir"] == str(agent.state)
        assert desk.ask("/api/history", "lea").json()[0]["event"] == "start"
    finally:
        desk.end()


# ---- loopback and the start

def test_loopback_needs_no_name_but_its_own(running_lab, run_directory):
    gateway = running_lab.gateway
    desk = Desk(run_directory / "loopback", "--control", running_lab.agent.socket, listen="127.0.0.1:8080", namespace=gateway)

    def status(*options):
        return gateway.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *options).stdout
    try:
        assert status("http://127.0.0.1:8080/state") == "200" and status("http://localhost:8080/api/status") == "200"
        assert status("http://127.0.0.1:8080/state", "-H", "Host: attacker.example") == "421"
        assert status("http://127.0.0.1:8080/state", "-H", "Host: 127.0.0.1.attacker.example") == "421"
        assert status("http://127.0.0.1:8080/api/status", "-H", "Sec-Fetch-Site: cross-site") == "403"
    finally:
        desk.end()


@pytest.mark.parametrize("options, told", [
    (("--listen", "0.0.0.0:8080"), "an address of this machine alone"),
    (("--listen", "192.0.2.1:80"), "an address of this machine alone"),
    (("--listen", "8080"), "an address of this machine alone"),
    (("--listen", "127.0.0.1:1", "--socket", "/x"), "exclude each other"),
    (("--sample", "0", "--listen", "127.0.0.1:1"), "1 to 3600"),
    (("--frobnicate",), "--help"),
    (("word",), "is no option"),
    ((), "detnat-desk.socket"),
    (("--socket", "/" + "x" * 200), "longer than"),
    (("--socket", "/nowhere/desk.sock"), "cannot listen on /nowhere/desk.sock"),
])
def test_a_wrong_start_says_what_to_do(options, told):
    result = execute(DESK, *options)
    assert result.status in (1, 2) and result.out == "" and told in result.err, result


@pytest.mark.parametrize("mode, uid", [(0o755, 65534), (0o777, 0), (0o775, 0)])
def test_root_makes_and_removes_no_socket_where_others_choose_the_names(tmp_path, mode, uid):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, uid, 0)
    theirs.chmod(mode)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(theirs / "desk.sock"))
    result = execute(DESK, "--socket", theirs / "desk.sock")
    assert result.status == 1 and "users other than root may put things into" in result.err, result
    assert (theirs / "desk.sock").is_socket()


def test_a_socket_is_removed_from_the_directory_that_it_was_made_in(running_lab, run_directory):
    desk = Desk(run_directory / "made", "--control", running_lab.agent.socket)
    (run_directory / "made").rename(run_directory / "moved")
    (run_directory / "made").mkdir()
    (run_directory / "made" / "desk.sock").touch()
    desk.log = run_directory / "moved" / "desk.log"
    desk.end()
    assert not (run_directory / "moved" / "desk.sock").exists() and (run_directory / "made" / "desk.sock").exists()


def test_help_and_version():
    assert "Examples:" in execute(DESK, "--help").out and execute(DESK, "--version").out.startswith("detnat-desk 1")


def test_the_socket_of_the_service_manager(running_lab, run_directory):
    path = run_directory / "passed.sock"
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(path))
        passed.listen()
        process = isolation.popen("bash", "-c", f'exec 3<&{passed.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --control "$1"', DESK,
                                  running_lab.agent.socket, stdout=subprocess.PIPE, pass_fds=[passed.fileno()])
        try:
            assert process.stdout.readline().endswith(b"ready\n")
            desk = Desk.__new__(Desk)
            desk.socket = path
            assert desk.ask("/", user=None).status == 401
        finally:
            process.terminate()
            assert process.wait() == 0
            process.stdout.close()
