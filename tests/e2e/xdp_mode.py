# SPDX-License-Identifier: BSD-2-Clause
"""What differs where the tests run with XDP_MODE=none in the environment: agents whose programs are all at the tc hooks."""

import os

import pytest

NONE = os.environ.get("XDP_MODE") == "none"

# What `interface list` says of an interface of a lab.
XDP = "none" if NONE else "native"
XDP_REASON = "configured" if NONE else None
FORWARDING = "kernel" if NONE else "redirect"
FORWARDING_REASON = "no XDP" if NONE else None

xdp_only = pytest.mark.skipif(NONE, reason="about XDP")
