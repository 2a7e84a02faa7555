# SPDX-License-Identifier: BSD-2-Clause
"""The agent as an unprivileged user with four capabilities: everything works with these alone."""

import os
import pathlib
import socket

import pytest

import isolation
from agent import wait_for
from lab import Lab

UID = 4711
CAPABILITIES = ("bpf", "net_admin", "net_raw", "perfmon")
# Their bits, as /proc/PID/status shows them: CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_PERFMON 38, CAP_BPF 39.
MASK = 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39
OTHER = ("10.99.0.0/24", "9.9.9.0/28")


def as_user(capabilities=CAPABILITIES):
    """A command that starts a program as detnat.service does: an ordinary user, ambient capabilities, no way to get others."""
    these = "-all" + "".join(f",+{c}" for c in capabilities)
    return ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs", f"--inh-caps={these}",
            f"--ambient-caps={these}", f"--bounding-set={these}")


def prepared(it, capabilities=CAPABILITIES, **config):
    """An agent that will run like that, with its own directories."""
    agent = it.prepare(**config)
    agent.prefix = as_user(capabilities)
    for path in (agent.directory, agent.pins):
        os.chown(path, UID, UID)
    return agent


@pytest.fixture
def accounts(run_directory):
    """The user detnat, in a copy of /etc/passwd that only this test run sees."""
    path = run_directory / "passwd"
    path.write_text(pathlib.Path("/etc/passwd").read_text() + f"detnat:x:{UID}:{UID}::/:/usr/sbin/nologin\n")
    path.chmod(0o644)
    isolation.run("mount", "--bind", path, "/etc/passwd")
    yield
    isolation.unmount("/etc/passwd")


@pytest.fixture(scope="module")
def gateway(run_directory):
    it = Lab(run_directory)
    try:
        prepared(it, metrics={"listen": "127.0.0.1:9469"}).start()
        yield it
    finally:
        it.close()


def capabilities(process):
    """The capability sets of every thread, that of the event loop first."""
    for status in sorted(pathlib.Path(f"/proc/{process.pid}/task").glob("*/status"), key=lambda path: int(path.parent.name)):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        yield {name: int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}


def assert_alone(process):
    """A thread of the start, such as one that loads the programs, may be at its end, and is there until it is."""

    def others_are():
        first, *others = capabilities(process)
        assert first == {"CapEff": MASK, "CapPrm": MASK, "CapInh": 0, "CapAmb": 0}
        return all(mask & ~MASK == 0 for sets in others for mask in sets.values())

    wait_for(others_are, what="the end of threads with other capabilities")


def test_the_agent_has_only_these_capabilities(gateway):
    assert_alone(gateway.agent.process)


def test_an_agent_started_by_root_drops_all_other_capabilities(running_lab):
    assert_alone(running_lab.agent.process)
    status = pathlib.Path(f"/proc/{running_lab.agent.process.pid}/status").read_text()
    assert "CapBnd:\t0000000000000000\n" in status and "NoNewPrivs:\t1\n" in status


def test_the_thread_that_records_leases_has_no_other_capabilities_either(lab):
    agent = lab.start(leases=[{"type": "dnsmasq", "path": str(lab.directory / "leases")}])
    wait_for(lambda: (agent.state / "chain.head").exists(), what="a line of leases")
    assert len(list(capabilities(agent.process))) > 1
    assert_alone(agent.process)


@pytest.mark.parametrize("missing", CAPABILITIES)
def test_a_missing_capability_is_named_at_the_start(lab, missing):
    agent = prepared(lab, [c for c in CAPABILITIES if c != missing])
    result = agent.once()
    assert result.status == 2
    assert f"capabilities are missing: CAP_{missing.upper()}; start the agent as root or by detnat.service" in result.err
    assert not list(agent.pins.glob("v*"))


def test_the_user_may_change_between_runs_and_sessions_stay(lab, accounts):
    """root, then the agent's user, for whom root prepares, then root again."""
    agent = lab.start(leases=[{"type": "dnsmasq", "path": str(lab.directory / "leases")}])
    wait_for(lambda: (agent.state / "chain.head").exists(), what="a line of leases")
    host = lab.host()
    src = lab.open_udp(host)
    agent.stop()
    result = agent.once("--prepare")
    assert result.status == 0, result
    agent.directory.chmod(0o777 | 0o1000)
    for prefix in (as_user(), ()):
        agent.prefix = prefix
        agent.start()
        assert lab.session(host)["out_port"] == src[1]
        agent.ctl("mapping", "add", *OTHER)
        agent.ctl("mapping", "del", *OTHER)
        agent.ctl("reload")
        lab.open_udp(lab.host())
        agent.stop()
    agent.detach()
    assert sum('"event":"begin"' in line for path in agent.state.glob("leases-*.jsonl") for line in path.read_text().splitlines()) == 3


def test_prepare_lets_the_agent_through_to_its_pins_and_touches_nothing_else(lab, accounts):
    agent = lab.prepare(pin_path=str(lab.directory / "agent1" / "bpf" / "detnat"))
    agent.pins.chmod(0o700)
    (agent.pins / "others").mkdir(0o700)
    assert agent.once("--prepare").status == 0
    assert agent.pins.stat().st_mode & 0o777 == 0o711 and agent.pins.stat().st_uid == 0
    assert (agent.pins / "others").stat().st_uid == 0
    assert ((agent.pins / "detnat").stat().st_uid, (agent.pins / "detnat").stat().st_mode & 0o777) == (UID, 0o700)
    assert agent.state.stat().st_uid == UID


def by_agents_user(*command):
    """What code that runs as user detnat can do, without any capability."""
    isolation.run("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", *command)


@pytest.fixture
def victim(lab):
    """A directory of root's, and what it must be after everything."""
    lab.directory.chmod(0o755)
    path = lab.directory / "victim"
    path.mkdir(0o755)
    for name in ("shadow", "empty"):
        (path / name).write_text("precious" if name == "shadow" else "")
        (path / name).chmod(0o600)
    yield path
    assert sorted(p.name for p in path.iterdir()) == ["empty", "shadow"] and (path / "shadow").read_text() == "precious"
    for file in (path, path / "shadow", path / "empty"):
        assert file.stat().st_uid == 0 and file.stat().st_mode & 0o7777 == (0o755 if file == path else 0o600), file
    assert (path / "empty").stat().st_size == 0


def test_root_follows_nothing_that_the_agents_user_puts_among_the_pins(lab, accounts, victim):
    agent = lab.prepare(pin_path=str(lab.directory / "agent1" / "bpf" / "detnat"))
    pins = agent.pins / "detnat"
    assert agent.once("--prepare").status == 0
    by_agents_user("ln", "-s", victim, pins / "v1")
    by_agents_user("mkdir", pins / "v2")
    by_agents_user("ln", "-s", victim / "shadow", pins / "v2" / "mappings")
    by_agents_user("mkdir", pins / "v3")
    by_agents_user("ln", "-s", "../v1", pins / "v3" / "v9")
    (agent.pins / "others").mkdir(0o700)
    others = agent.pins / "others" / "map"
    isolation.run("bpftool", "map", "create", others, "type", "array", "key", "4", "value", "8", "entries", "1", "name", "others")
    os.link(others, pins / "v3" / "devices")
    for _ in range(2):
        assert agent.once("--prepare").status == 0
    assert others.stat().st_uid == 0
    # Root's own start takes the pins over, and so goes no further than what it cannot trust.
    result = agent.once()
    assert result.status == 1 and "which detnat has not made there; remove it" in result.err, result
    result = agent.once("--detach")
    assert result.status == 0, result
    assert not pins.exists() and others.stat().st_nlink == 1


def test_prepare_gives_no_directory_with_pins_of_others(lab, accounts, victim):
    agent = lab.prepare(pin_path=str(lab.directory / "agent1" / "bpf" / "shared"))
    (agent.pins / "shared" / "theirs").mkdir(parents=True)
    result = agent.once("--prepare")
    assert result.status == 1 and "shared holds theirs, which is not detnat's" in result.err, result
    assert (agent.pins / "shared").stat().st_uid == 0


def test_root_follows_nothing_that_the_agents_user_puts_in_the_state_directory(lab, accounts, victim):
    agent = lab.prepare()
    assert agent.once("--prepare").status == 0 and agent.state.stat().st_uid == UID
    by_agents_user("ln", "-s", victim / "shadow", agent.state / "history.head")
    os.link(victim / "empty", agent.state / "history.jsonl")
    os.link(victim / "shadow", agent.state / "chain.head")
    os.link(victim / "empty", agent.state / "chain.jsonl")
    assert agent.once("--prepare").status == 0
    agent.once("--detach")
    leases = lab.directory / "leases.csv"
    leases.write_text("from,to,addr,name\n2026-01-31T10:00:00Z,2026-01-31T11:00:00Z,10.0.0.9,alice\n")
    result = agent.command("leases", "import", "csv", leases, "--state-dir", agent.state)
    assert result.status != 0, result
    (agent.state / "history.head").unlink()
    result = agent.once()
    assert result.status == 1 and "with other names (hard links)" in result.err, result


def test_root_makes_nothing_below_a_directory_of_the_agents_user(lab, accounts, victim):
    agent = lab.prepare(state_dir=str(lab.directory / "agent1" / "state" / "below"))
    agent.state.mkdir(0o750)
    os.chown(agent.state, UID, UID)
    result = agent.once("--prepare")
    assert result.status == 0 and "where root makes and uses nothing" in result.err, result
    assert not list(agent.state.iterdir())
    by_agents_user("ln", "-s", victim, agent.state / "below")
    result = agent.once("--prepare")
    assert result.status == 0 and not list(agent.state.glob("below/*.jsonl"))


def test_root_reads_no_configuration_that_the_agents_user_can_change(lab, accounts):
    agent = lab.prepare()
    os.chown(agent.path, UID, UID)
    for options in (("-t",), ("--detach",), ()):
        result = agent.once(*options)
        assert result.status == 2 and "can be changed by the agent's user" in result.err, result
    result = agent.once("--prepare")
    assert "nothing is prepared for the agent: " in result.err and agent.pins.stat().st_uid == 0, result


def test_prepare_waits_for_no_other_agent(lab, accounts):
    lab.start()
    result = lab.agent.once("--prepare")
    assert result.status == 1 and "another agent runs on these pins" in result.err
    assert lab.agent.pins.stat().st_uid == 0


def test_prepare_without_the_user_names_the_command_that_creates_it(lab):
    result = lab.prepare().once("--prepare")
    assert result.status == 1 and "there is no user detnat; `systemd-sysusers` makes it" in result.err


# A command that changes the running datapath, and one that reverts the change.
CHANGES = [
    (("mapping", "add", *OTHER), ("mapping", "del", *OTHER)),
    (("interface", "del", "out0", "outside"), ("interface", "add", "out0", "outside")),
    (("interface", "del", "in0", "inside"), ("interface", "add", "in0", "inside")),
    (("timeouts", "set", "udp=77"), ("timeouts", "reset")),
    (("trace", "start"), ("trace", "stop")),
    (("ipfix", "set", "collector=198.51.100.7:4739"), ("ipfix", "disable")),
    (("reload",), ("reload",)),
]


@pytest.mark.parametrize("there,back", CHANGES, ids=lambda words: " ".join(words[:2]))
def test_every_change_works_and_traffic_flows_thereafter(gateway, there, back):
    gateway.agent.ctl(*there)
    gateway.agent.ctl(*back)
    gateway.settle()
    gateway.open_udp(gateway.host())


def test_traces_show_packets(gateway):
    host = gateway.host()
    gateway.agent.ctl("trace", "start", "--in", host.addr, "--count", "1")
    gateway.open_udp(host)
    wait_for(lambda: not gateway.agent.ctl("status")["tracing"], what="the trace to have its packet")
    assert len(gateway.agent.ctl("trace", "show")) == 1
    gateway.agent.ctl("trace", "stop")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_sessions_outlive_the_agent(gateway, end):
    host = gateway.host()
    gateway.agent.ctl("mapping", "add", *OTHER)
    src = gateway.open_udp(host)
    getattr(gateway.agent, end)()
    gateway.agent.start()
    assert gateway.session(host)["out_port"] == src[1]
    assert [m["in"] for m in gateway.agent.ctl("mapping", "list")] == ["10.0.0.0/18", OTHER[0]]
    gateway.agent.ctl("mapping", "del", *OTHER)
    gateway.open_udp(host)


def test_a_start_after_a_kill_during_a_trace_restores_the_normal_programs(gateway):
    gateway.agent.ctl("trace", "start")
    gateway.agent.kill()
    gateway.agent.start()
    assert not gateway.agent.ctl("status")["tracing"]
    assert "error" not in gateway.agent.log_text()
    gateway.open_udp(gateway.host())


def test_detach_leaves_nothing(lab):
    agent = prepared(lab).start()
    lab.open_udp(lab.host())
    agent.stop()
    agent.detach()
    assert not list(agent.pins.glob("v*"))
    for device in ("in0", "out0"):
        assert "xdp" not in lab.gateway.ip("link", "show", device)


def test_on_exit_detach_leaves_nothing(lab):
    agent = prepared(lab, on_exit="detach").start()
    agent.stop()
    assert not list(agent.pins.glob("v*"))


def test_no_other_program_can_take_a_port_held_by_the_service_manager(lab):
    """detnat-metrics.socket: the port is reserved before the agent starts and while it is down."""
    with isolation.inside(lab.gateway.path):
        held = socket.create_server(("127.0.0.1", 9469))
    agent = lab.prepare(metrics={})
    # The process that is executed has the descriptor as its third, and its own number in LISTEN_PID.
    agent.prefix = ("bash", "-c", f'exec 3<&{held.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh")
    agent.inherited = (held.fileno(),)
    for _ in range(2):
        agent.start()
        assert "detnat_build_info" in lab.gateway.run("curl", "-s", "http://127.0.0.1:9469/metrics").stdout
        squatter = "import socket; socket.create_server(('127.0.0.1', 9469))"
        assert "Address already in use" in lab.gateway.run("/usr/bin/python3", "-c", squatter, check=False).stderr
        agent.stop()
        assert "Address already in use" in lab.gateway.run("/usr/bin/python3", "-c", squatter, check=False).stderr
    held.close()


@pytest.mark.parametrize("method,path", [("POST", "/metrics"), ("PUT", "/metrics"), ("DELETE", "/metrics"),
                                         ("GET", "/"), ("GET", "/reload"), ("GET", "/-/reload"), ("GET", "/metrics/../reload")])
def test_the_metrics_port_has_one_page_and_changes_nothing(gateway, method, path):
    code = gateway.gateway.run("curl", "-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, f"http://127.0.0.1:9469{path}").stdout
    assert code in ("404", "405")


def chunk_pins(agent):
    return sorted(path.name for path in agent.pins.glob("v*/*") if path.name.startswith(("subscriber_", "bucket_")))


def test_pins_of_tables_come_and_go_with_them_and_leftovers_of_a_kill_are_removed(lab):
    agent = prepared(lab).start()
    before = chunk_pins(agent)
    assert before, "a mapping has tables"
    large = ("10.128.0.0/16", "7.0.0.0/22")
    agent.ctl("mapping", "add", *large)
    assert len(chunk_pins(agent)) > len(before)
    agent.ctl("mapping", "del", *large)
    wait_for(lambda: chunk_pins(agent) == before, what="the pins of the tables to go")
    agent.kill()
    stray = next(agent.pins.glob("v*")) / "bucket_777"
    isolation.run("bpftool", "map", "create", stray, "type", "array", "key", "4", "value", "8", "entries", "1", "name", "stray")
    os.chown(stray, UID, UID)
    agent.start()
    assert chunk_pins(agent) == before
    lab.open_udp(lab.host())
