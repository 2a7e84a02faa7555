# SPDX-License-Identifier: BSD-2-Clause
"""Completion of detnatctl, which asks detnatctl's own help."""

import os
import pathlib
import pty
import select
import shlex
import shutil
import subprocess

import pytest

import isolation
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


def command_of(shell, words, programs=BUILD):
    """The command that prints the candidates, and its environment."""
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    line = ("detnatctl", *words)
    command = {
        "bash": ("bash", "--norc", "-c", BASH, "bash", *line),
        "fish": ("fish", "--no-config", "-c", FISH, " ".join(line)),
        "zsh": ("zsh", "-f", "-c", ZSH, "zsh", *line),
    }[shell]
    environment["FILE"] = str(FILES / {"bash": "detnatctl.bash", "fish": "detnatctl.fish", "zsh": "_detnatctl"}[shell])
    return command, environment


def complete(shell, words, programs=BUILD):
    command, environment = command_of(shell, words, programs)
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


# A name of an interface may have any octet but blanks, / and :.
HOSTILE = ["$(>pwned)", "`>pwned`", ";>pwned;", "a'b\"$(>pwned)"]
# In namespaces of their own; sysfs shows the interfaces of the one that it is mounted in.
STRANGERS = 'mount -t sysfs sysfs /sys; n=0; for i in "$@"; do ip link add "$i" type veth peer name "p$((n += 1))"; done'
# Takes each candidate in turn, by the key that takes the next, and runs the line.
TYPING = {
    "bash": (("bash", "--norc", "-i"), 'source "$FILE"; bind "set show-all-if-ambiguous off" "TAB:menu-complete"; PS1="READY"\'> \''),
    "zsh": (("zsh", "-f", "-i"),
            'fpath=(${FILE:h} $fpath); autoload -Uz compinit; compinit -D -u; setopt menu_complete no_prompt_sp; bindkey -e; PS1="READY"\'> \''),
}


def among_strangers(directory, *command, **options):
    """Starts a command in a directory, where interfaces and files have hostile names."""
    directory.mkdir()
    for name in HOSTILE:
        (directory / name.replace("/", "")).touch()
    script = f'{STRANGERS}; shift $#; cd "$DIRECTORY"; exec "${{COMMAND[@]}}"'
    words = " ".join(shlex.quote(str(c)) for c in command)
    environment = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "DIRECTORY": str(directory), **options.pop("env", {})}
    return isolation.popen("unshare", "--net", "--mount", "bash", "-c", f"COMMAND=({words}); {script}", "bash", *HOSTILE,
                           env=environment, **options)


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
@pytest.mark.parametrize("words", [("interface", "del", ""), ("-b", ""), ("trace", "pcap", ""), ("evidence", "c", "1.1.1.1:1", "--directory", "")],
                         ids=["interfaces", "an option's file", "a file", "a directory"])
def test_completion_evaluates_nothing(tmp_path, shell, words):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    command, environment = command_of(shell, words)
    place = tmp_path / "place"
    child = among_strangers(place, *command, env={"FILE": environment["FILE"]}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0 and err == "" and not (place / "pwned").exists(), (out, err)
    if words[0] == "interface":
        offered = {shlex.split(line)[0] if shell == "bash" and line else line for line in out.split("\n")}
        assert set(HOSTILE) <= offered, out


def read_until(terminal, text):
    """Reads what a shell prints until it ends with a text."""
    seen = b""
    while not seen.endswith(text):
        assert select.select([terminal], [], [], 30)[0], seen
        seen += os.read(terminal, 1)
    return seen


@pytest.mark.parametrize("shell", TYPING)
def test_what_completion_puts_on_the_line_is_quoted(tmp_path, shell):
    """A person takes a hostile name with the tab key, and presses enter."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    command, setup = TYPING[shell]
    place, (terminal, other) = tmp_path / "place", pty.openpty()
    child = among_strangers(place, *command, stdin=other, stdout=other, stderr=other,
                            env={"FILE": command_of(shell, ("",))[1]["FILE"], "TERM": "dumb", "HISTFILE": "/dev/null"})
    os.close(other)
    os.write(terminal, f"{setup}\n".encode())
    read_until(terminal, b"READY> ")
    taken = set()
    for tabs in range(1, 2 * len(HOSTILE) + 3):  # with their peers, lo and --tenant
        os.write(terminal, b"detnatctl interface del " + b"\t" * tabs + b"\x01printf '[%s]\\n' \n")
        read_until(terminal, b"[del]\r\n[")
        taken.add(read_until(terminal, b"]\r\n").decode()[:-3])
        read_until(terminal, b"READY> ")
    os.close(terminal)
    child.wait(30)
    assert not (place / "pwned").exists() and set(HOSTILE) <= taken, taken
