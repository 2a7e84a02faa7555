# SPDX-License-Identifier: BSD-2-Clause
"""Each look at a person leaves a line: by whom, at what, for which case."""

import contextlib
import datetime
import fcntl
import json
import os
import re
import shutil
import subprocess

import pytest

import isolation
import prometheus
from agent import AGENT, CTL, Result, execute, wait_for
from desk import Desk
from test_leases import IN, OUT, lease_file, session_of

AT = ("--at", f"{datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")


def looks(directory):
    """The lines of queries of a directory, whose chain is right."""
    files = sorted(directory.glob("queries-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def ask(*command):
    """detnatctl, with a question on its standard input."""
    told = subprocess.run([CTL, *command], input=f"{AT[1]} {OUT}\n", capture_output=True, text=True)
    return Result(told.returncode, told.stdout, told.stderr)


def head(agent):
    return json.loads((agent.state / "history.head").read_text())


@pytest.fixture(scope="module")
def audited(running_lab, run_directory):
    """A copy of a directory whose agent has audit_queries, with leases."""
    agent = running_lab.agent
    agent.write(audit_queries=True)
    agent.hang_up()
    wait_for(lambda: head(agent).get("audit_queries") is True, what="the head says it")
    copy = run_directory / "audited"
    shutil.copytree(agent.state, copy)
    lease_file(copy, *session_of("alice"))
    agent.write(audit_queries=None)
    agent.hang_up()
    wait_for(lambda: "audit_queries" not in head(agent), what="the head does not say it any more")
    return copy


@pytest.fixture
def copy(audited, tmp_path):
    shutil.copytree(audited, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_head_says_it_from_the_start_on(lab):
    agent = lab.start(audit_queries=True)
    assert head(agent)["audit_queries"] is True
    agent.restart()
    assert head(agent)["audit_queries"] is True


@pytest.mark.parametrize("command, where", [
    (("who", OUT, *AT), {"endpoint": OUT, "at": AT[1]}),
    (("who", OUT.split(":")[0], *AT), {"endpoint": OUT.split(":")[0], "at": AT[1]}),
    (("who", "-"), {"endpoint": OUT, "at": AT[1]}),
    (("request", "-"), {"endpoint": OUT, "at": AT[1]}),
    (("customer", "alice"), {"question": "alice"}),
    (("evidence", "2026-17", OUT, *AT), {"endpoint": OUT, "at": AT[1], "case": "2026-17"}),
])
def test_each_look_at_a_copy_leaves_its_line(copy, tmp_path, command, where):
    said = ("--reason", "court\u202eorder \"7\"", *(() if "evidence" in command else ("--case", "17")))
    place = ("--directory", str(tmp_path)) if "evidence" in command else ()
    told = ask(*command, *said, *place, "--state-dir", copy)
    assert told.status in (0, 1) and (IN in told.out or "no record" in told.err), told
    line, = looks(copy)
    assert where.items() <= line.items() and line["kind"] == command[0] and line["via"] == "command", line
    assert (line["user"], line["uid"], line["reason"]) == ("root", os.getuid(), said[1]), line
    assert "\u202e" not in next(copy.glob("queries-*")).read_text()
    assert line["case"] == where.get("case", "17")
    assert "queries-" not in execute(CTL, "history", "verify", "--state-dir", copy).out


def test_a_look_that_leaves_no_line_is_refused_and_says_what_to_do(copy, tmp_path):
    (copy / "chain.jsonl").mkdir()
    for command in (("who", OUT, *AT), ("who", "-"), ("request", "-"), ("customer", "alice")):
        told = ask(*command, "--state-dir", copy)
        assert told.status == 1 and IN not in told.out and "alice" not in told.out and "--queries DIR" in told.err, told
        told = ask(*command, "--state-dir", copy, "--queries", tmp_path / "absent")
        assert told.status == 1 and IN not in told.out and "absent" in told.err and "--queries DIR" in told.err, told
    (tmp_path / "own").mkdir()
    told = execute(CTL, "customer", "alice", "--state-dir", copy, "--queries", tmp_path / "own")
    assert told.status == 0 and looks(tmp_path / "own")[0]["question"] == "alice", told


def test_a_full_disk_refuses_the_look_and_what_is_there_stays(copy, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    isolation.mount(b"tmpfs", full, data=b"size=16k")
    try:
        where = ("--state-dir", copy, "--queries", full)
        assert execute(CTL, "customer", "alice", *where).status == 0
        before = {path.name: path.read_bytes() for path in full.iterdir()}
        with contextlib.suppress(OSError), open(full / "fill", "wb", buffering=0) as fill:
            while True:
                fill.write(bytes(4096))
        for command in (("who", OUT, *AT), ("customer", "alice"), ("request", "-")):
            told = ask(*command, *where)
            assert told.status == 1 and IN not in told.out and "alice" not in told.out and "No space left" in told.err, told
        assert before.items() <= {path.name: path.read_bytes() for path in full.iterdir() if path.name != "fill"}.items()
        (full / "fill").unlink()
        assert execute(CTL, "customer", "alice", *where).status == 0
        assert [line["line"] for line in looks(full)] == [1, 2]
    finally:
        isolation.unmount(full)


def test_evidence_that_is_handed_out_asks_for_no_line(copy, tmp_path):
    assert execute(CTL, "evidence", "17", OUT, *AT, "--directory", tmp_path, "--state-dir", copy).status == 0
    assert execute(CTL, "history", "verify", "--state-dir", tmp_path / "17").status == 0
    execute(CTL, "who", OUT, *AT, "--state-dir", tmp_path / "17")
    assert not looks(tmp_path / "17") and len(looks(copy)) == 1


def test_a_damaged_head_still_says_it(copy):
    (copy / "history.head").write_text((copy / "history.head").read_text()[1:])
    execute(CTL, "customer", "alice", "--state-dir", copy)
    assert len(looks(copy)) == 1


def test_listing_grants_is_a_look(copy):
    execute(CTL, "history", "list", "--state-dir", copy)
    assert not looks(copy)
    with open(copy / "history.jsonl", "a") as history:
        history.write('{"line":9,"time":"2026-01-31T12:00:00Z","event":"grant","hash":""}\n')
    execute(CTL, "history", "list", "--no-grants", "--state-dir", copy)
    assert not looks(copy)
    execute(CTL, "history", "list", "--state-dir", copy, "--case", "17")
    assert [(q["kind"], q["case"]) for q in looks(copy)] == [("history list", "17")]


def test_questions_that_come_one_by_one_are_answered_one_by_one(copy):
    child = subprocess.Popen([CTL, "who", "-", "--state-dir", copy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for n in (1, 2):
        child.stdin.write(f"{AT[1]} {OUT}\n")
        child.stdin.flush()
        wait_for(lambda: len(looks(copy)) == n, what="the line of the question")
    child.stdin.close()
    assert len(child.stdout.read().splitlines()) == 3
    child.stdout.close()
    child.wait()


def test_without_the_key_a_line_is_left_where_a_case_or_a_reason_is_given(running_lab, tmp_path):
    state = running_lab.agent.state
    assert execute(CTL, "who", OUT, "--state-dir", state, "--queries", tmp_path).status == 0 and not looks(tmp_path)
    for n, given in enumerate((("--case", "17"), ("--reason", "a court order"))):
        assert execute(CTL, "who", OUT, "--state-dir", state, "--queries", tmp_path, *given).status == 0
        assert len(looks(tmp_path)) == n + 1
    refused = execute(CTL, "who", OUT, "--state-dir", state, "--queries", tmp_path, "--reason", "line\nbreak")
    assert refused.status == 2 and len(looks(tmp_path)) == 2, refused


def test_the_desk_leaves_the_same_lines(copy, running_lab, tmp_path):
    own = tmp_path / "queries"
    own.mkdir()
    desk = Desk(tmp_path / "desk", "--control", running_lab.agent.socket, "--state-dir", copy, "--queries", own)
    try:
        assert desk.post("/api/who", f"{AT[1]} {OUT}\n{AT[1]} {OUT}", user="lea").status == 200
    finally:
        desk.end()
    lines = looks(own)
    assert len(lines) == 2 and not looks(copy)
    assert {(q["kind"], q["via"], q["for"], q["endpoint"]) for q in lines} == {("who", "desk", "lea", OUT)}


# ---- what the agent answers

LOOKS = (("user", "show", IN), ("session", "list", IN, "--proto", "udp"), ("binding", "list", IN),
         ("grant", "list", IN), ("portmap", "list", IN), ("top", "-n", "10"), ("explain", IN), ("trace", "start", "--in", IN), ("trace", "show"))


@pytest.fixture
def watched(lab):
    return lab.start(audit_queries=True)


def test_each_look_that_the_agent_answers_leaves_its_line(watched):
    for command in LOOKS:
        assert watched.command("-j", *command, "--case", "17", "--reason", "a\x9border").status == 2
        watched.command("-j", *command, "--case", "17", "--reason", "an order")
        line = looks(watched.state)[-1]
        assert line["kind"] == " ".join(w for w in command[:2] if w.isalpha()) and (line["user"], line["uid"]) == ("root", 0), line
        assert (line["via"], line["case"], line["reason"]) == ("command", "17", "an order"), line
        assert IN not in command or IN in line["question"], line
    assert len(looks(watched.state)) == len(LOOKS)
    for n, command in enumerate((("forward", IN), ("reverse", OUT))):
        watched.ctl(*command)
        line = looks(watched.state)[len(LOOKS) + n]
        assert (line["kind"], line["question"]) == command
    # What shows no person leaves none; a question that is asked again leaves another one.
    for command in (("status",), ("stats",), ("mapping", "list"), ("pool", "list"), ("user", "show", IN), ("user", "show", IN)):
        watched.ctl(*command)
    assert len(looks(watched.state)) == len(LOOKS) + 4
    assert execute(CTL, "history", "verify", "--state-dir", watched.state).status == 0


def looking():
    """The verbs of the agent that show persons or act on one."""
    rows = re.findall(r'^VERB\((.*?)\n\n', (prometheus.TREE / "lib/proto/verbs.def").read_text() + "\n\n", re.S | re.M)
    return {re.search(r'\.name = "([^"]*)"', row)[1] for row in rows if ".looks = true" in row}


def test_what_acts_on_a_person_leaves_its_line_alone_and_in_a_batch(watched, tmp_path):
    """Whether it is done, refused, or a trial."""
    acts = (("session", "flush", IN), ("session", "flush", IN, "--dry-run"), ("session", "close", "in", f"{IN}:5000", "198.51.100.7:53"),
            ("user", "move", IN, "1.1.1.2"), ("portmap", "add", "tcp", f"{IN}:80", "1.1.1.1:80"),
            ("portmap", "del", "tcp", "1.1.1.1:80"), ("grant", "revoke", "1.1.1.1:1276"))
    seen = {" ".join(w for w in command[:2] if w.isalpha()) for command in (*LOOKS, *acts)}
    assert looking() == seen | {"forward", "reverse", "monitor", "trace pcap", "config show", "config diff"}
    for n, command in enumerate(acts):
        execute(CTL, "-s", watched.socket, *command)
        line = looks(watched.state)[n]
        assert (line["kind"], line["via"], line["user"]) == (" ".join(command[:2]), "command", "root"), line
        assert command[2 if command[0] != "portmap" else 3] in line["question"], line
    before = len(looks(watched.state))
    batch = tmp_path / "batch"
    batch.write_text("".join(f"portmap add tcp {IN}:{port} 1.1.1.1:{port}\n" for port in (81, 82)) + "mapping set 10.0.0.0/18 --name x\n")
    assert execute(CTL, "-s", watched.socket, "-b", batch).status == 0
    assert [line["kind"] for line in looks(watched.state)[before:]] == ["portmap add"] * 2
    # Without its lines, nothing of it is done.
    (watched.state / "chain.jsonl").rename(watched.state / "away")
    (watched.state / "chain.jsonl").mkdir()
    batch.write_text("portmap del tcp 1.1.1.1:81\nportmap del tcp 1.1.1.1:82\n")
    for command in (("-b", batch), ("session", "flush", IN)):
        told = execute(CTL, "-s", watched.socket, *command)
        assert told.status == 1 and "mend that" in told.err, told
    (watched.state / "chain.jsonl").rmdir()
    (watched.state / "away").rename(watched.state / "chain.jsonl")
    assert len(watched.ctl("portmap", "list", IN)) == 2
    assert execute(CTL, "history", "verify", "--state-dir", watched.state).status == 0


def test_a_configuration_with_portmaps_leaves_a_line(watched, tmp_path):
    """Also where it is shown to be saved. Without portmaps it names no subscriber."""
    watched.ctl("config", "show")
    assert not looks(watched.state)
    watched.ctl("portmap", "add", "tcp", f"{IN}:80", "1.1.1.1:80")
    before = len(looks(watched.state))
    for n, command in enumerate((("show", "--all", "--case", "17"), ("diff",), ("save", tmp_path / "saved.json"))):
        execute(CTL, "-s", watched.socket, "config", *command)
        line = looks(watched.state)[before + n]
        assert line["kind"] == f"config {'diff' if n == 1 else 'show'}" and line.get("case") == (None if n else "17"), line


def test_a_question_that_is_asked_again_and_again_leaves_few_lines(watched):
    for _ in range(30):
        watched.ctl("user", "show", IN)
    watched.ctl("user", "show", "10.0.0.5")
    lines = looks(watched.state)
    hours = len({q["time"][:13] for q in lines})
    assert len([q for q in lines if q.get("question") == IN]) <= 10 * hours and lines[-1]["question"] == "10.0.0.5"


def test_a_stream_leaves_its_line_before_it_begins(watched):
    child = subprocess.Popen([CTL, "-s", watched.socket, "-j", "monitor", "sessions"], stdout=subprocess.PIPE, text=True)
    line, = wait_for(lambda: looks(watched.state), what="the line of the stream")
    assert (line["kind"], line["question"]) == ("monitor", "sessions")
    child.terminate()
    child.communicate()


def test_without_a_line_the_agent_gives_no_answer_and_goes_on(watched):
    watched.ctl("user", "show", IN)
    (watched.state / "chain.jsonl").rename(watched.state / "away")
    (watched.state / "chain.jsonl").mkdir()
    why = watched.refused("user", "show", IN)
    assert "chain.jsonl" in why and "mend that" in why
    assert watched.ctl("status")["version"]
    (watched.state / "chain.jsonl").rmdir()
    (watched.state / "away").rename(watched.state / "chain.jsonl")
    watched.ctl("user", "show", IN)
    assert len(looks(watched.state)) == 2


def test_without_the_key_the_agent_leaves_a_line_where_a_case_is_given(running_lab):
    running_lab.agent.ctl("user", "show", IN)
    assert not looks(running_lab.agent.state)
    running_lab.agent.ctl("user", "show", IN, "--case", "17")
    assert [q["case"] for q in looks(running_lab.agent.state)] == ["17"]


def test_who_has_the_ledger_locked_holds_up_looks_alone(watched):
    watched.ctl("user", "show", IN)
    with open(watched.state / "chain.jsonl") as ledger:
        fcntl.flock(ledger, fcntl.LOCK_SH)
        child = subprocess.Popen([CTL, "-s", watched.socket, "user", "show", IN], stdout=subprocess.PIPE)
        assert watched.ctl("status")["version"] and child.poll() is None
    assert child.wait(20) == 0 and len(looks(watched.state)) == 2
    child.stdout.close()


def test_a_page_that_refreshes_itself_leaves_one_line_a_user_and_question(watched, tmp_path):
    desk = Desk(tmp_path / "desk", "--control", watched.socket)
    try:
        for user in ("ops", "ops", "both", "ops"):
            for page in (f"/api/subscriber/{IN}", f"/api/explain/{IN}", "/api/subscriber/10.0.0.5"):
                assert desk.ask(page, user=user).status == 200
    finally:
        desk.end()
    lines = looks(watched.state)
    assert {q["via"] for q in lines} == {"desk"}
    hours = len({q["time"][:13] for q in lines})
    asked = [(q["for"], q["kind"], q["question"]) for q in lines]
    assert len(asked) <= 6 * hours and set(asked) == {
        (user, kind, question) for user in ("ops", "both")
        for kind, question in (("user show", IN), ("explain", IN), ("user show", "10.0.0.5"))}


def test_the_keys_that_privacy_names_for_the_laws_are_taken(running_lab, tmp_path):
    text = (prometheus.TREE / "docs/guide/PRIVACY.md").read_text()
    rows = text.split("## What some laws want besides", 1)[1].split("\n## ", 1)[0]
    keys = re.findall(r'`("[a-z_]+": [^`]*)`', rows)
    assert {json.loads("{" + key + "}").popitem()[0] for key in keys} == {"ipfix", "lease_retention", "audit_queries"}
    for key in keys:
        path = tmp_path / "detnat.json"
        path.write_text(json.dumps({**running_lab.agent.config, **json.loads("{" + key + "}")}))
        told = execute(AGENT, "-t", "-c", path, namespace=running_lab.agent.namespace)
        assert told.status == 0, (key, told)
    assert "LimitCORE=0" in text and "secret_file" in text and "access_log" in text and "proxy_max_temp_file_size" in text and "/var/tmp" in text
    # What an old history has of grants stays; a new directory is begun.
    grants = text.split("## How long to keep grants", 1)[1].split("\n## ", 1)[0]
    assert re.search(r"begin a \[new\s+directory\]", grants) and "nothing is taken out of that file" in grants


def test_what_the_desk_refuses_leaves_one_line_a_user_page_and_hour(copy, running_lab, tmp_path):
    own = tmp_path / "queries"
    own.mkdir()
    desk = Desk(tmp_path / "desk", "--control", running_lab.agent.socket, "--state-dir", copy, "--queries", own)
    try:
        for _ in range(2):
            assert desk.ask(f"/api/subscriber/{IN}", user=None).status == 401
            assert desk.ask(f"/api/subscriber/{IN}", user="stranger").status == 403
            assert desk.ask(f"/api/subscriber/{IN}", user="lea").status == 403
            assert desk.ask("/api/who", user="stranger", method="POST", body=b"x").status == 403
            assert desk.ask("/%1b[2J", user="stranger").status == 403
            assert desk.ask("/none", user="lea").status == 404
    finally:
        desk.end()
    lines = looks(own)
    assert {(q["via"], q["kind"]) for q in lines} == {("desk", "page")} and all(q["refused"] for q in lines)
    expected = {("nobody who is named", f"/api/subscriber/{IN}"), ("stranger", f"/api/subscriber/{IN}"), ("lea", f"/api/subscriber/{IN}"),
                ("stranger", "/api/who"), ("stranger", "a page that is not there")}
    first, more = [q for q in lines if "times" not in q], [q for q in lines if "times" in q]
    assert {(q["for"], q["question"]) for q in first} == expected
    # The desk that ends says how many more there were.
    assert sum(q["times"] for q in more) + len(first) == 2 * len(expected) and {q["for"] for q in more} <= {q["for"] for q in first}
