#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The VRF of the subscribers, before the routing daemon starts. For an address without a route in a VRF the kernel would go on
# looking in the main table: an unreachable route, which every other one is preferred to, is the end of the VRF's table.
set -e
ip link add customers type vrf table 10
ip link set customers up
ip route add unreachable default metric 4278198272 table 10
ip link set inside0 master customers
