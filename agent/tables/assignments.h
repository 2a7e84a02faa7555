/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outside ports that lead to a subscriber without a session: portmaps and granted blocks. Each has a record of the
 * agent, and an entry for either side in a pinned hash of the datapath. The entry of the outside is made first and
 * removed last: alone, it is a half, which a killed agent has left.
 */
#ifndef DETNAT_ASSIGNMENTS_H
#define DETNAT_ASSIGNMENTS_H

#include "base/address.h"
#include "base/findings.h"
#include "base/hash.h"
#include "tables/mappings.h"

/* The lists that a record is in, each of those with a key in common. */
enum assignment_list {
	ASSIGNED_TO, /* the inside address; 0: it is in none */
	ASSIGNED_BY, /* the outside address of a block; else protocol and inside endpoint */
	ASSIGNMENT_LISTS
};

/* An end by either name. */
#define ASSIGNMENT_END(end, its_addr, its_port) \
	union {                                 \
		struct endpoint end;            \
		struct {                        \
			uint32_t its_addr;      \
			uint16_t its_port;      \
		};                              \
	}

/*
 * The first member of a record, whose members these are, too. The outside end is the key, with proto; of a block it is
 * the first port. Of the inside, a block has a number among the open ones of its subscriber.
 */
#define ASSIGNMENT_MEMBERS                                                                 \
	struct hash_entry entry;                                                           \
	struct hash_links links[ASSIGNMENT_LISTS];                                         \
	ASSIGNMENT_END(out, out_addr, port_lo);                                            \
	ASSIGNMENT_END(in, in_addr, number);                                               \
	uint8_t proto;	/* 0: a block */                                                   \
	uint8_t tenant; /* of its inside entry: number of its subscriber's; 0: none */     \
	uint8_t peer;	/* number of the gateway that made or announced it; 0: this one */ \
	bool half;	/* while the entries are read: the inside one has not been found yet */

struct assignment {
	ASSIGNMENT_MEMBERS
};

#define ASSIGNMENT                            \
	union {                               \
		struct assignment assignment; \
		struct {                      \
			ASSIGNMENT_MEMBERS    \
		};                            \
	}

/* Octets at most: of a record, and of a key and a value of the datapath's map. */
#define ASSIGNMENT_MAX	     256U
#define ASSIGNMENT_KEY_MAX   32U
#define ASSIGNMENT_VALUE_MAX 64U

struct assignments;

/*
 * A kind. What it does not have may be NULL. The direction of an entry is 0 or 1. Those of others are about an address
 * alone, with which their keys begin: such addresses are a set.
 */
struct assignment_kind {
	const char *one, *many, *all; /* "a portmap", "portmaps", "the portmaps" */
	uint32_t table_size;	      /* octets */
	uint32_t size, max;	      /* octets of a record; records, 0: no limit */
	uint32_t key_size;
	uint32_t direction_at; /* the octet of a key, and its bits */
	uint8_t direction_bits;
	uint8_t inside; /* the direction of its entry */
	void (*key_of)(const void *record, unsigned direction, void *ret);
	/* Reads one side of a record. False: it is invalid. */
	bool (*read)(const void *key, const void *value, void *ret);
	/* Whether a record agrees with what is read from its entry, beyond both ends. */
	bool (*agrees)(const void *record, const void *read, unsigned direction);
	/* Whether a record has an entry. */
	bool (*wants)(const void *record, unsigned direction);
	int (*write)(const struct assignments *s, const void *record, unsigned direction);
	void (*erased)(const struct assignments *s, const void *key);
	/* Whether a record that was read may be added, which it may complete. */
	bool (*fits)(const struct assignments *s, const void *key, void *record);
	int (*opened)(struct assignments *s); /* all are; 0 or -ENOMEM */
	/* A record has been added: 1, or is about to be removed: -1. */
	void (*count)(struct assignments *s, const void *record, int by);
	/* The tenant that a record's inside entry should have. */
	uint8_t (*tenant)(const struct assignments *s, const void *record);
	/* Comparison: a record's entry is missing or differs; the rest of a record; an unknown entry. */
	void (*missing)(const void *record, unsigned direction, bool repaired, struct findings *findings);
	void (*compare)(const struct assignments *s, const void *record, bool repair, struct findings *findings);
	void (*stray)(const void *key, bool repaired, struct findings *findings);
};

/* The first member of the table of a kind. */
struct assignments {
	const struct assignment_kind *kind;
	struct mappings *m;
	int map;
	struct hash_type type; /* of records */
	struct hash_table records;
	struct hash_multimap list[ASSIGNMENT_LISTS];
	struct hash_index others; /* addresses with an entry of another direction */
};

/*
 * Makes a table of what is in a map; removes halves, and warns of them. The mappings must outlive it. NULL: out of
 * memory.
 */
struct assignments *assignments_open(const struct assignment_kind *kind, struct mappings *m, int map,
				     struct error *err);
void assignments_close(struct assignments *s);

/* Compares the outside ports of records, for qsort(). */
int assignments_order(const void *a, const void *b);

/* Keeps a copy of a record whose outside port none has. NULL: out of memory or of room. */
void *assignments_add(struct assignments *s, const void *like);
void assignments_del(struct assignments *s, void *record);

/* Takes its inside address from a record. */
void assignments_leave(struct assignments *s, void *record);

void *assignments_find(const struct assignments *s, uint8_t proto, struct endpoint out);

/* The first record in the list of a key, or the one behind another; NULL: no more. */
static inline void *assignments_next(const struct assignments *s, enum assignment_list list, uint64_t key,
				     const void *before)
{
	return hash_multimap_next(&s->list[list], key, before);
}

/* The one that has the entry of an inside endpoint, of any tenant if that is 0; NULL: none. */
void *assignments_inside(const struct assignments *s, uint8_t tenant, uint8_t proto, struct endpoint in);

/* All in turn, from *at on, which begins as 0; NULL: no more. Others may be added and removed meanwhile. */
static inline void *assignments_walk(const struct assignments *s, uint32_t *at)
{
	return hash_walk(&s->type, &s->records, at);
}

bool assignments_has_other(const struct assignments *s, uint32_t addr);

/* Removes an entry of the datapath. 0 or -errno; -ENOENT: there is none. */
int assignments_erase(const struct assignments *s, const void *record, unsigned direction);

/* Makes each its mapping's tenant's, after mappings have got tenants, or have none any more. */
void assignments_settle_tenants(struct assignments *s);

/* Compares the map with the records. Returns their number. */
size_t assignments_audit(const struct assignments *s, bool repair, struct findings *findings);

#endif
