# SPDX-License-Identifier: BSD-2-Clause
"""SIGKILL at a system call while a block is granted or taken back, and the next start: history and tables agree.

As in test_kills.py: KILLS of all places are tried, KILLS=all (make test-kills) tries each.
"""

import time

import pytest

from agent import wait_for
from test_growth import GROWING, OUT, checked, fill, grants, grow, holder, lines, query, settled
from test_history import verified
from test_kills import KILLS, SEED, Phase, attached, chosen, thinned

pytestmark = pytest.mark.long


class Growth(Phase):
    traffic = False

    def __init__(self, lab):
        self.lab = lab
        self.agent = lab.prepare(mappings=[GROWING], unmatched="drop", timeouts={"udp": 86400})
        self.agent.start()
        self.host = lab.host("10.0.0.3")
        fill(lab, self.host)

    def give_back(self):
        for grant in grants(self.lab):
            self.agent.ctl("grant", "revoke", f"{OUT}:{grant['port_lo']}")
        wait_for(lambda: not grants(self.lab), what="the end of the grant")

    def ended(self):
        return self.agent.process.poll() is not None

    def judge(self, done):
        there = grants(self.lab)
        assert len(there) <= 1
        at = settled(self.lab)
        ports = {grant["port_lo"]: grant["in_addr"] for grant in there}
        for port in {line["port_lo"] for line in lines(self.lab)[-2:]}:
            assert holder(self.lab, port, at) == ports.get(port), (port, there)
        checked(self.lab)
        verified(self.agent)
        return there


class Granted(Growth):
    name = "grant"

    def ready(self):
        self.give_back()

    def act(self, options):
        before, confirms = len(lines(self.lab)), len(lines(self.lab, "confirm"))
        with attached(self.agent, *options):
            # The agent is asked four times a second at most.
            sent = [0.0]

            def confirmed():
                if time.monotonic() - sent[0] > 1 and len(lines(self.lab)) == before:
                    self.lab.inside.send(query(self.lab, self.host, 5008))
                    sent[0] = time.monotonic()
                return self.ended() or len(lines(self.lab, "confirm")) > confirms

            wait_for(confirmed, what="a grant")
            return not self.ended()

    def judge(self, done):
        there = super().judge(done)
        assert there or not done, "its confirmation was written"


class TakenBack(Growth):
    name = "end of a grant"

    def ready(self):
        if not grants(self.lab):
            grow(self.lab, self.host, 5008)

    def act(self, options):
        grant, = grants(self.lab)
        confirms = len(lines(self.lab, "confirm"))
        with attached(self.agent, *options):
            self.agent.command("grant", "revoke", f"{OUT}:{grant['port_lo']}")
            wait_for(lambda: self.ended() or len(lines(self.lab, "confirm")) > confirms, what="the end of the grant")
            return not self.ended()

    def judge(self, done):
        there = super().judge(done)
        assert not there or not done, "its end was written"


@pytest.mark.parametrize("phase", [Granted, TakenBack], ids=lambda phase: phase.name)
def test_a_kill_at_any_system_call_leaves_history_and_tables_alike(lab, phase, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    it = phase(lab)
    places = thinned(it.places())
    it.recover()
    assert len(places) > 5, places
    for kind, n in chosen(places, KILLS):
        try:
            it.kill_at(kind, n)
        except Exception as error:
            raise AssertionError(f"{phase.name}: killed at {kind} number {n} (KILLS_SEED={SEED}): {error}") from error
    print(f"{phase.name}: {len(chosen(places, KILLS))} of {len(places)} places")
