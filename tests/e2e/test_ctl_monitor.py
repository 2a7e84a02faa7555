# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl monitor: events as they happen."""

import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

import pytest
from scapy.layers.inet import UDP

import isolation
from agent import CTL, wait_for
from lab import MAPPING, SERVER, block_of

OTHER = ("10.64.0.0/24", "1.1.2.0/28")
PATIENCE = 20


class Monitor:
    """A detnatctl monitor, read line by line."""

    def __init__(self, agent, *arguments, options=("-j",)):
        self.process = isolation.popen(CTL, "-s", agent.socket, *options, "monitor", *arguments, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, bufsize=0)
        # Events before the agent has the request are not told. The monitor waits for its answer once it is sent, and the agent
        # reads it before a later one.
        wait_for(lambda: waits_for_an_answer(self.process), what="the monitor to send its request")
        agent.ctl("status")
        self.text = b""
        self.json = "-j" in options

    def line(self, timeout=PATIENCE):
        """The next line, or None after the timeout."""
        end = time.monotonic() + timeout
        while b"\n" not in self.text:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                return None
            piece = os.read(self.process.stdout.fileno(), 65536)
            assert piece, f"monitor ended: {self.process.stderr.read()}"
            self.text += piece
        line, self.text = self.text.split(b"\n", 1)
        return line.decode()

    def event(self):
        line = self.line()
        assert line is not None, "no event came"
        return json.loads(line) if self.json else line

    def close(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()


def waits_for_an_answer(process):
    """Whether the process sleeps in poll() or in a read from a Unix socket, by the kernel's name of the place."""
    place = pathlib.Path(f"/proc/{process.pid}/wchan").read_text()
    return "poll" in place or "unix_stream_read" in place


def clients(agent):
    """Connections to the control socket that the agent has accepted, by the kernel's list."""
    return [line for line in isolation.run("ss", "-xH").stdout.splitlines() if str(agent.socket) in line]


@contextlib.contextmanager
def monitor(agent, *arguments, **options):
    it = Monitor(agent, *arguments, **options)
    try:
        yield it
    finally:
        it.close()


def test_a_refusal_is_told_with_its_subscriber_and_mapping(lab):
    lab.start(sessions_per_user=2, mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "homes"}])
    host = lab.host()
    with monitor(lab.agent) as it, monitor(lab.agent, options=()) as text:
        lab.refuse(host, 1)
        event = it.event()
        assert (event["kind"], event["event"]) == ("refusals", "quota")
        assert (event["in_addr"], event["mapping"], event["limit"]) == (host.addr, "homes", 2)
        assert event["text"] == f"subscriber {host.addr} is at its quota of 2 sessions"
        assert text.event() == f"{event['time']} quota: {event['text']} (homes)"


@pytest.mark.parametrize("limits,reason,what,text", [
    ({"udp": 2}, "drop_quota_protocol", "quota-protocol", "is at its limit of 2 sessions of udp"),
    ({"new_per_second": 1, "new_burst": 2}, "drop_rate", "rate", "opens more than 1 sessions a second"),
], ids=["protocol", "rate"])
def test_a_refusal_for_a_limit_is_told_as_the_quota_s(lab, limits, reason, what, text):
    lab.start(mappings=[{**MAPPING, "name": "homes", "limits": limits}])
    host = lab.host()
    for port in (5000, 5001):
        lab.open_udp(host, port)
    with monitor(lab.agent) as it:
        with lab.counting(**{reason: 1}, sent_icmp_unreachable=None):
            lab.inside.send(lab.from_inside(host, UDP(sport=5002, dport=53)))
        event = it.event()
    assert (event["kind"], event["event"], event["in_addr"], event["mapping"]) == ("refusals", what, host.addr, "homes")
    assert event["limit"] == next(iter(limits.values())) and event["text"] == f"subscriber {host.addr} {text}"


def test_changes_of_mappings_are_told_however_they_are_made(lab):
    agent = lab.start()
    with monitor(agent, "mappings") as it:
        agent.ctl("mapping", "add", *OTHER, "--name", "business")
        event = it.event()
        assert (event["event"], event["in"], event["out"], event["mapping"]) == ("mapping-added", *OTHER, "business")
        agent.ctl("mapping", "set", "business", "--sessions-per-user", "70")
        event = it.event()
        assert (event["event"], event["sessions_per_user"]) == ("mapping-changed", 70)
        agent.ctl("mapping", "set", "business", "--name", "firms")
        assert it.event()["mapping"] == "firms"
        agent.ctl("timeouts", "set", "udp=77")  # changes no mapping to the eye
        agent.ctl("reload")
        event = it.event()
        assert (event["event"], event["in"], event["mapping"]) == ("mapping-deleted", OTHER[0], "firms")


def test_a_subscriber_that_drains_is_told_as_a_mapping_is(lab):
    agent = lab.start(mappings=[{**MAPPING, "name": "homes"}], sweep_interval=1)
    lab.open_udp(lab.host("10.0.5.76"), 5000)
    with monitor(agent, "mappings", "--in", "10.0.5.76") as it:
        agent.ctl("user", "move", "10.0.5.76", "1.1.9.0/28", "--drain", "600")
        assert (it.event()["event"], (event := it.event())["event"]) == ("mapping-added", "mapping-draining")
        told = {"in": "10.0.5.76/32", "out": "1.1.1.0/32", "within": MAPPING["in"], "mapping": "homes"}
        assert {key: event[key] for key in told} == told
        assert event["text"] == "10.0.5.76/32 is draining from 1.1.1.0/32 of mapping homes"
        agent.ctl("session", "flush", "10.0.5.76")
        event = it.event()
        assert {key: event[key] for key in told} == told
        assert (event["event"], event["text"]) == ("mapping-drained", "10.0.5.76/32 has drained from 1.1.1.0/32 of mapping homes")


def test_interfaces_and_troubles_are_told(lab):
    agent = lab.start()
    with monitor(agent, "interfaces", "troubles") as it:
        agent.ctl("interface", "del", "in0", "inside")
        event = it.event()
        assert (event["event"], event["interface"]) == ("interface-detached", "in0")
        agent.ctl("interface", "add", "in0", "inside")
        event = it.event()
        assert (event["event"], event["interface"], event["role"]) == ("interface-attached", "in0", "inside")
        good = agent.path.read_text()
        agent.path.write_text("{")
        agent.hang_up()
        event = it.event()
        assert (event["event"], event["trouble"]) == ("trouble", "config")
        agent.path.write_text(good)
        agent.hang_up()
        assert it.event()["event"] == "trouble-over"


def test_a_link_that_goes_down_and_comes_up_is_told_and_logged(lab):
    agent = lab.start()
    with monitor(agent, "interfaces") as it:
        lab.outside_ns.ip("link", "set", "eth0", "down")
        event = it.event()
        assert (event["event"], event["interface"], event["role"]) == ("interface-down", "out0", "outside")
        assert event["text"].startswith("out0: ") and f"warning: {event['text']}" in agent.log_text()
        lab.outside_ns.ip("link", "set", "eth0", "up")
        event = it.event()
        assert (event["event"], event["interface"], event["text"]) == ("interface-up", "out0", "out0: up again")
        assert "out0: up again" in agent.log_text()


def test_only_the_kinds_and_addresses_that_are_asked_for_are_told(lab):
    agent = lab.start(sessions_per_user=2)
    host, other = lab.host(), lab.host()
    with monitor(agent, "refusals", "--in", other.addr) as one, monitor(agent, "--in", "10.64.0.0/16") as two, monitor(agent, "interfaces") as three:
        lab.refuse(host, 1)
        lab.refuse(other, 1)
        agent.ctl("mapping", "add", *OTHER)
        assert one.event()["in_addr"] == other.addr
        assert two.event()["event"] == "mapping-added"
        agent.ctl("interface", "del", "in0", "inside")
        assert three.event()["event"] == "interface-detached"
        for it in (one, two, three):
            assert it.line(0) is None


def test_sessions_are_told_while_a_monitor_asks_and_no_longer(lab):
    agent = lab.start()
    host = lab.host()
    with monitor(agent, "sessions") as it:
        ports = iter(range(5000, 6000))

        def told():
            """The datapath reports sessions once its programs have been replaced."""
            lab.open_udp(host, dport=next(ports))
            return it.line(0.2)

        event = json.loads(wait_for(told, what="the first session"))
        lab.open_udp(host, dport=next(ports))  # stays
        src = block_of(host.addr).first_choice(5000)
        assert (event["event"], event["proto"], event["in_addr"]) == ("session-opened", "udp", host.addr)
        assert ((event["out_addr"], event["out_port"]), event["ext_addr"]) == (src, SERVER)
        agent.ctl("session", "close", "in", f"{host.addr}:5000", f"{SERVER}:{event['ext_port']}")
        while (event := it.event())["event"] == "session-opened":
            pass
        assert (event["event"], event["in_addr"]) == ("session-closed", host.addr)
    assert agent.ctl("session", "list", host.addr)
    wait_for(lambda: not clients(agent), what="the end of the monitor")
    with monitor(agent) as it:
        lab.open_udp(lab.host())
        assert it.line(0.5) is None


def test_a_reader_that_stops_loses_events_and_learns_how_many(lab):
    agent = lab.start()
    hosts = [lab.host() for _ in range(6)]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(agent.socket))
    connection.sendall(b'{"verb":"monitor","args":{"kinds":"sessions"}}\n')
    connection.settimeout(PATIENCE)
    reader = connection.makefile("rb")
    assert json.loads(reader.readline()) == {"ok": True, "stream": True}
    ports = iter(range(20000, 60000))

    def told():
        lab.open_udp(hosts[0], dport=next(ports))
        return select.select([connection], [], [], 0.2)[0] and reader.readline().strip()

    assert json.loads(wait_for(told, what="the first session"))["event"] == "session-opened"
    before = len(lab.sessions())
    lab.inside.send(*(lab.from_inside(host, UDP(sport=5000, dport=10000 + n)) for host in hosts for n in range(500)))
    count = before + len(hosts) * 500
    wait_for(lambda: agent.ctl("session", "list", "--count")["count"] == count, what="the sessions")
    assert agent.ctl("session", "flush", "10.0.0.0/18", "--yes")["closed"] == count
    seen = lost = 0
    while seen + lost < len(hosts) * 500 + count:
        line = reader.readline().strip()
        if not line:
            continue
        event = json.loads(line)
        if event["event"] == "lost":
            lost += event["lost"]
        else:
            # The last of the trials may not have been read.
            seen += event["in_port"] == 5000 and (event["event"] == "session-closed" or event["ext_port"] < 20000)
    assert seen and lost and seen + lost == len(hosts) * 500 + count
    connection.close()


@pytest.mark.parametrize("arguments,said", [
    (("weather",), "KIND must be refusals, mappings"), (("refusals", "weather"), "KIND must be"), (("refusals,",), "KIND must be"),
    (("--in", "10.0.0"), "--in ADDR|PREFIX must be"), (("--in", "10.0.0.0/8:80"), "--in ADDR|PREFIX must be"),
])
def test_bad_usage_is_refused(running_lab, arguments, said):
    assert said in running_lab.agent.refused("monitor", *arguments, status=2)


def test_the_end_of_the_agent_ends_a_monitor_with_status_3(lab):
    agent = lab.start()
    it = Monitor(agent)
    agent.stop()
    assert it.process.wait(PATIENCE) == 3
    assert b"agent went away" in it.process.stderr.read()
    it.process.stdout.close()
    it.process.stderr.close()


def test_sending_continues_for_others_when_a_monitor_is_killed(lab):
    agent = lab.start()
    host = lab.host()
    it = Monitor(agent, "sessions", "mappings")
    with monitor(agent, "mappings") as other:
        it.process.kill()
        it.process.wait()
        agent.ctl("mapping", "add", *OTHER)
        assert other.event()["event"] == "mapping-added"
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
