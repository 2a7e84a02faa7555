# SPDX-License-Identifier: BSD-2-Clause
"""Two or three gateways of one configuration, each a lab of its own, and a link by which they copy sessions to each other.

    inside -- [ gateway a ] -- outside
                192.0.2.1
                    |
                192.0.2.2
    inside -- [ gateway b ] -- outside

The third is 192.0.2.3; the link is then a bridge in the namespace of gateway a, which forwards whether its agent lives or not.
"""

import contextlib

import isolation
import lab as lab_module
from agent import wait_for

KEY = bytes(range(32))
ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
PORT = 9470


def endpoint(number):
    return f"{ADDRESSES[number]}:{PORT}"


class Gateways:
    """The labs with their agents, once start() was called."""

    def __init__(self, run_directory, count=2):
        with contextlib.ExitStack() as stack:
            self.labs = []
            for _ in range(count):
                self.labs.append(lab_module.Lab(run_directory))
                stack.callback(self.labs[-1].close)
            self.a, self.b = self.labs[:2]
            self.connect()
            self._close = stack.pop_all().close

    def close(self):
        self._close()

    def connect(self):
        """The link between them: sync0 in each."""
        a, *others = (lab.gateway for lab in self.labs)
        if len(others) > 1:
            a.ip("link", "add", "sync0", "type", "bridge")
        for number, other in enumerate(others):
            name = f"to{number}" if len(others) > 1 else "sync0"
            isolation.run("ip", "link", "add", name, "netns", a.name, "type", "veth", "peer", "name", "sync0", "netns", other.name)
            if len(others) > 1:
                a.ip("link", "set", name, "master", "sync0", "up")
        for lab, address in zip(self.labs, ADDRESSES):
            # Without the link there is no other way, such as the default route.
            lab.gateway.batch(f"addr add {address}/24 dev sync0", "link set sync0 up", "route add unreachable 192.0.2.0/24 metric 9999")

    def link(self, state):
        """Takes the link "down" or "up"."""
        self.a.gateway.ip("link", "set", "sync0", state)

    def key_file(self, number, key=KEY, mode=0o600):
        path = self.labs[number].directory / "replication.key"
        path.unlink(missing_ok=True)
        path.write_bytes(key)
        path.chmod(mode)
        return str(path)

    def replication(self, number, key=KEY, mode=0o600, **changes):
        """The value of `replication` for one of them, whose key file is made."""
        peers = [endpoint(other) for other in range(len(self.labs)) if other != number]
        return {"listen": endpoint(number), "peers": peers, "key_file": self.key_file(number, key, mode), "min_age": 0,
                **changes}

    def prepare(self, number, replication=None, **config):
        return self.labs[number].prepare(replication=self.replication(number, **(replication or {})), **config)

    def start(self, replication=None, **config):
        """Starts all and waits until they are synchronised."""
        for number in range(len(self.labs)):
            self.prepare(number, replication, **config).start()
        self.wait_synchronised()
        return self

    # ---- what they say of each other

    def peers(self, number):
        """What one of them says of the others, by their addresses."""
        return {peer["peer"]: peer for peer in self.labs[number].agent.ctl("peer", "list")}

    def peer(self, number):
        """What one of two says of the other."""
        (peer,) = self.peers(number).values()
        return peer

    def state(self, number):
        """In which all its peers are; else None."""
        states = {peer["state"] for peer in self.peers(number).values()}
        return states.pop() if len(states) == 1 else None

    def wait_state(self, state, *numbers):
        for number in numbers or range(len(self.labs)):
            wait_for(lambda n=number: self.state(n) == state, what=f"gateway {number} to say {state}", interval=0.05)

    def wait_synchronised(self):
        self.wait_state("synchronised")

    def wait_copied(self, number, count):
        """Waits until a gateway has as many copies."""
        wait_for(lambda: self.peer(number)["copies"] == count, what=f"{count} copies", interval=0.05)
