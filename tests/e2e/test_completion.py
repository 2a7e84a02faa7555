# SPDX-License-Identifier: BSD-2-Clause
"""Completion of detnatctl, which asks detnatctl's own help."""

import os
import pathlib
import shutil
import subprocess

import pytest

from agent import BUILD

FILES = pathlib.Path(__file__).resolve().parents[2] / "deploy/completion"

BASH = 'source "$FILE"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _detnatctl; printf "%s\\n" "${COMPREPLY[@]}"'
FISH = 'source $FILE; complete -C "$argv" | string split -f 1 \\t; true'
ZSH = 'compadd() { shift; print -l -- $@ }; words=("$@"); CURRENT=$#; source $FILE'

ROWS = [
    (("",), {"mapping", "config", "session", "help", "reload"}, {"list", "add"}),
    (("monitor", ""), {"refusals", "sessions"}, {"add"}),
    (("monitor", "refusals", ""), {"mappings", "sessions"}, {"add"}),
    (("mapping", ""), {"add", "del", "set", "list"}, {"mapping", "close"}),
    (("session", ""), {"list", "close", "flush"}, {"add"}),
    (("session", "list", "-"), {"--ext", "--state", "--count", "--proto"}, {"--yes", "-n"}),
    (("session", "list", "--state", ""), {"udp-active", "tcp-syn-sent", "tcp-time-wait", "tcp-reset"}, {"state", "add"}),
    (("help", ""), {"mapping", "session", "reload"}, {"add", "--state"}),
    (("help", "session", ""), {"list", "close", "flush"}, {"add", "--ext"}),
    (("help", "session", "list", ""), set(), {"list", "tcp", "--ext"}),
    (("pool", "drain", "1.1.1.2", "--portmaps", ""), {"move", "delete"}, {"tcp"}),
    (("timeouts", "set", ""), {"udp=", "icmp="}, {"inside"}),
    (("interface", "add", "lo", ""), {"inside", "outside"}, {"udp="}),
]


def complete(shell, words, programs=BUILD):
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    line = ("detnatctl", *words)
    command = {
        "bash": ("bash", "--norc", "-c", BASH, "bash", *line),
        "fish": ("fish", "--no-config", "-c", FISH, " ".join(line)),
        "zsh": ("zsh", "-f", "-c", ZSH, "zsh", *line),
    }[shell]
    environment["FILE"] = str(FILES / {"bash": "detnatctl.bash", "fish": "detnatctl.fish", "zsh": "_detnatctl"}[shell])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done
    return set(done.stdout.split("\n"))


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
@pytest.mark.parametrize("words,there,absent", ROWS, ids=[" ".join(r[0]) for r in ROWS])
def test_what_can_be_typed_next_is_offered(shell, words, there, absent):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    found = complete(shell, words)
    assert there <= found and not absent & found, found


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_names_and_prefixes_of_mappings_are_offered(lab, tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    agent = lab.start(mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "homes"}])
    wrapper = tmp_path / "detnatctl"
    wrapper.write_text(f'#!/bin/sh\nexec {BUILD}/detnatctl -s {agent.socket} "$@"\n')
    wrapper.chmod(0o755)
    assert {"homes", "10.0.0.0/18"} <= complete(shell, ("mapping", "del", ""), tmp_path)
    agent.ctl("portmap", "add", "tcp", "10.0.0.2:443", "1.1.1.0:443", "--name", "web")
    assert {"web", "tcp", "both"} <= complete(shell, ("portmap", "del", ""), tmp_path)
    addresses = complete(shell, ("pool", "drain", ""), tmp_path)
    assert {"1.1.1.0", "1.1.1.3"} <= addresses and "10.0.0.0/18" not in addresses


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_names_are_those_of_the_agent_whose_socket_is_typed(lab, monkeypatch, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    agent = lab.start(mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "homes"}])
    agent.ctl("portmap", "add", "tcp", "10.0.0.2:443", "1.1.1.0:443", "--name", "web")
    monkeypatch.setenv("HOME", str(agent.socket.parent))
    whole = ("--socket", "=", str(agent.socket)) if shell == "bash" else (f"--socket={agent.socket}",)
    for option in (("-s", str(agent.socket)), ("--socket", str(agent.socket)), ("-s", f"~/{agent.socket.name}"), (f"-s{agent.socket}",), whole):
        assert {"homes", "10.0.0.0/18"} <= complete(shell, (*option, "mapping", "del", "")), option
    for words, name in ((("mapping", "set"), "homes"), (("portmap", "del"), "web"), (("pool", "drain"), "1.1.1.3")):
        assert name in complete(shell, (*words, "-s", str(agent.socket), "")), words
