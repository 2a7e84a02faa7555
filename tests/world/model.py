# SPDX-License-Identifier: BSD-2-Clause
"""Who may use which outside endpoint when: the arithmetic of RFC 7422 over the mappings that were in force, with the time
at which each may have begun and may have ended. Written from the contract, without a look at the product's code.
"""

import collections
import dataclasses
import ipaddress

from frames import number, text

FIRST_PORT, PORTS = 1024, 64512
FOREVER = 1 << 62
SECOND = 1_000_000_000


def prefix(words):
    """(first address, length) of a prefix or an address."""
    net = ipaddress.ip_network(words, strict=False)
    return int(net.network_address), net.prefixlen


def covers(net, addr):
    return (addr ^ net[0]) >> (32 - net[1]) == 0 if net[1] else True


@dataclasses.dataclass(eq=False)
class Held:
    """A mapping that was in force from `begin` at the earliest to `end` at the latest (nanoseconds)."""

    inside: tuple
    outside: tuple  # None: not translated
    inbound: str
    eim: tuple
    eif: tuple
    draining: bool
    slots: int
    begin: int
    end: int = FOREVER
    settled: int = FOREVER  # from then on certainly in force
    of: tuple = None  # (inside, outside) of the mapping that a part drains from, by which its blocks are reckoned
    eif_before: tuple = ()
    drain_left: int = 0
    ports: int = 0  # of a block, where these are not all that there are; 0: they are

    def key(self):
        return self.inside, self.outside, self.inbound, self.draining, self.slots, self.ports

    def block(self, addr):
        """(outside address, first port, ports) of an inside address."""
        if self.outside is None:
            return addr, 0, 65536
        if self.inbound == "open":
            return self.outside[0] + addr - self.inside[0], 0, 65536
        inside, outside = self.of or (self.inside, self.outside)
        ratio = 1 << (outside[1] - inside[1])
        ports = self.ports or PORTS // ratio
        index = addr - inside[0]
        return outside[0] + index // ratio, FIRST_PORT + ports * (index % ratio), ports

    def owner(self, addr, port):
        """The inside address of an outside endpoint, or None."""
        if self.outside is None or not covers(self.outside, addr):
            return None
        if self.inbound == "open":
            return self.inside[0] + addr - self.outside[0]
        inside, outside = self.of or (self.inside, self.outside)
        ratio = 1 << (outside[1] - inside[1])
        at = (port - FIRST_PORT) // (self.ports or PORTS // ratio)
        if port < FIRST_PORT or at >= ratio:
            return None
        return inside[0] + (addr - outside[0]) * ratio + at

    def __str__(self):
        inside = f"{text(self.inside[0])}/{self.inside[1]}"
        outside = f"{text(self.outside[0])}/{self.outside[1]}" if self.outside else "none"
        return f"{inside} to {outside}{' open' if self.inbound == 'open' else ''}{' draining' if self.draining else ''}"


@dataclasses.dataclass(eq=False)
class Port:
    """A portmap or a lease."""

    proto: str
    inside: tuple
    outside: tuple
    begin: int
    end: int = FOREVER

    def key(self):
        return self.proto, self.inside, self.outside


@dataclasses.dataclass(eq=False)
class Grant:
    """A block of the shared range that a subscriber had, from `begin` at the earliest to `end` at the latest."""

    host: int
    outside: tuple  # address, first and last port
    begin: int
    end: int = FOREVER


class Model:
    def __init__(self):
        self.now, self.past = {}, collections.deque()  # by key; those that have ended
        self.ports, self.past_ports = {}, collections.deque()
        self.grants, self.past_grants = {}, collections.deque()  # by host and block
        self.granted = 0  # in all
        self.listed = 0  # when grants were last listed
        self.unlisted = 0  # grants that the histories alone told of
        self.loose = []  # (begin, end, inside, outside): a change that was cut short may have been in force
        self.changes = []  # (begin, end, what): intervals in which anything may have changed
        self.version = 0
        self._blocks = {}

    # ---- what the agent says it has

    def take(self, rows, begin, now):
        """The mappings are these since `begin` at the earliest; returns the Held that came and went."""
        seen = {}
        for row in rows:
            outside = prefix(row["out"]) if row["out"] else None
            held = Held(prefix(row["in"]), outside, row.get("inbound") or "none", tuple(row.get("eim") or ()), tuple(row.get("eif") or ()),
                        row.get("state") == "draining", row.get("session_slots") or 0, begin, drain_left=row.get("drain_left") or 0,
                        ports=row["ports_per_host"] if row.get("growth") else 0)
            seen[held.key()] = held
            if held.draining:
                held.of, held.ports = self.drained_from(held)
        # By the keys that they came with: the ports of what drains are known only now.
        came = {key: held for key, held in seen.items() if key not in self.now}
        gone = {key: held for key, held in self.now.items() if key not in seen}
        for key, held in gone.items():
            held.end = now
            self.past.append(self.now.pop(key))
        for key, held in came.items():
            held.settled = now
            self.now[key] = held
        for key, held in seen.items():
            # What was let in once may still be let in for a moment.
            self.now[key].eim, self.now[key].eif, self.now[key].eif_before = held.eim, held.eif, self.now[key].eif
            self.now[key].drain_left = held.drain_left
        while self.past and self.past[0].end < now - 120 * SECOND:
            self.past.popleft()
        if came or gone:
            self.version += 1
            self._blocks.clear()
        return list(came.values()), list(gone.values())

    def drained_from(self, part):
        """(inside, outside) of the mapping that has, or had, the addresses of what drains, and the ports of its blocks."""
        for held in (*self.now.values(), *reversed(self.past)):
            if held.outside and not held.draining and part.outside[1] >= held.outside[1] and covers(held.outside, part.outside[0]):
                if part.inside[1] >= held.inside[1] and covers(held.inside, part.inside[0]):
                    return (held.inside, held.outside), held.ports
        return None, part.ports

    def take_ports(self, rows, begin, now):
        seen = {}
        for row in rows:
            inside = number(row["in_addr"]), row["in_port"]
            outside = number(row["out_addr"]), row["out_port"]
            port = Port(row["proto"], inside, outside, begin)
            seen[port.key()] = port
        for key in [key for key in self.ports if key not in seen]:
            port = self.ports.pop(key)
            port.end = now
            self.past_ports.append(port)
        for key, port in seen.items():
            self.ports.setdefault(key, port)
        while self.past_ports and self.past_ports[0].end < now - 120 * SECOND:
            self.past_ports.popleft()

    def take_grants(self, rows, begun, asked, now):
        """
        Blocks come and go by themselves: since the agents were last asked, at the earliest. begun: those of which the histories say that
        they were granted since then. One of these that is not listed has ended by now, or begins; it is there until the agents are asked again.
        """
        begin, self.listed = self.listed, asked
        seen, begun = ({(number(row["in_addr"]), (number(row["out_addr"]), row["port_lo"], row["port_hi"])) for row in them} for them in (rows, begun))
        self.unlisted += len(begun - seen)
        seen |= begun
        for key in [key for key in self.grants if key not in seen]:
            grant = self.grants.pop(key)
            grant.end = now
            self.past_grants.append(grant)
        for key in seen - set(self.grants):
            self.grants[key] = Grant(*key, begin)
            self.granted += 1
        while self.past_grants and self.past_grants[0].end < now - 120 * SECOND:
            self.past_grants.popleft()

    def changed(self, begin, end, what):
        self.changes.append((begin, end, what))

    def quiet(self, begin, end):
        """Whether nothing was being changed between these times."""
        for first, last, _ in reversed(self.changes):
            if first <= end and last >= begin:
                return False
        return True

    # ---- questions

    def held(self, begin, end):
        for held in self.now.values():
            if held.begin <= end:
                yield held
        for held in reversed(self.past):
            if held.end < begin:
                break  # in order of their end
            if held.begin <= end:
                yield held

    def blocks(self, addr, begin, end):
        """[(outside address, first port, ports)] that an inside address may use between these times."""
        return [held.block(addr) for held in self.held(begin, end) if covers(held.inside, addr)]

    def portmapped(self, proto, inside, begin, end):
        """Outside endpoints that a portmap may give an inside endpoint."""
        found = []
        for port in (*self.ports.values(), *self.past_ports):
            if port.proto == proto and port.inside == inside and port.begin <= end and port.end >= begin:
                found.append(port.outside)
        return found

    def grant_holders(self, outside, begin, end):
        """Who may have been granted an outside endpoint between these times."""
        for grant in (*self.grants.values(), *self.past_grants):
            addr, low, high = grant.outside
            if addr == outside[0] and (outside[1] is None or low <= outside[1] <= high) and grant.begin <= end and grant.end >= begin:
                yield grant.host

    def port_owners(self, outside, begin, end):
        for port in (*self.ports.values(), *self.past_ports):
            if port.outside == outside and port.begin <= end and port.end >= begin:
                yield port.inside[0]

    def may_use(self, proto, inside, outside, begin, end):
        """Whether an inside endpoint may have this outside endpoint; a port of None is not looked at."""
        addr, port = outside
        for block in self.blocks(inside[0], begin, end):
            if block[0] == addr and (port is None or block[1] <= port < block[1] + block[2]):
                return True
        if inside[0] in self.grant_holders(outside, begin, end):
            return True
        for first, last, inside_net, outside_net in self.loose[-20:]:
            if first <= end and last >= begin and covers(inside_net, inside[0]) and covers(outside_net, addr):
                return True
        if port is None:
            return any(p.inside[0] == inside[0] and p.outside[0] == addr for p in (*self.ports.values(), *self.past_ports))
        return outside in self.portmapped(proto, inside, begin, end)

    def effective(self, addr):
        """The mapping in force that has an inside address, or None."""
        best = None
        for held in self.now.values():
            if not held.draining and covers(held.inside, addr) and (best is None or held.inside[1] > best.inside[1]):
                best = held
        return best

    def drains(self, addr, outside):
        """Whether an endpoint is in a block of the address that drains."""
        for held in self.now.values():
            if held.draining and covers(held.inside, addr):
                block = held.block(addr)
                if block[0] == outside[0] and block[1] <= outside[1] < block[1] + block[2]:
                    return True
        return False

    def untranslated(self, addr, begin, end):
        return any(held.outside is None and covers(held.inside, addr) for held in self.held(begin, end))
