#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# site.sh: the documents and manual pages as a site in build/site/html, for any web server. A dead link is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

site=build/site
rm -rf "$site"
mkdir -p "$site/source/man"
cp README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md "$site/source"
cp -r docs "$site/source/docs"
rm -r "$site/source/docs/man"
# A page that is there, as a file NAME.SECTION, is linked here, any other one at Debian's.
manual=$PWD/$site/source/man
(
    cd docs/man
    for page in *.[1-8]; do
        mandoc -T html -O 'man=%N.%S.html;https://manpages.debian.org/bookworm/%N.%S' "$page" >"$manual/$page.html"
    done
)
mkdocs build --quiet --config-file deploy/site/mkdocs.yml
echo "site: $(find "$site/html" -name '*.html' | wc -l) pages in $site/html"
