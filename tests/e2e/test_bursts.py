# SPDX-License-Identifier: BSD-2-Clause
"""Real TCP sockets of one subscriber: many connections end, and at once it opens as many as it likes."""

import errno
import resource
import select
import socket
import struct
import threading
import time

import pytest

from lab import GATEWAY_IN, GATEWAY_OUT, SERVER, SERVER_MAC, Lab

CLIENT = "10.0.0.9"
QUOTA = 1000  # the default
BURST = 300
REFUSALS = ("drop_quota", "drop_busy", "drop_ports_exhausted", "drop_overflow_full")


@pytest.fixture(name="burst_lab", params=[False, True], ids=["default", "endpoint_independent"])
def burst_lab_of_blocks(run_directory, request):
    """Subscribers with 1008 ports, their kernels' sockets, and a server that accepts what comes."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, max(8192, limits[1])))
    lab = Lab(run_directory)
    stop = threading.Event()
    accepted = []
    try:
        lab.inside_ns.batch(f"addr add {CLIENT}/16 dev eth0", f"route add default via {GATEWAY_IN}")
        lab.outside_ns.batch(f"link set eth0 address {SERVER_MAC}", f"addr add {SERVER}/24 dev eth0",
                             f"route add 1.1.0.0/16 via {GATEWAY_OUT}")
        mapping = {"in": "10.0.0.0/18", "out": "1.1.1.0/24"}
        if request.param:
            mapping["endpoint_independent"] = {"mapping": ["udp"], "filtering": ["udp"]}
        lab.start(mappings=[mapping])
        with lab.outside_ns.enter():
            server = socket.create_server((SERVER, 80), backlog=4096)
        server.settimeout(0.1)

        def accept():
            while not stop.is_set():
                try:
                    accepted.append(server.accept()[0])
                except TimeoutError:
                    pass

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield lab
        finally:
            stop.set()
            thread.join()
            for s in (server, *accepted):
                s.close()
    finally:
        lab.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def connect_at_once(lab, number):
    """The sockets, all of them connected; each failure by its name."""
    sockets, failures = [], []
    with lab.inside_ns.enter():
        for _ in range(number):
            s = socket.socket()
            s.setblocking(False)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ended by an RST
            s.connect_ex((SERVER, 80))
            sockets.append(s)
    poll = select.poll()
    left = {s.fileno(): s for s in sockets}
    for fd in left:
        poll.register(fd, select.POLLOUT)
    end = time.monotonic() + 30
    while left and time.monotonic() < end:
        for fd, _ in poll.poll(1000):
            poll.unregister(fd)
            error = left.pop(fd).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                failures.append(errno.errorcode[error])
    assert (failures, len(left)) == ([], 0)
    return sockets


def test_connections_that_were_reset_make_room_for_a_burst(burst_lab):
    """Twice: what was opened in place of others is reset, too, half of it beyond the slots."""
    before = burst_lab.agent.counters()
    for _ in range(2):
        for _ in range(QUOTA // 50):
            for s in connect_at_once(burst_lab, 50):
                s.close()
        for s in connect_at_once(burst_lab, BURST):
            s.close()
    after = burst_lab.agent.counters()
    assert {name: after[name] - before[name] for name in REFUSALS} == dict.fromkeys(REFUSALS, 0)
    assert burst_lab.agent.ctl("user", "show", CLIENT)["sessions"] == QUOTA
    assert not burst_lab.agent.ctl("check")["findings"]
