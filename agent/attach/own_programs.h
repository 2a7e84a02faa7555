/* SPDX-License-Identifier: BSD-2-Clause */
/* Recognises detnat's programs at the ingress of interfaces, in XDP and tc: no others are ever replaced or detached. */
#ifndef DETNAT_OWN_PROGRAMS_H
#define DETNAT_OWN_PROGRAMS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "datapath/datapath.h"

/*
 * Once the pins of a datapath are gone, the kernel takes a moment to empty the program arrays; only then are its
 * programs recognised as orphans.
 */
#define ORPHAN_ATTEMPTS	   10U
#define ORPHAN_INTERVAL_US 100000U

struct own_program {
	uint32_t id;
	int fd;
	/*
	 * Of a component of libxdp's dispatcher, see attach/share.h: the interface, else 0. Then id is that of the
	 * dispatcher, and fd the link between the two.
	 */
	uint32_t shared;
	uint32_t layout; /* of the component's datapath */
	uint8_t entry;	 /* enum entry */
	uint8_t priority;
};

/* The entry programs of the datapaths under one pin path, of every layout. */
struct own_programs {
	char *pin_path; /* NULL: of none */
	bool by_links;	/* tc programs are attached by links: tcx_wanted() */
	struct own_program *program;
	size_t count;
};

/* d may be NULL: then only the programs pinned under pin_path count. */
int own_programs_read(const char *pin_path, const struct datapath *d, struct own_programs *ret);
void own_programs_free(struct own_programs *own);

/*
 * Whether a program is one of them, or belonged to a detnat datapath whose pins are gone; recognising the latter needs
 * CAP_SYS_ADMIN.
 */
bool own_programs_has(const struct own_programs *own, uint32_t id);

/*
 * The component of that interface, of this layout if there is one; NULL: none. Its dispatcher may have been replaced
 * since: own_programs_shares() says whether the program that the interface runs is still the one.
 */
const struct own_program *own_programs_share(const struct own_programs *own, uint32_t ifindex);
bool own_programs_shares(const struct own_programs *own, uint32_t ifindex, uint32_t id);

/*
 * Enters a component of this layout in place of the former one of its interface, with a copy of its link's descriptor,
 * 0 or -errno; or takes that of a layout out.
 */
int own_programs_add_share(struct own_programs *own, int link, uint32_t ifindex, uint8_t entry, uint8_t priority);
void own_programs_del_share(struct own_programs *own, uint32_t ifindex, uint32_t layout);

/* The name of the pin of a component's link. */
#define PIN_SHARE "share"

/* Opens such a program, which is no component: a new descriptor, or -errno. */
int own_programs_open(const struct own_programs *own, uint32_t id);

/* Sets err to the way to deal with a live detnat program on a link, whose pins are not visible; returns -EBUSY. */
int own_programs_refuse(const char *link, const char *program, uint32_t id, struct error *err);

/* The name of a program, "?" if it has none or the kernel shows it only to CAP_SYS_ADMIN. */
const char *program_name(uint32_t id, char text[static BPF_OBJ_NAME_LEN]);

/* Whether this is the name of an entry program, which detnat attaches to the ingress of interfaces. */
bool is_entry_program(const char *name);

#endif
