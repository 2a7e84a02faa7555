# SPDX-License-Identifier: BSD-2-Clause
"""The agent's log: levels, priorities for journald, and one line for a subscriber that is refused many times."""

import os
import pty
import re
import subprocess

from scapy.layers.inet import UDP

from agent import AGENT, wait_for
from lab import SERVER
from xdp_mode import NONE, TC

INFO = "out0: outside, tc alone: configured" if NONE else "out0: outside, tc that redirects: configured" if TC else "out0: outside, native XDP"
WARNING = "timeouts.udp: 60 s is below the 120 s that RFC 4787 REQ-5 requires"
SHORT = {"timeouts": {"udp": 60}}


def test_levels(lab):
    agent = lab.prepare(**SHORT)
    for options, has_info in (((), True), (("-q",), False), (("-v",), True)):
        agent.log.unlink(missing_ok=True)
        agent.start(*options)
        text = agent.log_text()
        assert (INFO in text) == has_info and WARNING in text, f"{options}: {text}"
        agent.stop()
    result = agent.once("-q", "-v")
    assert result.status == 2 and "either -v or -q" in result.err, result


TIMED = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z detnat-agent: ")


def test_lines_in_a_file_have_times(lab):
    agent = lab.start()
    lines = agent.log_text().splitlines()
    assert lines and all(TIMED.match(line) for line in lines), lines
    first = lines[0].split()[0]
    assert first <= lines[-1].split()[0]
    agent.stop()
    agent.path.write_text("{")
    assert agent.once("-t").err.startswith("detnat-agent: error: "), "a command's messages have none"


def test_a_terminal_shows_lines_without_times(lab):
    agent = lab.prepare()
    ours, theirs = pty.openpty()
    try:
        process = agent.namespace.popen(AGENT, "-c", agent.path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
        assert process.stdout.readline().endswith(b"ready\n")
        process.terminate()
        process.wait(20)
        text = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert text.startswith("detnat-agent: "), text


def test_journald_gets_priorities(lab):
    agent = lab.prepare(**SHORT)
    agent.log.touch()
    stat = agent.log.stat()
    agent.start(JOURNAL_STREAM=f"{stat.st_dev}:{stat.st_ino}")
    agent.path.write_text("{")
    agent.hang_up()
    wait_for(lambda: "nothing was changed" in agent.log_text(), what="the refusal in the log")
    text = agent.log_text()
    assert f"<6>{INFO}\n" in text
    assert re.search(rf"^<4>.*{re.escape(WARNING)}$", text, re.MULTILINE), text
    assert re.search(r"^<3>.*nothing was changed$", text, re.MULTILINE), text
    assert all(re.match("<[3467]>[^<]", line) for line in text.splitlines()), text


def test_refused_subscribers_are_named_once_each(lab):
    agent = lab.start(sessions_per_user=1)
    hosts = [lab.host(), lab.host()]
    for host in hosts:
        lab.open_udp(host)
    # Within the minute for which a line holds.
    with lab.counting(drop_quota=60, sent_icmp_unreachable=None):
        lab.inside.send(*(lab.from_inside(host, UDP(sport=6000 + number, dport=53), SERVER) for number in range(30) for host in hosts))
    for host in hosts:
        wait_for(lambda: f"subscriber {host.addr} " in agent.log_text(), what="the line")
        line = [line for line in agent.log_text().splitlines() if f"subscriber {host.addr} " in line]
        assert len(line) == 1, line
        assert f"at its quota of 1 sessions and was refused another; `detnatctl session list {host.addr}`" in line[0]
