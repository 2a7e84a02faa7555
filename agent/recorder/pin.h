/* SPDX-License-Identifier: BSD-2-Clause */
/* The last line of the history, stored with the datapath: a map of one element, pinned beside the others. */
#ifndef DETNAT_PIN_H
#define DETNAT_PIN_H

#include "history/history_record.h"

struct history_pin {
	uint64_t line; /* 0: none */
	char hash[HASH_TEXT + 7];
};
_Static_assert(sizeof(struct history_pin) == 80, "value of a map");

/* Opens the map under a pin directory, creating it if needed. Returns a descriptor or -errno. */
int history_pin_open(const char *pin_dir);

/* The pin of any datapath under a pin path; line 0: there is none. Creates nothing. */
void history_pin_find(const char *pin_path, struct history_pin *ret);

/* 0 or -errno. */
int history_pin_read(int pin, struct history_pin *ret);
int history_pin_write(int pin, uint64_t line, const char hash[static HASH_TEXT]);

#endif
