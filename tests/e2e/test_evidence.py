# SPDX-License-Identifier: BSD-2-Clause
"""Evidence: the lines that decide an answer, without those of others; what verify finds in it; the receipt. No agent is needed."""

import calendar
import datetime
import hashlib
import json
import random
import shutil
import threading

import pytest

import prometheus
from agent import CTL, execute

BEGIN = calendar.timegm((2026, 1, 20, 0, 0, 0))
DAY = 86400
NAMES = [f"customer{i:02}" for i in range(10)]
HOSTS = range(16, 20)  # of 10.0.16.0/24, each with 15 ports of 1.1.1.1
QUESTIONS = 40


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def chained(rows):
    """The rows as lines of a file, each with the hash of the one before."""
    before, lines = "0" * 64, []
    for number, row in enumerate(rows, 1):
        body = json.dumps({"line": number, **row}, separators=(",", ":"))[:-1]
        before = hashlib.sha256((before + body).encode()).hexdigest()
        lines.append(f'{body},"hash":"{before}"}}\n')
    return "".join(lines)


def history():
    """A mapping, portmaps of others, and lists of both each day."""
    plan = {"algorithm": "sequential", "port_lo": 1024, "port_hi": 65535}
    mapping = {"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "homes", "from": stamp(BEGIN)}
    portmap = {"proto": "tcp", "in": "10.0.0.2:443", "out": "1.1.1.0:443", "from": stamp(BEGIN)}
    rows = [
        {"time": stamp(BEGIN), "event": "start", "format": 3, "host": "gateway", "taken_over": False, "unknown_since": None, **plan, "mappings": []},
        {"time": stamp(BEGIN), "event": "add", **mapping, "to": None, **plan, "sharing_ratio": 4096, "ports_per_host": 15},
        {"time": stamp(BEGIN), "event": "portmap", **portmap, "to": None},
        {"time": stamp(BEGIN), "event": "confirm", "first": 2, "last": 3, "until": stamp(BEGIN), "clock": {"synchronised": True, "error_ms": 8}},
    ]
    for day in range(1, 5):
        listed = {"mappings": [{**mapping, "sharing_ratio": 4096, "ports_per_host": 15}], "portmaps": [portmap]}
        rows.append({"time": stamp(BEGIN + day * DAY), "event": "daily", **plan, **listed, "clock": {"synchronised": True, "error_ms": 10 * day}})
    return chained(rows)


def sessions(dice, host, end):
    """What is said of one address: customers after each other, who are not always heard of at the end."""
    at = BEGIN + dice.randrange(DAY)
    while at < end:
        name = dice.choice(NAMES)
        who = {"in_addr": f"10.0.16.{host}", "id": name, "mac": f"02:00:00:00:00:{NAMES.index(name):02x}", "circuit": f"port-{name}"}
        if dice.random() < 0.8:
            who["session"] = f"192.0.2.{dice.choice('12')}/{dice.randrange(1 << 30)}"
        until = at + dice.choice([600, 7200, 40000, 100000])
        moments = [("start", at), *(("interim", s) for s in range(at + 1800, until, 1800) if dice.random() < 0.8)]
        for event, second in moments + ([("stop", until)] if dice.random() < 0.75 else []):
            ends = event == "stop"
            yield second, {"event": event, **who, "from": stamp(second) if event == "start" else None, "to": stamp(second) if ends else None}
        at = until + dice.choice([0, 60, 3000, 30000]) - (500 if dice.random() < 0.15 else 0)


def others(dice, end):
    """What is said of no address."""
    for second in range(BEGIN + 60, end, 3600):
        yield second, {"event": "mark"}
    for event in ("lost", "step", "off", "begin"):
        second = dice.randrange(BEGIN + 5000, end)
        before = stamp(second - dice.randrange(1, 3000))
        yield second, {"event": event, **({"session": "192.0.2.1/"} if event == "off" else {"from": before, "to": None if event == "begin" else stamp(second)})}


def world(directory, number):
    """A state directory with four days of leases, one of which may be damaged, or lack a day."""
    dice = random.Random(number)
    (directory / "leases").mkdir(parents=True)
    (directory / "history.jsonl").write_text(history())
    end = BEGIN + 4 * DAY
    events = [event for host in HOSTS for event in sessions(dice, host, end)] + list(others(dice, end))
    days = [[{"time": stamp(at), **row} for at, row in sorted(events, key=lambda e: e[0]) if at // DAY == BEGIN // DAY + day] for day in range(4)]
    for day, rows in enumerate(days):
        lines = chained(rows).splitlines(keepends=True)
        if number % 3 == 1 and day == 1:
            del lines[len(lines) // 2]
        if number % 3 != 2 or day != 2:
            (directory / f"leases/leases-{stamp(BEGIN + day * DAY)[:10]}.jsonl").write_text("".join(lines))
    return dice


def ask(*words):
    told = execute(CTL, "-j", "who", *words)
    return told.status, {key: value for key, value in json.loads(told.out or "{}").items() if key != "state_dir"}


@pytest.fixture
def state(tmp_path):
    world(tmp_path / "state", 0)
    return tmp_path / "state"


def make(state, case, *words, status=0):
    told = execute(CTL, "evidence", case, *words, "--state-dir", state, "--directory", state.parent)
    assert told.status == status, told
    return state.parent / case


@pytest.mark.parametrize("number", range(3))
def test_the_lines_that_decide_give_the_same_answer_and_name_nobody_else(tmp_path, number):
    state = tmp_path / "state"
    dice = world(state, number)
    for question in range(QUESTIONS // 3):
        words = (f"1.1.1.1:{1024 + 15 * dice.choice(HOSTS) + 3}", "--at", stamp(dice.randrange(BEGIN - 3000, BEGIN + 4 * DAY + 5000)))
        case = make(state, f"case-{question}", *words)
        status, answer = ask(*words, "--state-dir", state)
        assert (status, answer) == ask(*words, "--state-dir", case), words
        told = execute(CTL, "verify", case)
        assert told.status == 0, told
        text, named = "".join(path.read_text() for path in case.iterdir()), json.dumps(answer)
        for name in NAMES:
            if f'"{name}"' not in named:
                assert name not in text and f"02:00:00:00:00:{NAMES.index(name):02x}" not in text, (words, name)
        # Nor whoever has a port of his own, who is in the lists of each day.
        assert "10.0.0.2" not in text, words


def session_of_alice(state):
    """One session from the first day to the third, among those of others."""
    rows = [(BEGIN + 3600, "start"), *((s, "interim") for s in range(BEGIN + 5400, BEGIN + 2 * DAY, 1800)), (BEGIN + 2 * DAY + 60, "stop")]
    days = {}
    for at, event in rows:
        who = {"in_addr": "10.0.16.30", "id": "alice", "session": "nas/1"}
        times = {"from": stamp(at) if event == "start" else None, "to": stamp(at) if event == "stop" else None}
        days.setdefault(stamp(at)[:10], []).append({"time": stamp(at), "event": event, **who, **times})
    shutil.rmtree(state / "leases")
    (state / "leases").mkdir()
    for day, lines in days.items():
        (state / f"leases/leases-{day}.jsonl").write_text(chained(lines))
    return ("1.1.1.1:1475", "--at", stamp(BEGIN + DAY))


def test_without_any_of_the_lines_the_answer_is_another(state):
    words = session_of_alice(state)
    case = make(state, "case", *words)
    lines = (case / "leases.jsonl").read_text().splitlines()
    shown = [i for i, line in enumerate(lines) if '"event":"withheld"' not in line]
    assert [json.loads(lines[i])["line"]["event"] for i in shown] == ["start", "stop"], lines
    for i in shown:
        (case / "leases.jsonl").write_text("".join(line + "\n" for k, line in enumerate(lines) if k != i))
        assert ask(*words, "--state-dir", case) != ask(*words, "--state-dir", state), lines[i]


def changed(case, **texts):
    """Each file with one text in place of another, and new checksums: as whoever has the directory could make it."""
    for path in case.iterdir():
        text = path.read_text()
        for old, new in texts.items():
            text = text.replace(old, new)
        path.write_text(text)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(case.iterdir()) if path.name != "SHA256SUMS")
    (case / "SHA256SUMS").write_text(sums)


def cut(case, name, number):
    lines = (case / name).read_text().splitlines(keepends=True)
    del lines[number]
    (case / name).write_text("".join(lines))
    changed(case)


@pytest.mark.parametrize(
    "change, found",
    [
        (lambda case: changed(case, alice="innocent"), "leases.jsonl: line 1 was changed: its checksum is wrong"),
        (lambda case: (case / "answer.json").write_text("{}"), "answer.json is another one than SHA256SUMS says"),
        (lambda case: (case / "more").write_text(""), "more is not in SHA256SUMS: it was added"),
        (lambda case: (case / "version.txt").unlink(), "version.txt cannot be read, and is in SHA256SUMS"),
        (lambda case: cut(case, "leases.jsonl", 0), "leases.jsonl: line 1 does not follow"),
        (lambda case: cut(case, "leases.jsonl", -1), "answer.json is another answer than follows from the lines"),
        (lambda case: cut(case, "history.jsonl", 0), "line 1 is number 2"),
        (lambda case: cut(case, "README.txt", 5), "README.txt lacks what follows from the lines: Inside address: 10.0.16.30"),
        (lambda case: changed(case, homes="farms"), "checksum is wrong"),
        (lambda case: changed(case, **{'"evidence":2': '"evidence":3'}), "question.json is of a later version"),
    ],
)
def test_verify_finds_what_was_changed(state, change, found):
    case = make(state, "case", *session_of_alice(state))
    told = execute(CTL, "verify", case)
    assert told.status == 0 and "This is evidence: the lines that decide the answer" in told.out and '"alice"' in told.out, told
    change(case)
    told = execute(CTL, "verify", case)
    assert told.status == 1 and found in told.out, told
    assert json.loads(execute(CTL, "-j", "verify", case).out)["kind"].startswith("evidence")


def test_verify_says_which_kind_of_directory_it_has(state):
    told = execute(CTL, "verify", prometheus.TREE / "tests/samples/1.0/evidence")
    assert told.status == 0 and "This is evidence of version 1.0" in told.out and 'Customer:       "alice"' in told.out, told
    assert "This is a state directory" in execute(CTL, "verify", state).out
    case = make(state, "case", *session_of_alice(state))
    # What is withheld in a state directory was taken out.
    shutil.copy(case / "history.jsonl", state / "history.jsonl")
    assert execute(CTL, "verify", state).status == 1


def test_evidence_answers_its_own_question_only(state):
    words = session_of_alice(state)
    case = make(state, "case", *words)
    for other in (("1.1.1.1:1476", *words[1:]), (words[0], "--at", stamp(BEGIN)), (*words, "--margin", "600"), ("1.1.1.1", *words[1:])):
        told = execute(CTL, "who", *other, "--state-dir", case)
        assert told.status == 1 and "is evidence about 1.1.1.1:1475" in told.err, told
    assert "is evidence itself" in execute(CTL, "evidence", "again", *words, "--state-dir", case, "--directory", state.parent).err


def test_a_receipt_has_nobodys_data(state):
    words = session_of_alice(state)
    told = execute(CTL, "-j", "evidence", "case", *words, "--receipt", "--state-dir", state, "--directory", state.parent)
    receipt = json.loads(told.out)
    sums = hashlib.sha256((state.parent / "case/SHA256SUMS").read_bytes()).hexdigest()
    assert receipt.pop("answered") and receipt == {"case": "case", "endpoint": words[0], "at": words[2], "result": "identified", "evidence": sums}
    told = execute(CTL, "evidence", "case-2", *words, "--receipt", "--state-dir", state, "--directory", state.parent)
    assert "Result:         a subscriber was identified" in told.out and "alice" not in told.out and "10.0.16.30" not in told.out, told
    told = execute(CTL, "-j", "evidence", "case-3", words[0], "--at", stamp(BEGIN + 3 * DAY), "--receipt", "--state-dir", state, "--directory", state.parent)
    assert json.loads(told.out)["result"] == "not-known", told
    told = execute(CTL, "-j", "evidence", "case-4", "1.1.1.1", *words[1:], "--receipt", "--state-dir", state, "--directory", state.parent)
    assert json.loads(told.out)["result"] == "no-port" and json.loads(told.out)["evidence"] is None, told
    assert not (state.parent / "case-4").exists()
    assert len(next(state.glob("queries-*.jsonl")).read_text().splitlines()) == 4


def test_verify_beside_a_writer_finds_nothing(state):
    path, done = state / "history.jsonl", threading.Event()
    last = json.loads(path.read_text().splitlines()[-1])

    def write():
        """Lines of which each is half there for a while, as on a slow disk."""
        before, number = last["hash"], last["line"]
        while not done.is_set():
            number += 1
            body = f'{{"line":{number},"time":"{last["time"]}","event":"confirm","first":3,"last":3,"until":"{last["time"]}"'
            before = hashlib.sha256((before + body).encode()).hexdigest()
            for part in (body, f',"hash":"{before}"}}\n'):
                with open(path, "a") as out:
                    out.write(part)
                done.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    told = [execute(CTL, "history", "verify", "--state-dir", state) for _ in range(12)]
    done.set()
    writer.join()
    assert not [line for one in told for line in one.out.splitlines() if "incomplete" in line]
    # What a crash has left stays.
    with open(path, "a") as out:
        out.write('{"line":')
    assert "is incomplete, 8 octets" in execute(CTL, "history", "verify", "--state-dir", state).out


def test_short_lines_without_checksums_are_read(state):
    """Of a file that others wrote: a line about all addresses is the second, and nearer to the beginning than a checksum is long."""
    session_of_alice(state)
    path = state / f"leases/leases-{stamp(BEGIN)[:10]}.jsonl"
    rows = [{key: value for key, value in json.loads(line).items() if key not in ("line", "hash")} for line in path.read_text().splitlines()]
    first = [{"time": stamp(BEGIN), "event": "mark"}, {"time": stamp(BEGIN + 1800), "event": "begin", "from": None, "to": None}]
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in first + rows))
    told = execute(CTL, "who", "1.1.1.1:1475", "--at", stamp(BEGIN + 1800), "--state-dir", state)
    assert "cannot be read" not in told.err, told
