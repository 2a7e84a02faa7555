# SPDX-License-Identifier: BSD-2-Clause
"""detnat-desk: who may ask, each route, the headers, and what it refuses."""

import re
import socket
import subprocess

import pytest

import isolation
from agent import execute
from desk import DESK, Desk

PAGES = ("/", "/lookup", "/history", "/state", "/subscriber/10.0.0.2")
STATE = ("/api/status", "/api/stats", "/api/mappings", "/api/pools", "/api/pools/1.1.1.0/30", "/api/interfaces", "/api/peers",
         "/api/samples", "/api/subscriber/10.0.0.2", "/api/explain/10.0.0.2")
LOOKUP = ("/api/me", "/api/history")
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
          "frame-ancestors 'none'; base-uri 'none'")


@pytest.fixture(scope="module")
def desk(running_lab, run_directory):
    it = Desk(run_directory / "desk", "--control", running_lab.agent.socket)
    yield it
    it.end()


def files(desk, page):
    """The paths that the page and its modules name."""
    views = {f"/static/{view}.js" for view in ("lookup", "state", "history", "subscriber")}
    found, left = set(), views | set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    while left:
        path = left.pop()
        found.add(path)
        text = desk.ask(path).body.decode()
        left |= {f"/static/{name}" for name in re.findall(r'from "\./([a-z]+\.js)"', text)} - found
    return found


def test_without_a_name_every_path_is_401(desk):
    for path in (*PAGES, *STATE, *LOOKUP, "/static/desk.css", "/nowhere"):
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
    assert desk.ask("/api/me", "lea").json() == {"user": "lea", "look_up": True, "state": False}


@pytest.mark.parametrize("user", ["<script>alert(1)</script>", '"><img src=x>', "-rf", "a" * 65, "ops ops", "../ops", "ops\tops", "\u00e9"])
def test_hostile_names_are_refused_and_not_repeated(desk, user):
    answer = desk.ask("/", user=user.encode("utf-8"))
    assert answer.status == 403 and answer.headers["Content-Type"].startswith("text/plain"), answer
    assert user.encode() not in answer.body
    answer = desk.ask("/api/me", user=user.encode("utf-8"))
    assert answer.status == 403 and set(answer.json()) == {"error"} and b"<" not in answer.body


def test_every_answer_has_the_headers(desk):
    for path in (*PAGES, *STATE, *LOOKUP, "/static/desk.css", "/nowhere", "/api/nowhere", "/api/explain/x"):
        for user in ("ops", None):
            headers = desk.ask(path, user).headers
            assert headers["Content-Security-Policy"] == POLICY
            assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
            assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
            assert "Set-Cookie" not in headers


def test_the_page_loads_nothing_from_elsewhere_and_weighs_little(desk):
    page = desk.ask("/").body.decode()
    paths = files(desk, page)
    bodies = [desk.ask(path) for path in paths]
    assert all(b.status == 200 for b in bodies) and len(paths) == 10, paths
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
    for path in ("/", "/api/status", "/static/desk.css"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            assert desk.ask(path, method=method, body=b"").status == 405, (path, method)
    assert desk.ask("/api/who").status == 405
    assert desk.ask("/api/status", method="HEAD").body == b""


def test_pages_of_elsewhere_are_refused(desk):
    for site in ("cross-site", "same-site"):
        assert desk.post("/api/who", "x", headers=[("Sec-Fetch-Site", site)]).status == 403
    assert desk.ask("/api/me", headers=[("Sec-Fetch-Site", "same-origin")]).status == 200


MAIL = """Hello,
one of your users attacked us from 1.1.1.1:1276 at 2999-01-31T14:05:00+01:00, please act.
<b>2026-01-31 14:05:00</b> 1.1.1.1:1276 has no zone
<script>alert(1)</script> 1.1.1.1:99999 is no port; 1.1.1.1:1277 without a time
Jan: [1.1.1.0:1030] (2999-01-31 13:05:01.123 UTC)
2999-02-31T00:00:00Z 1.1.1.0:1030
"""


def test_a_complaint_becomes_questions(desk):
    found = desk.post("/api/questions", MAIL, user="lea").json()
    assert found["questions"] == [
        {"line": 2, "time": "2999-01-31T13:05:00Z", "out_addr": "1.1.1.1", "out_port": 1276},
        {"line": 5, "time": "2999-01-31T13:05:01Z", "out_addr": "1.1.1.0", "out_port": 1030}]
    assert [p["line"] for p in found["problems"]] == [3, 4, 6] and found["left_out"] == 0
    for problem, told in zip(found["problems"], ("no time zone", "no time:", "no such time")):
        assert told in problem["text"]


def test_questions_are_answered_in_their_order(desk):
    rows = desk.post("/api/who", "2999-01-31T13:05:00Z 1.1.1.1:1276\n2001-01-01T00:00:00Z 1.1.1.1:1276\n", user="lea").json()
    assert [row["in_addr"] for row in rows] == ["10.0.16.16", None] and rows[1]["reason"] == "no-record"
    assert "lea asks who it was: 2 questions" in desk.log.read_text()


def test_questions_that_are_none_are_refused(desk):
    for text in ("", "hello", "1.1.1.1:1276 2026-01-31 14:05:00", "--state-dir /etc"):
        answer = desk.post("/api/who", text, user="lea")
        assert answer.status == 400 and "TIME ADDR:PORT" in answer.json()["error"], answer


def test_samples_come_by_themselves(running_lab, run_directory):
    desk = Desk(run_directory / "sampled", "--control", running_lab.agent.socket, "--sample", "1")
    try:
        answer = {"samples": []}
        while len([s for s in answer["samples"] if s["sessions"] is not None]) < 2:
            answer = desk.ask("/api/samples").json()
    finally:
        desk.end()
    assert answer["interval"] == 1 and set(answer["samples"][0]) == {"time", "sessions", "opened", "translated", "refused", "dropped"}


# ---- the agent is away

def test_an_absent_agent_is_told(run_directory):
    desk = Desk(run_directory / "alone", "--control", run_directory / "nobody.sock")
    try:
        for path in ("/api/status", "/api/explain/10.0.0.2"):
            answer = desk.ask(path)
            assert answer.status == 503 and "nobody.sock" in answer.json()["error"], answer
        assert desk.ask("/state").status == 200
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
