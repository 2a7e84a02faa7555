# SPDX-License-Identifier: BSD-2-Clause
"""Each field, line and file of evidence is changed in turn, and all sums are made anew: verify finds it, or says that it cannot."""

import concurrent.futures
import copy
import hashlib
import json
import pathlib
import re
import shutil

import pytest

import prometheus
from agent import CTL, execute
from test_evidence import BEGIN, DAY, stamp, world

ANSWERED = stamp(BEGIN + 4 * DAY + 60)
# What only a signature vouches for, as verify and EVIDENCE say: it may be another one where the text for people, too, is made anew.
UNPROVEN = {
    "question": {"question.json asked", "question.json user", "question.json for", "question.json case", "question.json reason", "version.txt 0"},
    "gateway": set(),
    "withheld": {"history.jsonl withheld from", "history.jsonl withheld to",
                 "leases.jsonl withheld from", "leases.jsonl withheld to", "leases.jsonl withheld lines", "leases.jsonl withheld says"},
    "end": {"leases.jsonl withheld hash", "leases.jsonl withheld to",
            "leases.jsonl last line gone"},
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Evidence with lines that are shown, runs that are withheld, and what others say without names."""
    place = tmp_path_factory.mktemp("changed")
    state = place / "state"
    dice = world(state, 0)
    last = json.loads((state / "history.jsonl").read_text().splitlines()[-1])
    clocks = {"real_ms": 1769299200000, "boot_ms": 900000, "boot": "1495691f-adbc-4947-8950-27a32c6286c2"}
    (state / "history.head").write_text(json.dumps({"line": last["line"], "time": ANSWERED, "hash": last["hash"], **clocks}, separators=(",", ":")) + "\n")
    for number in range(60):
        words = (f"1.1.1.1:{1024 + 15 * dice.choice(range(16, 20)) + 3}", "--at", stamp(dice.randrange(BEGIN + DAY, BEGIN + 3 * DAY)))
        told = execute(CTL, "evidence", f"case-{number}", *words, "--for", "desk", "--reason", "court", "--state-dir", state, "--directory", place)
        assert told.status == 0, told
        found = place / f"case-{number}"
        if '"says"' in (found / "leases.jsonl").read_text() and '"id":"customer' in (found / "leases.jsonl").read_text():
            return found
    raise AssertionError("no such question")


def summed(files):
    return "".join(f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in sorted(files.items()) if name != "SHA256SUMS").encode()


def weak(files, _):
    """The sums are made anew, and nothing else."""
    return {**files, "SHA256SUMS": summed(files)}


def strong(files, before):
    """As one who has the programs could: the text for people has the new sums, and names the new question."""
    readme, old, new = files.get("README.txt"), json.loads(before["question.json"]), {}
    if readme is None or readme != before["README.txt"]:
        return weak(files, before)
    try:
        new = {**old, **json.loads(files["question.json"])}
    except (KeyError, ValueError):
        pass
    readme = re.sub(rb"(  [0-9a-f]{64}  \S+\n)+", b"".join(b"  " + line for line in summed({
        name: text for name, text in files.items() if name[:6] != "README"}).splitlines(keepends=True)), readme)
    for now, then in ((f"Case {new.get('case')}\n", f"Case {old['case']}\n"), (f"at {new.get('asked')},", f"at {old['asked']},")):
        readme = readme.replace(then.encode(), now.encode(), 1)
    readme = readme.replace(b"detnatctl " + before["version.txt"].strip() + b".\n", b"detnatctl " + files.get("version.txt", b"").strip() + b".\n", 1)
    page = files.get("README.html")
    if page is not None and page == before["README.html"]:
        escaped = re.sub(rb"<[^>]*>", b"", page[page.index(b"<pre>"):])
        quoted = readme.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b'"', b"&quot;").replace(b"'", b"&#39;")
        assert readme != before["README.txt"] or escaped == quoted
        page = page[:page.index(b"<pre>") + 5].replace(f"Case {old['case']}<".encode(), f"Case {new.get('case')}<".encode())
        page += re.sub(rb"&quot;(.*?)&quot;", rb"&quot;<bdi>\1</bdi>&quot;", quoted) + b"</pre></body></html>"
        files = {**files, "README.html": page}
    files = {**files, "README.txt": readme}
    return {**files, "SHA256SUMS": summed(files)}


def others(value):
    """Other values of the same kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1]
    if value is None:
        return ["2026-01-21T00:00:00Z"]
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value):
        return [value[:17] + ("01Z" if value[17:19] != "01" else "02Z"), "2025" + value[4:], "2031" + value[4:]]
    if re.fullmatch(r"[0-9a-f]{64}", value):
        return [value[::-1]]
    return [value[:-1] + ("8" if value[-1] != "8" else "9"), ""]


def leaves(json_value, path=()):
    if isinstance(json_value, (dict, list)):
        for key, value in json_value.items() if isinstance(json_value, dict) else enumerate(json_value):
            yield from leaves(value, (*path, key))
    else:
        yield path, json_value


def put(value, path, new):
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if new is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


def changed_objects(text):
    """What is changed of a line of JSON, and the line."""
    value = json.loads(text)
    for path, leaf in leaves(value):
        for new in [KeyError, *others(leaf)]:
            yield path, json.dumps(put(value, path, new), separators=(",", ":"), ensure_ascii=False)
    yield ("added",), text[:-1] + ',"added":1}'
    yield ("blank",), text.replace(",", ", ", 1)


def field(name, line, path):
    """`history.jsonl withheld from` and the like."""
    inner = json.loads(line).get("line", {}) if name == "leases.jsonl" else json.loads(line)
    key = path[1] if name == "leases.jsonl" and path[0] == "line" and len(path) > 1 else path[0]
    return f"{name} withheld {key}" if isinstance(inner, dict) and inner.get("event") == "withheld" else f"{name} {key}"


def changes(files):
    """Of what, and the files with it."""
    for name, data in files.items():
        yield f"{name} gone", {other: text for other, text in files.items() if other != name}
        yield f"{name} octets", {**files, name: data + b"\0"}
        yield f"{name} octets", {**files, name: data + b"\n"}
        lines = data.decode().splitlines(keepends=True)
        for i, line in enumerate(lines):
            def with_line(new, i=i):
                return {**files, name: "".join(lines[:i] + [new] + lines[i + 1:]).encode()}
            if line[0] == "{":
                end = "\n" if line[-1] == "\n" else ""
                for path, new in changed_objects(line.strip()):
                    yield field(name, line, path), with_line(new + end)
            elif name != "SHA256SUMS":
                yield f"{name} {i}", with_line(line.replace("is", "was", 1) if "is" in line else "x" + line)
                yield f"{name} {i}", with_line(line[:-1].replace("0", "8") + " \n")
            yield f"{name} {'last' if i == len(lines) - 1 else 'a'} line gone", with_line("")
            yield f"{name} line twice", with_line(line + line)
    yield "added", {**files, "more.txt": b"Another answer\n"}
    yield "claims.jsonl added", {**files, "claims.jsonl": b"{}\n"}


def verify(job):
    number, place, files = job
    directory = place / str(number)
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_bytes(text)
    told = execute(CTL, "verify", directory)
    assert told.status in (0, 1), told
    shutil.rmtree(directory)
    return told.status


def unnoticed(case, make, some, place):
    before = {path.name: path.read_bytes() for path in sorted(case.iterdir())}
    assert verify(("as it is", place, before)) == 0 and verify(("as made again", place, make(before, before))) == 0
    all_of_them = [change for i, change in enumerate(changes(before)) if not i % some]
    # Sums that are changed are made anew.
    jobs = [(i, place, make(files, before)) for i, (what, files) in enumerate(all_of_them)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = list(pool.map(verify, jobs))
    return {what for (what, files), job, status in zip(all_of_them, jobs, found) if not status and job[2] != before}


@pytest.mark.parametrize("some", [pytest.param(1, marks=pytest.mark.slow), 23])
def test_whatever_is_changed_is_found_with_sums_made_anew(case, tmp_path, some):
    assert unnoticed(case, weak, some, tmp_path) == set()


@pytest.mark.parametrize("some", [pytest.param(1, marks=pytest.mark.slow), 23])
def test_what_is_found_even_if_the_text_is_made_anew_too_is_all_but_what_verify_says(case, tmp_path, some):
    said = json.loads(execute(CTL, "-j", "verify", case).out)["evidence"]["unproven"]
    assert set(said) == set(UNPROVEN)
    found, known = unnoticed(case, strong, some, tmp_path), set().union(*UNPROVEN.values())
    assert found <= known if some > 1 else found == known


def test_evidence_is_not_made_one_of_an_earlier_form(case, tmp_path):
    before = {path.name: path.read_bytes() for path in case.iterdir()}
    sample = pathlib.Path(prometheus.TREE) / "tests/samples/1.0/evidence"
    old = {path.name: path.read_bytes() for path in sample.iterdir()}
    without = json.loads(before["question.json"])
    for key in ("evidence", "margin", "gateway", "reason"):
        without.pop(key, None)
        files = {**before, "question.json": json.dumps(without, separators=(",", ":")).encode()}
        assert verify((key, tmp_path, strong(files, before))) == 1, key
    for form in ("2", 1, 2.5, None, True):
        other = {**json.loads(before["question.json"]), "evidence": form}
        files = {**before, "question.json": json.dumps(other, separators=(",", ":")).encode()}
        assert verify((f"form {form}", tmp_path, strong(files, before))) == 1, form
    # Those of 1.0 stay as they are; what people read of them is that of the lines, and of the other text.
    assert verify(("sample", tmp_path, old)) == 0
    for name, this, other in (
        ("README.txt", b"10.0.16.16\n", b"10.0.16.17\n"), ("README.txt", b'"alice"', b'"mallo"'), ("README.txt", b"which", b"what"),
        ("README.txt", b"1.1.1.1:1276 --at", b"1.1.1.1:1277 --at"), ("README.html", b"alice", b"mallo"),
        ("README.html", b"color: #000", b"color: #fff"), ("question.json", b'"user"', b'"margin":60,"user"'), ("answer.json", b"alice", b"mallo"),
    ):
        files = {**old, name: old[name].replace(this, other)}
        assert files[name] != old[name] and verify(("old", tmp_path, weak(files, old))) == 1, (name, this)


def test_no_path_of_the_gateway_is_in_evidence(case):
    for path in case.iterdir():
        assert str(case.parent) not in path.read_text(), path
    assert json.loads((case / "answer.json").read_text())["state_dir"] == "."
    assert f"History:        history.jsonl, read until {ANSWERED}\n" in (case / "README.txt").read_text()
