# SPDX-License-Identifier: BSD-2-Clause
"""Whether an answer of `who` about one packet is right about the customer, by a Memory."""

import calendar
import contextlib
import json
import time

SECOND = 1_000_000_000
WRONG, DENIED = "customer: wrong name", "customer: denied"


def certain(row):
    """The customer that an answer names for certain, or None."""
    return (row.get("customer") or {}).get("id")


def judge(memory, host, moments, packet, row, now):
    """
    Returns (oracle, text), or None: nothing is wrong. `moments`: the times at which the gateway's clock showed the second that was asked about;
    `packet`: when the packet was sent and seen; `now`: when it was asked.
    """
    named = certain(row)
    senders = memory.had(host, *packet)
    there = [tenure for begin, end in moments for tenure in memory.had(host, begin, end)]
    known = [tenure for tenure in senders if tenure.known < now]
    truth = ", ".join(map(str, there)) or "nobody"
    if named is None:
        if row.get("customer_reason") == "no-lease" and len(known) == len(senders) == 1 and known[0].first <= packet[0]:
            return DENIED, f"it was {known[0]}, of whom a statement is recorded"
        return None
    if named not in [tenure.ident for tenure in there]:
        return WRONG, f"{named} for certain, and it was {truth}"
    if known and named not in [tenure.ident for tenure in senders]:
        return WRONG, f"{named} for certain, and of that second it was {known[0]}, of whom a statement is recorded; all: {truth}"
    return None


def single(memory, host, packet):
    """The tenure that alone has all of a packet and of the seconds around it, or None."""
    around = memory.had(host, packet[0] - SECOND, packet[1] + SECOND)
    if len(around) == 1 and around[0].begin <= packet[0] - SECOND and around[0].end > packet[1] + SECOND:
        return around[0]
    return None


def lines_about(directory, addr, second, most):
    """What is recorded of an address and of all, around a second: a text."""
    found = []
    for path in sorted(directory.glob("leases-*.jsonl")):
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):
                it = json.loads(line)
                if it.get("in_addr") == addr or it["event"] in ("off", "begin", "lost", "step", "open"):
                    at = calendar.timegm(time.strptime(it["time"], "%Y-%m-%dT%H:%M:%SZ"))
                    found.append((abs(at - second), at, len(found), {k: v for k, v in it.items() if k not in ("hash", "in_addr")}))
    nearest = sorted(sorted(found, key=lambda it: it[:3])[:most], key=lambda it: it[1:3])
    return "\n".join(f"      {json.dumps(it)}" for *_, it in nearest)
