#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The VRFs of two tenants, before the routing daemon starts. For an address without a route in a VRF the kernel would go on
# looking in the main table: an unreachable route, which every other one is preferred to, is the end of each VRF's table.
set -e
ip link add ispA type vrf table 10
ip link add ispB type vrf table 20
ip link set ispA up
ip link set ispB up
ip route add unreachable default metric 4278198272 table 10
ip route add unreachable default metric 4278198272 table 20
ip link set inside0 master ispA
ip link set inside1 master ispB
