#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# An outside address each.
/sbin/iptables -w -t nat -A POSTROUTING -s 100.66.0.0/29 -j NETMAP --to 203.0.113.8/29
