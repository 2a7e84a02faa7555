# SPDX-License-Identifier: BSD-2-Clause
"""`config save` by the users whom the agent lets change what runs: members of detnat-admin, with rights of their own."""

import json
import os
import pathlib

import pytest

import isolation
from agent import CTL, execute

READERS, ADMINS = 48101, 48102
AGENT, ALICE, BOB, EVE = 47001, 47002, 47003, 47004
CAPABILITIES = "-all,+bpf,+net_admin,+net_raw,+perfmon"
USERS = f"detnat:x:{AGENT}:{READERS}::/:/bin/false\nalice:x:{ALICE}:{ALICE}::/:/bin/false\n"
GROUPS = f"detnat:x:{READERS}:alice,bob\ndetnat-admin:x:{ADMINS}:alice\n"


@pytest.fixture(scope="module", autouse=True)
def accounts(run_directory):
    """Users and groups in copies that only this test run sees."""
    for name, lines in (("passwd", USERS), ("group", GROUPS)):
        path = run_directory / name
        path.write_text(pathlib.Path("/etc", name).read_text() + lines)
        path.chmod(0o644)
        isolation.run("mount", "--bind", path, f"/etc/{name}")
    yield
    for name in ("passwd", "group"):
        isolation.unmount(f"/etc/{name}")


def as_user(uid, *command, groups=()):
    those = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    return execute("setpriv", f"--reuid={uid}", f"--regid={uid}", those, "--bounding-set=-all", "--inh-caps=-all", *command)


@pytest.fixture
def agent(lab):
    """It runs as detnat.service does, with its configuration in a directory like /etc/detnat."""
    lab.directory.chmod(0o755)
    it = lab.prepare()
    it.prefix = ("setpriv", f"--reuid={AGENT}", f"--regid={READERS}", "--clear-groups", f"--inh-caps={CAPABILITIES}",
                 f"--ambient-caps={CAPABILITIES}", f"--bounding-set={CAPABILITIES}")
    for path in (it.directory, it.pins):
        os.chown(path, AGENT, READERS)
    it.directory.chmod(0o755)
    place = lab.directory / "etc"
    place.mkdir()
    os.chown(place, 0, ADMINS)
    place.chmod(0o2775)
    it.path = it.path.rename(place / "detnat.json")
    os.chown(it.path, 0, READERS)
    it.path.chmod(0o640)
    return it.start()


def save(agent, uid, *options, groups=()):
    return as_user(uid, CTL, *options, "-s", agent.socket, "config", "save", groups=groups)


def test_a_member_of_detnat_admin_saves_and_the_next_start_takes_over_what_runs(agent):
    agent.ctl("timeouts", "set", "udp=77")
    result = save(agent, ALICE, groups=(READERS, ADMINS))
    assert (result.status, result.out, result.err) == (0, f"saved to {agent.path}\n", ""), result
    st = agent.path.stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (ALICE, READERS, 0o640)
    assert json.loads(agent.path.read_text())["timeouts"] == {"udp": 77}
    assert [p.name for p in agent.path.parent.iterdir()] == ["detnat.json"]
    assert agent.ctl("reload")["changed"] is False
    agent.ctl("timeouts", "set", "udp=78")
    agent.stop()
    agent.start()
    assert agent.ctl("timeouts", "show")["udp"] == 78, "the file is the one last applied"
    # Root goes on with it, and so does another member of the group.
    assert agent.ctl("config", "save") == {}
    result = save(agent, ALICE, "-j", groups=(READERS, ADMINS))
    assert (result.status, result.out) == (0, "{}\n"), result


def test_who_may_not_save_is_told_why_and_the_file_stays(agent):
    before = agent.path.read_bytes()
    result = save(agent, BOB, groups=(READERS,))
    assert result.status == 1 and "changes need root or membership of group detnat-admin" in result.err, result
    result = save(agent, EVE)
    assert result.status == 3 and "ermission" in result.err, result
    # A member of detnat-admin who has no right to the directory.
    agent.path.parent.chmod(0o755)
    result = save(agent, ALICE, groups=(READERS, ADMINS))
    assert result.status == 1 and "you may not write to its directory" in result.err, result
    # Whose group the member could not keep: the agent could not read the file any more.
    agent.path.parent.chmod(0o2775)
    os.chown(agent.path, 0, 0)
    result = as_user(ALICE, CTL, "-s", agent.socket, "config", "save", "--force", groups=(READERS, ADMINS))
    assert result.status == 1 and "`chgrp detnat` it as root" in result.err, result
    assert agent.path.read_bytes() == before and len(list(agent.path.parent.iterdir())) == 1


def test_the_agents_user_changes_neither_the_file_nor_its_directory(agent):
    for command in (("sh", "-c", f"echo >>{agent.path}"), ("touch", agent.path.parent / "x"), ("rm", "-f", agent.path),
                    ("mv", agent.path, agent.path.parent / "y")):
        assert as_user(AGENT, *command, groups=(READERS,)).status != 0
    assert [p.name for p in agent.path.parent.iterdir()] == ["detnat.json"]


def test_a_configuration_of_a_former_member_is_refused_by_name(agent):
    os.chown(agent.path, BOB, READERS)
    assert f"belongs to uid {BOB}" in agent.refused("reload")
