/* SPDX-License-Identifier: BSD-2-Clause */
#include "guard/image.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/base.h"
#include "guard/rules.h"

/* Of a rule's expressions. */
#define RULE_TEXT 1024U

static void __attribute__((format(printf, 2, 3))) add_line(struct guard_image *image, const char *format, ...)
{
	char **grown, *line;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&line, format, ap);
	va_end(ap);
	if (r < 0) {
		image->failed = true;
		return;
	}
	if (image->n == image->room) {
		grown = reallocarray(image->line, image->room ? 2 * image->room : 64, sizeof(*grown));
		if (!grown) {
			image->failed = true;
			free(line);
			return;
		}
		image->line = grown;
		image->room = image->room ? 2 * image->room : 64;
	}
	image->line[image->n++] = line;
}

static bool is_table(const char *found, const char *table)
{
	return found && !strcmp(found, table);
}

/* Owner and comment decide whether the table is a guard's at all (guard/nft.c). */
static void add_table(struct guard_image *image, const struct nftnl_table *t, const char *table)
{
	if (is_table(nftnl_table_get_str(t, NFTNL_TABLE_NAME), table))
		add_line(image, "table: %s",
			 nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_DORMANT ? "dormant" : "awake");
}

static void add_chain(struct guard_image *image, const struct nftnl_chain *c, const char *table)
{
	const char *name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);

	if (!is_table(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE), table))
		return;
	if (nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
		add_line(image, "chain %s: type %s, hook %u, priority %d, policy %u", name,
			 nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE), nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM),
			 nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO), nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY));
	else
		add_line(image, "chain %s: at no hook", name);
}

static int add_expression(struct nftnl_expr *e, void *arg)
{
	char *text = arg;
	size_t length = strlen(text);

	length += (size_t)snprintf(text + length, RULE_TEXT - length, " [%s ", nftnl_expr_get_str(e, NFTNL_EXPR_NAME));
	if (length < RULE_TEXT)
		nftnl_expr_snprintf(text + length, RULE_TEXT - length, e, NFTNL_OUTPUT_DEFAULT, 0);
	length = strlen(text);
	snprintf(text + length, RULE_TEXT - length, "]");
	return 0;
}

static void add_rule(struct guard_image *image, const struct nftnl_rule *r, const char *table)
{
	const char *chain = nftnl_rule_get_str(r, NFTNL_RULE_CHAIN);
	char text[RULE_TEXT] = "";

	if (!is_table(nftnl_rule_get_str(r, NFTNL_RULE_TABLE), table) || !chain)
		return;
	if (strcmp(image->chain, chain)) {
		snprintf(image->chain, sizeof(image->chain), "%s", chain);
		image->rule = 0;
	}
	nftnl_expr_foreach((struct nftnl_rule *)r, add_expression, text);
	add_line(image, "chain %s: rule %u%s", chain, ++image->rule, text);
}

static void add_set(struct guard_image *image, const struct nftnl_set *s, const char *table)
{
	if (is_table(nftnl_set_get_str(s, NFTNL_SET_TABLE), table))
		add_line(image, "set %s: flags %u, keys of %u octets", nftnl_set_get_str(s, NFTNL_SET_NAME),
			 nftnl_set_get_u32(s, NFTNL_SET_FLAGS), nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN));
}

/* A batch deletes the objects that it creates afresh. */
static void remove_set(struct guard_image *image, const struct nftnl_set *s, const char *table)
{
	char head[64];
	size_t kept = 0;
	int length = snprintf(head, sizeof(head), "set %s: ", nftnl_set_get_str(s, NFTNL_SET_NAME));

	if (!is_table(nftnl_set_get_str(s, NFTNL_SET_TABLE), table))
		return;
	for (size_t i = 0; i < image->n; i++) {
		if (strncmp(image->line[i], head, (size_t)length))
			image->line[kept++] = image->line[i];
		else
			free(image->line[i]);
	}
	image->n = kept;
}

static void add_element(struct guard_image *image, const char *set, const struct nlattr *element)
{
	const struct nlattr *key = NULL, *attr;
	uint32_t flags = 0, number;
	char text[ADDR_TEXT];

	mnl_attr_for_each_nested(attr, element)
	{
		if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_KEY && mnl_attr_get_payload_len(attr))
			key = mnl_attr_get_payload(attr);
		if (mnl_attr_get_type(attr) == NFTA_SET_ELEM_FLAGS && !mnl_attr_validate(attr, MNL_TYPE_U32))
			flags = ntohl(mnl_attr_get_u32(attr));
	}
	if (!key || mnl_attr_get_type(key) != NFTA_DATA_VALUE || mnl_attr_get_payload_len(key) != sizeof(number)) {
		add_line(image, "set %s: an element that is no number of 32 bits", set);
		return;
	}
	memcpy(&number, mnl_attr_get_payload(key), sizeof(number));
	if (!strncmp(set, GUARD_SET_INTERFACES, strlen(GUARD_SET_INTERFACES)))
		add_line(image, "set %s: interface %u", set, number);
	else
		add_line(image, "set %s: %s %s", set,
			 flags & NFT_SET_ELEM_INTERVAL_END ? "what ends before" : "what begins with",
			 addr_format(ntohl(number), text));
}

/* By hand, because the library numbers elements when writing, but does not read the numbers. */
static void add_elements(struct guard_image *image, const struct nlmsghdr *h, const char *table)
{
	const struct nlattr *attr, *list = NULL, *element;
	const char *of = NULL, *set = NULL;

	mnl_attr_for_each(attr, h, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == NFTA_SET_ELEM_LIST_ELEMENTS)
			list = attr;
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			continue;
		if (type == NFTA_SET_ELEM_LIST_TABLE)
			of = mnl_attr_get_str(attr);
		if (type == NFTA_SET_ELEM_LIST_SET)
			set = mnl_attr_get_str(attr);
	}
	if (!is_table(of, table) || !set || !list)
		return;
	mnl_attr_for_each_nested(element, list)
	{
		add_element(image, set, element);
	}
}

static void add_object(struct guard_image *image, struct nftnl_obj *o, const char *table)
{
	if (is_table(nftnl_obj_get_str(o, NFTNL_OBJ_TABLE), table))
		add_line(image, "object %s: type %u", nftnl_obj_get_str(o, NFTNL_OBJ_NAME),
			 nftnl_obj_get_u32(o, NFTNL_OBJ_TYPE));
}

/* Parses a message into an object of the library's and passes it to add. */
#define READ(image, h, table, kind, parse, add)                   \
	do {                                                      \
		struct nftnl_##kind *_o = nftnl_##kind##_alloc(); \
		if (!_o || parse(h, _o) < 0)                      \
			(image)->failed = true;                   \
		else                                              \
			add(image, _o, table);                    \
		if (_o)                                           \
			nftnl_##kind##_free(_o);                  \
	} while (0)

void guard_image_add(struct guard_image *image, const struct nlmsghdr *h, const char *table)
{
	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	switch (NFNL_MSG_TYPE(h->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
		READ(image, h, table, table, nftnl_table_nlmsg_parse, add_table);
		break;
	case NFT_MSG_NEWCHAIN:
		READ(image, h, table, chain, nftnl_chain_nlmsg_parse, add_chain);
		break;
	case NFT_MSG_NEWRULE:
		READ(image, h, table, rule, nftnl_rule_nlmsg_parse, add_rule);
		break;
	case NFT_MSG_NEWSET:
		READ(image, h, table, set, nftnl_set_nlmsg_parse, add_set);
		break;
	case NFT_MSG_DELSET:
		READ(image, h, table, set, nftnl_set_nlmsg_parse, remove_set);
		break;
	case NFT_MSG_NEWSETELEM:
		add_elements(image, h, table);
		break;
	case NFT_MSG_NEWOBJ:
		READ(image, h, table, obj, nftnl_obj_nlmsg_parse, add_object);
		break;
	default:
		break;
	}
}

void guard_image_add_batch(struct guard_image *image, const struct guard_batch *b, const char *table)
{
	const struct nlmsghdr *h;

	for (size_t at = 0; at < b->size; at += NLMSG_ALIGN(h->nlmsg_len)) {
		h = (const struct nlmsghdr *)(b->data + at);
		guard_image_add(image, h, table);
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct guard_image *image)
{
	if (image->n)
		qsort(image->line, image->n, sizeof(*image->line), compare);
}

void guard_image_compare(struct guard_image *wanted, struct guard_image *found,
			 void (*visit)(const char *line, bool missing, void *arg), void *arg)
{
	size_t w = 0, f = 0;

	sort(wanted);
	sort(found);
	while (w < wanted->n || f < found->n) {
		int order = w == wanted->n ? 1 : f == found->n ? -1 : strcmp(wanted->line[w], found->line[f]);

		if (order < 0)
			visit(wanted->line[w], true, arg);
		if (order > 0)
			visit(found->line[f], false, arg);
		w += order <= 0;
		f += order >= 0;
	}
}

void guard_image_free(struct guard_image *image)
{
	for (size_t i = 0; i < image->n; i++)
		free(image->line[i]);
	free(image->line);
	*image = (struct guard_image){ 0 };
}
