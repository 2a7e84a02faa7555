# SPDX-License-Identifier: BSD-2-Clause
"""One world, from its first step to its last, in this process."""

import collections
import contextlib
import json
import random
import time
import traceback

import agent
import clock
import frames
import isolation
import customers
from acts import Acts
from model import SECOND, Model, covers, prefix
from oracles import Failure, Oracles
from profiles import OF_MODES, Planner
from site_gateway import Gateway, connect, replication
from together import Together
from traffic import Traffic

GROWTH = 32 << 10  # KiB that an agent may have more than one that has just begun
FDS = 24  # descriptors, likewise: sockets of clients and peers, chunks of mappings; a set of programs has some 50
SETTLING = 90  # seconds in which the programs of a change are loaded, and those of before are gone
agent.START_PATIENCE = 180  # seconds; several worlds may run side by side


class Stop(Exception):
    """The world ends at its first failure."""


class World:
    def __init__(self, directory, header, replay=None, go_on=False):
        self.directory, self.header, self.go_on = directory, header, go_on
        self.replay = replay
        self.dice_check = random.Random(header["seed"] ^ 0x5EED)
        self.counts = collections.Counter()
        self.results = collections.Counter()
        self.pairs = collections.Counter()
        self.present = {}
        self.failures, self.steps, self.log = [], [], []
        self.numbers = 0
        self.quiet_at = 0  # not before this time are links and programs what they should be
        self.exposed = []  # (begin, end): no agent since the boot, or an interface without its role
        self.stale = False  # what is known of mappings is older than the last change
        self.ports_changed = False
        self.model = Model()
        self.gateways = []
        self.traffic = self.customers = self.together = self.switch = None
        self.began = 0
        self.samples = {}

    # ---- life

    def build(self):
        shim = clock.build(self.directory / "clock_shim.so")
        count = self.header["gateways"]
        for number in range(count):
            config = json.loads(json.dumps(self.header["config"]))
            if count > 1:
                key = self.directory / f"key{number}"
                key.write_bytes(bytes(range(32)))
                key.chmod(0o600)
                config["replication"] = replication(number, count, key)
            self.gateways.append(Gateway(number, self.directory / f"gateway{number}", shim, config))
            if self.header.get("customers"):
                self.gateways[-1].record_leases(customers.sources(self.gateways[-1].directory), self.header["midnight"])
        if count > 1:
            self.switch = connect(self.gateways)
        self.traffic = Traffic(self.gateways)
        self.oracles = Oracles(self)
        self.together = Together(self)
        self.acts = Acts(self)
        self.planner = Planner(self, self.header)
        if self.header.get("customers"):
            self.customers = customers.Customers(self)
        begin = time.time_ns()
        for gateway in self.gateways:
            gateway.start()
            gateway.fresh = gateway.resources()[0]
        self.end_change(begin, "start", ())
        self.together.wait_synchronised()
        self.traffic.start()

    def run(self, seconds):
        self.began = time.monotonic()
        try:
            self.build()
            self.began = time.monotonic()
            if self.replay is None:
                self.improvise(seconds)
            else:
                self.repeat()
            self.finish()
        except Failure as failure:
            if not self.failures:
                self.fail(failure.oracle, failure.text, stop=False)
        except Stop:
            pass
        except Exception as error:
            self.fail("world", f"{type(error).__name__}: {error}\n{traceback.format_exc()[-1500:]}", stop=False)
        finally:
            self.close()

    def improvise(self, seconds):
        next_at = 0.0
        while next_at < seconds:
            step = self.planner.next()
            next_at += step.pop("wait")
            self.wait_until(next_at)
            step = {"n": len(self.steps) + 1, "at": round(self.elapsed(), 3), **step}
            self.perform(step)
            next_at = max(next_at, self.elapsed() - 0.5)

    def repeat(self):
        for step in self.replay:
            self.wait_until(step["at"])
            self.perform(step)

    def elapsed(self):
        return time.monotonic() - self.began

    def wait_until(self, at):
        while True:
            self.tick()
            left = at - self.elapsed()
            if left <= 0:
                return
            time.sleep(min(left, 0.2))

    def tick(self):
        """What is due between steps."""
        if self.traffic.error:
            raise Failure("world", f"the traffic ended: {self.traffic.error!r}")
        self.acts.expire()
        for gateway in self.gateways:
            if gateway.agent.process is not None and gateway.agent.process.poll() is not None:
                status = gateway.agent.process.returncode
                gateway.agent.process = None
                raise Failure("agent died", f"gateway {gateway.number}: exit {status}\n{gateway.agent.log_end()}")
        if time.monotonic() > self.samples.get("next", 0):
            self.samples["next"] = time.monotonic() + 1.0
            self.sync(time.time_ns() - SECOND, "")
            self.forget()

    def perform(self, step):
        self.steps.append(step)
        if step["do"] not in ("flow", "burst", "end_flow"):
            self.log.append((round(self.elapsed(), 3), step["n"], {k: v for k, v in step.items() if k not in ("n", "at", "tags")}))
        self.meet(step.get("tags", [step["do"]]))
        self.counts["steps"] += 1
        self.acts.do(step)

    def meet(self, tags):
        """Counts which features and faults were there at once."""
        now = time.monotonic()
        if self.traffic.counts["sent"] and "plain" not in tags:
            tags = [*tags, "plain"]
        tags = [*tags, *OF_MODES[self.header["mode"]]]
        for tag in tags:
            self.present[tag] = now
        here = sorted(tag for tag, at in self.present.items() if now - at < 10)
        for tag in tags:
            for other in here:
                self.pairs[tuple(sorted((tag, other)))] += 1

    # ---- failures

    def fail(self, oracle, text, stop=True):
        if self.header.get("oracles") and not any(part in oracle for part in self.header["oracles"]) and oracle not in ("world", "agent died"):
            self.counts[f"passed over: {oracle}"] += 1
            return
        if any(failure["oracle"] == oracle for failure in self.failures) and self.go_on:
            self.counts[f"further: {oracle}"] += 1
            return
        self.failures.append({"oracle": oracle, "text": text, "at": round(self.elapsed(), 3), "step": len(self.steps),
                              "log": {g.number: g.agent.log_text()[-3000:] for g in self.gateways if g.agent}})
        if stop and not self.go_on:
            raise Stop

    # ---- the model and the flows

    def is_exposed(self, begin, end):
        return any(first <= end and last >= begin for first, last in self.exposed[-50:])

    def look_at_roles(self, gateway):
        """While an interface is without its role, what has no mapping is routed."""
        lacking, now = gateway.without_role(), time.time_ns()
        if lacking or gateway.lacking:
            self.exposed.append((gateway.looked_at, now))
        gateway.lacking, gateway.looked_at = lacking, now

    def timeout_of(self, flow):
        timeouts = self.planner.timeouts_low
        if flow.proto == frames.UDP:
            return timeouts["udp"]
        return timeouts["icmp"] if flow.proto == frames.ICMP else timeouts["tcp_established"]

    def begin_change(self, prefixes):
        """Flows that a change may cut are uncertain from now on."""
        if not self.stale:
            self.sync(time.time_ns() - SECOND, "")  # a drain may have ended just now
        self.doubt(prefixes)

    def doubt(self, prefixes):
        for words in prefixes:
            net = prefix(words)
            for flow in list(self.traffic.flows.values()):
                if covers(net, flow.host) and flow.cert != "no":
                    flow.cert, flow.reason, flow.since = "maybe", flow.reason if flow.state == "over" else "being changed", 1 << 62

    def end_change(self, begin, what, prefixes):
        # What came meanwhile is judged by sync(), which must know of it.
        self.model.changed(begin, time.time_ns(), what)
        self.sync(begin, what)
        now = time.time_ns()
        self.model.changed(begin, now, what)
        for flow in list(self.traffic.flows.values()) if self.traffic else ():
            if flow.since == 1 << 62:
                flow.since = now

    def sync(self, begin, what):
        """Takes up what the agents say they have; then looks at what was seen until now."""
        now = time.time_ns()
        rows, asked = [], [gateway for gateway in self.gateways if gateway.running()]
        self.stale = True  # until all have answered that could; no packets go by one without an agent while there is another
        for gateway in asked:
            status, out, err = gateway.command("mapping", "list") if gateway.agent.socket.exists() else (3, "", "")
            if status == 3:
                return  # another time; what is known holds
            self.look_at_roles(gateway)
            if status:
                raise Failure("operator", f"mapping list: exit {status} {err}")
            rows += json.loads(out)
            if self.ports_changed or what or self.model.ports:
                ports = json.loads(gateway.command("portmap", "list")[1] or "[]")
                self.model.take_ports(ports if len(self.gateways) == 1 else self.all_ports(gateway, ports), begin, now)
        if not asked:
            return
        if self.planner.grows and not self.take_grants(asked, now):
            return
        self.stale = False
        done = time.time_ns()
        came, gone = self.model.take(rows, begin, done)
        if came or gone:
            if not what:
                self.model.changed(begin, done, "by itself")
            self.reconsider(begin, done, what, came, gone)
        self.oracles.consume(now if self.traffic.is_alive() else 1 << 62) if self.traffic else None

    def take_grants(self, asked, now):
        """Takes up which blocks are granted; False: an agent did not answer."""
        for gateway in asked:
            status, out, _ = gateway.command("grant", "list")
            if status:
                return False
            self.samples.setdefault("grants", {})[gateway.number] = json.loads(out)
        begun = [row for gateway in asked for row in gateway.grants_begun()]
        self.model.take_grants([row for rows in self.samples["grants"].values() for row in rows], begun, now, time.time_ns())
        self.counts["blocks granted"], self.counts["of them seen in the history alone"] = self.model.granted, self.model.unlisted
        return True

    def all_ports(self, gateway, ports):
        self.samples.setdefault("ports", {})[gateway.number] = ports
        return [row for rows in self.samples["ports"].values() for row in rows]

    def reconsider(self, begin, now, what, came, gone):
        """Flows whose subscriber's mapping is another one now."""
        changed = [*came, *gone]
        for flow in list(self.traffic.flows.values()) if self.traffic else ():
            if flow.cert == "no" or not any(covers(held.inside, flow.host) for held in changed):
                continue
            if not flow.outside:
                flow.since = max(flow.since, now)
                continue
            effective = self.model.effective(flow.host)
            block = effective.block(flow.host) if effective else None
            within = block and block[0] == flow.outside[0] and block[1] <= flow.outside[1] < block[1] + block[2]
            within = within or flow.host in self.model.grant_holders(flow.outside, now, now)
            # What left by an exception that has come and gone may not have been seen yet.
            between = effective and any(covers(h.inside, flow.host) and h.inside[1] > effective.inside[1] for h in gone)
            same = within and not between and effective.settled <= max(flow.since, flow.opened)
            if same:
                continue
            drain_end = 0
            if self.model.drains(flow.host, flow.outside):
                left = [h.drain_left for h in self.model.now.values() if h.draining and covers(h.inside, flow.host)]
                # At several gateways it ends at each, and they may have different ones.
                drain_end = begin + (max(left) if len(self.gateways) == 1 else min(left)) * SECOND
                if len(self.gateways) == 1:
                    flow.drain_end = drain_end
                    continue
            if flow.cert == "yes" and not within:
                self.oracles.end_sessions(flow, now)
            flow.cert, flow.reason, flow.since, flow.drain_end = "maybe", what or "its mapping changed", now, drain_end

    def forget(self):
        """Flows that are over: expired ones must not be there any more, old ones are forgotten."""
        now = time.time_ns()
        high = self.planner.timeouts_high
        with self.traffic.lock:
            for ident, flow in list(self.traffic.flows.items()):
                if flow.drain_end and now > flow.drain_end and flow.cert == "yes":
                    flow.cert, flow.reason, flow.since = "maybe", "its drain ended", now
                if flow.state != "over":
                    if flow.cert == "yes" and now - flow.last_up > (self.timeout_of(flow) - 4) * SECOND:
                        flow.cert, flow.reason, flow.since = "maybe", "silent for long", now
                    continue
                most = high["udp"] if flow.proto == frames.UDP else high["icmp"] if flow.proto == frames.ICMP else max(
                    high["tcp_established"], high["tcp_transitory"])
                last = max(flow.last_up, flow.opened)
                if last and now - last > (most + 6) * SECOND and flow.cert != "no" and len(self.gateways) == 1 and flow.proto != frames.TCP:
                    flow.cert, flow.reason, flow.since = "no", "expired", now
                elif now - last > (most + 40) * SECOND and now - max(0, flow.since if flow.since < 1 << 61 else 0) > 40 * SECOND:
                    del self.traffic.flows[ident]

    # ---- gateways that go and come

    def start(self, gateway):
        if not gateway.running():
            gateway.start()

    def lost_record(self, gateway, begin, end):
        truth = self.oracles.truth[gateway.number]
        truth.unrecorded.append((begin // SECOND + gateway.shift - 66, end // SECOND + gateway.shift + 2))

    def disturbed(self, seconds):
        self.quiet_at = max(self.quiet_at, time.monotonic() + seconds)

    def note_result(self, what, status, err):
        verb = " ".join(what.split()[:2])
        self.results[f"{verb}: {'done' if not status else 'refused' if status == 1 else status}"] += 1
        if status and len(self.samples.setdefault("refusals", {})) < 40:
            self.samples["refusals"].setdefault(verb + ": " + err.strip()[:60], f"{what} -> {err.strip()[:200]}")

    # ---- quiet points

    def quiet(self):
        self.acts.expire(all_of_them=True)
        self.wait_until(self.elapsed() + max(0.3, self.quiet_at - time.monotonic()))
        self.together.wait_synchronised(150)  # ports rest for up to two minutes, and what would use them is refused
        self.sync(time.time_ns(), "")
        slow = time.monotonic() - self.traffic.late_at < 10
        self.counts["quiet points at which the machine was too slow for sessions"] += slow
        for gateway in self.gateways:
            if not gateway.running():
                continue
            serving = gateway.number == self.traffic.active_out
            if not slow:
                self.oracles.sessions(gateway, serving)
                self.oracles.quotas(gateway)
            self.oracles.check(gateway, ("device", "program", "route") if gateway.down or gateway.foreign else ())
            self.oracles.verify(gateway)
            self.measure(gateway)
        if not slow:
            self.oracles.compare_leases([gateway for gateway in self.gateways if gateway.running()])
            self.together.compare_speakers()
            self.together.compare_grants()
            self.oracles.probe()
        self.oracles.ask()
        if self.customers:
            self.customers.ask_due()
        self.counts["quiet points"] += 1

    def measure(self, gateway):
        gateway.note_ids()
        fds, rss = gateway.resources()
        self.counts[f"descriptors of gateway {gateway.number}, most"] = max(self.counts[f"descriptors of gateway {gateway.number}, most"], fds)
        self.counts[f"KiB of gateway {gateway.number}, most"] = max(self.counts[f"KiB of gateway {gateway.number}, most"], rss)

    # ---- the end

    def finish(self):
        self.acts.expire(all_of_them=True)
        for gateway in self.gateways:
            self.start(gateway)
            for name in list(gateway.down):
                gateway.link(name, True)
        self.disturbed(2)
        self.quiet()
        for flow in self.traffic.live():
            flow.state = "over"
        self.wait_for_packets()
        self.traffic.end()
        self.sync(time.time_ns(), "")
        while self.oracles.asks_later():  # what has left just now
            self.oracles.ask()
            time.sleep(0.1)
        self.oracles.ask(everything=True)
        if self.customers:
            self.customers.finish()
        for gateway in self.gateways if not self.header.get("brief") else ():
            self.leaves_nothing(gateway)

    def wait_for_packets(self):
        """Until none has come for a moment."""
        end, last = time.monotonic() + 5, None
        while time.monotonic() < end:
            counts = dict(self.traffic.counts)
            if counts == last:
                return
            last = counts
            time.sleep(0.3)

    def has_not_grown(self, gateway):
        """An agent that has just begun holds as much."""
        fds, rss = gateway.resources()
        end = time.monotonic() + SETTLING
        while fds > gateway.fresh + FDS and time.monotonic() < end:
            time.sleep(0.5)
            fds = min(fds, gateway.resources()[0])
        kinds = gateway.descriptors()
        gateway.agent.stop()
        gateway.start()
        for _ in range(20):
            fresh_fds, fresh_rss = gateway.resources()
            if fds <= fresh_fds + FDS and rss <= fresh_rss + GROWTH:
                break
            time.sleep(0.5)
        fresh = gateway.descriptors()
        more = {kind: n for kind in sorted({*kinds, *fresh}) if (n := kinds[kind] - fresh[kind])}
        self.samples.setdefault("descriptors", []).append(f"gateway {gateway.number}: {fds} and {fresh_fds}: {more}")
        if fds > fresh_fds + FDS or rss > fresh_rss + GROWTH:
            self.fail("leak", f"gateway {gateway.number} had {fds} descriptors and {rss} KiB; started anew it has {fresh_fds} and {fresh_rss}: {more}")

    def leaves_nothing(self, gateway):
        gateway.trace_end()
        gateway.note_ids()
        self.has_not_grown(gateway)
        gateway.note_ids()
        gateway.agent.stop()
        result = gateway.detach()
        if result.status:
            self.fail("leak", f"--detach: {result}")
        left = [q for q in gateway.gw.run("tc", "qdisc", "show").stdout.splitlines() if "clsact" in q]
        left += [str(link["ifname"]) for link in json.loads(gateway.gw.ip("-j", "-d", "link")) if link.get("xdp") and link["ifname"] not in
                 {gateway.names[n] for n in gateway.foreign}]
        left += gateway.gw.ip("route", "show", "type", "blackhole").splitlines()
        left += [line for line in gateway.gw.run("nft", "list", "tables").stdout.splitlines() if "detnat" in line]
        left += [str(p) for p in gateway.agent.pins.iterdir() if p.suffix != ".debug" and p.name not in ("ip", "tc", "xdp")]
        if left:
            self.fail("leak", f"gateway {gateway.number} left after --detach: {left}")
        kept = self.objects_left(gateway)
        self.counts["tail-call arrays that stay"] += sum("prog_array" in it for it in kept)
        kept = [it for it in kept if "prog_array" not in it]
        if kept:
            self.fail("leak", f"gateway {gateway.number}: BPF objects stay after --detach: {kept}")

    def objects_left(self, gateway):
        """BPF objects of this gateway that are there after some seconds still."""
        for _ in range(20):
            left = []
            for kind, ids in gateway.ids.items():
                done = isolation.run("bpftool", "-j", kind, "show", check=False)
                with contextlib.suppress(ValueError):
                    there = {it["id"]: f"{it.get('type')} {it.get('name')}" for it in json.loads(done.stdout or "[]")}
                    left += [f"{kind} {it} ({there[it]})" for it in sorted(ids & set(there))]
            if not left:
                return []
            time.sleep(0.5)
        return left[:10]

    def close(self):
        if self.traffic and self.traffic.is_alive():
            self.traffic.end()
        for gateway in self.gateways:
            gateway.close()
        if self.switch:
            self.switch.delete()
