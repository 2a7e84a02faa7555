# SPDX-License-Identifier: BSD-2-Clause
"""Permissions at the control socket, and the audit log.

The groups stand in a copy of /etc/group that only this test run sees.
"""

import json
import os
import pathlib
import re

import pytest

import isolation
from agent import CTL, execute, wait_for
from lab import Lab

READERS, ADMINS, OTHERS = 48101, 48102, 48103
USER = 47001
MAPPING = ("10.99.0.0/24", "9.9.9.0/28")

# Every verb that changes something, with arguments that a running lab accepts. Later ones undo earlier ones.
CHANGES = [
    ("mapping", "add", *MAPPING),
    ("mapping", "set", MAPPING[0], "--sessions-per-user", "2000"),
    ("portmap", "add", "tcp", "10.99.0.1:8080", "9.9.9.0:6000"),
    ("portmap", "del", "tcp", "9.9.9.0:6000"),
    ("pool", "drain", "9.9.9.3", "--to", "9.9.8.3", "--drain", "0"),
    ("pool", "restore", "9.9.9.3", "--drain", "0"),
    ("user", "move", "10.99.0.7", "9.9.7.1", "--drain", "0"),
    ("mapping", "del", "10.99.0.7", "--drain", "0"),
    ("mapping", "del", *MAPPING),
    ("interface", "del", "out0", "outside"),
    ("interface", "add", "out0", "outside"),
    ("timeouts", "set", "udp=77"),
    ("timeouts", "reset"),
    ("session", "close", "in", "10.0.0.10:5000", "198.51.100.7:53"),
    ("session", "flush", "10.0.0.10"),
    ("ipfix", "set", "collector=198.51.100.7:4739"),
    ("ipfix", "flush"),
    ("ipfix", "disable"),
    ("trace", "start"),
    ("trace", "stop"),
    ("check", "--repair"),
    ("reload", "--confirm", "60"),
    ("confirm",),
]

# Their success needs a second gateway, and a file that the user may write.
REFUSED_ALONE = [("peer", "resync", "192.0.2.9:9470"), ("config", "save"), ("grant", "revoke", "1.1.1.0:60000")]

READS = [
    ("status",), ("stats",), ("mapping", "list"), ("interface", "list"), ("timeouts", "show"), ("session", "list"), ("user", "show", "10.0.0.10"),
    ("ipfix", "show"), ("trace", "show"), ("top",), ("explain", "10.0.0.10"), ("forward", "10.0.0.10"), ("reverse", "1.1.1.0:1100"),
]


@pytest.fixture(scope="module")
def groups(run_directory):
    path = run_directory / "group"
    path.write_text(pathlib.Path("/etc/group").read_text() + f"detnat:x:{READERS}:\ndetnat-admin:x:{ADMINS}:\n")
    path.chmod(0o644)
    isolation.run("mount", "--bind", path, "/etc/group")
    yield
    isolation.unmount("/etc/group")


@pytest.fixture(scope="module")
def gateway(run_directory, groups):
    it = Lab(run_directory)
    try:
        it.start()
        yield it
    finally:
        it.close()


def command_of(lab, those, *words, uid=USER):
    """detnatctl as an ordinary user in these groups, the first of which is the primary one."""
    return execute("setpriv", f"--reuid={uid}", f"--regid={those[0]}", f"--groups={','.join(map(str, those))}", "--bounding-set=-all", "--inh-caps=-all",
                   CTL, "-s", lab.agent.socket, *words)


def audited(lab, words, size):
    """The audit line of a command, after the first `size` octets of the log."""
    def found():
        return [line for line in lab.agent.log_text()[size:].splitlines() if " detnat-agent: audit: " in line and f": {words} {{" in line]
    lines = wait_for(found, what=f"an audit line of {words}")
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_members_of_detnat_read_everything(gateway, words):
    result = command_of(gateway, [OTHERS, READERS], *words)
    assert result.status == 0, result


def verb_of(words):
    return words[0] if words[0] in ("reload", "confirm", "check") else " ".join(words[:2])


def test_every_verb_that_changes_something_is_here():
    rows = pathlib.Path(__file__, "../../../lib/proto/verbs.def").resolve().read_text().split("\nVERB(")
    changing = [re.search(r'\.name = "([^"]+)"', row)[1] for row in rows if ".changes = true" in row or ".changes_with" in row]
    assert len(changing) >= 22
    assert sorted(changing) == sorted({verb_of(words) for words in CHANGES + REFUSED_ALONE})


@pytest.mark.parametrize("words", CHANGES + REFUSED_ALONE, ids=" ".join)
def test_members_of_detnat_change_nothing(gateway, words):
    size = len(gateway.agent.log_text())
    result = command_of(gateway, [READERS], *words)
    assert result.status == 1, result
    verb = verb_of(words)
    assert result.err == f"detnatctl: {verb}: changes need root or membership of group detnat-admin\n"
    assert f"{verb}: refused to uid {USER} (pid " in gateway.agent.log_text()[size:]
    assert "audit: " not in gateway.agent.log_text()[size:]


@pytest.mark.parametrize("those,uid", [([OTHERS, READERS, ADMINS], USER), ([ADMINS, READERS], USER), ([OTHERS], 0)],
                         ids=["supplementary group", "primary group", "root"])
def test_admins_and_root_change_everything_and_the_log_names_the_user(gateway, those, uid):
    gateway.open_udp(gateway.host("10.0.0.10"))
    for words in CHANGES:
        size = len(gateway.agent.log_text())
        result = command_of(gateway, those, *words, uid=uid)
        assert result.status == 0, f"{words}: {result}"
        verb = verb_of(words)
        line = audited(gateway, verb, size)
        assert re.fullmatch(rf'\S+Z detnat-agent: audit: uid={uid} \({"root" if uid == 0 else "[?]"}\) pid=\d+: {verb} \{{.*\}}: done', line), line
    gateway.inside.clear()
    gateway.outside.clear()


def test_events_of_sessions_are_for_those_who_may_make_changes(gateway):
    result = command_of(gateway, [READERS], "monitor", "sessions")
    assert result.status == 1 and "needs root or membership of group detnat-admin" in result.err, result


def test_other_users_cannot_connect(gateway):
    result = command_of(gateway, [OTHERS], "status")
    assert result.status == 3, result


def test_all_of_hundreds_of_groups_are_checked(gateway):
    assert command_of(gateway, [OTHERS, READERS, *range(60000, 60500), ADMINS], "timeouts", "reset").status == 0
    assert command_of(gateway, [OTHERS, READERS, *range(60000, 60500)], "timeouts", "reset").status == 1


def test_the_audit_line_names_arguments_and_why_it_was_refused(gateway):
    size = len(gateway.agent.log_text())
    gateway.agent.refused("mapping", "del", "10.77.0.0/24", "7.7.7.0/28")
    for line in gateway.agent.log_text()[size:].splitlines():
        if "audit: " in line:
            head, arguments, reason = re.fullmatch(r"(.*: mapping del) (\{.*?\}): refused: (.+)", line).groups()
            assert json.loads(arguments) == {"in": "10.77.0.0/24", "out": "7.7.7.0/28"}
            assert reason


def test_a_quiet_log_still_has_audit_lines(lab, groups):
    agent = lab.prepare().start("-q")
    agent.ctl("timeouts", "set", "udp=78")
    audited(lab, "timeouts set", 0)


def test_a_reader_is_answered_in_the_documented_shape(gateway):
    result = isolation.run(
        "setpriv", f"--reuid={USER}", f"--regid={READERS}", "--clear-groups", "/usr/bin/python3", "-c",
        "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.send(b'{\"verb\":\"reload\"}\\n');print(s.recv(4096).decode(),end='')",
        gateway.agent.socket)
    assert json.loads(result.stdout) == {"ok": False, "status": 1, "error": "reload: changes need root or membership of group detnat-admin"}


def test_members_of_detnat_can_query_the_history(gateway):
    """`who` reads the file without the agent."""
    def who(*groups):
        return execute("setpriv", f"--reuid={USER}", f"--regid={groups[0]}", f"--groups={','.join(map(str, groups))}", CTL, "-j", "who", "1.1.1.0:1100",
                       "--state-dir", gateway.agent.state)
    gateway.agent.hang_up()
    result = who(OTHERS, READERS)
    assert result.status == 0 and json.loads(result.out)["in_addr"], result
    assert who(OTHERS).status == 1
    assert gateway.agent.state.stat().st_mode & 0o7777 == 0o750
    for file in gateway.agent.state.iterdir():
        assert file.stat().st_mode & 0o7777 == 0o640, file
        assert file.stat().st_gid == READERS, file


def test_a_group_that_the_operator_chose_stays(lab, groups):
    agent = lab.prepare()
    agent.state.mkdir(mode=0o750)
    os.chown(agent.state, 0, OTHERS)
    agent.start()
    assert agent.state.stat().st_gid == OTHERS
