# SPDX-License-Identifier: BSD-2-Clause
"""detnat-desk under clients that want too much: long bodies, slow senders, thousands of connections."""

import concurrent.futures
import contextlib
import pathlib
import shutil
import socket
import tempfile

import pytest

from agent import BUILD, execute, is_sanitized, wait_for
from desk import Desk

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def desk(running_lab, run_directory):
    it = Desk(run_directory / "abused", "--control", running_lab.agent.socket)
    yield it
    it.end()


def test_ten_megabytes_are_read_and_more_is_413(desk):
    lines = (f"2026-01-31T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z 1.1.1.1:1276 ".encode() + b"<b>" * 300 + b"\n" for n in range(11215))
    body = b"".join(lines)[:10 * MEGABYTE]
    found = [row for row in desk.post("/api/questions", body).json() if "time" in row]
    assert len(found) in (len(body.splitlines()), len(body.splitlines()) - 1)
    assert desk.post("/api/questions", body + b"x").status == 413


def test_a_body_of_unknown_length_is_413_beyond_ten_megabytes(desk):
    with desk.connect() as s:
        s.sendall(b"POST /api/questions HTTP/1.1\r\nHost: desk\r\nX-Remote-User: ops\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"
        for _ in range(11):
            s.sendall(piece)
        s.sendall(b"0\r\n\r\n")
        assert s.recv(4096).startswith(b"HTTP/1.1 413 ")


# A proxy that cannot send on takes it for a failure of the desk, and tells its client 502.
@pytest.mark.parametrize("path, user, status", [("/api/questions", "ops", 413), ("/api/questions", "stranger", 403), ("/nowhere", "ops", 404)])
def test_a_refused_body_is_read_before_the_answer(desk, path, user, status):
    with desk.connect() as s:
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: desk\r\nX-Remote-User: {user}\r\nContent-Length: {12 * MEGABYTE}\r\n\r\n".encode())
        for _ in range(12):
            s.sendall(b"x" * MEGABYTE)
        assert s.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())


def test_more_questions_than_fit_are_told(desk):
    body = b"".join(b"2026-01-31T14:05:00Z 1.1.1.%d:%d\n" % (n % 4, 1024 + n // 4) for n in range(100003))
    assert len(desk.post("/api/questions", body).json()) == 100003
    answer = desk.post("/api/who", body)
    assert answer.status == 400 and "100000 lines" in answer.json()["error"]
    assert len(desk.post("/api/who", b"".join(body.splitlines(keepends=True)[:100000])).json()) == 100000


@pytest.mark.parametrize("body", [b"\0" * 100000, b"1.1.1.1:1" * 50000, b"2026-01-31T" * 50000, bytes(range(256)) * 500, b"\n" * 100000,
                                  b"1" * 1000000, b":" * 1000000], ids=range(7))
def test_any_octets_are_read(desk, body):
    assert desk.post("/api/questions", body).status == 200


@pytest.mark.parametrize("request_", [
    b"\r\n" * 10, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    b"POST /api/who HTTP/1.1\r\nX-Remote-User: ops\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
], ids=range(7))
def test_what_is_no_http_is_refused(desk, request_):
    with desk.connect() as s:
        try:
            s.sendall(request_)
            s.shutdown(socket.SHUT_WR)
            answer = s.recv(4096)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        assert not answer.startswith(b"HTTP/1.1 200"), answer
    assert desk.ask("/").status == 200


def test_slow_clients_are_closed(desk):
    """One sends a header now and then, so that its connection is never idle for long."""
    with desk.connect() as silent, desk.connect() as slow:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        slow.settimeout(1)

        def closed():
            try:
                slow.sendall(b"X: y\r\n")
                return slow.recv(100) == b"" or True
            except TimeoutError:
                return False
            except OSError:
                return True
        wait_for(closed, timeout=60, what="the end of the slow connection")
        assert silent.recv(100) == b""
    assert desk.ask("/").status == 200


def test_thousands_of_connections_leave_room_for_one(desk):
    before = desk.memory_kb()
    held = []
    try:
        for _ in range(3000):
            held.append(desk.connect())
        assert desk.ask("/").status == 200 and desk.ask("/api/status").status == 200
        # AddressSanitizer has memory of its own for each thread.
        assert desk.threads() <= 270 and (is_sanitized(BUILD / "detnat-desk") or desk.memory_kb() - before < 64 << 10)
    finally:
        for s in held:
            s.close()
    assert desk.ask("/").status == 200


def test_many_askers_at_once_are_answered_or_told(desk):
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: desk.ask("/api/status"), range(200)))
    assert {a.status for a in answers} <= {200, 503} and any(a.status == 200 for a in answers)
    assert all("try again" in a.json()["error"] for a in answers if a.status == 503)
    assert desk.ask("/api/status").status == 200


def test_many_uploads_share_a_limit(desk):
    """Those that have begun hold their part until they end."""
    held = []
    try:
        for _ in range(8):
            s = desk.connect()
            s.sendall(b"POST /api/questions HTTP/1.1\r\nHost: desk\r\nX-Remote-User: ops\r\nContent-Length: 10000000\r\n\r\n" +
                      b"x" * 9_000_000)
            held.append(s)
        # AddressSanitizer keeps what earlier requests have freed.
        assert is_sanitized(BUILD / "detnat-desk") or desk.memory_kb() < 300 << 10
        assert desk.ask("/").status == 200
    finally:
        for s in held:
            s.close()
    wait_for(lambda: desk.post("/api/questions", b"x" * 9_000_000).status == 200, what="room again")


# ---- shares, with a detnatctl that takes its time


SLOW = """#!/bin/sh
# Some questions never end; each of those leaves its number. One has a long answer.
case "$*" in
*state_dir*|*"config show"*) printf '{"state_dir":"/nowhere"}' ;;
*" status"*) [ ! -e "$0.hang" ] || { echo $$ >>"$0.pids"; exec sleep 600; }; printf '{}' ;;
*"history list"*) head -c 60000000 /dev/zero | tr '\\0' x ;;
*explain*) head -c 70000000 /dev/zero | tr '\\0' x ;;
*" who "*) read -r line; case "$line" in hang*) echo $$ >>"$0.pids"; exec sleep 600 ;; esac; printf '[]' ;;
*) printf '{}' ;;
esac
"""


@pytest.fixture
def slow(run_directory):
    """A desk whose detnatctl is SLOW, and the file with the numbers of its processes."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=run_directory))
    shutil.copy(BUILD / "detnat-desk", directory)
    (directory / "detnatctl").write_text(SLOW)
    (directory / "detnatctl").chmod(0o755)
    it = Desk(directory / "desk", "--tokens", directory / "tokens", "--sample", "3600", program=directory / "detnat-desk")
    it.directory = directory
    yield it
    it.end()


def processes(desk):
    """Those that began and have not ended."""
    pids = desk.directory / "detnatctl.pids"
    return [pid for pid in pids.read_text().split() if pathlib.Path("/proc", pid).exists()] if pids.exists() else []


@contextlib.contextmanager
def waiting(desk, n, path, body="hang\n", header="X-Remote-User: hog"):
    """n requests that have no answer yet."""
    with contextlib.ExitStack() as held:
        for _ in range(n):
            s = held.enter_context(desk.connect())
            s.sendall(f"POST {path} HTTP/1.1\r\nHost: desk\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        yield


def test_who_has_gone_is_not_asked_for(slow):
    with waiting(slow, 1, "/api/who", header="X-Remote-User: lea"):
        wait_for(lambda: len(processes(slow)) == 1, what="the question")
    wait_for(lambda: not processes(slow), what="the end of a question that nobody waits for", timeout=5)


def test_one_asker_leaves_others_their_share(slow):
    secret = execute(slow.directory / "detnat-desk", "token", "add", "flood", "--kind", "who", "--tokens", slow.directory / "tokens").out.strip()
    bearer = f"Content-Type: text/plain\r\nAuthorization: Bearer {secret}"
    with waiting(slow, 60, "/api/who", header="X-Remote-User: lea"), waiting(slow, 60, "/api/v1/who?reason=x", header=bearer):
        wait_for(lambda: len(processes(slow)) == 4, what="two questions each")
        for user in ("both", "ops"):
            assert slow.post("/api/who", "quick\n", user=user).status == 200
        assert slow.ask("/api/pools", "ops").status == 200
        assert len(processes(slow)) == 4
        answer = slow.post("/api/who", "quick\n", user="lea")
        assert answer.status == 503 and "try again" in answer.json()["error"] and answer.headers["Retry-After"], answer
    wait_for(lambda: not processes(slow), what="the end of all", timeout=5)
    assert slow.post("/api/who", "quick\n", user="lea").status == 200


def test_an_agent_that_hangs_stops_no_look_up(slow):
    (slow.directory / "detnatctl.hang").touch()
    with contextlib.ExitStack() as held:
        for user in ("ops", "both", "primary"):
            for _ in range(4):
                s = held.enter_context(slow.connect())
                s.sendall(f"GET /api/status HTTP/1.1\r\nHost: desk\r\nX-Remote-User: {user}\r\n\r\n".encode())
        wait_for(lambda: len(processes(slow)) == 4, what="as many as the state has")
        assert slow.post("/api/who", "quick\n", user="ops").status == 200
        assert slow.post("/api/who", "quick\n", user="lea").status == 200


def test_long_answers_take_no_memory(slow):
    """Nobody reads them; some 60 MB each."""
    before = slow.memory_kb()
    with contextlib.ExitStack() as held:
        for user in ("lea", "lea", "ops", "ops", "both", "both", "primary", "primary"):
            s = held.enter_context(slow.connect())
            s.sendall(f"GET /api/history HTTP/1.1\r\nHost: desk\r\nX-Remote-User: {user}\r\n\r\n".encode())
            assert s.recv(15) == b"HTTP/1.1 200 OK"
        assert slow.memory_kb() - before < 40 << 10
        assert slow.post("/api/who", "quick\n", user="lea").status == 200
    answer = slow.ask("/api/explain/10.0.0.2")
    assert answer.status == 413 and "ask for less" in answer.json()["error"]
    answer = slow.ask("/api/history", "lea")
    assert len(answer.body) == 60_000_000
    again = slow.ask("/api/history", "lea", headers=[("If-None-Match", answer.headers["ETag"])])
    assert again.status == 304 and again.body == b"" and again.headers["ETag"] == answer.headers["ETag"]
