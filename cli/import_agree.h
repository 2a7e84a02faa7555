/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_IMPORT_AGREE_H
#define DETNAT_IMPORT_AGREE_H

#include "import/import.h"

/*
 * Has the agent's own code read the configuration that an import would write, and takes back what that refuses: each
 * has a note with its words. After it, the agent takes what import_write() writes, up to interfaces that this machine
 * lacks and memory. 0, or -errno with err if the configuration is refused as a whole.
 */
int import_agree(struct import *m, struct error *err);

#endif
