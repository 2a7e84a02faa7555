/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_IMPORT_CHECK_H
#define DETNAT_IMPORT_CHECK_H

#include "base/error.h"
#include "import/import.h"

struct import_checked {
	uint64_t agree;
	uint64_t differ;
};

/*
 * Compares the outside endpoint of each session of a file with the block of its subscriber, and says on standard error
 * how many agree. 0, or -errno with err if the file cannot be read or nothing in it can be compared.
 */
int import_check(const struct import *m, const char *path, struct import_checked *ret, struct error *err);

#endif
