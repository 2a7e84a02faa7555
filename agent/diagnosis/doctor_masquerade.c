/* SPDX-License-Identifier: BSD-2-Clause */
/* NAT by others at the end of the kernel's way, such as the masquerade of an earlier gateway. */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "diagnosis/doctor_nftables.h"

/* Offset of the source address in the header of IPv4. */
#define SOURCE_AT 12U

/* What the rules of one chain, in their order, do to subscribers' packets. */
struct nat_rules {
	const struct config *config;
	const struct chain *chain;
	bool passed;	 /* a rule lets packets pass before any that translates them */
	bool translates; /* a rule does NAT, of any packets or of the sources of a mapping */
};

static bool is_named(const struct nlattr *expression, const char *name)
{
	const struct nlattr *a = netlink_nested(expression, NFTA_EXPR_NAME);

	return a && !strcmp(mnl_attr_get_str(a), name);
}

/* As nft writes it, and iptables by way of nftables. */
static bool does_nat(const struct nlattr *expression)
{
	const struct nlattr *target = netlink_nested(
		is_named(expression, "target") ? netlink_nested(expression, NFTA_EXPR_DATA) : NULL, NFTA_TARGET_NAME);

	return is_named(expression, "masq") || is_named(expression, "nat") ||
	       (target &&
		(!strcmp(mnl_attr_get_str(target), "MASQUERADE") || !strcmp(mnl_attr_get_str(target), "SNAT")));
}

static bool loads_source(const struct nlattr *expression)
{
	const struct nlattr *data = is_named(expression, "payload") ? netlink_nested(expression, NFTA_EXPR_DATA) : NULL;
	const struct nlattr *base = netlink_nested(data, NFTA_PAYLOAD_BASE),
			    *offset = netlink_nested(data, NFTA_PAYLOAD_OFFSET);

	return base && offset && ntohl(mnl_attr_get_u32(base)) == NFT_PAYLOAD_NETWORK_HEADER &&
	       ntohl(mnl_attr_get_u32(offset)) == SOURCE_AT;
}

/* Whether the value with which a source is compared, of 1 to 4 octets, begins the inside addresses of a mapping. */
static bool is_inside(const struct config *c, const struct nlattr *value)
{
	uint16_t length = mnl_attr_get_payload_len(value);
	uint32_t addr = 0;

	if (!length || length > sizeof(addr))
		return false;
	memcpy(&addr, mnl_attr_get_payload(value), length);
	for (size_t i = 0; i < c->n_mappings; i++) {
		struct prefix in = c->mappings[i].in;
		unsigned plen = length * 8U < in.plen ? length * 8U : in.plen;

		if (!((ntohl(addr) ^ in.base) & prefix_mask((uint8_t)plen)))
			return true;
	}
	return false;
}

static void visit_nat_rule(const struct nlmsghdr *h, void *arg)
{
	const struct nfgenmsg *nf = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NFTA_RULE_EXPRESSIONS + 1], *e, *value;
	struct nat_rules *r = arg;
	bool source = false, fits = true, nat = false, passes = false;

	if ((h->nlmsg_type & 0xff) != NFT_MSG_NEWRULE || nf->nfgen_family != r->chain->family || r->passed)
		return;
	netlink_attributes(h, sizeof(*nf), attr, ARRAY_SIZE(attr));
	if (!attr[NFTA_RULE_TABLE] || !attr[NFTA_RULE_CHAIN] || !attr[NFTA_RULE_EXPRESSIONS] ||
	    strcmp(mnl_attr_get_str(attr[NFTA_RULE_TABLE]), r->chain->table) != 0 ||
	    strcmp(mnl_attr_get_str(attr[NFTA_RULE_CHAIN]), r->chain->name) != 0)
		return;
	mnl_attr_for_each_nested(e, attr[NFTA_RULE_EXPRESSIONS])
	{
		int verdict = nft_verdict(e);

		value = is_named(e, "cmp")
				? netlink_nested(netlink_nested(netlink_nested(e, NFTA_EXPR_DATA), NFTA_CMP_DATA),
						 NFTA_DATA_VALUE)
				: NULL;
		if (value && source) {
			fits &= is_inside(r->config, value);
			source = false;
		}
		source |= loads_source(e);
		nat |= does_nat(e);
		passes |= verdict == NF_ACCEPT || verdict == NFT_RETURN;
	}
	r->translates |= nat && fits;
	r->passed = passes && fits && !r->translates;
}

/* Subscribers' packets meet it where the kernel forwards them all; of XDP's, only those that it leaves to the kernel.
 */
static void visit_masquerade(const struct nlmsghdr *h, void *arg)
{
	struct chains *c = arg;
	struct chain chain;
	struct nat_rules r = { .config = c->d->config, .chain = &chain };
	bool all = c->d->config->forwarding == FORWARDING_KERNEL;

	if (!chain_parse(h, &chain) || !chain_is_masquerade(&chain))
		return;
	c->found++;
	nft_visit(NFT_MSG_GETRULE, visit_nat_rule, &r);
	if (r.translates)
		doctor_say(c->d, all ? DOCTOR_FAILURE : DOCTOR_WARNING,
			   "nft delete table %s %s, or accept the inside prefixes before its rules: chain %s has rules "
			   "of NAT, of an earlier gateway? %s meet them first, get an address of theirs, and are not "
			   "translated: 'who' cannot answer for them",
			   chain.family == NFPROTO_INET ? "inet" : "ip", chain.table, chain.name,
			   all ? "Packets of subscribers" : "Packets that XDP leaves to the kernel, few,");
	else
		doctor_say(c->d, DOCTOR_WARNING,
			   "nftables table %s, chain %s: rules of NAT, as it seems for others than the subscribers; "
			   "packets of subscribers that met them would get an address of theirs, and not be translated",
			   chain.table, chain.name);
}

void doctor_masquerade(struct doctor *d)
{
	struct chains c = { .d = d };
	char text[64];

	nft_visit(NFT_MSG_GETCHAIN, visit_masquerade, &c);
	if (doctor_read(d, text, sizeof(text), "/proc/self/net/ip_tables_names") && !strcmp(text, "nat") && ++c.found)
		doctor_say(
			d, DOCTOR_WARNING,
			"iptables (legacy) has a table nat, of an earlier gateway? What the kernel forwards meets its "
			"rules first, and is then not translated: iptables-legacy -t nat -S shows them");
	if (!c.found)
		doctor_say(d, DOCTOR_OK, "nothing else does NAT at the end of the kernel's way");
}
