# SPDX-License-Identifier: BSD-2-Clause
"""Customers: who had the inside address behind an answer, from files of leases."""

import datetime
import hashlib
import json
import os
import re
import subprocess
import time

import pytest

import isolation
from agent import CTL, execute

OUT, IN = "1.1.1.1:1276", "10.0.16.16"


def lease_file(directory, *events):
    """Writes lines of (seconds from now, event, id, more) to the files of their days."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for seconds, event, name, more in events:
        at = now + datetime.timedelta(seconds=seconds)
        line = {"time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "event": event, **({"in_addr": IN, "id": name} if name else {}), **more}
        with open(directory / f"leases-{at:%Y-%m-%d}.jsonl", "a") as out:
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


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
    lease_file(leases, (-86400, "start", "alice", {"session": "nas/1", "circuit": "ge-0/0/1"}))
    answer = who(running_lab.agent, OUT, "--leases", leases, "--margin", "0")
    assert answer["in_addr"] == IN and answer["customer"]["id"] == "alice" and answer["customer"]["circuit"] == "ge-0/0/1"
    assert answer["margin"] == {"seconds": 0, "same": True}
    text = execute(CTL, "who", OUT, "--leases", leases, "--state-dir", running_lab.agent.state)
    assert text.status == 0 and "Customer:       alice, circuit ge-0/0/1, session nas/1" in text.out


@pytest.mark.parametrize("events, reason", [
    ([(-86400, "mark", "", {}), (60, "mark", "", {})], "no-lease"),
    ([(-86400, "mark", "", {})], "no-record"),
    ([(-60, "start", "alice", {"session": "nas/1"}), (-60, "start", "bob", {"session": "nas/2"}),
      (60, "stop", "alice", {"session": "nas/1"}), (60, "stop", "bob", {"session": "nas/2"})], "two-leases"),
])
def test_an_answer_without_a_customer_says_why(running_lab, leases, events, reason):
    lease_file(leases, *events)
    answer = who(running_lab.agent, OUT, "--leases", leases, status=1)
    assert answer["in_addr"] == IN and answer["customer"] is None and answer["customer_reason"] == reason
    assert [c["id"] for c in answer.get("customers", [])] == (["alice", "bob"] if reason == "two-leases" else [])
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
    assert who(running_lab.agent, OUT, "--leases", leases)["customer"]["mac"] == "02:00:00:00:00:04"


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
    lease_file(leases, (-86400, "start", "alice", {"session": "nas/1"}))
    mail = tmp_path / "mail"
    now = datetime.datetime.now(datetime.timezone.utc)
    mail.write_text(f"Date: Sun, 1 Feb 2026 00:00:00 +0000\nSubject: abuse\n\nAt {now:%Y-%m-%d %H:%M:%S} your customer {OUT} attacked us.\n")
    options = ("--leases", leases, "--state-dir", running_lab.agent.state, "--margin", "0")
    told = execute(CTL, "-j", "request", mail, "--zone", "UTC", *options)
    assert told.status == 0, told
    answers = json.loads(told.out)
    assert [(a["line"], a["in_addr"], a["customer"]["id"]) for a in answers] == [(4, IN, "alice")]
    refused = execute(CTL, "request", mail, *options)
    assert refused.status == 2 and "the time has no zone; --zone names it" in refused.err


def test_evidence_proves_itself(lab, leases, tmp_path):
    agent = lab.start()
    lease_file(leases, (-86400, "start", "alice", {"session": "nas/1"}))
    key = tmp_path / "key"
    isolation.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    options = (OUT, "--at", now, "--key", key, "--directory", tmp_path, "--leases", leases, "--state-dir", agent.state)
    told = execute(CTL, "evidence", "case-1", *options)
    assert told.status == 0 and "Customer:       alice" in told.out, told
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


def programs(directory, **scripts):
    """A directory with programs of these names, first in PATH."""
    directory.mkdir()
    for name, text in scripts.items():
        (directory / name).write_text("#!/bin/sh\n" + text + "\n")
        (directory / name).chmod(0o755)
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


@pytest.mark.parametrize("scripts, made", [
    ({}, b"%PDF-"), ({"groff": "exit 1", "cupsfilter": "echo no", "wkhtmltopdf": "cat >/dev/null; echo %PDF-mine"}, b"%PDF-mine\n"),
    ({"groff": "exec sleep 100", "cupsfilter": "echo %PDF-; grep -c subscriber", "wkhtmltopdf": "exit 1"}, b"%PDF-"),
    ({"groff": "exit 1", "cupsfilter": "exit 1", "wkhtmltopdf": "exit 127"}, None),
], ids=["groff", "the third", "one that hangs", "none"])
def test_the_text_of_evidence_is_a_pdf_where_a_program_makes_one(lab, tmp_path, scripts, made):
    agent = lab.start()
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    told = subprocess.run([CTL, "evidence", "case-1", OUT, "--at", now, "--directory", tmp_path, "--state-dir", agent.state],
                          env=programs(tmp_path / "bin", **scripts), capture_output=True, timeout=60, check=False)
    assert told.returncode == 0, told
    case = tmp_path / "case-1"
    pdf = case / "README.pdf"
    assert pdf.read_bytes().startswith(made) if made else not pdf.exists()
    assert ("README.pdf" in (case / "SHA256SUMS").read_text()) == bool(made)
    assert isolation.run("sh", "-c", f"cd {case} && sha256sum -c --quiet SHA256SUMS", check=False).returncode == 0


def test_words_of_strangers_are_no_requests_of_troff(lab, leases, tmp_path):
    """A customer's name that would run a program, read a file or end the page is set as it is."""
    agent = lab.start()
    lease_file(leases, (-86400, "start", "x\n.sy touch /tmp/no\n.so /etc/passwd", {"session": "\\X'ps: exec'\\n[.F]"}))
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    seen = tmp_path / "seen"
    told = subprocess.run([CTL, "evidence", "case-1", OUT, "--at", now, "--directory", tmp_path, "--leases", leases, "--state-dir", agent.state],
                          env=programs(tmp_path / "bin", groff=f"tee {seen} | /usr/bin/groff \"$@\""), capture_output=True, timeout=60, check=False)
    assert told.returncode == 0, told
    begin, _, body = seen.read_text().partition(".nf\n")
    assert begin.startswith(".pl") and body and all(line.startswith("\\&") for line in body.splitlines())
    assert set(re.findall(r"\\.", body)) <= {"\\&", "\\("} and (tmp_path / "case-1" / "README.pdf").exists()


def test_old_days_go_and_the_ledger_says_so(leases, tmp_path):
    source = tmp_path / "dnsmasq.leases"
    source.write_text(f"0 02:00:00:00:00:04 {IN} host *\n")
    for at in ("2026-01-31T12:00:00Z", "now"):
        assert execute(CTL, "leases", "import", "dnsmasq", source, "--leases", leases, "--at", at).status == 0
    old = ("leases", "expire", "--older", "2d", "--leases", leases)
    assert execute(CTL, *old, "--dry-run").out == "leases-2026-01-31.jsonl\n" and len(list(leases.glob("leases-*"))) == 2
    assert json.loads(execute(CTL, "-j", *old).out) == [{"file": "leases-2026-01-31.jsonl"}]
    assert len(list(leases.glob("leases-*"))) == 1 and execute(CTL, *old).out == ""
    assert [json.loads(line)["event"] for line in (leases / "chain.jsonl").read_text().splitlines()] == ["grow", "grow", "remove"]
    told = execute(CTL, "leases", "expire", "--older", "2d")
    assert told.status == 2 and "--leases DIR names the directory" in told.err
