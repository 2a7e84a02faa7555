# SPDX-License-Identifier: BSD-2-Clause
"""SIGKILL at a system call of a start, a reload, a change of mappings or a stop, and the next start.

strace injects the signal at the n-th call of a kind, so a kill comes at a place, not at a time. A kill at a call that
changes nothing outside the process is one at the next call that does, so only those kinds are taken. KILLS says how
many of all places are tried in each phase, spread over all of them; KILLS=all (make test-kills) tries each.
"""

import collections
import contextlib
import json
import os
import random
import re
import signal
import subprocess

import pytest
from scapy.layers.inet import UDP

import agent as agent_module
import isolation
from agent import wait_for
from lab import MAPPING
from test_restart import Stream
from test_tc_links import flooded

pytestmark = pytest.mark.long

KILLS = os.environ.get("KILLS", "3")
STAGES = "auto" if KILLS == "all" else 1
SEED = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)

# Calls that change something outside the process: files, pins, maps, interfaces, peers.
KINDS = ("bpf", "sendto", "sendmsg", "write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "openat", "openat2",
         "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "chmod", "fchmod",
         "fchmodat", "chown", "fchown", "lchown", "fchownat", "mount", "umount2", "bind", "connect", "listen", "socket", "ioctl", "setsockopt", "close",
         "munmap", "flock", "clone", "clone3", "prctl", "capset", "setuid", "setgid", "kill", "shutdown", "exit_group")

OTHER = [{"in": f"10.7.{i}.0/24", "out": f"1.1.7.{16 * i}/28"} for i in range(3)]
MORE = {"in": "10.9.0.0/24", "out": "1.1.9.0/28"}

_CALL = re.compile(r"^(\d+) +(\w+)\(")


def strace(path, *options):
    # Names that the machine's strace does not know are skipped.
    return ["strace", "-f", "-q", "-o", path, *options]


@contextlib.contextmanager
def attached(agent, *options):
    """strace on a running agent, all of its threads."""
    pid = agent.process.pid
    tracer = isolation.popen(*strace(agent.directory / "strace", *options), "-p", pid, stderr=subprocess.DEVNULL)

    def traced():
        try:
            return all("TracerPid:\t0\n" not in open(f"/proc/{pid}/task/{task}/status").read() for task in os.listdir(f"/proc/{pid}/task"))
        except FileNotFoundError:
            return False  # a thread has ended since it was listed

    try:
        wait_for(traced, what="strace")
        yield
    finally:
        # If the first of several threads died first, strace was seen to wait for the others for ever.
        tracer.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracer.wait(timeout=2)
        tracer.kill()
        tracer.wait()


class Phase:
    """An operation that a kill interrupts; every method leaves a running agent."""

    name = None
    traffic = True  # packets flow meanwhile, and none may be lost

    def __init__(self, lab):
        self.lab = lab
        # All kills of a phase take longer than a session's default timeout.
        self.agent = lab.prepare(timeouts={"udp": 86400})
        self.begin()

    def begin(self):
        self.agent.start()
        self.keep()

    def keep(self):
        self.kept = self.lab.host()
        self.lab.open_udp(self.kept)

    def ready(self):
        """Preparation before each interruption."""

    def act(self, options):
        """Performs it under strace; returns whether it was reported as done."""
        raise NotImplementedError

    def judge(self, done):
        """Assertions once the next start is ready."""
        mappings = {m["in"] for m in self.agent.ctl("mapping", "list")}
        assert mappings >= {MAPPING["in"]}, mappings
        assert [s["in_port"] for s in self.lab.sessions(self.kept.addr)] == [5000], "a session of an unchanged mapping is lost"

    def go_on(self):
        """Packets that must pass then, when no others do."""

    # ---- the process

    def launch(self, options):
        """A start under strace; returns whether it became ready."""
        agent_module.wrapper[:] = strace(self.agent.directory / "strace", "--seccomp-bpf", *options)
        try:
            self.agent.launch()
        finally:
            agent_module.wrapper[:] = []
        return self.agent.first_line() is not None

    def bury(self):
        """Ends what is left of the agent, including one started under strace."""
        process = self.agent.process
        if process.poll() is None:
            for pid in open(f"/proc/{process.pid}/task/{process.pid}/children").read().split() or [process.pid]:
                os.kill(int(pid), signal.SIGKILL)
        process.wait(timeout=agent_module.PATIENCE)
        process.stdout.close()
        self.agent.process = None

    def count(self):
        """The most calls of each kind by one thread in a run without a kill."""
        calls = collections.Counter()
        self.ready()
        self.act(["-e", "trace=" + ",".join("?" + kind for kind in KINDS)])
        for line in (self.agent.directory / "strace").read_text(errors="replace").splitlines():
            match = _CALL.match(line)
            if match:
                calls[match.groups()] += 1
        most = collections.Counter()
        for (_, kind), n in calls.items():
            most[kind] = max(most[kind], n)
        return most

    def recover(self):
        """After a kill, or after the process ended without one."""
        if self.agent.process is not None:
            self.bury()
        self.agent.start()

    def kill_at(self, kind, n):
        self.ready()
        done = self.act(["-e", f"trace={kind}", "-e", f"inject={kind}:signal=SIGKILL:when={n}"])
        self.recover()
        self.judge(done)


class FirstStart(Phase):
    name = "first start"
    traffic = False

    def begin(self):
        pass

    def ready(self):
        if self.agent.process is not None:
            self.agent.stop()
            self.agent.detach()

    def act(self, options):
        return self.launch(options)

    def judge(self, done):
        assert [m["in"] for m in self.agent.ctl("mapping", "list")] == [MAPPING["in"]]


class FirstStartGuarded(FirstStart):
    """The guard is up, and traffic comes: whatever is begun again, none of it leaves untranslated."""

    name = "first start, guarded"

    def ready(self):
        super().ready()
        assert self.agent.once("--guard").status == 0

    def kill_at(self, kind, n):
        self.ready()
        with flooded(self.lab, lost=10**6):
            done = self.act(["-e", f"trace={kind}", "-e", f"inject={kind}:signal=SIGKILL:when={n}"])
            self.recover()
        self.lab.outside.drain()
        self.judge(done)


class StartOverPins(Phase):
    name = "start over pins"

    def ready(self):
        self.agent.kill()

    def act(self, options):
        return self.launch(options)


class Reload(Phase):
    name = "reload"
    other = False

    def ready(self):
        self.other = not self.other
        self.wanted = [MAPPING, *OTHER] if self.other else [MAPPING]
        self.agent.write(mappings=self.wanted, answer_arp=not self.other, stages=1 if self.other else 2)

    def act(self, options):
        with attached(self.agent, *options):
            return self.agent.command("reload").status == 0

    def judge(self, done):
        super().judge(done)
        assert {m["in"] for m in self.agent.ctl("mapping", "list")} == {m["in"] for m in self.wanted}, "the file's"


class MappingAdded(Phase):
    name = "mapping add"

    def ready(self):
        if any(m["in"] == MORE["in"] for m in self.agent.ctl("mapping", "list")):
            self.agent.ctl("mapping", "del", MORE["in"], MORE["out"])

    def act(self, options):
        with attached(self.agent, *options):
            return self.agent.command("mapping", "add", MORE["in"], MORE["out"]).status == 0

    def judge(self, done):
        super().judge(done)
        there = MORE["in"] in {m["in"] for m in self.agent.ctl("mapping", "list")}
        assert there or not done, "it was reported as added"
        assert (self.agent.command("who", f"{MORE['out'].split('/')[0]}:1024", "--state-dir", self.agent.state).status == 0) == there


class PoolDrained(Phase):
    name = "pool drain"

    def keep(self):
        super().keep()
        # Behind the address that is drained.
        self.draining = self.lab.host("10.0.48.9")
        self.lab.open_udp(self.draining)

    def ready(self):
        if any(m["name"] == "drain-1.1.1.3" for m in self.agent.ctl("mapping", "list")):
            self.agent.ctl("pool", "restore", "1.1.1.3", "--drain", "3600")

    def act(self, options):
        with attached(self.agent, *options):
            return self.agent.command("pool", "drain", "1.1.1.3", "--to", "1.1.8.0", "--drain", "3600").status == 0

    def judge(self, done):
        super().judge(done)
        assert [s["out_addr"] for s in self.lab.sessions("--out", "1.1.1.3")] == ["1.1.1.3"], "a draining session is lost"
        out = self.agent.ctl("forward", self.draining.addr)["out_addr"]
        assert out == "1.1.8.0" or (out == "1.1.1.3" and not done), "it was reported as drained"


class Replaced(Phase):
    """A mapping is replaced with a drain: the session goes on in the one that it was opened in."""

    name = "mapping replaced"
    pools = ("1.1.5.0/30", "1.1.6.0/30")
    inside = "10.0.96.0/24"
    wanted = 0

    def begin(self):
        self.agent.write(mappings=[MAPPING, {"in": self.inside, "out": self.pools[0]}])
        super().begin()

    def keep(self):
        super().keep()
        self.draining = self.lab.host("10.0.96.9")
        self.src = self.lab.open_udp(self.draining, mapping={"in": self.inside, "out": self.pools[0]})

    def present(self):
        return {m["out"]: m["state"] for m in self.agent.ctl("mapping", "list") if m["in"] == self.inside}

    def replace(self, out):
        return self.agent.command("mapping", "add", self.inside, out, "--replace", "--drain", "3600").status == 0

    def ready(self):
        if self.present().get(self.pools[0]) != "in use":
            assert self.replace(self.pools[0])
        if self.pools[1] in self.present():
            self.agent.ctl("mapping", "del", self.inside, self.pools[1])

    def act(self, options):
        with attached(self.agent, *options):
            return self.replace(self.pools[1])

    def judge(self, done):
        super().judge(done)
        assert [s["out_addr"] for s in self.lab.sessions(self.draining.addr)] == [self.src[0]], "the session that drains is lost"
        now = self.present()
        assert now in ({self.pools[0]: "in use"}, {self.pools[0]: "draining", self.pools[1]: "in use"}), now
        assert len(now) == 2 or not done, "it was reported as replaced"
        # Its owner is known by both endpoints; the history has what the tables have.
        who = self.agent.command("-j", "who", f"{self.src[0]}:{self.src[1]}", "--state-dir", self.agent.state)
        assert who.status == 0 and json.loads(who.out)["in_addr"] == self.draining.addr, who
        new = self.agent.command("who", f"{self.pools[1].split('/')[0]}:1024", "--state-dir", self.agent.state)
        assert (new.status == 0) == (len(now) == 2), new
        assert self.agent.command("check").status == 0

    def go_on(self):
        packet = UDP(sport=5000, dport=53) / b"goes on"
        self.lab.send_out(self.lab.from_inside(self.draining, packet), self.src)
        self.lab.send_in(self.lab.from_outside(self.src[0], UDP(sport=53, dport=self.src[1]) / b"answer"), self.draining, 5000)


class Stop(Phase):
    name = "stop"

    def act(self, options):
        with attached(self.agent, *options):
            self.agent.process.terminate()
            self.agent.process.wait(timeout=agent_module.PATIENCE)
        return True


PHASES = {phase.name: phase for phase in (FirstStart, FirstStartGuarded, StartOverPins, Reload, MappingAdded, PoolDrained, Replaced, Stop)}


# Per kind; thousands of calls in a row are one reading loop, in a start over the numbers of all chunks.
MOST = 400


def numbers(count):
    return range(1, count + 1) if count <= MOST else [1 + i * count // MOST for i in range(MOST)]


def chosen(places):
    """KILLS of them, one from each of as many sections of equal length."""
    if KILLS == "all":
        return places
    n = min(int(KILLS), len(places))
    dice = random.Random(SEED)
    return [places[dice.randrange(i * len(places) // n, (i + 1) * len(places) // n)] for i in range(n)]


@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_at_any_system_call_loses_nothing(lab, phase, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # leak detection needs ptrace, which strace uses
    it = PHASES[phase](lab)
    counted = it.count()
    it.recover()
    places = [(kind, n) for kind in KINDS for n in numbers(counted[kind])]
    assert len(places) > 10, counted
    for kind, n in chosen(places):
        try:
            with Stream(lab) if it.traffic else contextlib.nullcontext():
                it.kill_at(kind, n)
            lab.open_udp(lab.host())
            it.go_on()
            assert lab.agent.command("history", "verify", "--state-dir", lab.agent.state).status == 0
        except Exception as error:
            raise AssertionError(f"{phase}: killed at {kind} number {n} of {counted[kind]} (KILLS_SEED={SEED}): {error}") from error
    print(f"{phase}: {len(chosen(places))} of {len(places)} places")
