/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/rules.h"

#include <arpa/inet.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>

/* nft's numbers for byte orders. */
#define BYTEORDER_HOST	  1
#define BYTEORDER_NETWORK 2

/* The most elements that fit into a message. */
#define ELEMENTS_AT_ONCE 128U

static struct nftnl_set *set_new(struct guard_batch *b, const struct guard_rules *rules, const char *name)
{
	struct nftnl_set *s = BATCH_CHECKED(b, nftnl_set_alloc());

	if (s) {
		nftnl_set_set_str(s, NFTNL_SET_TABLE, rules->table);
		nftnl_set_set_str(s, NFTNL_SET_NAME, name);
	}
	return s;
}

/* Sends the gathered elements of a set, and empties it. */
static void put_elements(struct guard_batch *b, const struct guard_rules *rules, const char *name,
			 struct nftnl_set **elements)
{
	struct nlmsghdr *h = *elements ? batch_message(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE) : NULL;

	if (h) {
		nftnl_set_elems_nlmsg_build_payload(h, *elements);
		batch_message_end(b, h);
	}
	if (*elements)
		nftnl_set_free(*elements);
	*elements = set_new(b, rules, name);
}

static void add_element(struct guard_batch *b, struct nftnl_set *elements, uint32_t key, uint32_t flags)
{
	struct nftnl_set_elem *e = elements ? BATCH_CHECKED(b, nftnl_set_elem_alloc()) : NULL;

	if (!e)
		return;
	nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, &key, sizeof(key));
	if (flags)
		nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, flags);
	nftnl_set_elem_add(elements, e);
}

static void put_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set)
{
	struct nftnl_set *s = set_new(b, rules, set->name);
	struct nftnl_udata_buf *udata = BATCH_CHECKED(b, nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
	struct nlmsghdr *h = s && udata ? batch_message(b, NFT_MSG_NEWSET, NLM_F_CREATE) : NULL;

	if (h) {
		nftnl_set_set_u32(s, NFTNL_SET_ID, set->id);
		nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, set->type);
		nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(uint32_t));
		nftnl_set_set_u32(s, NFTNL_SET_FLAGS, set->flags);
		/* Only for nft, to print the keys. */
		nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_KEYBYTEORDER,
				    set->flags & NFT_SET_INTERVAL ? BYTEORDER_NETWORK : BYTEORDER_HOST);
		nftnl_set_set_data(s, NFTNL_SET_USERDATA, nftnl_udata_buf_data(udata), nftnl_udata_buf_len(udata));
		nftnl_set_nlmsg_build_payload(h, s);
		batch_message_end(b, h);
	}
	if (udata)
		nftnl_udata_buf_free(udata);
	if (s)
		nftnl_set_free(s);
}

static void delete_set(struct guard_batch *b, const struct guard_rules *rules, const char *name)
{
	struct nftnl_set *s = set_new(b, rules, name);
	struct nlmsghdr *h = s ? batch_message(b, NFT_MSG_DELSET, 0) : NULL;

	if (h) {
		nftnl_set_nlmsg_build_payload(h, s);
		batch_message_end(b, h);
	}
	if (s)
		nftnl_set_free(s);
}

void guard_delete_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set)
{
	/* Deleting a set fails unless it exists. */
	put_set(b, rules, set);
	delete_set(b, rules, set->name);
}

void guard_make_set(struct guard_batch *b, const struct guard_rules *rules, const struct guard_set *set)
{
	guard_delete_set(b, rules, set);
	put_set(b, rules, set);
}

void guard_put_ranges(struct guard_batch *b, const struct guard_rules *rules, const char *name,
		      const struct address_range *range, size_t n)
{
	struct nftnl_set *s = set_new(b, rules, name);

	/*
	 * An interval ends where the next begins, which may be one that matches nothing; the first of those begins at
	 * 0.
	 */
	if (n && range[0].first)
		add_element(b, s, 0, NFT_SET_ELEM_INTERVAL_END);
	for (size_t i = 0; i < n; i++) {
		add_element(b, s, htonl(range[i].first), 0);
		if (range[i].last != UINT32_MAX)
			add_element(b, s, htonl(range[i].last + 1), NFT_SET_ELEM_INTERVAL_END);
		if (i % ELEMENTS_AT_ONCE == ELEMENTS_AT_ONCE - 1)
			put_elements(b, rules, name, &s);
	}
	if (n % ELEMENTS_AT_ONCE)
		put_elements(b, rules, name, &s);
	if (s)
		nftnl_set_free(s);
}

void guard_put_indexes(struct guard_batch *b, const struct guard_rules *rules, const char *name, const uint32_t *index,
		       size_t n)
{
	struct nftnl_set *s = set_new(b, rules, name);

	for (size_t i = 0; i < n; i++) {
		add_element(b, s, index[i], 0);
		if (i % ELEMENTS_AT_ONCE == ELEMENTS_AT_ONCE - 1)
			put_elements(b, rules, name, &s);
	}
	if (n % ELEMENTS_AT_ONCE)
		put_elements(b, rules, name, &s);
	if (s)
		nftnl_set_free(s);
}
