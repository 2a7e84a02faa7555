# SPDX-License-Identifier: BSD-2-Clause
"""Pool addresses under attack (`attack`): the event, the program that is run, and that other addresses do not feel it."""

import contextlib
import os
import pathlib
import re
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import GRE

from agent import wait_for
from frame_flood import Flood
from lab import SERVER, block_of
from syslog_collector import Collector
from test_ctl_monitor import monitor
from test_metrics import samples

VICTIM = "1.1.1.0"  # of 10.0.0.0 to 10.0.15.255
FAR = "10.0.32.5"  # a subscriber of another address
HOLD = 2
THRESHOLD = 300


class Script:
    """A program for `exec` that writes down how it was run."""

    def __init__(self, directory, then=""):
        self.path, self.runs = directory / "told", directory / "runs"
        self.path.write_text(f"#!/bin/sh\necho \"$# $1 $2 $DETNAT_HOLD\" >>{self.runs}\n{then}\n")
        self.path.chmod(0o755)

    def lines(self):
        return self.runs.read_text().splitlines() if self.runs.exists() else []


@pytest.fixture
def script(lab):
    return Script(lab.directory)


def attack(script=None, **more):
    return {"packets_per_second": THRESHOLD, "hold": HOLD, **({"exec": str(script.path)} if script else {}), **more}


def stranger(lab, addr=VICTIM, payload=None, **ip):
    return lab.from_outside(addr, payload or UDP(sport=9, dport=2000) / b"flood", **ip)


@contextlib.contextmanager
def flood(lab, *packets):
    with Flood(lab.outside_ns, "eth0", *(bytes(p) for p in packets or (stranger(lab),))) as it:
        yield it


def pool(lab, addr=VICTIM):
    (line,) = lab.agent.ctl("pool", "list", addr)
    return line


def attacked(lab, addr=VICTIM):
    return pool(lab, addr)["attacked"]


def told(lab, what):
    return [line for line in lab.agent.log_text().splitlines() if what in line]


def metric(lab, name):
    return samples(lab).get(name)


@pytest.fixture
def attacked_lab(lab, script, mode):
    """A lab that has heard of an attack, which goes on."""
    lab.start(attack=attack(script), metrics={}, **mode)
    with flood(lab):
        wait_for(lambda: attacked(lab), what="the attack to be noticed")
        yield lab


def test_an_attack_is_told_and_spares_the_sessions_of_other_addresses(lab, script, mode):
    """One event, one line, one run, and 97 of 100 packets at least of a session of another address."""
    lab.start(attack=attack(script), metrics={}, **mode)
    host = lab.host(FAR)
    src = lab.open_udp(host)
    answer = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer")
    wanted = bytes(lab.coming_in(answer, host, 5000))
    assert pool(lab)["packets_per_second"] == 0 and not attacked(lab)
    with monitor(lab.agent, "attacks") as heard, flood(lab):
        event = heard.event()
        assert (event["event"], event["addr"]) == ("attack", VICTIM)
        assert event["packets_per_second"] >= THRESHOLD
        lab.inside.clear()
        for _ in range(200):
            lab.outside.send(answer)
            time.sleep(0.002)
        arrived = []
        with contextlib.suppress(AssertionError):
            wait_for(lambda: arrived.extend(lab.inside.drain()) or len(arrived) >= 200, 5, "the answers")
        assert set(arrived) == {wanted} and len(arrived) >= 194, len(arrived)
        assert attacked(lab)
        wait_for(lambda: pool(lab)["packets_per_second"] > THRESHOLD, what="the rate of a second")
        assert not attacked(lab, block_of(FAR).addr) and pool(lab, block_of(FAR).addr)["packets_per_second"] == 0
        wait_for(script.lines, what="the program to be run")
        assert metric(lab, "detnat_attacked_addresses") == 1
        wait_for(lambda: metric(lab, "detnat_attack_packets_per_second") > THRESHOLD, what="the rate of a second")
    assert len(told(lab, f"pool address {VICTIM} gets ")) == 1
    (run,) = script.lines()
    assert re.fullmatch(rf"2 {re.escape(VICTIM)} [0-9]+ {HOLD}", run) and int(run.split()[2]) >= THRESHOLD, run
    lab.inside.assert_silent()


def test_detnat_drops_nothing_more_than_without_an_attack(lab):
    """Not even of the attacked address: its sessions go on, new ones open, and strangers alone are dropped, as ever."""
    lab.start(attack=attack())
    host = lab.host("10.0.0.9")
    src = lab.open_udp(host)
    assert src[0] == VICTIM
    answer = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer")
    wanted = bytes(lab.coming_in(answer, host, 5000))
    with flood(lab):
        wait_for(lambda: attacked(lab), what="the attack to be noticed")
        before = lab.agent.counters()
        lab.inside.clear()
        arrived = []
        for _ in range(100):
            lab.outside.send(answer)
            arrived.extend(lab.inside.drain())
        with contextlib.suppress(AssertionError):
            wait_for(lambda: arrived.extend(lab.inside.drain()) or len(arrived) >= 100, 5, "the answers")
        assert set(arrived) == {wanted} and len(arrived) >= 97, len(arrived)
        lab.open_udp(host, 5001)
        assert attacked(lab)
        after = lab.agent.counters()
    assert {name for name in after if name.startswith("drop_") and after[name] != before[name]} == {"drop_no_session"}


def test_an_attack_ends_after_hold_and_the_next_one_runs_the_program_again(lab, script):
    lab.start(attack=attack(script), metrics={})
    with monitor(lab.agent) as heard:
        for n in (1, 2):
            with flood(lab):
                assert heard.event()["event"] == "attack"
                quiet = time.monotonic()
            event = heard.event()
            assert (event["event"], event["addr"]) == ("attack-over", VICTIM)
            assert event["peak_packets_per_second"] >= THRESHOLD
            assert time.monotonic() - quiet > HOLD - 1.1, "the hold, less two looks"
            assert not attacked(lab)
            wait_for(lambda n=n: len(script.lines()) == n, what="the program to be run once for each attack")
    assert metric(lab, "detnat_attacks_total") == 2
    assert metric(lab, "detnat_attack_exec_runs_total") == 2 and metric(lab, "detnat_attack_exec_failures_total") == 0
    assert metric(lab, "detnat_attacked_addresses") == 0
    assert len(told(lab, "is no longer attacked; it was for")) == 2


def test_a_pause_shorter_than_hold_is_the_same_attack(lab, script):
    lab.start(attack=attack(script, hold=60), metrics={})
    for _ in range(2):
        with flood(lab):
            wait_for(lambda: pool(lab)["packets_per_second"] >= THRESHOLD, what="the flood to be seen")
        wait_for(lambda: pool(lab)["packets_per_second"] == 0, what="the flood to be over")
        assert attacked(lab), "still"
    assert len(told(lab, " packets of strangers a second")) == 1 and len(script.lines()) == 1
    assert metric(lab, "detnat_attacks_total") == 1


def of_icmp_error(lab):
    quote = IP(src=VICTIM, dst=SERVER) / UDP(sport=2000, dport=54)
    return stranger(lab, payload=ICMP(type=3, code=3) / bytes(quote))


@pytest.mark.parametrize("what", ["tcp", "below the blocks", "echo", "gre", "fragment", "icmp error", "portmap filter"])
def test_every_kind_of_stranger_counts(lab, what, mode):
    lab.start(attack=attack(), fragments={"max_parked": 0}, portmaps=[], **mode)
    packet = {"tcp": lambda: stranger(lab, payload=TCP(sport=9, dport=2000, flags="S")),
              "below the blocks": lambda: stranger(lab, payload=UDP(sport=9, dport=80)),
              "echo": lambda: stranger(lab, payload=ICMP(type=8, id=2000)),
              "gre": lambda: stranger(lab, payload=GRE() / b"x"),
              "fragment": lambda: stranger(lab, payload=b"x" * 64, proto=17, frag=100, id=7),
              "icmp error": lambda: of_icmp_error(lab),
              "portmap filter": lambda: stranger(lab, payload=UDP(sport=9, dport=2000), src="127.0.0.1")}[what]()
    with flood(lab, packet):
        wait_for(lambda: attacked(lab), what="the attack to be noticed")


def test_packets_of_sessions_do_not_count(lab, mode):
    lab.start(attack=attack(packets_per_second=1), **mode)
    src = lab.open_udp(lab.host("10.0.0.9"))
    answer = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer")
    with flood(lab, answer) as it:
        it.wait(3000)
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + 1.2, what="two looks")
        assert pool(lab)["packets_per_second"] == 0 and not attacked(lab)


def test_without_the_key_nothing_is_counted_until_a_reload_says_so(lab, script):
    lab.start()
    with flood(lab):
        assert "packets_per_second" not in pool(lab) and "STRANGERS/S" in lab.agent.text("pool", "list")
        lab.agent.write(attack=attack(script))
        lab.agent.ctl("reload")
        wait_for(lambda: attacked(lab), what="the attack to be noticed")
        wait_for(script.lines, what="the program to be run")
        # Another threshold: the attack that is known goes on.
        lab.agent.write(attack=attack(script, packets_per_second=THRESHOLD // 2))
        lab.agent.ctl("reload")
        assert attacked(lab)
        # A mapping more: the pools are counted anew.
        lab.agent.ctl("mapping", "add", "10.64.0.0/24", "1.1.2.0/28")
        assert pool(lab, "1.1.2.5")["packets_per_second"] == 0
        wait_for(lambda: pool(lab)["packets_per_second"] > 0, what="it to be counted again")
        assert attacked(lab)
        # One that nothing reaches.
        lab.agent.write(attack=attack(script, packets_per_second=4294967295))
        lab.agent.ctl("reload", "--force")
        wait_for(lambda: not attacked(lab), what="the attack to be over")
        lab.agent.write(attack=None)
        lab.agent.ctl("reload")
        assert "packets_per_second" not in pool(lab)
    assert len(script.lines()) == 1


def test_an_address_that_is_in_no_pool_any_more_is_not_attacked(attacked_lab):
    attacked_lab.agent.ctl("mapping", "del", "10.0.0.0/18")
    wait_for(lambda: told(attacked_lab, "as it is in no pool any more"), what="the end to be told")


def test_an_address_that_drains_is_counted_on(attacked_lab, script):
    """The operator's other answer to an attack: its subscribers get another address."""
    attacked_lab.open_udp(attacked_lab.host("10.0.0.9"))
    attacked_lab.agent.ctl("pool", "drain", VICTIM, "--to", "192.0.2.128/32", "--drain", "60")
    wait_for(lambda: attacked(attacked_lab) and pool(attacked_lab)["packets_per_second"] > 0, what="it to be counted")
    assert len(told(attacked_lab, " packets of strangers a second")) == 1


def test_a_restarted_agent_hears_of_the_attack_anew(attacked_lab, script):
    wait_for(script.lines, what="the program to be run")
    attacked_lab.agent.restart()
    wait_for(lambda: attacked(attacked_lab), what="the attack to be noticed")
    wait_for(lambda: len(script.lines()) == 2, what="the program to be run")


def children(lab):
    """Processes whose parent is the agent: name and state."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = re.fullmatch(r"\d+ \((.*)\) (.*)", path.read_text().strip(), re.DOTALL).groups()
            if int(rest.split()[1]) == lab.agent.process.pid:
                found.append((name, rest.split()[0]))
    return found


def test_a_program_that_hangs_is_killed_and_holds_up_nothing(lab):
    """With the processes that it has started; neither one of them nor a descriptor stays."""
    marker = lab.directory / "child"
    script = Script(lab.directory, f"(sleep 1000; touch {marker}) &\necho $! >{marker}\nsleep 1000")
    lab.start(attack=attack(script), metrics={})
    descriptors = pathlib.Path(f"/proc/{lab.agent.process.pid}/fd")
    before = len(os.listdir(descriptors))
    with flood(lab):
        wait_for(lambda: marker.exists() and marker.read_text(), what="the program to be run")
        child = int(marker.read_text())
        for _ in range(3):
            lab.agent.ctl("status")
            assert not told(lab, "was killed after 10 s"), "an answer waited for the program"
        wait_for(lambda: told(lab, f"{script.path} {VICTIM} was killed after 10 s"), 30, "the program to be killed")
    assert not pathlib.Path(f"/proc/{child}").exists() or "Z" in pathlib.Path(f"/proc/{child}/stat").read_text()
    wait_for(lambda: children(lab) == [], what="no child to be left")
    wait_for(lambda: len(os.listdir(descriptors)) <= before, what="no descriptor to be left")
    assert metric(lab, "detnat_attack_exec_failures_total") == 1
    assert len(script.lines()) == 1


def test_an_agent_that_ends_kills_the_program(lab):
    marker = lab.directory / "child"
    script = Script(lab.directory, f"echo $$ >{marker}\nexec sleep 1000")
    lab.start(attack=attack(script))
    with flood(lab):
        wait_for(lambda: marker.exists() and marker.read_text(), what="the program to be run")
        lab.agent.stop()
    assert not pathlib.Path(f"/proc/{marker.read_text().strip()}").exists()
    lab.agent.start()


def test_a_program_inherits_nothing_and_its_failure_is_told(lab):
    found = lab.directory / "found"
    script = Script(lab.directory, f"ls /proc/self/fd >{found}; env >>{found}; grep -E 'Cap(Eff|Amb)|SigBlk|SigIgn' /proc/self/status >>{found}\nexit 3")
    lab.start(attack=attack(script))
    with flood(lab):
        wait_for(lambda: told(lab, f"{script.path} {VICTIM} ended with status 3"), what="the failure to be told")
    text = found.read_text()
    assert [line for line in text.splitlines() if line.isdigit()] == ["0", "1", "2", "3"], text  # 3: of ls itself
    assert f"DETNAT_HOLD={HOLD}" in text and "NOTIFY" not in text
    # libc ignores two signals of its own, 32 and 33.
    assert "SigBlk:\t0000000000000000" in text and int(re.search(r"SigIgn:\t(\w+)", text)[1], 16) & 0x7FFFFFFF == 0, text
    assert "CapEff:\t0000000000000000" in text and "CapAmb:\t0000000000000000" in text, text


@pytest.mark.parametrize("how,why", [("missing", "No such file or directory"), ("directory", "it is not a file"),
                                     ("plain", "it is not executable; chmod +x it"), ("open", "every user may change it; chmod o-w it"),
                                     ("in the open", "{directory} is writable for everybody (owner root, mode 0777); `chmod o-w {directory}`")])
def test_a_program_that_cannot_be_run_is_refused(lab, how, why):
    directory = lab.directory / "programs"
    directory.mkdir()
    path, why = directory / "program", why.format(directory=directory)
    if how == "directory":
        path.mkdir()
    elif how != "missing":
        path.write_text("#!/bin/sh\n")
        path.chmod({"open": 0o777, "in the open": 0o755}.get(how, 0o644))
    if how == "in the open":
        directory.chmod(0o777)
    lab.start()
    lab.agent.write(attack={"packets_per_second": 5, "exec": str(path)})
    result = lab.agent.once("-t")
    assert result.status == 2 and f": attack.exec: {path} cannot be run: {why}" in result.err, result
    result = lab.agent.command("reload")
    assert result.status == 1 and f"{path} cannot be run: {why}" in result.err, result
    assert "packets_per_second" not in pool(lab), "unchanged"
    # A start must not fail for it: the datapath is more important.
    lab.agent.restart()
    assert told(lab, f"attack.exec: {path} cannot be run: {why}")
    assert pool(lab)["packets_per_second"] == 0


def test_a_program_that_goes_later_is_told_and_the_rest_works(lab, script):
    lab.start(attack=attack(script))
    script.path.unlink()
    lab.agent.ctl("mapping", "add", "10.64.0.0/24", "1.1.2.0/28")
    with flood(lab):
        wait_for(lambda: told(lab, f"{script.path} {VICTIM} cannot be run: No such file or directory"), what="the failure to be told")
        assert attacked(lab)


def test_the_event_goes_to_syslog(lab):
    """As a warning with its parameters, like any other."""
    with contextlib.closing(Collector(lab)) as collector:
        lab.start(attack=attack(), syslog={"to": collector.to, "events": ["attacks"]})
        with flood(lab):
            message = collector.message()
    assert (message["pri"], message["event"]) == ("28", "attack"), message
    assert message["params"]["addr"] == VICTIM and int(message["params"]["packets_per_second"]) > 0, message
