/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mechanisms that packets bypass when XDP forwards them: rules of nftables and iptables, connection tracking, queueing
 * disciplines and tc filters. With 'forwarding' 'kernel' they bypass none. A firewall that drops what the kernel
 * forwards is found with either: XDP leaves some packets to the kernel.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "attach/attach.h"
#include "diagnosis/doctor_nftables.h"
#include "host/netlink.h"

#define WHAT_TO_DO "; if they must, set 'forwarding' to 'kernel'"

static bool all_by_kernel(struct doctor *d)
{
	if (d->config->forwarding != FORWARDING_KERNEL)
		return false;
	doctor_say(d, DOCTOR_OK, "'forwarding' is 'kernel': packets pass all of it");
	return true;
}

static const char *const hooks[] = { "prerouting", "input", "forward", "output", "postrouting", "ingress" };

/* Of a thousand rules that drop, the first few suffice. */
#define MOST_RULES 3U

bool nft_is_own_table(const struct nlattr *name)
{
	return !strncmp(mnl_attr_get_str(name), "detnat", 6);
}

static bool is_bypassed_hook(uint8_t family, uint32_t hook)
{
	if (family == NFPROTO_NETDEV)
		return true; /* ingress is behind XDP, and redirected frames bypass egress */
	return (family == NFPROTO_IPV4 || family == NFPROTO_INET) &&
	       (hook == NF_INET_PRE_ROUTING || hook == NF_INET_FORWARD || hook == NF_INET_POST_ROUTING);
}

bool chain_parse(const struct nlmsghdr *h, struct chain *ret)
{
	const struct nfgenmsg *nf = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NFTA_CHAIN_TYPE + 1], *number;

	if ((h->nlmsg_type & 0xff) != NFT_MSG_NEWCHAIN)
		return false;
	netlink_attributes(h, sizeof(*nf), attr, ARRAY_SIZE(attr));
	if (!attr[NFTA_CHAIN_HOOK] || !attr[NFTA_CHAIN_TABLE] || !attr[NFTA_CHAIN_NAME])
		return false;
	number = netlink_nested(attr[NFTA_CHAIN_HOOK], NFTA_HOOK_HOOKNUM);
	if (!number || nft_is_own_table(attr[NFTA_CHAIN_TABLE]))
		return false;
	*ret = (struct chain){
		.table = mnl_attr_get_str(attr[NFTA_CHAIN_TABLE]),
		.name = mnl_attr_get_str(attr[NFTA_CHAIN_NAME]),
		.family = nf->nfgen_family,
		.hook = ntohl(mnl_attr_get_u32(number)),
		/* Rules count as uses. */
		.has_rules = attr[NFTA_CHAIN_USE] && mnl_attr_get_u32(attr[NFTA_CHAIN_USE]),
		.nat = attr[NFTA_CHAIN_TYPE] && !strcmp(mnl_attr_get_str(attr[NFTA_CHAIN_TYPE]), "nat"),
		.drops = attr[NFTA_CHAIN_POLICY] && ntohl(mnl_attr_get_u32(attr[NFTA_CHAIN_POLICY])) == NF_DROP,
	};
	return is_bypassed_hook(ret->family, ret->hook) && ret->hook < ARRAY_SIZE(hooks);
}

static const char *hook_name(const struct chain *c)
{
	return c->family == NFPROTO_NETDEV ? (c->hook ? "egress" : "ingress") : hooks[c->hook];
}

bool chain_is_masquerade(const struct chain *c)
{
	return c->nat && c->has_rules && c->family != NFPROTO_NETDEV && c->hook == NF_INET_POST_ROUTING;
}

static void visit_chain(const struct nlmsghdr *h, void *arg)
{
	struct chains *c = arg;
	struct chain chain;

	/* An empty chain that accepts has no effect; masquerading is told of by itself. */
	if (!chain_parse(h, &chain) || !(chain.has_rules || chain.drops) || chain_is_masquerade(&chain))
		return;
	c->found++;
	doctor_say(c->d, DOCTOR_WARNING, "nftables table %s, chain %s (%s): packets that XDP forwards do not pass it%s",
		   chain.table, chain.name, hook_name(&chain),
		   chain.drops
			   ? "; if they must, let it accept packets between inside and outside interfaces, then set "
			     "'forwarding' to 'kernel'"
			   : WHAT_TO_DO);
}

/* Which packets meet a rule. */
static const char *of_the_kernel(const struct doctor *d)
{
	return d->config->forwarding == FORWARDING_KERNEL
		       ? ""
		       : ", among them those that XDP leaves to the kernel (too long for a link, at the end of their "
			 "TTL, or by an interface without XDP)";
}

static void visit_dropping_chain(const struct nlmsghdr *h, void *arg)
{
	struct chains *c = arg;
	struct chain chain;

	if (!chain_parse(h, &chain) || !chain.drops)
		return;
	c->found++;
	if (!chain.has_rules && !*of_the_kernel(c->d)) {
		doctor_say(c->d, DOCTOR_FAILURE,
			   "nftables table %s, chain %s (%s): drops all packets, as it has no rule that accepts any; "
			   "accept packets between inside and outside interfaces",
			   chain.table, chain.name, hook_name(&chain));
		return;
	}
	doctor_say(c->d, DOCTOR_WARNING,
		   "nftables table %s, chain %s (%s): drops packets that none of its rules accepts%s; accept packets "
		   "between inside and outside interfaces",
		   chain.table, chain.name, hook_name(&chain), of_the_kernel(c->d));
}

int nft_verdict(const struct nlattr *expression)
{
	const struct nlattr *name = netlink_nested(expression, NFTA_EXPR_NAME), *code;
	const struct nlattr *data = netlink_nested(expression, NFTA_EXPR_DATA);

	if (!name || strcmp(mnl_attr_get_str(name), "immediate") != 0)
		return NFT_NO_VERDICT;
	data = netlink_nested(data, NFTA_IMMEDIATE_DATA);
	code = netlink_nested(netlink_nested(data, NFTA_DATA_VERDICT), NFTA_VERDICT_CODE);
	return code && mnl_attr_get_payload_len(code) == sizeof(uint32_t) ? (int)ntohl(mnl_attr_get_u32(code))
									  : NFT_NO_VERDICT;
}

/* Whether an expression of a rule drops or rejects. */
static bool expression_drops(const struct nlattr *expression)
{
	const struct nlattr *name = netlink_nested(expression, NFTA_EXPR_NAME);

	return nft_verdict(expression) == NF_DROP || (name && !strcmp(mnl_attr_get_str(name), "reject"));
}

static void visit_rule(const struct nlmsghdr *h, void *arg)
{
	const struct nfgenmsg *nf = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NFTA_RULE_EXPRESSIONS + 1], *e;
	struct chains *c = arg;
	bool drops = false;

	if ((h->nlmsg_type & 0xff) != NFT_MSG_NEWRULE ||
	    (nf->nfgen_family != NFPROTO_IPV4 && nf->nfgen_family != NFPROTO_INET &&
	     nf->nfgen_family != NFPROTO_NETDEV))
		return;
	netlink_attributes(h, sizeof(*nf), attr, ARRAY_SIZE(attr));
	if (!attr[NFTA_RULE_TABLE] || !attr[NFTA_RULE_CHAIN] || !attr[NFTA_RULE_EXPRESSIONS] ||
	    nft_is_own_table(attr[NFTA_RULE_TABLE]))
		return;
	mnl_attr_for_each_nested(e, attr[NFTA_RULE_EXPRESSIONS]) drops |= expression_drops(e);
	if (!drops || c->found++ >= MOST_RULES)
		return;
	doctor_say(c->d, DOCTOR_WARNING,
		   "nftables table %s, chain %s: a rule drops or rejects%s; 'nft monitor trace' shows whether it meets "
		   "subscribers",
		   mnl_attr_get_str(attr[NFTA_RULE_TABLE]), mnl_attr_get_str(attr[NFTA_RULE_CHAIN]),
		   of_the_kernel(c->d));
}

void nft_visit(uint16_t message, netlink_visit visit, void *arg)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	struct nlmsghdr *h;

	if (netlink_new_netfilter(&n))
		return;
	h = netlink_request(n, NFNL_SUBSYS_NFTABLES << 8 | message, NLM_F_DUMP, sizeof(struct nfgenmsg));
	((struct nfgenmsg *)mnl_nlmsg_get_payload(h))->nfgen_family = NFPROTO_UNSPEC;
	netlink_call(n, visit, arg); /* fails without nftables: nothing to find */
}

static unsigned visit_nftables(struct doctor *d, uint16_t message, netlink_visit visit)
{
	struct chains c = { .d = d };

	nft_visit(message, visit, &c);
	return c.found;
}

void doctor_dropping(struct doctor *d)
{
	unsigned found;

	found = visit_nftables(d, NFT_MSG_GETCHAIN, visit_dropping_chain);
	found += visit_nftables(d, NFT_MSG_GETRULE, visit_rule);
	if (!found)
		doctor_say(d, DOCTOR_OK, "no chain or rule of nftables drops packets that the kernel forwards");
}

void doctor_firewall(struct doctor *d)
{
	unsigned found;
	char text[64];

	if (all_by_kernel(d))
		return;
	found = visit_nftables(d, NFT_MSG_GETCHAIN, visit_chain);
	if (doctor_read(d, text, sizeof(text), "/proc/self/net/ip_tables_names") && text[0] && ++found)
		doctor_say(d, DOCTOR_WARNING,
			   "iptables (legacy) has tables: packets that XDP forwards do not pass them" WHAT_TO_DO);
	if (!found)
		doctor_say(d, DOCTOR_OK, "no rules that forwarding by XDP would bypass");
}

static void visit_object(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *attr[NFTA_OBJ_TYPE + 1];
	struct chains *c = arg;

	if ((h->nlmsg_type & 0xff) != NFT_MSG_NEWOBJ)
		return;
	netlink_attributes(h, sizeof(struct nfgenmsg), attr, ARRAY_SIZE(attr));
	if (!attr[NFTA_OBJ_TABLE] || !attr[NFTA_OBJ_NAME] || !attr[NFTA_OBJ_TYPE] ||
	    ntohl(mnl_attr_get_u32(attr[NFTA_OBJ_TYPE])) != NFT_OBJECT_CT_HELPER)
		return;
	c->found++;
	doctor_say(c->d, DOCTOR_WARNING,
		   "nftables table %s, connection tracking helper %s: it sees no packets that XDP forwards" WHAT_TO_DO,
		   mnl_attr_get_str(attr[NFTA_OBJ_TABLE]), mnl_attr_get_str(attr[NFTA_OBJ_NAME]));
}

void doctor_conntrack(struct doctor *d)
{
	long long entries = 0;
	unsigned helpers;

	if (all_by_kernel(d))
		return;
	helpers = visit_nftables(d, NFT_MSG_GETOBJ, visit_object);
	doctor_read_number(d, &entries, "/proc/sys/net/netfilter/nf_conntrack_count");
	if (entries > 0)
		doctor_say(d, DOCTOR_WARNING,
			   "connection tracking has %lld entr%s: packets that XDP forwards do not pass it, nor its "
			   "helpers (FTP, SIP)" WHAT_TO_DO,
			   entries, entries == 1 ? "y" : "ies");
	else if (!helpers)
		doctor_say(d, DOCTOR_OK, "nothing is tracked");
}

/* The kernel's defaults. */
static bool is_plain(const char *kind)
{
	static const char *const plain[] = { "noqueue", "mq",	 "pfifo_fast", "fq_codel", "fq",
					     "pfifo",	"bfifo", "clsact",     "ingress" };

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (!strcmp(kind, plain[i]))
			return true;
	return false;
}

static void visit_qdisc(const struct nlmsghdr *h, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[TCA_KIND + 1];
	struct chains *c = arg;
	const struct link *l = link_find(&c->d->links, (uint32_t)tc->tcm_ifindex);

	if (h->nlmsg_type != RTM_NEWQDISC || !l || !config_find_interface(c->d->config, l->name))
		return;
	netlink_attributes(h, sizeof(*tc), attr, ARRAY_SIZE(attr));
	if (tc->tcm_parent != TC_H_ROOT || !attr[TCA_KIND] || is_plain(mnl_attr_get_str(attr[TCA_KIND])))
		return;
	c->found++;
	doctor_say(c->d, DOCTOR_WARNING,
		   "%s: packets that XDP forwards do not wait in its queueing discipline %s" WHAT_TO_DO, l->name,
		   mnl_attr_get_str(attr[TCA_KIND]));
}

static void visit_filter(const struct nlmsghdr *h, void *arg)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(h);
	struct chains *c = arg;

	/* The upper half of tcm_info is the preference; 0: the header describes no filter. */
	if (h->nlmsg_type == RTM_NEWTFILTER && tc->tcm_handle && tc->tcm_info >> 16 != TC_PRIORITY)
		c->found++;
}

struct linked {
	uint32_t own[N_TC_SIDES];
	unsigned found;
};

static int visit_linked(uint32_t id, void *arg)
{
	struct linked *l = arg;
	bool own = false;

	for (enum tc_side side = 0; side < N_TC_SIDES; side++)
		own |= l->own[side] == id;
	l->found += !own;
	return 0;
}

/* Programs at tcx that are not detnat's. */
static unsigned count_linked(const struct doctor *d, uint32_t ifindex, bool egress)
{
	struct linked l = { 0 };

	for (enum tc_side side = 0; side < N_TC_SIDES; side++)
		l.own[side] = tcx_program(d->config->pin_path, ifindex, side);
	tcx_visit_programs(ifindex, egress ? TC_EGRESS : TC_INGRESS, visit_linked, &l);
	return l.found;
}

/* Filters and programs that are not detnat's, at both sides of the tc hook. */
static unsigned find_filters(struct doctor *d, const struct link *l)
{
	static const struct {
		const char *name;
		uint32_t parent;
	} sides[] = {
		{ "ingress", TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) },
		{ "egress", TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS) },
	};
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		struct nlmsghdr *h = netlink_request(d->netlink, RTM_GETTFILTER, NLM_F_DUMP, sizeof(struct tcmsg));
		struct tcmsg *tc = mnl_nlmsg_get_payload(h);
		struct chains c = { .d = d };

		tc->tcm_ifindex = (int)l->ifindex;
		tc->tcm_parent = sides[i].parent;
		netlink_call(d->netlink, visit_filter, &c); /* fails without the qdisc: there are none */
		if (!c.found && !count_linked(d, l->ifindex, i == 1))
			continue;
		found++;
		doctor_say(d, DOCTOR_WARNING,
			   "%s: packets that XDP forwards do not pass the tc filters and programs at its %s" WHAT_TO_DO,
			   l->name, sides[i].name);
	}
	return found;
}

void doctor_queueing(struct doctor *d)
{
	struct chains c = { .d = d };
	struct nlmsghdr *h;

	if (all_by_kernel(d))
		return;
	h = netlink_request(d->netlink, RTM_GETQDISC, NLM_F_DUMP, sizeof(struct tcmsg));
	((struct tcmsg *)mnl_nlmsg_get_payload(h))->tcm_family = AF_UNSPEC;
	netlink_call(d->netlink, visit_qdisc, &c);
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l)
			c.found += find_filters(d, l);
	}
	if (!c.found)
		doctor_say(d, DOCTOR_OK, "no queueing discipline or filter that forwarding by XDP would bypass");
}
