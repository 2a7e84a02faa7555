/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table inet detnat {
 *	chain incoming {
 *		type filter hook prerouting priority raw
 *		iif INDEX accept			for each interface, if there are few
 *		iif @interfaces accept
 *		ip daddr @inside ip saddr != @bypass fib daddr type != local counter name drop_guard_in drop
 *		ip6 saddr NAT64 ip6 daddr INSIDE counter name drop_guard_in drop	for each mapping of IPv6
 *	}
 *	chain outgoing {
 *		type filter hook postrouting priority 300
 *		oif INDEX accept			likewise
 *		oif @interfaces accept
 *		iif 0 accept
 *		ip saddr @inside ip daddr != @bypass fib saddr type != local counter name drop_guard_out drop
 *		meta nfproto ipv6 @th,96,32 @inside @th,128,32 != @bypass meta l4proto ipip fib saddr type local
 *			counter name drop_guard_out drop
 *		the same of @th,208,32, @th,240,32 and l4proto 143: an IPv4 packet in an Ethernet frame in IPv6
 *		ip6 saddr INSIDE ip6 daddr NAT64 counter name drop_guard_out drop	for each mapping of IPv6
 *	}
 * }
 *
 * Most packets cost a comparison or two per hook, or one lookup if there are many interfaces; only those that cross an
 * interface without a role go further. A comparison costs half of a lookup. Incoming packets are judged before anything
 * can translate their destination, and outgoing ones after anything has translated their source: if an operator's own
 * rules do so, it is not a leak. `iif 0` stands for what the gateway itself sends. A tunnel that ends at the gateway's
 * inside address has a source within a mapping, so local sources pass.
 *
 * While a mapping is being replaced, packets of @held are dropped in the same way, before interfaces are looked at.
 *
 * The rules of a chain are replaced atomically, the elements of a set are not. While a transaction replaces a range by
 * one that begins at the same address, a lookup may find neither (kernels before 7e43e0a1141d of January 2026); in
 *later kernels a set is empty from the moment that new rules use it until the end of their transaction. So sets are
 *never changed: new ones are created beside them, under the other name of the two in set_of(), and then the rules are
 * replaced.
 */
#include "guard/rules.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <string.h>

#include "base/fnv.h"
#include "config/config.h"

#define PRIORITY_RAW	     (-300)
#define PRIORITY_BEHIND_SNAT 300

#define INCOMING "incoming"
#define OUTGOING "outgoing"
/* nft's numbers for types of keys. */
#define TYPE_IPADDR  7
#define TYPE_IFINDEX 20

#define IPV4_SOURCE	 12
#define IPV4_DESTINATION 16
#define IPV6_SOURCE	 8
#define IPV6_DESTINATION 24

#define IPPROTO_ETHERNET_FRAME 143 /* RFC 8986 */

/* Up to so many interfaces are compared one by one before the set is searched. */
#define FEW_INTERFACES 4U

enum set { INSIDE, BYPASS, INTERFACES, HELD, SETS };

static const struct guard_set *set_of(unsigned place, enum set set)
{
	static const struct guard_set all[GUARD_PLACES][SETS] = {
		{
			{ "inside", 1, TYPE_IPADDR, NFT_SET_INTERVAL },
			{ "bypass", 2, TYPE_IPADDR, NFT_SET_INTERVAL },
			{ GUARD_SET_INTERFACES, 3, TYPE_IFINDEX, 0 },
			{ "held", 4, TYPE_IPADDR, NFT_SET_INTERVAL },
		},
		{
			{ "inside2", 5, TYPE_IPADDR, NFT_SET_INTERVAL },
			{ "bypass2", 6, TYPE_IPADDR, NFT_SET_INTERVAL },
			{ GUARD_SET_INTERFACES "2", 7, TYPE_IFINDEX, 0 },
			{ "held2", 8, TYPE_IPADDR, NFT_SET_INTERVAL },
		},
	};

	return &all[place][set];
}

const char *guard_set_name(unsigned number)
{
	return number < GUARD_PLACES * SETS ? set_of(number / SETS, number % SETS)->name : NULL;
}

void guard_table_name(const char *pin_path, char name[static GUARD_NAME], char comment[static GUARD_COMMENT])
{
	if (!strcmp(pin_path, CONFIG_PIN_PATH))
		snprintf(name, GUARD_NAME, "detnat");
	else
		snprintf(name, GUARD_NAME, "detnat-%08x", fnv1a_32(FNV1A_BEGIN32, pin_path, strlen(pin_path)));
	snprintf(comment, GUARD_COMMENT, "detnat-agent's guard for %.64s; what others change is undone", pin_path);
}

static void put_table(struct guard_batch *b, const struct guard_rules *rules, uint16_t type, uint16_t nl_flags,
		      uint32_t flags)
{
	struct nftnl_table *t = BATCH_CHECKED(b, nftnl_table_alloc());
	struct nftnl_udata_buf *udata = BATCH_CHECKED(b, nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
	struct nlmsghdr *h = t && udata ? batch_message(b, type, nl_flags) : NULL;

	if (h) {
		nftnl_table_set_str(t, NFTNL_TABLE_NAME, rules->table);
		if (type == NFT_MSG_NEWTABLE) {
			nftnl_udata_put_strz(udata, NFTNL_UDATA_TABLE_COMMENT, rules->comment);
			nftnl_table_set_data(t, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(udata),
					     nftnl_udata_buf_len(udata));
			nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, flags);
		}
		nftnl_table_nlmsg_build_payload(h, t);
		batch_message_end(b, h);
	}
	if (t)
		nftnl_table_free(t);
	if (udata)
		nftnl_udata_buf_free(udata);
}

static void put_counter(struct guard_batch *b, const struct guard_rules *rules, const char *name)
{
	struct nftnl_obj *o = BATCH_CHECKED(b, nftnl_obj_alloc());
	struct nlmsghdr *h = o ? batch_message(b, NFT_MSG_NEWOBJ, NLM_F_CREATE) : NULL;

	if (h) {
		nftnl_obj_set_str(o, NFTNL_OBJ_TABLE, rules->table);
		nftnl_obj_set_str(o, NFTNL_OBJ_NAME, name);
		nftnl_obj_set_u32(o, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
		nftnl_obj_set_u64(o, NFTNL_OBJ_CTR_PKTS, 0);
		nftnl_obj_set_u64(o, NFTNL_OBJ_CTR_BYTES, 0);
		nftnl_obj_nlmsg_build_payload(h, o);
		batch_message_end(b, h);
	}
	if (o)
		nftnl_obj_free(o);
}

static void put_chain(struct guard_batch *b, const struct guard_rules *rules, const char *name, uint32_t hook,
		      int32_t priority)
{
	struct nftnl_chain *c = BATCH_CHECKED(b, nftnl_chain_alloc());
	struct nlmsghdr *h = c ? batch_message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE) : NULL;

	if (h) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, rules->table);
		nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, priority);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		nftnl_chain_nlmsg_build_payload(h, c);
		batch_message_end(b, h);
	}
	if (c)
		nftnl_chain_free(c);
}

static struct nftnl_expr *add_expr(struct guard_batch *b, struct nftnl_rule *r, const char *name)
{
	struct nftnl_expr *e = r ? BATCH_CHECKED(b, nftnl_expr_alloc(name)) : NULL;

	if (e)
		nftnl_rule_add_expr(r, e);
	return e;
}

static void add_meta(struct guard_batch *b, struct nftnl_rule *r, uint32_t key)
{
	struct nftnl_expr *e = add_expr(b, r, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void add_cmp(struct guard_batch *b, struct nftnl_rule *r, uint32_t operation, const void *value, uint32_t size)
{
	struct nftnl_expr *e = add_expr(b, r, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, operation);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, value, size);
}

static void add_meta_is(struct guard_batch *b, struct nftnl_rule *r, uint32_t key, uint8_t value)
{
	add_meta(b, r, key);
	add_cmp(b, r, NFT_CMP_EQ, &value, sizeof(value));
}

static void add_lookup(struct guard_batch *b, struct nftnl_rule *r, const struct guard_set *set, bool inverted)
{
	struct nftnl_expr *e = add_expr(b, r, "lookup");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set->name);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, inverted ? NFT_LOOKUP_F_INV : 0);
}

/* Matches if the address at an offset of a header is, or with `inverted` is not, in a set. */
static void add_address(struct guard_batch *b, struct nftnl_rule *r, uint32_t header, uint32_t offset,
			const struct guard_set *set, bool inverted)
{
	struct nftnl_expr *e = add_expr(b, r, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, header);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, sizeof(uint32_t));
	add_lookup(b, r, set, inverted);
}

/* Matches if an address is, or is not, local to the gateway. flag: NFTA_FIB_F_SADDR or NFTA_FIB_F_DADDR. */
static void add_local(struct guard_batch *b, struct nftnl_rule *r, uint32_t flag, uint32_t operation)
{
	struct nftnl_expr *e = add_expr(b, r, "fib");
	uint32_t type = RTN_LOCAL;

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, flag);
	add_cmp(b, r, operation, &type, sizeof(type));
}

static void add_verdict(struct guard_batch *b, struct nftnl_rule *r, uint32_t verdict)
{
	struct nftnl_expr *e = add_expr(b, r, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, verdict);
}

static void add_drop(struct guard_batch *b, struct nftnl_rule *r, const char *counter)
{
	struct nftnl_expr *e = add_expr(b, r, "objref");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	nftnl_expr_set_str(e, NFTNL_EXPR_OBJREF_IMM_NAME, counter);
	add_verdict(b, r, NF_DROP);
}

static struct nftnl_rule *rule_new(struct guard_batch *b, const struct guard_rules *rules, const char *chain)
{
	struct nftnl_rule *r = BATCH_CHECKED(b, nftnl_rule_alloc());

	if (r) {
		nftnl_rule_set_str(r, NFTNL_RULE_TABLE, rules->table);
		nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain);
	}
	return r;
}

/* Adds a rule, or with NFT_MSG_DELRULE removes all rules of its chain. */
static void put_rule(struct guard_batch *b, struct nftnl_rule *r, uint16_t type)
{
	struct nlmsghdr *h = r ? batch_message(b, type, NLM_F_CREATE | NLM_F_APPEND) : NULL;

	if (h) {
		nftnl_rule_nlmsg_build_payload(h, r);
		batch_message_end(b, h);
	}
	if (r)
		nftnl_rule_free(r);
}

/* Packets of one interface. key: NFT_META_IIF or NFT_META_OIF. */
static void put_accept_one(struct guard_batch *b, const struct guard_rules *rules, const char *chain, uint32_t key,
			   uint32_t index)
{
	struct nftnl_rule *r = rule_new(b, rules, chain);

	add_meta(b, r, key);
	add_cmp(b, r, NFT_CMP_EQ, &index, sizeof(index));
	add_verdict(b, r, NF_ACCEPT);
	put_rule(b, r, NFT_MSG_NEWRULE);
}

/* Packets of the open interfaces. */
static void put_accept(struct guard_batch *b, const struct guard_rules *rules, const char *chain, uint32_t key)
{
	struct nftnl_rule *r;

	for (size_t i = 0; rules->n_interfaces <= FEW_INTERFACES && i < rules->n_interfaces; i++)
		put_accept_one(b, rules, chain, key, rules->interfaces[i]);
	r = rule_new(b, rules, chain);
	add_meta(b, r, key);
	add_lookup(b, r, set_of(rules->place, INTERFACES), false);
	add_verdict(b, r, NF_ACCEPT);
	put_rule(b, r, NFT_MSG_NEWRULE);
}

/* Matches if the IPv6 address at an offset of the header is in a prefix. */
static void add_prefix6(struct guard_batch *b, struct nftnl_rule *r, uint32_t offset, const struct address6 *addr,
			uint8_t plen)
{
	const struct address6 mask = prefix6_mask(plen);
	const uint64_t mask_octets[2] = { be64_number(mask.hi), be64_number(mask.lo) }, zero[2] = { 0 };
	const uint64_t octets[2] = { be64_number(addr->hi), be64_number(addr->lo) };
	struct nftnl_expr *e = add_expr(b, r, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, sizeof(octets));
	e = add_expr(b, r, "bitwise");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, sizeof(octets));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask_octets, sizeof(mask_octets));
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, sizeof(zero));
	add_cmp(b, r, NFT_CMP_EQ, octets, sizeof(octets));
}

/*
 * Packets of IPv6 subscribers to the NAT64 prefix of their mapping that would leave untranslated, or packets from it to
 * them, which only the gateway sends, and not through this chain. Others may have a translator of the same prefix.
 */
static void put_drop_six(struct guard_batch *b, const struct guard_rules *rules, const struct guard_six *six, bool out)
{
	struct nftnl_rule *r = rule_new(b, rules, out ? OUTGOING : INCOMING);

	add_meta_is(b, r, NFT_META_NFPROTO, NFPROTO_IPV6);
	add_prefix6(b, r, out ? IPV6_SOURCE : IPV6_DESTINATION, &six->in, six->in_plen);
	add_prefix6(b, r, out ? IPV6_DESTINATION : IPV6_SOURCE, &six->nat64, six->nat64_plen);
	add_drop(b, r, out ? GUARD_COUNTER_OUT : GUARD_COUNTER_IN);
	put_rule(b, r, NFT_MSG_NEWRULE);
}

static void put_all_six(struct guard_batch *b, const struct guard_rules *rules, bool out)
{
	for (size_t i = 0; i < rules->n_six; i++)
		put_drop_six(b, rules, &rules->six[i], out);
}

/* Packets addressed directly to an address in a set. */
static void put_drop_in(struct guard_batch *b, const struct guard_rules *rules, enum set inside)
{
	struct nftnl_rule *r = rule_new(b, rules, INCOMING);

	add_meta_is(b, r, NFT_META_NFPROTO, NFPROTO_IPV4);
	add_address(b, r, NFT_PAYLOAD_NETWORK_HEADER, IPV4_DESTINATION, set_of(rules->place, inside), false);
	add_address(b, r, NFT_PAYLOAD_NETWORK_HEADER, IPV4_SOURCE, set_of(rules->place, BYPASS), true);
	add_local(b, r, NFTA_FIB_F_DADDR, NFT_CMP_NEQ);
	add_drop(b, r, GUARD_COUNTER_IN);
	put_rule(b, r, NFT_MSG_NEWRULE);
}

static void put_incoming(struct guard_batch *b, const struct guard_rules *rules)
{
	if (rules->n_held)
		put_drop_in(b, rules, HELD);
	put_accept(b, rules, INCOMING, NFT_META_IIF);
	put_drop_in(b, rules, INSIDE);
	put_all_six(b, rules, false);
}

/*
 * IPv4 packets that an encapsulating route has wrapped: the outer source is the gateway's own, and the inner header
 * follows the outer headers at this offset.
 */
static void put_drop_wrapped(struct guard_batch *b, const struct guard_rules *rules, enum set inside, uint8_t protocol,
			     uint32_t offset)
{
	const struct guard_set *sources = set_of(rules->place, inside), *bypass = set_of(rules->place, BYPASS);
	struct nftnl_rule *r = rule_new(b, rules, OUTGOING);

	add_meta_is(b, r, NFT_META_NFPROTO, NFPROTO_IPV6);
	/* nft 1.0.6 cannot list the rule if the protocol comes before an expression that depends on it. */
	add_address(b, r, NFT_PAYLOAD_TRANSPORT_HEADER, offset + IPV4_SOURCE, sources, false);
	add_address(b, r, NFT_PAYLOAD_TRANSPORT_HEADER, offset + IPV4_DESTINATION, bypass, true);
	add_meta_is(b, r, NFT_META_L4PROTO, protocol);
	add_local(b, r, NFTA_FIB_F_SADDR, NFT_CMP_EQ);
	add_drop(b, r, GUARD_COUNTER_OUT);
	put_rule(b, r, NFT_MSG_NEWRULE);
}

/* Packets that leave with a source address in a set. */
static void put_drop_out(struct guard_batch *b, const struct guard_rules *rules, enum set inside)
{
	const struct guard_set *sources = set_of(rules->place, inside), *bypass = set_of(rules->place, BYPASS);
	struct nftnl_rule *r = rule_new(b, rules, OUTGOING);

	add_meta_is(b, r, NFT_META_NFPROTO, NFPROTO_IPV4);
	add_address(b, r, NFT_PAYLOAD_NETWORK_HEADER, IPV4_SOURCE, sources, false);
	add_address(b, r, NFT_PAYLOAD_NETWORK_HEADER, IPV4_DESTINATION, bypass, true);
	add_local(b, r, NFTA_FIB_F_SADDR, NFT_CMP_NEQ);
	add_drop(b, r, GUARD_COUNTER_OUT);
	put_rule(b, r, NFT_MSG_NEWRULE);
	put_drop_wrapped(b, rules, inside, IPPROTO_IPIP, 0);
	put_drop_wrapped(b, rules, inside, IPPROTO_ETHERNET_FRAME, ETH_HLEN);
}

static void put_accept_own(struct guard_batch *b, const struct guard_rules *rules)
{
	put_accept_one(b, rules, OUTGOING, NFT_META_IIF, 0);
}

static void put_outgoing(struct guard_batch *b, const struct guard_rules *rules)
{
	if (rules->n_held) {
		put_accept_own(b, rules);
		put_drop_out(b, rules, HELD);
	}
	put_accept(b, rules, OUTGOING, NFT_META_OIF);
	put_accept_own(b, rules);
	put_drop_out(b, rules, INSIDE);
	put_all_six(b, rules, true);
}

static void put_sets(struct guard_batch *b, const struct guard_rules *rules)
{
	for (enum set set = 0; set < SETS; set++)
		guard_make_set(b, rules, set_of(rules->place, set));
	guard_put_ranges(b, rules, set_of(rules->place, INSIDE)->name, rules->inside, rules->n_inside);
	guard_put_ranges(b, rules, set_of(rules->place, BYPASS)->name, rules->bypass, rules->n_bypass);
	guard_put_ranges(b, rules, set_of(rules->place, HELD)->name, rules->held, rules->n_held);
	guard_put_indexes(b, rules, set_of(rules->place, INTERFACES)->name, rules->interfaces, rules->n_interfaces);
}

/* Replaces all rules by chains that look in these sets. */
static void put_chains(struct guard_batch *b, const struct guard_rules *rules)
{
	put_counter(b, rules, GUARD_COUNTER_OUT);
	put_counter(b, rules, GUARD_COUNTER_IN);
	put_chain(b, rules, INCOMING, NF_INET_PRE_ROUTING, PRIORITY_RAW);
	put_chain(b, rules, OUTGOING, NF_INET_POST_ROUTING, PRIORITY_BEHIND_SNAT);
	put_rule(b, rule_new(b, rules, INCOMING), NFT_MSG_DELRULE);
	put_rule(b, rule_new(b, rules, OUTGOING), NFT_MSG_DELRULE);
	put_incoming(b, rules);
	put_outgoing(b, rules);
}

int guard_rules_make(const struct guard_rules *rules, uint32_t flags, bool anew, struct guard_batch *ret)
{
	batch_begin(ret);
	if (anew)
		put_table(ret, rules, NFT_MSG_DELTABLE, 0, 0);
	put_table(ret, rules, NFT_MSG_NEWTABLE, NLM_F_CREATE, flags);
	put_sets(ret, rules);
	put_chains(ret, rules);
	return batch_end(ret);
}

int guard_rules_try(const struct guard_rules *rules, struct guard_batch *ret)
{
	batch_begin(ret);
	guard_delete_set(ret, rules, set_of(rules->place, INSIDE));
	return batch_end(ret);
}

int guard_rules_fill(const struct guard_rules *rules, uint32_t flags, struct guard_batch *ret)
{
	batch_begin(ret);
	put_table(ret, rules, NFT_MSG_NEWTABLE, NLM_F_CREATE, flags);
	put_sets(ret, rules);
	return batch_end(ret);
}

int guard_rules_turn(const struct guard_rules *rules, struct guard_batch *ret)
{
	batch_begin(ret);
	put_chains(ret, rules);
	for (enum set set = 0; set < SETS; set++)
		guard_delete_set(ret, rules, set_of(!rules->place, set));
	return batch_end(ret);
}

int guard_rules_remove(const struct guard_rules *rules, struct guard_batch *ret)
{
	batch_begin(ret);
	put_table(ret, rules, NFT_MSG_DELTABLE, 0, 0);
	return batch_end(ret);
}
