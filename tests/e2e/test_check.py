# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl check: quiet where all is well, under traffic too; what is wrong is found and repaired."""

import ctypes
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest
from scapy.layers.inet import UDP

from agent import wait_for


def check(agent, *options):
    """The document, and the exit status."""
    result = agent.command("-j", "check", *options)
    assert result.status in (0, 1), result
    document = json.loads(result.out)
    assert result.status == (1 if document["findings"] else 0)
    assert document["checked"]["findings"] == len(document["findings"])
    return document


def whats(document):
    return sorted({f["what"] for f in document["findings"]})


def test_check_counts_what_it_examined(lab):
    agent = lab.start()
    host = lab.host()
    lab.open_udp(host)
    lab.handshake(host)
    checked = check(agent)["checked"]
    assert {k: checked[k] for k in ("mappings", "subscribers", "sessions", "overflow_sessions", "interfaces", "routes", "findings", "repaired")} == {
        "mappings": 1, "subscribers": 16384, "sessions": 2, "overflow_sessions": 0, "interfaces": 2, "routes": 1, "findings": 0, "repaired": 0}
    assert checked["slots"] == 16384 * 128 and checked["pins"] > 15
    assert agent.text("check").endswith("2 interfaces, %d pins and programs, 1 routes: 0 findings, 0 of them repaired\n" % checked["pins"])
    agent.refused("check", "now", status=2)


def unpin(lab, agent, name):
    (next(agent.pins.glob("v*")) / name).unlink()


def swap_entries(lab, agent):
    pins = next(agent.pins.glob("v*"))
    subprocess.run(["bpftool", "map", "delete", "pinned", pins / "entries", "key", "0", "0", "0", "0"], check=True)


PROGRAMS = pathlib.Path(__file__).parents[2] / "include/detnat/programs.h"


def take_program(agent, array, name):
    number = re.findall(r"^\tX\((\w+)\)", PROGRAMS.read_text(), re.MULTILINE).index(name)
    (pin,) = agent.pins.glob(f"v*/{array}_*")
    subprocess.run(["bpftool", "map", "delete", "pinned", pin, "key", str(number), "0", "0", "0"], check=True)


FAULTS = {
    "a pin is gone": (lambda lab, agent: unpin(lab, agent, "buckets"), "pin", "buckets"),
    "the pin of a program is gone": (lambda lab, agent: unpin(lab, agent, "prog_xdp_inside"), "pin", "prog_xdp_inside"),
    "the pin of a chunk is gone": (lambda lab, agent: unpin(lab, agent, "bucket_0"), "pin", "bucket_0"),
    "an entry is gone": (swap_entries, "entry", "entries 0"),
    "the tail-call program of the guard is gone": (lambda lab, agent: take_program(agent, "tc_leaves", "guard"), "leaf", "tc_leaves guard"),
    "a tail-call program of XDP is gone": (lambda lab, agent: take_program(agent, "xdp_leaves", "out2in"), "leaf", "xdp_leaves out2in"),
    "the pin of the tail-call programs is gone": (lambda lab, agent: unpin(lab, agent, "tc_leaves_1"), "pin", "tc_leaves_1"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_outside_the_tables_is_found_and_repaired(lab, what):
    plant, kind, where = FAULTS[what]
    agent = lab.start()
    plant(lab, agent)
    assert [(f["what"], f["where"], f["repaired"]) for f in check(agent)["findings"]] == [(kind, where, False)]
    result = agent.command("check")
    assert result.status == 1 and result.out.startswith(f"{where}: {kind}: ") and "check --repair" in result.err
    # A chunk is found by its number, for which the agent has no right (CAP_SYS_ADMIN) but while it starts.
    now = where != "bucket_0"
    assert [(f["what"], f["where"], f["repaired"]) for f in check(agent, "--repair")["findings"]] == [(kind, where, now)]
    if now:
        assert check(agent)["findings"] == []
    lab.open_udp(lab.host())
    agent.restart()
    assert check(agent)["findings"] == []


# ---- the guard's table

SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, NETLINK_NETFILTER, NFNLGRP_NFTABLES = 270, 2, 12, 7


def deafen(agent):
    """Withholds nftables notifications from the agent, which would undo the changes at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = agent.process.pid
    pidfd = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
    assert pidfd >= 0
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if not os.readlink(entry).startswith("socket:"):
            continue
        fd = libc.syscall(SYS_PIDFD_GETFD, pidfd, int(entry.name), 0)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        with socket.socket(fileno=fd) as theirs:
            if theirs.family == socket.AF_NETLINK and theirs.proto == NETLINK_NETFILTER:
                theirs.setsockopt(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, NFNLGRP_NFTABLES)
    os.close(pidfd)


def listed(lab):
    """What is in the ruleset, in any order, but for who owns it and which of the places for sets is in use."""
    lines = lab.gateway.run("nft", "list", "ruleset").stdout.splitlines()
    return sorted(re.sub(r"(inside|bypass|interfaces|held)2\b", r"\1", line.split(" # progname")[0])
                  for line in lines if line and "flags owner" not in line)


GUARD_FAULTS = {
    "a rule is gone": ("delete rule inet {table} incoming handle {drop}", {"chain incoming"}),
    "a rule is before the others": ("insert rule inet {table} outgoing accept", {"chain outgoing"}),
    "a rule has another expression": ("replace rule inet {table} incoming handle {drop} ip daddr @inside{place} counter name drop_guard_in accept",
                                      {"chain incoming"}),
    "a chain drops all": ("add chain inet {table} outgoing {{ policy drop; }}", {"chain outgoing"}),
    "a chain is empty": ("flush chain inet {table} incoming", {"chain incoming"}),
    "there is a further chain": ("add chain inet {table} more {{ type filter hook input priority 0; }}", {"chain more"}),
    "an inside prefix is gone": ("flush set inet {table} inside{place}", {"set inside"}),
    "an inside prefix is shorter": ("delete element inet {table} inside{place} {{ 10.0.0.0/18 }}; add element inet {table} inside{place} {{ 10.0.0.0/19 }}",
                                    {"set inside"}),
    "a network is bypassed": ("add element inet {table} bypass{place} {{ 192.0.2.0/24 }}", {"set bypass"}),
    "an interface is open": ('add element inet {table} interfaces{place} {{ "lo" }}', {"set interfaces"}),
    "an interface is shut": ('delete element inet {table} interfaces{place} {{ "out0" }}', {"set interfaces"}),
    "the table sleeps": ("add table inet {table} {{ flags dormant; }}", {"table"}),
}


@pytest.mark.parametrize("what", GUARD_FAULTS)
def test_a_fault_of_the_guard_is_found_and_repaired(lab, what):
    change, where = GUARD_FAULTS[what]
    agent = lab.start_without_owner()
    assert check(agent)["findings"] == []
    before, table = listed(lab), lab.gateway.run("nft", "list", "ruleset").stdout
    deafen(agent)
    names = {"table": agent.guard_table(), "place": "2" if "set inside2" in table else ""}
    for line in lab.gateway.run("nft", "-a", "list", "ruleset").stdout.splitlines():
        if "drop_guard_in" in line and "# handle" in line and "daddr" in line:
            names["drop"] = line.split("# handle ")[1]
    lab.gateway.run("nft", change.format(**names))
    for options, repaired in ((), False), (("--repair",), True):
        findings = check(agent, *options)["findings"]
        assert {f["where"].rstrip("2") for f in findings} == where, findings
        assert {(f["what"], f["repaired"]) for f in findings} == {("guard", repaired)}, findings
    assert check(agent)["findings"] == []
    assert listed(lab) == before


def test_a_guard_that_should_not_exist_is_found(lab):
    agent = lab.start(guard=False)
    assert check(agent)["findings"] == []
    lab.gateway.run("nft", "-f", "-", input=agent.unowned_guard())
    for options, repaired in ((), False), (("--repair",), True):
        assert [(f["what"], f["where"], f["repaired"]) for f in check(agent, *options)["findings"]] == [("guard", "table", repaired)]
    assert check(agent)["findings"] == []
    assert lab.gateway.run("nft", "list", "ruleset").stdout == ""


def test_a_guard_that_cannot_be_installed_is_a_finding(lab):
    """A table of that name which is another's is left alone."""
    agent = lab.prepare()
    foreign = agent.unowned_guard().replace("what others change", "whatever others change")
    lab.gateway.run("nft", "-f", "-", input=foreign)
    before = lab.gateway.run("nft", "list", "ruleset").stdout
    agent.start()
    for options in (), ("--repair",):
        (finding,) = check(agent, *options)["findings"]
        assert (finding["what"], finding["where"], finding["repaired"]) == ("guard", "table", False)
        assert "that detnat has not made" in finding["text"]
    assert lab.gateway.run("nft", "list", "ruleset").stdout == before
    lab.gateway.run("nft", "delete", "table", "inet", agent.guard_table())
    # By the repair, or by the agent's next try.
    assert [f["repaired"] for f in check(agent, "--repair")["findings"]] in ([True], [])
    assert check(agent)["findings"] == []


def test_check_finds_nothing_while_the_guard_changes(lab):
    agent = lab.start()
    stopping = threading.Event()
    found = []

    def watch():
        while not stopping.is_set():
            found.extend(check(agent)["findings"])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        for round in range(6):
            agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
            agent.write(guard=round % 2 == 1, bypass=["192.0.2.0/24"] * (round % 3 == 1))
            agent.ctl("reload")
            agent.ctl("interface", "del", "out0", "outside")
            agent.ctl("interface", "add", "out0", "outside")
    finally:
        stopping.set()
        watcher.join()
    assert found == []


# ---- the tables


def test_check_finds_nothing_under_traffic_and_churn(lab):
    """Sessions open, go beyond the slots and expire on 15 ports with 8 slots, mappings come and go, programs are replaced; 0 findings."""
    agent = lab.start(session_slots=8, timeouts={"udp": 1, "icmp": 1}, sweep_interval=1, sessions_per_user=200)
    hosts = [lab.host() for _ in range(8)]
    # Three lots of flows in turn, so that those of one expire while the others live.
    lots = [[bytes(lab.from_inside(h, UDP(sport=1000 + 100 * lot + n, dport=53) / bytes(12), dst=f"198.51.100.{7 + n % 3}"))
             for n in range(30) for h in hosts] for lot in range(3)]
    for n in range(3):
        lab.gateway.ip("neigh", "replace", f"198.51.100.{7 + n}", "lladdr", "02:00:00:00:02:07", "dev", "out0", "nud", "permanent")
    stopping = threading.Event()

    def traffic():
        while not stopping.is_set():
            for frame in lots[int(time.monotonic()) // 2 % 3]:
                lab.inside.send(frame)

    sender = threading.Thread(target=traffic, daemon=True)
    sender.start()
    try:
        wait_for(lambda: agent.counters()["sessions_overflowed"] > 100, what="sessions in the overflow")
        overflowed = agent.counters()["sessions_overflowed"]
        for round in range(12):
            document = check(agent, *["--repair"] * (round % 2))
            assert document["findings"] == [], document
            if round % 3 == 0:
                agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
            if round % 3 == 1:
                agent.write(answer_arp=round % 2 == 0)
                agent.ctl("reload")
    finally:
        stopping.set()
        sender.join()
    assert agent.counters()["sessions_opened"] > 300
    assert agent.counters()["sessions_overflowed"] > overflowed
