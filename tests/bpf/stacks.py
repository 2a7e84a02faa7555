#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fails if a BPF object has what later kernels take and kernel 6.1 refuses: too deep a stack, arithmetic on what may be NULL.

The verifiers of later kernels count less: they round a frame up to 16 octets, or give a program a stack of its own. Kernel
6.1 rounds each frame up to 32 and adds up the frames of the deepest chain, callbacks of helpers included; 512 octets is the
limit (check_max_stack_depth in the kernel's verifier). So a machine with a later kernel would not notice.

What bpf_map_lookup_elem() returns must be compared with NULL before anything is added to it. Later kernels know that an array
has each of its elements, and let a compiler add first.

    tests/bpf/stacks.py OBJECT...
"""

import struct
import sys

LIMIT = 512
ROUND = 32
FRAME_POINTER = 10
LDDW, CALL, MOV, ADD_IMMEDIATE, ADD_REGISTER = 0x18, 0x85, 0xBF, 0x07, 0x0F
LOOKUP = 1
PSEUDO_CALL = 1
R_BPF_64_64, R_BPF_64_32 = 1, 10


class Object:
    """The functions of an ELF object, each (section, first instruction), with its frame and what it calls."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.sections = self._sections()
        self.names = {}
        self._symbols()
        self.calls = {f: set() for f in self.names}
        self.frames = {f: 0 for f in self.names}
        self.unchecked = []  # functions that add to a pointer which may be NULL
        self.relocations = self._relocations()
        for section, header in enumerate(self.sections):
            functions = sorted(at for s, at in self.names if s == section)
            code = self.data[header["offset"] : header["offset"] + header["size"]]
            for first, end in zip(functions, functions[1:] + [len(code) // 8]):
                self._read((section, first), code, end)
                self._read_lookups((section, first), code, end)

    def _sections(self):
        at, count = struct.unpack_from("<Q", self.data, 40)[0], struct.unpack_from("<H", self.data, 60)[0]
        keys = ("name", "type", "flags", "addr", "offset", "size", "link", "info", "align", "entry")
        return [dict(zip(keys, struct.unpack_from("<IIQQQQIIQQ", self.data, at + 64 * i))) for i in range(count)]

    def _table(self, header, form):
        size = struct.calcsize(form)
        for at in range(header["offset"], header["offset"] + header["size"], size):
            yield struct.unpack_from(form, self.data, at)

    def _symbols(self):
        symbols = next(s for s in self.sections if s["type"] == 2)
        strings = self.sections[symbols["link"]]["offset"]
        self.symbols = []
        for name, info, _, section, value, _ in self._table(symbols, "<IBBHQQ"):
            self.symbols.append((section, value // 8))
            if info & 15 == 2:
                end = self.data.index(b"\0", strings + name)
                self.names[section, value // 8] = self.data[strings + name : end].decode()

    def _relocations(self):
        """(section, instruction): (kind, place that the symbol names)"""
        found = {}
        for header in self.sections:
            if header["type"] == 9:
                for offset, info in self._table(header, "<QQ"):
                    found[header["info"], offset // 8] = (info & 0xFFFFFFFF, self.symbols[info >> 32])
        return found

    def _read(self, function, code, end):
        section, first = function
        pointers = set()  # registers that hold the frame pointer
        for at in range(first, end):
            op, registers, offset, immediate = struct.unpack_from("<BBhi", code, at * 8)
            to, source = registers & 15, registers >> 4
            kind, place = self.relocations.get((section, at), (None, None))
            lowest = 0
            if op & 7 in (2, 3) and to == FRAME_POINTER or op & 7 == 1 and source == FRAME_POINTER:
                lowest = offset
            elif op == MOV:
                pointers = pointers | {to} if source == FRAME_POINTER else pointers - {to}
            elif op == ADD_IMMEDIATE and to in pointers:
                lowest = immediate
                pointers.remove(to)
            elif op == CALL and source == PSEUDO_CALL:
                called = (section, at + 1 + immediate) if kind is None else (place[0], place[1] + immediate + 1)
                self.calls[function].add(called)
            elif op == LDDW and kind == R_BPF_64_64 and (place[0], place[1] + immediate // 8) in self.names:
                self.calls[function].add((place[0], place[1] + immediate // 8))
            self.frames[function] = max(self.frames[function], -lowest)

    def _read_lookups(self, function, code, end):
        maybe = set()  # registers with the result of a lookup, up to the next jump
        for at in range(function[1], end):
            op, registers, _, immediate = struct.unpack_from("<BBhi", code, at * 8)
            to, source = registers & 15, registers >> 4
            if op == CALL:
                maybe = {0} if source == 0 and immediate == LOOKUP else maybe - set(range(6))
            elif op & 7 in (5, 6):
                maybe = set()
            elif op == MOV:
                maybe = maybe | {to} if source in maybe else maybe - {to}
            elif op in (ADD_IMMEDIATE, ADD_REGISTER) and (to in maybe or op == ADD_REGISTER and source in maybe):
                self.unchecked.append(f"{self.names[function]}, instruction {at}")
            elif op & 7 in (0, 1, 4, 7):
                maybe = maybe - {to}

    def deepest(self, function, known):
        """(octets, functions) of the deepest chain that begins at a function"""
        if function not in known:
            frame = max(1, -(-self.frames[function] // ROUND)) * ROUND
            below = max((self.deepest(f, known) for f in self.calls[function]), default=(0, []))
            known[function] = (frame + below[0], [f"{self.names[function]} {frame}"] + below[1])
        return known[function]


def main(paths):
    failed = deepest = 0
    for path in paths:
        o, known = Object(path), {}
        called = set().union(*o.calls.values())
        for function in set(o.names) - called:
            octets, chain = o.deepest(function, known)
            deepest = max(deepest, octets)
            if octets > LIMIT:
                failed += 1
                print(f"{path}: {octets} octets of stack, kernel 6.1 has {LIMIT}: {' > '.join(chain)}")
        failed += len(o.unchecked)
        for place in o.unchecked:
            print(f"{path}: adds to the result of a lookup before it is compared with NULL, which kernel 6.1 refuses: {place}")
    print(f"{len(paths)} objects, the deepest chain of calls takes {deepest} of {LIMIT} octets of stack")
    return failed > 0 or not paths


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
