# SPDX-License-Identifier: BSD-2-Clause
"""An independent model of NAT64, and packets for it."""
