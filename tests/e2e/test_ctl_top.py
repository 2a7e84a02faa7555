# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl top: once, and on a terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import shapes
from agent import CTL, assert_no_report, wait_for
from lab import MAPPING

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


def test_top_by_sessions_and_by_quota(lab):
    lab.start(sessions_per_user=2)
    idle, one, refused = lab.host(), lab.host(), lab.host()
    assert lab.agent.ctl("top") == []
    lab.open_udp(one)
    lab.refuse(refused, 3)
    everyone = shapes.assert_all(lab.agent.ctl("top"), shapes.TOP)
    assert [{key: user[key] for key in shapes.TOP} for user in everyone] == [
        {"in_addr": refused.addr, "sessions": 2, "quota_exceeded": 3},
        {"in_addr": one.addr, "sessions": 1, "quota_exceeded": 0},
    ]
    assert (everyone[0]["quota"], everyone[0]["ports_used"], everyone[0]["ports_per_host"], everyone[0]["ports"]) == (2, 2, 15, 15)
    assert lab.agent.ctl("top", "-n", "1") == lab.agent.ctl("top", "-n1") == everyone[:1]
    assert lab.agent.ctl("top", "--by", "sessions") == everyone
    assert lab.agent.ctl("top", "--by", "quota", "--once") == everyone[:1]
    text = lab.agent.text("top")
    assert refused.addr in text and one.addr in text and idle.addr + " " not in text


def test_subscribers_without_sessions_are_left_out(lab):
    lab.start(sweep_interval=3600, sessions_per_user=2)
    host = lab.host()
    lab.refuse(host, 1)
    assert [user["in_addr"] for user in lab.agent.ctl("top")] == [host.addr]
    lab.agent.ctl("timeouts", "set", "udp=1")
    wait_for(lambda: lab.agent.ctl("top") == [], what="the sessions to expire")
    assert lab.agent.ctl("top", "--by", "quota")[0]["sessions"] == 0


def test_equals_come_in_order_of_address(small_quota_lab):
    hosts = [small_quota_lab.host(f"10.0.1.{i}") for i in range(20, 12, -1)]
    for host in hosts:
        small_quota_lab.open_udp(host)
    addresses = [host.addr for host in reversed(hosts)]
    assert [user["in_addr"] for user in small_quota_lab.agent.ctl("top") if user["in_addr"] in addresses] == addresses


def test_sessions_beyond_the_slots_count(lab):
    lab.start(mappings=[{**MAPPING, "session_slots": 8, "sessions_per_user": 100}])
    host, other = lab.host(), lab.host()
    for port in range(5000, 5012):
        lab.open_udp(host, port, dport=1000 + port)
    lab.open_udp(other)
    assert lab.agent.counters()["sessions_overflowed"] > 0
    assert [(user["in_addr"], user["sessions"]) for user in lab.agent.ctl("top")] == [(host.addr, 12), (other.addr, 1)]


def test_a_deleted_mapping_has_no_subscribers(lab):
    lab.start()
    lab.open_udp(lab.host())
    lab.agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
    assert lab.agent.ctl("top") == []
    assert "no subscriber" in lab.agent.text("top")


@pytest.mark.parametrize("arguments", [("-n",), ("-n", "x"), ("-n", "-1"), ("-n", "0"), ("-n", "65537"), ("-n", "1", "-n", "2"),
                                       ("--by",), ("--by", "name"), ("-x",), ("--once=1",), ("10.0.0.2",)], ids="-".join)
def test_top_bad_usage(small_quota_lab, arguments):
    small_quota_lab.agent.refused("top", *arguments, status=2)


# ---- on a terminal


class Terminal:
    """detnatctl top on a terminal of its own."""

    def __init__(self, *command, rows=24, columns=120, term="xterm"):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.settings = termios.tcgetattr(slave)
        self.slave = slave
        self.text = ""
        self.process = subprocess.Popen([str(word) for word in command], stdin=slave, stdout=slave, stderr=subprocess.PIPE, text=True,
                                        start_new_session=True, env={**os.environ, "TERM": term},
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536).decode()
        return self.text

    def expect(self, pattern):
        """Waits for a pattern in what was written since the last call."""
        match = wait_for(lambda: re.search(pattern, self.read(), re.DOTALL), what=f"{pattern!r} in {self.text!r}")
        self.text = self.text[match.end():]
        return match

    def type(self, keys):
        os.write(self.master, keys.encode())

    def ended(self):
        """Waits for the end; returns the exit status."""
        wait_for(lambda: self.read() is not None and self.process.poll() is not None, what="the end")
        assert_no_report(self.process.stderr.read(), "detnatctl")
        return self.process.returncode

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.settings

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(small_quota_lab):
    it = Terminal(CTL, "-s", small_quota_lab.agent.socket, "top")
    try:
        yield it
    finally:
        it.close()


def test_the_view_refreshes_itself(small_quota_lab, terminal):
    terminal.expect(re.escape(ENTER) + ".*sessions, 1 mapping")
    host = small_quota_lab.host()
    small_quota_lab.open_udp(host)
    terminal.expect(rf"{re.escape(host.addr)} +1 \[#+\.+\] +50% \[#\.+\] +6%")
    assert not terminal.is_restored()
    terminal.type("q")
    terminal.expect(re.escape(LEAVE))
    assert terminal.ended() == 0 and terminal.is_restored()


def test_packets_a_second_are_shown_by_reason(small_quota_lab, terminal):
    terminal.expect("PACKETS/S")
    host = small_quota_lab.host()
    end = time.monotonic() + 20
    while not re.search(r"[0-9]+  in2out_translated", terminal.read()):
        assert time.monotonic() < end, terminal.text
        small_quota_lab.open_udp(host)


def test_keys_choose_the_order(small_quota_lab, terminal):
    refused = small_quota_lab.host()
    small_quota_lab.refuse(refused, 2)
    terminal.expect(r"\[s by sessions\]")
    terminal.type("r")
    terminal.expect(r"\[r by refusals\]")
    terminal.expect(rf"{re.escape(refused.addr)} +2 ")


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP),
                                            (signal.SIGQUIT, -signal.SIGQUIT)], ids=lambda v: getattr(v, "name", ""))
def test_signals_end_it_and_restore_the_terminal(terminal, number, status):
    terminal.expect("PACKETS/S")
    terminal.process.send_signal(number)
    terminal.expect(re.escape(LEAVE))
    assert terminal.ended() == status and terminal.is_restored()


def test_control_c(terminal):
    terminal.expect("PACKETS/S")
    terminal.type("\x03")
    assert terminal.ended() == 0
    assert terminal.is_restored()


def test_the_view_can_be_stopped_and_continued(terminal):
    terminal.expect("PACKETS/S")
    os.kill(terminal.process.pid, signal.SIGTSTP)
    terminal.expect(re.escape(LEAVE))
    wait_for(terminal.is_restored, what="the terminal as it was")
    os.kill(terminal.process.pid, signal.SIGCONT)
    terminal.expect(re.escape(ENTER) + ".*PACKETS/S")
    terminal.type("q")
    assert terminal.ended() == 0


def test_it_follows_the_size_of_the_terminal(terminal):
    terminal.expect(r"\x1b\[24;1H")
    terminal.resize(10, 40)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.expect(r"\x1b\[10;1H")
    frame = terminal.expect(r"\x1b\[H(.*?)\x1b\[10;1H").group(1)
    lines = re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", frame).split("\r\n")
    assert len(lines) <= 10 and max(map(len, lines)) <= 40, lines


def test_the_view_waits_for_an_agent_that_restarts(lab):
    lab.start()
    terminal = Terminal(CTL, "-s", lab.agent.socket, "top")
    try:
        terminal.expect("1 mapping")
        lab.agent.stop()
        terminal.expect("start detnat-agent|went away")
        lab.agent.start()
        terminal.expect(r"\x1b\[H\x1b\[1mdetnat: 0 sessions, 1 mapping, up [^\r]*\r\n(translated: [^\r]*)?\x1b\[K\r\n")  # and no trouble in the second line
        terminal.type("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()


@pytest.mark.parametrize("arguments, term", [(("--once",), "xterm"), (("-n", "5"), "xterm"), (("--json",), "xterm"), ((), "dumb")])
def test_a_single_listing_prints_no_escape_sequences(small_quota_lab, arguments, term):
    terminal = Terminal(CTL, "-s", small_quota_lab.agent.socket, "top", *arguments, term=term)
    try:
        assert terminal.ended() == 0
        assert "\x1b" not in terminal.read()
    finally:
        terminal.close()


def test_no_agent_at_all(small_quota_lab, tmp_path):
    terminal = Terminal(CTL, "-s", tmp_path / "none.sock", "top")
    try:
        assert terminal.ended() == 3
        assert "\x1b" not in terminal.read()
    finally:
        terminal.close()
