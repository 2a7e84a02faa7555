/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard's table: what the batch that writes it says, message by message; that a kernel takes it and then holds the
 * same; and that each thing others change in it is seen.
 */
#include <criterion/criterion.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <string.h>

#include "guard/nft.h"

#define MANY 1000U

/* The batch. */

/* Lines, joined by new lines, in the order of the batch; freed by the caller. */
static char *text_of(const struct guard_rules *rules)
{
	_cleanup_image_ struct guard_image image = { 0 };
	_cleanup_batch_ struct guard_batch batch = { 0 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	cr_assert_eq(guard_rules_make(rules, 0, false, &batch), 0);
	guard_image_add_batch(&image, &batch, rules->table);
	cr_assert_not(image.failed);
	for (size_t i = 0; i < image.n; i++)
		fprintf(f, "%s\n", image.line[i]);
	fclose(f);
	return text;
}

#define SETS                                          \
	"table: awake\n"                              \
	"set inside: flags 4, keys of 4 octets\n"     \
	"set bypass: flags 4, keys of 4 octets\n"     \
	"set interfaces: flags 0, keys of 4 octets\n" \
	"set held: flags 4, keys of 4 octets\n"
#define CHAINS                                                           \
	"object drop_guard_out: type 1\n"                                \
	"object drop_guard_in: type 1\n"                                 \
	"chain incoming: type filter, hook 0, priority -300, policy 1\n" \
	"chain outgoing: type filter, hook 4, priority 300, policy 1\n"

#define ACCEPT_OPEN(key) "[meta load " key " => reg 1 ] [lookup reg 1 set interfaces 0x0 ] [immediate reg 0 accept ]\n"
#define ACCEPT_OWN	 "[meta load iif => reg 1 ] [cmp eq reg 1 0x00000000 ] [immediate reg 0 accept ]\n"
#define DROP_IN(set)                                                                         \
	"[meta load nfproto => reg 1 ] [cmp eq reg 1 0x00000002 ]"                           \
	" [payload load 4b @ network header + 16 => reg 1 ] [lookup reg 1 set " set " 0x0 ]" \
	" [payload load 4b @ network header + 12 => reg 1 ] [lookup reg 1 set bypass 0x1 ]"  \
	" [fib daddr type => reg 1 ] [cmp neq reg 1 0x00000002 ]"                            \
	" [objref type 1 name drop_guard_in ] [immediate reg 0 drop ]\n"
#define DROP_OUT(set)                                                                        \
	"[meta load nfproto => reg 1 ] [cmp eq reg 1 0x00000002 ]"                           \
	" [payload load 4b @ network header + 12 => reg 1 ] [lookup reg 1 set " set " 0x0 ]" \
	" [payload load 4b @ network header + 16 => reg 1 ] [lookup reg 1 set bypass 0x1 ]"  \
	" [fib saddr type => reg 1 ] [cmp neq reg 1 0x00000002 ]"                            \
	" [objref type 1 name drop_guard_out ] [immediate reg 0 drop ]\n"
#define DROP_WRAPPED(set)                                                                      \
	"[meta load nfproto => reg 1 ] [cmp eq reg 1 0x0000000a ]"                             \
	" [payload load 4b @ transport header + 12 => reg 1 ] [lookup reg 1 set " set " 0x0 ]" \
	" [payload load 4b @ transport header + 16 => reg 1 ] [lookup reg 1 set bypass 0x1 ]"  \
	" [meta load l4proto => reg 1 ] [cmp eq reg 1 0x00000004 ]"                            \
	" [fib saddr type => reg 1 ] [cmp eq reg 1 0x00000002 ]"                               \
	" [objref type 1 name drop_guard_out ] [immediate reg 0 drop ]\n"

#define DROP_FRAME(set)                                                                        \
	"[meta load nfproto => reg 1 ] [cmp eq reg 1 0x0000000a ]"                             \
	" [payload load 4b @ transport header + 26 => reg 1 ] [lookup reg 1 set " set " 0x0 ]" \
	" [payload load 4b @ transport header + 30 => reg 1 ] [lookup reg 1 set bypass 0x1 ]"  \
	" [meta load l4proto => reg 1 ] [cmp eq reg 1 0x0000008f ]"                            \
	" [fib saddr type => reg 1 ] [cmp eq reg 1 0x00000002 ]"                               \
	" [objref type 1 name drop_guard_out ] [immediate reg 0 drop ]\n"

#define ACCEPT_INDEX(key) "[meta load " key " => reg 1 ] [cmp eq reg 1 0x%08x ] [immediate reg 0 accept ]\n"
#define FEW		  4U /* so many interfaces are compared before their set is searched */

struct row {
	const char *name;
	struct address_range inside[4];
	size_t n_inside;
	struct address_range bypass[4];
	size_t n_bypass;
	uint32_t interfaces[FEW + 1];
	size_t n_interfaces;
	struct address_range held[4];
	size_t n_held;
	const char *elements;
};

static const struct row rows[] = {
	{ "nothing", .elements = "" },
	{ "one mapping, no interface",
	  { { 0x0a000000, 0x0a003fff } },
	  1,
	  .elements = "set inside: what ends before 0.0.0.0\n"
		      "set inside: what begins with 10.0.0.0\nset inside: what ends before 10.0.64.0\n" },
	{ "inside and outside",
	  { { 0x0a000000, 0x0a003fff } },
	  1,
	  .interfaces = { 2, 70000 },
	  .n_interfaces = 2,
	  .elements = "set inside: what ends before 0.0.0.0\n"
		      "set inside: what begins with 10.0.0.0\nset inside: what ends before 10.0.64.0\n"
		      "set interfaces: interface 2\nset interfaces: interface 70000\n" },
	{ "NAT on a stick: one interface of both roles",
	  { { 0x0a000000, 0x0a000000 } },
	  1,
	  .interfaces = { 9 },
	  .n_interfaces = 1,
	  .elements = "set inside: what ends before 0.0.0.0\n"
		      "set inside: what begins with 10.0.0.0\nset inside: what ends before 10.0.0.1\n"
		      "set interfaces: interface 9\n" },
	{ "few interfaces",
	  { { 0x0a000000, 0x0a000000 } },
	  1,
	  .interfaces = { 2, 3, 5, 8 },
	  .n_interfaces = FEW,
	  .held = { { 0x0a000000, 0x0a000000 } },
	  .n_held = 1,
	  .elements = "set inside: what ends before 0.0.0.0\n"
		      "set inside: what begins with 10.0.0.0\nset inside: what ends before 10.0.0.1\n"
		      "set held: what ends before 0.0.0.0\n"
		      "set held: what begins with 10.0.0.0\nset held: what ends before 10.0.0.1\n"
		      "set interfaces: interface 2\nset interfaces: interface 3\n"
		      "set interfaces: interface 5\nset interfaces: interface 8\n" },
	{ "one interface too many for that",
	  { { 0x0a000000, 0x0a000000 } },
	  1,
	  .interfaces = { 2, 3, 5, 8, 13 },
	  .n_interfaces = FEW + 1,
	  .elements = "set inside: what ends before 0.0.0.0\n"
		      "set inside: what begins with 10.0.0.0\nset inside: what ends before 10.0.0.1\n"
		      "set interfaces: interface 2\nset interfaces: interface 3\n"
		      "set interfaces: interface 5\nset interfaces: interface 8\nset interfaces: interface 13\n" },
	{ "mappings and bypass, at both ends of the addresses",
	  { { 0, 0xff }, { 0x64400000, 0x647fffff }, { 0xfffffff0, 0xffffffff } },
	  3,
	  { { 0x0a000000, 0x0affffff }, { 0xc0000200, 0xc00002ff } },
	  2,
	  .elements = "set inside: what begins with 0.0.0.0\nset inside: what ends before 0.0.1.0\n"
		      "set inside: what begins with 100.64.0.0\nset inside: what ends before 100.128.0.0\n"
		      "set inside: what begins with 255.255.255.240\n"
		      "set bypass: what ends before 0.0.0.0\n"
		      "set bypass: what begins with 10.0.0.0\nset bypass: what ends before 11.0.0.0\n"
		      "set bypass: what begins with 192.0.2.0\nset bypass: what ends before 192.0.3.0\n" },
	{ "a mapping that is held",
	  { { 0x0a000000, 0x0a003fff } },
	  1,
	  .held = { { 0x0a000000, 0x0a0000ff } },
	  .n_held = 1,
	  .elements = "set inside: what ends before 0.0.0.0\n"
		      "set inside: what begins with 10.0.0.0\nset inside: what ends before 10.0.64.0\n"
		      "set held: what ends before 0.0.0.0\n"
		      "set held: what begins with 10.0.0.0\nset held: what ends before 10.0.1.0\n" },
	{ "all addresses", { { 0, 0xffffffff } }, 1, .elements = "set inside: what begins with 0.0.0.0\n" },
};

static struct guard_rules rules_of(const struct row *r)
{
	struct guard_rules rules = {
		.inside = (struct address_range *)r->inside,
		.n_inside = r->n_inside,
		.bypass = (struct address_range *)r->bypass,
		.n_bypass = r->n_bypass,
		.held = (struct address_range *)r->held,
		.n_held = r->n_held,
		.interfaces = r->interfaces,
		.n_interfaces = r->n_interfaces,
	};

	guard_table_name("/sys/fs/bpf/detnat", rules.table, rules.comment);
	return rules;
}

static void print_rule(FILE *f, const char *chain, unsigned *number, const char *rule)
{
	fprintf(f, "chain %s: rule %u %s", chain, ++*number, rule);
}

static void print_accept(FILE *f, const char *chain, unsigned *number, const struct row *row, bool incoming)
{
	char rule[128];

	for (size_t i = 0; i < row->n_interfaces && row->n_interfaces <= FEW; i++) {
		snprintf(rule, sizeof(rule), incoming ? ACCEPT_INDEX("iif") : ACCEPT_INDEX("oif"), row->interfaces[i]);
		print_rule(f, chain, number, rule);
	}
	print_rule(f, chain, number, incoming ? ACCEPT_OPEN("iif") : ACCEPT_OPEN("oif"));
}

static void print_drops_out(FILE *f, unsigned *number, bool held)
{
	print_rule(f, "outgoing", number, held ? DROP_OUT("held") : DROP_OUT("inside"));
	print_rule(f, "outgoing", number, held ? DROP_WRAPPED("held") : DROP_WRAPPED("inside"));
	print_rule(f, "outgoing", number, held ? DROP_FRAME("held") : DROP_FRAME("inside"));
}

/* The rules that a row requires. Freed by the caller. */
static char *rules_text(const struct row *row)
{
	unsigned in = 0, out = 0;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (row->n_held)
		print_rule(f, "incoming", &in, DROP_IN("held"));
	print_accept(f, "incoming", &in, row, true);
	print_rule(f, "incoming", &in, DROP_IN("inside"));
	if (row->n_held) {
		print_rule(f, "outgoing", &out, ACCEPT_OWN);
		print_drops_out(f, &out, true);
	}
	print_accept(f, "outgoing", &out, row, false);
	print_rule(f, "outgoing", &out, ACCEPT_OWN);
	print_drops_out(f, &out, false);
	fclose(f);
	return text;
}

/*
 * Roles change no rule but those that compare few interfaces, bypass and `unmatched` none: they are in the sets, and
 * `unmatched` is no business of the guard.
 */
Test(guard_rules, compare_few_interfaces_and_the_sets_are_what_is_configured)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct guard_rules rules = rules_of(&rows[i]);
		_cleanup_free_ char *text = text_of(&rules);
		_cleanup_free_ char *rules_wanted = rules_text(&rows[i]);
		_cleanup_free_ char *wanted = NULL;

		cr_assert(asprintf(&wanted, "%s%s%s%s", SETS, rows[i].elements, CHAINS, rules_wanted) > 0);
		cr_expect_str_eq(text, wanted, "%s", rows[i].name);
	}
}

/*
 * Of IPv6 subscribers, and the NAT64 prefix of their mapping: what comes from it, but for the gateway, is forged, and
 * what leaves to it has not been translated. Others may have a translator of the same prefix.
 */
Test(guard_rules, of_ipv6_subscribers_and_the_prefix_of_their_mapping)
{
	struct guard_six six[] = {
		{ .in = { 0x20010db840000000, 0 },
		  .in_plen = 36,
		  .nat64 = { 0x0064ff9b00000000, 0 },
		  .nat64_plen = 96 },
		{ .in = { 0x20010db850000000, 0 },
		  .in_plen = 48,
		  .nat64 = { 0x20010db800640000, 0 },
		  .nat64_plen = 48 },
	};
	/* Sources are at 8, destinations at 24; numbers as the processor has the octets. */
#define IN_FIRST   IN_PREFIX("0xffffffff 0x000000f0 0x00000000", "0xb80d0120 0x00000040 0x00000000")
#define IN_SECOND  IN_PREFIX("0xffffffff 0x0000ffff 0x00000000", "0xb80d0120 0x00000050 0x00000000")
#define OUT_FIRST  IN_PREFIX("0xffffffff 0xffffffff 0xffffffff", "0x9bff6400 0x00000000 0x00000000")
#define OUT_SECOND IN_PREFIX("0xffffffff 0x0000ffff 0x00000000", "0xb80d0120 0x00006400 0x00000000")
#define IN_PREFIX(mask, value)                                                                                         \
	" => reg 1 ] [bitwise reg 1 = ( reg 1 & " mask " 0x00000000 ) ^ 0x00000000 0x00000000 0x00000000 0x00000000 ]" \
	" [cmp eq reg 1 " value " 0x00000000 ]"
#define RULE(in_at, in, nat64_at, nat64, counter)                                                                 \
	"[meta load nfproto => reg 1 ] [cmp eq reg 1 0x0000000a ] [payload load 16b @ network header + " in_at in \
	" [payload load 16b @ network header + " nat64_at nat64 " [objref type 1 name " counter                   \
	" ] [immediate reg 0 drop ]\n"
	static const char *const wanted[] = {
		"chain incoming: rule 3 " RULE("24", IN_FIRST, "8", OUT_FIRST, "drop_guard_in"),
		"chain incoming: rule 4 " RULE("24", IN_SECOND, "8", OUT_SECOND, "drop_guard_in"),
		"chain outgoing: rule 6 " RULE("8", IN_FIRST, "24", OUT_FIRST, "drop_guard_out"),
		"chain outgoing: rule 7 " RULE("8", IN_SECOND, "24", OUT_SECOND, "drop_guard_out"),
	};
	struct guard_rules rules = rules_of(&rows[0]);
	_cleanup_free_ char *text = NULL;

	rules.six = six;
	rules.n_six = ARRAY_SIZE(six);
	text = text_of(&rules);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		cr_expect(strstr(text, wanted[i]), "%s is not in\n%s", wanted[i], text);
	cr_expect_not(strstr(text, "incoming: rule 5"), "%s", text);
	cr_expect_not(strstr(text, "outgoing: rule 8"), "%s", text);
}

/* MANY mappings with a gap behind each, so that none can be merged. */
static struct guard_rules many(struct address_range range[static MANY], uint32_t index[static MANY])
{
	struct guard_rules rules = { .inside = range,
				     .n_inside = MANY,
				     .bypass = range,
				     .n_bypass = MANY,
				     .interfaces = index,
				     .n_interfaces = MANY };

	for (uint32_t i = 0; i < MANY; i++) {
		range[i] = (struct address_range){ 0x0a000000 + 512 * i, 0x0a0000ff + 512 * i };
		index[i] = i + 1;
	}
	guard_table_name("/x", rules.table, rules.comment);
	return rules;
}

/* 128 elements go into a message; below, at, and above that. */
Test(guard_rules, hold_each_of_many_elements_once)
{
	static struct address_range range[MANY];
	static uint32_t index[MANY];

	for (size_t n = 0; n <= MANY; n += n < 390 ? 1 : 305) {
		struct guard_rules rules = many(range, index);
		_cleanup_image_ struct guard_image image = { 0 };
		_cleanup_batch_ struct guard_batch batch = { 0 };
		size_t found[3] = { 0 };

		rules.n_inside = rules.n_bypass = rules.n_interfaces = n;
		cr_assert_eq(guard_rules_make(&rules, 0, false, &batch), 0);
		guard_image_add_batch(&image, &batch, rules.table);
		for (size_t i = 0; i < image.n; i++) {
			found[0] += !strncmp(image.line[i], "set inside: what", 16);
			found[1] += !strncmp(image.line[i], "set bypass: what", 16);
			found[2] += !strncmp(image.line[i], "set interfaces: interface", 25);
		}
		cr_assert_eq(found[0], n ? 2 * n + 1 : 0, "%zu ranges: %zu elements", n, found[0]);
		cr_assert_eq(found[1], found[0]);
		cr_assert_eq(found[2], n);
	}
}

/* Types of the batch's messages, and the flags of its table. */
static size_t types_of(const struct guard_rules *rules, uint32_t flags, bool anew, uint8_t *type, size_t room)
{
	_cleanup_batch_ struct guard_batch batch = { 0 };
	const struct nlmsghdr *h;
	size_t n = 0;

	cr_assert_eq(guard_rules_make(rules, flags, anew, &batch), 0);
	for (size_t at = 0; at < batch.size && n < room; at += NLMSG_ALIGN(h->nlmsg_len)) {
		struct nftnl_table *t = nftnl_table_alloc();

		h = (const struct nlmsghdr *)(batch.data + at);
		type[n++] = (uint8_t)NFNL_MSG_TYPE(h->nlmsg_type);
		if (NFNL_SUBSYS_ID(h->nlmsg_type) == NFNL_SUBSYS_NFTABLES && type[n - 1] == NFT_MSG_NEWTABLE) {
			cr_assert_eq(nftnl_table_nlmsg_parse(h, t), 0);
			cr_expect_eq(nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS), flags);
			cr_expect_str_eq(nftnl_table_get_str(t, NFTNL_TABLE_NAME), "detnat");
		}
		nftnl_table_free(t);
	}
	return n;
}

Test(guard_rules, empty_what_is_there_before_they_fill_it)
{
	static const uint8_t wanted[] = {
		NFNL_MSG_BATCH_BEGIN, NFT_MSG_NEWTABLE, NFT_MSG_NEWSET,	 NFT_MSG_DELSET,     NFT_MSG_NEWSET,
		NFT_MSG_NEWSET,	      NFT_MSG_DELSET,	NFT_MSG_NEWSET,	 NFT_MSG_NEWSET,     NFT_MSG_DELSET,
		NFT_MSG_NEWSET,	      NFT_MSG_NEWSET,	NFT_MSG_DELSET,	 NFT_MSG_NEWSET,     NFT_MSG_NEWSETELEM,
		NFT_MSG_NEWSETELEM,   NFT_MSG_NEWOBJ,	NFT_MSG_NEWOBJ,	 NFT_MSG_NEWCHAIN,   NFT_MSG_NEWCHAIN,
		NFT_MSG_DELRULE,      NFT_MSG_DELRULE,	NFT_MSG_NEWRULE, NFT_MSG_NEWRULE,    NFT_MSG_NEWRULE,
		NFT_MSG_NEWRULE,      NFT_MSG_NEWRULE,	NFT_MSG_NEWRULE, NFT_MSG_NEWRULE,    NFT_MSG_NEWRULE,
		NFT_MSG_NEWRULE,      NFT_MSG_NEWRULE,	NFT_MSG_NEWRULE, NFNL_MSG_BATCH_END,
	};
	const struct guard_rules rules = rules_of(&rows[2]);
	uint8_t type[64];
	size_t n = types_of(&rules, NFT_TABLE_F_OWNER, false, type, sizeof(type));

	cr_assert_eq(n, sizeof(wanted));
	cr_expect_arr_eq(type, wanted, sizeof(wanted));
	n = types_of(&rules, 0, true, type, sizeof(type));
	cr_assert_eq(n, sizeof(wanted) + 1);
	cr_expect_eq(type[1], NFT_MSG_DELTABLE);
	cr_expect_arr_eq(type + 2, wanted + 1, sizeof(wanted) - 1);
}

/* A kernel, in a network namespace of the test's own. */

static struct guard_nft *nft;

static void set_up(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(guard_nft_new(&nft), 0);
}

static void tear_down(void)
{
	guard_nft_free(nft);
}

TestSuite(guard_kernel, .init = set_up, .fini = tear_down);

static void expect_same(const struct guard_rules *rules, const char *name)
{
	struct findings findings = { 0 };
	size_t parts;

	cr_assert_eq(guard_compare(nft, rules, &findings, &parts), 0, "%s", name);
	cr_expect_eq(findings.n, 0, "%s: %s: %s", name, findings.n ? findings.finding[0].where : "",
		     findings.n ? findings.finding[0].text : "");
	findings_free(&findings);
}

Test(guard_kernel, holds_what_was_written)
{
	static struct address_range range[MANY];
	static uint32_t index[MANY];
	struct guard_rules all = many(range, index);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct guard_rules rules = rules_of(&rows[i]);

		cr_assert_eq(guard_nft_write(nft, &rules), 0, "%s", rows[i].name);
		expect_same(&rules, rows[i].name);
	}
	for (size_t n = 0; n <= MANY; n += 250) {
		all.n_inside = all.n_bypass = all.n_interfaces = n;
		cr_assert_eq(guard_nft_write(nft, &all), 0);
		expect_same(&all, "many");
	}
	cr_assert_eq(guard_nft_write_anew(nft, &all), 0);
	expect_same(&all, "many, anew");
}

/* The table as nobody's, so that nft may change it. */
static struct guard_rules write_unowned(void)
{
	static const struct address_range inside[] = { { 0x0a000000, 0x0a003fff } };
	static const uint32_t index[] = { 1 };
	struct guard_rules rules = {
		.inside = (struct address_range *)inside, .n_inside = 1, .interfaces = index, .n_interfaces = 1
	};

	guard_table_name("/sys/fs/bpf/detnat", rules.table, rules.comment);
	setenv("COMMENT", rules.comment, 1);
	cr_assert_eq(system("nft \"table inet detnat { comment \\\"$COMMENT\\\"; }\""), 0);
	cr_assert_eq(guard_nft_write(nft, &rules), 0);
	expect_same(&rules, "unowned");
	return rules;
}

Test(guard_kernel, shows_what_others_have_changed)
{
	static const struct {
		const char *command, *where;
		size_t findings;
	} changes[] = {
		{ "delete table inet detnat", "table", 1 },
		{ "flush chain inet detnat incoming", "chain incoming", 3 },
		{ "insert rule inet detnat outgoing accept", "chain outgoing", 13 },
		{ "add rule inet detnat outgoing accept", "chain outgoing", 1 },
		{ "add chain inet detnat incoming { policy drop; }", "chain incoming", 2 },
		{ "add chain inet detnat more", "chain more", 1 },
		{ "add element inet detnat inside { 10.9.0.0/24 }", "set inside", 2 },
		{ "flush set inet detnat inside", "set inside", 3 },
		{ "add element inet detnat bypass { 0.0.0.0/0 }", "set bypass", 1 },
		{ "flush set inet detnat interfaces", "set interfaces", 1 },
		{ "add set inet detnat more { type mark; }", "set more", 1 },
		{ "add counter inet detnat more", "object more", 1 },
		{ "add table inet detnat { flags dormant; }", "table", 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		const struct guard_rules rules = write_unowned();
		struct findings findings = { 0 };
		char command[256];
		size_t parts;

		snprintf(command, sizeof(command), "nft '%s'", changes[i].command);
		cr_assert_eq(system(command), 0);
		cr_assert_eq(guard_compare(nft, &rules, &findings, &parts), 0);
		cr_expect_eq(findings.n, changes[i].findings, "%s: %zu findings", changes[i].command, findings.n);
		for (size_t k = 0; k < findings.n; k++)
			cr_expect_str_eq(findings.finding[k].where, changes[i].where, "%s: %s", changes[i].command,
					 findings.finding[k].text);
		findings_free(&findings);
		cr_assert_eq(guard_nft_write_anew(nft, &rules), 0);
		expect_same(&rules, changes[i].command);
		cr_assert_eq(guard_nft_remove(nft, &rules), 0);
	}
}

Test(guard_kernel, leaves_alone_what_no_guard_has_made)
{
	struct guard_rules rules = rules_of(&rows[1]);

	cr_assert_eq(system("nft 'table inet detnat { chain own { }; }'"), 0);
	cr_expect_eq(guard_nft_write(nft, &rules), -EEXIST);
	cr_expect_eq(guard_nft_write_anew(nft, &rules), -EEXIST);
	cr_expect_eq(guard_nft_look(nft, &rules), -ENOENT);
	cr_expect_eq(guard_nft_remove(nft, &rules), -ENOENT);
	cr_expect_eq(system("nft list chain inet detnat own >/dev/null"), 0);
}
