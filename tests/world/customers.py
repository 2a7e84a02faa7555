# SPDX-License-Identifier: BSD-2-Clause
"""Customers behind the inside addresses of a world, the servers that give them these addresses and tell of it, and what `who` must say.

Access servers send their accounting to the listeners of the gateways, and ask again until they are answered, for a while. DHCP servers
run on the gateway, by its clock, and write their files there. All of it happens in the thread of the traffic.
"""

import collections
import contextlib
import json
import random
import shutil
import socket
import time

import lease_texts as texts
from frames import endpoint, text
from judge import SECOND, certain, judge, lines_about, single
from lease_texts import INTERIM, OFF, ON, START, STOP
from tenures import Memory

MS = 1_000_000
PORT, OTHER_PORT = 1813, 1814
SECRETS = {PORT: "world 1813", OTHER_PORT: "world 1814"}
EVERY_INTERIM, TERM = 4, 8  # seconds
AGAIN, PATIENCE = 1.3, 9.0  # after how many seconds a request is sent again, and given up
KNOWN = 15  # seconds in which a file is certainly read, if ever
DUE = 16  # seconds after which an answer about a packet is as certain as it will be
LOOK = 0.1
MOST_DUE, QUESTIONS = 20_000, 3000
RATES = {"whole": (0.0, 0.0, 0.0), "lossy": (0.01, 0.01, 0.01), "wild": (0.15, 0.15, 0.1)}  # of records that are lost, late, doubled
FLOORS = {"whole": 1.0, "lossy": 0.97}


def sources(directory):
    """The sources of leases of a gateway, with their files in a directory."""
    found = []
    for port, secret in SECRETS.items():
        path = directory / f"secret{port}"
        path.write_text(secret + "\n")
        path.chmod(0o600)
        found.append({"type": "radius", "listen": f"127.0.0.1:{port}", "secret_file": str(path)})
    return [*found, {"type": "kea-csv", "path": str(directory / "kea-leases4.csv")}, {"type": "dnsmasq", "path": str(directory / "dnsmasq.leases")}]


class Record:
    """What an access server tells of an event."""

    def __init__(self, kind, server, session=None):
        self.kind, self.server, self.session, self.at = kind, server, session, time.time_ns()

    def packet(self, port, identifier, secret=None):
        """The delay is that of this sending; a server that says when it was has waited for nothing, as it goes on to say."""
        server, session, more = self.server, self.session, {}
        if session:
            more = {"user": session.tenure.ident, "session": session.number, "addr": text(session.tenure.host), "interval": EVERY_INTERIM}
            if self.kind != START:
                more["session_time"] = (self.at - session.tenure.begin) // SECOND
        told = {"event": self.at // SECOND + server.customers.offset} if server.by_event else {"delay": (time.time_ns() - self.at) // SECOND}
        return texts.packet(self.kind, server.address, secret or SECRETS[port], identifier, **told, **more)

    def answered(self):
        if self.session:
            self.session.tenure.heard(self.at, time.time_ns())


class Post:
    """The way from an access server to a listener of a gateway."""

    def __init__(self, gateway, server, port):
        self.to, self.port, self.waiting, self.identifier = ("127.0.0.1", port), port, {}, 0
        with gateway.gw.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((server.address, 0))
        self.socket.setblocking(False)
        self.sent = collections.deque(maxlen=400)

    def put(self, octets):
        with contextlib.suppress(OSError):
            self.socket.sendto(octets, self.to)

    def send(self, record, first=None):
        now, octets = time.monotonic(), record.packet(self.port, self.identifier)
        self.waiting[self.identifier] = record, first or now, now
        self.identifier = (self.identifier + 1) % 256
        self.sent.append((now, octets))
        self.put(octets)

    def work(self):
        with contextlib.suppress(OSError):
            while True:
                answer = self.socket.recv(4096)
                record, _, _ = self.waiting.pop(answer[1], (None, 0, 0))
                if record:
                    record.answered()
        now = time.monotonic()
        for identifier, (record, first, last) in list(self.waiting.items()):
            if now - last > AGAIN:
                del self.waiting[identifier]
                if now - first < PATIENCE:
                    self.send(record, first)


class Session:
    def __init__(self, tenure, number, dice):
        self.tenure, self.number, self.dice, self.told = tenure, number, random.Random(dice), tenure.begin


class Server:
    """An access server. Its numbers of sessions are of one kind: each once, by port, or a few in turns."""

    def __init__(self, customers, number, numbering, by_event, gateways, ports):
        self.customers, self.numbering, self.by_event = customers, numbering, by_event
        self.address, self.count, self.sessions = f"127.0.1.{number + 1}", 0, {}
        self.posts = [Post(gateway, self, port) for gateway in gateways for port in ports]

    def number(self, host):
        used = {session.number for session in self.sessions.values()}
        while True:
            self.count += 1
            number = {"serial": f"{self.count:08x}", "port": f"port{host:08x}", "wheel": str(self.count % 23)}[self.numbering]
            if number not in used:
                return number

    def send(self, record):
        for post in self.posts:
            post.send(record)

    def tell(self, kind, session=None):
        """A record, through whatever may happen to it on its way."""
        record, (lost, late, doubled) = Record(kind, self, session), self.customers.rates
        dice = session.dice if session else self.customers.dice
        fate, wait = dice.random(), dice.uniform(1.0, 6.0)
        if fate < lost:
            return
        if fate < lost + late:
            self.customers.traffic.at(wait, self.send, record)
        else:
            self.send(record)
        if dice.random() < doubled:
            self.customers.traffic.at(wait / 3, self.send, record)

    def login(self, host, ident, lasts, dice):
        session = Session(self.customers.memory.come(host, ident, time.time_ns()), self.number(host), dice)
        self.sessions[host] = session
        self.tell(START, session)
        self.customers.traffic.at(EVERY_INTERIM, self.interim, host, session)
        self.customers.traffic.at(lasts, self.logout, host, session)

    def interim(self, host, session):
        if self.sessions.get(host) is session:
            session.told = time.time_ns()
            self.tell(INTERIM, session)
            self.customers.traffic.at(EVERY_INTERIM, self.interim, host, session)

    def logout(self, host, session=None):
        """It is over once that is told, be it in vain."""
        there = self.sessions.get(host)
        if there and session in (None, there):
            self.tell(STOP, there)
            self.end(host)

    def end(self, host):
        del self.sessions[host]
        self.customers.memory.go(host, time.time_ns())

    def restart(self, says):
        for host in list(self.sessions):
            self.sessions[host].tenure.told = self.sessions[host].told
            self.end(host)
        if says != "nothing":
            self.tell(OFF if says == "off" else ON)


class Dhcp:
    """Kea or dnsmasq, by the clock of its gateway: an address is for nobody else within its term, unless it is released."""

    def __init__(self, customers, gateway, kind):
        self.customers, self.gateway, self.kind = customers, gateway, kind
        self.path = gateway.directory / ("kea-leases4.csv" if kind == "kea" else "dnsmasq.leases")
        self.leases = {}  # host: [tenure, second of the end, time of the next renewal, time when it leaves, how]
        self.path.write_text(texts.KEA_COLUMNS if kind == "kea" else "")

    def clock(self):
        return time.time_ns() // SECOND + self.gateway.shift

    def write(self, host, mac, *row):
        if self.kind == "kea":
            with open(self.path, "a", encoding="ascii") as file:
                file.write(texts.kea(text(host), mac, *row))
            return
        with open(self.path, "r+", encoding="ascii") as file:
            file.truncate(0)
            file.write(texts.dnsmasq((text(h), tenure.ident, end) for h, (tenure, end, *_) in self.leases.items()))

    def come(self, host, mac, lasts, ends):
        now = time.monotonic()
        if host in self.leases:
            return
        tenure = self.customers.memory.come(host, mac, time.time_ns())
        self.leases[host] = [tenure, 0, 0.0, now + lasts, ends]
        self.renew(host)

    def renew(self, host):
        lease, second = self.leases[host], self.clock()
        lease[1], lease[2] = second + TERM, time.monotonic() + TERM / 2
        self.write(host, lease[0].ident, TERM, lease[1])
        if self.kind == "kea":
            lease[0].heard(time.time_ns(), time.time_ns() + KNOWN * SECOND)

    def gone(self, host, *row):
        tenure = self.leases.pop(host)[0]
        self.write(host, tenure.ident, *row)
        self.customers.memory.go(host, time.time_ns())

    def work(self):
        for host, (_, end, renewal, leaves, how) in list(self.leases.items()):
            now = time.monotonic()
            if self.clock() > end:
                self.gone(host, TERM, end, texts.KEA_RECLAIMED)
            elif now > leaves and how == "release":
                self.gone(host, 0, end - TERM)
            elif renewal < now < leaves:
                self.renew(host)

    def rotate(self):
        """Kea's cleanup: what is there now goes into a file of its own, and a new one begins."""
        if self.kind == "kea":
            self.path.rename(self.path.with_name(self.path.name + ".2"))
            self.path.write_text(texts.KEA_COLUMNS)


class Customers:
    def __init__(self, world):
        self.world, self.traffic, self.counts = world, world.traffic, world.counts
        self.kind = world.header["customers"]
        self.rates, self.dice = RATES[self.kind], random.Random(world.header["seed"] ^ 0xC057)
        self.memory, self.offset = Memory(), world.gateways[0].shift
        self.due, self.copies = collections.deque(maxlen=MOST_DUE), 0
        self.seen = collections.Counter()  # (what, source)
        gateways = world.gateways
        self.servers = [Server(self, 0, "serial", False, gateways, (PORT, OTHER_PORT)), Server(self, 1, "port", False, gateways, (PORT,)),
                        Server(self, 2, "wheel", True, gateways, (PORT,))]
        self.dhcp = [Dhcp(self, gateways[0], kind) for kind in ("kea", "dnsmasq")]
        self.traffic.at(LOOK, self.work)

    def work(self):
        for server in self.servers:
            for post in server.posts:
                post.work()
        for server in self.dhcp:
            server.work()
        if not self.traffic.ending.is_set():
            self.traffic.at(LOOK, self.work)

    # ---- what happens

    def comes(self, host, ident, server, lasts, dice):
        for other in self.servers:
            other.logout(host)
        if not self.memory.now(host):
            self.servers[server].login(host, ident, lasts, dice)

    def replayed(self, nth, other):
        """Somebody sends what he has recorded, from where it came or from elsewhere."""
        posts = [post for server in self.servers for post in server.posts]
        old = [(post, octets) for post in posts for at, octets in post.sent if at < time.monotonic() - 5]
        if old:
            post, octets = old[nth % len(old)]
            ways = [it for it in posts if it.port == post.port and (it is not post) == other]
            (ways or [post])[nth % max(1, len(ways))].put(octets)

    def forged(self, host, server, how):
        """A request with a secret that is guessed, or that is no request."""
        session = Session(Memory().come(host, "forged", time.time_ns() - 3 * SECOND), "1", 0)
        post, record = self.servers[server].posts[0], Record(START, self.servers[server], session)
        octets = record.packet(post.port, 255, "guessed" if how == "secret" else None)
        post.put(octets if how == "secret" else octets[:-1] if how == "short" else octets[:20] + b"\x01\x01" + octets[22:])

    # ---- what is asked

    def judge(self, truth, key, senders, rows, again):
        """The customers in answers of `who` about what left as one endpoint in one second."""
        now = time.time_ns()
        for second, row in rows:
            self.judge_row(truth, key, senders, second, row, now)
        if not again and len(senders) == 1 and len(key[0]) == 1:
            (host, (sent, at, _)), = senders.items()
            self.due.append((truth, key, host, sent, max(sent, at)))

    def judge_row(self, truth, key, senders, second, row, now, source=""):
        named = row.get("in_addr")
        host = next((host for host in senders if text(host) == named), None)
        if host is None or "customer" not in row:
            return
        sent, at, _ = senders[host]
        moments = truth.moments(second)
        if not any(begin <= at and end >= sent for begin, end in moments):
            return
        found = judge(self.memory, host, moments, (sent, max(sent, at)), row, now)
        if found and (len(key[0]) == 1 or found[0].endswith("wrong name") and certain(row) not in self.around(host, key, truth)):
            said = {k: v for k, v in row.items() if "customer" in k or k == "others"}
            self.world.fail(found[0], f"{text(host)} as {endpoint(*key[1:])} at {texts.stamp(second)} (gateway {truth.gateway.number}{source}), sent "
                            f"{sent / 1e9 % 100000:.3f}, seen {at / 1e9 % 100000:.3f}: {found[1]}\n    it said {json.dumps(said)}\n    recorded, where the "
                            f"clock is {truth.gateway.shift} s ahead:\n" + lines_about(truth.gateway.agent.state, text(host), second, 40))

    def around(self, host, key, truth):
        return {tenure.ident for second in key[0] for moments in truth.moments(second) for tenure in self.memory.had(host, *moments)}

    def ask_due(self):
        """Asks again about packets that are older than one interim, in turns of the files beside the agent and of a copy of them."""
        horizon, asked = time.time_ns() - DUE * SECOND, collections.defaultdict(list)
        while self.due and self.due[0][3] < horizon:
            it = self.due.popleft()
            asked[it[0]].append(it)
        for truth, questions in asked.items():
            if len(questions) > QUESTIONS:
                questions = self.dice.sample(questions, QUESTIONS)
            self.copies += 1
            state, source = truth.gateway.agent.state, ""
            if self.copies % 2:
                state, source = self.copy(truth.gateway), ", from a copy"
            self.ask_all(truth, questions, state, source)
            self.evidence(truth, questions[-1], state)

    def copy(self, gateway):
        to = gateway.directory / "copy"
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir()
        for path in (*gateway.agent.state.glob("leases*"), *gateway.agent.state.glob("history*")):
            if path.is_file():
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(path, to / path.name)
        return to

    def ask_all(self, truth, questions, state, source):
        lines = "".join(f"{texts.stamp(key[0][0])} {endpoint(*key[1:])}\n" for _, key, *_ in questions)
        status, out, err = truth.gateway.command("who", "-", "--state-dir", state, "--margin", 0, text=lines)
        if status not in (0, 1):
            self.world.fail("who", f"exit {status} {source}\n{err}")
            return
        now = time.time_ns()
        for (_, key, host, sent, at), row in zip(questions, json.loads(out)):
            self.counts["questions about customers again"] += 1
            self.judge_row(truth, key, {host: (sent, at, 0)}, key[0][0], row, now, source)
            tenure = single(self.memory, host, (sent, at))
            if tenure and at < tenure.told and row.get("in_addr") == text(host) and "holders" not in row:
                of = self.source_of(host)
                self.seen["due", of] += 1
                self.seen["named", of] += certain(row) == tenure.ident
                if self.kind == "whole" and certain(row) != tenure.ident and self.is_floor():
                    self.world.fail("customer: not named", f"{text(host)} at {texts.stamp(key[0][0])}{source}: nothing is missing, and it was {tenure}, "
                                    f"sent {sent / 1e9 % 100000:.3f}\n    it said {json.dumps({k: v for k, v in row.items() if 'customer' in k})}\n"
                                    + lines_about(truth.gateway.agent.state, text(host), key[0][0], 40))

    def source_of(self, host):
        return "RADIUS" if host >> 8 != 0x0A0200 else "Kea" if host % 2 else "dnsmasq"

    def is_floor(self):
        """Whether nothing happens but to records."""
        return self.kind in FLOORS and len(self.world.gateways) == 1 and not {"kill", "clock", "slow_disk", "reboot"} & set(self.world.planner.weights)

    def evidence(self, truth, question, state):
        """The same answer is handed over as evidence."""
        _, key, host, sent, at = question
        folder, words = truth.gateway.directory / "evidence", (endpoint(*key[1:]), "--at", texts.stamp(key[0][0]), "--state-dir", state)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        status, out, err = truth.gateway.command("evidence", f"case-{self.copies}", *words, "--directory", folder)
        if status not in (0, 1):
            self.world.fail("evidence", f"exit {status}: {' '.join(map(str, words))}\n{out}{err}")
            return
        self.counts["evidence made"] += 1
        self.judge_row(truth, key, {host: (sent, at, 0)}, key[0][0], json.loads(out), time.time_ns(), ", in evidence")

    def finish(self):
        """The figures, and whether they are above the floor."""
        self.ask_due()
        due = sum(n for (what, _), n in self.seen.items() if what == "due")
        named = sum(n for (what, _), n in self.seen.items() if what == "named")
        self.counts["packets of one customer, older than an interim"], self.counts["of them named for certain"] = due, named
        if self.is_floor() and named < FLOORS[self.kind] * due:
            self.world.fail("customer: below the floor", f"{named} of {due} packets have a customer: {dict(self.seen)}")

    def summary(self):
        return [f"customers ({self.kind}) by {of}: of {self.seen['due', of]} packets that are older than an interim or in a term, and one customer's, "
                f"{self.seen['named', of]} name it for certain: {100 * self.seen['named', of] / max(1, self.seen['due', of]):.2f} %"
                for of in ("RADIUS", "Kea", "dnsmasq")]
