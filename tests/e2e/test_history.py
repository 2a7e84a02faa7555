# SPDX-License-Identifier: BSD-2-Clause
"""The mapping history: its records, changes that are refused without it, and recovery after a crash."""

import datetime
import hashlib
import itertools
import json
import re
import subprocess
import time

import pytest

import isolation
import strace
from agent import AGENT, CTL, execute, wait_for
from lab import MAPPING

OTHER = {"in": "10.9.0.0/24", "out": "1.1.9.9/32"}
PAIR = (OTHER["in"], OTHER["out"])


def path(agent):
    return agent.state / "history.jsonl"


def all_records(agent):
    return [json.loads(line) for line in path(agent).read_text().splitlines()]


def records(agent):
    """Without confirmations, which follow on their own."""
    return [r for r in all_records(agent) if r["event"] != "confirm"]


def events(agent):
    return [r["event"] for r in records(agent)]


def wait_for_confirmation(agent):
    wait_for(lambda: all_records(agent)[-1]["event"] == "confirm", what="the change to be confirmed in the history")


def history(agent, verb, status=0, options=()):
    result = execute(CTL, *options, "history", verb, "--state-dir", agent.state)
    assert result.status == status, result
    return result


def verified(agent):
    """Asserts that the history is intact; returns the output of verify."""
    result = history(agent, "verify", options=("-j",))
    said = json.loads(result.out)
    assert said["damage"] == [] and said["torn"] == 0 and said["head"] == "agrees", said
    return said


def who(agent, endpoint, *arguments, status=0):
    result = execute(CTL, "-j", "who", endpoint, *arguments, "--state-dir", agent.state)
    assert result.status == status, result
    if status:
        return result.err
    answer = json.loads(result.out)
    assert answer.pop("state_dir") == str(agent.state) and answer.pop("read_until")
    answer.pop("clock")  # the state of this machine's clock, which a line may say since a moment ago
    return answer


def next_second():
    now = int(time.time())
    wait_for(lambda: int(time.time()) != now, what="the next second")


def stamp(seconds=0):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_checksums_are_those_of_the_manual(lab):
    agent = lab.start()
    agent.ctl("mapping", "add", *PAIR)
    wait_for_confirmation(agent)
    previous = "0" * 64
    for line in path(agent).read_text().splitlines():
        body, given = re.fullmatch(r'(.*),"hash":"([0-9a-f]{64})"}', line).groups()
        previous = hashlib.sha256((previous + body).encode()).hexdigest()
        assert previous == given, line
    assert verified(agent)["hash"] == previous
    lines = len(all_records(agent))
    wait_for(lambda: agent.ctl("status")["history"] == {"line": lines, "hash": previous}, what="the last line to be told")
    assert f"line {lines}, {previous}" in agent.log_text()


def test_records_of_the_history(lab):
    agent = lab.start()
    agent.ctl("mapping", "add", *PAIR)
    agent.ctl("mapping", "del", *PAIR)
    agent.ctl("timeouts", "set", "udp=200")
    agent.restart()
    assert events(agent) == ["start", "add", "add", "del", "stop", "start"]
    _, first, added, deleted, _, start = records(agent)
    assert (first["in"], first["out"], first["to"]) == (MAPPING["in"], MAPPING["out"], None)
    assert (first["sharing_ratio"], first["ports_per_host"], first["port_lo"], first["port_hi"]) == (4096, 15, 1024, 65535)
    assert added["from"] == added["time"] == deleted["from"] and deleted["to"] == deleted["time"]
    assert start["taken_over"] is True and start["unknown_since"] is None
    assert [(m["in"], m["out"], m["from"]) for m in start["mappings"]] == [(first["in"], first["out"], first["from"])]
    confirmed = [r for r in all_records(agent) if r["event"] == "confirm"]
    assert [(r["first"], r["last"]) for r in confirmed] == [(r["line"], r["line"]) for r in (first, added, deleted)]
    user = {"uid": 0, "user": "root"}
    assert [r["by"] for r in (first, added, deleted)] == [{"what": "start"}, {"what": "mapping add", **user}, {"what": "mapping del", **user}]
    assert all("by" not in r for r in (start, *confirmed))
    assert all(r["until"] >= change["time"] for r, change in zip(confirmed, (first, added, deleted)))
    verified(agent)
    assert agent.state.stat().st_mode & 0o777 == 0o750 and path(agent).stat().st_mode & 0o777 == 0o640


def test_a_reload_replaces_a_mapping_at_once(lab):
    agent = lab.start()
    agent.write(mappings=[{"in": "10.0.0.0/18", "out": "1.1.2.0/30"}])
    agent.ctl("reload")
    deleted, added = records(agent)[-2:]
    assert (deleted["event"], deleted["out"], added["event"], added["out"]) == ("del", "1.1.1.0/30", "add", "1.1.2.0/30")
    assert deleted["to"] == added["from"]
    assert deleted["by"] == added["by"] == {"what": "reload", "uid": 0, "user": "root"}
    assert 'by reload of "root" (uid 0)' in history(agent, "list").out


def test_other_slots_do_not_change_the_mapping_in_the_history(lab):
    agent = lab.start()
    wait_for_confirmation(agent)
    before = path(agent).read_bytes()
    agent.write(session_slots=64)
    agent.ctl("reload")
    assert path(agent).read_bytes() == before


def attach_foreign_program(lab, interface):
    source, built = lab.directory / "foreign.c", lab.directory / "foreign.o"
    source.write_text('__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }\n')
    isolation.run("clang", "-O2", "-target", "bpf", "-c", source, "-o", built)
    lab.gateway.ip("link", "set", "dev", interface, "xdp", "obj", str(built), "sec", "xdp")


def test_a_change_that_fails_is_rolled_back(lab):
    """The interface has a foreign program, which only attaching finds out."""
    agent = lab.start()
    agent.ctl("mapping", "add", *PAIR)
    before = who(agent, "1.1.9.9:1024")
    lab.gateway.ip("link", "add", "other0", "type", "veth", "peer", "name", "other1")
    attach_foreign_program(lab, "other0")
    interfaces = {"inside": ["in0"], "outside": ["out0", "other0"]}
    another = {"in": "10.8.0.0/24", "out": "1.1.8.8/32"}
    for mappings in ([MAPPING, OTHER, another], [MAPPING, another]):
        agent.write(mappings=mappings, interfaces=interfaces, xdp_mode="native")
        assert "other0" in agent.refused("reload")
        wait_for(lambda: events(agent)[-1] == "undo", what="the change to be taken back in the history")
        assert who(agent, "1.1.9.9:1024") == before
        assert "no subscriber" in who(agent, "1.1.8.8:1024", status=1)
    assert events(agent)[3:5] == ["add", "undo"] and events(agent)[-1] == "undo"
    verified(agent)


def lose_datapath(agent):
    """Imitates a reboot: nothing is attached or pinned any more, and the history has no record of it."""
    state = agent.config["state_dir"]
    agent.write(state_dir=str(agent.directory / "elsewhere"))
    agent.detach()
    agent.write(state_dir=state)


def append(agent, **record):
    """Appends a record as the agent does."""
    last = all_records(agent)[-1]
    body = json.dumps({"line": last["line"] + 1, "time": stamp(), **record}, separators=(",", ":"))[:-1]
    digest = hashlib.sha256((last["hash"] + body).encode()).hexdigest()
    with open(path(agent), "a", encoding="ascii") as file:
        file.write(f'{body},"hash":"{digest}"}}\n')


def test_detach_ends_all_mappings_in_the_history(lab):
    agent = lab.start()
    begun = who(agent, "1.1.1.1:1276")
    agent.stop()
    next_second()
    agent.detach()
    assert events(agent)[-1] == "detach"
    assert "no subscriber" in who(agent, "1.1.1.1:1276", status=1)
    assert who(agent, "1.1.1.1:1276", "--at", begun["from"])["to"] == records(agent)[-1]["time"]
    next_second()
    agent.start()
    assert records(agent)[-2]["unknown_since"] is None
    assert "no subscriber" in who(agent, "1.1.1.1:1276", "--at", records(agent)[-3]["time"], status=1)
    assert who(agent, "1.1.1.1:1276")["from"] > begun["from"]
    verified(agent)


def test_on_exit_detach_is_recorded(lab):
    agent = lab.start(on_exit="detach")
    agent.stop()
    assert events(agent) == ["start", "add", "detach"]


def test_after_a_reboot_there_is_no_record_of_the_time_between(lab):
    agent = lab.start()
    begun = who(agent, "1.1.1.1:1276")
    agent.kill()
    killed = stamp()
    lose_datapath(agent)
    next_second()
    gap = stamp()
    next_second()
    agent.start()
    start = records(agent)[2]
    assert start["event"] == "start" and start["taken_over"] is False
    assert begun["from"] <= start["unknown_since"] <= killed, "known until the agent's last mark"
    assert "no record" in who(agent, "1.1.1.1:1276", "--at", gap, status=1)
    assert who(agent, "1.1.1.1:1276")["from"] == start["time"] or who(agent, "1.1.1.1:1276")["from"] > gap
    verified(agent)


def test_a_kill_does_not_end_the_mappings_in_the_history(lab):
    agent = lab.start()
    begun = who(agent, "1.1.1.1:1276")
    next_second()
    agent.kill()
    agent.start()
    now = who(agent, "1.1.1.1:1276")
    assert (now["from"], now["to"]) == (begun["from"], None)
    assert events(agent) == ["start", "add", "start"]


def test_an_incomplete_line_is_removed_and_reported(lab):
    agent = lab.start()
    agent.kill()
    whole = path(agent).read_bytes()
    line = b'{"line":%d,' % (len(all_records(agent)) + 1)
    with open(path(agent), "ab") as file:
        file.write(line + b'"time":"2026-')
    assert "is incomplete" in history(agent, "verify", status=1).out
    agent.start()
    assert path(agent).read_bytes().startswith(whole + line)
    assert "23 octets of an incomplete line were removed" in agent.log_text()
    verified(agent)


def test_a_recorded_change_that_did_not_happen_is_undone(lab):
    """A kill between the append and the change."""
    agent = lab.start()
    agent.ctl("mapping", "add", *PAIR)
    begun = who(agent, "1.1.9.9:1024")
    agent.kill()
    ports = {"algorithm": "sequential", "port_lo": 1024, "port_hi": 65535}
    append(agent, event="del", **OTHER, **{"from": begun["from"], "to": stamp()}, **ports)
    append(agent, event="add", **{"in": "10.8.0.0/24", "out": "1.1.8.8/32", "from": stamp(), "to": None}, **ports)
    assert who(agent, "1.1.8.8:1024")["in_addr"] == "10.8.0.0"
    agent.start()
    assert events(agent)[-4:] == ["add", "undo", "undo", "start"], events(agent)
    assert [(m["in"], m["out"]) for m in agent.ctl("mapping", "list")] == [(MAPPING["in"], MAPPING["out"]), PAIR]
    now = who(agent, "1.1.9.9:1024")
    assert (now["from"], now["to"], "also" in now) == (begun["from"], None, False)
    assert "no subscriber" in who(agent, "1.1.8.8:1024", status=1)
    verified(agent)


def test_an_older_copy_of_the_history_is_noticed(lab):
    agent = lab.start()
    wait_for_confirmation(agent)
    older = {p: p.read_bytes() for p in agent.state.iterdir()}
    head, last = json.loads(older[agent.state / "history.head"]), all_records(agent)[-1]
    marked = max(last["time"], head["time"]) if head["line"] == last["line"] else last["time"]
    agent.ctl("mapping", "add", *PAIR)
    agent.kill()
    for file, content in older.items():
        file.write_bytes(content)
    next_second()
    agent.start()
    assert "does not belong to the existing datapath" in agent.log_text()
    start = records(agent)[-1]
    assert start["unknown_since"] == marked >= records(agent)[1]["time"], "known until the copy's last record, or mark"
    assert sorted(m["in"] for m in start["mappings"]) == [MAPPING["in"], OTHER["in"]]
    assert "no record" in who(agent, "1.1.9.9:1024", "--at", start["unknown_since"], status=1)
    assert who(agent, "1.1.9.9:1024")["from"] == start["time"]


def test_an_edit_and_a_cut_are_reported_with_their_place(lab):
    agent = lab.start()
    agent.ctl("mapping", "add", *PAIR)
    agent.ctl("mapping", "del", *PAIR)
    agent.stop()
    whole = path(agent).read_text().splitlines(keepends=True)
    (place,) = [i for i, record in enumerate(all_records(agent)) if record["event"] == "add" and record["in"] == OTHER["in"]]
    number = place + 1

    path(agent).write_text("".join([*whole[:place], whole[place].replace("1.1.9.9", "1.1.9.8"), *whole[number:]]))
    said = json.loads(history(agent, "verify", status=1, options=("-j",)).out)
    assert [d["line"] for d in said["damage"]] == [number], said
    assert f"line {number}" in execute(CTL, "who", "1.1.1.1:1276", "--state-dir", agent.state).err

    path(agent).write_text("".join([*whole[:place], *whole[number:]]))
    said = json.loads(history(agent, "verify", status=1, options=("-j",)).out)
    assert [d["line"] for d in said["damage"]] == [number] and "missing" in said["damage"][0]["text"], said

    path(agent).write_text("".join(whole[:-1]))
    assert f"line {len(whole)} is missing at the end" in history(agent, "verify", status=1).out
    (agent.state / "history.head").unlink()
    assert "cannot be seen" in history(agent, "verify").out


def test_a_damaged_history_does_not_stop_a_start(lab):
    agent = lab.start()
    agent.stop()
    text = path(agent).read_text()
    path(agent).write_text(text.replace("10.0.0.0/18", "10.0.0.0/19", 1))
    agent.start()
    assert "line 2" in agent.log_text()
    assert who(agent, "1.1.1.1:1276")["in_addr"] == "10.0.16.16"


def limit_writes(agent, octets):
    """A file system of this size for the state directory."""
    agent.state.mkdir(exist_ok=True)
    isolation.mount(b"tmpfs", agent.state, data=f"size={octets}".encode())


def test_a_full_disk_refuses_changes_and_nothing_else(lab):
    agent = lab.prepare()
    limit_writes(agent, 16384)
    lab.at_end(isolation.unmount, agent.state)
    agent.start()
    before = path(agent).read_bytes()
    ballast = agent.state / "ballast"
    with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(b"x" * 4096)
    # The rest of the last page may still take some lines.
    changes = itertools.cycle((("add", [MAPPING["in"]]), ("del", [MAPPING["in"], OTHER["in"]])))
    for change, mapped in changes:
        refused = agent.command("mapping", change, *PAIR)
        if refused.status:
            break
    assert refused.status == 1 and "No space left on device" in refused.err, refused
    assert [m["in"] for m in agent.ctl("mapping", "list")] == mapped
    assert (who(agent, "1.1.9.9:1024", status=int(len(mapped) == 1))) and verified(agent)
    assert path(agent).read_bytes().startswith(before) and path(agent).read_bytes().endswith(b'"}\n')
    agent.ctl("timeouts", "set", "udp=200")
    ballast.unlink()
    agent.ctl("mapping", change, *PAIR)
    verified(agent)


def test_a_mapping_whose_end_cannot_be_recorded_ends_once_it_can(lab):
    agent = lab.prepare().start(ASAN_OPTIONS="detect_leaks=0")  # as below
    agent.ctl("user", "move", "10.0.0.3", "1.1.9.0", "--until", "+8s")
    with strace.failing(agent.process.pid, "fsync", "EIO"):
        wait_for(lambda: "have reached their `until` cannot be removed" in agent.log_text(), what="the refusal")
        assert "10.0.0.3/32" in [m["in"] for m in agent.ctl("mapping", "list")]
    wait_for(lambda: "10.0.0.3/32" not in [m["in"] for m in agent.ctl("mapping", "list")], timeout=20, what="the end")
    assert verified(agent)


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failed_fsync_refuses_the_change(lab, error):
    """Nothing of it is in the tables, and nothing is in the history: whether it is on the disk is not known."""
    agent = lab.prepare().start(ASAN_OPTIONS="detect_leaks=0")  # leak detection needs ptrace, which strace uses
    wait_for_confirmation(agent)
    before = path(agent).read_bytes()
    with strace.failing(agent.process.pid, "fsync", error):
        agent.refused("mapping", "add", *PAIR)
        agent.refused("mapping", "del", MAPPING["in"])
        assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"]]
        assert path(agent).read_bytes() == before
        assert "no subscriber" in who(agent, "1.1.9.9:1024", status=1) and who(agent, "1.1.1.1:1276")["to"] is None
    wait_for(lambda: agent.command("mapping", "add", *PAIR).status == 0, what="the disk to be well again")
    wait_for_confirmation(agent)
    verified(agent)
    agent.kill()
    agent.start()
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"], OTHER["in"]]
    verified(agent)


def test_another_state_dir_begins_a_history_of_its_own(lab):
    agent = lab.start()
    agent.stop()
    next_second()
    other = agent.directory / "elsewhere"
    agent.write(state_dir=str(other))
    agent.start()
    there = ("--state-dir", other)
    assert execute(CTL, "history", "verify", *there).status == 0
    first = json.loads((other / "history.jsonl").read_text().splitlines()[0])
    assert first["unknown_since"] == first["time"] and [m["in"] for m in first["mappings"]] == [MAPPING["in"]]
    old = execute(CTL, "who", "1.1.1.1:1276", "--at", stamp(-3600), *there)
    assert old.status == 1 and "the history begins at " + first["time"] in old.err
    assert json.loads(execute(CTL, "-j", "who", "1.1.1.1:1276", *there).out)["in_addr"] == "10.0.16.16"
    assert json.loads(execute(CTL, "-j", "--socket", agent.socket, "who", "1.1.1.1:1276").out)["state_dir"] == str(other)


def test_who_asks_the_agent_in_the_usual_place(lab):
    """With no option; /run is the command's own, with a way to the socket."""
    agent = lab.start()
    found = isolation.run("unshare", "-m", "--propagation", "private", "sh", "-c", 'mount -t tmpfs none /run && mkdir /run/detnat '
                          f'&& ln -s {agent.socket} /run/detnat/agent.sock && {CTL} -j who 1.1.1.1:1276')
    answer = json.loads(found.stdout)
    assert answer["in_addr"] == "10.0.16.16" and answer["state_dir"] == str(agent.state)


def test_changes_are_refused_if_the_history_is_modified(lab):
    agent = lab.start()
    moved = path(agent).with_suffix(".moved")
    path(agent).rename(moved)
    assert "was moved or removed" in agent.refused("mapping", "add", *PAIR)
    moved.rename(path(agent))
    agent.ctl("mapping", "add", *PAIR)
    with open(path(agent), "ab") as file:
        file.write(b"\n")
    assert "was changed by another program" in agent.refused("mapping", "del", *PAIR)


def test_a_state_directory_that_cannot_be_used_is_refused(lab):
    agent = lab.prepare()
    agent.state.mkdir()
    path(agent).mkdir()
    for options in (["-t"], []):
        result = agent.once(*options)
        assert result.status == 2 and "state_dir" in result.err, result
    path(agent).rmdir()
    before = sorted(agent.state.iterdir())
    assert agent.once("-t").status == 0
    assert sorted(agent.state.iterdir()) == before == []


def test_two_agents_do_not_share_a_history(lab):
    agent = lab.start()
    second = agent.directory / "second"
    second.mkdir()
    isolation.mount(b"bpf", second)
    lab.at_end(isolation.unmount, second)
    lab.gateway.ip("link", "add", "other0", "type", "veth", "peer", "name", "other1")
    config = {**agent.config, "pin_path": str(second), "control_socket": str(agent.directory / "second.sock"),
              "interfaces": {"inside": ["other0"], "outside": ["other0"]}}
    file = agent.directory / "second.json"
    file.write_text(json.dumps(config))
    result = execute(AGENT, "-c", file, namespace=lab.gateway)
    assert result.status == 1 and "another agent uses it" in result.err, result


def test_list(lab):
    agent = lab.start()
    wait_for_confirmation(agent)
    listed = json.loads(history(agent, "list", options=("-j",)).out)
    assert listed == all_records(agent)
    text = history(agent, "list").out
    assert re.search(r"2  20\S+Z  add      10\.0\.0\.0/18         1\.1\.1\.0/30 +by start", text), text
    assert re.search(r"3  20\S+Z  confirm  - +- +line 2 was in force by 20\S+Z", text), text


def test_list_tells_ends_of_portmaps_and_drains_in_columns(lab):
    agent = lab.start()
    agent.ctl("portmap", "add", "tcp", "10.0.0.2:8443", "1.1.1.0:443")
    agent.ctl("portmap", "del", "tcp", "1.1.1.0:443")
    lab.open_udp(lab.host())
    agent.ctl("pool", "drain", "1.1.1.2", "--to", "1.1.8.0", "--drain", "600")
    lines = history(agent, "list").out.splitlines()
    assert any(" portmap      10.0.0.2:8443 " in line for line in lines) and any(" portmap-end  10.0.0.2:8443 " in line for line in lines), lines
    (retired,) = [line for line in lines if " retire " in line]
    assert "10.0.32.0/20" in retired and "1.1.1.0/30" in retired and "of 10.0.0.0/18" in retired
    place = lines[0].index("OUTSIDE")
    assert all(line[place - 2:place] == "  " and line[place] != " " for line in lines)


QUESTIONS = """\
{now} 1.1.1.1:1276
2001-01-01 10:00 1.1.1.1:1276
{now}\t1.1.1.1:80

when 1.1.1.1:1276
{now} 1.1.1.1
{now}  1.1.1.0:1054
"""


def ask(agent, text, *options):
    process = isolation.popen(CTL, *options, "who", "-", "--state-dir", agent.state, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(text, timeout=60)
    return process.returncode, out, err


def test_a_list_of_queries(running_lab):
    text = QUESTIONS.format(now=stamp())
    status, out, err = ask(running_lab.agent, text, "-j")
    answers = json.loads(out)
    assert status == 2 and "malformed lines: 2" in err, err
    assert [a["line"] for a in answers] == [1, 2, 3, 5, 6, 7]
    assert [a.get("reason") for a in answers] == [None, "no-record", "no-subscriber", "malformed", "malformed", None]
    assert [a["in_addr"] for a in answers] == ["10.0.16.16", None, None, None, None, "10.0.0.2"]
    assert answers[0]["mapping"] == MAPPING and answers[0]["to"] is None
    status, out, _ = ask(running_lab.agent, text)
    assert status == 2 and len(out.splitlines()) == 7 and "10.0.16.16" in out
    assert ask(running_lab.agent, f"{stamp()} 1.1.1.1:1276\n" * 3)[0] == 0
    assert ask(running_lab.agent, f"{stamp()} 1.1.1.1:80\n")[0] == 1
    assert ask(running_lab.agent, "", "-j") == (0, "[]\n", "")
