# SPDX-License-Identifier: BSD-2-Clause
"""How the programs are built: hardened, and with nothing in them of where they were built."""

import os
import subprocess

import pytest

import isolation
import prometheus
from agent import AGENT, CTL


@pytest.mark.parametrize("program", [AGENT, CTL], ids=lambda path: path.name)
def test_programs_are_hardened(program):
    headers = isolation.run("readelf", "-W", "-h", "-l", "-d", "-s", program).stdout
    assert "DYN (Position-Independent Executable file)" in headers
    assert "GNU_RELRO" in headers and "BIND_NOW" in headers, "full RELRO"
    assert "__stack_chk_fail" in headers
    stack = next(line for line in headers.splitlines() if "GNU_STACK" in line)
    assert " RWE " not in stack


@pytest.mark.parametrize("program", [AGENT, CTL], ids=lambda path: path.name)
def test_programs_contain_no_build_path(program):
    """So that two builds in two directories are the same; the BPF objects in the agent have type and line information."""
    if any(path.stat().st_mtime < (prometheus.TREE / "Makefile").stat().st_mtime for path in program.parent.rglob("*.o")):
        pytest.skip("objects are older than the Makefile: make clean, and build again")
    assert str(prometheus.TREE).encode() not in program.read_bytes()


def test_install_puts_things_where_packagers_say(run_directory):
    """A unit starts the agent from where it was installed; uninstall leaves no file behind."""
    options = ["SBINDIR=/opt/detnat/sbin", "BINDIR=/opt/detnat/bin", "UNITDIR=/etc/systemd/system", "MANDIR=/opt/man"]
    make = ["make", "-s", "-C", prometheus.TREE, "-o", "all", f"BUILD={AGENT.parent}", f"DESTDIR={run_directory}/root", *options]
    isolation.run(*make, "install")
    root = run_directory / "root"
    for path in ("opt/detnat/sbin/detnat-agent", "opt/detnat/bin/detnatctl", "opt/man/man8/detnat-agent.8", "opt/man/man5/detnat.json.5",
                 "opt/man/man7/detnat.7"):
        assert (root / path).exists(), path
    unit = (root / "etc/systemd/system/detnat.service").read_text()
    assert "ExecStart=/opt/detnat/sbin/detnat-agent " in unit and "/usr/sbin" not in unit
    assert list(root.glob("**/doc/detnat/OPERATING.md")), "the manual pages name it"
    isolation.run(*make, "uninstall")
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


def test_the_debian_package_has_what_make_install_puts(run_directory):
    """The units are links in debian/, as debhelper knows where a release has them; every other file is listed."""
    root = run_directory / "root"
    isolation.run("make", "-s", "-C", prometheus.TREE, "-o", "all", f"BUILD={AGENT.parent}", f"DESTDIR={root}", "install")
    debian = prometheus.TREE / "debian"
    listed = (debian / "detnat.install").read_text().split()
    linked = {path.resolve() for path in debian.iterdir() if path.is_symlink()}
    for path in (path.relative_to(root) for path in root.rglob("*") if not path.is_dir()):
        if path.parent.name == "system":
            assert prometheus.TREE / "deploy" / path.name in linked, f"no link to {path.name} in debian/"
        else:
            assert any(path.is_relative_to(folder) for folder in listed), f"{path} is not in debian/detnat.install"


def test_ip_names_the_protocol_of_pool_routes(run_directory):
    shown = isolation.run(
        "unshare", "--net", "--mount", "sh", "-ec",
        f"""mount -t tmpfs names /etc/iproute2
            mkdir /etc/iproute2/rt_protos.d
            cp {prometheus.TREE}/deploy/rt_protos.conf /etc/iproute2/rt_protos.d/detnat.conf
            ip link set lo up
            ip route add blackhole 192.0.2.0/24 proto 215
            ip route show""",
    ).stdout
    assert shown.strip() == "blackhole 192.0.2.0/24 proto detnat"


def test_make_names_the_packages_of_what_is_missing_and_installs_nothing(run_directory):
    result = isolation.run("make", "-C", prometheus.TREE, "CLANG=no-such-clang", f"BUILD={run_directory}/build", check=False)
    assert result.returncode == 2
    assert "as Debian names the packages: clang\n" in result.stderr and "'make deps'" in result.stderr
    assert not (run_directory / "build").exists()


@pytest.mark.parametrize("target", ["test", "demo", "test-rest", "test-clang"])
def test_a_target_that_needs_root_says_so_first(target, tmp_path):
    """And then does nothing: make itself, which all that it would build goes through, is no program here."""
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    make = ["make", "-s", "-C", prometheus.TREE, "-o", "deps-test", "-o", "deps-demo", "MAKE=true", f"BUILD={tmp_path}", target]
    result = subprocess.run(make, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2 and f"{target}: needs root" in result.stderr and f"sudo make {target}" in result.stderr, result


@pytest.mark.parametrize("argument, fatal", [("CI=", False), ("CI=true", True), ("WERROR=1", True)])
def test_warnings_are_errors_for_ci_alone(argument, fatal, tmp_path):
    env = {"PATH": os.environ["PATH"]}
    objects = [f"{tmp_path}/lib/base/error.o", f"{tmp_path}/skel/detnat_watch.bpf.o"]
    make = ["make", "-n", "-C", prometheus.TREE, f"BUILD={tmp_path}", argument, *objects]
    commands = [line for line in subprocess.run(make, env=env, capture_output=True, text=True, check=True).stdout.splitlines() if " -Wextra" in line]
    assert len(commands) == 2 and all((" -Werror" in line) == fatal for line in commands), commands
