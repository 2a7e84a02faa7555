#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# identity.sh DIRECTORY: names who packages this copy of the source, in its debian/ and deploy/detnat.spec:
#
#   DEBFULLNAME, DEBEMAIL   the maintainer, as Debian's tools take them; both or neither
#   PROJECT_URL             https://...: Homepage, Vcs-Git and Vcs-Browser, and the spec's URL; by default the remote "origin",
#                           where that is such an address
#
# The tree names no one in particular: its maintainer has an address in .example, which RFC 2606 reserves. `make deb` and
# `make release` call this on their copy.
set -euo pipefail

directory=$1
name=${DEBFULLNAME:-} email=${DEBEMAIL:-}
url=${PROJECT_URL:-$(git -C "$(dirname "$0")" remote get-url origin 2>/dev/null || true)}
die() {
    echo "identity: $*" >&2
    exit 1
}

[ -n "$name" ] || [ -z "$email" ] || die "DEBEMAIL is set and DEBFULLNAME is not"
[ -z "$name" ] || [ -n "$email" ] || die "DEBFULLNAME is set and DEBEMAIL is not"
if [ -n "$name" ]; then
    [[ $email =~ ^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$ ]] || die "DEBEMAIL is no address: $email"
    [[ $name != *[\<\>\|\\\&]* ]] || die "DEBFULLNAME has one of < > | \\ &: $name"
    sed -i "s|^Maintainer: .*|Maintainer: $name <$email>|" "$directory/debian/control"
    sed -i "s|^ -- .* <.*@detnat\.example>| -- $name <$email>|" "$directory/debian/changelog"
    sed -i "s|^\(\* .* [0-9]*\) .* <.*@detnat\.example>|\1 $name <$email>|" "$directory/deploy/detnat.spec"
fi
if [[ ${url%.git} =~ ^https://[A-Za-z0-9./_~-]+$ ]]; then
    url=${url%.git}
    sed -i "/^Rules-Requires-Root:/i Homepage: $url\nVcs-Browser: $url\nVcs-Git: $url.git" "$directory/debian/control"
    sed -i "/^License:/a URL:            $url" "$directory/deploy/detnat.spec"
elif [ -n "${PROJECT_URL:-}" ]; then
    die "PROJECT_URL is no https address: $PROJECT_URL"
fi
