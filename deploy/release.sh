#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# release.sh: makes the files of a release from the commit that is checked out, in BUILD/release/detnat-VERSION/:
#
#   detnat-VERSION.tar.gz                  the source, git archive
#   detnat-VERSION-1.src.rpm               the same with its spec, for distributions with RPM
#   detnat_*.deb, detnat-doc_*.deb         Debian packages, each built twice in clean chroots (RELEASE_DEB=no: none)
#   detnat-VERSION.spdx.json               bill of materials (SPDX 2.3)
#   NOTES.md                               the version's section of CHANGELOG.md
#   SHA256SUMS                             of all of them
#
# Two runs of one commit give the same octets. It refuses a tree with changes, a version that CHANGELOG.md gives no date, a tag
# of the version at another commit, and a release without a maintainer: DEBFULLNAME and DEBEMAIL (deploy/identity.sh). A version
# with a ~ is one of development: its files are made without a date and samples, and are not for a tag.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC

BUILD=$(realpath -m "${BUILD:-build}")
die() {
    echo "release: $*" >&2
    exit 1
}

version=$(sed -n 's/^#define DETNAT_VERSION "\(.*\)"$/\1/p' include/detnat/version.h)
name=detnat-${version:?}
out=$BUILD/release/$name

changed=$(git status --porcelain)
[ -z "$changed" ] || die "the tree has changes; commit or remove them:"$'\n'"$changed"
if [[ $version = *~* ]]; then
    heading="## $version"
    grep -qx "$heading" CHANGELOG.md || die "CHANGELOG.md has no line \"$heading\""
else
    heading="## $version, [0-9]\{4\}-[0-9][0-9]-[0-9][0-9]"
    grep -qx "$heading" CHANGELOG.md || die "CHANGELOG.md has no line \"## $version, DATE\""
    [ -d "tests/samples/${version%.*}" ] || die "tests/samples has nothing of ${version%.*}: docs/reference/STABILITY.md says how to record it"
fi
tagged=$(git rev-parse -q --verify "v$version^{commit}" || true)
[ -z "$tagged" ] || [ "$tagged" = "$(git rev-parse HEAD)" ] || die "tag v$version is at another commit: raise the version"
if [ -z "${DEBFULLNAME:-}" ] || [ -z "${DEBEMAIL:-}" ]; then die "set DEBFULLNAME and DEBEMAIL: the packages name their maintainer"; fi
[ "$(id -u)" = 0 ] || die "chroots and mounts need root"
command -v rpmbuild >/dev/null || die "rpmbuild is missing: deploy/install-deps.sh package"

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
mkdir -p "$BUILD/release"
work=$(mktemp -d "$BUILD/release/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir "$work/out"

git -c tar.umask=0022 archive --prefix="$name/" HEAD | gzip -9n >"$work/out/$name.tar.gz"

mkdir -p "$work/rpm/SOURCES"
tar -x -C "$work" -f "$work/out/$name.tar.gz"
deploy/identity.sh "$work/$name"
cp "$work/out/$name.tar.gz" "$work/rpm/SOURCES/"
cp "$work/$name/deploy/detnat.spec" "$work/rpm/"
chmod 644 "$work/rpm/SOURCES/$name.tar.gz" "$work/rpm/detnat.spec"
touch -d "@$SOURCE_DATE_EPOCH" "$work/rpm/SOURCES/$name.tar.gz" "$work/rpm/detnat.spec"
# A source package has the build directory in it, so that is /mnt everywhere, in a mount namespace of its own.
# shellcheck disable=SC2016 # the inner shell expands its own arguments
unshare --mount sh -c 'mount --bind "$0" /mnt && exec "$@"' "$work/rpm" \
    rpmbuild -bs --nodeps -D '_topdir /mnt' -D 'use_source_date_epoch_as_buildtime 1' -D '_buildhost localhost' \
    -D 'dist %{nil}' -D '_source_payload w9.gzdio' /mnt/detnat.spec >"$work/rpm.log" 2>&1 || { cat "$work/rpm.log" >&2 && die "no source package for RPM"; }
cp "$work"/rpm/SRPMS/*.src.rpm "$work/out/"

buildinfo=()
if [ "${RELEASE_DEB:-yes}" != no ]; then
    BUILD=$BUILD deploy/deb.sh HEAD
    cp "$BUILD"/deb/detnat_"$version"_*.deb "$BUILD"/deb/detnat-doc_"$version"_*.deb "$work/out/"
    buildinfo=("$BUILD"/deb/*.buildinfo)
fi

sed -n "/^$heading\$/,/^## /{/^## /!p}" CHANGELOG.md | sed '/./,$!d' >"$work/out/NOTES.md"
[ -s "$work/out/NOTES.md" ] || die "CHANGELOG.md says nothing about $version"
/usr/bin/python3 deploy/sbom.py "$work/out/$name.tar.gz" "$version" "$SOURCE_DATE_EPOCH" "${buildinfo[@]}" >"$work/out/$name.spdx.json"
(cd "$work/out" && sha256sum -- * >SHA256SUMS)

rm -rf --one-file-system "$out"
mv "$work/out" "$out"
echo "release: $out"
cat "$out/SHA256SUMS"
[ -n "$tagged" ] || [[ $version = *~* ]] || echo "release: to tag it: git tag -s v$version -F $out/NOTES.md"
