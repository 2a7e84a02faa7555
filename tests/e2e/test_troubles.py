# SPDX-License-Identifier: BSD-2-Clause
"""Troubles outside the datapath: translation starts and continues, the trouble is reported, and the agent recovers."""

import contextlib
import dataclasses
import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
import typing

import pytest

import isolation
import strace
from agent import AGENT, CTL, execute, wait_for
from lab import MAPPING

MS_RDONLY, MS_REMOUNT = 1, 32

METRICS = "127.0.0.1:9469"
OTHER = {"in": "10.9.0.0/24", "out": "1.1.9.9/32"}
PAIR = (OTHER["in"], OTHER["out"])


def troubles(agent):
    return {t["what"]: t for t in agent.ctl("status")["troubles"]}


def told(agent, what, text):
    """Waits until the trouble is in status; its text and the log have these words."""
    found = wait_for(lambda: troubles(agent).get(what), what=f"the trouble {what}")
    assert text in found["text"], found
    assert found["text"] in agent.log_text()
    assert f"Trouble: {what}, since {found['since']}: {found['text']}\n" in agent.text("status")
    return found


def healed(agent, what):
    wait_for(lambda: what not in troubles(agent), what=f"the end of the trouble {what}")


# ---- troubles that exist at a start and end


@contextlib.contextmanager
def port_taken(lab):
    """An unprivileged process listens there."""
    with lab.gateway.enter(), socket.create_server(("127.0.0.1", 9469)):
        yield


@contextlib.contextmanager
def address_missing(lab):
    """The address appears when the block ends."""
    yield
    lab.gateway.ip("addr", "add", "10.99.99.99/32", "dev", "out0")


@contextlib.contextmanager
def state_disk(lab, change, back):
    """The state directory is a separate disk; change() breaks it, back() restores it."""
    change(lab.agent.state)
    yield
    back(lab.agent.state)


def remount(path, flags):
    isolation.mount(None, path, MS_REMOUNT | flags)


def fill(path):
    # Frees the room that the agent has reserved after the end of the history.
    with contextlib.suppress(FileNotFoundError):
        os.truncate(path / "history.jsonl", (path / "history.jsonl").stat().st_size)
    with open(path / "ballast", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    # The last page of the history is as full as a line makes it.
    with contextlib.suppress(OSError), open(path / "ballast", "ab", buffering=0) as file:
        while True:
            file.write(b"x")


def disk_full(lab):
    return state_disk(lab, fill, lambda path: (path / "ballast").unlink())


def disk_read_only(lab):
    return state_disk(lab, lambda path: remount(path, MS_RDONLY), lambda path: remount(path, 0))


@dataclasses.dataclass
class Fault:
    name: str
    config: dict
    fault: typing.Callable
    what: str
    text: str
    strict: str = ""  # the message of -t; empty: -t does not check that
    disk: str = ""  # a directory of the agent that is a small separate disk


FAULTS = [
    Fault("the metrics port is taken", {"metrics": {"listen": METRICS}}, port_taken, "metrics",
          f"metrics.listen: cannot listen on {METRICS}: Address already in use; tried again every second",
          f"cannot listen on {METRICS}"),
    Fault("the metrics address is not there yet", {"metrics": {"listen": "10.99.99.99:9469"}}, address_missing, "metrics",
          "cannot listen on 10.99.99.99:9469: Cannot assign requested address", "Cannot assign requested address"),
    Fault("the source of IPFIX is not there yet", {"ipfix": {"collector": "198.51.100.7:4739", "source": "10.99.99.99:4739"}},
          address_missing, "ipfix", "10.99.99.99 is not an address of this machine"),
    Fault("the disk of the history is full", {}, disk_full, "history", "No space left on device; no mapping can be changed",
          disk="state"),
    Fault("the disk of the history is read-only", {}, disk_read_only, "history", "Read-only file system", "Read-only file system",
          disk="state"),
]


def refused_change(agent, why):
    """The last page of a disk may still take some lines; then a change is refused. Returns which one."""
    for change in itertools.cycle(("add", "del")):
        result = agent.command("mapping", change, *PAIR)
        if result.status:
            assert result.status == 1 and why in result.err, result
            return change


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
@pytest.mark.parametrize("over_pins", (False, True), ids=("first start", "restart"))
def test_a_start_translates_despite(lab, fault, over_pins):
    agent = lab.prepare(**fault.config)
    host, change = lab.host(), "add"
    if fault.disk:
        disk = agent.directory / fault.disk
        disk.mkdir(mode=0o750, exist_ok=True)
        isolation.mount(b"tmpfs", disk, data=b"size=16k,mode=750")
        lab.at_end(isolation.unmount, disk)
    if over_pins:
        lab.gateway.ip("addr", "add", "10.99.99.99/32", "dev", "out0")
        agent.start()
        lab.open_udp(host)
        agent.kill()
        lab.gateway.ip("addr", "del", "10.99.99.99/32", "dev", "out0")
    with fault.fault(lab):
        # Over pins, -t takes the obstacle for the running agent.
        if fault.strict and not over_pins:
            result = agent.once("-t")
            assert result.status == 2 and fault.strict in result.err, result
        agent.start()
        told(agent, fault.what, fault.text)
        lab.open_udp(host, 5001)
        if fault.what == "history":
            change = refused_change(agent, fault.text.split(";")[0])
            agent.ctl("timeouts", "set", "udp=200")
    healed(agent, fault.what)
    assert troubles(agent) == {}
    agent.ctl("mapping", change, *PAIR)
    result = execute(CTL, "history", "verify", "--state-dir", agent.state)
    assert result.status == 0, result
    answer = execute(CTL, "-j", "who", "1.1.1.1:1276", "--state-dir", agent.state)
    assert answer.status == 0 and json.loads(answer.out)["in_addr"] == "10.0.16.16", answer
    assert len(lab.sessions(host.addr)) == 1 + over_pins


# ---- the configuration file


def broken(text):
    return lambda path: path.write_text(text)


BAD_FILES = {
    "is empty": broken(""),
    "is half written": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "is gone": lambda path: path.unlink(),
    "is a directory": lambda path: (path.unlink(), path.mkdir()),
    "names an interface twice": lambda path: path.write_text(path.read_text().replace('"in0"', '"in0", "in0"')),
    "has a mapping that cannot be": lambda path: path.write_text(path.read_text().replace("1.1.1.0/30", "1.1.1.0/8")),
}


@pytest.mark.parametrize("file", BAD_FILES)
def test_a_restart_continues_with_the_previous_configuration_if_the_file(lab, file):
    agent = lab.start()
    agent.ctl("mapping", "add", *PAIR)
    host = lab.host()
    lab.open_udp(host)
    agent.kill()
    good = agent.path.read_bytes()
    BAD_FILES[file](agent.path)
    result = agent.once("-t")
    assert result.status == 2 and result.err, result
    agent.start()
    told(agent, "config", "the previous configuration stays in force; reload when this is mended")
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"], OTHER["in"]]
    lab.open_udp(host, 5001)
    agent.refused("reload")
    if agent.path.is_dir():
        agent.path.rmdir()
    agent.path.write_bytes(good)
    agent.ctl("reload")
    healed(agent, "config")
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"]]
    assert len(lab.sessions(host.addr)) == 2


def test_a_first_start_with_a_bad_file_ends_with_2(lab):
    agent = lab.prepare()
    agent.path.write_text("{")
    result = agent.once()
    assert result.status == 2 and f"{agent.path}:1" in result.err, result


def test_a_bad_file_at_a_reload_is_a_trouble_until_it_is_corrected(lab):
    agent = lab.start()
    good = agent.path.read_text()
    agent.path.write_text("{")
    agent.hang_up()
    told(agent, "config", "nothing was changed")
    agent.path.write_text(good)
    agent.hang_up()
    healed(agent, "config")


def test_a_storm_of_reloads_with_a_bad_file_is_logged_a_few_times(lab):
    agent = lab.start()
    agent.path.write_text("{")
    before = len(agent.log_text().splitlines())
    for _ in range(20):
        agent.refused("reload")
        agent.hang_up()
    lines = [line for line in agent.log_text().splitlines()[before:] if "nothing was changed" in line]
    assert 2 <= len(lines) <= 6, lines


# ---- signals


@contextlib.contextmanager
def held_back(agent, number):
    """A start that goes on, once it blocks the signal, when the block ends."""
    agent.prefix = strace.prefix("rt_sigprocmask", "delay_exit")
    agent.launch()
    agent.prefix = ()
    pid, bit = agent.process.pid, 1 << (number - 1)
    wait_for(lambda: strace.status(pid, "SigBlk", 16) & bit, what="signals to be held back")
    assert not strace.status(pid, "SigCgt", 16) & bit
    try:
        yield
    finally:
        strace.let_go(pid)


def test_a_signal_right_after_the_start_is_not_lost(lab):
    agent = lab.prepare()
    with held_back(agent, signal.SIGHUP):
        agent.hang_up()
    line = agent.first_line()
    assert line is not None and line.endswith("ready"), agent.log_end()
    wait_for(lambda: f"reloaded {agent.path}" in agent.log_text(), what="the reload")


def test_an_end_right_after_the_start_is_a_clean_end(lab):
    agent = lab.prepare()
    with held_back(agent, signal.SIGTERM):
        agent.process.send_signal(signal.SIGTERM)
    assert agent.end() == 0


# ---- a log that is not read


@contextlib.contextmanager
def unread_log(lab, agent):
    """The agent's standard error is a pipe that is not read; yields the reading end."""
    reader, writer = os.pipe()
    agent.process = lab.gateway.popen(AGENT, "-v", "-c", agent.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writer)
    try:
        assert agent.first_line().endswith("ready")
        flags = os.get_blocking(writer)
        assert flags, "the agent changed the flags of a pipe that it shares"
        yield reader
        assert os.get_blocking(writer)
    finally:
        os.close(writer)
        os.close(reader)


def test_a_log_that_is_not_read_delays_nothing(lab):
    agent = lab.prepare()
    with unread_log(lab, agent) as reader:
        good = agent.path.read_text()
        agent.path.write_text(json.dumps({"x" * 400: 1}))
        # A pipe takes 64 KiB, and the agent keeps 256 KiB more.
        with socket.socket(socket.AF_UNIX) as client, client.makefile("rwb") as stream:
            client.connect(str(agent.socket))

            def fill():
                stream.write(b'{"verb":"reload"}\n' * 200)
                stream.flush()
                for _ in range(200):
                    assert b'"status":1' in stream.readline()
                return "log" in troubles(agent)

            wait_for(fill, what="the trouble")
        assert "standard error is not read" in troubles(agent)["log"]["text"]
        lab.open_udp(lab.host())
        agent.path.write_text(good)
        agent.ctl("reload")
        os.set_blocking(reader, False)
        text = b""

        def read():
            nonlocal text
            with contextlib.suppress(BlockingIOError):
                while piece := os.read(reader, 1 << 16):
                    text += piece
            return b"lines of this log were lost, as it was not read" in text

        wait_for(read, what="the number of lines lost")
        healed(agent, "log")
        agent.stop()


# ---- the mapping history while the agent runs


def test_a_restart_continues_without_a_usable_state_directory(lab):
    agent = lab.start()
    host = lab.host()
    lab.open_udp(host)
    agent.kill()
    shutil.rmtree(agent.state)
    agent.state.write_text("a file in the way")
    agent.start()
    told(agent, "history", "Not a directory")
    lab.open_udp(host, 5001)
    assert "Not a directory" in agent.refused("mapping", "add", *PAIR)
    agent.state.unlink()
    healed(agent, "history")
    agent.ctl("mapping", "add", *PAIR)
    assert len(lab.sessions(host.addr)) == 2


def test_a_slow_disk_delays_changes_of_mappings_and_nothing_else(lab):
    """A change takes effect after fsync: the history says from when and until when that may have been."""
    agent = lab.start()
    with strace.held(agent.process.pid, "fsync"):
        change = isolation.popen(CTL, "-s", agent.socket, "mapping", "add", *PAIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: (agent.state / "history.jsonl").read_text().count(OTHER["in"]), what="the record")
        assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"]]
        lab.open_udp(lab.host())
        agent.ctl("stats")
        recorded = time.time()
        wait_for(lambda: time.time() > recorded + 3, what="the record to be seconds old")
        assert change.poll() is None, "others were answered only after the change"
    assert change.wait() == 0
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"], OTHER["in"]]

    def records():
        return [json.loads(line) for line in (agent.state / "history.jsonl").read_text().splitlines()]

    wait_for(lambda: [r["event"] for r in records()[-2:]] == ["add", "confirm"], what="the record of the time of the change")
    added, confirmed = records()[-2:]
    assert confirmed["first"] == confirmed["last"] == added["line"] and confirmed["until"] > added["from"]
    wait_for(lambda: agent.ctl("status")["history"]["line"] == confirmed["line"], what="the end of the history to be told")


def test_an_end_in_the_middle_of_a_change_undoes_it(lab):
    agent = lab.prepare().start(ASAN_OPTIONS="detect_leaks=0")  # leak detection needs ptrace, which strace uses
    with strace.held(agent.process.pid, "fsync"):
        change = isolation.popen(CTL, "-s", agent.socket, "mapping", "add", *PAIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: (agent.state / "history.jsonl").read_text().count(OTHER["in"]), what="the record")
        agent.process.send_signal(signal.SIGTERM)
        # Then the end waits ten seconds for the disk.
        wait_for(lambda: "refused: the agent is ending" in agent.log_text(), what="the change to be refused")
    agent.stop()
    assert change.wait() != 0
    events = [json.loads(line)["event"] for line in (agent.state / "history.jsonl").read_text().splitlines()]
    assert events == ["start", "add", "confirm", "add", "undo", "stop"]
    agent.start()
    assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"]]


def test_a_file_at_its_size_limit_is_a_full_disk(lab):
    """RLIMIT_FSIZE: the write fails, and SIGXFSZ does not end the agent."""
    agent = lab.start()
    size = (agent.state / "history.jsonl").stat().st_size
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
    assert "File too large" in agent.refused("mapping", "add", *PAIR)
    # Neither can the log grow.
    assert "File too large" in troubles(agent)["history"]["text"]
    lab.open_udp(lab.host())
    resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    healed(agent, "history")
    agent.ctl("mapping", "add", *PAIR)


# ---- the control socket


def test_a_control_socket_that_was_removed_is_created_again(lab):
    agent = lab.start()
    agent.socket.unlink()
    wait_for(lambda: agent.command("status").status == 0, what="the socket")
    assert agent.ctl("status")["troubles"] == []
    assert "was removed; it is made again" in agent.log_text()


def test_a_control_socket_that_cannot_be_created_is_retried(lab):
    agent = lab.start()
    agent.kill()
    agent.socket.unlink(missing_ok=True)
    agent.socket.mkdir()
    agent.start()
    assert "is in the way and is not a socket; tried again every second" in agent.log_text()
    lab.open_udp(lab.host())
    agent.socket.rmdir()
    wait_for(lambda: agent.command("status").status == 0, what="the socket")
    healed(agent, "control")


# ---- addresses that come and go


def test_an_ipfix_source_that_disappears_and_returns(lab):
    agent = lab.prepare(ipfix={"collector": "198.51.100.7:4739", "source": "10.99.99.99:4739", "template_interval": 10})
    lab.gateway.ip("addr", "add", "10.99.99.99/32", "dev", "out0")
    agent.start()
    lab.gateway.ip("addr", "del", "10.99.99.99/32", "dev", "out0")
    agent.ctl("ipfix", "flush")
    told(agent, "ipfix", "198.51.100.7:4739")
    lab.gateway.ip("addr", "add", "10.99.99.99/32", "dev", "out0")
    wait_for(lambda: agent.ctl("ipfix", "flush") and "ipfix" not in troubles(agent), what="a message that was sent")
