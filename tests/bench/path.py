#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Instructions and cache lines of a packet on its path through the programs of one stage, of two, and of tc that sends.

Interprets the compiled BPF programs (build/skel) over the tables of a small gateway, so the counts are the same every
time and on every machine. A call of a helper counts as one instruction. Lines are of 64 octets; those of packet and
stack are left out. Frames in two stages come 16 at a time, as from the kernel's queue. At tc the helpers do more, the
kernel's checksum functions above all.

    BUILD=build path.py [-v]      -v: the lines, by table
"""

import collections
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
VALUE_OCTETS = {"buckets": 128, "subscribers": 64, "fib_nodes": 1024, "hosts6": 16}  # of the inner maps
EMPTY = ("portmaps", "portmap_filters", "routed_flows")
BATCH = 16
STACK_OCTETS = 4096
CALL, EXIT = 8, 9
LOOKUP, RANDOM, CHECKSUM, TAIL_CALL, REDIRECT, ADJUST_HEAD, REDIRECT_MAP, JIFFIES, COARSE_NS, LOOP = 1, 7, 11, 12, 23, 44, 51, 118, 160, 181
TC = 3  # in the place of a number of stages
XDP_PASS, XDP_REDIRECT = 2, 4
IF_IN, IF_OUT = 2, 3
BLOCK = 64  # ports of a granted one
FIRST_GRANTED = 33280  # after the blocks of 512 subscribers
TICK = 64  # jiffies
JIFFY_NS = 1000000
EXTERNAL = 0xC6336407  # 198.51.100.7
INSIDE = 0xAC100005  # 172.16.0.5
VIRTUAL = 0xE0000005  # 224.0.0.5, of 2001:db8:4000:500::/56
HOST6_LO = 0x0102030405060708  # octets in the order of the machine


def signed(value, bits):
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


class Object:
    """A compiled object: its sections, symbols and relocations."""

    def __init__(self, path):
        self.data = data = path.read_bytes()
        self.name = path.name
        start, count, names = (struct.unpack_from(f, data, o)[0] for f, o in (("<Q", 0x28), ("<H", 0x3C), ("<H", 0x3E)))
        self.headers = [struct.unpack_from("<IIQQQQIIQQ", data, start + 64 * i) for i in range(count)]
        self.sections = [self.text(self.headers[names][4] + h[0]) for h in self.headers]
        table = self.headers[self.sections.index(".symtab")]
        strings = self.headers[table[6]][4]
        self.symbols = []
        for at in range(table[4], table[4] + table[5], 24):
            name, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            self.symbols.append((self.text(strings + name), info & 15, section, value))
        self.relocations = {}
        for h in self.headers:
            if h[1] == 9:  # SHT_REL
                entries = (struct.unpack_from("<QQ", data, h[4] + 16 * i) for i in range(h[5] // 16))
                self.relocations[h[7]] = {offset: info >> 32 for offset, info in entries}

    def text(self, at):
        return self.data[at : self.data.index(b"\0", at)].decode()

    def symbol(self, name):
        return next(s for s in self.symbols if s[0] == name and s[1] in (1, 2))


class Memory:
    """Regions by name, each in an address range of its own; octets that were never written are 0."""

    def __init__(self):
        self.octets = {}
        self.names = [""]

    def region(self, name):
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name) << 40

    def name(self, address):
        return self.names[address >> 40]

    def read(self, address, size):
        return int.from_bytes(bytes(self.octets.get(address + i, 0) for i in range(size)), "little")

    def write(self, address, size, value):
        for i in range(size):
            self.octets[address + i] = value >> 8 * i & 255

    def load(self, address, data):
        self.octets.update((address + i, x) for i, x in enumerate(data) if x)


class Machine:
    """Runs programs, and counts."""

    def __init__(self):
        self.memory = Memory()
        self.jiffies = 1 << 30
        self.depth = self.count = 0
        self.lines = set()
        self.grants = {}  # values by key
        self.leaves = {}  # what is tail-called, by number: object, section, and place in it

    def address_of(self, obj, symbol, offset):
        name, _, section, value = obj.symbols[symbol]
        if obj.sections[section] == ".maps":
            return self.memory.region("map " + name)
        return self.memory.region(f"{obj.sections[section]} of {obj.name}") + value + offset

    def run(self, obj, name, frame, ifindex):
        """Runs a program over a frame. Returns its verdict."""
        memory = self.memory
        packet = memory.region("packet") + 256
        for i, octet in enumerate(frame):
            memory.octets[packet + i] = octet
        fields = {0: packet, 4: packet + len(frame), 8: packet, 12: ifindex}
        if name.endswith("_redirect"):  # len, ifindex, data and data_end of struct __sk_buff; others are 0
            fields = {4 * i: 0 for i in range(46)} | {0: 60, 40: ifindex, 76: packet, 80: packet + 60}
        for offset, value in fields.items():
            memory.write(memory.region("context") + 2 * offset, 8, value)
        symbol = obj.symbol(name)
        self.depth = self.count = 0
        self.lines = set()
        return self.go(obj, symbol[2], symbol[3] // 8, [memory.region("context")])

    def go(self, obj, section, at, arguments):
        start = obj.headers[section][4]
        relocations = obj.relocations.get(section, {})
        self.depth += 1
        r = [0, *arguments] + [0] * (10 - len(arguments))
        r[10] = self.memory.region("stack") + STACK_OCTETS * self.depth
        while True:
            code, registers, offset, imm = struct.unpack_from("<BBhi", obj.data, start + 8 * at)
            to, source, kind, operation = registers & 15, registers >> 4, code & 7, code >> 4
            symbol = relocations.get(8 * at)
            self.count += 1
            at += 1
            operand = r[source] if code & 8 else imm
            if kind in (4, 7):
                r[to] = self.compute(kind, operation, r[to], operand, code, imm)
            elif kind in (5, 6) and operation == EXIT:
                self.depth -= 1
                return r[0]
            elif kind in (5, 6) and operation == CALL:
                if source == 1:
                    target = (section, at + imm)
                    if symbol is not None:
                        _, info, its, value = obj.symbols[symbol]
                        target = (its, value // 8 + (imm + 1 if info == 3 else 0))
                    r[0] = self.go(obj, *target, r[1:6])
                elif imm == TAIL_CALL and r[3] in self.leaves:
                    obj, section, at = self.leaves[r[3]]
                    start, relocations = obj.headers[section][4], obj.relocations.get(section, {})
                elif imm == LOOP:
                    r[0] = self.loop(obj, *r[1:4])
                else:
                    r[0] = self.help(imm, r)
            elif kind in (5, 6):
                if operation == 0:
                    at += offset if kind == 5 else imm
                elif self.compare(operation, r[to], operand, 64 if kind == 5 else 32):
                    at += offset
            elif kind == 0:
                high = struct.unpack_from("<i", obj.data, start + 8 * at + 4)[0]
                at += 1
                r[to] = (imm & 0xFFFFFFFF) | (high & 0xFFFFFFFF) << 32
                if symbol is not None:
                    r[to] = self.address_of(obj, symbol, imm & 0xFFFFFFFF)
            else:
                self.access(kind, code, r, to, source, offset, imm)

    def loop(self, obj, times, callback, argument):
        """Calls a function of the object until it returns other than 0."""
        section = obj.sections.index(self.memory.name(callback).removesuffix(f" of {obj.name}"))
        for i in range(times):
            if self.go(obj, section, (callback & (1 << 40) - 1) // 8, [i, argument]):
                return i + 1
        return times

    @staticmethod
    def compute(kind, operation, a, b, code, imm):
        bits = 64 if kind == 7 else 32
        mask = (1 << bits) - 1
        if operation == 13:  # byte order
            a &= (1 << imm) - 1
            return int.from_bytes(a.to_bytes(imm // 8, "little"), "big" if kind == 7 or code & 8 else "little")
        a, b = a & mask, b & mask
        shift = b & (bits - 1)
        results = {
            0: lambda: a + b,
            1: lambda: a - b,
            2: lambda: a * b,
            3: lambda: a // b if b else 0,
            4: lambda: a | b,
            5: lambda: a & b,
            6: lambda: a << shift,
            7: lambda: a >> shift,
            8: lambda: -a,
            9: lambda: a % b if b else a,
            10: lambda: a ^ b,
            11: lambda: b,
            12: lambda: signed(a, bits) >> shift,
        }
        return results[operation]() & mask

    @staticmethod
    def compare(operation, a, b, bits):
        mask = (1 << bits) - 1
        a, b = a & mask, b & mask
        s, t = signed(a, bits), signed(b, bits)
        return {1: a == b, 2: a > b, 3: a >= b, 4: a & b, 5: a != b, 6: s > t, 7: s >= t, 10: a < b, 11: a <= b, 12: s < t, 13: s <= t}[operation]

    def access(self, kind, code, r, to, source, offset, imm):
        memory = self.memory
        size = {0: 4, 8: 2, 16: 1, 24: 8}[code & 0x18]
        address = (r[source if kind == 1 else to] + offset) & (1 << 64) - 1
        if memory.name(address) == "context":
            if kind == 1:
                r[to] = memory.read(address - offset + 2 * offset, 8)
            return
        if memory.name(address) not in ("stack", "packet"):
            self.lines.add((memory.name(address), address >> 6))
        if kind == 1:
            r[to] = memory.read(address, size)
        elif code >> 5 == 6:
            self.exchange(r, address, size, source, imm)
        else:
            memory.write(address, size, r[source] if kind == 3 else imm)

    def exchange(self, r, address, size, source, imm):
        """An atomic operation."""
        old = self.memory.read(address, size)
        if imm == 0xF1:
            if old == r[0] & (1 << 8 * size) - 1:
                self.memory.write(address, size, r[source])
            r[0] = old
            return
        new = {0: old + r[source], 0x40: old | r[source], 0x50: old & r[source], 0xE0: r[source]}[imm & ~1]
        self.memory.write(address, size, new)
        if imm & 1:
            r[source] = old

    def help(self, number, r):
        if number == JIFFIES:
            return self.jiffies
        if number == COARSE_NS:
            return self.jiffies * JIFFY_NS
        if number in (REDIRECT, REDIRECT_MAP):
            return XDP_REDIRECT
        if number in (CHECKSUM, RANDOM):
            return 0
        if number == ADJUST_HEAD:
            data = self.memory.region("context")
            self.memory.write(data, 8, self.memory.read(data, 8) + signed(r[2] & 0xFFFFFFFF, 32))
            return 0
        if number != LOOKUP:
            sys.exit(f"path.py: helper {number}: not on the path of a packet of an open session")
        name, key = self.memory.name(r[1]), self.memory.read(r[2], 4)
        kind, _, name = name.partition(" ")
        if kind == "chunk":
            return self.memory.region("value " + name) + key * VALUE_OCTETS[name.split()[0]]
        if name in VALUE_OCTETS:
            self.lines.add(("chunks of " + name, key >> 3))
            return self.memory.region(f"chunk {name} {key}")
        if name == "grants":
            self.lines |= {("heads of grants", key), ("elements of grants", key)}
            return self.grants.get(self.memory.read(r[2], 8), 0)
        return 0 if name in EMPTY else self.memory.region("value " + name) + (key << 20)


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def udp(source, destination, sport, dport):
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 46, 0, 0x4000, 64, 17, 0, source, destination)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return bytes.fromhex("020000000002 020000000001 0800") + ip + struct.pack("!HHHH", sport, dport, 26, 0x1234) + bytes(18)


def udp6(source, destination, sport, dport):
    """As sent by the host of the subscriber with a virtual address, to an address in 64:ff9b::/96."""
    subscriber = struct.pack("!Q", 0x20010DB840000000 + ((source & 0xFFFFFF) << 8)) + struct.pack("<Q", HOST6_LO)
    ip = struct.pack("!IHBB", 6 << 28, 26, 17, 64) + subscriber + struct.pack("!QQ", 0x64FF9B << 32, destination)
    return bytes.fromhex("020000000002 020000000001 86dd") + ip + struct.pack("!HHHH", sport, dport, 26, 0x1234) + bytes(18)


class Gateway:
    """The programs around one set of tables."""

    def __init__(self, variant=""):
        self.machine = Machine()
        names = ("xdp", "xdp_staged", "stage2", "redirect", "six")
        self.one, self.first, self.second, self.tc, self.six = (Object(BUILD / f"skel/detnat_{n}.bpf.o") for n in names)
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([BUILD / "tests/bench/agent/path_tables"], cwd=directory, check=True)
            tables = {f.name: f.read_bytes() for f in pathlib.Path(directory).iterdir()}
        memory = self.machine.memory
        self.tables = tables
        tables.update({n.removesuffix(variant): tables[n] for n in tables if variant and n.endswith(variant)})
        for name in ("mappings", "stage_control"):
            memory.load(memory.region("value " + name), tables[name])
        for obj in (self.one, self.first, self.second, self.tc, self.six):
            for name in ("fib", "settings"):
                memory.load(self.place(obj, name), tables[name])
        memory.write(self.place(self.first, "stage_generation"), 4, 1)

    def place(self, obj, name):
        symbol = obj.symbol(name)
        return self.machine.address_of(obj, obj.symbols.index(symbol), 0)

    def frame(self):
        memory = self.machine.memory
        data, end = (memory.read(memory.region("context") + at, 8) for at in (0, 8))
        return bytes(memory.octets.get(at, 0) for at in range(data, end))

    def expect(self, verdict, wanted):
        if verdict != wanted:
            sys.exit(f"path.py: a packet left its path with verdict {verdict}")
        return self.machine.count, self.machine.lines

    def two_stages(self, program, ifindex, frames):
        """Returns instructions and lines of each frame in both stages, and the frames that leave."""
        counts, lines, waiting, left = [], [], [], []
        for frame in frames:
            counts.append(self.expect(self.machine.run(self.first, program, frame, ifindex), XDP_REDIRECT)[0])
            lines.append(self.machine.lines)
            waiting.append(self.frame())
        for i, frame in enumerate(waiting):
            count, more = self.expect(self.machine.run(self.second, "stage2", frame, 0), XDP_PASS)
            counts[i] += count
            lines[i] = lines[i] | more
            left.append(self.frame())
        return counts, lines[-1], left

    def one_stage(self, program, ifindex, frames, obj=None):
        counts = []
        for frame in frames:
            counts.append(self.expect(self.machine.run(obj or self.one, program, frame, ifindex), XDP_REDIRECT)[0])
        return counts, self.machine.lines, []

    def at_tc(self, program, ifindex, frames):
        return self.one_stage(program, ifindex, frames, self.tc)


def report(gateway, packets, verbose, ways=(1, 2, TC)):
    for name, way, frames, ifindex, ticks in packets:
        runs = {1: (gateway.one_stage, "_xdp"), 2: (gateway.two_stages, "_staged_xdp"), TC: (gateway.at_tc, "_redirect")}
        for stages in ways:
            run, suffix = runs[stages]
            gateway.machine.jiffies += ticks * TICK
            counts, lines, _ = run(way + suffix, ifindex, frames[stages] if isinstance(frames, dict) else frames)
            print(f"{name:<28} {'tc' if stages == TC else stages:>6} {sum(counts) / len(counts):>13.1f} {len(lines):>6}")
            for table, n in sorted(collections.Counter(t for t, _ in lines).items()) if verbose else ():
                print(f"    {n} {table}")


class Beyond(Gateway):
    """Each of the first subscribers has an extent of one bucket, where its session is."""

    def __init__(self, frames):
        super().__init__("-beyond")
        self.answers = []
        for frame in frames:
            self.expect(self.machine.run(self.one, "in2out_xdp", frame, IF_IN), XDP_REDIRECT)
            self.answers.append(struct.unpack_from("!IIHH", self.frame(), 26))
        memory = self.machine.memory
        self.slots = sorted({at & ~15 for at, octet in memory.octets.items() if octet and memory.name(at).startswith("value buckets")})
        memory.load(memory.region("value subscribers 0"), self.tables["subscribers"])
        for i, slot in enumerate(self.slots):
            self.move(slot, self.place_beyond(i, slot % 128 // 16))
        self.slots = [self.place_beyond(i, slot % 128 // 16) for i, slot in enumerate(self.slots)]

    def place_beyond(self, i, slot):
        subscriber = (INSIDE + i) % 65536
        return self.machine.memory.region("value extents") + (subscriber << 20) + 16 * slot

    def move(self, old, new):
        for i in range(0, 16, 8):
            self.machine.memory.write(new + i, 8, self.machine.memory.read(old + i, 8))
            self.machine.memory.write(old + i, 8, 0)

    def grant(self):
        """Has the sessions on ports of a granted block of each, in the slots that those lead to."""
        memory = self.machine.memory
        for i, (source, destination, sport, dport) in enumerate(self.answers):
            first, place = FIRST_GRANTED + i * BLOCK, 1350 % BLOCK
            value = memory.region("value grants") + 64 * i
            memory.load(value, struct.pack("<IHH", INSIDE + i, first, BLOCK))
            self.machine.grants[source | first << 32] = value
            new = self.slots[i] & ~127 | place % 8 << 4
            self.move(self.slots[i], new)
            memory.write(new + 14, 2, first + place)
            self.answers[i] = (source, destination, first + place, dport)

    def packets(self, where, out):
        answers = [udp(destination, source, dport, sport) for source, destination, sport, dport in self.answers]
        return ((f"out, {where}", "in2out", out, IF_IN, 0), (f"in, {where}", "out2in", answers, IF_OUT, 0))


class Six(Gateway):
    """The subscribers are IPv6 prefixes. IPv4's program opens their sessions, as of their virtual addresses."""

    def __init__(self):
        super().__init__("-six")
        memory, names = self.machine.memory, ("six_out", "six_in", "six_out_slow")
        for number, name in zip(struct.unpack("<III", self.tables["programs6"]), names):
            _, _, section, value = self.six.symbol(f"prog_{name}_six")
            self.machine.leaves[number] = self.six, section, value // 8
        for name in ("records6", "indices6"):
            memory.load(memory.region("value " + name), self.tables[name])
        memory.load(memory.region("value hosts6 0"), self.tables["hosts6"])

    def packets(self):
        flows = [(VIRTUAL + i, EXTERNAL, 1350, 1024) for i in range(BATCH)]
        answers = []
        for flow in flows:
            self.expect(self.machine.run(self.one, "in2out_xdp", udp(*flow), IF_IN), XDP_REDIRECT)
            source, destination, sport, dport = struct.unpack_from("!IIHH", self.frame(), 26)
            answers.append(udp(destination, source, dport, sport))
        out = [udp6(*flow) for flow in flows]
        opening = [udp6(VIRTUAL + i, EXTERNAL + 1, 1350, 1024) for i in range(BATCH)]
        return (
            ("NAT64: out, in the same tick", "in2out_six", out, IF_IN, 0),
            ("NAT64: out, refreshes", "in2out_six", out, IF_IN, 10),
            ("NAT64: in", "out2in_six", answers, IF_OUT, 0),
            ("NAT64: out, opens its session", "in2out_six", opening, IF_IN, 0),
        )


class BesideSix(Gateway):
    """IPv4 subscribers, while a mapping has IPv6 ones."""

    def __init__(self):
        super().__init__()
        for obj in (self.one, self.six):
            self.machine.memory.load(self.place(obj, "settings"), self.tables["settings-six"])


def openings(name, way="in2out"):
    """Flows that have no session yet, others for each number of stages."""
    frames = {stages: [udp(INSIDE + i, EXTERNAL + stages, 1350, 1024) for i in range(BATCH)] for stages in (1, 2, TC)}
    return name, way, frames, IF_IN, 0


def main():
    verbose = sys.argv[1:] == ["-v"]
    gateway = Gateway()
    out = [udp(INSIDE + i, EXTERNAL, 1350, 1024) for i in range(BATCH)]
    _, _, left = gateway.two_stages("in2out_staged_xdp", IF_IN, out)  # opens the sessions
    answers = []
    for frame in left:
        source, destination, sport, dport = struct.unpack_from("!IIHH", frame, 26)
        answers.append(udp(destination, source, dport, sport))
    print(f"{'PACKET':<28} {'STAGES':>6} {'INSTRUCTIONS':>13} {'LINES':>6}")
    packets = (
        ("out, in the same tick", "in2out", out, IF_IN, 0),
        ("out, refreshes its session", "in2out", out, IF_IN, 10),
        ("in", "out2in", answers, IF_OUT, 0),
        openings("out, opens its session"),
    )
    report(gateway, packets, verbose)
    report(Gateway("-limits"), [openings("out, opens one, with limits")], verbose)
    gateway = Beyond(out)
    report(gateway, gateway.packets("beyond the slots", out), verbose)
    gateway.grant()
    # In two stages the slow path has those from outside.
    report(gateway, gateway.packets("on a granted port", out), verbose, (1, TC))
    beside = (
        openings("beside IPv6: out, opens", "in2out_six"),
        ("beside IPv6: out, same tick", "in2out_six", out, IF_IN, 0),
        ("beside IPv6: in", "out2in_six", answers, IF_OUT, 0),
    )
    gateway = BesideSix()
    gateway.one_stage("in2out_six_xdp", IF_IN, out)
    report(gateway, beside, verbose, (1,))
    gateway = Six()
    report(gateway, gateway.packets(), verbose, (1,))


if __name__ == "__main__":
    main()
