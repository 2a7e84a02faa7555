/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of leases: written, read, and refused. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/virtual6.h"
#include "leases/lease_line.h"

#define T0 1769860800LL /* 2026-01-31T12:00:00Z */

static char *written(const struct lease_line *l)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputc('{', out);
	lease_line_write(out, l);
	fputc('}', out);
	fclose(out);
	return text;
}

Test(lease_line, a_line_is_read_as_it_was_written)
{
	struct lease_line l, again;
	char *text, *twice;

	lease_line_init(&l, T0, LEASE_START);
	l.addr = lease_addr_of(0x64401010);
	l.from = T0 - 5;
	snprintf(l.id, sizeof(l.id), "a\"b\\c");
	snprintf(l.session, sizeof(l.session), "192.0.2.9/1");
	text = written(&l);
	cr_expect_str_eq(text, "{\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"start\",\"in_addr\":\"100.64.16.16\","
			       "\"id\":\"a\\\"b\\\\c\",\"session\":\"192.0.2.9/1\",\"from\":\"2026-01-31T11:59:55Z\","
			       "\"to\":null}");
	cr_assert_eq(lease_line_read(text, strlen(text), &again, NULL), 0);
	twice = written(&again);
	cr_expect_str_eq(twice, text);
	cr_expect_str_eq(again.id, "a\"b\\c");
	free(text);
	free(twice);
	l.late = T0 + 60;
	text = written(&l);
	cr_expect(strstr(text, ",\"format\":2,") && strstr(text, ",\"late\":\"2026-01-31T12:01:00Z\"}"), "%s", text);
	cr_assert_eq(lease_line_read(text, strlen(text), &again, NULL), 0);
	cr_expect(lease_line_early(&again) == T0 && lease_line_late(&again) == T0 + 60);
	free(text);
}

Test(lease_line, malformed_lines_are_refused)
{
	static const char *const wrong[] = {
		"",
		"{}",
		"{\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"start\"}",
		"{\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"begun\",\"in_addr\":\"10.0.0.1\"}",
		"{\"time\":\"yesterday\",\"event\":\"mark\"}",
		"{\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"off\",\"session\":\"nas\"}",
		"{\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"mark\"} ",
		"{\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"mark\"",
		"{\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"start\",\"in_addr\":\"10.0.0.1\",\"id\":\"a\\nb\"}",
	};
	struct lease_line l;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_expect_neq(lease_line_read(wrong[i], strlen(wrong[i]), &l, NULL), 0, "%s", wrong[i]);
}

Test(lease_line, a_member_of_a_later_version_is_skipped)
{
	static const char text[] =
		"{\"line\":7,\"new\":true,\"time\":\"2026-01-31T12:00:00Z\",\"event\":\"mark\",\"x\":\"y\"}";
	struct lease_line l;

	cr_expect_eq(lease_line_read(text, strlen(text), &l, NULL), 0);
}

Test(lease_line, addresses_and_delegated_prefixes_are_read)
{
	struct lease_addr a;
	char text[LEASE_ADDR_TEXT];

	cr_assert_eq(lease_addr_parse("2001:db8:4000:12ff::1/56", &a), 0);
	cr_expect_str_eq(lease_addr_format(&a, text), "2001:db8:4000:1200::/56");
	cr_assert_eq(lease_addr_parse("100.64.0.1", &a), 0);
	cr_expect_str_eq(lease_addr_format(&a, text), "100.64.0.1");
	cr_expect_neq(lease_addr_parse("2001:db8::/129", &a), 0);
	cr_expect_neq(lease_addr_parse("2001:db8::/", &a), 0);
	cr_expect_neq(lease_addr_parse("100.64.0.1/32", &a), 0);
}

/* Inside addresses whose lease a text is, in hexadecimal. */
static const char *inside_of(const char *text)
{
	static char found[64];
	struct lease_addr a;
	size_t at = 0, n = 0;
	uint32_t addr;

	cr_assert_eq(lease_addr_parse(text, &a), 0);
	found[0] = '\0';
	while (lease_addr_inside(&a, &at, &addr) && n < sizeof(found) - 10)
		n += (size_t)snprintf(found + n, sizeof(found) - n, "%08x ", addr);
	return found;
}

Test(lease_line, an_inside_address_is_of_just_that_prefix)
{
	struct prefixes6 p;

	virtual6_forget();
	cr_assert_eq(prefixes6_parse("2001:db8:4000::/48", 56, &p), 0);
	cr_assert_eq(virtual6_claim(&p, VIRTUAL_BASE + 0x100), 0);
	/* The same prefixes within wider ones, later. */
	cr_assert_eq(prefixes6_parse("2001:db8:4000::/47", 56, &p), 0);
	cr_assert_eq(virtual6_claim(&p, VIRTUAL_BASE + 0x1000), 0);
	cr_expect_str_eq(inside_of("100.64.0.1"), "64400001 ");
	cr_expect_str_eq(inside_of("2001:db8:4000:1200::/56"), "e0000112 e0001012 ");
	cr_expect_str_eq(inside_of("2001:db8:4000:1200::/57"), "");
	cr_expect_str_eq(inside_of("2001:db8:4000:1200::/55"), "");
	cr_expect_str_eq(inside_of("2001:db8:4000:1200::1/128"), "");
	cr_expect_str_eq(inside_of("2001:db8:5000::/56"), "");
	virtual6_forget();
}
