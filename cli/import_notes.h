/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_CLI_IMPORT_NOTES_H
#define DETNAT_CLI_IMPORT_NOTES_H

#include "import/import.h"

/* Prints what an import has to say: a line for each kind of loss, however many statements have it. 0 or -ENOMEM. */
int import_notes_show(const struct import *m);

#endif
