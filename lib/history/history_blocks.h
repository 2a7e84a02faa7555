/* SPDX-License-Identifier: BSD-2-Clause */
/* The blocks of a mapping in a record of the history, where they are not the defaults. */
#ifndef DETNAT_HISTORY_BLOCKS_H
#define DETNAT_HISTORY_BLOCKS_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "plan/blocks.h"

/* Writes ,"order":...,"first_port":... and so on. */
void history_blocks_write(FILE *out, const struct plan_blocks *b);

/* Reads the arithmetic of a mapping, with the blocks that the record names, or the defaults. false if malformed. */
bool history_blocks_read(const cJSON *json, struct prefix in, struct prefix out, struct geometry *ret);

#endif
