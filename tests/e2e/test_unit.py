# SPDX-License-Identifier: BSD-2-Clause
"""The systemd units: hardened, as systemd itself rates it (tests/vm runs them)."""

import re

import pytest

import isolation
import prometheus

UNITS = {  # and their highest exposure of 10 by systemd's rating: the guard's unit runs as root, possibly before users exist
    "detnat.service": 2.0,
    "detnat-guard.service": 2.5,
}


@pytest.fixture(params=UNITS)
def unit(request):
    return prometheus.TREE / "deploy" / request.param


def test_systemd_rates_the_exposure_as_low(run_directory, unit):
    result = isolation.run("systemd-analyze", "security", "--offline=true", "--threshold=100", "--no-pager", unit)
    exposure = re.search(rf"Overall exposure level for {unit.name}: ([0-9.]+)", result.stdout)[1]
    assert float(exposure) <= UNITS[unit.name]


def test_systemd_finds_nothing_wrong_with_it(run_directory, unit):
    """It would report unknown settings and values; the programs are replaced, as they are not installed here."""
    text = re.sub(r"/usr/sbin/detnat-agent|/bin/kill", "/bin/true", unit.read_text())
    path = run_directory / unit.name
    path.write_text(text)
    result = isolation.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path, check=False)
    assert result.returncode == 0 and result.stderr == "", result
