# SPDX-License-Identifier: BSD-2-Clause
"""
docs/guide/ROUTING.md, a VRF: its files, as far as they can be read where the kernel has no VRF. tests/vm/routing.sh
runs them.
"""

import os

import pytest

import isolation
import routers


@pytest.mark.parametrize("example", ["vrf"])
def test_bird_reads_its_file(example):
    isolation.run(routers.program("usr/sbin/bird"), "-p", "-c", routers.EXAMPLES / example / "bird.conf")


@pytest.mark.parametrize("example", ["vrf"])
def test_frr_reads_its_file(example, tmp_path):
    libraries = [str(path) for path in routers.UNPACKED.glob("usr/lib/*/frr")]
    isolation.run(routers.program("usr/bin/vtysh"), "--dryrun", "--inputfile", routers.EXAMPLES / example / "frr.conf",
                  "--config_dir", tmp_path, env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)})
