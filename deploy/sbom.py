#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the bill of materials of a source archive, as SPDX 2.3 in JSON.

    sbom.py ARCHIVE.tar.gz VERSION EPOCH [BUILDINFO]

Each file is listed with its checksums and licence, from its SPDX line; one without is BSD-2-Clause, as README says. With a
.buildinfo of the Debian package, each package that was there when it was built is listed with its version. The same input
gives the same octets.
"""

import datetime
import hashlib
import json
import re
import sys
import tarfile

LICENCE = re.compile(rb"SPDX-License-Identifier: ([A-Za-z0-9.()\- ]+?)\s*(?:\*/|-->|$)", re.MULTILINE)
DEFAULT = "BSD-2-Clause"
BUILT_WITH = re.compile(r"^ ([a-z0-9.+-]+)(?::\w+)? \(= ([^)]+)\),?$", re.MULTILINE)


def simple_licences(expression):
    return sorted(set(re.split(r" (?:OR|AND) ", expression.strip("()"))))


def files_of(archive):
    with tarfile.open(archive) as source:
        for member in sorted(source.getmembers(), key=lambda m: m.name):
            if not member.isfile():
                continue
            content = source.extractfile(member).read()
            found = LICENCE.search(content[:1000])
            licence = found[1].decode().strip() if found else DEFAULT
            path = member.name.split("/", 1)[1]
            yield {
                "SPDXID": "SPDXRef-File-" + hashlib.sha1(path.encode()).hexdigest()[:16],
                "fileName": f"./{path}",
                "checksums": [{"algorithm": name.upper(), "checksumValue": hashlib.new(name, content).hexdigest()} for name in ("sha1", "sha256")],
                "licenseConcluded": licence,
                "licenseInfoInFiles": simple_licences(licence) if found else ["NOASSERTION"],
                "copyrightText": "NOASSERTION",
            }


def built_with(buildinfo):
    text = open(buildinfo).read()
    for name, version in BUILT_WITH.findall(text[text.index("Installed-Build-Depends:"):]):
        yield {
            "SPDXID": "SPDXRef-Debian-" + re.sub(r"[^A-Za-z0-9.-]", "-", name.replace("+", "-plus")),
            "name": name,
            "versionInfo": version,
            "supplier": "Organization: Debian",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION",
            "copyrightText": "NOASSERTION",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                              "referenceLocator": f"pkg:deb/debian/{name}@{version.replace(':', '%3A').replace('+', '%2B')}"}],
        }


def document(archive, version, epoch, buildinfo):
    files = list(files_of(archive))
    with open(archive, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    sums = sorted(file["checksums"][0]["checksumValue"] for file in files)
    detnat = {
        "SPDXID": "SPDXRef-detnat",
        "name": "detnat",
        "versionInfo": version,
        "packageFileName": archive.rsplit("/", 1)[-1],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()},
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "licenseConcluded": "BSD-2-Clause AND (GPL-2.0-only OR BSD-2-Clause)",
        "licenseDeclared": "BSD-2-Clause AND (GPL-2.0-only OR BSD-2-Clause)",
        "licenseInfoFromFiles": sorted({licence for file in files for licence in simple_licences(file["licenseConcluded"])}),
        "copyrightText": "The detnat authors",
    }
    tools = list(built_with(buildinfo)) if buildinfo else []
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-detnat")]
    relations += [("SPDXRef-detnat", "CONTAINS", file["SPDXID"]) for file in files]
    relations += [(tool["SPDXID"], "BUILD_DEPENDENCY_OF", "SPDXRef-detnat") for tool in tools]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"detnat-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/detnat-{version}-{digest}",
        "creationInfo": {"created": datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": [f"Tool: detnat-sbom-{version}"]},
        "packages": [detnat, *tools],
        "files": files,
        "relationships": [dict(zip(("spdxElementId", "relationshipType", "relatedSpdxElement"), relation)) for relation in relations],
    }


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: sbom.py ARCHIVE.tar.gz VERSION EPOCH [BUILDINFO]")
    archive, version, epoch = sys.argv[1:4]
    print(json.dumps(document(archive, version, int(epoch), *(sys.argv[4:] or [None])), indent=1))


if __name__ == "__main__":
    main()
