/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of a packet filter that translate sources: chains, walked as a packet is, so that the first rule that matches
 * has it. For RouterOS, nftables and iptables.
 */
#ifndef DETNAT_IMPORT_RULES_H
#define DETNAT_IMPORT_RULES_H

#include "base/hash.h"
#include "import/import.h"
#include "import/import_set.h"

enum import_action {
	RULE_SNAT,	 /* to `to`, ports lo..hi if `ported` */
	RULE_NETMAP,	 /* the same, address by address */
	RULE_MASQUERADE, /* to an address that no rule names */
	RULE_ACCEPT,	 /* no translation */
	RULE_JUMP,
	RULE_GOTO,
	RULE_RETURN,
	RULE_DNAT, /* from outside */
	RULE_PASS, /* nothing; the next rule */
};

#define IMPORT_CHAIN_NONE UINT32_MAX

/* Zero-initialised; import_rules_add() takes it. */
struct import_rule {
	uint32_t line;
	uint32_t chain;
	uint32_t target; /* of RULE_JUMP and RULE_GOTO */
	uint32_t map;	 /* line of the rule of whose map this is an element; 0: none */
	enum import_action action;
	uint8_t protos; /* IMPORT_… */
	bool ported;
	bool partial;  /* has a condition that the importer does not know, named in a note */
	bool outwards; /* has a destination: `dst` */
	bool reached;
	bool served;   /* reached by TCP or UDP */
	bool loopback; /* names `lo`, by which no subscriber's packet comes or leaves */
	uint16_t lo, hi;
	struct import_range to;
	struct import_range dst;
	size_t src; /* in `sources`; n_src 0: any */
	size_t n_src;
	size_t via; /* in `via`: the interfaces that it names */
	size_t n_via;
};

/* An interface of a rule's condition: its place in `interfaces`, and whether packets leave by it. */
struct import_via {
	uint16_t name;
	bool leaves;
};

struct import_chain {
	char name[192];
	bool base; /* translates sources of what leaves */
	uint32_t n_rules;
	uint32_t first; /* in `by_chain` */
	bool walking;
};

/* Zero-initialised but for m; released by import_rules_free(). */
struct import_rules {
	struct import *m;
	struct import_rule *rule;
	size_t n;
	size_t room;
	struct import_chain *chain;
	uint32_t n_chains;
	struct hash_index names;
	struct import_ranges sources;
	struct import_names interfaces;
	struct import_via *via;
	size_t n_via;
	size_t via_room;
	uint32_t *by_chain;
	uint32_t noted_map; /* the last map of which it was noted that other protocols have it, too */
	uint64_t n_dnat;
};

/* IMPORT_… of a name or a number of a protocol. */
uint8_t import_protocol(const char *word);

/* The number of a chain, made if there is none. */
uint32_t import_chain(struct import_rules *rules, const char *name);

/* The rule's sources are those added to `sources` since it began: its src. Its interfaces are those from its via on. */
void import_rules_add(struct import_rules *rules, const struct import_rule *r);

/*
 * Adds a rule for each range of destinations (NULL: it has none), as each is an exception of its own, with these
 * sources (NULL: any; an empty set is for no packet, so nothing is added).
 */
void import_rules_add_each(struct import_rules *rules, const struct import_rule *r, const struct import_set *src,
			   const struct import_set *dst);

/* Adds an interface that a rule names as the one by which packets leave or come. */
void import_rules_via(struct import_rules *rules, struct import_rule *r, const char *name, bool leaves);

/* Walks all base chains and adds the rows. The import may fail. */
void import_rules_walk(struct import_rules *rules);
void import_rules_free(struct import_rules *rules);

#endif
