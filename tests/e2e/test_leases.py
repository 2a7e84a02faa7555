# SPDX-License-Identifier: BSD-2-Clause
"""Customers: who had the inside address behind an answer, from files of leases."""

import datetime
import email.utils
import hashlib
import html
import html.parser
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

import isolation
from agent import CTL, execute, wait_for

OUT, IN = "1.1.1.1:1276", "10.0.16.16"


def lease_file(directory, *events):
    """Writes lines of (seconds from now, event, id, more) to the files of their days."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for seconds, event, name, more in events:
        at = now + datetime.timedelta(seconds=seconds)
        line = {"time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "event": event, **({"in_addr": IN, "id": name} if name else {}), **more}
        with open(directory / f"leases-{at:%Y-%m-%d}.jsonl", "a") as out:
            out.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


def session_of(name, **more):
    """A session that is heard of yesterday and in an hour: events of lease_file()."""
    return [(at, event, name, {"session": "nas/1", **more}) for at, event in ((-86400, "start"), (3600, "interim"))]


def who(agent, *arguments, status=0):
    result = execute(CTL, "-j", "who", *arguments, "--state-dir", agent.state)
    assert result.status == status, result
    return json.loads(result.out)


@pytest.fixture
def leases(tmp_path):
    directory = tmp_path / "leases"
    directory.mkdir()
    return directory


def test_an_answer_names_the_customer(running_lab, leases):
    lease_file(leases, *session_of("alice", circuit="ge-0/0/1"))
    answer = who(running_lab.agent, OUT, "--leases", leases, "--margin", "0")
    assert answer["in_addr"] == IN and answer["customer"]["id"] == "alice" and answer["customer"]["circuit"] == "ge-0/0/1"
    assert answer["margin"] == {"seconds": 0, "same": True}
    text = execute(CTL, "who", OUT, "--leases", leases, "--state-dir", running_lab.agent.state)
    assert text.status == 0 and 'Customer:       "alice", circuit "ge-0/0/1", session "nas/1"' in text.out


@pytest.mark.parametrize("events, reason", [
    ([(-86400, "start", "alice", {"session": "nas/1"}), (-3600, "stop", "alice", {"session": "nas/1"}), (60, "mark", "", {})], "no-lease"),
    ([(-86400, "mark", "", {}), (60, "mark", "", {})], "no-record"),
    ([(-86400, "mark", "", {})], "no-record"),
    ([(-86400, "start", "alice", {"session": "nas/1"}), (60, "mark", "", {})], "perhaps"),
    ([(-60, "start", "alice", {"session": "nas/1"}), (-60, "start", "bob", {"session": "nas/2"}),
      (60, "stop", "alice", {"session": "nas/1"}), (60, "stop", "bob", {"session": "nas/2"})], "two-leases"),
])
def test_an_answer_without_a_customer_says_why(running_lab, leases, events, reason):
    lease_file(leases, *events)
    answer = who(running_lab.agent, OUT, "--leases", leases, status=1)
    assert answer["in_addr"] == IN and answer["customer"] is None and answer["customer_reason"] == reason
    assert [c["id"] for c in answer.get("customers", [])] == {"two-leases": ["alice", "bob"], "perhaps": ["alice"]}.get(reason, [])
    question = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ} {OUT}\n"
    row = isolation.run(CTL, "-j", "who", "-", "--leases", leases, "--state-dir", running_lab.agent.state, input=question, check=False)
    assert row.returncode == 1 and json.loads(row.stdout)[0]["customer_reason"] == reason


def test_without_leases_the_answer_is_as_before(running_lab):
    answer = who(running_lab.agent, OUT)
    assert "customer" not in answer and "margin" not in answer


def test_a_directory_without_leases_is_refused(running_lab, leases):
    result = execute(CTL, "who", OUT, "--leases", leases, "--state-dir", running_lab.agent.state)
    assert result.status == 1 and "there is no leases-YYYY-MM-DD.jsonl" in result.err


def test_an_import_may_be_repeated(running_lab, leases, tmp_path):
    until = int(time.time()) + 3600
    source = tmp_path / "dnsmasq.leases"
    source.write_text(f"{until} 02:00:00:00:00:04 {IN} host 01:02:00:00:00:00:04\nnonsense\n")
    for added, known in ((1, 0), (0, 1)):
        told = execute(CTL, "-j", "leases", "import", "dnsmasq", source, "--leases", leases)
        assert told.status == 1 and "1 records were skipped; the first: line 2" in told.err, told
        assert json.loads(told.out) == {"added": added, "known": known, "skipped": 1}
    line = json.loads(next(leases.glob("leases-*.jsonl")).read_text().splitlines()[0])
    assert who(running_lab.agent, OUT, "--at", line["time"], "--leases", leases)["customer"]["mac"] == "02:00:00:00:00:04"


def test_a_customers_addresses_and_blocks_are_listed(running_lab, leases, tmp_path):
    agent = running_lab.agent
    lease_file(leases, *session_of("alice", circuit="port 1", mac="02:00:00:00:00:0a"))
    listing = ("--leases", leases, "--state-dir", agent.state)
    rows = json.loads(execute(CTL, "-j", "customer", "alice", *listing).out)
    # Cut where the mapping began, which the history knows.
    assert [(r["in_addr"], r["out_addr"]) for r in rows] == [(IN, None), (IN, "1.1.1.1")] and rows[0]["to"] == rows[1]["from"]
    assert rows[1]["port_lo"] <= 1276 <= rows[1]["port_hi"] and rows[1]["by"] == "id" and len(rows[1]["gateway"]) == 36
    for name, by in (("port 1", "circuit"), ("0200.0000.000A", "mac")):
        assert [r["by"] for r in json.loads(execute(CTL, "-j", "customer", name, *listing).out)] == [by, by]
    text = execute(CTL, "customer", "alice", *listing, "--from", rows[1]["from"]).out
    assert f"{rows[1]['from']} to now" in text and "1.1.1.1 ports" in text and text.count("\n") == 1
    for arguments in (("Alice",), ("alice", "--to", "2020-01-01T00:00:00Z")):
        nobody = execute(CTL, "customer", *arguments, *listing)
        assert nobody.status == 1 and "no line of leases" in nobody.err
    # Where detnat-leases keeps them under the service manager.
    shutil.copytree(leases, shutil.copytree(agent.state, tmp_path / "state") / "leases")
    found = execute(CTL, "-j", "customer", "alice", "--state-dir", tmp_path / "state")
    assert found.status == 0 and [r["in_addr"] for r in json.loads(found.out)] == [IN, IN], found


def test_a_customers_lines_are_erased_the_lawful_way(running_lab, tmp_path):
    agent, source = running_lab.agent, tmp_path / "dnsmasq.leases"
    source.write_text(f"{int(time.time()) + 3600} 02:00:00:00:00:04 {IN} host *\n{int(time.time()) + 3600} 02:00:00:00:00:05 10.0.16.17 host *\n")
    assert execute(CTL, "leases", "import", "dnsmasq", source, "--leases", agent.state).status == 0
    line = json.loads(next(agent.state.glob("leases-*.jsonl")).read_text().splitlines()[0])
    assert who(agent, OUT, "--at", line["time"])["customer"]["mac"] == "02:00:00:00:00:04"
    erase = ("customer", "0200-0000-0004", "--state-dir", agent.state)
    assert execute(CTL, *erase, "--dry-run").status == 2
    assert json.loads(execute(CTL, "-j", *erase, "--erase", "--dry-run").out)[0]["lines"] == 1
    told = execute(CTL, *erase, "--erase", "--case", "7")
    assert told.status == 0 and told.out.endswith(".jsonl: 1 line erased\n"), told
    answer = who(agent, OUT, "--at", line["time"], status=1)
    assert answer["customer"] is None and answer["customer_reason"] == "erased" and answer["erased"]
    assert "no record: erased on 20" in execute(CTL, "who", OUT, "--at", line["time"], "--state-dir", agent.state).err
    verified = execute(CTL, "-j", "history", "verify", "--state-dir", agent.state)
    leases = json.loads(verified.out)["leases"]
    assert verified.status == 0 and leases["damage"] == [] and [e["line"] for e in leases["erased"]] == [1], verified
    assert b"00:04" not in b"".join(f.read_bytes() for f in agent.state.glob("*.jsonl"))
    assert "no line of leases" in execute(CTL, *erase, "--erase").err


@pytest.mark.parametrize("words, message", [
    (("kea", "SOURCE", "--leases", "LEASES"), "is no header of kea: nothing was imported"),
    (("dnsmasq", "/nowhere", "--leases", "LEASES"), "No such file"),
    (("isc-dhcpd", "SOURCE", "--leases", "LEASES"), "has no record of isc-dhcpd"),
    (("dnsmasq", "SOURCE", "--leases", "/nowhere"), "/nowhere"),
])
def test_an_import_that_fails_leaves_all_as_it_was(leases, tmp_path, words, message):
    source = tmp_path / "source"
    source.write_text("0 02:00:00:00:00:04 10.0.16.16 host *\n")
    told = execute(CTL, "leases", "import", *(str({"SOURCE": source, "LEASES": leases}.get(w, w)) for w in words))
    assert told.status == 1 and message in told.err, told
    assert list(leases.iterdir()) == []


def test_a_complaint_is_answered(running_lab, leases, tmp_path):
    lease_file(leases, *session_of("alice"))
    mail = tmp_path / "mail"
    now = datetime.datetime.now(datetime.timezone.utc)
    mail.write_text(f"Date: {email.utils.format_datetime(now)}\nSubject: abuse\n\nAt {now:%Y-%m-%d %H:%M:%S} your customer {OUT} attacked us.\n")
    options = ("--leases", leases, "--state-dir", running_lab.agent.state, "--margin", "0")
    told = execute(CTL, "-j", "request", mail, "--zone", "UTC", *options)
    assert told.status == 0, told
    answers = json.loads(told.out)
    assert [(a["line"], a["in_addr"], a["customer"]["id"]) for a in answers] == [(4, IN, "alice")]
    refused = execute(CTL, "request", mail, *options)
    assert refused.status == 2 and "the time has no zone; --zone names it" in refused.err


def test_of_two_addresses_the_one_of_the_gateway_is_asked_about(running_lab, tmp_path):
    mail, state = tmp_path / "mail", ("--state-dir", running_lab.agent.state)
    mail.write_text(f"2999-01-31T13:05:00Z 192.0.2.9:443 {OUT}\n")
    alone = execute(CTL, "request", "--questions", mail)
    assert alone.status == 1 and "1 of 1 questions were refused" in alone.err and "192.0.2.9" in alone.err, alone
    for words in (("--questions", *state), (*state, "--margin", "0")):
        row, = json.loads(execute(CTL, "-j", "request", mail, *words).out)
        assert f"{row['out_addr']}:{row['out_port']}" == OUT, words
        assert row["places"]["addr"] == {"line": 1, "column": 36, "length": len(OUT.split(":")[0])}, words
    mail.write_text("2999-01-31T13:05:00Z 192.0.2.9:443\n")
    foreign = execute(CTL, "request", mail, *state)
    assert foreign.status == 2 and "no address in it is, or was, of this gateway" in foreign.err, foreign


def test_evidence_proves_itself(lab, leases, tmp_path):
    agent = lab.start()
    lease_file(leases, *session_of("alice"))
    key = tmp_path / "key"
    isolation.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    options = (OUT, "--at", now, "--key", key, "--directory", tmp_path, "--leases", leases, "--state-dir", agent.state)
    told = execute(CTL, "evidence", "case-1", *options)
    assert told.status == 0 and 'Customer:       "alice"' in told.out, told
    case = tmp_path / "case-1"
    assert isolation.run("sh", "-c", f"cd {case} && sha256sum -c --quiet SHA256SUMS", check=False).returncode == 0
    (tmp_path / "allowed").write_text("desk " + (tmp_path / "key.pub").read_text())
    verify = f"ssh-keygen -Y verify -f {tmp_path}/allowed -I desk -n detnat-evidence -s {case}/SHA256SUMS.sig <{case}/SHA256SUMS"
    assert isolation.run("sh", "-c", verify, check=False).returncode == 0
    assert json.loads((case / "answer.json").read_text())["customer"]["id"] == "alice"
    assert json.loads((case / "leases.jsonl").read_text().splitlines()[0])["line"]["id"] == "alice"
    again = execute(CTL, "-j", "who", OUT, "--at", now, "--state-dir", case)
    assert json.loads(again.out)["in_addr"] == IN
    query = json.loads(next(agent.state.glob("queries-*.jsonl")).read_text())
    assert query["case"] == "case-1" and query["answer"] == hashlib.sha256((case / "answer.json").read_bytes()).hexdigest()
    assert "is there already" in execute(CTL, "evidence", "case-1", *options).err
    told = execute(CTL, "-j", "history", "verify", "--state-dir", agent.state)
    assert told.status == 0 and json.loads(told.out)["leases"]["damage"] == [], told
    next(agent.state.glob("queries-*.jsonl")).unlink()
    told = execute(CTL, "history", "verify", "--state-dir", agent.state)
    assert told.status == 1 and "is gone, and the ledger has no removal of it" in told.out, told


# What a stranger may call himself, and how it is shown.
STRANGERS = {
    "alice": "alice",
    "Алиса": "Алиса",
    "王伟": "王伟",
    "مريم": "مريم",
    "al\u200bice": r"al\u{200B}ice",
    "\u202eecila": r"\u{202E}ecila",
    'alice", MAC "02:00:00:00:00:01': r'alice\", MAC \"02:00:00:00:00:01',
    "alice, MAC 02:00:00:00:00:01, circuit 7": "alice, MAC 02:00:00:00:00:01, circuit 7",
    "<img src=x onerror=alert(1)>&amp;": "<img src=x onerror=alert(1)>&amp;",
    "DOMAIN\\alice": r"DOMAIN\\alice",
}


class Body(html.parser.HTMLParser):
    """The text of a page's body, its names, and its tags."""

    def __init__(self, page):
        super().__init__()
        self.text, self.names, self.tags, self.now = "", [], set(), None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.now = tag
        if tag == "bdi":
            self.names.append("")

    def handle_endtag(self, tag):
        self.now = "pre" if tag == "bdi" else None

    def handle_data(self, data):
        if self.now in ("pre", "bdi"):
            self.text += data
        if self.now == "bdi":
            self.names[-1] += data


@pytest.fixture(scope="module")
def strangers(running_lab, run_directory):
    """Evidence about each of them: its directory."""
    now, cases = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}", {}
    for n, name in enumerate(STRANGERS):
        leases, place = run_directory / f"stranger-{n}", run_directory / "strangers"
        leases.mkdir()
        place.mkdir(exist_ok=True)
        lease_file(leases, *session_of(name))
        told = execute(CTL, "evidence", f"case-{n}", OUT, "--at", now, "--directory", place, "--leases", leases, "--state-dir", running_lab.agent.state)
        assert told.status == 0, told
        cases[name] = place / f"case-{n}"
    return cases


def test_the_page_of_evidence_has_the_text_word_for_word(strangers):
    """One file, without a script, and nothing to fetch; names of strangers stand apart in it, with their code points."""
    for name, case in strangers.items():
        page, text = (case / "README.html").read_text(), (case / "README.txt").read_text()
        body = Body(page)
        assert body.text == text and body.names == [STRANGERS[name], "nas/1"], name
        assert body.tags == {"html", "head", "meta", "title", "style", "body", "pre", "bdi"}, name
        assert "default-src 'none'" in page and "size: A4" in page and not re.search(r"(src|href)=\"|url\(|@import", page.replace("&quot;", "")), name
        points = "" if name.isascii() else " (" + " ".join(f"U+{ord(c):04X}" for c in name) + ")"
        assert f'Customer:       "{STRANGERS[name]}"{points}, session "nas/1"\n' in text, text
        assert json.loads((case / "answer.json").read_text())["customer"]["id"] == name
        assert "README.html" in (case / "SHA256SUMS").read_text() and not (case / "README.pdf").exists()
        assert isolation.run("sh", "-c", f"cd {case} && sha256sum -c --quiet SHA256SUMS", check=False).returncode == 0


def test_the_text_of_evidence_lists_the_files_that_there_are(strangers, running_lab, tmp_path):
    case = next(iter(strangers.values()))
    for history in running_lab.agent.state.glob("history.[hj]*"):
        shutil.copy(history, tmp_path)
    at = json.loads((case / "question.json").read_text())["at"]
    told = execute(CTL, "evidence", "without", OUT, "--at", at, "--directory", case.parent, "--state-dir", tmp_path)
    assert told.status == 0, told
    for directory in (case, case.parent / "without"):
        listed = set(re.findall(r"^  (\S+)    *[a-z]", (directory / "README.txt").read_text().split("Files\n")[1].split("\n\n")[0], re.M))
        there = {path.name for path in directory.iterdir()}
        assert there - {"README.txt", "history.head"} == listed - {"claims.jsonl"}, directory
    assert not (case.parent / "without" / "leases.jsonl").exists()


@pytest.mark.slow
def test_a_browser_reads_the_text_word_for_word(strangers):
    """Chromium's own parser; no name runs or hides anything."""
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed")
    case = strangers["<img src=x onerror=alert(1)>&amp;"]
    probe = case.parent / "probe.html"
    page = (case / "README.html").read_text().replace("default-src 'none'", "script-src 'unsafe-inline'")
    probe.write_text(page + "<script>document.title = JSON.stringify(document.body.firstChild.textContent)</script>")
    seen = isolation.run("chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={case.parent}/profile", "--dump-dom",
                         f"file://{probe}", timeout=120)
    title = html.unescape(re.search(r"<title>(.*?)</title>", seen.stdout)[1])
    assert json.loads(title) == (case / "README.txt").read_text()


def programs(directory, **scripts):
    """A directory with programs of these names, first in PATH."""
    directory.mkdir()
    for name, text in scripts.items():
        (directory / name).write_text("#!/bin/sh\n" + text + "\n")
        (directory / name).chmod(0o755)
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


@pytest.mark.parametrize("options", [("--tar",), ("--directory", "PLACE")], ids=["an archive", "a directory"])
def test_evidence_that_is_killed_leaves_nothing(running_lab, leases, tmp_path, options):
    """Killed while it waits for the signature, with all files written."""
    lease_file(leases, *session_of("alice"))
    place, waiting = tmp_path / "place", tmp_path / "waiting"
    place.mkdir()
    environment = {**programs(tmp_path / "bin", **{"ssh-keygen": f"touch {waiting}; exec sleep 100"}), "TMPDIR": str(place)}
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    words = [place if o == "PLACE" else o for o in options]
    child = isolation.popen(CTL, "evidence", "case-1", OUT, "--at", now, "--key", "key", "--leases", leases, "--state-dir", running_lab.agent.state,
                            *words, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    wait_for(waiting.exists, what="ssh-keygen to run")
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(30)
    child.stdout.close()
    assert not list(place.iterdir())


def test_old_days_go_and_the_ledger_says_so(leases, tmp_path):
    source = tmp_path / "dnsmasq.leases"
    source.write_text(f"0 02:00:00:00:00:04 {IN} host *\n")
    for at in ("2026-01-31T12:00:00Z", "now"):
        assert execute(CTL, "leases", "import", "dnsmasq", source, "--leases", leases, "--at", at).status == 0
    old = ("leases", "expire", "--older", "2d", "--leases", leases)
    assert execute(CTL, *old, "--dry-run").out == "leases-2026-01-31.jsonl\n" and len(list(leases.glob("leases-*.jsonl"))) == 2
    assert json.loads(execute(CTL, "-j", *old).out) == [{"file": "leases-2026-01-31.jsonl"}]
    assert len(list(leases.glob("leases-*.jsonl"))) == 1 and execute(CTL, *old).out == ""
    assert [json.loads(line)["event"] for line in (leases / "chain.jsonl").read_text().splitlines()] == ["grow", "grow", "remove"]
    told = execute(CTL, "leases", "expire", "--older", "2d")
    assert told.status == 2 and "--leases DIR names the directory" in told.err


def test_a_directory_of_leases_that_is_missing_is_told_with_the_command_that_makes_it(tmp_path):
    """What an import on a new machine meets first."""
    source, leases = tmp_path / "kea.csv", tmp_path / "leases"
    source.write_text("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"
                      "100.64.0.5,02:00:00:00:00:05,,3600,1764000000,1,0,0,,0,\n")
    command = [CTL, "leases", "import", "kea", str(source), "--leases", str(leases)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and f"there is no directory {leases}: make it with `install -d -m 750 {leases}`" in refused.stderr, refused
    subprocess.run(["install", "-d", "-m", "750", leases], check=True)
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
