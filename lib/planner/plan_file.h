/* SPDX-License-Identifier: BSD-2-Clause */
/* The mappings of a configuration file, as a plan: who has which block. Addresses are in host byte order. */
#ifndef DETNAT_PLAN_FILE_H
#define DETNAT_PLAN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/growth.h>
#include <detnat/mapping.h>

#include "base/error.h"
#include "base/virtual6.h"
#include "plan/plan.h"
#include "proto/label.h"

struct file_part {
	uint32_t tenant; /* in the list of the file; 0: none */
	uint32_t in_first, in_last;
	uint32_t out_first, out_last;
	bool none;	  /* not translated: the fields below are 0 */
	uint32_t ratio;	  /* blocks of an outside address */
	uint32_t ports;	  /* of a block */
	uint32_t pitch;	  /* distance of two blocks */
	uint32_t port_lo; /* the first block's first port */
	uint32_t port_hi; /* the last block's last one */
	uint32_t slots;	  /* of a subscriber */
	uint32_t quota;
	uint8_t bindings;			    /* BINDING_… with endpoint-independent mapping */
	struct growth_layout growth;		    /* block 0: blocks do not grow */
	char in[INSIDE_TEXT], out[PLAN_RANGE_TEXT]; /* as shown */
	uint32_t hosts; /* of an IPv6 subscriber, whose inside addresses are virtual; 0: IPv4 */
	struct geometry geo;
};

/* Of so many tenants a configuration may have mappings. */
#define PLAN_FILE_MAX_TENANTS 255U

struct plan_file {
	struct file_part *part;
	size_t n;
	char (*tenant)[LABEL_TEXT]; /* names; the first is "" */
	uint32_t n_tenants;	    /* with the first one */
};

/* Whether a text may be taken: 0, or -errno with err, which names the place. name: of its file. */
typedef int (*plan_file_check)(const char *text, size_t size, const char *name, struct error *err);

/*
 * Reads a configuration file, - being standard input, that the check lets pass; NULL: as far as a plan goes. 0, or
 * -errno with err, which names the place.
 */
int plan_file_read(const char *path, plan_file_check check, struct plan_file *ret, struct error *err);
void plan_file_free(struct plan_file *f);

/*
 * Compares two plans, tenant by tenant. The function is called for an address whose block is another one; a port_lo of
 * 0 in `before` or `after`: it has none. tenant: "" if there are none. Where only one plan has tenants, a subscriber of
 * the other one is the one with the same inside address: of several, the one with the same outside address.
 */
struct plan_changes {
	uint64_t subscribers; /* in either */
	uint64_t kept;
	uint64_t moved;	  /* another outside address */
	uint64_t shifted; /* the same with other ports */
	uint64_t added, removed;
};
typedef void (*plan_changed)(void *arg, const char *tenant, uint32_t in_addr, const struct port_block *before,
			     const struct port_block *after);
int plan_file_compare(const struct plan_file *before, const struct plan_file *after, plan_changed changed, void *arg,
		      struct plan_changes *ret);

#endif
