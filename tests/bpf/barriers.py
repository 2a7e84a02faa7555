# SPDX-License-Identifier: BSD-2-Clause
"""Fails if objects that were built for another processor than x86 have no barriers in them.

A barrier (include/detnat/order.h) is an atomic operation on the stack that returns the value that was there. The form
that returns nothing orders nothing on arm64, and compilers choose it where the value is unused.
"""
import struct
import sys

STX_ATOMIC_DW, ADD, FETCH = 0xdb, 0x00, 0x01
FRAME = 10  # the register that points to the stack


def sections(octets):
    """Yields the contents of each section with code of a 64-bit ELF object."""
    at, = struct.unpack_from("<Q", octets, 0x28)
    size, count = struct.unpack_from("<HH", octets, 0x3a)
    for i in range(count):
        kind, flags, _, offset, length = struct.unpack_from("<IQQQQ", octets, at + i * size + 4)
        if kind == 1 and flags & 4:
            yield octets[offset:offset + length]


def barriers(octets):
    """How many atomic additions to the stack return their value, and how many do not."""
    found = {ADD | FETCH: 0, ADD: 0}
    for code in sections(octets):
        for at in range(0, len(code) - 7, 8):
            op, registers, _, operation = struct.unpack_from("<BBhi", code, at)
            if op == STX_ATOMIC_DW and registers & 15 == FRAME and operation in found:
                found[operation] += 1
    return found[ADD | FETCH], found[ADD]


bad = False
total = 0
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        ordering, idle = barriers(file.read())
    total += ordering
    if idle:
        bad = True
        print(f"{name}: {idle} atomic additions to the stack return nothing, so they are no barriers", file=sys.stderr)
print(f"{total} barriers in {len(sys.argv) - 1} objects")
sys.exit(bad or not total)
