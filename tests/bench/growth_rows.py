# SPDX-License-Identifier: BSD-2-Clause
"""Blocks that grow, by a real agent: how fast they are granted, and how many flows they save from being refused."""

import json
import socket
import struct
import subprocess
import threading
import time

import agent as daemon
import isolation

OUT, LATER = "198.18.0.0", "198.18.4.0"
SERVER = "198.51.100.7"
ASKING = 1000  # subscribers who run out of ports
AGAIN = 0.3  # seconds after which those send once more whose request got lost
# So small that they are full at once.
SMALL = {"name": "small", "in": "10.64.0.0/22", "out": f"{OUT}/30", "ports_per_host": 8, "growth": {"block": 128, "max_blocks": 4}}
# The most of the demand: half as much for the second subscriber of an address, a third for the third.
MOST, SHARING = 2400, 128
PLAN = {"name": "zipf", "in": "10.64.0.0/25", "out": f"{OUT}/32", "sessions_per_user": 4000}
FIXED = {**PLAN, "ports_per_host": 504}  # all ports that there are
GROWN = {**PLAN, "ports_per_host": 448, "growth": {"block": 128, "max_blocks": 16}}
ROUNDS_IN_VAIN = 3


def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def host(n, base="10.64.0.0"):
    return socket.inet_ntoa(struct.pack("!I", struct.unpack("!I", socket.inet_aton(base))[0] + n))


class Sender:
    """Frames from any inside address to the server, by a packet socket."""

    def __init__(self, gateway):
        with isolation.inside(gateway.inside.path):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.bind(("eth0", 0))
        link, = json.loads(gateway.gateway.ip("-j", "link", "show", "dev", "in0"))
        self.macs = bytes.fromhex(link["address"].replace(":", "")) + self.socket.getsockname()[4]

    def frame(self, src, sport):
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, 0, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(SERVER))
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return self.macs + b"\x08\x00" + head + struct.pack("!HHHH", sport, 53, 26, 0) + bytes(18)

    def send(self, frames, pause=0.0):
        for frame in frames:
            self.socket.send(frame)
            if pause:
                time.sleep(pause)

    def close(self):
        self.socket.close()


class Granted:
    """When each subscriber's first block was there, by the agent's own notices."""

    def __init__(self, gateway):
        self.at = {}
        self.process = isolation.popen(daemon.CTL, "-s", gateway.agent.socket, "-j", "monitor", "grants", stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "granted":
                self.at.setdefault(event["in_addr"], time.monotonic())

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join()


def set_mapping(gateway, *mappings):
    there = [{"in": m["in"], "out": m["out"]} for m in gateway.agent.ctl("mapping", "list")[:1]]
    gateway.agent.write(mappings=[*there, *mappings])
    gateway.request("reload")


def confirms(gateway):
    """Groups of grants so far: each has one line that confirms it, and one fsync before it takes effect."""
    return (gateway.agent.state / "history.jsonl").read_text().count('"event":"confirm"')


def sessions(gateway):
    return gateway.agent.ctl("session", "list", "--count")["count"]


def fill(gateway, sender, out):
    """Each of the subscribers has all ports of its block in use; returns a frame of each that wants one more."""
    set_mapping(gateway, {**SMALL, "out": f"{out}/30"})
    full = [sender.frame(host(n), 5000 + i) for n in range(2, ASKING + 2) for i in range(8)]
    before, tries = sessions(gateway), 0
    while sessions(gateway) < before + len(full):
        assert (tries := tries + 1) < 50, "the blocks are not full"
        sender.send(full, 0.0001)
    return {host(n): sender.frame(host(n), 6000) for n in range(2, ASKING + 2)}


def blocks(gateway):
    return gateway.request("status")[0]["grants"]


def in_turns(gateway, sender):
    """They ask one after the other within a second. Returns seconds until each was granted a block, in order, and groups."""
    asking, sent = fill(gateway, sender, OUT), {}
    granted, groups = Granted(gateway), confirms(gateway)
    try:
        time.sleep(0.5)  # until it listens
        began = time.monotonic()
        for n, (addr, frame) in enumerate(asking.items()):
            time.sleep(max(0, began + n / ASKING - time.monotonic()))
            sent[addr] = time.monotonic()
            sender.send([frame])
        daemon.wait_for(lambda: len(granted.at) == ASKING, 30, "a block of each")
    finally:
        granted.close()
    groups = confirms(gateway) - groups
    assert blocks(gateway)["blocks"] == ASKING
    set_mapping(gateway)
    return sorted(granted.at[addr] - at for addr, at in sent.items()), groups


def at_once(gateway, sender):
    """They all ask at once; who is not answered asks again. Returns seconds until the last one has a block, and groups."""
    # Blocks of the address before rest.
    asking, groups = fill(gateway, sender, LATER), confirms(gateway)
    began = again = time.monotonic()
    sender.send(asking.values())
    while (there := blocks(gateway)["blocks"]) < ASKING:
        assert time.monotonic() < began + 30, f"{there} of {ASKING} have a block"
        if time.monotonic() > again + AGAIN:
            again = time.monotonic()
            has = {grant["in_addr"] for grant in gateway.agent.ctl("grant", "list")}
            sender.send([frame for addr, frame in asking.items() if addr not in has])
    took, groups = time.monotonic() - began, confirms(gateway) - groups
    set_mapping(gateway)
    return took, groups


def grants(gateway, report):
    """A thousand subscribers run out of ports: within a second, and at once."""
    gateway.gateway.ip("route", "replace", "10.64.0.0/10", "via", "10.200.0.2")
    sender = Sender(gateway)
    try:
        name, (took, groups) = "1000 blocks granted in a second", in_turns(gateway, sender)
        report.row(name, "packet to grant, median", 1e3 * took[ASKING // 2], "ms", 20)
        report.row(name, "packet to grant, 99 %", 1e3 * took[ASKING * 99 // 100], "ms", 20)
        report.row(name, "packet to grant, worst", 1e3 * took[-1], "ms")
        report.row(name, "groups, of one fsync each", groups, "")
        name, (took, groups) = "1000 blocks asked for at once", at_once(gateway, sender)
        report.row(name, "until the last is granted", took, "s", 1)
        report.row(name, "groups, of one fsync each", groups, "")
    finally:
        sender.close()


def refused(gateway, sender, mapping):
    """Flows that get no session although each is tried again, as long as more are opened."""
    set_mapping(gateway, mapping)
    wanted = [max(1, MOST // rank) for rank in range(1, SHARING + 1)]
    frames = [sender.frame(host(n), 5000 + i) for n, flows in enumerate(wanted) for i in range(flows)]
    before, there, vain = sessions(gateway), -1, 0
    while vain < ROUNDS_IN_VAIN:
        sender.send(frames, 0.00005)
        time.sleep(0.5)
        now = sessions(gateway) - before
        vain = vain + 1 if now == there else 0
        there = now
    blocks = len(gateway.agent.ctl("grant", "list"))
    set_mapping(gateway)
    return len(frames), len(frames) - there, blocks


def zipf(gateway, report):
    """128 subscribers share an address, and want sessions to one endpoint by Zipf's law: all ports in blocks, or blocks that grow."""
    gateway.gateway.ip("route", "replace", "10.64.0.0/10", "via", "10.200.0.2")
    sender = Sender(gateway)
    try:
        flows, fixed, _ = refused(gateway, sender, FIXED)
        _, grown, blocks = refused(gateway, sender, GROWN)
    finally:
        sender.close()
    assert fixed == sum(max(0, MOST // rank - FIXED["ports_per_host"]) for rank in range(1, SHARING + 1)), "by arithmetic"
    assert blocks, "no block was granted"
    name = f"{SHARING} subscribers an address, Zipf"
    report.row(name, "flows", flows, "")
    report.row(name, "refused, all ports in blocks", fixed, "")
    report.row(name, "refused, blocks grow", grown, "")
    report.row(name, "blocks granted", blocks, "")
    report.row(name, "refusals left", 100 * grown / fixed, "%", 5)
