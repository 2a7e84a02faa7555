# SPDX-License-Identifier: BSD-2-Clause
"""Paths that another user controls are refused, by -t and by a start, and nothing is created there."""

import os

import pytest

import isolation

STRANGER = 65534
KEYS = {"state_dir": "", "control_socket": "/agent.sock", "pin_path": "/pins"}


class Place:
    """A world-writable sticky directory, like /tmp, and a directory of root that another user tries to reach."""

    def __init__(self, lab):
        lab.directory.chmod(0o755)
        self.open = lab.directory / "open"
        self.open.mkdir()
        self.open.chmod(0o1777)
        self.victim = lab.directory / "victim"
        self.victim.mkdir(0o700)
        (self.victim / "precious").write_text("data")

    def by_stranger(self, *command):
        isolation.run("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", *command)


@pytest.fixture
def directories(lab):
    return Place(lab)


def refused(agent, *words):
    """Both -t and a start refuse it with all of these words, and the start leaves nothing; returns the message."""
    for options in (("-t",), ()):
        result = agent.once(*options)
        assert result.status == 2, result
        for word in words:
            assert word in result.err, result
    assert not agent.socket.exists() and not list(agent.pins.glob("v*"))
    return result.err


@pytest.mark.parametrize("below", ["", "/sub"], ids=["itself", "below it"])
@pytest.mark.parametrize("key", KEYS)
def test_another_users_symbolic_link_is_not_followed(lab, directories, key, below):
    directories.by_stranger("ln", "-s", directories.victim, directories.open / "link")
    agent = lab.prepare(**{key: f"{directories.open}/link{below}{KEYS[key]}"})
    refused(agent, f"{key}: {directories.open}/link is a symbolic link of uid {STRANGER} (nobody)", f"`rm {directories.open}/link`")
    assert [p.name for p in directories.victim.iterdir()] == ["precious"]


@pytest.mark.parametrize("key", KEYS)
def test_another_users_directory_is_not_used(lab, directories, key):
    directories.by_stranger("mkdir", "-m", "755", directories.open / "mine")
    agent = lab.prepare(**{key: f"{directories.open}/mine{KEYS[key]}"})
    refused(agent, f"{key}: {directories.open}/mine belongs to uid {STRANGER} (nobody), mode 0755", f"`chown root {directories.open}/mine`")
    assert not list((directories.open / "mine").iterdir())


@pytest.mark.parametrize("mode,words", [(0o777, "writable for everybody (owner root, mode 0777); `chmod o-w"),
                                        (0o775, "writable for gid 65534 (owner root, mode 0775); `chmod g-w")],
                         ids=["everybody", "a group"])
@pytest.mark.parametrize("key", KEYS)
def test_a_directory_that_other_users_may_write_to_is_not_used(lab, directories, key, mode, words):
    path = lab.directory / "loose"
    path.mkdir()
    os.chown(path, 0, STRANGER)
    path.chmod(mode)
    agent = lab.prepare(**{key: f"{path}/sub{KEYS[key]}"})
    refused(agent, f"{key}: {path} is {words} {path}`")
    assert not list(path.iterdir())


def test_nothing_is_mounted_over_a_directory_that_is_not_empty(lab, directories):
    agent = lab.prepare(pin_path=str(directories.victim))
    refused(agent, f"pin_path: {directories.victim} is no bpffs and not empty", "name an empty directory")
    assert (directories.victim / "precious").read_text() == "data"


def test_an_empty_directory_gets_a_bpffs(lab, directories):
    path = lab.directory / "empty"
    path.mkdir(0o700)
    agent = lab.prepare(pin_path=str(path))
    try:
        agent.start()
        agent.stop()
        agent.detach()
    finally:
        if os.path.ismount(path):
            isolation.unmount(path)


def test_a_history_of_another_user_is_not_taken_over(lab, directories):
    directories.by_stranger("touch", directories.open / "history.jsonl")
    agent = lab.prepare(state_dir=str(directories.open))
    refused(agent, f"state_dir: {directories.open}/history.jsonl belongs to uid {STRANGER} (nobody)")


LOOSE = [
    ("a file that everybody may write to", lambda path: path.chmod(0o666), "writable for everybody (owner root, mode 0666); `chmod o-w"),
    ("a file of a stranger's", lambda path: os.chown(path, STRANGER, STRANGER), f"belongs to uid {STRANGER} (nobody), mode 0644"),
]


@pytest.mark.parametrize("spoil,words", [row[1:] for row in LOOSE], ids=[row[0] for row in LOOSE])
def test_a_configuration_that_other_users_may_write_is_refused(lab, spoil, words):
    agent = lab.prepare()
    agent.path.chmod(0o644)
    spoil(agent.path)
    refused(agent, f"{agent.path} {words}" if words.startswith("belongs") else f"{agent.path} is {words}")


def test_a_configuration_in_a_world_writable_directory_is_refused(lab):
    agent = lab.prepare()
    agent.directory.chmod(0o777)
    refused(agent, f"{agent.directory} is writable for everybody")


def test_a_reload_refuses_it_too_and_keeps_the_running_configuration(lab):
    agent = lab.start()
    agent.write(sessions_per_user=7)
    agent.path.chmod(0o666)
    assert "is writable for everybody" in agent.refused("reload")
    agent.path.chmod(0o644)
    agent.ctl("reload")


def test_links_and_directories_of_root_are_accepted(lab, directories):
    (lab.directory / "real").mkdir()
    (lab.directory / "way").symlink_to("real")
    (directories.open / "own").symlink_to(lab.directory / "way")
    agent = lab.prepare(state_dir=f"{directories.open}/own/../real/./state", control_socket=str(directories.open / "agent.sock"))
    link = lab.directory / "config"
    link.symlink_to(agent.path)
    agent.path, agent.socket = link, directories.open / "agent.sock"
    agent.start()
    assert (lab.directory / "real" / "state" / "history.jsonl").exists()
    agent.ctl("status")


def test_a_file_of_the_user_who_runs_sudo_is_read(lab, monkeypatch):
    agent = lab.prepare()
    os.chown(agent.path, 1234, 1234)
    agent.path.chmod(0o664)
    assert agent.once("-t").status == 2
    monkeypatch.setenv("SUDO_UID", "1234")
    result = agent.once("-t")
    assert result.status == 0, result
