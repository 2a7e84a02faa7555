# SPDX-License-Identifier: BSD-2-Clause
"""What must hold in a world, whatever happens. Each oracle goes by what was sent and what was seen on the wires."""

import collections
import itertools
import json
import re
import struct
import time

import frames
import pcp_client
from frames import DOWN, FORGED, HAIRPIN, LAST, OF_SUBSCRIBER, PROTO_NAMES, STRAIGHT, STRANGER
from model import SECOND, covers, prefix

MS = 1_000_000
INSIDE = (frames.number("10.0.0.0"), 8)
ADDRESS = re.compile(r"^(\d+\.\d+\.\d+\.\d+)(:\d+)?$")
AGE_OF_QUESTION = 3 * SECOND  # before a packet's sender is asked for
AMBIGUOUS = 2 * SECOND + 500 * MS  # around a change, in which more than one may be named
MARK_LIFE = 65  # seconds before a reboot of which there may be no record
PATIENCE = 8  # seconds in which one of two gateways hears what the other has
LEAST_QUOTA = 40  # of those that the operator sets
QUESTIONS = 4000  # in one batch


class Failure(Exception):
    """An oracle was contradicted."""

    def __init__(self, oracle, text):
        super().__init__(f"{oracle}: {text}")
        self.oracle, self.text = oracle, text


def stamp(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def clock(at):
    return time.strftime("%H:%M:%S", time.gmtime(at // SECOND)) + f".{at % SECOND // 1000:06d}"


class Truth:
    """Of one gateway: who sent what left, by the second of its clock, until `who` was asked."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.shifts = [(0, 0, gateway.shift)]  # (from, until it certainly holds, seconds)
        self.asked = collections.OrderedDict()  # (seconds, address, port): {sender: time}
        self.kept = []  # for the end
        self.doubled = []  # (first, last) second of the clock that came twice
        self.unrecorded = []  # (first, last) second of which there may be no record

    def seconds(self, begin, end):
        """The seconds that the gateway's clock may have shown between two times."""
        found = set()
        for n, (first, _, shift) in enumerate(self.shifts):
            last = self.shifts[n + 1][1] if n + 1 < len(self.shifts) else end
            if first <= end and last >= begin:
                found.update(range(max(begin, first) // SECOND + shift, min(end, max(last, first)) // SECOND + shift + 1))
        return tuple(sorted(found))

    def moments(self, second):
        """The times at which the gateway's clock may have shown a second."""
        found = []
        for n, (first, _, shift) in enumerate(self.shifts):
            last = self.shifts[n + 1][1] if n + 1 < len(self.shifts) else 1 << 62
            begin, end = (second - shift) * SECOND, (second - shift + 1) * SECOND - 1
            if end >= first and begin <= last:
                found.append((max(begin, first), min(end, last)))
        return found

    def stepped(self, begin, end, before, after):
        self.shifts.append((begin, end, after))
        if after < before:
            self.doubled.append((begin // SECOND + after - 2, end // SECOND + before + 2))
        if len(self.shifts) > 64:
            self.shifts = [self.shifts[-64], *self.shifts[-63:]]

    def note(self, seen):
        key = self.seconds(seen.sent, max(seen.at, seen.sent)), seen.src, seen.sport
        self.asked.setdefault(key, {}).setdefault(seen.host, (seen.sent, seen.at, seen.proto))


def names(row):
    """All inside addresses that an answer names, whatever its keys."""
    found = set()

    def walk(value, key):
        if isinstance(value, dict):
            for k, v in value.items():
                if k not in ("out_addr", "mapping", "error", "text", "time"):
                    walk(v, k)
        elif isinstance(value, list):
            for v in value:
                walk(v, key)
        elif isinstance(value, str) and (match := ADDRESS.match(value)) and not key.startswith("out"):
            found.add(frames.number(match.group(1)))
    walk(row, "")
    return found


class Oracles:
    def __init__(self, world):
        self.world, self.model, self.traffic = world, world.model, world.traffic
        self.truth = [Truth(gateway) for gateway in world.gateways]
        self.counts = world.counts
        self.leased, self.unleased = {}, {}  # (proto, inside endpoint): when granted and until when; when it was ended
        self.full, self.counted = set(), 0
        self.limited = {}  # (gateway, subscriber, protocol): (what was set then, sessions)
        self.kills = []  # when agents were killed, lately
        self.ended = {}  # (proto, inside, external, outside): since; must not be there any more

    def fail(self, oracle, text):
        self.world.fail(oracle, text)

    # ---- what was seen on the wires

    def consume(self, until):
        """Looks at all that came before `until`, at which the model was up to date."""
        traffic = self.traffic
        while traffic.outside and traffic.outside[0].at < until:
            self.outside(traffic.outside.popleft())
        while traffic.inside and traffic.inside[0].at < until:
            self.inside(traffic.inside.popleft())
        self.leases()

    def leases(self):
        """Answers of the PCP server: each port that is granted is the client's."""
        while self.traffic.pcp:
            at, host, _, octets = self.traffic.pcp.popleft()
            self.counts["answers of PCP"] += 1
            try:
                answer = pcp_client.decode(octets)
            except (AssertionError, IndexError, KeyError, struct.error) as error:
                self.fail("PCP", f"a malformed answer to {frames.text(host)}: {error!r}")
                continue
            if answer.result != "SUCCESS" or len(octets) < 60:
                continue
            key = proto, inside = PROTO_NAMES.get(octets[36], "udp"), (host, struct.unpack_from("!H", octets, 40)[0])
            if not answer.lifetime:
                self.unleased[key] = at
                self.leased.pop(key, None)
                continue
            self.leased[key] = at, at + answer.lifetime * SECOND
            self.unleased.pop(key, None)
            if not answer.out:
                continue
            outside = frames.number(answer.out[0]), answer.out[1]
            if not self.model.may_use(proto, inside, outside, at - SECOND, at):
                self.fail("PCP", f"{frames.text(host)} was granted {frames.endpoint(*outside)}; its own: {self.model.blocks(host, at - SECOND, at)}")

    def describe(self, seen):
        return (f"{PROTO_NAMES.get(seen.proto, seen.proto)} {frames.endpoint(seen.src, seen.sport)} > {frames.endpoint(seen.dst, seen.dport)} "
                f"by {seen.wire} of gateway {seen.gateway} at {clock(seen.at)}, {frames.KINDS.get(seen.kind, 'without a mark')}"
                f"{', a later fragment' if seen.offset else ''}")

    def outside(self, seen):
        model = self.model
        self.counts["packets outside"] += 1
        if not seen.good:
            self.fail("checksum", self.describe(seen))
        for addr in (seen.src, *((seen.error[0], seen.error[2]) if seen.error else ())):
            if covers(INSIDE, addr) and (self.is_translated(addr, seen) or self.must_be_dropped(addr, seen)):
                self.fail("inside address outside", self.describe(seen))
        if seen.error or seen.kind not in OF_SUBSCRIBER:
            return
        begin = seen.sent - MS
        if covers(INSIDE, seen.src):
            return
        port = None if seen.offset else seen.sport
        proto = PROTO_NAMES[seen.proto]
        if not model.may_use(proto, (seen.host, seen.port), (seen.src, port), begin, seen.at):
            owners = sorted({frames.text(o) for held in model.held(begin, seen.at) if (o := held.owner(seen.src, port or 0)) is not None})
            self.fail("wrong endpoint", f"{frames.endpoint(seen.host, seen.port)} left as {self.describe(seen)}: that is "
                      f"{', '.join(owners) or 'nobody'}'s; its own: "
                      f"{[(frames.text(a), lo, lo + n - 1) for a, lo, n in model.blocks(seen.host, begin, seen.at)]}")
        if port is None:
            return
        self.truth[seen.gateway].note(seen)
        if seen.kind != HAIRPIN:
            self.of_flow(seen)

    def is_translated(self, addr, seen):
        """Whether a mapping certainly has an inside address all the time around a packet."""
        begin, end = min(seen.sent or seen.at, seen.at) - SECOND, seen.at
        here = [held for held in self.model.held(begin, end) if covers(held.inside, addr)]
        certain = any(held.settled < begin and not held.draining for held in here) and all(held.outside for held in here)
        return certain and self.model.quiet(begin, end)

    def must_be_dropped(self, addr, seen):
        """`unmatched` is "drop-private": without a mapping nothing leaves, as long as all interfaces have their roles."""
        begin, end = min(seen.sent or seen.at, seen.at) - SECOND, seen.at
        return not self.world.is_exposed(begin, end) and not self.model.untranslated(addr, begin, end)

    def of_flow(self, seen):
        flow = self.traffic.flows.get(seen.flow)
        if flow is None:
            return
        outside = seen.src, seen.sport
        if flow.cert == "yes" and flow.drain_end and seen.at > flow.drain_end - SECOND:
            flow.cert, flow.reason, flow.since = "maybe", "its drain ended", flow.drain_end
        if flow.cert == "yes" and outside != flow.outside and seen.sent > flow.since:
            self.fail("session moved", f"{flow} left as {frames.endpoint(*outside)} at {clock(seen.at)}; nothing ended it since {clock(flow.since)}")
            flow.cert, flow.since = "maybe", seen.at
        if not flow.opened:
            flow.opened = seen.at
        flow.gateways[seen.gateway] = seen.at
        flow.last_up = max(flow.last_up, seen.at)
        if seen.sent > flow.since and flow.cert != "no":
            flow.outside = outside
            closed = flow.cert == "maybe" and flow.state == "over" and flow.reason == "closed"
            if closed and seen.kind == LAST and self.model.quiet(seen.sent - 4 * SECOND, seen.at) and self.ends_everywhere(flow):
                flow.cert, flow.since = "no", seen.at
            elif flow.cert == "maybe" and flow.state == "established" and flow.last_down > max(flow.since, seen.sent) and self.has_session(flow) \
                    and not self.model.drains(flow.host, outside):
                flow.cert, flow.reason, flow.since, flow.copied = "yes", "", seen.at, set()
        self.ended.pop((PROTO_NAMES[flow.proto], flow.host, flow.port, flow.ext, flow.eport, outside), None)

    def has_session(self, flow):
        """Open and untranslated subscribers have none, nor has what leaves by a portmap; one that drains may end any time."""
        held = self.model.effective(flow.host)
        if held is None or held.inbound != "sessions":
            return False
        now = time.time_ns()
        return not self.model.portmapped(PROTO_NAMES[flow.proto], (flow.host, flow.port), now - 5 * SECOND, now)

    def inside(self, seen):
        model = self.model
        self.counts["packets inside"] += 1
        if not seen.good:
            self.fail("checksum", self.describe(seen))
        if seen.error:
            if seen.kind in OF_SUBSCRIBER and seen.dst != seen.host and not seen.offset:
                self.fail("wrong host", f"an ICMP error about {frames.endpoint(seen.host, seen.port)} came as {self.describe(seen)}")
            return
        around = seen.sent - 50 * MS, seen.at
        if seen.kind == DOWN:
            right = seen.dst == seen.host and (seen.offset or seen.dport == seen.port)
            if not right and model.quiet(*around):
                self.fail("wrong host", f"an answer to {frames.endpoint(seen.host, seen.port)} came as {self.describe(seen)}")
        elif seen.kind == FORGED:
            self.fail("forged source", f"sent by inside host {frames.text(seen.host)}, came as {self.describe(seen)}")
        elif seen.kind == STRAIGHT:
            held = model.effective(seen.dst)
            if held and held.outside and held.settled < seen.sent and model.quiet(seen.sent - SECOND, seen.at):
                self.fail("straight in", self.describe(seen))
        elif seen.kind == STRANGER:
            if not self.lets_in(seen, *around):
                self.fail("stranger let in", f"sent to {frames.endpoint(seen.host, seen.port)}, came as {self.describe(seen)}")
        elif seen.kind == HAIRPIN:
            target = seen.flow, seen.number
            if not model.may_use(PROTO_NAMES[seen.proto], (seen.host, seen.port), (seen.src, None if seen.offset else seen.sport), *around):
                self.fail("wrong endpoint", f"{frames.endpoint(seen.host, seen.port)} reached a neighbour as {self.describe(seen)}")
            ours = model.may_use(PROTO_NAMES[seen.proto], (seen.dst, seen.dport), target, *around)
            if not ours and seen.dst not in model.port_owners(target, *around):
                self.fail("wrong host", f"a hairpin to {frames.endpoint(*target)} came as {self.describe(seen)}")

    def lets_in(self, seen, begin, end):
        """Whether a packet that nobody asked for may have come to this host."""
        target, proto = (seen.host, seen.port), PROTO_NAMES[seen.proto]
        if seen.dst in self.model.port_owners(target, begin, end):
            return True
        for held in self.model.held(begin, end):
            block = held.block(seen.dst) if covers(held.inside, seen.dst) else None
            if block and block[0] == target[0] and block[1] <= target[1] < block[1] + block[2]:
                if held.inbound == "open" or proto in held.eif or proto in held.eif_before:
                    return True
        return False

    # ---- who

    def ask(self, everything=False):
        """Asks the history for the senders of what left some seconds ago."""
        now = time.time_ns()
        for truth in self.truth:
            questions = []
            while truth.asked and len(questions) < QUESTIONS:
                key, senders = next(iter(truth.asked.items()))
                if not everything and max(at for _, at, _ in senders.values()) > now - AGE_OF_QUESTION:
                    break
                truth.asked.pop(key)
                questions.append((key, senders))
            if everything:
                questions += truth.kept
            elif questions:
                step = max(1, len(questions) // 60)
                truth.kept = truth.kept[-6000:] + questions[::step]
            if questions:
                self.compare(truth, questions, everything)

    def asks_later(self):
        """Whether there are questions about packets that left so shortly ago that ask() leaves them for later."""
        return any(truth.asked for truth in self.truth)

    def compare(self, truth, questions, again):
        lines, places = [], []
        for n, ((seconds, addr, port), _) in enumerate(questions):
            for second in seconds:
                lines.append(f"{stamp(second)} {frames.endpoint(addr, port)}")
                places.append((n, second))
        status, out, err = truth.gateway.command("who", "-", "--state-dir", truth.gateway.agent.state, text="\n".join(lines) + "\n")
        if status not in (0, 1):
            self.fail("who", f"exit {status}\n{err}")
            return
        rows = json.loads(out)
        if len(rows) != len(lines):
            self.fail("who", f"{len(rows)} answers to {len(lines)} questions")
            return
        answers = collections.defaultdict(list)
        for (n, second), row in zip(places, rows):
            answers[n].append((second, row))
        for n, (key, senders) in enumerate(questions):
            self.judge(truth, key, senders, answers[n], again)
        if again:
            self.compare_elsewhere(truth, questions)

    def judge(self, truth, key, senders, rows, again):
        self.counts["questions of who"] += 1
        if self.world.customers:
            self.world.customers.judge(truth, key, senders, rows, again)
        named = set().union(*(names(row) for _, row in rows))
        shown = "; ".join(f"at {stamp(second)}: {json.dumps({k: v for k, v in row.items() if k not in ('line', 'time', 'out_addr', 'out_port')})}"
                          for second, row in rows)
        for sender, (sent, at, proto) in senders.items():
            if sender in named:
                continue
            if any(row.get("reason") == "no-record" and self.may_lack(truth, second) for second, row in rows):
                continue
            self.fail("who: wrong name" if named else "who: no name",
                      f"{frames.text(sender)} left as {frames.endpoint(*key[1:])} by {PROTO_NAMES[proto]} at {clock(at)} "
                      f"(gateway {truth.gateway.number}, seconds {[stamp(s) for s in key[0]]}{', asked again at the end' if again else ''}): {shown}")
        strangers = named - set(senders)
        if strangers and len(key[0]) == 1 and self.certain(truth, key[0][0], senders):
            owners = set()
            for sent, at, _ in senders.values():
                owners.update(self.model.port_owners(key[1:], sent - SECOND, at + SECOND))
            if strangers - owners:
                self.fail("who: too many names", f"{', '.join(map(frames.text, senders))} alone had {frames.endpoint(*key[1:])} "
                          f"at {stamp(key[0][0])}, and nothing changed around it: {shown}")

    def compare_elsewhere(self, truth, questions):
        """What left by one gateway, asked at the others: the same name, or that there is no record; never another name, nor that nobody had it."""
        for other in self.truth:
            same = [(key, senders) for key, senders in questions if len(key[0]) == 1 and other.seconds(*self.of_senders(senders)) == key[0]
                    and self.certain(truth, key[0][0], senders) and self.certain(other, key[0][0], senders)
                    and not any(self.model.port_owners(key[1:], sent - SECOND, at + SECOND) for sent, at, _ in senders.values())]
            if other is truth or not same:
                continue
            lines = [f"{stamp(key[0][0])} {frames.endpoint(*key[1:])}" for key, _ in same]
            status, out, err = other.gateway.command("who", "-", "--state-dir", other.gateway.agent.state, text="\n".join(lines) + "\n")
            if status not in (0, 1):
                self.fail("who", f"exit {status}\n{err}")
                return
            for (key, senders), row in zip(same, json.loads(out)):
                self.counts["questions of who elsewhere"] += 1
                named = names(row)
                granted = self.newly_granted(key, senders)
                if named == set(senders) or (not named and row.get("reason") == "no-record") or (granted and not named):
                    continue
                self.fail("who elsewhere", f"{', '.join(map(frames.text, senders))} left as {frames.endpoint(*key[1:])} by gateway {truth.gateway.number} at "
                          f"{stamp(key[0][0])}; gateway {other.gateway.number} says {json.dumps(row)}")

    @staticmethod
    def of_senders(senders):
        return min(sent for sent, _, _ in senders.values()), max(at for _, at, _ in senders.values())

    def newly_granted(self, key, senders):
        """Whether it left by a block that others may have heard of only then."""
        begin, end = self.of_senders(senders)
        grants = [it for it in (*self.model.grants.values(), *self.model.past_grants) if it.outside[0] == key[1] and it.outside[1] <= key[2] <= it.outside[2]]
        return any(it.begin > begin - PATIENCE * SECOND and it.begin <= end for it in grants) or any(
            begin - PATIENCE * SECOND < it.end <= end + SECOND for it in grants)

    def may_lack(self, truth, second):
        return any(first <= second <= last for first, last in truth.unrecorded)

    def certain(self, truth, second, senders):
        if any(first <= second <= last for first, last in truth.doubled):
            return False
        return all(self.model.quiet(sent - AMBIGUOUS, at + AMBIGUOUS) for sent, at, _ in senders.values())

    # ---- at quiet points

    def check(self, gateway, ignored=()):
        for attempt in range(3):
            status, out, err = gateway.command("check")
            if status not in (0, 1) or not out:
                self.fail("check", f"gateway {gateway.number}: exit {status}: {err}")
                return
            findings = [f for f in json.loads(out)["findings"] if f["what"] not in ignored]
            if not findings:
                return
            self.counts["findings of check that may be of the moment"] += 1
            time.sleep(0.3)
        more = self.unlike() if any(f["what"] == "peer" for f in findings) else ""
        self.fail("check", f"gateway {gateway.number}, three times: {json.dumps(findings[:5])}{more}")

    def unlike(self):
        """How the sessions of gateways differ."""
        own, listed, said = {}, {}, ""
        for gateway in (truth.gateway for truth in self.truth if truth.gateway.running()):
            rows = gateway.ctl("session", "list")
            listed[gateway.number] = {(row["proto"], row["in_addr"], row["in_port"], row["ext_addr"], row["ext_port"]): row for row in rows}
            peers = gateway.ctl("peer", "list")
            said += f"\n    gateway {gateway.number} lists {len(rows)} sessions; its peers: {json.dumps(peers)}"
            for host in sorted({row["in_addr"] for row in rows}):
                status, out, _ = gateway.command("explain", host)
                own[gateway.number, host] = [part for part in out.split('"') if "cop" in part or "own" in part][:4] if not status else status
        for here, there in itertools.permutations(sorted(listed), 2):
            alone = [row for key, row in listed.get(here, {}).items() if key not in listed.get(there, {})]
            said += f"\n    gateway {here} lists {len(alone)} that gateway {there} does not: {json.dumps(alone[:8])}"
        return said + f"\n    {own}"

    def verify(self, gateway):
        status, out, err = gateway.command("history", "verify", "--state-dir", gateway.agent.state)
        found = json.loads(out) if out else {}
        if status or found.get("damage"):
            self.fail("history verify", f"gateway {gateway.number}: exit {status} {json.dumps(found)[:600]} {err}")

    def sessions(self, gateway, serving):
        """The listing against what flows know of themselves."""
        wrong, until = None, time.monotonic() + (1.2 if len(self.truth) == 1 else PATIENCE)
        while not wrong or time.monotonic() < until:
            now = time.time_ns()
            rows = gateway.ctl("session", "list")
            wrong = self.wrong_sessions(gateway, rows, now, serving)
            if not wrong:
                self.counts["sessions compared"] += len(rows)
                return
            time.sleep(0.4)
        for oracle, text, host in wrong[:3]:
            said = gateway.command("user", "show", frames.text(host))[1]
            has = [row for row in rows if frames.number(row["in_addr"]) == host]
            self.fail(oracle, f"{text}\n    {said}\n    it lists {len(has)} sessions of it: {json.dumps(has)}")

    def wrong_sessions(self, gateway, rows, now, serving):
        listed, wrong = {}, []
        for row in rows:
            key = (row["proto"], frames.number(row["in_addr"]), row["in_port"], frames.number(row["ext_addr"]), row["ext_port"])
            listed.setdefault(key, []).append((frames.number(row["out_addr"]), row["out_port"], row["state"]))
        self.counts["sessions listed, most"] = max(self.counts["sessions listed, most"], len(rows))
        latest = {flow.key(): flow for flow in self.traffic.flows.values()}
        for flow in latest.values():
            here = listed.get(flow.key(), [])
            if flow.cert == "yes" and flow.state == "established" and self.must_live(flow, now, gateway, serving):
                if not any((addr, port) == flow.outside for addr, port, _ in here):
                    wrong.append(("session is gone", f"gateway {gateway.number} does not list {flow}, last seen {clock(flow.last_up)}; "
                                  f"it lists {here}", flow.host))
            elif flow.cert == "no" and flow.since + 2 * SECOND < now and here:
                wrong.append(("ended session is back", f"gateway {gateway.number} lists {flow} as {here}", flow.host))
        for (proto, host, port, ext, eport, outside), since in list(self.ended.items()):
            here = listed.get((proto, host, port, ext, 0 if proto == "icmp" else eport), [])
            if since + 2 * SECOND < now and any((addr, p) == outside for addr, p, _ in here):
                wrong.append(("ended session is back", f"gateway {gateway.number} lists {proto} {frames.endpoint(host, port)} to "
                              f"{frames.endpoint(ext, eport)} as {frames.endpoint(*outside)}, {here}, which ended at {clock(since)}; "
                              f"the mapping now: {self.model.effective(host)}", host))
        return wrong

    def compare_leases(self, gateways):
        """Leases are listed by all gateways while they last, and by none once their client has ended them."""
        for _ in range(5):
            now, wrong = time.time_ns(), []
            for gateway in gateways:
                rows = gateway.ctl("portmap", "list")
                listed = {(row["proto"], (frames.number(row["in_addr"]), row["in_port"])) for row in rows if row["origin"] == "pcp"}
                wrong += [f"gateway {gateway.number} lists the lease of {key[0]} {frames.endpoint(*key[1])}, which its client ended at {clock(at)}"
                          for key, at in self.unleased.items() if key in listed and at < now - 2 * SECOND]
                wrong += [f"gateway {gateway.number} has no lease of {key[0]} {frames.endpoint(*key[1])}, granted at {clock(at)} until {clock(end)}"
                          for key, (at, end) in self.leased.items()
                          if key not in listed and end > now + 2 * SECOND and at < now - 2 * SECOND and self.model.quiet(at - SECOND, now)]
            if not wrong:
                break
            time.sleep(0.5)
        for text in wrong[:1]:
            self.fail("lease", text)
        self.counts["leases compared"] += len(self.leased) + len(self.unleased)
        self.leased = {key: it for key, it in self.leased.items() if it[1] > now}

    def must_live(self, flow, now, gateway, serving):
        timeout = self.world.timeout_of(flow)
        if now - flow.last_up > (timeout - 3) * SECOND or (flow.drain_end and now > flow.drain_end - SECOND):
            return False
        return serving or self.is_told(flow, now, gateway.number)

    def quotas(self, gateway):
        """What a subscriber is said to have is what is listed, and no more than it may."""
        hosts = sorted({flow.host for flow in self.traffic.live()})
        for host in self.world.dice_check.sample(hosts, min(4, len(hosts))):
            wrong = ""
            for _ in range(4):
                listed = gateway.command("session", "list", frames.text(host), "--count")
                status, out, _ = gateway.command("user", "show", frames.text(host))
                if status or listed[0]:
                    wrong = ""
                    break
                shown, count = json.loads(out), json.loads(listed[1])["count"]
                wrong = f"gateway {gateway.number}: {frames.text(host)} has {shown['sessions']} sessions and lists {count}, quota {shown['quota']}"
                if shown["sessions"] == count:
                    wrong = ""
                    break
                time.sleep(0.3)
            if wrong:
                self.fail("quota", wrong)
            self.counts["quotas compared"] += 1
            self.limits(gateway, host)

    def limits(self, gateway, host):
        """The sessions that are counted for a subscriber's limits are those that it has; above a limit there is none more than before it was set."""
        for _ in range(4):
            before = gateway.command("user", "show", frames.text(host))
            least, most = gateway.command("session", "list", frames.text(host)), gateway.command("session", "list", frames.text(host), "--all")
            mappings, after = gateway.command("mapping", "list"), gateway.command("user", "show", frames.text(host))
            if before[0] or least[0] or most[0] or mappings[0] or after[0]:
                return
            limits = json.loads(before[1]).get("limits")
            if not limits or limits["counting"]:
                return
            if limits == json.loads(after[1]).get("limits"):
                break
            time.sleep(0.3)
        else:
            return
        # An expired one counts until the sweep. One that drains counts if the mapping that it drains from has limits.
        drained = [prefix(row["out"]) for row in json.loads(mappings[1]) if row["state"] == "draining" and covers(prefix(row["in"]), host)]
        least, most = json.loads(least[1]), json.loads(most[1])
        least = [row for row in least if not any(covers(out, frames.number(row["out_addr"])) for out in drained)]
        least, most = (collections.Counter(row["proto"] for row in rows) for rows in (least, most))
        for proto in ("tcp", "udp", "icmp"):
            if proto not in limits:
                continue
            counted, limit = limits[proto]["sessions"], limits[proto]["limit"]
            of = f"gateway {gateway.number}: {frames.text(host)}"
            known = (self.world.results["mapping set: done"], limit)
            held, had = self.limited.get((of, proto), (None, 0))
            if not least[proto] <= counted <= most[proto]:
                self.fail("limits", f"{of} has {least[proto]} to {most[proto]} sessions of {proto}, and {counted} are counted")
            if len(self.truth) == 1 and held == known and counted > max(limit, had):
                self.fail("limits", f"{of} has {counted} sessions of {proto}, {had} before, limit {limit}")
            self.limited[of, proto] = known, counted
            self.counts["limits compared"] += 1

    def probe(self):
        """Servers send by themselves into flows that must go on: each arrives, where the way has its roles."""
        gateway = self.truth[self.traffic.active_in].gateway
        if not gateway.running() or gateway.without_role() & {gateway.way_in, gateway.way_out}:
            return
        flows = [f for f in self.traffic.live() if f.cert == "yes" and f.state == "established" and f.outside
                 and self.must_live(f, time.time_ns(), None, True)]
        flows = self.world.dice_check.sample(flows, min(30, len(flows)))
        waiting = {}
        for attempt in range(4):
            for n, flow in enumerate(flows):
                if flow.ident not in waiting or not self.traffic.probes.get((flow.ident, waiting[flow.ident])):
                    self.world.numbers += 1
                    number = 0x40000000 + self.world.numbers
                    waiting.setdefault(flow.ident, number)
                    self.traffic.probes.setdefault((flow.ident, waiting[flow.ident]), 0)
                    self.traffic.probe(flow, waiting[flow.ident])
            time.sleep(0.25 * (attempt + 1))
            flows = [f for f in flows if not self.traffic.probes.get((f.ident, waiting[f.ident]))]
            if not flows:
                break
        for flow in flows:
            if flow.cert == "yes" and flow.state == "established":
                self.fail("session does not go on", f"what {frames.text(flow.ext)} sends into {flow} does not arrive")
        self.counts["probes"] += len(waiting)
        self.traffic.probes.clear()

    # ---- sessions that end

    def end_sessions(self, flow, now):
        """What a flow had has ended; its packets may open another session."""
        if flow.outside and flow.cert == "yes" and self.ends_everywhere(flow):
            self.ended[PROTO_NAMES[flow.proto], flow.host, flow.port, flow.ext, flow.eport, flow.outside] = now
        while len(self.ended) > 3000:
            self.ended.pop(next(iter(self.ended)))

    def is_told(self, flow, now, number):
        """Whether the session is old enough for a gateway to have it or a copy, and there is room for one."""
        together = self.world.together
        since = together.knows_since(number, flow)
        told = (number in flow.copied and together.keeps(number, flow, now)) or (since and max(since, flow.since) + PATIENCE * SECOND < now)
        return bool(told) and flow.host not in self.crowded(now)

    def crowded(self, now):
        """Subscribers that may have been at their quota: where routes moved meanwhile, each gateway has let in others."""
        if now > self.counted + SECOND:
            hosts = collections.Counter(flow.host for flow in list(self.traffic.flows.values()) if flow.last_up > now - 180 * SECOND)
            self.full, self.counted = {host for host, n in hosts.items() if n >= LEAST_QUOTA // 2}, now
        return self.full

    def ends_everywhere(self, flow):
        """
        Whether the flow's session, which ends now, must end at all gateways (docs/internals/OWNERSHIP.md): not if several have opened it, nor
        if one that cannot be told has it, and it ends without a packet.
        """
        if len(self.truth) == 1:
            return True
        if any(killed - PATIENCE * SECOND // 2 < flow.last_up < killed + SECOND for killed in self.kills):
            return False
        now = time.time_ns()
        if len(flow.gateways) > 1 and not all(self.is_told(flow, now, number) for number in flow.gateways):
            return False
        return flow.proto == frames.TCP or self.world.together.all_know()

    def endings_untold(self, now):
        """An agent was killed: what has ended there just before, others may not have heard of, nor have those that were silent then."""
        self.kills = [*self.kills[-9:], now]
        since = min([now - PATIENCE * SECOND // 2, *self.world.together.silent.values()])
        for flow in self.traffic.flows.values():
            if flow.cert == "no" and flow.since >= since:
                flow.cert, flow.reason = "maybe", "its end may not have been told"
        self.ended = {key: at for key, at in self.ended.items() if at < since}
        self.leased = {key: it for key, it in self.leased.items() if it[0] < since}
        self.unleased = {key: at for key, at in self.unleased.items() if at < since}
