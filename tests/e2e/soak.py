#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A gateway under everything at once, for as long as asked: mixed traffic, churn of mappings, reloads, restarts, kills,
renames, link flaps, links made anew, floods of openings, forged sources.

    soak.py [--minutes N] [--seed N]

Ends with 0 where all of this held, and prints the figures: no frame with an inside address left, none from outside
reached an inside address by itself, sessions opened at the beginning are as they were, what is promised to lose no
packet lost none, `detnatctl check` found nothing, the history verifies, and the agent neither grew nor kept
descriptors in the last third of the time, in which it is not restarted.
"""

import argparse
import collections
import contextlib
import ipaddress
import os
import random
import shutil
import signal
import sys
import threading
import time

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether

import isolation
from lab import IN_MAC, MAPPING, OUT_MAC, ROUTER_MAC, SERVER, SERVER_MAC, Lab
from test_restart import Stream
from wire import Wire

RATE = 2000  # packets a second of the mixed traffic, each way
KEPT = 40  # subscribers whose sessions are looked at in the end
BUSY = range(1000, 3000)  # subscribers, by their number in 10.0.0.0/18, that the mixed traffic is of
GROWTH = 8 << 10  # KiB that an agent may grow in the last third, as allocators do
Sample = collections.namedtuple("Sample", "own mapped descriptors")  # of the agent: KiB, KiB, a number
INSIDE = ipaddress.ip_network("10.0.0.0/8")


def inside_address(octets):
    return octets[0] == 10


class Watch(threading.Thread):
    """Sees every frame of a wire, and keeps those that must not be there."""

    def __init__(self, namespace, bad):
        super().__init__(daemon=True)
        self.namespace, self.bad = namespace, bad
        self.seen, self.found = 0, []
        self.ending = threading.Event()
        self.wire = Wire(namespace, "eth0")

    def run(self):
        while not self.ending.is_set():
            with contextlib.suppress(OSError):  # the link is down
                frame = self.wire.receive(timeout=0.5)
                if frame is None:
                    continue
                self.seen += 1
                if self.bad(frame):
                    self.found.append(frame)

    def end(self):
        self.ending.set()
        self.join()
        self.wire.close()


def leaves_untranslated(frame):
    """An inside address as the source of what went out, or in the quote of an ICMP error."""
    if inside_address(frame[26:30]):
        return True
    return frame[23] == 1 and len(frame) >= 62 and frame[34] in (3, 11, 12) and inside_address(frame[58:62])


def enters_by_itself(frame):
    return b"STRAIGHT IN" in frame


class Mixed(threading.Thread):
    """Random packets of all kinds, from inside and outside, at RATE each."""

    def __init__(self, lab, dice):
        super().__init__(daemon=True)
        self.lab, self.ending = lab, threading.Event()
        self.sent = 0
        self.inside = [f for _ in range(1500) for f in self.from_inside(dice)]
        self.outside = [f for _ in range(1500) for f in self.from_outside(dice)]

    @staticmethod
    def from_inside(dice):
        src = f"10.0.{dice.choice(BUSY) >> 8}.{dice.randrange(256)}"
        dst = dice.choice([SERVER, f"203.0.113.{dice.randrange(1, 255)}", f"1.1.1.{dice.randrange(4)}"])
        port, far = dice.randrange(1, 65536), dice.choice([53, 80, 443, dice.randrange(1024, 65536)])
        ether = Ether(src="02:00:01:00:00:99", dst=IN_MAC)
        ip = IP(src=src, dst=dst, id=dice.randrange(65536))
        kind = dice.randrange(20)
        if kind < 8:
            return [bytes(ether / ip / UDP(sport=port, dport=far) / bytes(dice.randrange(100)))]
        if kind < 14:
            return [bytes(ether / ip / TCP(sport=port, dport=far, flags=flags)) for flags in dice.choice(["S", "A", "F", "R", "SA"])]
        if kind < 16:
            return [bytes(ether / ip / ICMP(type=8, id=port) / b"soak")]
        if kind < 18:
            pieces = fragment(ip / UDP(sport=port, dport=far) / bytes(1200), 512)
            dice.shuffle(pieces)
            return [bytes(ether / piece) for piece in pieces]
        if kind == 18:
            forged = dice.choice(["192.168.7.7", "10.200.1.1", "127.0.0.1", "10.0.0.1", SERVER])
            return [bytes(ether / IP(src=forged, dst=dst) / UDP(sport=port, dport=far))]
        return [bytes(ether / ip / UDP(sport=port, dport=far))[: dice.randrange(14, 42)]]

    @staticmethod
    def from_outside(dice):
        ether = Ether(src=dice.choice([SERVER_MAC, ROUTER_MAC]), dst=OUT_MAC)
        src = dice.choice([SERVER, f"203.0.113.{dice.randrange(1, 255)}"])
        pool = f"1.1.1.{dice.randrange(4)}"
        port, far = dice.randrange(1, 65536), dice.choice([53, 80, 443])
        kind = dice.randrange(10)
        if kind < 4:
            return [bytes(ether / IP(src=src, dst=pool) / UDP(sport=far, dport=port) / bytes(20))]
        if kind < 6:
            return [bytes(ether / IP(src=src, dst=pool) / TCP(sport=far, dport=port, flags=dice.choice(["SA", "A", "R", "F"])))]
        if kind < 8:
            inner = f"10.0.{dice.choice(BUSY) >> 8}.{dice.randrange(256)}"
            return [bytes(ether / IP(src=src, dst=inner) / UDP(sport=far, dport=port) / b"STRAIGHT IN")]
        quote = IP(src=pool, dst=src) / UDP(sport=port, dport=far)
        return [bytes(ether / IP(src=src, dst=pool) / ICMP(type=3, code=dice.choice([1, 3, 4])) / quote)]

    def run(self):
        begun = time.monotonic()
        while not self.ending.is_set():
            for wire, frames in ((self.lab.inside, self.inside), (self.lab.outside, self.outside)):
                with contextlib.suppress(OSError):  # the link is down
                    wire.socket.send(frames[self.sent % len(frames)])
            self.sent += 1
            if not self.sent % 20:
                self.ending.wait(max(0, begun + self.sent / RATE - time.monotonic()))

    def end(self):
        self.ending.set()
        self.join()


class Soak:
    def __init__(self, lab, seconds, seed):
        self.lab, self.dice = lab, random.Random(seed)
        self.begun, self.seconds = time.monotonic(), seconds
        self.done = collections.Counter()
        self.failures = []
        self.number = 0
        self.base = [MAPPING]
        self.samples = []
        self.agent = lab.start(sessions_per_user=30, on_exit="keep")

    def elapsed(self):
        return (time.monotonic() - self.begun) / self.seconds

    # ---- what is done to it

    def churn(self):
        self.number = self.number % 200 + 1
        pair = f"10.64.{self.number}.0/24", f"1.2.{self.number}.0/28"
        self.agent.ctl("mapping", "add", *pair)
        self.agent.ctl("mapping", "del", *pair)

    def reload(self):
        more = [{"in": f"10.65.{i}.0/24", "out": f"1.3.{i}.0/28"} for i in range(self.dice.randrange(4))]
        self.agent.write(mappings=self.base + more, answer_arp=bool(self.dice.randrange(2)))
        self.agent.ctl("reload")

    def restart(self):
        self.agent.restart()

    def kill(self):
        self.agent.kill()
        self.agent.start()

    def rename(self):
        self.lab.gateway.ip("link", "set", "dev", "out0", "name", "wan7")
        self.lab.settle()
        self.lab.gateway.ip("link", "set", "dev", "wan7", "name", "out0")
        self.lab.settle()

    def flap(self):
        name = self.dice.choice(["in0", "out0"])
        self.lab.gateway.ip("link", "set", name, "down")
        self.lab.gateway.ip("link", "set", name, "up")
        self.routes()

    def routes(self):
        """What the kernel forgets with a link that goes down."""
        self.lab.gateway.ip("route", "replace", "default", "via", "198.51.100.254")
        for address, mac in ((SERVER, SERVER_MAC), ("198.51.100.254", ROUTER_MAC)):
            self.lab.gateway.ip("neigh", "replace", address, "lladdr", mac, "dev", "out0", "nud", "permanent")
        self.lab.settle()

    def quota(self):
        host = self.lab.host(f"10.0.{self.dice.randrange(40, 60)}.{self.dice.randrange(1, 255)}")
        self.lab.inside.send(*(self.lab.from_inside(host, UDP(sport=port, dport=53)) for port in range(2000, 2100)))

    # How often each; of the first no packet of a session may be lost.
    LOSSLESS = {"churn": 8, "reload": 4, "restart": 2, "kill": 2, "rename": 2}
    OTHERS = {"flap": 2, "quota": 4}

    def step(self):
        calm = self.elapsed() > 2 / 3  # the agent's own growth is looked at
        weights = {n: w for n, w in {**self.LOSSLESS, **self.OTHERS}.items() if not (calm and n in ("restart", "kill"))}
        name = self.dice.choices(list(weights), list(weights.values()))[0]
        getattr(self, name)()
        self.done[name] += 1
        if calm:
            self.samples.append(Sample(self.memory("RssAnon"), self.memory("RssFile"), len(os.listdir(f"/proc/{self.agent.process.pid}/fd"))))

    def memory(self, kind):
        with open(f"/proc/{self.agent.process.pid}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith(f"{kind}:")).split()[1])

    # ---- all of it

    def run(self):
        hosts = [self.lab.host() for _ in range(KEPT)]
        for host in hosts:
            self.lab.open_udp(host)
        kept = {h.addr: [(s["in_port"], s["out_port"]) for s in self.lab.sessions(h.addr)] for h in hosts}
        watches = [Watch(self.lab.outside_ns, leaves_untranslated), Watch(self.lab.inside_ns, enters_by_itself)]
        mixed = Mixed(self.lab, self.dice)
        for thread in (*watches, mixed):
            thread.start()
        refreshed = time.monotonic()
        try:
            while self.elapsed() < 1:
                self.step()
                if time.monotonic() > refreshed + 30:
                    refreshed = time.monotonic()
                    for host in hosts:
                        self.lab.inside.send(self.lab.from_inside(host, UDP(sport=5000, dport=53) / b"again", SERVER))
                    print(f"{time.monotonic() - self.begun:6.0f} s: {dict(self.done)}, {mixed.sent} packets a way, RSS {self.memory('VmRSS')} KiB", flush=True)
        finally:
            mixed.end()
            for watch in watches:
                watch.end()
        self.judge(hosts, kept, watches, mixed)

    def judge(self, hosts, kept, watches, mixed):
        for watch, what in zip(watches, ("left untranslated", "entered by themselves")):
            print(f"{len(watch.found)} of {watch.seen} frames {what}")
            if watch.found:
                self.failures.append(f"{len(watch.found)} {what}, the first: {Ether(watch.found[0]).summary()} {watch.found[0].hex()}")
        lost = [h.addr for h in hosts if kept[h.addr] != [(s["in_port"], s["out_port"]) for s in self.lab.sessions(h.addr)]]
        print(f"{len(hosts) - len(lost)} of {len(hosts)} sessions are as they were")
        if lost:
            self.failures.append(f"sessions of {lost} are not as they were")
        self.streamed()
        checked = self.agent.command("check")
        print("check:", checked.out.strip().splitlines()[-1] if checked.out.strip() else checked.err.strip())
        if checked.status:
            self.failures.append(f"check: {checked}")
        verified = self.agent.command("history", "verify", "--state-dir", self.agent.state)
        print("history:", verified.out.strip())
        if verified.status:
            self.failures.append(f"history: {verified}")
        self.grown()
        print(f"{sum(self.done.values())} disturbances: {dict(self.done)}; {2 * mixed.sent} packets sent")

    def grown(self):
        """The agent's own growth. Tables are mapped while they are swept and copied, so what is mapped goes up and down
        by megabytes; one that stays mapped for ever is seen by the least that is."""
        first, last = self.samples[len(self.samples) // 4], self.samples[-1]
        half = len(self.samples) // 2
        before, after = (min(sample.mapped for sample in samples) for samples in (self.samples[:half], self.samples[half:]))
        print(
            f"agent: {first.own} to {last.own} KiB of its own, at least {before} and {after} KiB of tables mapped, "
            f"{first.descriptors} to {last.descriptors} descriptors in the last third"
        )
        if last.own > first.own + GROWTH or after > before + GROWTH // 2 or last.descriptors > first.descriptors + 2:
            self.failures.append(f"the agent grew from {first} to {last} (KiB), of tables from {before} to {after} KiB")

    def streamed(self):
        """Without other traffic: what must lose nothing loses nothing."""
        for wire in (self.lab.inside, self.lab.outside):
            # Answers to what a flapping link held up come when the kernel gives up its neighbour, after 3 s.
            while wire.receive(timeout=5) is not None:
                pass
        for name in self.LOSSLESS:
            self.lab.inside.clear()
            self.lab.outside.clear()
            with Stream(self.lab):
                getattr(self, name)()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="for the same choices again")
    arguments = parser.parse_args()
    directory = isolation.RUNS / f"detnat-e2e.{os.getpid()}"
    isolation.remove_dead_runs()
    isolation.enter(directory)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    print(f"soak: {arguments.minutes:g} minutes, seed {arguments.seed}", flush=True)
    lab = Lab(directory)
    try:
        soak = Soak(lab, arguments.minutes * 60, arguments.seed)
        soak.run()
        lab.agent.stop()
        lab.agent.detach()
        lab.agent.start()
    finally:
        lab.close()
        isolation.unmount(directory)
        shutil.rmtree(directory, ignore_errors=True)
    for failure in soak.failures:
        print("FAILED:", failure)
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
