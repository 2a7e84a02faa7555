# SPDX-License-Identifier: BSD-2-Clause
"""
What differs where the tests run with XDP_MODE in the environment: none, agents whose programs are all at the tc hooks,
and the kernel forwards; tc, the same, but tc sends.
"""

import os

import pytest

MODE = os.environ.get("XDP_MODE", "native")
NONE = MODE == "none"
TC = MODE == "tc"
WITHOUT = NONE or TC

# What `interface list` says of an interface of a lab.
XDP = MODE if WITHOUT else "native"
XDP_REASON = "configured" if WITHOUT else None
FORWARDING = "kernel" if NONE else "redirect"
FORWARDING_REASON = "no XDP" if NONE else None

xdp_only = pytest.mark.skipif(WITHOUT, reason="about XDP")
