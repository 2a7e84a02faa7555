/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON of config_to_json(), with the places of mappings and portmaps, so that an edit writes what it changes. */
#ifndef DETNAT_CONFIG_RUNNING_TEXT_H
#define DETNAT_CONFIG_RUNNING_TEXT_H

#include "config/part.h"

/* A list of objects in the text. */
struct text_list {
	uint32_t open;	/* its `[`; 0: the text has none */
	uint32_t close; /* its `]` */
	uint32_t *at;	/* the beginning of each element */
	size_t n, room;
};

/* Zero-initialised: none. */
struct running_text {
	char *json;
	size_t length;
	struct text_list mappings;
	struct text_list portmaps;
};

/*
 * Writes a configuration. part: what it changes of the configuration that `before` is of; without a configuration, all
 * of it is written. 0 or -ENOMEM.
 */
int running_text_of(const struct config *c, const struct running_text *before, const struct config_part *part,
		    struct running_text *ret);
void running_text_free(struct running_text *t);

#endif
