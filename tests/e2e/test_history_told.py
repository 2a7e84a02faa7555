# SPDX-License-Identifier: BSD-2-Clause
"""What IPFIX, syslog and the audit lines tell, and when, is what `who` answers from the history."""

import contextlib
import datetime
import ipaddress
import json
import random
import re
import subprocess
import time

import pytest
from scapy.layers.inet import UDP

import clock
from agent import AGENT, is_sanitized
from ipfix_decode import Decoder
from ipfix_tools import Collector as IpfixCollector
from lab import block_of
from test_history import ask, verified
from test_syslog import Collector as SyslogCollector

HOMES = "10.0.0.0/24"
LATER = "10.0.1.0/24"
HOSTS = ("10.0.0.5", "10.0.0.77", "10.0.0.200", "10.0.1.9", "10.0.1.130")
GRAIN = 0.002  # seconds between two readings of the clock for one event
EVENTS = {4: "opened", 5: "closed", 8: "made", 9: "ended", 14: "bound", 15: "unbound"}


def library(directory):
    """What a program has to load to have a clock of its own; a sanitizer's must come first."""
    built = clock.build(directory / "clock_shim.so")
    if not is_sanitized(AGENT):
        return built
    return f"{subprocess.check_output(['gcc', '-print-file-name=libasan.so'], text=True).strip()}:{built}"


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Site:
    """A lab whose agent tells collectors of everything, by a clock that can be set."""

    def __init__(self, lab):
        self.lab = lab
        self.clock = clock.Clock(library(lab.directory), lab.directory / "clock")
        self.ipfix, self.syslog = IpfixCollector(lab), SyslogCollector(lab)
        self.hosts = {addr: lab.host(addr) for addr in HOSTS}
        self.mappings = set()  # of all times: (inside, outside)
        self.changes = []  # (machine's time before, after, words, status) of each change
        self.sent = {}  # inside port: (machine's time before, after, inside address)
        self.reckonings = [(time.time(), 0)]  # (machine's time from which it holds, shift)
        self.port = 20000
        self.messages = []  # of syslog
        lab.at_end(self.ipfix.close)
        lab.at_end(self.syslog.socket.close)

    def start(self, **config):
        self.lab.prepare(ipfix={"collector": self.ipfix.endpoint, "events": ["sessions", "addresses", "portmaps"]},
                         syslog={"to": self.syslog.to, "events": ["mappings", "sessions"]}, sweep_interval=1,
                         mappings=[self.mapping(HOMES, "1.1.1.0/30")], **config)
        self.lab.agent.start(**self.clock.environment)

    def mapping(self, inside, outside):
        self.mappings.add((inside, outside))
        return {"in": inside, "out": outside}

    def now(self):
        return time.time() + self.clock.shift

    def set_clock(self, by):
        self.reckonings.append((time.time(), self.clock.shift + by))
        self.clock.set(self.clock.shift + by, self.lab.agent.process)

    def shifts(self, begin, end):
        """What the clock was shifted by between two of the machine's times."""
        ends = [first for first, _ in self.reckonings[1:]] + [end]
        return {shift for (first, shift), last in zip(self.reckonings, ends) if first <= end and last >= begin}

    def true_spans(self, at, length=1):
        """When, by the machine's clock, the agent's read so."""
        ends = [begin for begin, _ in self.reckonings[1:]] + [time.time() + 9]
        for (begin, shift), end in zip(self.reckonings, ends):
            first, last = max(begin, at - shift), min(end, at - shift + length)
            if first <= last:
                yield first, last

    def true_time(self, at, last):
        """Of a record, which follows one of that time."""
        return next(first for first, _ in self.true_spans(at - 0.002, 0.004) if first > last - 0.01)

    def near_step(self, second):
        """Whether the clock was set around it, or leapt over it: whoever was a holder before or after may be named."""
        return any(begin + min(old, new) - 6 < second < begin + new + 6 or abs(begin + old - second) < 6
                   for (_, old), (begin, new) in zip(self.reckonings, self.reckonings[1:]))

    def under_way(self, at):
        """From when to when a change of that true time was under way."""
        for begin, end, *_ in self.changes:
            if begin <= at <= end:
                return begin, end
        return at, at

    def all_seconds(self):
        ends = [begin for begin, _ in self.reckonings[1:]] + [time.time()]
        return sorted({second for (begin, shift), end in zip(self.reckonings, ends)
                       for second in range(int(begin + shift) + 1, int(end + shift))})

    def again(self, kill):
        """The agent ends and starts again; what it has gathered is sent before a kill."""
        agent = self.lab.agent
        if kill:
            agent.ctl("ipfix", "flush")
            agent.kill()
        else:
            agent.stop()
        self.ipfix.receive()
        self.ipfix.decoder = Decoder()  # another exporter begins at 0
        agent.start(**self.clock.environment)

    def change(self, *words):
        before = time.time()
        result = self.lab.agent.command(*words)
        assert result.status in (0, 1), result
        self.changes.append((before, time.time(), words, result.status))

    def send(self, addr):
        """A packet of a new session."""
        self.port += 1
        before = time.time()
        self.lab.inside.send(self.lab.from_inside(self.hosts[addr], UDP(sport=self.port, dport=53) / addr.encode()))
        self.lab.outside.receive(0.3)
        self.sent[self.port] = (before, time.time(), addr)

    # ---- what was told

    def records(self):
        """All of IPFIX: (event, time, inside address, outside address, inside port, outside port)."""
        self.lab.agent.ctl("ipfix", "flush")
        while self.ipfix.receive(1.5):
            pass
        self.hear()
        return [(EVENTS[r["natEvent"]], r["observationTimeMilliseconds"] / 1000, r["sourceIPv4Address"], r["postNATSourceIPv4Address"],
                 r.get("sourceTransportPort"), r.get("postNAPTSourceTransportPort")) for r in self.ipfix.all_records()]

    def hear(self):
        """Takes the messages of syslog that have come."""
        with contextlib.suppress(TimeoutError):
            self.syslog.socket.settimeout(0.01)
            while True:
                self.messages.append(self.syslog.message())

    def endpoint(self, inside, outside, port=None):
        """One of an inside address's outside endpoints with that outside address."""
        if port is not None:
            return f"{outside}:{port}"
        within = [{"in": i, "out": o} for i, o in self.mappings
                  if ipaddress.ip_address(inside) in ipaddress.ip_network(i) and ipaddress.ip_address(outside) in ipaddress.ip_network(o)]
        blocks = [block for block in (block_of(inside, m) for m in within) if block.addr == outside]
        assert blocks, (inside, outside)
        return f"{outside}:{blocks[0].lo}"

    def holders(self, questions):
        """Of each (endpoint, time): all whom `who` names."""
        text = "".join(f"{datetime.datetime.fromtimestamp(at, datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ} {e}\n" for e, at in questions)
        status, out, err = ask(self.lab.agent, text, "-j")
        assert status in (0, 1), err
        answers = json.loads(out)
        assert len(answers) == len(questions)
        return [{a["in_addr"], *(h["in_addr"] for h in a.get("holders") or ())} - {None} for a in answers]


def operator(site, dice):
    """One change, or what happens to the gateway."""
    outs = {HOMES: ["1.1.1.0/30", "1.1.3.0/30", "1.1.4.0/31"], LATER: ["1.1.2.0/30", "1.1.5.0/30"]}
    kind = dice.choices(("add", "del", "move", "back", "portmap", "end", "flush", "clock", "restart", "kill"),
                        (6, 3, 3, 2, 3, 2, 2, 3, 1, 1))[0]
    agent = site.lab.agent
    if kind == "add":
        inside = dice.choice((HOMES, LATER))
        outside = dice.choice(outs[inside])
        site.mapping(inside, outside)
        site.change("mapping", "add", inside, outside, "--replace", "--drain", dice.choice(("0", "1", "600")))
    elif kind == "del":
        site.change("mapping", "del", LATER, *dice.choice(((), ("--drain", "600"), ("--drain", "1"))))
    elif kind == "move":
        addr, to = dice.choice(HOSTS), f"1.1.9.{dice.randrange(8)}/32"
        site.mapping(f"{addr}/32", to)
        site.change("user", "move", addr, to, "--drain", dice.choice(("0", "600")))
    elif kind == "back":
        site.change("mapping", "del", f"{dice.choice(HOSTS)}/32")
    elif kind == "portmap":
        site.change("portmap", "add", "udp", f"{dice.choice(HOSTS)}:9000", "--name", f"p{len(site.changes)}")
    elif kind == "end":
        maps = agent.ctl("portmap", "list")
        if maps:
            one = dice.choice(maps)
            site.change("portmap", "del", one["proto"], f"{one['out_addr']}:{one['out_port']}")
    elif kind == "flush":
        site.change("session", "flush", dice.choice(HOSTS))
    elif kind == "clock":
        site.set_clock(dice.choice((-40, -7, 9, 300)))
    else:
        site.again(kill=kind == "kill")


def without_repetitions(records):
    """The end of a drain tells that all its addresses are unbound, also those that an exception had taken from it before."""
    bound = set()
    for record in records:
        event, _, *who = record
        if event != "unbound" or tuple(who) in bound:
            yield record
        (bound.add if event == "bound" else bound.discard)(tuple(who))


def assert_holders(site, records):
    """Whoever a record names, `who` names at its time."""
    questions = [(site.endpoint(inside, outside, port), at) for _, at, inside, outside, _, port in records]
    wrong = [(record, names) for record, names in zip(records, site.holders(questions)) if record[2] not in names]
    assert not wrong, wrong


def assert_intervals(site, records):
    """An address is somebody's by `who` in each second between the records that it was bound and unbound, and in no other."""
    held, last = {}, site.reckonings[0][0]
    for event, at, inside, outside, *_ in records:
        if event in ("bound", "unbound"):
            last = site.true_time(at, last)
            if inside in HOSTS:
                held.setdefault((inside, outside), []).append((event, last))
    questions, due = [], []
    for (inside, outside), changes in held.items():
        assert [event for event, _ in changes] == (["bound", "unbound"] * len(changes))[: len(changes)], changes
        times = [at for _, at in changes] + [time.time() + 9]
        spans = list(zip(times[::2], times[1::2]))
        longest = [(site.under_way(begin)[0], site.under_way(end)[1]) for begin, end in spans]
        for second in site.all_seconds():
            whole = [(begin, end) for begin, end in site.true_spans(second)]
            certain = any(b < begin and end < e for begin, end in whole for b, e in spans)
            possible = any(b - 1 < end and begin < e + 1 for begin, end in whole for b, e in longest)
            questions.append((site.endpoint(inside, outside), second))
            # By a clock that was set back, what is in force may go on up to a second that has not come again.
            due.append((inside, outside, certain, possible or site.near_step(second) or second > site.now() - 2))
    wrong = [(at, inside, outside, names) for (_, at), (inside, outside, certain, possible), names
             in zip(questions, due, site.holders(questions)) if not certain <= (inside in names) <= possible]
    assert not wrong, (wrong, held, site.reckonings, site.changes)


def assert_sent(site, records):
    """Each session that is told was opened by a packet of that subscriber at that time; syslog tells the same."""
    opened = {port: (at, inside, outside) for event, at, inside, outside, port, _ in records if event == "opened"}
    for port, (at, inside, _) in opened.items():
        begin, end, sender = site.sent[port]
        # The agent notices a step of the clock some milliseconds later; until then, its time is that of before.
        shifts = site.shifts(begin - 0.1, end)
        assert inside == sender and any(begin - GRAIN <= at - shift <= end + GRAIN for shift in shifts), (port, at, site.sent[port], shifts)
    told = {int(m["params"]["in_port"]): (seconds(m["time"]), m["params"]["in_addr"], m["params"]["out_addr"])
            for m in site.messages if m["event"] == "session-opened"}
    assert told.keys() == opened.keys() and opened
    assert all(told[port][1:] == opened[port][1:] and abs(told[port][0] - opened[port][0]) <= GRAIN for port in told)


def mapping_messages(site):
    """What syslog tells of mappings, as records of all the hosts in them."""
    return [(m["event"], seconds(m["time"]), addr, block_of(addr, m["params"]).addr, None, None)
            for m in site.messages if m["event"].startswith("mapping-") and m["event"] != "mapping-changed"
            for addr in HOSTS if ipaddress.ip_address(addr) in ipaddress.ip_network(m["params"]["in"])
            # One that an exception has, or had, may be another mapping's.
            if f"{addr}/32" not in {inside for inside, _ in site.mappings}]


def assert_live(site, addr):
    """`forward` and `reverse` of the present name the endpoints of an address's sessions, those that drain included."""
    agent = site.lab.agent

    def told():
        listed = agent.command("-j", "session", "list", addr)
        return {(s["in_port"], s["out_addr"], s["out_port"]) for s in json.loads(listed.out)} if not listed.status else set()

    before = told()
    forward = agent.command("-j", "forward", addr)
    reverse = {session: agent.command("-j", "reverse", f"{session[1]}:{session[2]}") for session in sorted(before)[:2]}
    after = told()
    blocks = [] if forward.status else [json.loads(forward.out), *json.loads(forward.out).get("draining", [])]
    # What has ended meanwhile may have drained.
    for session in before & after:
        assert any(b["out_addr"] == session[1] and b["port_lo"] <= session[2] <= b["port_hi"] for b in blocks), (session, forward)
    for session in before & after & set(reverse):
        assert json.loads(reverse[session].out)["in_addr"] == addr, (session, reverse[session])


def assert_audited(site):
    """Each change has one line, with its time and result, in their order."""
    lines = re.findall(r"(?m)^(\S+) detnat-agent: audit: .*? pid=\d+: (\S+ \S+) \{.*\}: (done|refused)", site.lab.agent.log_text())
    lines = [line for line in lines if line[1] != "ipfix flush"]
    assert [(verb, result == "done") for _, verb, result in lines] == [(" ".join(w[:2]), status == 0) for *_, w, status in site.changes]
    for (at, *_), (before, after, *_) in zip(lines, site.changes):
        assert any(before - GRAIN <= seconds(at) - shift <= after + GRAIN for _, shift in site.reckonings), (at, before, after)


@pytest.mark.slow  # half a minute of packets
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 7))])
def test_what_is_told_is_what_the_history_says(lab, seed):
    dice = random.Random(seed)
    site = Site(lab)
    site.start()
    for _ in range(20):
        for _ in range(dice.randrange(4)):
            site.send(dice.choice(HOSTS))
        operator(site, dice)
        assert_live(site, dice.choice(HOSTS))
    records = list(without_repetitions(site.records()))
    assert_sent(site, records)
    assert_holders(site, records + mapping_messages(site))
    assert_intervals(site, records)
    assert_audited(site)
    verified(lab.agent)


def test_an_event_has_the_time_of_the_clock_as_it_was(lab):
    """The clock is set while the agent has not read the event yet."""
    site = Site(lab)
    site.start()
    for by in (-3600, 1800, -60, 86400):
        site.send(HOSTS[0])
        site.set_clock(by)
        site.records()
    assert_sent(site, site.records())


def test_a_flush_sends_what_has_just_changed(lab):
    site = Site(lab)
    site.start()
    site.records()
    told = len(site.ipfix.all_records())
    site.mapping(LATER, "1.1.2.0/30")
    site.change("mapping", "add", LATER, "1.1.2.0/30")
    lab.agent.ctl("ipfix", "flush")
    lab.agent.kill()
    site.ipfix.receive(5)
    assert len(site.ipfix.all_records()) == told + 256
    lab.agent.start(**site.clock.environment)
