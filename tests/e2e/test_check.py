# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl check: quiet where all is well, under traffic too; what is wrong is found and repaired."""

import json
import subprocess
import threading
import time

import pytest
from scapy.layers.inet import UDP

from agent import wait_for
from lab import MAPPING


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


def test_what_is_looked_at(lab):
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


FAULTS = {
    "a pin is gone": (lambda lab, agent: unpin(lab, agent, "buckets"), "pin", "buckets"),
    "the pin of a program is gone": (lambda lab, agent: unpin(lab, agent, "prog_xdp_inside"), "pin", "prog_xdp_inside"),
    "the pin of a chunk is gone": (lambda lab, agent: unpin(lab, agent, "bucket_0"), "pin", "bucket_0"),
    "an entry is gone": (swap_entries, "entry", "entries 0"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_beside_the_tables(lab, what):
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


def test_it_is_quiet_under_traffic_and_churn(lab):
    """Sessions open, overflow and expire on 15 ports with 8 slots, mappings come and go, programs are replaced; 0 findings."""
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
    assert document["checked"]["overflow_sessions"] > 0
