/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_IMPORT_PREFIXES_H
#define DETNAT_IMPORT_PREFIXES_H

#include "import/import.h"

/*
 * Cuts the parts into ones of a single prefix inside and a single prefix outside. Subscribers of parts that cannot be
 * cut so are noted and left out. The import may fail.
 */
void import_prefixes(struct import *m);

/* Cuts the ranges of untranslated addresses into prefixes. The import may fail. */
void import_prefixes_untranslated(struct import *m);

#endif
