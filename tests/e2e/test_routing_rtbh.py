# SPDX-License-Identifier: BSD-2-Clause
"""deploy/routing/rtbh: an attacked pool address is announced as a blackhole by FRR and by BIRD, and taken back after `hold`."""

import json
import re
import shlex
import socket
import threading

import pytest

import isolation
import routers
import topology
from agent import wait_for
from topology import UPSTREAM

POOL = "203.0.113.0/24"
VICTIM = "203.0.113.7"
HOLD, MARGIN, THRESHOLD = 2, 2, 200

IMPORT = "import where net ~ [ 203.0.113.0/24+ ];"
# What an upstream with RFC 7999 does.
DISCARD = ("import filter { if net !~ [ 203.0.113.0/24+ ] then reject; if (65535, 666) ~ bgp_community then dest = RTD_BLACKHOLE; "
           "accept; };")


class Example:
    """The example's script, with the values that an operator edits, and a gateway with its files."""

    def __init__(self, network, kind):
        self.network, self.gateway, self.kind = network, network.gateways[0], kind
        self.state = network.directory / "rtbh"
        self.script = network.directory / "rtbh.sh"
        self.state.mkdir()
        for name, old, new in (("bird.conf", "/run/detnat/rtbh/", f"{self.state}/"), ("frr.conf", "", "")):
            text = (routers.EXAMPLES / "rtbh" / name).read_text()
            (network.directory / name).write_text(text.replace(old, new) if old else text)
        self.gateway.start_routing(kind, network.directory / f"{kind}.conf")
        attack = json.loads((routers.EXAMPLES / "rtbh/detnat.json").read_text())["attack"]
        self.write_script()
        self.gateway.start_agent("rtbh/detnat.json", attack={**attack, "packets_per_second": THRESHOLD, "hold": HOLD, "exec": str(self.script)})

    def write_script(self):
        daemon = self.gateway.daemon
        if self.kind == "frr":
            libraries = daemon.environment.get("LD_LIBRARY_PATH")
            command = shlex.join([*(["env", f"LD_LIBRARY_PATH={libraries}"] if libraries else []), str(routers.program("usr/bin/vtysh")),
                                  "--vty_socket", str(daemon.directory), "--config_dir", str(daemon.directory)])
        else:
            command = shlex.join([str(routers.program("usr/sbin/birdcl")), "-s", str(daemon.socket)])
        text = (routers.EXAMPLES / "rtbh/rtbh").read_text()
        for name, value in (("DAEMON", self.kind), ("DIR", self.state), ("MARGIN", MARGIN),
                            ("VTYSH" if self.kind == "frr" else "BIRDC", shlex.quote(command))):
            text, n = re.subn(rf"^{name}=.*$", lambda _, name=name, value=value: f"{name}={value}", text, flags=re.MULTILINE)
            assert n == 1, name
        self.script.write_text(text)
        self.script.chmod(0o755)

    def expire(self):
        """What the timer does."""
        return self.gateway.namespace.run(self.script, "expire").stdout

    def announced(self):
        """The upstream router's routes, with their attributes."""
        return self.network.birds[0].command("show", "route", "all")


@pytest.fixture(params=["frr", "bird"])
def example(request, run_directory):
    network = topology.Network(run_directory)
    try:
        it = Example(network, request.param)
        network.birds[0].edit(IMPORT, DISCARD)
        network.wait_for_ways({POOL: 1}, {1: 1})
        yield it
    finally:
        network.close()


class Attack:
    """Packets from upstream to the victim, until the end of the block; a blackhole refuses them."""

    def __init__(self, network):
        with network.upstream.enter():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((UPSTREAM, 0))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.refused = 0

    def _run(self):
        while not self._end.wait(0.001):
            try:
                self.socket.sendto(b"flood", (VICTIM, 2000))
            except OSError:
                self.refused += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self.socket.close()


def test_an_attacked_address_is_a_blackhole_for_as_long_as_hold_says(example):
    agent = example.gateway.agent
    with Attack(example.network) as attack:
        try:
            wait_for(lambda: "(65535,666)" in example.announced(), 30, "the blackhole to be announced")
        except AssertionError:
            raise AssertionError(f"{example.announced()}\n{example.gateway.daemon.report()}\n{agent.log_end()}") from None
        assert "(65535,65281)" in example.announced()
        wait_for(lambda: attack.refused > 100, what="the upstream router to refuse packets")
        assert example.network.ways(example.network.upstream, POOL) == {example.gateway.outside}, "the pool stays announced"
        example.expire()
        wait_for(lambda: "is no longer attacked; it was for" in agent.log_text(), 60, "the attack to be over")
        assert agent.log_text().count(f"{VICTIM}/32 is announced as a blackhole, at ") == 1
        wait_for(lambda: f"{VICTIM}/32 is taken back" in example.expire(), 60, "the hold to be over", 0.2)
        # The attack goes on, so it is noticed as a new one.
        wait_for(lambda: agent.log_text().count(f"{VICTIM}/32 is announced as a blackhole, at ") == 2, 60, "the next run")
    wait_for(lambda: f"{VICTIM}/32 is taken back" in example.expire(), 60, "the hold to be over", 0.2)
    wait_for(lambda: "(65535,666)" not in example.announced(), what="the blackhole to be withdrawn")
    assert not list(example.state.glob("*.until")) and not list(example.state.glob("*.conf"))


def test_a_command_that_fails_is_told(example):
    text = example.script.read_text()
    example.script.write_text(re.sub(r"^(VTYSH|BIRDC)=.*$", r"\1=false", text, flags=re.MULTILINE))
    with Attack(example.network):
        wait_for(lambda: f"{example.script} {VICTIM} ended with status 1" in example.gateway.agent.log_text(), 60, "the failure to be told")
    assert f"rtbh: {VICTIM} cannot be announced: failed" in example.gateway.agent.log_text()
    assert "(65535,666)" not in example.announced()


@pytest.mark.parametrize("words", [(), ("--help",), ("203.0.113.7; reboot", "1"), ("../../etc/passwd", "1")], ids=lambda w: " ".join(w) or "none")
def test_other_arguments_are_refused(tmp_path, words):
    script = tmp_path / "rtbh"
    script.write_text((routers.EXAMPLES / "rtbh/rtbh").read_text().replace("DIR=/run/detnat/rtbh", f"DIR={tmp_path}/state"))
    result = isolation.run("sh", script, *words, check=False)
    assert result.returncode == 2 and result.stderr == "usage: rtbh ADDR RATE | rtbh expire\n", result
