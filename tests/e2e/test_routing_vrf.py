# SPDX-License-Identifier: BSD-2-Clause
"""
docs/guide/ROUTING.md, VRFs and tenants: their files, as far as they can be read where the kernel has no VRF. tests/vm/routing.sh
runs them.
"""

import json
import os
import re

import pytest

import isolation
import routers

PAGE = (routers.TREE / "docs/guide" / "ROUTING.md").read_text()


@pytest.mark.parametrize("example", ["vrf", "tenants"])
def test_bird_reads_its_file(example):
    isolation.run(routers.program("usr/sbin/bird"), "-p", "-c", routers.EXAMPLES / example / "bird.conf")


@pytest.mark.parametrize("example", ["vrf", "tenants"])
def test_frr_reads_its_file(example, tmp_path):
    libraries = [str(path) for path in routers.UNPACKED.glob("usr/lib/*/frr")]
    isolation.run(routers.program("usr/bin/vtysh"), "--dryrun", "--inputfile", routers.EXAMPLES / example / "frr.conf",
                  "--config_dir", tmp_path, env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)})


def test_the_page_has_the_tenants_of_the_file():
    shown = [json.loads(f"{{{block}}}") for block in re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
    assert json.loads((routers.EXAMPLES / "tenants/detnat.json").read_text()) in shown
