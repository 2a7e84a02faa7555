# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures: isolation of the run, a lab for each test or module, all forwarding modes."""

import os
import pathlib
import shlex
import shutil
import signal

import pytest

import agent
import isolation
import lab as lab_module
import stability
from gateways import Gateways
from lab64 import Lab64
from xdp_mode import MODE, WITHOUT, XDP

# valgrind does not know that bpf(2) fills memory, so undefined values are not checked.
VALGRIND = ("valgrind -q --undef-value-errors=no --error-exitcode=99 --leak-check=full --show-leak-kinds=definite "
            "--errors-for-leak-kinds=definite "
            f"--suppressions={pathlib.Path(__file__).parent / 'valgrind.supp'}")

# Paths through the gateway: forwarded by XDP, by tc or by the kernel, in native or generic XDP, or without XDP. Each way
# to forward and each kind of XDP once; with E2E_MODES=all, every way with every kind.
MODES = [("redirect", "native"), ("kernel", "skb"), ("redirect", "none"), ("redirect", "tc")]
if os.environ.get("E2E_MODES") == "all":
    MODES += [("redirect", "skb"), ("kernel", "native")]
if WITHOUT:
    MODES = [("redirect", XDP)]


def share(text):
    """(K - 1, N) of "K/N"; argparse reports a ValueError."""
    part, parts = map(int, text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(text)
    return part - 1, parts


def pytest_addoption(parser):
    parser.addoption("--valgrind", action="store_true", help="run the agent and detnatctl under valgrind")
    parser.addoption("--share", type=share, metavar="K/N", help="only every N-th module, from the K-th on, 1/6 to 6/6 for instance")


def _terminate(number, frame):
    raise KeyboardInterrupt(f"signal {number}")


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests make network namespaces and need root", 2)
    for program in (agent.AGENT, agent.CTL):
        if not program.exists():
            pytest.exit(f"{program} is missing; build it first (make), or set BUILD", 2)
    if config.getoption("--valgrind"):
        agent.wrapper[:] = shlex.split(VALGRIND)
    # A shell starts what runs in the background with SIGINT ignored, and programs under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, _terminate)
    # With -n (pytest-xdist) the tests run in workers, each isolated.
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return
    isolation.remove_dead_runs()
    config.run_directory = isolation.RUNS / f"detnat-e2e.{os.getpid()}"
    isolation.enter(config.run_directory)


# Files that take longest: begun first, so that at the end no worker is left with one of them.
LONG = ("test_layouts", "test_check", "test_kills", "test_pcp", "test_bypass", "test_guard", "test_fragments", "test_unsolicited",
        "test_stages", "test_ctl_monitor", "test_history", "test_restart", "test_renames", "test_troubles", "test_portmaps",
        "test_bindings", "test_fib_followed", "test_privileges", "test_routing_upgrade", "test_routing_pair", "test_routing_many")


def _starts_agents(item):
    """Whether the test itself, or a fixture that it shares with no other, has a place for an agent."""
    definitions = item._fixtureinfo.name2fixturedefs
    return "run_directory" in item._fixtureinfo.argnames or any(
        found[-1].scope == "function" and "run_directory" in found[-1].argnames for found in definitions.values())


def _shares_agents(item):
    """Whether a fixture that tests of a file share has a place for an agent."""
    return any(found[-1].scope == "module" and "run_directory" in found[-1].argnames
               for found in item._fixtureinfo.name2fixturedefs.values())


def _mark_slow(items):
    """
    A start of an agent is a second of a processor, so `make test` has one of each file: the one that tests share or, in
    a file where none is shared, that of the first test. The others that start agents of their own are slow, and so are
    those of another path through the gateway than the first. `make test-rest` runs all of them.
    """
    begun = {item.path: [None] for item in items if _shares_agents(item) and not item.get_closest_marker("slow")}
    for item in items:
        if hasattr(item, "callspec") and item.callspec.params.get("mode", MODES[0]) != MODES[0]:
            item.add_marker(pytest.mark.slow)
        if _starts_agents(item) and not item.get_closest_marker("long"):
            names = begun.setdefault(item.path, [])
            if names:
                item.add_marker(pytest.mark.slow)
            else:
                names.append(item.originalname)


def _keep_share(config, items):
    first, step = config.getoption("--share") or (0, 1)
    kept = set(sorted({item.path for item in items})[first::step])
    config.hook.pytest_deselected(items=[item for item in items if item.path not in kept])
    items[:] = [item for item in items if item.path in kept]


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config, items):
    _mark_slow(items)
    _keep_share(config, items)
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


def pytest_unconfigure(config):
    directory = getattr(config, "run_directory", None)
    if directory is not None:
        isolation.unmount(directory)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows the end of its agent's log."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for value in item.funcargs.values():
            if isinstance(value, lab_module.Lab) and value.agent:
                report.sections.append(("detnat-agent", value.agent.log_end()))


@pytest.fixture(scope="module")
def rich(run_directory):
    """A gateway with something of everything that commands show."""
    it = stability.Rich(run_directory)
    try:
        yield it
    finally:
        it.lab.close()


@pytest.fixture(scope="session")
def run_directory(request):
    return request.config.run_directory


@pytest.fixture(scope="module", params=MODES, ids=lambda m: "-".join(m))
def mode(request):
    """(forwarding, xdp_mode) as configuration keys; a test that uses it runs once for each."""
    return {"forwarding": request.param[0], "xdp_mode": request.param[1]}


@pytest.fixture
def lab(run_directory, request):
    """
    A lab of the test's own, without an agent yet. Its packets take one stage, which halves a start, unless the
    environment or the test's module (`STAGES = "auto"`) says otherwise; in labs that tests share the agent chooses. XDP is
    native, unless the environment or the module (`XDP_MODE = "auto"`) says otherwise. The module may have another kind of
    lab (`LAB = Lab64`).
    """
    stages = getattr(request.module, "STAGES", 1)
    config = {} if stages == "auto" or "STAGES" in os.environ else {"stages": stages}
    if "XDP_MODE" not in os.environ and hasattr(request.module, "XDP_MODE"):
        config["xdp_mode"] = request.module.XDP_MODE
    it = getattr(request.module, "LAB", lab_module.Lab)(run_directory, **config)
    try:
        yield it
    finally:
        it.close()


@pytest.fixture(params=(MODE,) if WITHOUT else ("native", "tc"))
def lab64_by_mode(run_directory, request):
    """A lab of the test's own with IPv6 subscribers, by XDP and by tc that sends, without an agent yet."""
    it = Lab64(run_directory, xdp_mode=request.param)
    try:
        yield it
    finally:
        it.close()


@pytest.fixture(scope="module")
def running_lab(run_directory):
    """A lab with a running agent, shared by the tests of a module; each uses its own hosts."""
    it = lab_module.Lab(run_directory)
    try:
        it.start()
        yield it
    finally:
        it.close()


@pytest.fixture(scope="module")
def mode_lab(run_directory, mode):
    """The same, once for each mode."""
    it = lab_module.Lab(run_directory)
    try:
        it.start(**mode)
        yield it
    finally:
        it.close()


@pytest.fixture(scope="module")
def small_quota_lab(run_directory):
    """A running lab with a quota of two sessions, shared by the tests of a module."""
    it = lab_module.Lab(run_directory)
    try:
        it.start(sessions_per_user=2)
        yield it
    finally:
        it.close()


@pytest.fixture
def gateways(run_directory):
    """Two gateways that copy sessions to each other, not started yet."""
    it = Gateways(run_directory)
    try:
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def clean_wires(request):
    """Discards what an earlier test left on the wires of a shared lab."""
    for name in ("running_lab", "mode_lab"):
        if name in request.fixturenames:
            shared = request.getfixturevalue(name)
            shared.inside.clear()
            shared.outside.clear()
