# SPDX-License-Identifier: BSD-2-Clause
"""detnat-desk behind nginx and Caddy with the files that are shipped. deploy/install-deps.sh unpacks both into build/proxies."""

import json
import os
import pathlib
import shutil
import socket
import tempfile
import time

import pytest

import isolation
import netns
from agent import BUILD, execute, wait_for
from desk import DESK, Desk

TREE = pathlib.Path(__file__).resolve().parents[2]
SITE = "desk.example.net"
USERS = ("lea", "ops", "stranger")


def program(path):
    """That of the machine, or the one that is unpacked."""
    found = [p for p in (pathlib.Path(path), TREE / "build" / "proxies" / path[1:], BUILD / "proxies" / path[1:]) if p.exists()]
    if not found:
        pytest.skip(f"{path} is neither installed nor unpacked: deploy/install-deps.sh test")
    return found[0]


def replaced(text, pairs):
    for old, new in pairs:
        assert old in text, f"the shipped file has no {old!r}"
        text = text.replace(old, str(new))
    return text


class Nginx:
    name = "nginx"

    def start(self, directory, host, desk):
        users = directory / "users"
        users.write_text("".join(f"{u}:{isolation.run('openssl', 'passwd', '-apr1', u + '-password').stdout}" for u in USERS))
        (directory / "site.conf").write_text(replaced((TREE / "deploy/desk/nginx.conf").read_text(), (
            ("/etc/ssl/certs/desk.pem", directory / "desk.pem"), ("/etc/ssl/private/desk.key", directory / "desk.key"),
            ("auth_basic_user_file /etc/nginx/desk.users", f"auth_basic_user_file {users}"), ("unix:/run/detnat-desk.sock", f"unix:{desk.socket}"))))
        temporary = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (directory / "nginx.conf").write_text(
            f"user root;\ndaemon off;\nmaster_process off;\npid {directory}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}"
            f"include {directory}/site.conf;\n}}\n")
        return host.popen(program("/usr/sbin/nginx"), "-p", directory, "-e", directory / "log", "-c", directory / "nginx.conf")


class Caddy:
    name = "caddy"

    def start(self, directory, host, desk):
        caddy = program("/usr/bin/caddy")
        entries = "".join(f"\t\t\t{u} {isolation.run(caddy, 'hash-password', '--plaintext', u + '-password').stdout}" for u in USERS)
        text = replaced((TREE / "deploy/desk/Caddyfile").read_text(), (
            ("\t\t\tlea REPLACE-WITH-THE-HASH\n", entries), ("unix//run/detnat-desk.sock", f"unix/{desk.socket}"),
            # Its certificate would come from elsewhere.
            (f"\n{SITE} {{\n", f"\n{{\n\tadmin off\n\tauto_https off\n}}\nhttps://{SITE} {{\n\ttls {directory}/desk.pem {directory}/desk.key\n")))
        (directory / "Caddyfile").write_text(text)
        with open(directory / "log", "wb") as log:
            return host.popen(caddy, "run", "--config", directory / "Caddyfile", "--adapter", "caddyfile", stderr=log,
                              env={**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)})


class Site:
    def __init__(self, host, directory):
        self.host, self.directory = host, directory

    def curl(self, path, *options, user=None, **more):
        password = ("-u", f"{user}:{user}-password") if user else ()
        out = self.directory / "body"
        # A proxy may break off what it refuses.
        told = self.host.run("curl", "-sS", "-m", "30", "--cacert", self.directory / "desk.pem", "--resolve", f"{SITE}:443:127.0.0.1", "-o", out,
                             "-w", "%{http_code}", *password, *options, f"https://{SITE}{path}", check=False, **more)
        return int(told.stdout), out.read_bytes()


@pytest.fixture(scope="module", params=[Nginx, Caddy], ids=lambda kind: kind.name)
def site(request, running_lab, run_directory):
    directory = pathlib.Path(tempfile.mkdtemp(dir=run_directory))
    directory.chmod(0o755)
    (directory / "queries").mkdir()
    host = netns.Namespace(f"proxy-{request.param.name}")
    host.ip("link", "set", "lo", "up")
    isolation.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                  f"/CN={SITE}", "-addext", f"subjectAltName=DNS:{SITE}", "-keyout", directory / "desk.key", "-out", directory / "desk.pem")
    desk = Desk(directory / "desk", "--control", running_lab.agent.socket, "--queries", directory / "queries",
                "--tokens", directory / "tokens")
    process = request.param().start(directory, host, desk)
    it = Site(host, directory)
    it.desk = desk

    def listens():
        assert process.poll() is None, (directory / "log").read_text()
        with host.enter(), socket.socket() as s:
            return s.connect_ex(("127.0.0.1", 443)) == 0
    wait_for(listens, what=f"{request.param.name} listens")
    yield it
    process.terminate()
    process.wait()
    desk.end()
    shutil.rmtree(directory)


def test_nobody_gets_in_without_a_password(site):
    for options in ((), ("-u", "lea:wrong"), ("-H", "X-Remote-User: ops"), ("-H", "Authorization: Basic b3Bz")):
        for path in ("/", "/api/me", "/static/desk.js"):
            assert site.curl(path, *options)[0] == 401, (options, path)


def test_passwords_are_not_guessed_fast(site):
    """By nginx, which delays each refusal and takes sixteen at once; of Caddy its file says that it has no limit."""
    if "nginx" not in site.host.name:
        assert "Caddy itself does not limit guesses" in (TREE / "deploy/desk/Caddyfile").read_text()
        return
    guesses, begin = 60, time.monotonic()
    told = site.host.run("sh", "-c", f"for n in $(seq {guesses}); do curl -sS -m 30 --cacert {site.directory}/desk.pem --resolve {SITE}:443:127.0.0.1 "
                         f"-o /dev/null -w '%{{http_code}}\\n' -u lea:guess$n https://{SITE}/ & done; wait").stdout.split()
    assert len(told) == guesses and set(told) == {"401", "429"} and told.count("401") <= 16 * (time.monotonic() - begin) / 2 + 16, told
    assert site.curl("/", "-u", "lea:wrong")[0] == 401 and time.monotonic() - begin > 4
    assert site.curl("/", user="lea")[0] == 200


def test_groups_decide_behind_the_proxy(site):
    assert site.curl("/", user="stranger")[0] == 403
    assert site.curl("/state", user="lea")[0] == 403
    for path in ("/", "/lookup", "/api/me", "/static/lookup.js"):
        assert site.curl(path, user="lea")[0] == 200, path
    assert site.curl("/api/status", user="ops")[0] == 200


@pytest.mark.parametrize("header", ["X-Remote-User: ops", "x-remote-user: ops", "X-Remote-User;", "X_Remote_User: ops"])
def test_nobody_is_another(site, header):
    status, body = site.curl("/api/me", "-H", header, user="lea")
    assert status == 200 and json.loads(body) == {"user": "lea", "look_up": True, "history": True, "state": False, "subscribers": False}


def test_a_complaint_is_asked_through_the_proxy(site):
    status, body = site.curl("/api/questions?zone=Europe%2FBerlin", "--data-binary", "2999-01-31 14:05:00 1.1.1.1:1276", user="lea")
    assert status == 200 and json.loads(body)[0]["time"] == "2999-01-31T13:05:00Z"
    status, body = site.curl("/api/who", "--data-binary", "2999-01-31T13:05:00Z 1.1.1.1:1276", user="lea")
    assert status == 200 and json.loads(body)[0]["in_addr"] == "10.0.16.16"
    status, body = site.curl("/api/evidence", "--data-binary", "case-1 2999-01-31T13:05:00Z 1.1.1.1:1276", user="lea")
    assert status == 200 and body.startswith(b"case-1/") and len(body) % 512 == 0
    query = json.loads(next((site.directory / "queries").glob("queries-*.jsonl")).read_text().splitlines()[0])
    assert query["for"] == "lea"


def test_programs_pass_with_their_tokens_alone(site):
    secret = execute(DESK, "token", "add", "tickets", "--kind", "who", "--tokens", site.directory / "tokens").out.strip()
    path, bearer = "/api/v1/who?endpoint=1.1.1.1:1276&at=2999-01-31T13:05:00Z&reason=abuse", ("-H", f"Authorization: Bearer {secret}")
    status, body = site.curl(path, *bearer)
    assert status == 200 and json.loads(body)["in_addr"] == "10.0.16.16"
    for status, options in ((401, ()), (401, ("-H", "X-Remote-User: ops")), (401, ("-u", "lea:lea-password"))):
        told, body = site.curl(path, *options)
        assert told == status and json.loads(body)["status"] == status, options
    # The address of a guess is whom the proxy sees, and not what the client says.
    assert site.curl(path, "-H", "X-Forwarded-For: 203.0.113.77", "-H", "Authorization: Bearer x")[0] == 401
    log = site.desk.log.read_text()
    assert "a program without a valid token at 127.0.0.1 asks who" in log and "203.0.113.77" not in log
    assert site.curl("/api/v1/openapi.json")[0] == 200
    for elsewhere in ("/api/status", "/api/v1/../status", "/"):
        assert site.curl(elsewhere, "--path-as-is", *bearer)[0] in (401, 404), elsewhere


def test_ten_megabytes_pass_and_more_is_refused(site):
    upload = site.directory / "upload"
    for size, wanted in ((10_000_000, 200), (12_000_000, 413)):
        upload.write_bytes(b"x" * size)
        # Over HTTP/2, Caddy ends the stream with its answer, and curl 7.88 loses an answer that comes while it still sends.
        assert site.curl("/api/questions", "--http1.1", "-H", "Expect:", "--data-binary", f"@{upload}", user="lea")[0] == wanted


def test_a_desk_that_is_away_is_502(site, running_lab):
    gone = site.desk.socket.with_suffix(".away")
    site.desk.socket.rename(gone)
    try:
        assert site.curl("/", user="lea")[0] == 502
    finally:
        gone.rename(site.desk.socket)
    assert site.curl("/", user="lea")[0] == 200
