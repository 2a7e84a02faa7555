/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of the reader of nftables' language. */
#ifndef DETNAT_FORMAT_NFT_H
#define DETNAT_FORMAT_NFT_H

#include "base/error.h"
#include "import/import_forward.h"
#include "import/import_rules.h"
#include "import/import_tokens.h"

#define IMPORT_NFT_TABLE 96

struct nft_define {
	char name[64];
	char value[64];
};

/* Of a set, of a map to addresses, or of one to verdicts. */
struct nft_element {
	struct import_range from;
	struct import_range to;
	uint32_t line;
	uint32_t target;
	uint8_t protos;		   /* the key is a protocol: IMPORT_…; 0: it is an address */
	enum import_action action; /* RULE_PASS: of a set, or a verdict that decides nothing */
	bool verdict;
	bool rest; /* "*": what no other element has */
	bool ported;
	uint16_t lo, hi;
};

/* Elements first..first+n-1. The name is one of its table, a definition's that of all. */
struct nft_map {
	char name[IMPORT_NFT_TABLE + 64];
	size_t first;
	size_t n;
	bool cut; /* an element was not understood */
};

/* What the words of a rule say, beside the rule itself. */
struct nft_reading {
	struct import_rule rule;
	struct import_set src; /* if `sourced` */
	struct import_set dst; /* if `rule.outwards` */
	bool sourced;
	bool not_via;	    /* has interfaces that it is not for */
	bool but;	    /* has destinations that it is not for */
	struct nft_map map; /* of its translation, or its verdicts; n 0: it has none */
	struct import_dnat dnat;
	char mss[16]; /* a limit of the maximum segment size; "": none */
};

struct nft {
	struct import *m;
	struct import_rules rules;
	struct import_tokens t;
	char table[IMPORT_NFT_TABLE]; /* "FAMILY NAME": a chain's name is one of its table */
	bool sets;		      /* sets and maps are read, else rules: they may be used above their elements */
	bool set_end;		      /* the token is a } that ends a set, not a block */
	struct nft_define *define;
	size_t n_defines;
	struct nft_element *element;
	size_t n_elements;
	size_t elements_room;
	struct nft_map *map;
	size_t n_maps;
};

bool nft_next(struct nft *r);

/* The number of a chain of the table. */
uint32_t nft_chain(struct nft *r, const char *name);

/* Whether the token ends a statement, or separates two elements. */
bool nft_ends(const struct nft *r);
bool nft_between(const struct nft *r);

/* Skips what is between braces, the first of which was read. */
void nft_skip_braces(struct nft *r);

/* Skips to the end of a statement. */
void nft_skip(struct nft *r);

/* A rule, whose first word was read, up to the end of its statement. */
void nft_rule(struct nft *r, uint32_t chain);
void nft_define(struct nft *r);

/* The elements of a map, whose brace was read, up to the closing one; they join those of the map. */
void nft_elements(struct nft *r, struct nft_map *map);
struct nft_map *nft_map_find(struct nft *r, const char *name);

/* The ranges of a set of addresses, "@NAME", "$NAME", "{ … }", or one range, at the token; false: it is none. */
bool nft_set_take(struct nft *r, struct import_set *ret);

/* What the value of a definition is, or the word itself. */
const char *nft_value(struct nft *r, const char *word);

/* As nft_map_find(), made if there is none; NULL: out of memory. */
struct nft_map *nft_map_of(struct nft *r, const char *name);

#endif
