# SPDX-License-Identifier: BSD-2-Clause
"""Restarts, kills and reloads under traffic; what survives them; detach."""

import signal
import threading
import time

import pytest
from scapy.layers.inet import UDP

import isolation
import machine
from agent import wait_for
from lab import MAPPING

RATE = 200  # packets a second, each way


class Stream:
    """Numbered packets in both directions through one session until stopped; then all must have arrived unchanged."""

    def __init__(self, lab):
        self.lab = lab
        self.host = lab.host()
        self.src = lab.open_udp(self.host)
        # Without a UDP checksum packets differ only in their number, so frames are made and compared as octets.
        out = lab.from_inside(self.host, UDP(sport=5000, dport=53) / bytes(8))
        back = lab.from_outside(self.src[0], UDP(sport=53, dport=self.src[1]) / bytes(8))
        out[UDP].chksum = back[UDP].chksum = 0
        self.ways = [
            (lab.inside, bytes(out)[:-8], lab.outside, bytes(lab.going_out(out, self.src))[:-8]),
            (lab.outside, bytes(back)[:-8], lab.inside, bytes(lab.coming_in(back, self.host, 5000))[:-8]),
        ]
        self.sent = 0
        self.failure = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)

    def _send(self):
        try:
            start = time.monotonic()
            while not self.stopping.is_set():
                for wire, frame, _, _ in self.ways:
                    wire.send(frame + self.sent.to_bytes(8, "big"))
                self.sent += 1
                self.stopping.wait(max(0, start + self.sent / RATE - time.monotonic()))
        except Exception as e:  # handed to the test by __exit__
            self.failure = e

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: self.sent > 20, what="traffic to flow")
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            more = self.sent + 20
            wait_for(lambda: self.sent > more or self.failure, what="traffic after the change")
        self.stopping.set()
        self.thread.join()
        if kind is not None:
            return
        assert self.failure is None, self.failure
        for _, _, wire, wanted in self.ways:
            came = []
            while len(came) < self.sent and (frame := wire.receive(timeout=20)) is not None:
                assert frame[:-8] == wanted, f"came {frame.hex()}, wanted {wanted.hex()}"
                came.append(int.from_bytes(frame[-8:], "big"))
            lost = sorted(set(range(self.sent)) - set(came))
            where = "outside" if wire is self.lab.outside else "inside"
            assert not lost, f"{len(lost)} of {self.sent} lost on the way {where}, the first: {lost[:10]}"
            assert len(came) == self.sent, "some came twice"


def change_of_file(agent):
    agent.stop()
    agent.write(timeouts={"udp": 200})
    agent.start()


RESTARTS = {
    "restart": lambda agent: agent.restart(),
    "kill -9 and start": lambda agent: (agent.kill(), agent.start()),
}

CHANGES = {
    "restart with a changed file": change_of_file,
    "reload": lambda agent: agent.ctl("reload"),
    "reload with another mapping": lambda agent: (
        agent.write(mappings=[MAPPING, {"in": "10.7.0.0/24", "out": "1.1.7.0/28"}]), agent.ctl("reload")),
    "reload with other settings of the programs": lambda agent: (agent.write(answer_arp=False), agent.ctl("reload")),
}


def assert_nothing_is_lost(lab, change):
    with Stream(lab) as stream:
        change(lab.agent)
    assert [s["in_port"] for s in lab.sessions(stream.host.addr)] == [5000]


@pytest.mark.parametrize("how", RESTARTS)
def test_a_restart_loses_no_packet(mode_lab, how):
    assert_nothing_is_lost(mode_lab, RESTARTS[how])


@pytest.mark.parametrize("how", CHANGES)
def test_a_change_loses_no_packet(lab, how):
    lab.start()
    assert_nothing_is_lost(lab, CHANGES[how])


def test_the_datapath_continues_without_an_agent(mode_lab):
    with Stream(mode_lab):
        mode_lab.agent.kill()
    new = mode_lab.host()
    mode_lab.open_udp(new)
    mode_lab.agent.start()
    assert len(mode_lab.sessions(new.addr)) == 1


def test_sessions_of_every_kind_survive(lab):
    agent = lab.start()
    host = lab.host()
    lab.open_udp(host)
    lab.ping(host)
    src = lab.handshake(host)

    def listed():
        return sorted((s["proto"], s["in_port"], s["out_port"], s["state"]) for s in lab.sessions(host.addr))

    before = listed()
    assert len(before) == 3
    agent.kill()
    agent.start()
    assert listed() == before
    lab.tcp_in(host, src, "A")


def test_changes_by_detnatctl_survive(lab):
    agent = lab.start()
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
    agent.ctl("timeouts", "set", "udp=77")
    agent.ctl("ipfix", "set", "collector=198.51.100.7:4739")
    for again in (agent.restart, lambda: (agent.kill(), agent.start())):
        again()
        assert [m["in"] for m in agent.ctl("mapping", "list")] == [MAPPING["in"], "10.9.0.0/24"]
        assert agent.ctl("timeouts", "show")["udp"] == 77
        assert agent.ctl("ipfix", "show")["collector"] == "198.51.100.7:4739"
    # The same content in a file written anew is the same file.
    agent.stop()
    agent.write()
    agent.start()
    assert agent.ctl("timeouts", "show")["udp"] == 77


def test_a_changed_file_applies_as_a_reload_does(lab):
    agent = lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    agent.ctl("mapping", "add", "10.9.0.0/24", "1.1.9.0/28")
    agent.stop()
    agent.write(mappings=[{"in": "10.8.0.0/24", "out": "1.1.8.0/28"}, MAPPING], sessions_per_user=5)
    agent.start()
    assert {m["in"] for m in agent.ctl("mapping", "list")} == {MAPPING["in"], "10.8.0.0/24"}
    assert lab.session(host)["out_port"] == src[1]
    assert agent.ctl("user", "show", host.addr)["quota"] == 5


@pytest.mark.parametrize("change", [{"forwarding": "kernel"}, {"unmatched": "route"}, {"hairpin": False}, {"overflow_sessions": 100}],
                         ids=lambda c: next(iter(c)))
def test_a_reload_changes_settings_of_the_programs(lab, change):
    agent = lab.start()
    host = lab.host()
    src = lab.open_udp(host)
    agent.write(**change)
    agent.ctl("reload")
    assert lab.open_udp(host) == src
    if "forwarding" in change:
        assert agent.ctl("status")["forwarding"] == "kernel"
    if "unmatched" in change:
        stranger = lab.host("10.200.0.9")
        lab.gateway.ip("route", "replace", "10.200.0.0/16", "dev", "in0")
        lab.send_out(lab.from_inside(stranger, UDP(sport=1, dport=2)), (stranger.addr, 1))


def test_a_second_agent_is_refused(lab):
    agent = lab.start()
    before = machine.traces(lab)
    result = agent.once()
    assert result.status == 1 and result.err and result.out == "", result
    assert machine.traces(lab) == before
    assert agent.ctl("status")["mappings"] == 1
    lab.open_udp(lab.host())


def test_detach_is_refused_while_an_agent_runs(lab):
    agent = lab.start()
    before = machine.traces(lab)
    result = agent.once("--detach")
    assert result.status == 1 and result.err, result
    assert machine.traces(lab) == before
    lab.open_udp(lab.host())


@pytest.mark.parametrize("mode_", ["native", "skb", "none"])
def test_detach_leaves_nothing(lab, mode_):
    agent = lab.prepare(xdp_mode=mode_)
    lab.gateway.ip("route", "add", "blackhole", "203.0.113.0/24")
    before = machine.traces(lab)
    agent.start()
    lab.open_udp(lab.host())
    running = machine.traces(lab)
    assert [bool(running["xdp"][name]) for name in ("in0", "out0")] == [mode_ != "none"] * 2
    assert running["tc"] and running["pins"] and running["routes"] != before["routes"]
    agent.stop()
    kept = machine.traces(lab)
    assert {**kept, "socket": True, "neighbours": None} == {**running, "neighbours": None}
    agent.detach()
    after = machine.traces(lab)
    after["neighbours"] = before["neighbours"]
    assert after == before
    # Once more: having nothing to do is not a failure.
    agent.detach()
    assert machine.links(lab.gateway)["in0"] is None


def test_detach_after_a_kill_leaves_nothing(lab):
    agent = lab.prepare()
    before = machine.traces(lab)
    agent.start()
    agent.kill()
    agent.detach()
    after = machine.traces(lab)
    assert {**after, "socket": False} == before


def test_on_exit_detach(lab):
    agent = lab.prepare(on_exit="detach")
    before = machine.traces(lab)
    agent.start()
    agent.stop()
    assert machine.traces(lab) == before


def test_detach_spares_foreign_programs(lab):
    """An interface without a role keeps its qdisc and its routes."""
    lab.gateway.ip("link", "add", "other0", "type", "veth", "peer", "name", "other1")
    lab.gateway.run("tc", "qdisc", "add", "dev", "other0", "clsact")
    agent = lab.prepare()
    before = machine.traces(lab)
    agent.start()
    agent.stop()
    agent.detach()
    assert machine.traces(lab) == before


def test_both_signals_end_it_cleanly(lab):
    agent = lab.start()
    assert agent.end(signal.SIGINT) == 0
    assert not agent.socket.exists()
    agent.start()
    assert agent.end(signal.SIGTERM) == 0


def test_a_stale_socket_does_not_hinder_a_start(lab):
    agent = lab.start()
    agent.kill()
    assert agent.socket.exists()
    agent.start()
    assert agent.ctl("status")["mappings"] == 1


def test_readiness_is_reported_to_systemd(lab):
    import os
    import socket

    agent = lab.prepare()
    address = agent.directory / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        listener.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = str(address)
        try:
            agent.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert b"READY=1" in listener.recv(4096).splitlines()


def test_it_mounts_a_bpffs_if_there_is_none(lab):
    agent = lab.prepare()
    plain = agent.directory / "plain"
    agent.write(pin_path=str(plain))
    agent.start()
    kinds = {line.split()[1]: line.split()[2] for line in open(f"/proc/{agent.process.pid}/mounts")}
    assert kinds.get(str(plain)) == "bpf"
    host = lab.host()
    lab.open_udp(host)
    agent.restart()
    assert len(lab.sessions(host.addr)) == 1
    agent.stop()
    agent.detach()
    lab.gateway.run("umount", plain, check=False)


def test_it_warns_of_pins_that_end_with_a_mount_namespace(lab):
    with isolation.hidden_mounts():
        agent = lab.start()
        assert "mount namespace" in agent.log_text()
        agent.stop()
    assert "ends with the agent's own mount namespace" in agent.log_text() and "detnat-agent --detach" in agent.log_text()
    assert "stays attached" not in agent.log_text()
