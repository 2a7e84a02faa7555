// SPDX-License-Identifier: BSD-2-Clause
/* What import writes is what the agent reads: of random plans in each form, and of what it refuses. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

#include "config/config.h"
#include "import/import.h"
#include "import/import_prove.h"
#include "import_agree.h"
#include "rounds.h"

#define SEEDS 4000U

static uint64_t state;

static unsigned below(unsigned n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)((state >> 33) % n);
}

static unsigned between(unsigned lo, unsigned hi)
{
	return lo + below(hi - lo + 1);
}

static char text[1 << 18];

static void __attribute__((format(printf, 1, 2))) add(const char *format, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text + n, sizeof(text) - n, format, ap);
	va_end(ap);
}

/* A plan by address or by block, of any figures, in the terms that all forms share. */
struct shape {
	uint32_t in, out;
	unsigned subscribers, addresses, ratio, first, ports, pitch, plen;
	bool by_block;
};

static struct shape random_shape(void)
{
	struct shape s = { .by_block = below(2), .plen = between(28, 32) };

	s.addresses = s.by_block ? 1U << (32 - s.plen) : between(1, 6);
	s.ratio = between(1, 9);
	s.subscribers = s.by_block || below(2) ? s.addresses * s.ratio : between(1, s.addresses * s.ratio);
	s.first = below(4) ? 1024 : below(3000);
	s.ports = between(1, (65536 - s.first) / s.ratio);
	s.pitch = below(3) ? s.ports : between(s.ports, (65536 - s.first) / s.ratio);
	s.in = 0x64400000U + 16U * below(64) + (below(2) ? 0 : below(16));
	s.out = 0xc0000200U + s.addresses * below(8) + (s.by_block ? 0 : below(4));
	if (s.by_block)
		s.out &= ~(s.addresses - 1);
	return s;
}

static const char *name(uint32_t addr)
{
	static char names[8][ADDR_TEXT];
	static unsigned at;

	return addr_format(addr, names[at++ % 8]);
}

static void write_table(const struct shape *s)
{
	for (unsigned i = 0; i < s->subscribers; i++) {
		unsigned a = s->by_block ? i % s->addresses : i / s->ratio;
		unsigned k = s->by_block ? i / s->addresses : i % s->ratio, lo = s->first + s->pitch * k;

		if (below(40))
			add("%s %s %u %u\n", name(s->in + i), name(s->out + a), lo, lo + s->ports - 1);
	}
}

/* Prefixes that adjoin, or with a gap, each to the same outside addresses. */
static void write_netmaps(const struct shape *s, const char *format)
{
	uint32_t in = s->in & ~(s->addresses - 1);

	for (unsigned k = 0; k < s->ratio; k++, in += s->addresses * (below(20) ? 1 : 2)) {
		unsigned lo = s->first + s->pitch * k;

		for (unsigned udp = 0; udp < 2; udp++)
			add(format, udp ? "udp" : "tcp", name(in), 32 - __builtin_ctz(s->addresses),
			    name(s->out & ~(s->addresses - 1)), 32 - __builtin_ctz(s->addresses), lo,
			    lo + s->ports - 1);
	}
}

static void write_routeros(const struct shape *s)
{
	add("/ip firewall nat\n");
	write_netmaps(
		s, "add action=netmap chain=srcnat protocol=%s src-address=%s/%u to-addresses=%s/%u to-ports=%u-%u\n");
}

static void write_iptables(const struct shape *s)
{
	add("*nat\n");
	for (unsigned i = 0; i < s->subscribers && i < 64; i++) {
		unsigned lo = s->first + s->pitch * (i % s->ratio);

		for (unsigned udp = 0; udp < 2; udp++)
			add("-A POSTROUTING -s %s -p %s -j SNAT --to-source %s:%u-%u\n", name(s->in + i),
			    udp ? "udp" : "tcp", name(s->out + i / s->ratio), lo, lo + s->ports - 1);
	}
	add("COMMIT\n");
}

static void write_nft(const struct shape *s)
{
	add("table ip nat {\n map m {\n  type ipv4_addr : interval ipv4_addr . inet_service\n  elements = { ");
	for (unsigned i = 0; i < s->subscribers; i++) {
		unsigned lo = s->first + s->pitch * (i % s->ratio);

		add("%s%s : %s . %u-%u", i ? ", " : "", name(s->in + i), name(s->out + i / s->ratio), lo,
		    lo + s->ports - 1);
	}
	add(" }\n }\n chain p {\n  type nat hook postrouting priority 100;\n  meta l4proto { tcp, udp } snat ip to ip "
	    "saddr map @m\n }\n}\n");
}

static void write_vpp(const struct shape *s)
{
	for (unsigned i = between(1, 3); i; i--)
		add("det44 add in 10.%u.0.0/%u out 203.0.%u.0/%u\n", i, between(20, 26), between(0, 9),
		    between(26, 32));
}

static void write_vyos(const struct shape *s)
{
	add("set nat cgnat pool external E external-port-range '%u-65535'\n", s->first);
	add("set nat cgnat pool external E per-user-limit port '%u'\n", s->ports);
	add("set nat cgnat pool external E range %s-%s\n", name(s->out), name(s->out + s->addresses + 40));
	add("set nat cgnat pool internal I range '%s-%s'\n", name(s->in), name(s->in + s->subscribers - 1));
	if (below(2))
		add("set nat cgnat pool internal I range '10.9.0.%u/%u'\n", below(4) * 64, between(26, 30));
	add("set nat cgnat rule 10 source pool 'I'\nset nat cgnat rule 10 translation pool 'E'\n");
}

static void write_junos(const struct shape *s)
{
	add("set services nat pool P address %s/%u\n", name(s->out & ~15U), between(28, 31));
	add("set services nat pool P port deterministic-port-block-allocation block-size %u\n",
	    below(2) ? 0 : between(64, 4000));
	add("set services nat rule R match-direction input\nset services nat rule R term 4 from source-address %s/%u\n",
	    name(s->in & ~63U), between(26, 30));
	add("set services nat rule R term 4 then translated source-pool P\n"
	    "set services nat rule R term 4 then translated translation-type deterministic-napt44\n");
}

static void write_fortios(const struct shape *s)
{
	add("config firewall ippool\n edit \"p\"\n  set type fixed-port-range\n  set startip %s\n  set endip %s\n"
	    "  set source-startip %s\n  set source-endip %s\n next\nend\n",
	    name(s->out), name(s->out + s->addresses - 1), name(s->in), name(s->in + s->subscribers - 1));
}

static void write_h3c(const struct shape *s)
{
	add("nat444 static local %s %s global %s %s port-range %u 65535 block-size %u\n", name(s->in),
	    name(s->in + s->subscribers - 1), name(s->out), name(s->out + s->addresses - 1), s->first, s->ports);
}

static void write_nokia(const struct shape *s)
{
	add("/configure service vprn \"9\" nat outside pool \"d\" large-scale subscriber-limit %u\n", 1U << below(5));
	add("/configure service vprn \"9\" nat outside pool \"d\" large-scale deterministic port-reservation %u\n",
	    between(1, 2000));
	add("/configure service vprn \"9\" nat outside pool \"d\" address-range %s end %s\n", name(s->out),
	    name(s->out + 63));
	add("/configure service vprn \"8\" nat inside large-scale nat44 deterministic prefix-map %s/27 nat-policy "
	    "\"n\" map %s to %s "
	    "first-outside-address %s\n",
	    name(s->in & ~31U), name(s->in & ~31U), name((s->in & ~31U) + 31), name(s->out));
}

static const struct {
	enum import_format format;
	void (*write)(const struct shape *s);
} forms[] = {
	{ IMPORT_TABLE, write_table }, { IMPORT_ROUTEROS, write_routeros }, { IMPORT_IPTABLES, write_iptables },
	{ IMPORT_NFT, write_nft },     { IMPORT_VPP, write_vpp },	    { IMPORT_VYOS, write_vyos },
	{ IMPORT_JUNOS, write_junos }, { IMPORT_FORTIOS, write_fortios },   { IMPORT_H3C, write_h3c },
	{ IMPORT_NOKIA, write_nokia },
};

/* The agent's own answer: the smallest mapping around an inside address. */
static bool has_by_agent(const struct config *c, const struct import_row *row)
{
	const struct config_mapping *found = NULL;
	struct geometry g;
	struct port_block b;

	for (size_t i = 0; i < c->n_mappings; i++) {
		struct prefix in = c->mappings[i].in;

		if (row->in >= in.base && row->in <= prefix_last(in) &&
		    (!found || prefix_last(in) - in.base < prefix_last(found->in) - found->in.base))
			found = &c->mappings[i];
	}
	if (!found || config_mapping_geometry(found, &g))
		return false;
	b = mapping_forward(&g, row->in);
	return b.out_addr == row->out && b.port_lo == (row->lo ? row->lo : 1) && b.port_hi == row->hi;
}

/* Reads, fits and asks the agent, as the command does; NULL: the file is refused. */
static struct import *take(enum import_format format, bool shrink)
{
	const struct import_options options = { .junos_pool_boundaries = -1 };
	struct import *m = NULL;
	struct error err = {};

	if (import_read(format, text, strlen(text), "FILE", &options, &m, &err))
		return NULL;
	cr_assert_eq(import_fit(m, shrink), 0);
	cr_assert_eq(import_agree(m, &err), 0, "%s\n%s", err.text, text);
	return m;
}

Test(import_agree, the_agent_takes_what_is_written_of_random_plans_and_keeps_who_is_said_to_be_kept)
{
	unsigned taken[ARRAY_SIZE(forms)] = {};

	for (unsigned seed = 0; seed < rounds_of(SEEDS); seed++) {
		unsigned form = seed % ARRAY_SIZE(forms);
		_cleanup_import_ struct import *m = NULL;
		_cleanup_plan_ struct plan plan = { 0 };
		_cleanup_config_ struct config *c = NULL;
		_cleanup_free_ char *written = NULL;
		struct import_proof proof;
		struct error err = {};
		uint64_t kept = 0;

		state = seed;
		*text = '\0';
		for (unsigned n = form ? 1 : between(1, 3); n; n--) {
			struct shape s = random_shape();

			forms[form].write(&s);
		}
		m = take(forms[form].format, below(2));
		if (!m)
			continue;
		taken[form]++;
		cr_assert_eq(import_plan(m, &plan, &err), 0, "seed %u: %s", seed, err.text);
		cr_assert_eq(import_prove(m, &plan, &proof), 0);
		written = import_write(m, "");
		cr_assert_eq(config_parse(written, strlen(written), "written", &c, &err), 0, "seed %u: %s\n%s\n%s",
			     seed, err.text, written, text);
		for (size_t i = 0; i < m->n_rows; i++)
			kept += has_by_agent(c, &m->row[i]);
		cr_assert_eq(kept, proof.kept, "seed %u: the agent keeps %llu, import says %llu\n%s\n%s", seed,
			     (unsigned long long)kept, (unsigned long long)proof.kept, written, text);
		cr_assert_eq(proof.foreign, 0, "seed %u", seed);
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		cr_expect_gt(taken[i], 0, "form %zu", i);
}

static const char *note_of(const struct import *m, enum import_note_kind kind)
{
	for (size_t i = 0; i < m->n_notes; i++)
		if (m->note[i].kind == kind)
			return m->note[i].text;
	return "";
}

Test(import_agree, prefixes_of_a_netmap_that_adjoin_are_kept_whatever_their_number)
{
	for (unsigned n = 1; n <= 9; n++) {
		const struct shape s = { .in = 0x64400000,
					 .out = 0xc0000208,
					 .addresses = 8,
					 .ratio = n,
					 .first = 1000,
					 .ports = 1500,
					 .pitch = 1500 };
		_cleanup_import_ struct import *m = NULL;

		*text = '\0';
		state = 1;
		add("/ip firewall nat\n");
		for (unsigned k = 0; k < n; k++)
			add("add action=netmap chain=srcnat protocol=tcp src-address=%s/29 to-addresses=192.0.2.8/29 "
			    "to-ports=%u-%u\n",
			    name(s.in + 8 * k), 1000 + 1500 * k, 2499 + 1500 * k);
		m = take(IMPORT_ROUTEROS, false);
		cr_assert_not_null(m);
		cr_expect_eq(m->n_parts, 1, "%u prefixes", n);
		cr_expect_str_eq(note_of(m, IMPORT_REFUSED), "", "%u prefixes", n);
	}
}

Test(import_agree, what_the_agent_refuses_is_named_with_its_words_and_the_rest_is_kept)
{
	_cleanup_import_ struct import *m = NULL;
	struct error err = {};
	const struct import_options options = { .junos_pool_boundaries = -1 };

	*text = '\0';
	add("100.64.0.0 192.0.2.1 1024 2047\n100.64.0.1 192.0.2.1 2048 3071\n100.64.1.0 192.0.2.9 5000 5999\n");
	cr_assert_eq(import_read(IMPORT_TABLE, text, strlen(text), "FILE", &options, &m, &err), 0);
	cr_assert_eq(import_fit(m, false), 0);
	cr_assert_eq(m->n_parts, 2);
	m->part[1].ports = 0;
	m->part[1].first_port = 65000;
	m->part[1].pitch = 9;
	m->timeouts[TIMEOUT_UDP] = 700000;
	m->n_collectors = 2; /* both none */
	cr_assert_eq(import_agree(m, &err), 0, "%s", err.text);
	cr_expect_eq(m->n_parts, 1);
	cr_expect_eq(m->timeouts[TIMEOUT_UDP], 0);
	cr_expect_eq(m->n_collectors, 0);
	cr_expect_not_null(strstr(note_of(m, IMPORT_REFUSED),
				  "1 subscribers, 100.64.1.0 at 192.0.2.9: not kept, the agent "
				  "refuses the mapping: "),
			   "%s", note_of(m, IMPORT_REFUSED));
	cr_expect_eq(m->n_lost, 3);
}

Test(import_agree, names_that_no_interface_can_have_are_left_out)
{
	_cleanup_import_ struct import *m = NULL;

	*text = '\0';
	add("set interface det44 inside GigabitEthernet0/0/0 outside wan0\ndet44 add in 10.0.0.0/24 out "
	    "203.0.113.0/30\n");
	m = take(IMPORT_VPP, false);
	cr_assert_not_null(m);
	cr_expect_eq(m->inside.n, 0);
	cr_expect_eq(m->outside.n, 1);
	cr_expect_not_null(strstr(note_of(m, IMPORT_INTERFACE), "GigabitEthernet0/0/0"));
	cr_expect_eq(m->n_lost, 0);
}

Test(import_agree, an_interface_that_the_file_has_on_both_sides_is_named)
{
	_cleanup_import_ struct import *m = NULL;

	*text = '\0';
	add("set interface det44 inside eth0 outside eth0\nset interface det44 inside lo\n"
	    "det44 add in 10.0.0.0/24 out 203.0.113.0/30\n");
	m = take(IMPORT_VPP, false);
	cr_assert_not_null(m);
	cr_expect_eq(m->inside.n, 1);
	cr_expect_not_null(strstr(note_of(m, IMPORT_INTERFACE), "eth0 is inside and outside there"));
}
