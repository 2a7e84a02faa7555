// SPDX-License-Identifier: BSD-2-Clause
#include "customer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/virtual6.h"
#include "json_get.h"
#include "leases/lease_evidence.h"
#include "leases/lease_files.h"
#include "message.h"

#define MS_PER_S 1000U

int64_t customers_margin(const cJSON *args)
{
	return cJSON_HasObjectItem(args, "margin") ? (int64_t)json_number(args, "margin") : DEFAULT_MARGIN;
}

void customers_set_margin(struct customers *c, struct clock_state clock)
{
	c->margin = c->asked + (clock.error_ms + MS_PER_S - 1) / MS_PER_S;
}

/* Whether a directory has files of leases, or is evidence that has lines of them. */
static bool has_leases(const char *dir)
{
	struct ledger_names names = { 0 };
	char path[PATH_MAX];
	bool has = !ledger_files_list(dir, LEDGER_LEASES, &names, NULL) && names.n;

	free(names.name);
	return has || (snprintf(path, sizeof(path), "%s/" LEASE_EVIDENCE_FILE, dir) < (int)sizeof(path) &&
		       !access(path, F_OK));
}

int customers_open(const cJSON *args, const char *state_dir, struct customers *ret, struct error *err)
{
	const char *dir = json_text(args, "leases", NULL);
	char own[PATH_MAX];

	*ret = (struct customers){ .asked = customers_margin(args) };
	ret->margin = ret->asked;
	if (!dir && !has_leases(lease_directory(state_dir, own)))
		return EXIT_DONE;
	return lease_days_open(dir ? dir : own, &ret->days, err) ? EXIT_REFUSED : EXIT_DONE;
}

static void forget(struct customers *c)
{
	for (size_t i = 0; i < c->n_kept; i++)
		statements_free(c->kept[i]);
	free(c->kept);
	c->kept = NULL;
	c->n_kept = 0;
}

void customers_close(struct customers *c)
{
	uint64_t wrong = c->days ? lease_days_wrong(c->days) : 0;

	if (wrong)
		message_warn("the leases are damaged: %" PRIu64
			     " lines cannot be read; detnatctl history verify lists them",
			     wrong);
	if (c->days && lease_days_unsearched(c->days))
		message_warn("%zu days of leases have no index, and were not searched for what contradicts an answer; "
			     "detnatctl leases index --leases DIR makes the indexes",
			     lease_days_unsearched(c->days));
	forget(c);
	lease_days_free(c->days);
	c->days = NULL;
}

/* The tenant whose leases tell the customer; NULL: those of any. */
static const char *tenant_of(const struct who_holder *h)
{
	return *h->tenant ? h->tenant : NULL;
}

/* What the leases say of an inside address around a second; kept until the next question. NULL: they cannot be read. */
static const struct statements *statements_of(struct customers *c, uint32_t in_addr, const char *tenant, int64_t t)
{
	struct lease_addr addr = lease_addr_of(in_addr);
	struct statements **larger = reallocarray(c->kept, c->n_kept + 1, sizeof(struct statements *));

	if (!larger)
		return NULL;
	c->kept = larger;
	if (lease_days_about(c->days, &addr, tenant, t - c->margin, t + c->margin, &c->kept[c->n_kept], &c->err)) {
		message_warn("%s", c->err.text);
		return NULL;
	}
	return c->kept[c->n_kept++];
}

/* Adds what is known of one subscriber; the answer is certain only if that of all of them is, and the same. */
static void add_subscriber(struct customer *c, uint32_t in_addr, const struct lease_answer *a)
{
	struct lease_answer *sum = &c->lease;

	if (!c->asked) {
		*sum = *a;
		for (unsigned i = 0; i < a->n; i++)
			c->in_addr[i] = in_addr;
		c->asked = true;
		return;
	}
	sum->more |= a->more;
	sum->others |= a->others;
	if (sum->certain && a->certain && sum->n == 1 && a->n == 1 &&
	    lease_same_customer(&sum->holder[0], &a->holder[0]))
		return;
	for (unsigned i = 0; i < a->n; i++) {
		sum->more |= sum->n == LEASE_HOLDERS;
		if (sum->n == LEASE_HOLDERS)
			break;
		c->in_addr[sum->n] = in_addr;
		sum->holder[sum->n++] = a->holder[i];
	}
	sum->certain = false;
	sum->doubt = DOUBT_SEVERAL;
	for (unsigned i = 0; i < sum->n; i++) {
		sum->holder[i].doubt = sum->holder[i].certain ? DOUBT_SEVERAL : sum->holder[i].doubt;
		sum->holder[i].certain = false;
	}
}

/* Seconds after the last line have not been recorded yet. */
static int64_t end_of_margin(struct customers *c, int64_t t)
{
	int64_t until, end = t + c->margin;

	if (lease_days_until(c->days, &until, &c->err) || end <= until)
		return end;
	return until > t ? until : t;
}

/* Whether a second has the same subscriber, alone. */
static bool same_subscriber_at(struct who *who, struct endpoint out, int64_t t, const struct who_holder *h)
{
	struct who_answer a;
	struct error why;

	return who_ask(who, out, t, &a, &why) == WHO_FOUND && !a.other && who_same_subscriber(&a.best, h);
}

static bool same_around(struct customers *c, struct who *who, struct endpoint out, int64_t t,
			const struct who_holder *h, const struct statements *x, const struct lease_answer *lease)
{
	int64_t from = t - c->margin, to = end_of_margin(c, t);

	if (h->from > from || h->to < to)
		return false;
	for (int64_t s = from; s <= to; s++)
		if (!same_subscriber_at(who, out, s, h))
			return false;
	return statements_same(x, tenant_of(h), from, to, lease);
}

void customer_find(struct customers *c, struct who *who, struct endpoint out, int64_t t, enum who_result result,
		   const struct who_answer *a, struct customer *ret)
{
	const struct who_holder *list = a->n_holders ? a->holders : &a->best;
	size_t n = a->n_holders ? a->n_holders : result == WHO_FOUND;
	const struct statements *x = NULL;
	struct lease_answer lease;
	struct who_holder only;

	forget(c);
	*ret = (struct customer){ 0 };
	for (size_t i = 0; i < n; i++) {
		x = statements_of(c, list[i].in_addr, tenant_of(&list[i]), t);
		lease = (struct lease_answer){ .doubt = DOUBT_EARLY };
		if (x)
			statements_ask(x, tenant_of(&list[i]), t, &lease);
		add_subscriber(ret, list[i].in_addr, &lease);
	}
	/* A customer is certain only where the inside address is. */
	if (result != WHO_FOUND && ret->lease.certain) {
		ret->lease.certain = false;
		ret->lease.doubt = DOUBT_SEVERAL;
	}
	only = n == 1 ? list[0] : (struct who_holder){ 0 };
	ret->same = x && n == 1 && result == WHO_FOUND && same_around(c, who, out, t, &only, x, &lease);
}

void customer_of(struct customers *c, uint32_t in_addr, const char *tenant, int64_t from, int64_t to, int64_t t,
		 struct customer *ret)
{
	int64_t begin = t - c->margin, end = end_of_margin(c, t);
	const struct statements *x;

	forget(c);
	*ret = (struct customer){ .asked = true, .lease.doubt = DOUBT_EARLY };
	x = statements_of(c, in_addr, tenant, t);
	if (!x)
		return;
	statements_ask(x, tenant, t, &ret->lease);
	for (unsigned i = 0; i < ret->lease.n; i++)
		ret->in_addr[i] = in_addr;
	ret->same =
		begin >= from && (to == TIME_OPEN || end <= to) && statements_same(x, tenant, begin, end, &ret->lease);
}

static void print_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "\"%s\":", key);
	if (*text)
		text_json_string(out, text);
	else
		fputs("null", out);
}

static void print_holder(FILE *out, const struct lease_holder *h, uint32_t in_addr)
{
	char addr[INSIDE_TEXT];

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
	customer_print_time(out, "from", h->from);
	customer_print_time(out, "to", h->to);
	fprintf(out, ",\"end_assumed\":%s", h->to != TIME_OPEN && !h->ended ? "true" : "false");
	if (h->doubt)
		fprintf(out, ",\"%s\":\"%s\",\"doubt\":\"%s\"", virtual6_is(in_addr) ? "in_prefix" : "in_addr",
			inside_text(in_addr, addr), lease_doubt_word(h->doubt));
	fputc('}', out);
}

/* Those who may have had the address: heard of before that time, or only after it. */
static void print_holders(FILE *out, const char *key, const struct customer *found, bool after)
{
	const char *before = "";

	fprintf(out, ",\"%s\":[", key);
	for (unsigned i = 0; i < found->lease.n; i++) {
		if ((found->lease.holder[i].doubt == DOUBT_BEGIN) != after)
			continue;
		fputs(before, out);
		print_holder(out, &found->lease.holder[i], found->in_addr[i]);
		before = ",";
	}
	fputc(']', out);
}

const char *customer_reason(const struct customer *found)
{
	const struct lease_answer *a = &found->lease;

	if (!found->asked)
		return "no-record";
	if (a->certain)
		return a->n ? NULL : "no-lease";
	if (!a->n)
		return a->doubt == DOUBT_ERASED ? "erased" : "no-record";
	return a->n > 1 ? "two-leases" : "perhaps";
}

void customer_print(FILE *out, const struct customers *c, const struct customer *found)
{
	const struct lease_answer *a = &found->lease;
	const char *reason = customer_reason(found);

	if (!c->days)
		return;
	fputs(",\"customer\":", out);
	if (!reason)
		print_holder(out, &a->holder[0], found->in_addr[0]);
	else
		fprintf(out, "null,\"customer_reason\":\"%s\"", reason);
	if (reason && found->asked && !a->certain) {
		fprintf(out, ",\"customer_doubt\":\"%s\"", lease_doubt_word(a->doubt));
		print_holders(out, "customers", found, false);
		print_holders(out, "customers_after", found, true);
		fprintf(out, ",\"others\":%s", a->others || a->more ? "true" : "false");
		if (a->doubt == DOUBT_ERASED)
			customer_print_time(out, "erased", a->erased);
	}
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

char *customer_row(const struct customers *c, const struct customer *found)
{
	_cleanup_free_ char *name = NULL;
	char *text = NULL;
	int n;

	if (!c->days)
		return strdup("");
	if (customer_reason(found)) {
		bool doubt = found->asked && !found->lease.certain && found->lease.doubt != DOUBT_NONE;

		n = asprintf(&text, doubt ? "; no customer: %s (%s)" : "; no customer: %s", customer_reason(found),
			     lease_doubt_word(found->lease.doubt));
		return n < 0 ? NULL : text;
	}
	name = customer_name(&found->lease.holder[0], false);
	n = name ? asprintf(&text, "; customer %s%s", name, found->same ? "" : " (not within the margin)") : -1;
	return n < 0 ? NULL : text;
}

/* Why a customer is only possible, or none is known. */
static const char *doubt_text(enum lease_doubt doubt)
{
	static const char *const texts[] = {
		[DOUBT_NONE] = "",
		[DOUBT_SEVERAL] = "more than one customer may have had the address then",
		[DOUBT_GAP] = "records are missing around that time",
		[DOUBT_CLOCK] = "the clock was set around that time",
		[DOUBT_DAMAGED] = "lines around that time were changed or taken out",
		[DOUBT_ERASED] = "no record: erased on",
		[DOUBT_ANOTHER] = "somebody else is said to have had the address meanwhile",
		[DOUBT_UNHEARD] = "nothing was heard of the session after that time",
		[DOUBT_TERM] = "the lease's term was over, and no end is recorded",
		[DOUBT_BEGIN] = "when the session got the address is not recorded",
		[DOUBT_EARLY] = "nothing is recorded of the address up to that time",
		[DOUBT_LATE] = "leases are not recorded up to that time yet: import again, then ask again",
	};

	return texts[doubt];
}

const char *customer_missing(const struct customer *found, char text[static CUSTOMER_MISSING])
{
	const struct lease_answer *a = &found->lease;
	char time[TIME_TEXT];

	if (!customer_reason(found))
		return NULL;
	if (!found->asked)
		return "no record: there is no inside address";
	if (a->certain)
		return "no lease: it is recorded that nobody had the address then";
	if (a->n || a->doubt != DOUBT_ERASED)
		return doubt_text(a->doubt);
	snprintf(text, CUSTOMER_MISSING, "%s %.10s", doubt_text(DOUBT_ERASED), time_format(a->erased, time));
	return text;
}

static void show_holder(struct writer *w, const struct customer *found, unsigned i)
{
	const struct lease_holder *h = &found->lease.holder[i];
	_cleanup_free_ char *name = customer_name(h, w->points);
	char from[TIME_TEXT], to[TIME_TEXT], addr[INSIDE_TEXT];

	if (h->certain)
		writer_line(w, "Customer:       %s", name ? name : "out of memory");
	else
		writer_line(w, "Perhaps:        %s, who had %s; %s", name ? name : "out of memory",
			    inside_text(found->in_addr[i], addr), doubt_text(h->doubt));
	writer_line(w, "Lease:          %s to %s%s",
		    h->from == TIME_NONE ? "an unknown time" : time_format(h->from, from),
		    time_or(h->to, "now, as far as is known", to),
		    h->to != TIME_OPEN && !h->ended ? " at the latest, an end that no line records" : "");
}

void customer_show(struct writer *w, const struct customers *c, const struct customer *found, uint32_t in_addr)
{
	char addr[INSIDE_TEXT], why[CUSTOMER_MISSING];

	if (!c->days)
		return;
	if (customer_missing(found, why))
		writer_line(w, "Customer:       not known for %s: %s", inside_text(in_addr, addr),
			    customer_missing(found, why));
	for (unsigned i = 0; i < found->lease.n; i++)
		show_holder(w, found, i);
	if (found->lease.others || found->lease.more)
		writer_line(w, "Others:         somebody else may have had it, of whom no record is there");
	writer_line(w, "Margin:         %s in each second from %" PRId64 " s before to %" PRId64 " s after",
		    found->same ? "the same answer" : "NOT the same answer", c->margin, c->margin);
}
