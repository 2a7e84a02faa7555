#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# deb.sh [REF]: makes Debian packages of the files of the tree, or of a tag or commit, in BUILD/deb/: twice, in a new
# chroot each time that has the build dependencies and nothing else, no network, another directory and other users and
# time zones. It fails where the packages are not the same octet by octet, or lintian complains. SUITE=bookworm.
# ARCH=arm64 makes those of another processor than the machine's, by Debian's cross compiler, in BUILD/deb-arm64/.
#
# The packages name the maintainer of DEBFULLNAME and DEBEMAIL, see identity.sh.
#
# The chroot's packages come from the Debian mirrors that the machine's own apt uses; a copy is kept in DEB_CACHE.
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
SUITE=${SUITE:-bookworm}
DEB_CACHE=${DEB_CACHE:-$BUILD/deb/cache}
ref=${1:-}
machine=$(dpkg --print-architecture)
ARCH=${ARCH:-$machine}
out=$BUILD/deb
[ "$ARCH" = "$machine" ] || out=$BUILD/deb-$ARCH
began=$SECONDS

say() { echo "deb: $((SECONDS - began)) s: $*"; }
die() {
    echo "deb: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || die "a chroot needs root: sudo make deb"
. deploy/debian-root.sh

mkdir -p "$out" "$DEB_CACHE"
work=$(mktemp -d "$(realpath "$out")/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

mkdir "$work/source"
if [ -n "$ref" ]; then
    git archive "$ref" | tar -x -C "$work/source"
else
    # Without what was removed and not committed yet.
    { git ls-files -co --exclude-standard && git ls-files -d; } | sort | uniq -u | tar -c -T - | tar -x -C "$work/source"
fi
deploy/identity.sh "$work/source"
version=$(cd "$work/source" && dpkg-parsechangelog -S Version)

# build_package NAME DIR USER ZONE LOCALE: in a chroot; the packages go into $work/NAME.
build_package() {
    local name=$1 dir=$2 user=$3 zone=$4 locale=$5 root=$work/root-$1
    mkdir "$root" "$work/$name"
    tar -x -C "$root" -f "$chroot"
    chroot "$root" useradd -m "$user"
    mkdir -p "$root$dir"
    cp -a "$work/source" "$root$dir/detnat"
    chroot "$root" chown -R "$user:" "$dir"
    # Without what make and its caller have in the environment, such as BUILD.
    unshare --mount --pid --fork --net --uts --ipc --mount-proc="$root/proc" chroot "$root" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin su "$user" -c "cd $dir/detnat && TZ=$zone LC_ALL=$locale DEB_BUILD_OPTIONS=parallel=2 dpkg-buildpackage $how -us -uc" \
        >"$out/build-$name.log" 2>&1 || {
        tail -n 30 "$out/build-$name.log" >&2
        die "the build failed, see $out/build-$name.log"
    }
    cp "$root$dir"/*.{deb,buildinfo,changes} "$work/$name/"
    rm -rf --one-file-system "$root"
}

say "a chroot of $SUITE with the build dependencies"
# shellcheck disable=SC2016 # perl's own
needed=$(cd "$work/source" && perl -MDpkg::Control::Info -e '
    $_ = Dpkg::Control::Info->new("debian/control")->get_source()->{"Build-Depends"};
    s/\(= (\d+)\)//g; s/\([^)]*\)//g; s/\s+//g; print')
if [ "$ARCH" = "$machine" ]; then
    how=-b
    chroot=$(debian_root build --variant=buildd "${needed//:native/}")
else
    # Libraries of that processor, and tools of this one; nothing is built that does not depend on the processor.
    how="-B -a$ARCH -Pcross,nocheck"
    needed=$(tr , '\n' <<<"$needed" | sed -e "/:native\$\|^debhelper/!s/\$/:$ARCH/" -e 's/:native$//' | paste -sd ,)
    chroot=$(debian_root "build-$ARCH" --variant=buildd "crossbuild-essential-$ARCH,$needed" --architectures="$machine,$ARCH")
fi

say "the first build of $version, its log is $out/build-first.log"
build_package first /build/here first UTC C.UTF-8
say "the second build, elsewhere, its log is $out/build-second.log"
build_package second /srv/another/longer/directory second Pacific/Auckland C
for file in "$work"/first/*.deb; do
    name=$(basename "$file")
    cmp -s "$file" "$work/second/$name" && continue
    if command -v diffoscope >/dev/null; then diffoscope --text - "$file" "$work/second/$name" | head -n 60 >&2; fi
    cp "$work/second/$name" "$out/second-$name"
    cp "$file" "$out/first-$name"
    die "two builds differ: $out/first-$name and $out/second-$name"
done
say "two builds are the same octet by octet"

[ "$ARCH" = "$machine" ] || for file in "$work"/first/*.deb; do
    [ "$(dpkg-deb -f "$file" Architecture)" = "$ARCH" ] || die "$(basename "$file") is not for $ARCH"
done

lintian --allow-root --fail-on error,warning --display-info --pedantic "$work"/first/*.changes || die "lintian complains"
say "lintian has nothing to say"

dpkg-deb -c "$work"/first/detnat_*.deb | grep '/doc/detnat/detnat\.schema\.json$' >/dev/null || die "editors read detnat.schema.json, which is compressed or missing"

both=$(for file in "$work"/first/*.deb; do dpkg-deb --fsys-tarfile "$file" | tar -t | grep -v '/$'; done | sort | uniq -d)
[ -z "$both" ] || die "two packages have the same files and cannot be installed together:"$'\n'"$both"

rm -f "$out"/*.{deb,buildinfo,changes}
cp "$work"/first/* "$out/"
(cd "$out" && sha256sum ./*.deb)
