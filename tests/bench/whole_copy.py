#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A whole copy of 16.5 million sessions between two real agents in namespaces: how long it takes, and what it costs either.

The first gateway's tables are filled straight through the pinned maps before the second starts; what is told then is all
sessions, as to a gateway that comes back from a reboot. Prints a line for each figure.

    whole_copy.py [SUBSCRIBERS]
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import agent as daemon  # noqa: E402
import isolation  # noqa: E402
from gateways import Gateways  # noqa: E402

FILL = daemon.BUILD / "tests/bench/agent/fill"
EACH = 63
PATIENCE = 600


def cpu_s(lab):
    fields = pathlib.Path(f"/proc/{lab.agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def octets(lab):
    """Sent to the other gateway, with the headers of Ethernet, IP and TCP."""
    with lab.gateway.enter():
        text = pathlib.Path("/proc/thread-self/net/dev").read_text()
    (line,) = [line for line in text.splitlines() if line.strip().startswith("sync0:")]
    return int(line.split(":")[1].split()[8])


def wait(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"whole_copy.py: waited {PATIENCE} s in vain for {what}")
        time.sleep(0.1)


def measure(gateways, subscribers):
    plen = 32 - (subscribers.bit_length() - 1)
    config = {"mappings": [{"in": f"10.0.0.0/{plen}", "out": f"203.0.112.0/{plen + 10}"}],
              "timeouts": {"udp": 7200, "tcp_established": 7440}}
    a, b = gateways.labs
    gateways.prepare(0, {"min_age": 2}, **config).start()
    # A few find no slot.
    sessions = int(isolation.run(FILL, next(a.agent.pins.glob("v*")), "10.0.0.0", subscribers, EACH, "+0").stdout)
    print(f"load {os.getloadavg()[0]:.1f}, sessions {sessions}", flush=True)
    # What is new goes with passes; what there is at a start goes with whole copies.
    a.agent.kill()
    a.agent.start()
    wait(lambda: a.agent.ctl("status")["sessions"] == sessions, "the count")
    before, sent = cpu_s(a), octets(a)
    gateways.prepare(1, {"min_age": 2}, **config).start()
    theirs, began = cpu_s(b), time.monotonic()
    wait(lambda: gateways.state(0) == gateways.state(1) == "synchronised", "the whole copy")
    took = time.monotonic() - began
    peer = gateways.peer(1)
    print(f"whole copy {took:.1f} s, of a core {cpu_s(a) - before:.1f} s at the one that tells, {cpu_s(b) - theirs:.1f} s at the other")
    print(f"on the wire {(octets(a) - sent) / sessions:.1f} octets a session")
    print(f"copies {peer['copies']}, refused {peer['sessions_refused']}")
    for name, lab in (("tells", a), ("takes", b)):
        memory = lab.agent.ctl("status")["replication"]["memory_bytes"]
        print(f"memory beside the tables, {name}: {memory / sessions:.1f} octets a session", flush=True)
    for lab in gateways.labs:
        lab.agent.check()
    print(f"check finds nothing; load {os.getloadavg()[0]:.1f}")


def main():
    subscribers = int(sys.argv[1]) if len(sys.argv) > 1 else 262144
    if os.geteuid() != 0:
        sys.exit("whole_copy.py: needs root, for namespaces and BPF programs")
    if subscribers < 1024 or subscribers & (subscribers - 1):
        sys.exit("whole_copy.py: SUBSCRIBERS is a power of two from 1024 on")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    isolation.remove_dead_runs()
    directory = isolation.RUNS / f"detnat-e2e.{os.getpid()}"
    isolation.enter(directory)
    try:
        with contextlib.closing(Gateways(directory)) as gateways:
            measure(gateways, subscribers)
    finally:
        isolation.unmount(directory)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
