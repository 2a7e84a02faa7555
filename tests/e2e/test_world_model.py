# SPDX-License-Identifier: BSD-2-Clause
"""What the model of a world with several gateways (tests/world) claims of sessions where routes move."""

import collections
import pathlib
import sys
import time
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "world"))
import frames  # noqa: E402
from model import Model  # noqa: E402
from oracles import Failure, Oracles  # noqa: E402
from together import Together  # noqa: E402
from traffic import Flow  # noqa: E402

HOST, SERVER = frames.number("10.0.0.5"), frames.number("198.51.100.7")
FIRST, OTHER = ((frames.number("198.18.0.0"), port) for port in (47718, 47720))
MS = 1_000_000


class World:
    """The model, without gateways: packets are as a test says that they were seen."""

    def __init__(self):
        self.gateways = [types.SimpleNamespace(number=number, down=set(), shift=0, running=lambda: True, link=lambda name, up: None)
                         for number in range(3)]
        self.flow = Flow(1, frames.UDP, HOST, 1000, SERVER, 53, state="established")
        self.traffic = types.SimpleNamespace(flows={1: self.flow}, outside=collections.deque(), inside=collections.deque(), pcp=collections.deque(),
                                             active_out=2, active_in=2)
        self.counts, self.customers = collections.Counter(), None
        self.model = Model()
        self.model.effective = lambda addr: types.SimpleNamespace(inbound="sessions")
        self.model.may_use = lambda *what: True
        self.oracles, self.together = Oracles(self), Together(self)

    def fail(self, oracle, text):
        raise Failure(oracle, text)

    def disturbed(self, seconds):
        pass

    @staticmethod
    def timeout_of(flow):
        return 30

    def packet(self, outside):
        """One of the flow leaves by the gateway to which routes lead, and is answered; nobody looks at it yet."""
        now = time.time_ns()
        self.traffic.outside.append(frames.Seen(now, self.traffic.active_out, "out0", *outside, SERVER, 53, frames.UDP, 0, 0, frames.UP, HOST, 1000, 1, 1,
                                                now, True, None))
        self.flow.last_down = time.time_ns()

    def look(self):
        self.oracles.consume(1 << 62)


def test_of_what_left_just_before_routes_moved_the_model_claims_nothing_looked_at_before_or_after():
    for looked_at_first in (True, False):
        world = World()
        world.packet(FIRST)
        if looked_at_first:
            world.look()
            assert world.flow.cert == "yes"
        world.together.takeover(0, "routes", 0)
        world.packet(OTHER)  # nobody has told gateway 0 of the session
        world.look()
        world.packet(OTHER)
        world.look()
        assert (world.flow.cert, world.flow.outside) == ("yes", OTHER)
        world.packet(FIRST)
        with pytest.raises(Failure, match="session moved"):
            world.look()


def test_a_session_that_the_next_gateway_was_told_of_must_go_on_there():
    world = World()
    long_ago = time.time_ns() - 60_000 * MS
    world.together.knows = [long_ago] * 3
    world.packet(FIRST)
    world.look()
    world.flow.since = long_ago
    world.together.takeover(0, "routes", 0)
    world.packet(FIRST)
    world.look()
    world.packet(OTHER)
    with pytest.raises(Failure, match="session moved"):
        world.look()
