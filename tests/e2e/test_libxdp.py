# SPDX-License-Identifier: BSD-2-Clause
"""detnat-xdp, the helper through which interfaces are shared by libxdp's dispatcher: what it refuses, and what follows where it
cannot help. What works is tested in virtual machines (tests/vm/libxdp.sh), as not every kernel has programs of type EXT."""
import array
import ctypes
import os
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from agent import BUILD, wait_for
from test_history import attach_foreign_program

MAGIC, VERSION = 0x646E7870, 1
LIST, ATTACH, DETACH = 1, 2, 3
NATIVE, SKB = 1, 2
TRY = 1
EPERM, EBADMSG, EINVAL, EPROTO, ENODEV = 1, 74, 22, 71, 19
ANSWER = 1208
NR_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_OBJ_GET = 7


def request(kind=LIST, mode=0, ifindex=1, entry=0, priority=90, flags=0, pad=0, magic=MAGIC, version=VERSION):
    return struct.pack("=IHBBIBBBB", magic, version, kind, mode, ifindex, entry, priority, flags, pad)


def pinned(path):
    """A descriptor of what is pinned there."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    attr = ctypes.create_string_buffer(struct.pack("=Q", ctypes.addressof(name)), 128)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(NR_BPF, BPF_OBJ_GET, attr, 128)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd


class Helper:
    def __init__(self, path):
        self.path = path
        self.process = subprocess.Popen([BUILD / "detnat-xdp", "--listen", path], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for(self.listens, what="the helper to listen")

    def listens(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            return s.connect_ex(str(self.path)) == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()

    def ask(self, message, fds=(), parts=None):
        """The answer's error, text and number of programs; None if it ends without one."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(30)
            s.connect(str(self.path))
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                s.sendmsg([message], rights)
            except BrokenPipeError:
                pass  # it had refused before
            data, ancillary, _, _ = s.recvmsg(4096, 1024)
            for _, _, found in ancillary:
                for fd in array.array("i", found):
                    os.close(fd)
        if not data:
            return None
        assert len(data) == ANSWER and struct.unpack_from("=IH", data) == (MAGIC, VERSION)
        (error,) = struct.unpack_from("=i", data, 8)
        return -error, data[24:408].split(b"\0")[0].decode(), data[7]


@pytest.fixture
def helper(tmp_path, monkeypatch):
    h = Helper(tmp_path / "xdp.sock")
    monkeypatch.setenv("DETNAT_XDP_SOCKET", str(h.path))
    yield h
    h.stop()


@pytest.fixture
def netns():
    fd = os.open("/proc/self/ns/net", os.O_RDONLY)
    yield fd
    os.close(fd)


def permits(helper, netns):
    """Whether this kernel has programs of type EXT."""
    return helper.ask(request(mode=SKB, flags=TRY), [netns])[0] == 0


@pytest.fixture
def refusing(helper, netns):
    """Only on a kernel that refuses them."""
    if permits(helper, netns):
        pytest.skip("this kernel permits programs of type EXT")
    return helper


REFUSED = re.compile(r"this kernel refuses programs of type EXT \(freplace\), which libxdp needs")


@pytest.mark.parametrize("options", [["-t"], []])
def test_a_kernel_that_refuses_is_named_in_one_line(lab, refusing, options):
    agent = lab.prepare(xdp_mode="native", xdp_dispatcher="libxdp")
    result = agent.once(*options)
    errors = [line for line in result.err.splitlines() if "error:" in line or REFUSED.search(line)]
    assert result.status == 2 and len(errors) == 1, result
    assert "in0: " in errors[0] and REFUSED.search(errors[0]) and "set 'xdp_dispatcher' to \"none\"" in errors[0], result


def test_automatically_tc_translates_and_xdp_stays_free(lab, refusing):
    agent = lab.start(xdp_mode="auto", xdp_dispatcher="libxdp")
    for row in agent.ctl("interface", "list"):
        assert row["xdp"] == "none" and REFUSED.search(row["xdp_reason"]), row
        assert row["shared"] is False and row["programs"] is None and row["dispatcher"] is None
    for name in ("in0", "out0"):
        assert "xdp" not in lab.gateway.ip("-d", "link", "show", name)
    lab.open_udp(lab.host())
    examined = agent.once("--doctor")
    assert REFUSED.search(examined.out), examined


@pytest.mark.parametrize("owner, mode", [(65534, 0o755), (0, 0o777)])
def test_root_gives_no_socket_away_in_a_directory_of_others(tmp_path, owner, mode):
    os.chown(tmp_path, owner, -1)
    tmp_path.chmod(mode)
    result = subprocess.run([BUILD / "detnat-xdp", "--listen", tmp_path / "xdp.sock"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "its directory is not root's alone" in result.stderr, result
    assert not list(tmp_path.iterdir())


def test_without_a_helper_it_is_said_how_to_start_one(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("DETNAT_XDP_SOCKET", str(tmp_path / "none.sock"))
    agent = lab.prepare(xdp_mode="native", xdp_dispatcher="libxdp")
    result = agent.once("-t")
    assert result.status == 2 and "systemctl enable --now detnat-xdp.socket" in result.err, result
    agent.write(xdp_mode="auto")
    agent.start()
    assert {row["xdp"] for row in agent.ctl("interface", "list")} == {"none"}
    lab.open_udp(lab.host())


def test_an_interface_with_its_own_dispatcher(lab, refusing):
    """Only the interface that asks for it is affected."""
    agent = lab.start(xdp_mode="auto", interfaces={"inside": [{"name": "in0", "xdp_dispatcher": "libxdp"}], "outside": ["out0"]})
    assert {row["name"]: row["xdp"] for row in agent.ctl("interface", "list")}["in0"] == "none"
    assert {row["name"]: row["xdp"] for row in agent.ctl("interface", "list")}["out0"] != "none"
    assert agent.ctl("config", "show")["interfaces"]["inside"] == [{"name": "in0", "xdp_dispatcher": "libxdp"}]


def test_interface_add_is_refused_with_the_reason(lab, refusing):
    agent = lab.start(xdp_mode="native", xdp_dispatcher="libxdp", interfaces={
        "inside": [{"name": "in0", "xdp_dispatcher": "none"}], "outside": [{"name": "out0", "xdp_dispatcher": "none"}]})
    lab.gateway.ip("link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
    before = agent.ctl("interface", "list")
    assert REFUSED.search(agent.refused("interface", "add", "spare0", "inside"))
    assert agent.ctl("interface", "list") == before
    assert "xdp" not in lab.gateway.ip("-d", "link", "show", "spare0")
    lab.open_udp(lab.host())


# ---- requests that no agent makes


@pytest.mark.parametrize("message, number", [
    (b"", EBADMSG),
    (b"x", EBADMSG),
    (request()[:-1], EBADMSG),
    (request() + b"\0", EBADMSG),
    (b"\xff" * 65000, EBADMSG),
    (request(magic=1), EBADMSG),
    (request(version=2), EPROTO),
    (request(kind=0), EBADMSG),
    (request(kind=4), EBADMSG),
    (request(mode=3), EBADMSG),
    (request(entry=3), EBADMSG),
    (request(flags=2), EBADMSG),
    (request(pad=1), EBADMSG),
    (request(kind=ATTACH, mode=0), EBADMSG),
    (request(ifindex=0), ENODEV),
    (request(ifindex=0x80000000), ENODEV),
    (request(ifindex=0x7fffffff), ENODEV),
], ids=lambda value: f"{len(value)}-octets-{value[:16].hex()}" if isinstance(value, bytes) else str(value))
def test_a_message_that_is_wrong_is_refused(helper, netns, message, number):
    answer = helper.ask(message, [netns])
    assert answer is not None and answer[0] == number and answer[1] and not answer[2], answer


def test_requests_of_other_users_are_refused(helper, tmp_path):
    """Whatever the permissions of the socket are."""
    os.chmod(helper.path, 0o666)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and folder != tmp_path.root:
            os.chmod(folder, folder.stat().st_mode | 0o011)
    code = ("import socket, sys, struct\n"
            "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "s.connect(sys.argv[1])\n"
            "d = s.recv(4096)\n"
            "print(-struct.unpack_from('=i', d, 8)[0], d[24:408].split(b'\\0')[0].decode())\n")
    said = subprocess.run([shutil.which("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", code, helper.path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert said.stdout.strip() == f"{EPERM} only the user detnat and root may ask detnat-xdp, not uid 65534", said


@pytest.fixture(scope="module")
def maps(running_lab):
    """Descriptors of what a running agent has pinned, by name."""
    (layout,) = running_lab.agent.pins.glob("v*")
    opened = {name: pinned(layout / name) for name in ("entries", "tc_entries", "counters", "stage2_entries", "mappings", "prog_xdp_inside")}
    yield opened
    for fd in opened.values():
        os.close(fd)


@pytest.mark.parametrize("entries, counters, why", [
    ("counters", "entries", "the map for 'entries' is of type 6 "),
    ("stage2_entries", "counters", "the map for 'entries' is of type 3 with keys of 4 octets, values of 4 and 1 elements"),
    ("entries", "mappings", "the map for 'counters' is of type "),
    ("prog_xdp_inside", "counters", "the descriptor for the map 'entries' is not a map's"),
    ("entries", "prog_xdp_inside", "the descriptor for the map 'counters' is not a map's"),
    (None, "counters", "the descriptor for the map 'entries' is not a map's"),
])
@pytest.mark.parametrize("kind", [LIST, ATTACH, DETACH])
def test_forged_maps_are_refused(helper, netns, maps, kind, entries, counters, why):
    with open(__file__, "rb") as plain:
        fds = [netns] + [maps[name] if name else plain.fileno() for name in (entries, counters)]
        number, text, _ = helper.ask(request(kind=kind, mode=NATIVE), fds)
    assert number == EINVAL and why in text, (number, text)


@pytest.mark.parametrize("kind, space", [(LIST, "mnt"), (LIST, "user"), (ATTACH, "pid"), (DETACH, "uts"), (LIST, None)])
def test_what_is_no_network_namespace_is_refused(helper, maps, kind, space):
    fd = os.open(f"/proc/self/ns/{space}" if space else __file__, os.O_RDONLY)
    try:
        number, text, _ = helper.ask(request(kind=kind, mode=NATIVE), [fd, maps["entries"], maps["counters"]])
    finally:
        os.close(fd)
    assert (number, text) == (EINVAL, "the first descriptor is not of a network namespace")


@pytest.mark.parametrize("count", [0, 1, 2, 4, 40])
def test_too_few_or_too_many_descriptors_are_refused(helper, netns, count):
    number, text, _ = helper.ask(request(kind=ATTACH, mode=NATIVE), [netns] * count)
    assert number in (EINVAL, EBADMSG) and text, (number, text)


def test_an_interface_that_is_gone_is_said_to_be(helper, netns, maps):
    for kind in (LIST, ATTACH, DETACH):
        number, text, _ = helper.ask(request(kind=kind, mode=NATIVE, ifindex=65000), [netns, maps["entries"], maps["counters"]])
        assert (number, text) == (ENODEV, "the interface is gone")


def test_many_requests_at_a_time_are_all_answered(helper, netns):
    sockets = []
    for _ in range(20):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(30)
        s.connect(str(helper.path))
        sockets.append(s)
    for s in sockets:
        s.sendmsg([request()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [netns]))])
    for s in sockets:
        assert len(s.recv(4096)) == ANSWER
        s.close()


# ---- what answers is not the helper, or hangs


class FalseHelper:
    """Answers each request with the same message, or takes the connection and never answers (None)."""

    def __init__(self, path, message):
        self.message = message
        self.asked = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.kept = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.asked.append(time.monotonic())
            if self.message is None:
                self.kept.append(s)
                continue
            if self.message:
                s.send(self.message)
            s.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for s in (self.listener, *self.kept):
            s.close()


@pytest.fixture
def false_helper(tmp_path, monkeypatch):
    path = tmp_path / "false.sock"
    monkeypatch.setenv("DETNAT_XDP_SOCKET", str(path))
    started = []

    def start(message):
        started.append(FalseHelper(path, message))
        return started[-1]

    yield start
    for h in started:
        h.stop()


def answer(magic=MAGIC, version=VERSION, programs=0, error=0, size=ANSWER):
    return struct.pack("=IHBBi", magic, version, 0, programs, error).ljust(size, b"\0")


OTHER = "is not detnat-xdp, or is of another version than the agent"


@pytest.mark.parametrize("message, why", [
    (b"", "ended without an answer"),
    (b"x", OTHER),
    (answer(magic=1), OTHER),
    (answer(version=2), OTHER),
    (answer(programs=11), OTHER),
    (answer(size=ANSWER - 1), OTHER),
    (answer(size=ANSWER + 1), OTHER),
], ids=["nothing", "an-octet", "magic", "version", "programs", "short", "long"])
def test_what_is_not_the_helper_is_named(lab, false_helper, message, why):
    false_helper(message)
    agent = lab.prepare(xdp_mode="native", xdp_dispatcher="libxdp")
    result = agent.once("-t")
    assert result.status == 2 and result.err.count("error:") == 1 and "in0: " in result.err and why in result.err, result
    agent.write(xdp_mode="auto", xdp_dispatcher="libxdp")
    agent.start()
    assert {row["xdp"] for row in agent.ctl("interface", "list")} == {"none"}
    lab.open_udp(lab.host())


def test_an_answer_without_a_program_is_no_success(lab, false_helper):
    false_helper(answer())
    agent = lab.start(xdp_mode="auto", xdp_dispatcher="libxdp")
    for row in agent.ctl("interface", "list"):
        assert row["xdp"] == "none" and "did not stay under libxdp's dispatcher" in row["xdp_reason"], row
    lab.open_udp(lab.host())


def test_a_helper_that_hangs_stops_the_agent_once_and_not_for_long(lab, false_helper):
    """15 s for the first question, for two interfaces together: far below the 60 s of the unit's watchdog."""
    helper = false_helper(None)
    agent = lab.prepare(xdp_mode="auto", xdp_dispatcher="libxdp")
    began = time.monotonic()
    agent.start()
    assert 14 < time.monotonic() - began
    for row in agent.ctl("interface", "list"):
        assert row["xdp"] == "none" and "did not answer within 15 seconds" in row["xdp_reason"], row
    assert len(helper.asked) == 1
    lab.open_udp(lab.host())
    # It is left alone for a minute, in which the agent tries again twice.
    asked_again = wait_for(lambda: len(helper.asked) > 1 and helper.asked, timeout=150, what="the agent to ask again")
    assert asked_again[1] - asked_again[0] > 60 and len(asked_again) == 2


def test_a_request_that_its_peer_has_given_up_is_not_performed(helper, netns):
    """As of an agent that has ended, or has chosen another way meanwhile."""
    helper.process.send_signal(signal.SIGSTOP)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(str(helper.path))
        s.sendmsg([request()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [netns]))])
    helper.process.send_signal(signal.SIGCONT)
    line = helper.process.stderr.readline().decode()
    assert line == "detnat-xdp: the answer cannot be sent: Broken pipe\n"


def load_dispatcher(lab, folder, name, version):
    """A dispatcher without programs, of this version of libxdp's protocol."""
    source = folder / "other.bpf.c"
    source.write_text(f"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/prog_dispatcher.h>
static volatile const struct xdp_dispatcher_config conf = {{ .magic = XDP_DISPATCHER_MAGIC, .dispatcher_version = {version} }};
SEC("xdp") int xdp_dispatcher(struct xdp_md *ctx) {{ return conf.num_progs_enabled ? XDP_ABORTED : XDP_PASS; }}
char _license[] SEC("license") = "GPL";
""")
    made = folder / "other.o"
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", f"-I/usr/include/{platform.machine()}-linux-gnu", "-c", source, "-o", made], check=True)
    lab.gateway.ip("link", "set", "dev", name, "xdpdrv", "obj", made, "sec", "xdp")


@pytest.mark.parametrize("mode", ["native", "auto"])
def test_a_dispatcher_of_another_protocol_is_left_alone(lab, helper, tmp_path, mode):
    load_dispatcher(lab, tmp_path, "in0", 3)
    link = lab.gateway.ip("-d", "link", "show", "in0")
    agent = lab.prepare(xdp_mode="none", interfaces={"inside": [{"name": "in0", "xdp_mode": mode, "xdp_dispatcher": "libxdp"}], "outside": ["out0"]})
    reason = "its dispatcher is of libxdp's protocol 3, and detnat-xdp's libxdp has 2"
    if mode == "native":
        result = agent.once("-t")
        assert result.status == 2 and reason in result.err and "xdp-loader unload" in result.err, result
    else:
        agent.start()
        row = {row["name"]: row for row in agent.ctl("interface", "list")}["in0"]
        assert row["xdp"] == "none" and reason in row["xdp_reason"], row
        lab.open_udp(lab.host())
    assert lab.gateway.ip("-d", "link", "show", "in0") == link


def test_a_program_without_a_dispatcher_is_named(lab, helper):
    attach_foreign_program(lab, "in0")
    result = lab.prepare(xdp_mode="native", xdp_dispatcher="libxdp").once("-t")
    assert result.status == 2 and 'in0: carries the XDP program "pass" (id ' in result.err, result
    assert "which is not under libxdp's dispatcher: take it off, and load it by xdp-loader" in result.err, result


def test_an_idle_connection_does_not_keep_others_waiting(helper, netns):
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(4)]
    for s in idle:
        s.connect(str(helper.path))
    assert helper.ask(request(), [netns])[0] == 0  # which waits for 30 s; the idle ones end by their alarm, at 12 s
    for s in idle:
        s.close()
