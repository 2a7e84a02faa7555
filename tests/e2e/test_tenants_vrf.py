# SPDX-License-Identifier: BSD-2-Clause
"""Two tenants with the same inside addresses, whose VRFs do not exist. With VRFs: tests/vm/tenants.sh."""

import pytest
from scapy.layers.inet import UDP

IN = "10.0.0.0/18"
HOST = "10.0.0.20"
TENANTS = [{"name": "ispA", "vrf": "blue", "interfaces": {"inside": ["in0"], "outside": ["out0"]}},
           {"name": "ispB", "vrf": "red", "interfaces": {"inside": ["in1"], "outside": ["out0"]}}]
CONFIG = {"tenants": TENANTS,
          "mappings": [{"tenant": "ispA", "in": IN, "out": "1.1.1.0/30"}, {"tenant": "ispB", "in": IN, "out": "1.1.2.0/30"}],
          "portmaps": [{"proto": "udp", "in": f"{HOST}:3074", "out": "1.1.1.0:80"},
                       {"proto": "udp", "in": f"{HOST}:3074", "out": "1.1.2.0:81"}]}


@pytest.mark.parametrize("way", [{}, {"forwarding": "kernel"}, {"xdp_mode": "none"}], ids=["redirect", "kernel", "tc"])
def test_nothing_is_sent_to_subscribers_whose_vrf_does_not_exist(lab, way):
    """The main table has a route to these addresses, but it is not theirs."""
    lab.start(**CONFIG, **way)
    lab.host(HOST)
    for out, port in ("1.1.1.0", 80), ("1.1.2.0", 81):
        with lab.counting(drop_unreachable=1, sent_icmp_unreachable=None):
            lab.outside.send(lab.from_outside(out, UDP(sport=9000, dport=port) / b"stranger"))
    lab.inside.drain()
