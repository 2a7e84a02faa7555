# SPDX-License-Identifier: BSD-2-Clause
"""The network of docs/guide/ROUTING.md in namespaces: subscribers, their routers, gateways with real routing daemons, an upstream router.

    subs1 -- subs0 [ aggregation1 ] inside0 --+   +-- inside0 [ gateway1 ] outside0 --+
    subs2 -- subs0 [ aggregation2 ] inside0 --+---+-- inside0 [ gateway2 ] outside0 --+-- outside0 [ upstream ]
              100.64.0.1/18      192.0.2.11/24         192.0.2.1/24  198.51.100.1/24       198.51.100.254/24

Both networks in the middle are bridges of a namespace of their own. Servers are 198.18.0.0/24, at the upstream router.
"""

import contextlib
import functools
import itertools
import json
import re

import agent
import netns
import routers
from agent import wait_for

SERVER = "198.18.0.7"
UPSTREAM = "198.51.100.254"
PAIR_POOL = "203.0.113.0/24"
SUBSCRIBERS = ("100.64.0.0/18", "100.64.64.0/18", "100.64.128.0/18")

_numbers = itertools.count(1)


def subscriber(number, group=1):
    """An address of a group's subscribers; number from 10."""
    return f"100.64.{64 * (group - 1) + number // 250}.{number % 250 + 2}"


class Moment:
    """
    A time that BIRD shows. It reckons it anew for each answer, from the clock and how long ago it began its turn, so that one
    and the same varies. A session that was lost is not up again within a second.
    """

    def __init__(self, text):
        hours, minutes, seconds = text.split(":")
        self.text, self.seconds = text, int(hours) * 3600 + int(minutes) * 60 + float(seconds)

    def __eq__(self, other):
        return abs(self.seconds - other.seconds) < 0.5

    def __repr__(self):
        return self.text


class Gateway:
    """A namespace with a routing daemon and an agent, each with one of the example files."""

    def __init__(self, network, number):
        self.network, self.number = network, number
        self.namespace = network.namespace(f"gw{number}")
        netns.connect(self.namespace, "inside0", network.switch, f"gi{number}")
        netns.connect(self.namespace, "outside0", network.switch, f"go{number}")
        network.switch.batch(f"link set gi{number} master inside", f"link set go{number} master outside")
        self.namespace.sysctl("net.ipv4.ip_forward", 1)
        self.inside, self.outside = f"192.0.2.{number}", f"198.51.100.{number}"
        self.namespace.batch(f"addr add {self.inside}/24 dev inside0", f"addr add {self.outside}/24 dev outside0")
        self.agent = self.daemon = None
        self._starts = itertools.count(1)

    def start_agent(self, example, **config):
        config = {**json.loads((routers.EXAMPLES / example).read_text()), **config}
        self.agent = agent.Agent(self.namespace, self.network.directory / f"agent{self.number}.{next(self._starts)}", config)
        self.agent.start()
        return self

    def start_routing(self, kind, example):
        directory = self.network.directory / f"{kind}{self.number}.{next(self._starts)}"
        self.daemon = routers.DAEMONS[kind](self.namespace, directory, routers.EXAMPLES / example)
        return self

    def counter(self, name):
        return self.agent.counters()[name]

    def cut(self, *sides):
        """Frames are lost on the way to the bridge; the gateway sees no carrier go."""
        for side in sides:
            self.network.switch.ip("link", "set", f"g{side[0]}{self.number}", "nomaster")

    def mend(self, *sides):
        for side in sides:
            self.network.switch.ip("link", "set", f"g{side[0]}{self.number}", "master", side)

    def end(self):
        try:
            if self.agent:
                self.agent.check()
        finally:
            if self.daemon:
                self.daemon.end()
            if self.agent:
                self.agent.dispose()


class Network:
    def __init__(self, run_directory, gateways=1, groups=1):
        self.prefix = f"rt{next(_numbers)}"
        self.directory = run_directory / self.prefix
        self.directory.mkdir()
        self.namespaces, self.birds = [], []
        self.switch = self.namespace("switch")
        self.switch.batch("link add inside type bridge", "link add outside type bridge", "link set inside up", "link set outside up")
        self.upstream = self.namespace("upstream")
        netns.connect(self.upstream, "outside0", self.switch, "upstream")
        self.switch.ip("link", "set", "upstream", "master", "outside")
        self.upstream.sysctl("net.ipv4.ip_forward", 1)
        self.upstream.batch(f"addr add {UPSTREAM}/24 dev outside0", "addr add 198.18.0.1/24 dev lo")
        self._bird(self.upstream, "upstream", (routers.EXAMPLES / "routers/upstream.bird.conf").read_text())
        self.subscribers, self.aggregations = [], []
        for group in range(1, groups + 1):
            self._group(group)
        self.gateways = [Gateway(self, number) for number in range(1, gateways + 1)]

    def _group(self, group):
        """Subscribers and their router, whose file is the example's with the group's addresses."""
        prefix, router = SUBSCRIBERS[group - 1], f"192.0.2.{10 + group}"
        aggregation, subscribers = self.namespace(f"agg{group}"), self.namespace(f"subs{group}")
        netns.connect(aggregation, "inside0", self.switch, f"agg{group}")
        self.switch.ip("link", "set", f"agg{group}", "master", "inside")
        netns.connect(subscribers, "eth0", aggregation, "subs0")
        aggregation.sysctl("net.ipv4.ip_forward", 1)
        first = f"100.64.{64 * (group - 1)}.1"
        aggregation.batch(f"addr add {router}/24 dev inside0", f"addr add {first}/18 dev subs0")
        subscribers.batch(*(f"addr add {subscriber(n, group)}/18 dev eth0" for n in range(10, 60)), f"route add default via {first}")
        text = (routers.EXAMPLES / "routers/aggregation.bird.conf").read_text()
        self._bird(aggregation, f"agg{group}", text.replace("192.0.2.11", router).replace(SUBSCRIBERS[0], prefix))
        self.aggregations.append(aggregation)
        self.subscribers.append(subscribers)

    def namespace(self, name):
        self.namespaces.append(netns.Namespace(f"{self.prefix}-{name}"))
        return self.namespaces[-1]

    def _bird(self, namespace, name, text):
        path = self.directory / f"{name}.conf"
        path.write_text(text)
        self.birds.append(routers.Bird(namespace, self.directory / name, path))

    def close(self):
        try:
            for gateway in self.gateways:
                gateway.end()
        finally:
            for bird in self.birds:
                bird.end()
            for namespace in self.namespaces:
                namespace.delete()

    # ---- where packets go

    @staticmethod
    def ways(namespace, prefix):
        """Next hops of the kernel's route to exactly this prefix."""
        return set(re.findall(r"via (\S+)", namespace.ip("route", "show", "exact", prefix)))

    def wait_for_bfd(self, at_aggregations=None):
        """A failure is noticed by BFD only once its sessions are up, some seconds after those of BGP; of so many gateways each."""
        wanted = [len(self.gateways), *[at_aggregations or len(self.gateways)] * len(self.aggregations)]

        def up():
            return [len(re.findall(r" Up ", bird.command("show", "bfd", "sessions"))) for bird in self.birds]

        wait_for(lambda: up() == wanted, 60, "sessions of BFD", 0.05)

    def bfd_since(self, *numbers):
        """
        Since when the routers' sessions of BFD with these gateways are up. A machine that is too busy for a packet in a second
        loses some, and routes move; a test that counts every packet then begins anew.
        """
        lines = [line.split() for bird in self.birds for line in bird.command("show", "bfd", "sessions").splitlines()]
        hosts = {host for n in numbers for host in (self.gateways[n - 1].inside, self.gateways[n - 1].outside)}
        return [(*line[:3], Moment(line[3])) for line in lines if line and line[0] in hosts]

    def wait_for_ways(self, pools, defaults=None, timeout=60):
        """
        Waits until the upstream router sends each pool to exactly these gateways, and each group's router the default route,
        and until the kernels of the latter have the routes onwards: daemons announce a route while they install it.
        A gateway is its number; several are a set.
        """
        def some(gateways):
            return [self.gateways[number - 1] for number in (gateways if isinstance(gateways, set) else {gateways})]

        wanted = {(self.upstream, pool): {gateway.outside for gateway in some(gateways)} for pool, gateways in pools.items()}
        for group, gateways in (defaults or {}).items():
            wanted[self.aggregations[group - 1], "default"] = {gateway.inside for gateway in some(gateways)}
            for gateway in some(gateways):
                wanted[gateway.namespace, "default"] = {UPSTREAM}
                wanted[gateway.namespace, SUBSCRIBERS[group - 1]] = {f"192.0.2.{10 + group}"}

        def found():
            return {way: self.ways(*way) for way in wanted}

        try:
            wait_for(lambda: found() == wanted, timeout, "routes", 0.05)
        except AssertionError:
            reports = "\n".join(f"---- {r.directory.name}\n{r.report()}" for r in
                                [*self.birds, *(g.daemon for g in self.gateways if g.daemon)])
            shown = {(namespace.name, prefix): (hops, wanted[namespace, prefix]) for (namespace, prefix), hops in found().items()}
            raise AssertionError(f"routes, and those due: {shown}\n{reports}") from None


def anew_if_disturbed(pools, defaults):
    """
    For a test that counts every packet: it begins anew, with these routes, if it failed and BFD has lost a session meanwhile,
    as on a machine that is too busy for a packet in a second.
    """
    def decorate(test):
        @functools.wraps(test)
        def run(network):
            numbers = range(1, len(network.gateways) + 1)
            for last in (False, False, True):
                network.wait_for_ways(pools, defaults)
                network.wait_for_bfd()
                since = network.bfd_since(*numbers)
                try:
                    return test(network)
                except AssertionError:
                    if last or network.bfd_since(*numbers) == since:
                        raise
        return run
    return decorate


@contextlib.contextmanager
def pair(run_directory, kind):
    """An active and a standby gateway by the files in deploy/routing/pair; the first is active."""
    it = Network(run_directory, gateways=2)
    it.kind = kind
    try:
        for gateway, letter in zip(it.gateways, "ab"):
            gateway.start_agent("pair/detnat.json").start_routing(kind, f"pair/{letter}.{kind}.conf")
        it.wait_for_ways({PAIR_POOL: 1}, {1: 1})
        yield it
    finally:
        it.close()
