# SPDX-License-Identifier: BSD-2-Clause
"""The programs at the tc hooks of interfaces, as tcx links or as filters of a clsact qdisc."""

import contextlib
import ctypes
import os
import re
import socket
import struct

from flood import _bpf

_PROG_LOAD, _OBJ_PIN, _LINK_CREATE = 5, 6, 28
_PROG_GET_FD_BY_ID, _OBJ_GET_INFO_BY_FD, _PROG_QUERY, _LINK_GET_FD_BY_ID, _LINK_DETACH = 13, 15, 16, 30, 34
_TCX = {"ingress": 46, "egress": 47}
_MOST = 64
_BEFORE = 1 << 3  # all others, where none is named


def _name(program):
    fd = _bpf(_PROG_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack("=I", program), 128))
    try:
        info = ctypes.create_string_buffer(256)
        _bpf(_OBJ_GET_INFO_BY_FD, ctypes.create_string_buffer(struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)), 128))
        return info.raw[64:80].split(b"\0")[0].decode()
    finally:
        os.close(fd)


def _ids(namespace, interface, side):
    """Of each program at tcx, in the order in which they run: its id, and that of its link."""
    programs, links = (ctypes.c_uint32 * _MOST)(), (ctypes.c_uint32 * _MOST)()
    with namespace.enter():
        query = ctypes.create_string_buffer(
            struct.pack("=IIIIQIIQQ", socket.if_nametoindex(interface), _TCX[side], 0, 0, ctypes.addressof(programs), _MOST, 0, 0,
                        ctypes.addressof(links)), 128)
        try:
            _bpf(_PROG_QUERY, query)
        except OSError:  # before Linux 6.6
            return []
    return [(programs[k], links[k]) for k in range(struct.unpack_from("=I", query.raw, 24)[0])]


def linked(namespace, interface, side):
    """Names of the programs at tcx, in the order in which they run. One may go while they are read, which begins anew then."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return [_name(program) for program, _ in _ids(namespace, interface, side)]


def detach(namespace, interface, side):
    """As `bpftool link detach`."""
    for _, link in _ids(namespace, interface, side):
        fd = _bpf(_LINK_GET_FD_BY_ID, ctypes.create_string_buffer(struct.pack("=I", link), 128))
        _bpf(_LINK_DETACH, ctypes.create_string_buffer(struct.pack("=I", fd), 128))
        os.close(fd)


def program_of_others(verdict):
    """A program that does nothing else than to return a verdict: its descriptor."""
    code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, verdict, 0x95, 0, 0, 0))
    license_ = ctypes.create_string_buffer(b"BSD")
    attributes = struct.pack("=IIQQIIQII16s", 3, 2, ctypes.addressof(code), ctypes.addressof(license_), 0, 0, 0, 0, 0, b"of_others")
    return _bpf(_PROG_LOAD, ctypes.create_string_buffer(attributes, 128))


def link_of_others(namespace, interface, side, program, front=False):
    """Attaches a program at tcx, as the last or in front of all; the descriptor of its link, without which it is gone."""
    with namespace.enter():
        return _bpf(_LINK_CREATE, ctypes.create_string_buffer(
            struct.pack("=IIII", program, socket.if_nametoindex(interface), _TCX[side], _BEFORE if front else 0), 128))


def filter_of_others(namespace, interface, side, program, pin, *place):
    """A filter with a program, which is pinned under a name."""
    path = ctypes.create_string_buffer(str(pin).encode())
    _bpf(_OBJ_PIN, ctypes.create_string_buffer(struct.pack("=QI", ctypes.addressof(path), program), 128))
    namespace.run("tc", "qdisc", "add", "dev", interface, "clsact", check=False)
    namespace.run("tc", "filter", "add", "dev", interface, side, *place, "bpf", "da", "object-pinned", pin)
    pin.unlink()


def ids(namespace, interface, side):
    """Ids of all programs there, by links and by filters."""
    shown = namespace.run("tc", "filter", "show", "dev", interface, side).stdout
    return [program for program, _ in _ids(namespace, interface, side)] + [int(n) for n in re.findall(r"\bid (\d+)", shown)]


def filtered(namespace, interface, side):
    """Names of detnat's programs that filters run."""
    return re.findall(r"\b(tc_\w+):\[", namespace.run("tc", "filter", "show", "dev", interface, side).stdout)


def all_of(namespace, interface, side):
    return [name for name in linked(namespace, interface, side) if name.startswith("tc_")] + filtered(namespace, interface, side)
