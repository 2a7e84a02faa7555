# SPDX-License-Identifier: BSD-2-Clause
"""Tables on a terminal of 80 columns: no line is wider, and nothing is left out of what a pipe gets."""

import fcntl
import os
import pathlib
import re
import struct
import subprocess
import termios

import pytest

import isolation
import netns
from agent import CTL
from lab import SERVER
from scapy.layers.inet import UDP
from lab64 import MAPPING64, Lab64, host

COLUMNS = 80
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "cli"
LONG_LINK = "subscribers-00a"  # as long as a name of an interface may be
TENANT = "wholesale-partner-of-the-northern-valleys"
TABLE = re.compile(r"\b(?:writer_table|writer_row)\(|\.columns = \w*columns\b(?!\()")

# The files that print tables, and the commands that show them.
COMMANDS = {
    "agent.c": ["stats", "doctor"],
    "binding.c": ["binding list"],
    "explain.c": ["explain {subscriber}"],
    "grant.c": ["grant list"],
    "history_list.c": ["history list"],
    "interface.c": ["interface list"],
    "ipfix.c": ["ipfix show"],
    "mapping.c": ["mapping list"],
    "peer.c": ["peer list"],
    "plan_check.c": ["plan check {config}"],
    "pool.c": ["pool list"],
    "portmap.c": ["portmap list"],
    "run.c": [],  # the common part of views with columns
    "session.c": ["session list", "session list --all"],
    "timeouts.c": ["timeouts show"],
    "top.c": ["top --once"] + [f"top --by {order}" for order in ("rate", "half-open", "destinations", "inbound")],
    "trace.c": ["trace show"],
    "who_candidates.c": ["who 1.1.1.0"],
    "who_claims.c": [],  # rows of the same list, of which unit tests have the text
    "who_rows.c": ["who - <{questions}"],
    "writer.c": [],
}


def on_terminal(command, columns=COLUMNS):
    """What a command prints on a terminal."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    with isolation.popen("sh", "-c", command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE) as child:
        os.close(theirs)
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the other end is closed
            pass
        err = child.stderr.read().decode()
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), err


COMMENT = "a remark of some length, as those who keep a gateway for ten years leave it " * 2
SIX = {**MAPPING64, "name": "delegated-prefixes-of-the-valley", "comment": COMMENT}
FOUR = {"in": "10.0.0.0/18", "out": "1.1.2.0/24", "name": "homes-beyond-the-river", "comment": COMMENT, "ports_per_host": 32, "session_slots": 32,
        "endpoint_independent": {"mapping": ["udp", "tcp"], "filtering": ["udp"]},
        "growth": {"block": 8, "max_blocks": 3, "idle": 86400, "rest": 1}}
INSIDE = ["in0", LONG_LINK]


@pytest.fixture(scope="module", params=["IPv6", "tenants"])
def agent(request, run_directory):
    """A gateway with long names, with IPv6 subscribers or a tenant, and something in every table."""
    lab = Lab64(run_directory)
    netns.connect(lab.inside_ns, "eth1", lab.gateway, LONG_LINK, "02:00:00:00:01:02")
    six = request.param == "IPv6"
    config = {"mappings": [SIX, FOUR], "interfaces": {"inside": INSIDE, "outside": ["out0"]}} if six else {
        "mappings": [{**FOUR, "tenant": TENANT}], "tenants": [{"name": TENANT, "interfaces": {"inside": INSIDE, "outside": ["out0"]}}],
        "ipfix": {"collector": [f"tcp:{SERVER}:4739"], "source": "198.51.100.1:0"}}
    try:
        it = lab.start(**config)
        it.subscriber = host(3) if six else "10.0.0.7"
        it.ctl("portmap", "add", "tcp", "10.0.0.7:8080", "--name", "the-mail-server-of-the-town-hall")
        it.ctl("trace", "start", "--count", "10")
        if six:
            for number in range(2):
                lab.open6(host(3 + number, 0xFEDC_BA98_7654_3210), subscriber=3 + number)
        four_host = lab.host("10.0.0.7")
        for port in range(5000, 5060):
            lab.inside.send(lab.from_inside(four_host, UDP(sport=port, dport=53) / b"query"))
        yield it
    finally:
        lab.close()


def test_each_file_that_prints_tables_is_here():
    files = {f.name for f in SOURCES.glob("*.c") if TABLE.search(f.read_text()) and f.name != "row.c"}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("words", [words for some in COMMANDS.values() for words in some])
def test_no_line_is_wider_and_nothing_is_left_out(agent, words):
    questions = agent.directory / "questions"
    questions.write_text("2020-01-01T00:00:00Z 1.1.1.0:1024\n" + "".join(f"{agent.ctl('status')['started']} 1.1.1.{n}:1500\n" for n in range(4)))
    command = f"{CTL} -s {agent.socket} " + words.format(config=agent.path, subscriber=agent.subscriber, questions=questions)
    shown, err = on_terminal(command)
    piped = isolation.popen("sh", "-c", command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).communicate()[0]
    assert piped or err
    wide = [line for line in shown.splitlines() if len(line) > COLUMNS]
    assert not wide, "\n".join(wide)
    # Figures that change from call to call, such as ages, are of equal length or left out.
    without = [re.sub(r"\d+", "0", "".join(text.split())) for text in (shown, piped)]
    assert without[0] == without[1], (shown, piped)
