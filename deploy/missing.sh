#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Names the Debian packages of the tools and libraries that a build needs and this machine lacks; exit status 1 if there are
# any. It looks for the tools and libraries themselves, so it works on other distributions too, and it installs nothing.
set -euo pipefail

missing=()
tool() { command -v "$1" >/dev/null || missing+=("$2"); }
library() { "${PKG_CONFIG:-pkg-config}" --exists "$1" 2>/dev/null || missing+=("$2"); }

compiler=${CC:-cc}
tool "${compiler%% *}" gcc
tool "${CLANG:-clang}" clang
tool "${BPFTOOL:-bpftool}" bpftool
tool "${PKG_CONFIG:-pkg-config}" pkgconf
library libbpf libbpf-dev
library libevent libevent-dev
library libcjson libcjson-dev
library libmnl libmnl-dev
library libnftnl libnftnl-dev
library nettle nettle-dev
library libcap-ng libcap-ng-dev
library libxdp libxdp-dev
library libmicrohttpd libmicrohttpd-dev
[ ${#missing[@]} -gt 0 ] || exit 0

echo "missing for a build, as Debian names the packages: ${missing[*]}" >&2
echo "as root, 'make deps' installs them with apt-get" >&2
exit 1
