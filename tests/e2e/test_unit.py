# SPDX-License-Identifier: BSD-2-Clause
"""The systemd units: hardened, as systemd itself rates it (tests/vm runs them)."""

import re

import pytest

import isolation
import prometheus

UNITS = {  # and their highest exposure of 10 by systemd's rating
    "detnat.service": 2.2,  # 0.2 of it for clock_adjtime, which reads how right the clock is
    "detnat-guard.service": 2.0,
}


@pytest.fixture(params=UNITS)
def unit(request):
    return prometheus.TREE / "deploy" / request.param


def test_systemd_rates_the_exposure_as_low(run_directory, unit):
    result = isolation.run("systemd-analyze", "security", "--offline=true", "--threshold=100", "--no-pager", unit)
    exposure = re.search(rf"Overall exposure level for {unit.name}: ([0-9.]+)", result.stdout)[1]
    assert float(exposure) <= UNITS[unit.name]


@pytest.mark.parametrize("path", sorted((prometheus.TREE / "deploy").glob("*.service")), ids=lambda path: path.name)
def test_units_leave_no_core_files_and_give_no_directory_below_that_of_another_user(path):
    """systemd gives directories away as root, and the agent's user decides what a name in its own directory leads to."""
    text = path.read_text()
    assert "\nLimitCORE=0\n" in text
    assert not re.search(r"^(State|Runtime|Cache|Logs)Directory=.*/", text, re.M)
    assert not re.search(r"=/run/detnat/", (path.parent / "detnat-xdp.socket").read_text())


def test_systemd_finds_nothing_wrong_with_it(run_directory, unit):
    """It would report unknown settings and values; the programs are replaced, as they are not installed here."""
    text = re.sub(r"/usr/sbin/detnat-agent|/bin/kill", "/bin/true", unit.read_text())
    path = run_directory / unit.name
    path.write_text(text)
    result = isolation.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path, check=False)
    assert result.returncode == 0 and result.stderr == "", result
