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
import netns
import tc_programs
from agent import wait_for
from lab import MAPPING
from test_restart import Stream
from test_tc_links import flooded

KILLS = os.environ.get("KILLS", "3")
SEED = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)

# Calls that change something outside the process: files, pins, maps, interfaces, peers.
KINDS = ("bpf", "sendto", "sendmsg", "write", "writev", "pwrite64", "pwritev", "fsync", "fdatasync", "ftruncate", "openat", "openat2",
         "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "chmod", "fchmod",
         "fchmodat", "chown", "fchown", "lchown", "fchownat", "mount", "umount2", "bind", "connect", "listen", "socket", "ioctl", "setsockopt", "close",
         "munmap", "flock", "clone", "clone3", "prctl", "capset", "setuid", "setgid", "kill", "shutdown", "exit_group")

OTHER = [{"in": f"10.7.{i}.0/24", "out": f"1.1.7.{16 * i}/28"} for i in range(3)]
MORE = {"in": "10.9.0.0/24", "out": "1.1.9.0/28"}

_CALL = re.compile(r"^(\d+) +(\w+)\(")

# The answer to a request that was carried out.
_DONE = r'{\"ok\":true'

# Of calls of these kinds, those that only ask, or make what nobody else sees before another call.
_ONLY_ASKS = re.compile(r"^\d+ +(?:bpf\(BPF_(?:MAP_LOOKUP|MAP_GET_NEXT|MAP_CREATE|MAP_FREEZE|PROG_LOAD|PROG_QUERY|PROG_GET|PROG_TEST"
                        r"|BTF_|OBJ_GET|LINK_GET|MAP_GET)"
                        r"|send(?:to|msg)\(.*(?:RTM_GET|NFT_MSG_GET)|openat2?\((?!.*O_CREAT)|socket\((?!AF_UNIX)|connect\()")


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
    turns = 1  # ways in which it is done, each with calls of its own
    traffic = True  # packets flow meanwhile, and none may be lost
    config = {}

    def __init__(self, lab):
        self.lab = lab
        # All kills of a phase take longer than a session's default timeout.
        self.agent = lab.prepare(timeouts={"udp": 86400}, **self.config)
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

    def calls(self):
        """The lines of strace about a run without a kill."""
        self.ready()
        self.act(["-e", "trace=" + ",".join("?" + kind for kind in KINDS)])
        return (self.agent.directory / "strace").read_text(errors="replace").splitlines()

    def places(self):
        """(kind, number of the call) of each that changes something in a run without a kill."""
        calls, found = collections.Counter(), {}
        for line in self.calls():
            if match := _CALL.match(line):
                calls[match.groups()] += 1
                if not _ONLY_ASKS.match(line):
                    found[match[2], calls[match.groups()]] = True
        return sorted(found, key=lambda place: (KINDS.index(place[0]), place[1]))

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


class Finished(Exception):
    """No kill came before the end."""


class Watched(Phase):
    """Traffic that the kernel forwards comes all the time: whatever is begun again, none of it leaves untranslated."""

    traffic = False
    config = {"forwarding": "kernel"}

    def kill_at(self, kind, n):
        self.ready()
        with contextlib.suppress(Finished), flooded(self.lab, lost=10**6) as wait:
            done = self.act(["-e", f"trace={kind}", "-e", f"inject={kind}:signal=SIGKILL:when={n}"])
            self.recover()
            wait(50)
        if self.agent.process is None:
            self.agent.start()
        self.lab.outside.drain()
        self.judge(done)


class FirstStartGuarded(Watched, FirstStart):
    name = "first start, guarded"

    def ready(self):
        super().ready()
        assert self.agent.once("--guard").status == 0


class Detached(Watched):
    name = "detach"

    def ready(self):
        if self.agent.process is None:
            self.agent.start()
        self.agent.stop()

    def act(self, options):
        run = self.lab.gateway.popen(*strace(self.agent.directory / "strace", *options), agent_module.AGENT, "--detach", "-c",
                                     self.agent.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = run.wait(timeout=agent_module.PATIENCE) == 0
        if done and any(option.startswith("inject=") for option in options):
            raise Finished
        return done

    def places(self):
        """Those up to the guard's end, the last step: after that nothing keeps packets from being routed as they are."""
        found = super().places()
        lines = (self.agent.directory / "strace").read_text(errors="replace").splitlines()
        end = next(k for k, line in enumerate(lines) if "NFT_MSG_DELTABLE" in line)
        before = collections.Counter(match[2] for match in map(_CALL.match, lines[:end + 1]) if match)
        return [(kind, n) for kind, n in found if n <= before[kind]]

    def judge(self, done):
        assert [m["in"] for m in self.agent.ctl("mapping", "list")] == [MAPPING["in"]]


class Exchanged:
    """From one file to the other, always the same way: the other way has other calls, and is a phase of its own."""

    files = None
    turns = 2
    turn = 0

    def begin(self):
        self.agent.write(**self.files[0])
        super().begin()

    def ready(self):
        self.agent.write(**self.files[self.turn])
        self.agent.ctl("reload")
        self.agent.write(**self.files[1 - self.turn])

    def act(self, options):
        with attached(self.agent, *options):
            return self.agent.command("reload").status == 0

    def calls(self):
        """Those until it is reported as done: what the agent does by itself after that is another number each time."""
        lines = super().calls()
        done = [k for k, line in enumerate(lines) if _DONE in line]
        return lines[:done[-1] + 1] if done else lines


class ExchangedWatched(Exchanged, Watched):
    """The same under traffic that the kernel forwards."""

    def begin(self):
        netns.connect(self.lab.outside_ns, "eth1", self.lab.gateway, "out1")
        super().begin()

    def judge(self, done):
        super().judge(done)
        self.agent.write(**self.files[0])
        self.agent.ctl("reload")


class ReloadOfInterfaces(ExchangedWatched):
    name = "reload, another interface"
    files = [{"interfaces": {"inside": ["in0"], "outside": [out]}} for out in ("out0", "out1")]


class ReloadOfMode(ExchangedWatched):
    name = "reload, XDP or tc alone"
    files = [{"xdp_mode": mode} for mode in ("auto", "none")]


class RestartOfMode(ReloadOfMode):
    name = "restart, XDP or tc alone"

    def act(self, options):
        self.agent.stop()
        return self.launch(options)

    def calls(self):
        return Phase.calls(self)


class StartOverPins(Phase):
    name = "start over pins"

    def ready(self):
        self.agent.kill()

    def act(self, options):
        return self.launch(options)


class Reload(Exchanged, Phase):
    name = "reload"
    files = [{"mappings": [MAPPING], "answer_arp": True, "stages": 2}, {"mappings": [MAPPING, *OTHER], "answer_arp": False, "stages": 1}]

    def judge(self, done):
        super().judge(done)
        wanted = self.files[1 - self.turn]["mappings"]
        assert {m["in"] for m in self.agent.ctl("mapping", "list")} == {m["in"] for m in wanted}, "the file's"


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


class FiltersTakenOver(Watched):
    """Links take the places of the filters of an agent that cannot pin any, see isolation.hidden_mounts()."""

    name = "links for filters"

    def ready(self):
        self.agent.kill()
        with isolation.hidden_mounts():
            self.agent.start()
        assert tc_programs.filtered(self.lab.gateway, "out0", "egress") == ["tc_outside"]
        self.agent.kill()

    def act(self, options):
        return self.launch(options)


PHASES = {phase.name: phase for phase in (FirstStart, FirstStartGuarded, StartOverPins, Reload, MappingAdded, PoolDrained, Replaced, Stop,
                                          Detached, ReloadOfInterfaces, ReloadOfMode, RestartOfMode, FiltersTakenOver)}


# Per kind; thousands of calls in a row are one reading loop, in a start over the numbers of all chunks.
MOST = 400


def thinned(places):
    kinds = {kind: [n for k, n in places if k == kind] for kind, _ in places}
    return [(kind, n) for kind, all_ in kinds.items() for n in all_[::-(-len(all_) // MOST)]]


def chosen(places, how_many):
    """So many of them, one from each of as many sections of equal length."""
    if how_many == "all":
        return places
    n = min(int(how_many), len(places))
    dice = random.Random(SEED)
    return [places[dice.randrange(i * len(places) // n, (i + 1) * len(places) // n)] for i in range(n)]


def kill_in(lab, phase, how_many, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")  # leak detection needs ptrace, which strace uses
    it = PHASES[phase](lab)
    if how_many != "all":
        how_many = str(-(-int(how_many) // it.turns))
    for it.turn in range(it.turns):
        kill_in_turn(lab, it, phase, how_many)


def kill_in_turn(lab, it, phase, how_many):
    places = thinned(it.places())
    it.recover()
    assert len(places) > 10, places
    for kind, n in chosen(places, how_many):
        try:
            with Stream(lab) if it.traffic else contextlib.nullcontext():
                it.kill_at(kind, n)
            lab.open_udp(lab.host())
            it.go_on()
            assert lab.agent.command("history", "verify", "--state-dir", lab.agent.state).status == 0
        except Exception as error:
            raise AssertionError(f"{phase}, turn {it.turn}: killed at {kind} number {n} (KILLS_SEED={SEED}): {error}") from error
    print(f"{phase}, turn {it.turn}: {len(chosen(places, how_many))} of {len(places)} places")


@pytest.mark.parametrize("phase", ["detach", pytest.param("restart, XDP or tc alone", marks=pytest.mark.slow)])
def test_some_kills_show_no_inside_address(lab, phase, monkeypatch):
    kill_in(lab, phase, "2", monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_at_any_system_call_loses_nothing(lab, phase, monkeypatch):
    kill_in(lab, phase, KILLS, monkeypatch)
