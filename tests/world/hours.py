# SPDX-License-Identifier: BSD-2-Clause
"""Hours of customers in minutes: no gateway and no network, but the files that servers would have written, and one day of a
recorder of its own, whose lines are written here as detnat-agent(8) says. Then detnatctl imports them, and `who -` is asked.

Of each address a source tells: two access servers by FreeRADIUS' detail, one of which numbers sessions by port, a third whose
records say when they happened, Kea, ISC dhcpd, and in a `recorder` world the listener of a gateway, with gaps and steps of its clock.
"""

import collections
import hashlib
import heapq
import json
import pathlib
import random
import subprocess
import tempfile
import time

import lease_texts as texts
from judge import SECOND, certain, judge, lines_about, single
from lease_texts import INTERIM, OFF, ON, START, STOP, stamp
from tenures import Memory

BEGIN = 1_767_225_600 + 20 * 3600  # 2026-01-01T20:00:00Z: midnight comes soon
FIRST_OUT, PORTS, PER_ADDRESS = "198.18.0", 4032, 16
EVERY_INTERIM, TERM = 600, 3600
CUSTOMERS = 400
# Of records: the shares that are lost, late, doubled. In all: restarts of each server, records replayed, gaps, steps of the clock.
RATES = collections.namedtuple("Rates", "lost late doubled restarts replays gaps clocks", defaults=(0,) * 7)
PROFILES = {"whole": RATES(), "lossy": RATES(0.01, 0.01, 0.01), "numbers": RATES(lost=0.1, restarts=4), "gaps": RATES(gaps=4), "clocks": RATES(clocks=4),
            "wild": RATES(0.15, 0.15, 0.1, 4, 30, 4, 4)}
FLOORS = {"whole": 1.0, "lossy": 0.97}
QUESTIONS = 60  # an hour and address
HOURS = 8  # of a simulation


def addr_of(host):
    return f"10.0.0.{host}"


def endpoint_of(host):
    return f"{FIRST_OUT}.{host // PER_ADDRESS}:{1024 + host % PER_ADDRESS * PORTS + 7}"


class Chain:
    """A file of lines chained by their hashes."""

    def __init__(self):
        self.previous, self.lines = "0" * 64, []

    def add(self, **members):
        text = json.dumps({"line": len(self.lines) + 1, **members}, separators=(",", ":"))[:-1]
        self.previous = hashlib.sha256((self.previous + text).encode()).hexdigest()
        self.lines.append(f'{text},"hash":"{self.previous}"}}\n')


class Server:
    """Who gives addresses, and how it tells."""

    def __init__(self, days, number, hosts, numbering, by_event=False, recorder=None):
        self.days, self.hosts, self.numbering, self.by_event, self.recorder = days, hosts, numbering, by_event, recorder
        self.address, self.counter, self.records, self.sessions = f"10.0.255.{number}", 0, [], {}

    def number(self, host):
        used = [number for _, number in self.sessions.values()]
        while True:
            self.counter += 1
            number = {"serial": f"{self.counter:08x}", "port": f"port{host}", "wheel": str(self.counter % 7)}[self.numbering]
            if number not in used:
                return number

    def tell(self, kind, at, host=None):
        """A record of a session, on its way through whatever may happen to it."""
        dice, rates = self.days.dice, self.days.rates
        tenure, number = self.sessions.get(host, (None, ""))
        what = {"kind": kind, "at": at, "tenure": tenure, "number": number, "host": host}
        if dice.random() < rates.lost:
            return
        received = at
        if dice.random() < rates.late:
            received += int(min(1 + dice.expovariate(1 / 90), 1200) * SECOND)
        self.arrive({**what, "received": received})
        if dice.random() < rates.doubled:
            self.arrive({**what, "received": received + int(dice.uniform(1, 30) * SECOND)})

    def arrive(self, record):
        self.days.at(record["received"], self.records.append, record)
        if self.recorder:
            self.days.at(record["received"], self.recorder.take, self, record)

    # ---- a session

    def login(self, host):
        dice, now = self.days.dice, self.days.now
        tenure = self.days.memory.come(host, f"c{dice.randrange(CUSTOMERS)}", now)
        self.sessions[host] = tenure, self.number(host)
        self.tell(START, now, host)
        self.days.at(now + EVERY_INTERIM * SECOND, self.interim, host, tenure)
        self.days.at(now + int((5 + dice.expovariate(1 / dice.choice([300, 3000, 9000]))) * SECOND), self.logout, host, tenure)

    def interim(self, host, tenure):
        if tenure.end > self.days.now:
            self.tell(INTERIM, self.days.now, host)
            self.days.at(self.days.now + EVERY_INTERIM * SECOND, self.interim, host, tenure)

    def logout(self, host, tenure):
        if tenure.end > self.days.now:
            self.tell(STOP, self.days.now, host)
            self.end(host)

    def end(self, host):
        self.days.memory.go(host, self.days.now)
        self.sessions.pop(host)
        pause = self.days.dice.choice([0, 0, 0.4, 2, 60, 900])
        self.days.at(self.days.now + int(pause * SECOND) + 1, self.login, host)

    def restart(self):
        """All sessions end without a word of their own."""
        says = self.days.dice.choice(["off", "on", "nothing"])
        for host in list(self.sessions):
            self.sessions[host][0].told = self.days.now - EVERY_INTERIM * SECOND
            self.end(host)
        if says != "nothing":
            self.tell(OFF if says == "off" else ON, self.days.now)

    # ---- what it writes

    def text(self, record):
        tenure, at, received = record["tenure"], record["at"] // SECOND, record["received"] // SECOND
        waited = (record["received"] - record["at"]) // SECOND
        more = {} if not tenure else {"user": tenure.ident, "session": record["number"], "addr": addr_of(record["host"])}
        if tenure and record["kind"] != START:
            more["session_time"] = (record["at"] - tenure.begin) // SECOND
        return texts.detail(record["kind"], self.address, received, delay=0 if self.by_event else waited, event=at if self.by_event else None, **more)

    def replay(self):
        """A record from long ago comes again; its server says when it happened."""
        if self.records and self.by_event:
            self.arrive({**self.days.dice.choice(self.records), "received": self.days.now})

    def heard(self):
        for record in self.records:
            if record["tenure"]:
                record["tenure"].heard(record["at"], record["received"])

    def write(self, directory):
        if self.recorder:
            return []
        self.heard()
        return [("freeradius-detail", "".join(self.text(record) for record in self.records))]


class Dhcp:
    """Kea, or ISC dhcpd: an address is given to nobody else within its term, unless it is released."""

    def __init__(self, days, hosts, kind):
        self.days, self.hosts, self.kind, self.rows = days, hosts, kind, []

    def login(self, host):
        dice, now = self.days.dice, self.days.now
        tenure = self.days.memory.come(host, texts.mac_of(f"c{dice.randrange(CUSTOMERS)}"), now)
        self.renew(host, tenure, now + int((5 + dice.expovariate(1 / dice.choice([600, 9000]))) * SECOND))

    def renew(self, host, tenure, leaves):
        now = self.days.now
        second = now // SECOND
        self.row(host, tenure.ident, second, second + TERM, True)
        tenure.heard(now, now)
        if leaves > now + TERM // 2 * SECOND:
            self.days.at(now + TERM // 2 * SECOND, self.renew, host, tenure, leaves)
        elif self.days.dice.random() < 0.4:
            self.days.at(leaves, self.release, host, tenure, second)
        else:  # silent, and the server keeps the address for it until the end of the term
            self.days.at((second + TERM + 1) * SECOND, self.expire, host, tenure, second)

    def row(self, host, ident, starts, ends, active):
        if self.kind == "kea":
            # A release takes the lease out: a row without a lifetime, of the client's last message. One that is over is reclaimed.
            reclaimed = not active and ends == starts + TERM
            lifetime, state = (TERM, texts.KEA_RECLAIMED if reclaimed else texts.KEA_ASSIGNED) if active or reclaimed else (0, texts.KEA_ASSIGNED)
            self.rows.append(texts.kea(addr_of(host), ident, lifetime, starts + lifetime, state))
        else:
            self.rows.append(texts.isc(addr_of(host), ident, starts, ends, active))

    def release(self, host, tenure, starts):
        if self.kind == "kea":
            tenure.told = starts * SECOND  # when it was released, its row does not say
        self.row(host, tenure.ident, starts, self.days.now // SECOND, False)
        self.end(host)

    def expire(self, host, tenure, starts):
        self.row(host, tenure.ident, starts, starts + TERM, False)
        self.end(host)

    def end(self, host):
        self.days.memory.go(host, self.days.now)
        self.days.at(self.days.now + self.days.dice.choice([1, 3, 60, 900]) * SECOND, self.login, host)

    def restart(self):
        pass

    replay = restart

    def write(self, directory):
        return [("kea", texts.KEA_COLUMNS + "".join(self.rows)) if self.kind == "kea" else ("isc-dhcpd", "".join(self.rows))]


class Recorder:
    """What a gateway's listener writes of what arrives, by a clock that is set, and with gaps in which nothing is written."""

    def __init__(self, days, old):
        self.days, self.old = days, old
        self.shift, self.shifts, self.down = 0, [(0, 0)], False
        self.files, self.told, self.known = collections.defaultdict(Chain), set(), {}
        self.last = 0

    def clock(self, at=None):
        return (self.days.now if at is None else at) // SECOND + self.shift

    def line(self, second, event, **members):
        self.files[stamp(second)[:10]].add(time=stamp(second), event=event, **members)
        self.last = self.clock()

    def begin(self, since):
        self.line(self.clock(), "begin", session="radius 127.0.0.1:1813", **{"from": stamp(since)})
        self.days.at(self.days.now + 60 * SECOND, self.mark)

    def mark(self):
        if not self.down and self.clock() - self.last >= 60:
            self.line(self.clock(), "mark")
        self.days.at(self.days.now + 30 * SECOND, self.mark)

    def go_down(self, seconds):
        if self.down:
            return
        self.down, since = True, self.last

        def up():
            self.down, now = False, self.clock()
            self.line(now, "begin", session="radius 127.0.0.1:1813", **{"from": stamp(since)})
        self.days.at(self.days.now + int(seconds * SECOND), up)

    def step(self, by):
        """While nothing is recorded, nobody would know of it."""
        if self.down:
            return
        before = self.clock()
        self.shift += by
        self.shifts.append((self.days.now, self.shift))
        if by > 0:
            self.line(self.clock(), "lost", **{"from": stamp(before), "to": stamp(self.clock() + 1)})
        elif not self.old:
            self.line(self.clock(), "step", format=2, **{"from": stamp(before), "to": stamp(self.clock())})

    def undone(self, second):
        """What its clock read then: steps since are undone."""
        for n in range(len(self.shifts) - 1, 0, -1):
            (at, shift), (_, former) = self.shifts[n], self.shifts[n - 1]
            if second < at // SECOND + shift:
                second -= shift - former
        return min(second, self.clock())

    def take(self, server, record):
        """A request arrives: what is not written is asked again once, and then given up."""
        kind, tenure, host = record["kind"], record["tenure"], record["host"]
        key = kind, record["at"], host, server.address
        if key in self.told:
            return
        if self.down:
            if not record.get("again"):
                server.arrive({**record, "received": self.days.now + 5 * SECOND, "again": True})
            return
        self.told.add(key)
        second = self.clock() - (self.days.now - record["at"]) // SECOND
        if not self.old:
            second = self.undone(second)
        # A delay is told in whole seconds.
        early = {"early": stamp(second - 1)} if (self.days.now - record["at"]) // SECOND and not self.old else {}
        if not tenure:
            self.line(second, "off", session=f"{server.address}/", **early)
            return
        if not any(record["at"] < since for since, _ in self.shifts[1:]):
            tenure.heard(record["at"], self.days.now)  # else its delay is of another clock
        begin = second if kind == START else second - (record["at"] - tenure.begin) // SECOND
        self.line(second, {START: "start", INTERIM: "interim", STOP: "stop"}[kind], in_addr=addr_of(host), id=tenure.ident,
                  session=f"{server.address}/{record['number']}", **{"from": stamp(begin), "to": stamp(second) if kind == STOP else None}, **early)

    def moments(self, second):
        """The times at which the clock showed a second."""
        found = []
        for n, (since, shift) in enumerate(self.shifts):
            until = self.shifts[n + 1][0] if n + 1 < len(self.shifts) else 1 << 62
            begin, end = (second - shift) * SECOND, (second - shift + 1) * SECOND - 1
            if begin < until and end >= since:
                found.append((max(begin, since), min(end, until - 1)))
        return found


class Days:
    """One simulation: its servers, its time and its files."""

    def __init__(self, seed, profile, seconds, recorded=False, old=False):
        self.dice, self.profile, self.rates = random.Random(seed), profile, PROFILES[profile]
        self.memory, self.now, self.heap, self.order = Memory(), BEGIN * SECOND, [], 0
        self.until = (BEGIN + seconds) * SECOND
        self.recorder = Recorder(self, old) if recorded else None
        self.servers = [Server(self, 1, range(2, 10), "serial", recorder=self.recorder), Server(self, 2, range(10, 16), "port", recorder=self.recorder),
                        Server(self, 3, range(16, 20), "wheel", by_event=not recorded, recorder=self.recorder)]
        if not recorded:
            self.servers += [Dhcp(self, range(20, 26), "kea"), Dhcp(self, range(26, 31), "isc")]

    def at(self, when, call, *arguments):
        self.order += 1
        heapq.heappush(self.heap, (when, self.order, call, arguments))

    def within(self):
        return self.now + int(self.dice.uniform(0.05, 0.95) * (self.until - self.now))

    def run(self):
        rates = self.rates
        if self.recorder:
            self.recorder.begin(0)
            for _ in range(rates.gaps):
                self.at(self.within(), self.recorder.go_down, self.dice.choice([3, 60, 1800]))
            for _ in range(rates.clocks):
                self.at(self.within(), self.recorder.step, self.dice.choice([-1800, -600, -60, 60, 900, 3600]))
        for server in self.servers:
            for host in server.hosts:
                self.at(self.now + int(self.dice.uniform(1, 900) * SECOND), server.login, host)
            for _ in range(rates.restarts):
                self.at(self.within(), server.restart)
            for _ in range(rates.replays):
                self.at(self.within(), server.replay)
        while self.heap and self.heap[0][0] <= self.until:
            self.now, _, call, arguments = heapq.heappop(self.heap)
            call(*arguments)
        self.now = self.until

    def clock(self, at):
        shift = max((since, shift) for since, shift in self.recorder.shifts if since <= at)[1] if self.recorder else 0
        return at // SECOND + shift

    def moments(self, second):
        return self.recorder.moments(second) if self.recorder else [(second * SECOND, (second + 1) * SECOND - 1)]

    def questions(self):
        """(host, time of a packet): anywhere, and around each change of hands."""
        for server in self.servers:
            for host in server.hosts:
                for _ in range(QUESTIONS * (self.until // SECOND - BEGIN) // 3600):
                    yield host, self.dice.randrange(BEGIN * SECOND, self.until)
                for tenure in self.memory.of[host]:
                    for edge in (tenure.begin, tenure.end):
                        for off in (-1.5, -0.3, 0.2, 1.1):
                            if BEGIN * SECOND < (at := edge + int(off * SECOND)) < self.until:
                                yield host, at

    # ---- the files, and what is answered from them

    def write_history(self, directory):
        history, of = Chain(), {"in": "10.0.0.0/27", "out": f"{FIRST_OUT}.0/31"}
        shared = {"algorithm": "sequential", "port_lo": 1024, "port_hi": 65535}
        begun = stamp(BEGIN - 86400)
        history.add(time=begun, event="start", format=3, host="world", taken_over=False, unknown_since=None, **shared, mappings=[])
        history.add(time=begun, event="add", **of, name="homes", **{"from": begun, "to": None}, **shared, sharing_ratio=PER_ADDRESS, ports_per_host=PORTS)
        history.add(time=begun, event="confirm", first=2, last=2, until=stamp(self.until // SECOND + 86400))
        (directory / "history.jsonl").write_text("".join(history.lines))

    def write(self, directory, ctl):
        directory.mkdir()
        self.write_history(directory)
        if self.recorder:
            for day, chain in self.recorder.files.items():
                (directory / f"leases-{day}.jsonl").write_text("".join(chain.lines))
        for n, (kind, text) in enumerate(pair for server in self.servers for pair in server.write(directory)):
            path = directory / f"{n}.{kind}"
            path.write_text(text)
            done = subprocess.run([ctl, "leases", "import", kind, path, "--zone", "UTC", "--leases", directory], capture_output=True, text=True)
            if done.returncode not in (0, 1) or "skipped" in done.stdout and " 0 records skipped" not in done.stdout:
                raise SystemExit(f"world: leases import {kind}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def ask(self, directory, ctl, questions):
        lines = "".join(f"{stamp(self.clock(at))} {endpoint_of(host)}\n" for host, at in questions)
        done = subprocess.run([ctl, "-j", "who", "-", "--state-dir", directory, "--margin", "0"], input=lines, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(f"world: who -: exit {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)


class Tally:
    def __init__(self):
        self.asked = self.named = self.due = self.certain = 0
        self.wrong = []

    def add(self, other):
        self.asked, self.named, self.due, self.certain = (getattr(self, k) + getattr(other, k) for k in ("asked", "named", "due", "certain"))
        self.wrong += other.wrong

    def __str__(self):
        share = 100 * self.certain / self.due if self.due else 100
        return (f"{self.asked} packets asked about, {self.named} customers named for certain, {len(self.wrong)} wrong; older than one interim or in a "
                f"term, of one customer: {self.due}, named {self.certain}, {share:.2f} %")


def one(directory, ctl, seed, profile, seconds, recorded, old=False):
    """Simulates, imports, asks; a Tally."""
    days = Days(seed, profile, seconds, recorded, old)
    days.run()
    days.write(directory, ctl)
    questions, tally = list(days.questions()), Tally()
    for (host, at), row in zip(questions, days.ask(directory, ctl, questions)):
        packet, second = (at, at), days.clock(at)
        tally.asked += 1
        tally.named += certain(row) is not None
        found = judge(days.memory, host, days.moments(second), packet, row, days.until)
        if found:
            tally.wrong.append((*found, host, at, second, row))
        tenure = single(days.memory, host, packet)
        if tenure and at < tenure.told and at < days.until - 2 * EVERY_INTERIM * SECOND:
            tally.due += 1
            tally.certain += certain(row) == tenure.ident
            if profile == "whole" and certain(row) != tenure.ident:
                tally.wrong.append(("customer: not named", f"nothing is missing, and it was {tenure}", host, at, second, row))
    return days, tally


def cases(seed):
    """The simulations of a seed: profile, and whether a recorder's lines stand for the files of servers."""
    return [(seed, profile, recorded) for profile, rates in PROFILES.items() for recorded in (False, True)
            if recorded or not rates.gaps + rates.clocks or profile == "wild"]


class Hours:
    """Simulation after simulation, until the time is over or one finds something."""

    def __init__(self, build, old):
        self.ctl, self.old = pathlib.Path(build) / "detnatctl", old
        self.sums = collections.defaultdict(Tally)
        self.hours = collections.Counter()

    def once(self, case, hours):
        seed, profile, recorded = case
        with tempfile.TemporaryDirectory(prefix="detnat-hours.") as folder:
            directory = pathlib.Path(folder) / "state"
            _, tally = one(directory, self.ctl, seed, profile, int(hours * 3600), recorded, self.old)
            floor = FLOORS.get(profile, 0) * tally.due
            if tally.certain < floor:
                tally.wrong.append(("customer: below the floor", str(tally), None, 0, 0, {}))
            text = show(tally.wrong[0], directory) if tally.wrong else ""
        return tally, text

    def shorter(self, case, hours, oracle):
        """The fewest hours that show the same; the report of these."""
        best, text = hours, ""
        for fewer in (hours / 2, hours / 4, hours / 8, hours / 16):
            tally, said = self.once(case, fewer)
            if any(it[0] == oracle for it in tally.wrong):
                best, text = fewer, said
        return best, text

    def run(self, seed, seconds, profile, go_on):
        end, failed = time.monotonic() + seconds, 0
        while time.monotonic() < end and (go_on or not failed):
            for case in cases(seed):
                if time.monotonic() > end or profile not in ("all", case[1]) or failed and not go_on:
                    continue
                name = f"{case[1]}, {'recorder' if case[2] else 'imports'}"
                tally, text = self.once(case, HOURS)
                self.sums[name].add(tally)
                self.hours[name] += HOURS
                if tally.wrong:
                    failed += 1
                    self.report(case, name, tally, text)
            seed += 1
        self.summary()
        return 1 if failed else 0

    def report(self, case, name, tally, text):
        found = collections.Counter(it[0] for it in tally.wrong)
        hours, shorter = self.shorter(case, HOURS, tally.wrong[0][0])
        print(f"world: FOUND, seed {case[0]}, mode hours, {name}: {dict(found)}, the same with {hours:g} of {HOURS} hours\n{shorter or text}\n"
              f"to do it again: world.py --mode hours --seed {case[0]} --profile {case[1]}", flush=True)

    def summary(self):
        for name, tally in self.sums.items():
            print(f"world: hours, {name}: {self.hours[name]} h, {tally}", flush=True)


def show(wrong, directory):
    oracle, text, host, at, second, row = wrong
    if host is None:
        return f"  {oracle}: {text}"
    said = json.dumps({k: v for k, v in row.items() if "customer" in k or k == "others"})
    return (f"  {oracle}: {addr_of(host)} at {stamp(second)} ({at / 1e9:.3f}): {text}\n    it said: {said}\n    recorded:\n"
            + lines_about(directory, addr_of(host), second, 24))
