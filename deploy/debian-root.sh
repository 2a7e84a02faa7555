# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Sourced: small Debian systems of SUITE for building and testing packages, kept as archives in DEB_CACHE.

# Lines for sources.list: the Debian mirrors that the machine's own apt uses, or DEBIAN_MIRROR.
# shellcheck disable=SC2016 # apt-get expands these
debian_sources() {
    local signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]' site
    if [ -n "${DEBIAN_MIRROR:-}" ]; then
        echo "deb $signed $DEBIAN_MIRROR $SUITE main"
        return
    fi
    apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        sed -n "s,^\([^ ]* $SUITE\(-updates\|-security\)\?\) main\$,deb $signed \1 main,p" | sort -u | grep . && return
    # The machine is of another release.
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' 2>/dev/null |
        grep -v -- -security | head -n 1)
    [ -n "$site" ] || { echo "the machine's apt knows no Debian mirror; set DEBIAN_MIRROR" >&2 && return 1; }
    echo "deb $signed $site $SUITE main"
}

# debian_root NAME --variant=VARIANT PACKAGES [OPTION…]: prints the path of an archive with these packages, separated by
# commas. One of the last seven days is used again.
debian_root() {
    local name=$1 variant=$2 packages=$3 archive
    shift 3
    archive=$DEB_CACHE/$SUITE-$name-$(printf '%s\n' "$variant" "$packages" "$@" | sha256sum | cut -c 1-12).tar
    if [ -z "$(find "$archive" -mtime -7 2>/dev/null)" ]; then
        rm -f "$DEB_CACHE/$SUITE-$name-"*
        debian_sources | mmdebstrap --quiet "$variant" --include="$packages" --aptopt='Acquire::Languages "none"' \
            --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' "$@" \
            "$SUITE" "${archive%.tar}.new.tar" - >"$archive.log" 2>&1 || { tail -n 20 "$archive.log" >&2 && return 1; }
        mv "${archive%.tar}.new.tar" "$archive"
    fi
    echo "$archive"
}
