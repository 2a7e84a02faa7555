#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What detnatctl does without an agent: imports of large plans, the planner's reading of recorded traffic, customers by
half a year of leases, histories of many granted blocks, and hostile mails.

Prints the rows, with the time on the clock beside the processor time of the one process, to which the goals apply, and
writes build/bench/results-offline.json. The files are made here, in a directory that goes with the run.

    offline.py [ROW...]      measures these rows alone
"""

import ctypes
import hashlib
import ipaddress
import json
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("BUILD") or pathlib.Path(__file__).resolve().parents[2] / "build").resolve()
CTL = BUILD / "detnatctl"
RESULTS = BUILD / "bench/results-offline.json"

INSIDE, OUTSIDE = ipaddress.ip_address("100.64.0.0"), ipaddress.ip_address("203.0.0.0")
SUBSCRIBERS = 65536
TRAFFIC_MIB = 128
LEASES, DAYS = 1_000_000, 180
GRANTS = 100_000


class Report:
    def __init__(self):
        self.rows = []

    def row(self, name, what, value, unit, goal=None, least=False):
        met = None if goal is None else value >= goal if least else value <= goal
        self.rows.append({"name": name, "what": what, "value": value, "unit": unit, "goal": goal, "met": met})
        against = "" if goal is None else f"{'>=' if least else '<='} {goal:g} {unit:8} {'met' if met else 'MISSED'}"
        print(f"{name:40} {what:26} {value:12,.3f} {unit:8} {against}", flush=True)


def used():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


def run(*arguments, status=0):
    """Runs detnatctl; returns seconds on the clock, seconds of processor, and its result."""
    before, began = used(), time.monotonic()
    result = subprocess.run([CTL, *map(str, arguments)], capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    assert result.returncode == status, result.stderr[-2000:]
    return took, used() - before, result


def imported(report, name, *arguments, subscribers):
    took, processor, result = run("import", *arguments)
    assert f"{subscribers} keep address and ports" in result.stderr, result.stderr[-2000:]
    report.row(name, "processor", processor, "s", 2)
    report.row(name, "took", took, "s")


def blocks(each=64, ports=1008):
    for i in range(SUBSCRIBERS):
        low = 1024 + i % each * ports
        yield INSIDE + i, OUTSIDE + i // each, low, low + ports - 1


def import_table(directory, report):
    path = directory / "table.txt"
    path.write_text("".join(f"{i} {o} {low} {high}\n" for i, o, low, high in blocks()))
    imported(report, f"table of {SUBSCRIBERS:,} subscribers", "table", path, subscribers=SUBSCRIBERS)


def import_routeros(directory, report):
    path = directory / "nat.rsc"
    with path.open("w") as file:
        file.write("/ip firewall nat\n")
        for i, o, low, high in blocks():
            for protocol in ("tcp", "udp"):
                file.write(f"add action=src-nat chain=srcnat protocol={protocol} src-address={i} to-addresses={o} "
                           f"to-ports={low}-{high}\n")
    imported(report, f"RouterOS, {2 * SUBSCRIBERS:,} rules", "routeros", path, subscribers=SUBSCRIBERS)


def import_formula(directory, report):
    path = directory / "startup-config"
    path.write_text("set interface det44 inside Gi0/8/0 outside Gi0/9/0\ndet44 add in 10.0.0.0/8 out 203.0.0.0/14\n")
    imported(report, f"VPP's formula, {1 << 24:,} subscribers", "vpp", path, subscribers=1 << 24)


def plan(directory, report):
    """Lines as conntrack -L prints them, of 16,384 subscribers."""
    path, draw, size = directory / "conntrack.txt", random.Random(7), 0
    with path.open("w") as file:
        while size < TRAFFIC_MIB << 20:
            port, inside = draw.randrange(1024, 65536), INSIDE + draw.randrange(16384)
            server = f"198.{18 + draw.randrange(2)}.{draw.randrange(256)}.{draw.randrange(256)}"
            size += file.write(
                f"tcp      6 {draw.randrange(431000, 432000)} ESTABLISHED src={inside} dst={server} sport={port} dport=443 "
                f"src={server} dst=203.0.113.1 sport=443 dport={port} [ASSURED] mark=0 use=1\n")
    took, processor, _ = run("plan", "--subscribers", 16384, "--out", "203.0.113.0/24", "--in", "100.64.0.0/18",
                             "--traffic", path)
    report.row("plan, conntrack's lines", "read and replayed", size / (1 << 20) * 60 / processor, "MiB/min", 512, least=True)
    report.row("plan, conntrack's lines", f"{size >> 20} MiB took", took, "s")


def chained(path, bodies):
    """Writes lines as detnat chains them."""
    before = "0" * 64
    with path.open("w") as file:
        for number, body in enumerate(bodies, 1):
            line = f'{{"line":{number},{body}'
            before = hashlib.sha256((before + line).encode()).hexdigest()
            file.write(f'{line},"hash":"{before}"}}\n')


def text_of(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def day_of_leases(begin):
    """A million lines of accounting: sessions of six hours, with three interim records each."""
    for i in range(LEASES):
        second = begin + i * 86400 // LEASES
        number, place = divmod(i % (LEASES // 4), LEASES // 16)
        event = ("start", "interim", "interim", "stop")[number]
        address, since = INSIDE + place % SUBSCRIBERS, begin + i // (LEASES // 4) * 21600
        yield (f'"time":"{text_of(second)}","event":"{event}","in_addr":"{address}","id":"user{place}@isp",'
               f'"mac":"02:00:00:00:{place >> 8:02x}:{place & 255:02x}","circuit":"ge-0/0/{place % 48}.{place}",'
               f'"session":"192.0.2.9/{begin // 86400 * 4 + i // (LEASES // 4)}-{place}","from":"{text_of(since)}",'
               f'"to":{json.dumps(text_of(second) if event == "stop" else None)}')


def history_of(directory, second):
    """A mapping for all of the subscribers."""
    chained(directory / "history.jsonl", (
        f'"time":"{text_of(second)}","event":"start","format":3,"host":"bench","taken_over":false,"unknown_since":null,'
        '"algorithm":"sequential","port_lo":1024,"port_hi":65535,"mappings":[]',
        f'"time":"{text_of(second)}","event":"add","in":"{INSIDE}/16","out":"{OUTSIDE}/22","name":"homes",'
        f'"from":"{text_of(second)}","to":null,"algorithm":"sequential","port_lo":1024,"port_hi":65535,'
        '"sharing_ratio":64,"ports_per_host":1008',
        f'"time":"{text_of(second)}","event":"confirm","first":2,"last":2,"until":"{text_of(second)}"'))


IN_OPEN = 0x20


def days_opened(directory, *arguments):
    """Runs detnatctl; returns how many files of days it opened."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert watch >= 0 and libc.inotify_add_watch(watch, os.fsencode(directory), IN_OPEN) >= 0
    run(*arguments)
    events = os.read(watch, 1 << 20)
    os.close(watch)
    return len(set(re.findall(rb"leases-[0-9-]{10}\.jsonl", events)))


def leases(directory, report):
    """Half a year of leases, three days of which are real: the others are links to one of them."""
    last = int(time.time()) // 86400 - 2
    history_of(directory, (last - DAYS) * 86400)
    name = "leases-{:.10}.jsonl".format
    for day in range(last - 2, last + 1):
        chained(directory / name(text_of(day * 86400)), day_of_leases(day * 86400))
    for day in range(last - DAYS + 1, last - 2):
        os.link(directory / name(text_of((last - 2) * 86400)), directory / name(text_of(day * 86400)))
    at = text_of((last - 1) * 86400 + 43200 + 9000)
    arguments = (f"{OUTSIDE + 5}:2000", "--at", at, "--state-dir", directory)
    took, _, result = run("who", *arguments, "--json")
    assert json.loads(result.stdout)["customer"]["id"] == "user320@isp", result.stdout
    report.row(f"who, {DAYS} days of leases", "first time, with indexes", took, "s")
    took, processor, _ = min(run("who", *arguments) for _ in range(5))
    report.row(f"who, {DAYS} days of leases", "took", took * 1000, "ms", 50)
    report.row(f"who, {DAYS} days of leases", "processor", processor * 1000, "ms")
    report.row(f"who, {DAYS} days of leases", "files of days", days_opened(directory, "who", *arguments), "files", 3)
    took, processor, _ = run("evidence", "bench", *arguments, "--directory", directory)
    report.row(f"evidence, {DAYS} days of leases", "took", took, "s", 1)
    report.row(f"evidence, {DAYS} days of leases", "processor", processor, "s")
    report.row(f"evidence, {DAYS} days of leases", "files of days",
               days_opened(directory, "evidence", "again", *arguments, "--directory", directory), "files", 3)


def granted(begin):
    """A mapping, and blocks that 1024 of its outside addresses granted one after the other in 60 days, an hour each."""
    yield (f'"time":"{text_of(begin)}","event":"start","format":3,"host":"bench","taken_over":false,"unknown_since":null,'
           '"algorithm":"sequential","port_lo":1024,"port_hi":65535,"mappings":[]')
    yield (f'"time":"{text_of(begin)}","event":"add","in":"10.0.0.0/14","out":"{OUTSIDE}/22","from":"{text_of(begin)}","to":null,'
           '"algorithm":"blocks","port_lo":2048,"port_hi":63487,"order":"sequential","first_port":2048,"sharing_ratio":256,'
           '"block_pitch":240,"ports_per_host":240')
    yield f'"time":"{text_of(begin)}","event":"confirm","first":2,"last":2,"until":"{text_of(begin)}"'
    events = []
    for i in range(GRANTS):
        since = begin + 100 + i * 59 * 86400 // GRANTS
        low = 1024 + i // 1024 % 16 * 64
        block = (f'"in":"{ipaddress.ip_address("10.0.0.0") + i % 1024 * 256 + i * 31 % 256}","out":"{OUTSIDE + i % 1024}",'
                 f'"port_lo":{low},"port_hi":{low + 63},"from":"{text_of(since)}","to":')
        events += [(since, 0, block + "null"), (since + 3600, 1, f'{block}"{text_of(since + 3600)}"')]
    events.sort()
    for i in range(0, len(events), 100):
        at, first = text_of(events[i][0]), 4 + i + i // 100
        yield from (f'"time":"{at}","event":"grant",{body},"by":{{"what":"growth"}}' for _, _, body in events[i:i + 100])
        yield f'"time":"{at}","event":"confirm","first":{first},"last":{first + 99},"until":"{text_of(events[i + 99][0])}"'


def grants(directory, report):
    """What is asked of a history of 100,000 granted blocks."""
    begin = (int(time.time()) // 86400 - 62) * 86400
    chained(directory / "history.jsonl", granted(begin))
    number = GRANTS // 2
    since, out = begin + 100 + number * 59 * 86400 // GRANTS, OUTSIDE + number % 1024
    inside = ipaddress.ip_address("10.0.0.0") + number % 1024 * 256 + number * 31 % 256
    chained(directory / f"leases-{text_of(since):.10}.jsonl", [
        f'"time":"{text_of(second)}","event":"interim","in_addr":"{inside}","id":"anna@isp","mac":"02:00:00:00:00:01",'
        f'"circuit":"ge-0/0/1","session":"1","from":"{text_of(begin)}","to":null' for second in (since - 600, since + 600)])
    where = ("--at", text_of(since + 1), "--state-dir", directory)
    for what, arguments in {
        "who": ("who", f"{out}:{1024 + number // 1024 % 16 * 64 + 5}", *where),
        "candidates": ("who", out, *where),
        "customer": ("customer", "anna@isp", "--state-dir", directory),
        "evidence": ("evidence", "grants", f"{out}:{1024 + number // 1024 % 16 * 64 + 5}", *where, "--directory", directory),
    }.items():
        _, processor, result = run(*arguments)
        assert str(inside) in result.stdout, result.stdout
        report.row(f"history of {GRANTS:,} grants", what, processor, "s", 2)


def hostile(directory, report):
    """Mails of 10 MB that ask as much as can be asked, or whose words cost most."""
    def address(i):
        return f"203.0.{i >> 8 & 255}.{i & 255}"

    def second(i):
        return f"2026-03-14 {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d} UTC"

    shapes = {
        "blocks of fields": lambda i: f"Source IP: {address(i)}\nSource Port: {1024 + i % 60000}\nTime: {second(i)}\nProtocol: tcp\n\n",
        "lines of a packet filter": lambda i: f"{second(i)} SRC={address(i)} SPT={1024 + i % 60000} DPT=22\n",
        "lines of a log": lambda i: f"{second(i)} {address(i)}:{1024 + i % 60000} attack\n",
        "endpoints": lambda i: f"{address(i)}:{1024 + i % 60000}\n",
        "sentences": lambda i: f"At {second(i)} an attack was seen. It came from {address(i)} source port {1024 + i % 60000}.\n\n",
        "objects of JSON": lambda i: f'{{"src_ip":"{address(i)}","src_port":{1024 + i % 60000},"time":"{second(i)}"}}\n',
        "rows of HTML": lambda i: f"<tr><td>{address(i)}</td><td>{1024 + i % 60000}</td><td>{second(i)}</td></tr>\n",
        "numbers": lambda i: f"{i % 10}\n",
        "zones in one line": lambda i: ("CET ", "UTC ", "EST ", "PST ", "MSK ", "JST ")[i % 6],
        "zones in lines": lambda i: f"All times are {('CET', 'UTC', 'EST', 'MSK')[i % 4]}\n",
    }
    path = directory / "mail"
    for name, piece in shapes.items():
        with path.open("w") as file:
            size, i = 0, 0
            while size < 10_000_000:
                size += file.write(piece(i))
                i += 1
        before = used()
        subprocess.run([CTL, "request", "--questions", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        report.row("a mail of 10 MB", name, used() - before, "s", 1)


ROWS = {f.__name__: f for f in (import_table, import_routeros, import_formula, plan, leases, grants, hostile)}


def main(names):
    unknown = [n for n in names if n not in ROWS]
    if unknown:
        sys.exit(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        for name in names or ROWS:
            ROWS[name](pathlib.Path(directory), report)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report.rows, indent=1) + "\n")
    missed = sum(r["met"] is False for r in report.rows)
    print(f"{missed} goals missed" if missed else "all goals met")


if __name__ == "__main__":
    main(sys.argv[1:])
