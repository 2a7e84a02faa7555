# SPDX-License-Identifier: BSD-2-Clause
"""Gateways that copy sessions to each other: which of them hear each other, what each must know, and how they go and come back.

Written from docs/internals/OWNERSHIP.md. A gateway must know a session some seconds after it was opened at a gateway that it hears. Of
a session whose gateway is silent it must have been told before, or by the one that speaks for the silent gateway (rule 9).
"""

import json
import time

from model import SECOND
from oracles import PATIENCE, Failure

# Seconds of silence after which the gateway whose claims win speaks for the silent one, and the next one later; with the time in
# which silence is noticed.
SPEAKS, NEXT_SPEAKS = 10 + 5, 20
# Seconds for which it goes on once the silent one is back, and within which a busy machine does what is due.
STOPS, SLACK = 10, 6
ALIKE_TRIES = 16


class Together:
    """Of a world with several gateways."""

    def __init__(self, world):
        self.world, self.gateways = world, world.gateways
        self.cut = set()  # numbers of those that no other one hears
        self.lacking = set()  # of those that had no room for all sessions when this was last looked at
        self.silent = {}  # number: since when it is not heard
        self.heard = {}  # number: since when it is heard again
        self.knows = [0] * len(world.gateways)  # by gateway: since when it has what those have that it hears; 0: it may not

    @property
    def many(self):
        return len(self.gateways) > 1

    # ---- who hears whom, and who knows what

    def hears(self, one, other):
        return one == other or (not {one, other} & self.cut and all(self.gateways[it].running() for it in (one, other)))

    def all_know(self):
        return all(self.knows)

    def note(self, now=None):
        """Before a change of who hears whom: notes of each flow which gateways know it."""
        now = now or time.time_ns()
        for flow in list(self.world.traffic.flows.values()):
            flow.copied = {it.number for it in self.gateways if self.world.oracles.is_told(flow, now, it.number)}

    @staticmethod
    def begins_anew(flow, reason, now):
        """
        What was sent before now does not make the flow certain: some of it left already, and was not looked at yet. The last packet of one that is
        over still counts as its end.
        """
        if flow.cert == "yes":
            flow.cert, flow.reason, flow.since = "maybe", reason, now
        elif flow.cert == "maybe" and flow.state != "over":
            flow.since = max(now, flow.since)

    def falls_silent(self, number, now):
        self.knows[number] = 0
        self.silent.setdefault(number, now)

    def is_heard_again(self, number):
        """What is known is exchanged again, and is complete with the next wait_synchronised()."""
        self.silent.pop(number, None)
        self.heard[number] = time.time_ns()
        self.knows = [0] * len(self.gateways)

    def forgets(self, number):
        """It has lost its tables."""
        for flow in self.world.traffic.flows.values():
            flow.copied.discard(number)

    def keeps(self, number, flow, now):
        """Whether a gateway has what it knew: what it does not hear of any more expires there."""
        owner = max(flow.gateways, key=flow.gateways.get, default=number)
        silent = [self.silent[it] for it in (number, owner) if it in self.silent and owner != number]
        return not silent or now < min(silent) + (self.world.timeout_of(flow) - 3) * SECOND

    def knows_since(self, number, flow):
        """Since when a gateway must know such a flow as this; 0: it need not."""
        owner = max(flow.gateways, key=flow.gateways.get, default=None)
        if owner is None or not self.knows[number]:
            return 0
        if self.hears(number, owner):
            return self.knows[number]
        # The one with the higher address speaks first, if it has copies.
        speakers = [it.number for it in self.gateways if it.number != number and self.hears(number, it.number)]
        living = sorted([number, *speakers], reverse=True)
        spoken = [SPEAKS + NEXT_SPEAKS * living.index(it) for it in speakers if it in flow.copied]
        if not spoken or owner not in self.silent:
            return 0
        return max(self.knows[number], self.silent[owner] + min(spoken) * SECOND)

    # ---- who speaks

    def patience(self, number):
        """Seconds of silence after which a gateway speaks: those that it hears and that have higher addresses come before it."""
        return SPEAKS + NEXT_SPEAKS * sum(it.number > number and self.hears(number, it.number) for it in self.gateways)

    def speaks(self, number, other, now):
        """Whether a gateway must speak for another: True, False, or None, it may."""
        since = max(self.gateways[number].began, self.gateways[other].began)
        if self.hears(number, other):
            since = max(since, self.heard.get(number, 0), self.heard.get(other, 0))
            return False if now > since + (STOPS + SLACK) * SECOND else None
        if number in self.cut or other not in self.silent:
            return None
        silent = now - max(self.gateways[number].began, self.heard.get(number, 0), self.silent[other])
        return True if silent > (self.patience(number) + SLACK) * SECOND else None

    def compare_speakers(self):
        """Where there are three or more, one speaks for each that is silent, and none for one that is heard."""
        for gateway in self.gateways if len(self.gateways) > 2 else ():
            if not gateway.running():
                continue
            told = {peer["peer"]: peer["spoken_for"] for peer in gateway.ctl("peer", "list")}
            for other in self.gateways:
                must = None if other is gateway else self.speaks(gateway.number, other.number, time.time_ns())
                said = told.get(f"192.0.2.{other.number + 1}:9470")
                if must is not None and must != said:
                    self.world.fail("speaker", f"gateway {gateway.number} {'speaks' if said else 'does not speak'} for gateway {other.number}, silent: "
                                    f"{self.silent}, heard: {self.heard}, now {time.time_ns()}")
                self.world.counts["speakers compared"] += must is not None
                self.world.counts["gateways spoken for"] += bool(must)

    def compare_grants(self):
        """All that hear each other have granted the same blocks."""
        running = [it for it in self.gateways if it.running() and it.number not in self.cut]
        if not self.world.planner.grows or len(running) < 2:
            return
        alone, rows = None, {}
        for _ in range(ALIKE_TRIES):
            for it in running:
                rows[it.number] = {(row["in_addr"], row["out_addr"], row["port_lo"]) for row in it.ctl("grant", "list")}
            differ = set().union(*rows.values()) - set.intersection(*rows.values())
            alone = differ if alone is None else alone & differ
            self.world.counts["grants compared"] += len(set().union(*rows.values()))
            if not alone:
                return
            time.sleep(0.5)
        has = {number: sorted(alone & those) for number, those in rows.items()}
        self.world.fail("grants differ", f"for {ALIKE_TRIES / 2} s: {has}")

    # ---- being alike

    def not_synchronised(self):
        """What gateways say of those that they hear and are not synchronised with, by their numbers."""
        found = {}
        for gateway in self.gateways:
            heard = {f"192.0.2.{it.number + 1}:9470" for it in self.gateways if it is not gateway and self.hears(gateway.number, it.number)}
            for peer in gateway.ctl("peer", "list") if heard else ():
                if peer["peer"] in heard and peer["state"] != "synchronised":
                    found.setdefault(gateway.number, []).append(peer)
        return found

    def lack_room_alone(self, found):
        """Whether gateways differ in nothing but sessions of subscribers whose slots are full: that is said, and lasts (OWNERSHIP, what is not certain)."""
        peers = [peer for those in found.values() for peer in those]
        lacking = any(peer["lacking_sessions"] for peer in peers)
        return lacking and all(peer["state"] == "differs" and not peer["differ"] and not peer["lacking_grants"] for peer in peers)

    def wait_synchronised(self, timeout=30):
        end, again = time.monotonic() + timeout, time.monotonic() + 5
        patience = time.monotonic() + PATIENCE
        self.lacking = set()
        while found := self.not_synchronised():
            if time.monotonic() > patience and self.lack_room_alone(found):
                self.lacking = {number for number, those in found.items() if any(peer["lacking_sessions"] for peer in those)}
                self.world.counts["times that a gateway lacked room for sessions"] += 1
                break
            if time.monotonic() > again:
                # What one refused that the other has taken, as an operator would see to.
                self.world.acts.see_to_it()
                again = time.monotonic() + 10
            if time.monotonic() > end:
                said = [gateway.ctl("peer", "list") for gateway in self.gateways if gateway.running()]
                raise Failure("peers", f"not synchronised within {timeout} s: {json.dumps(said)[:1500]}")
            time.sleep(0.2)
        now = time.time_ns()
        for number, gateway in enumerate(self.gateways):
            if number in self.lacking:
                self.knows[number] = 0
            elif gateway.running() and number not in self.cut:
                self.knows[number] = self.knows[number] or now

    # ---- gateways that go and come

    def goes(self, number, how, now):
        """A gateway loses its links ("links"), and with "kill" its agent as well."""
        gateway = self.gateways[number]
        if not gateway.running():
            return
        if how == "kill":
            gateway.agent.kill()
            gateway.killed = now
            self.falls_silent(number, now)
            self.world.oracles.endings_untold(now)
        for name in ("in0", "out0"):
            gateway.link(name, False)

    def takeover(self, to, how, pause):
        traffic, oracles = self.world.traffic, self.world.oracles
        there = self.gateways[to]
        if not there.running() or there.down:
            return
        now = time.time_ns()
        self.note(now)
        if how in ("links", "kill"):
            self.goes(traffic.active_out, how, now)
        traffic.active_out = traffic.active_in = to
        moved = time.time_ns()
        for flow in list(traffic.flows.values()):
            of_another = any(at > now - 60 * SECOND for number, at in flow.gateways.items() if number != to)
            if not (flow.cert == "yes" and to in flow.copied and of_another):
                self.begins_anew(flow, "younger than a copy", moved)
        oracles.crowded(now)
        self.world.disturbed(pause + 2)
        self.world.model.changed(now, time.time_ns(), f"takeover {how}")
        time.sleep(pause)

    def lose(self, number, how):
        """One that serves nobody goes."""
        now = time.time_ns()
        if number != self.world.traffic.active_out and self.gateways[number].running():
            self.note(now)
            self.goes(number, how, now)
            self.world.disturbed(2)

    def comes_back(self, number, how):
        world, gateway = self.world, self.gateways[number]
        begin = time.time_ns()
        self.note(begin)
        if how == "reboot":
            if gateway.running():
                world.oracles.endings_untold(begin)
            gateway.reboot()
            self.forgets(number)
            if world.traffic.active_out == number:
                lost = time.time_ns()
                for flow in list(world.traffic.flows.values()):
                    self.begins_anew(flow, "reboot", lost)
        for name in list(gateway.down):
            gateway.link(name, True)
        world.acts.do_save()
        if not gateway.running():
            # What the operator changed meanwhile at the others.
            others = sorted((it for it in self.gateways if it is not gateway), key=lambda it: (not it.running(), it.number != world.traffic.active_out))
            gateway.agent.write(**{key: others[0].agent.config.get(key) for key in ("mappings", "portmaps", "timeouts")})
        world.start(gateway)
        if how == "reboot":
            # Nobody knows when the datapath was lost after the agent was.
            world.lost_record(gateway, min(begin, gateway.killed or begin), time.time_ns())
            world.exposed.append((begin, time.time_ns()))
        gateway.killed = 0
        world.end_change(begin, f"gateway {number} comes back, {how}", ())
        self.is_heard_again(number)
        self.wait_synchronised(40)

    def split(self, number):
        """A gateway and the others lose sight of each other."""
        now = time.time_ns()
        self.note(now)
        self.gateways[number].gw.ip("link", "set", "sync0", "down")
        self.cut.add(number)
        self.falls_silent(number, now)
        if len(self.gateways) == 2:
            self.knows = [0, 0]

    def join_again(self, number):
        self.note()
        self.gateways[number].gw.ip("link", "set", "sync0", "up")
        self.gateways[number].gw.ip("addr", "replace", f"192.0.2.{number + 1}/24", "dev", "sync0")
        self.cut.discard(number)
        self.is_heard_again(number)
