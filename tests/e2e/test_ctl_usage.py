# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl and detnat-agent as commands: options, exit statuses, where messages go."""

import json
import re
import stat
import subprocess

import pytest

from agent import AGENT, BUILD, CTL, execute
from test_identity_radius import hidden


def test_no_agent_is_exit_3(run_directory):
    for command in (("status",), ("mapping", "list"), ("session", "list"), ("reload",), ("forward", "10.0.0.2")):
        for options in ((), ("-j",)):
            result = execute(CTL, "-s", run_directory / "nobody.sock", *options, *command)
            assert result.status == 3 and result.out == "" and result.err.startswith("detnatctl: "), result


def test_a_stale_socket_is_exit_3(run_directory):
    import socket

    path = run_directory / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert execute(CTL, "-s", path, "status").status == 3
    assert execute(CTL, "-s", run_directory, "status").status == 3
    assert execute(CTL, "-s", "/" + "x" * 200, "status").status in (2, 3)


HOSTILE = ["\x1b]0;x\x07", "a\u202eb", "\udcff\n", "--\x1b[2J", "-\x9b", "k\u200b=1"]


def test_no_message_repeats_what_drives_a_terminal(tmp_path):
    """Each command and program, with arguments and files that would."""
    file = tmp_path / "x\u202e\x1b[2J"
    file.write_text('{"a\x1b\u202e": 1}\n\x1b]0;x\x07 foo=\u2028bar\n')
    commands = [c.split() for c in re.findall(r"^  ([a-z][a-z ]*[a-z])   *", execute(CTL, "--help").out, re.MULTILINE)]
    files = (("request",), ("import", "nft"), ("import", "table"), ("plan", "--traffic"), ("leases", "import", "kea"), ("-b",))
    lines = [*((CTL, "-s", tmp_path, *command, *HOSTILE[n % len(HOSTILE):]) for n, command in enumerate(commands)),
             *((CTL, *command, word) for command in commands[::5] for word in HOSTILE), *((CTL, *words, file) for words in files),
             *((program, word) for program in (AGENT, BUILD / "detnat-desk", BUILD / "detnat-xdp") for word in HOSTILE),
             (AGENT, "-t", "-c", file), (AGENT, "--doctor", "-c", file)]
    for line in lines:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        assert done.returncode and not hidden(done.stdout.decode() + done.stderr.decode()), (line, done)


@pytest.mark.parametrize("arguments", [
    (), ("bogus",), ("mapping", "bogus"), ("status", "now"), ("stats", "all"), ("reload", "x"), ("-x", "status"), ("-s",),
    ("forward",), ("reverse",), ("",), ("map", "add"), ("trace", "bogus"),
    ("trace", "start", "--in", "x"), ("trace", "start", "--count", "0x"), ("who",),
    ("who", "1.1.1.1:80", "--at", "yesterday"),
], ids=lambda a: "-".join(a) or "none")
def test_bad_usage_is_exit_2_with_or_without_an_agent(running_lab, run_directory, arguments):
    running_lab.agent.refused(*arguments, status=2)
    if arguments[:1] not in (("-s",), ("-x",)):
        result = execute(CTL, "-s", run_directory / "nobody.sock", *arguments)
        assert result.status == 2, result


@pytest.mark.parametrize("words", [
    (CTL, "-s", "/a/b", "--socket=/a/c", "status"), (CTL, "-s/a/b", "-s", "/a/b", "status"), (CTL, "-b", "a", "--batch=b"),
    (AGENT, "-t", "-c", "/a/b", "--config", "/a/c"), (BUILD / "detnat-leases", "-c", "/a/b", "--config=/a/c"),
    (BUILD / "detnat-xdp", "--listen", "/a/b", "--listen", "/a/c"), (BUILD / "detnat-desk", "--key", "/a/b", "--key", "/a/c"),
], ids=lambda words: words[0].name + "".join(words[1:3]).replace("/", "-"))
def test_an_option_with_one_value_is_not_given_twice(words):
    """Which of two is meant is not guessed, also if they say the same."""
    result = execute(*words)
    assert result.status == 2 and ("twice" in result.err or "once" in result.err) and not result.out, result


def test_long_and_short_json_option(running_lab):
    for option in ("-j", "--json"):
        result = running_lab.agent.command(option, "timeouts", "show")
        assert result.status == 0 and json.loads(result.out)["udp"] == 300


def test_json_is_one_document_and_nothing_else(running_lab):
    for command in (("mapping", "list"), ("interface", "list"), ("stats",), ("status",), ("session", "list")):
        result = running_lab.agent.command("-j", *command)
        assert result.status == 0 and result.err == "", result
        json.loads(result.out)
        assert result.out.endswith("\n")


def test_the_socket_has_mode_0660(running_lab):
    mode = running_lab.agent.socket.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


@pytest.mark.parametrize("arguments", [("-x",), ("-c",), ("--bogus",), ("-t", "-c", "/nonexistent/detnat.json"), ("stray",)],
                         ids="-".join)
def test_daemon_bad_usage_is_exit_2(arguments):
    result = execute(AGENT, *arguments)
    assert result.status == 2 and result.err and result.out == "", result


def test_daemon_version():
    result = execute(AGENT, "-V")
    assert result.status == 0 and len(result.out.splitlines()) == 1 and any(c.isdigit() for c in result.out)


@pytest.mark.parametrize("words", [
    ("detnatctl", "help"), ("detnatctl", "--version"), ("detnatctl", "-j", "version"), ("detnatctl", "import", "--help"), ("detnat-leases", "--help"),
    ("detnat-leases", "--version"), ("detnat-agent", "--help"), ("detnat-agent", "--version"), ("detnat-agent", "--schema"), ("detnat-xdp", "--help"),
    ("detnat-xdp", "--version"), ("detnatctl", "plan", "--in", "10.0.0.0/24", "--out", "192.0.2.0/30"), ("detnat-desk", "--help"),
    ("detnat-desk", "--sample", "5", "-h"),
], ids=" ".join)
def test_what_cannot_be_printed_is_no_success(words):
    assert execute("sh", "-c", '"$@" >/dev/null', "sh", BUILD / words[0], *words[1:]).status == 0
    told = execute("sh", "-c", '"$@" >/dev/full', "sh", BUILD / words[0], *words[1:])
    assert told.status == 1 and "written" in told.err or "write" in told.err, told
