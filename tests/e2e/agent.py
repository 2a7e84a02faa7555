# SPDX-License-Identifier: BSD-2-Clause
"""detnat-agent and detnatctl as processes, run from the build directory in $BUILD."""

import json
import os
import pathlib
import re
import select
import shlex
import signal
import subprocess
import time

import isolation

BUILD = pathlib.Path(os.environ.get("BUILD") or pathlib.Path(__file__).parents[2] / "build").resolve()
AGENT = BUILD / "detnat-agent"
CTL = BUILD / "detnatctl"

# A command that runs the programs, such as valgrind; set by conftest.py.
wrapper = []

# Reports of sanitizers and valgrind.
_REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|^==\d+==", re.MULTILINE)

START_PATIENCE = 60
PATIENCE = 20
# A sanitized agent looks for leaks when it ends, on a busy machine for half a minute.
END_PATIENCE = 60


def is_sanitized(program):
    """Whether AddressSanitizer's memory comes on top of the program's own."""
    return b"libasan" in program.read_bytes()


def assert_no_report(text, what):
    assert not _REPORT.search(text), f"{what} was reported by the checker:\n{text}"


def wait_for(condition, timeout=PATIENCE, what="condition", interval=0.01):
    """Waits until condition() is true and returns what it returned."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"waited {timeout} s in vain: {what}"
        time.sleep(interval)


class Result:
    """How a program ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"exit {self.status}\nstdout: {self.out}\nstderr: {self.err}"


def execute(*command, namespace=None, timeout=PATIENCE * 3, **options):
    """Runs one of the programs to its end."""
    command = [*wrapper, *(str(c) for c in command)]
    popen = namespace.popen if namespace else isolation.popen
    process = popen(*command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    assert_no_report(err, shlex.join(command))
    assert process.returncode >= 0, f"{shlex.join(command)} died of signal {-process.returncode}\n{err}"
    return Result(process.returncode, out, err)


class Agent:
    """An agent in a namespace, with files of its own in `directory`."""

    def __init__(self, namespace, directory, config):
        self.namespace = namespace
        self.directory = directory
        directory.mkdir()
        self.path = directory / "detnat.json"
        self.socket = directory / "agent.sock"
        self.pins = directory / "bpf"
        self.log = directory / "agent.log"
        self.state = directory / "state"
        self.pins.mkdir()
        isolation.mount(b"bpf", self.pins)
        isolation.mount(None, self.pins, 1 << 20)
        self.process = None
        self.prefix = ()  # a command that runs the daemon, for instance as another user
        self.inherited = ()  # descriptors passed to it
        self.config = {
            "control_socket": str(self.socket),
            "pin_path": str(self.pins),
            "state_dir": str(self.state),
            **({"stages": int(os.environ["STAGES"])} if "STAGES" in os.environ else {}),
            "xdp_mode": os.environ.get("XDP_MODE", "native"),  # "auto" has tc send on a veth
            **config,
        }
        self.write()

    # ---- configuration

    def without_xdp(self):
        """The mode of the environment where a test has the kernel forward: without XDP, too, but nothing sends by itself."""
        by_kernel = os.environ.get("XDP_MODE") == self.config.get("xdp_mode") == "tc" and self.config.get("forwarding") == "kernel"
        return {"xdp_mode": "none"} if by_kernel else {}

    def write(self, **changes):
        """Writes the configuration file; a value of None removes the key."""
        self.config.update(changes)
        self.config = {k: v for k, v in self.config.items() if v is not None}
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({**self.config, **self.without_xdp()}, indent=1))
        new.rename(self.path)

    # ---- life

    def launch(self, *options, **environment):
        """Starts the process and does not wait for anything."""
        assert self.process is None
        with open(self.log, "ab") as log:
            self.process = self.namespace.popen(
                *wrapper, *self.prefix, AGENT, "-c", self.path, *options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, **environment}, pass_fds=self.inherited,
            )

    def start(self, *options, **environment):
        """Starts the agent and waits for its `ready`."""
        self.launch(*options, **environment)
        line = self.first_line()
        assert line is not None and line.endswith("ready"), f"said {line!r}, not ready\n{self.log_end()}"
        return self

    def first_line(self, timeout=None):
        """The first line on stdout, or None if the process ended without one."""
        timeout = timeout or START_PATIENCE  # which the world sets
        end = time.monotonic() + timeout
        text = b""
        out = self.process.stdout.fileno()
        while b"\n" not in text:
            readable, _, _ = select.select([out], [], [], max(end - time.monotonic(), 0))
            assert readable, f"no line on stdout in {timeout} s\n{self.log_end()}"
            piece = os.read(out, 4096)
            if not piece:
                return None
            text += piece
        return text.decode().split("\n", 1)[0]

    def running(self):
        return self.process is not None and self.process.poll() is None

    def end(self, how=signal.SIGTERM, timeout=END_PATIENCE):
        """Sends a signal, waits for the end and returns the exit status."""
        self.process.send_signal(how)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {timeout} s of {how!r}\n{self.log_end()}") from None
        self.process.stdout.close()
        self.process = None
        assert_no_report(self.log_text(), "the agent")
        return status

    def stop(self):
        status = self.end()
        assert status == 0, f"exit {status}\n{self.log_end()}"

    def kill(self):
        self.end(signal.SIGKILL)

    def restart(self):
        self.stop()
        return self.start()

    def hang_up(self):
        """SIGHUP: reload."""
        self.process.send_signal(signal.SIGHUP)

    def dispose(self):
        """Ends everything; the last thing a fixture does with it."""
        try:
            if self.process is not None:
                alive = self.process.poll() is None
                status = self.end() if alive else self.process.returncode
                assert alive, f"the agent died: exit {status}\n{self.log_end()}"
                assert status == 0, f"the agent ended with {status}\n{self.log_end()}"
        finally:
            isolation.unmount(self.pins)

    def check(self):
        """`detnatctl check` finds nothing wrong with the tables; changes of interfaces and routes by the test do not count."""
        # Not if the socket has moved, belongs to another agent, or to one that is not ready.
        if self.running() and self.socket.exists() and (found := self.command("-j", "check")).status in (0, 1) and found.out:
            findings = [f for f in json.loads(found.out)["findings"] if f["what"] not in ("device", "program", "route")]
            assert not findings, f"{findings}\n{self.log_end()}"

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_end(self):
        """For messages: the first lines and the last of a log that may be long."""
        lines = self.log_text().splitlines()
        return "\n".join(lines if len(lines) <= 60 else [*lines[:20], "...", *lines[-40:]])

    # ---- other runs of the daemon

    def once(self, *options):
        """A run of detnat-agent that ends by itself: -t, --detach, or a start that is refused."""
        return execute(*self.prefix, AGENT, *options, "-c", self.path, namespace=self.namespace)

    def detach(self):
        result = self.once("--detach")
        assert result.status == 0, result

    # ---- the guard's table

    def guard_table(self):
        """Its name: after a hash of the pin path (FNV-1a)."""
        number = 0x811C9DC5
        for octet in str(self.pins).encode():
            number = (number ^ octet) * 0x01000193 % 2**32
        return f"detnat-{number:08x}"

    def unowned_guard(self):
        """For nft: an empty table without an owner, which the agent adopts."""
        comment = f"detnat-agent's guard for {str(self.pins)[:64]}; what others change is undone"
        return f'table inet {self.guard_table()} {{ comment "{comment}"; }}'

    # ---- detnatctl

    def command(self, *arguments):
        """detnatctl with these arguments; a Result."""
        return execute(CTL, "-s", self.socket, *arguments)

    def ctl(self, *arguments):
        """detnatctl -j; the document it printed."""
        result = self.command("-j", *arguments)
        assert result.status == 0 and result.err == "", f"detnatctl {arguments}: {result}"
        return json.loads(result.out)

    def text(self, *arguments):
        """detnatctl; the text it printed."""
        result = self.command(*arguments)
        assert result.status == 0 and result.err == "", f"detnatctl {arguments}: {result}"
        return result.out

    def refused(self, *arguments, status=1):
        """detnatctl ends with this status and explains why on stderr, equally with and without -j; returns the message."""
        for options in ((), ("-j",)):
            result = self.command(*options, *arguments)
            assert result.status == status, f"detnatctl {options} {arguments}: {result}"
            assert result.out == "", result
            assert result.err.startswith("detnatctl: ") and result.err.endswith("\n"), result
        return result.err

    def counters(self):
        return self.ctl("stats")["counters"]
