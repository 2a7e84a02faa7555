# SPDX-License-Identifier: BSD-2-Clause
"""Tenants: customers' networks that do not reach each other's inside addresses."""

import pytest

import netns
import wire

IN_A, IN_B = "10.0.0.0/18", "10.1.0.0/18"
OUT_A, OUT_B = "1.1.1.0/30", "1.1.2.0/30"
B_MAC = "02:00:00:00:03:01"
MAPPING_A = {"tenant": "ispA", "in": IN_A, "out": OUT_A}
MAPPING_B = {"tenant": "ispB", "in": IN_B, "out": OUT_B}
TENANTS = [{"name": "ispA", "interfaces": {"inside": ["in0"], "outside": ["out0"]}},
           {"name": "ispB", "interfaces": {"inside": ["in1"], "outside": ["out0"]}}]
CONFIG = {"tenants": TENANTS, "mappings": [MAPPING_A, MAPPING_B]}


@pytest.fixture
def two(lab):
    """The lab with a second inside interface, whose hosts are ispB's."""
    lab.b_ns = netns.Namespace(f"{lab.inside_ns.name}-b")
    lab.at_end(lab.b_ns.delete)
    netns.connect(lab.b_ns, "eth0", lab.gateway, "in1", B_MAC)
    lab.gateway.ip("addr", "add", "10.1.0.1/16", "dev", "in1")
    lab.b = wire.Wire(lab.b_ns, "eth0")
    lab.at_end(lab.b.close)
    return lab


def test_lists_show_the_tenant(two):
    two.start(**CONFIG)
    assert [(m["in"], m["tenant"]) for m in two.agent.ctl("mapping", "list")] == [(IN_A, "ispA"), (IN_B, "ispB")]
    shown = {i["name"]: (i["tenant"], i["outside_of"]) for i in two.agent.ctl("interface", "list")}
    assert shown == {"in0": ("ispA", []), "in1": ("ispB", []), "out0": (None, ["ispA", "ispB"])}


def test_one_without_tenants_shows_none(lab):
    lab.start()
    assert "tenant" not in lab.agent.ctl("mapping", "list")[0]
    assert "tenant" not in lab.agent.ctl("interface", "list")[0]
