// SPDX-License-Identifier: BSD-2-Clause
#include "customer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "json_get.h"
#include "message.h"

int64_t customers_margin(const cJSON *args)
{
	return cJSON_HasObjectItem(args, "margin") ? (int64_t)json_number(args, "margin") : DEFAULT_MARGIN;
}

/* Whether a directory has files of leases. */
static bool has_leases(const char *dir)
{
	struct lease_names names = { 0 };
	bool has = !lease_names_read(dir, &names, NULL) && names.n;

	free(names.name);
	return has;
}

int customers_open(const cJSON *args, const char *state_dir, const struct lease_addr *only, struct customers *ret,
		   struct error *err)
{
	const char *dir = json_text(args, "leases", NULL);
	uint64_t wrong;

	ret->margin = customers_margin(args);
	ret->index = NULL;
	if (!dir && !has_leases(state_dir))
		return EXIT_DONE;
	if (lease_files_read(dir ? dir : state_dir, only, &ret->index, &wrong, err))
		return EXIT_REFUSED;
	if (wrong)
		message_warn("the leases are damaged: %" PRIu64
			     " lines cannot be read; detnatctl history verify lists them",
			     wrong);
	return EXIT_DONE;
}

void customers_close(struct customers *c)
{
	lease_index_free(c->index);
	c->index = NULL;
}

bool customers_one_address(const struct customers *c, const struct who_answer *a, int64_t t)
{
	return !a->other && a->best.from <= t - c->margin && (a->best.to == TIME_OPEN || a->best.to >= t + c->margin);
}

/* The tenant whose leases tell the customer; NULL: those of any. */
static const char *tenant_of(const struct who_holder *h)
{
	return *h->tenant ? h->tenant : NULL;
}

/* Whether a second has the customer of the answer. */
static bool same_at(const struct customers *c, struct who *who, struct endpoint out, int64_t t,
		    const struct lease_answer *lease)
{
	struct who_answer a;
	struct error why;
	struct lease_addr addr;

	if (who_ask(who, out, t, &a, &why) != WHO_FOUND || a.other)
		return false;
	addr = lease_addr_of(a.best.in_addr);
	return lease_same(c->index, &addr, tenant_of(&a.best), t, t, lease);
}

/* Seconds after the last line have not been recorded yet. */
static int64_t end_of_margin(const struct customers *c, int64_t t)
{
	int64_t until = lease_index_until(c->index), end = t + c->margin;

	if (end > until)
		end = until > t ? until : t;
	return end;
}

static bool same_around(const struct customers *c, struct who *who, struct endpoint out, int64_t t,
			const struct who_answer *a, const struct lease_answer *lease)
{
	struct lease_addr addr = lease_addr_of(a->best.in_addr);
	int64_t from = t - c->margin, to = end_of_margin(c, t);

	if (customers_one_address(c, a, t))
		return lease_same(c->index, &addr, tenant_of(&a->best), from, to, lease);
	for (int64_t s = from; s <= to; s++)
		if (!same_at(c, who, out, s, lease))
			return false;
	return true;
}

void customer_find(const struct customers *c, struct who *who, struct endpoint out, int64_t t, enum who_result result,
		   const struct who_answer *a, struct customer *ret)
{
	struct lease_addr addr = lease_addr_of(a->best.in_addr);
	/* The holders of an answer live until the next question. */
	struct who_answer copy = *a;

	*ret = (struct customer){ .lease.result = LEASE_NO_RECORD };
	if (result != WHO_FOUND)
		return;
	lease_ask(c->index, &addr, tenant_of(&a->best), t, &ret->lease);
	ret->same = same_around(c, who, out, t, &copy, &ret->lease);
}

void customer_of(const struct customers *c, uint32_t in_addr, int64_t from, int64_t to, int64_t t, struct customer *ret)
{
	struct lease_addr addr = lease_addr_of(in_addr);
	int64_t begin = t - c->margin, end = end_of_margin(c, t);

	*ret = (struct customer){ .lease.result = LEASE_NO_RECORD };
	lease_ask(c->index, &addr, NULL, t, &ret->lease);
	ret->same = begin >= from && (to == TIME_OPEN || end <= to) &&
		    lease_same(c->index, &addr, NULL, begin, end, &ret->lease);
}

static void print_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "\"%s\":", key);
	if (*text)
		text_json_string(out, text);
	else
		fputs("null", out);
}

static void print_time(FILE *out, const char *key, int64_t t)
{
	char text[TIME_TEXT];

	if (t == TIME_OPEN || t == TIME_NONE)
		fprintf(out, ",\"%s\":null", key);
	else
		fprintf(out, ",\"%s\":\"%s\"", key, time_format(t, text));
}

static void print_holder(FILE *out, const struct lease_holder *h)
{
	fputc('{', out);
	print_text(out, "id", h->id);
	fputc(',', out);
	print_text(out, "tenant", h->tenant);
	fputc(',', out);
	print_text(out, "mac", h->mac);
	fputc(',', out);
	print_text(out, "circuit", h->circuit);
	fputc(',', out);
	print_text(out, "session", h->session);
	print_time(out, "from", h->from);
	print_time(out, "to", h->to);
	fprintf(out, ",\"end_assumed\":%s}", h->assumed ? "true" : "false");
}

void customer_print(FILE *out, const struct customers *c, const struct customer *found)
{
	const struct lease_answer *a = &found->lease;
	const char *reason = lease_reason(a->result);

	if (!c->index)
		return;
	fputs(",\"customer\":", out);
	if (reason)
		fprintf(out, "null,\"customer_reason\":\"%s\"", reason);
	else
		print_holder(out, &a->holder[0]);
	if (a->result == LEASE_TAKEN_OUT)
		print_time(out, "erased", a->erased);
	fputs(a->result == LEASE_TWO ? ",\"customers\":[" : "", out);
	for (unsigned i = 0; a->result == LEASE_TWO && i < a->n; i++) {
		fputs(i ? "," : "", out);
		print_holder(out, &a->holder[i]);
	}
	fputs(a->result == LEASE_TWO ? "]" : "", out);
	fprintf(out, ",\"margin\":{\"seconds\":%" PRId64 ",\"same\":%s}", c->margin, found->same ? "true" : "false");
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* " (U+0410 U+043B ...)" of a text that is not ASCII, whose letters may look like others or like nothing. */
static void print_points(FILE *out, const char *text)
{
	size_t left = strlen(text);
	const char *before = " (";

	if (is_ascii(text))
		return;
	while (left) {
		uint32_t c = 0;
		unsigned n = utf8_read(text, left, &c);

		fprintf(out, n ? "%sU+%04X" : "%s\\x%02x", before, n ? c : (unsigned char)*text);
		before = " ";
		text += n ? n : 1;
		left -= n ? n : 1;
	}
	fputc(')', out);
}

static void print_part(FILE *out, const char *word, const char *value, bool points)
{
	_cleanup_free_ char *quoted = NULL;
	size_t size = strlen(value);

	if (!size)
		return;
	quoted = malloc(TEXT_ROOM(size));
	if (!quoted)
		return;
	text_quote(quoted, TEXT_ROOM(size), value, size);
	fprintf(out, "%s%s%s", ftell(out) ? ", " : "", word, quoted);
	if (points)
		print_points(out, value);
}

char *customer_name(const struct lease_holder *h, bool points)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	print_part(out, "", h->id, points);
	print_part(out, "tenant ", h->tenant, points);
	print_part(out, "MAC ", strcmp(h->mac, h->id) != 0 ? h->mac : "", points);
	print_part(out, "circuit ", h->circuit, points);
	print_part(out, "session ", h->session, points);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

const char *customer_missing(const struct customer *found, char text[static CUSTOMER_MISSING])
{
	static const char *const texts[] = {
		[LEASE_CUSTOMER] = NULL,
		[LEASE_NO_LEASE] = "no lease: nobody is recorded to have had the address then",
		[LEASE_TWO] = "two leases: more than one customer had the address in that second",
		[LEASE_NO_RECORD] = "no record: the leases of that time were not recorded",
		[LEASE_TAKEN_OUT] = "no record: erased on",
	};
	char time[TIME_TEXT];

	if (found->lease.result != LEASE_TAKEN_OUT)
		return texts[found->lease.result];
	snprintf(text, CUSTOMER_MISSING, "%s %.10s", texts[LEASE_TAKEN_OUT], time_format(found->lease.erased, time));
	return text;
}

static void show_holder(struct writer *w, const struct lease_holder *h)
{
	_cleanup_free_ char *name = customer_name(h, w->points);
	char from[TIME_TEXT], to[TIME_TEXT];

	writer_line(w, "Customer:       %s", name ? name : "out of memory");
	writer_line(w, "Lease:          %s to %s%s", time_format(h->from, from), time_or(h->to, "now", to),
		    h->assumed ? ", an end that no line records" : "");
}

void customer_show(struct writer *w, const struct customers *c, const struct customer *found, uint32_t in_addr)
{
	char addr[ADDR_TEXT], why[CUSTOMER_MISSING];

	if (!c->index)
		return;
	if (customer_missing(found, why))
		writer_line(w, "Customer:       none of %s: %s", addr_format(in_addr, addr),
			    customer_missing(found, why));
	for (unsigned i = 0; i < found->lease.n; i++)
		show_holder(w, &found->lease.holder[i]);
	writer_line(w, "Margin:         %s in each second from %" PRId64 " s before to %" PRId64 " s after",
		    found->same ? "the same answer" : "NOT the same answer", c->margin, c->margin);
}
