/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of the reader of RouterOS. */
#ifndef DETNAT_FORMAT_ROUTEROS_H
#define DETNAT_FORMAT_ROUTEROS_H

#include "base/error.h"
#include "import/import_build.h"
#include "import/import_rules.h"
#include "import/import_text.h"

/* /ip firewall address-list: the addresses of a name. */
struct routeros_list {
	char name[64];
	struct import_ranges range;
	bool open; /* has entries that the file does not tell: names of hosts, entries with a timeout */
};

struct routeros {
	struct import *m;
	struct import_rules rules;
	struct import_lines *l;
	struct routeros_list *list;
	size_t n_lists;
	char path[96];	  /* of the section, its words apart by blanks: "ip firewall nat"; "": none yet */
	char section[96]; /* the same of a line, which may name another one for itself */
	uint32_t n_disabled;
	uint32_t disabled_line;
};

/* An entry of an address list, in the words from..n of a line. */
void routeros_list_take(struct routeros *r, unsigned from);

/* NULL: the file does not have it, or not whole. */
const struct routeros_list *routeros_list_find(const struct routeros *r, const char *name);

/* The words from..n of a line, key=value, as a rule of /ip firewall nat. 0, or -EINVAL with err. */
int routeros_rule(struct routeros *r, unsigned from, bool flagged, struct error *err);

/* As a rule of /ip firewall mangle, of which a limit of the maximum segment size is taken. */
void routeros_mangle(struct routeros *r, unsigned from);

/* The value of a key among the words from..n of a line; NULL: there is none. */
const char *routeros_value(const struct import_lines *l, unsigned from, const char *key);

#endif
