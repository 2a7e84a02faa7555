// SPDX-License-Identifier: BSD-2-Clause
/*
 * Histories from scripts against recorded results, in listings/histories.txt: the lines that are written, what is read
 * back of them, and who had an endpoint second by second.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "history_text.h"
#include "listed.h"

#define T0 1767268800LL /* 2026-01-01T12:00:00Z */

static char word[8][48];

static int64_t moment(const char *text, int64_t none)
{
	return *text == '-' || !*text ? none : T0 + strtoll(text, NULL, 10);
}

static struct prefix prefix(const char *text)
{
	struct prefix p = { 0 };

	cr_assert_eq(prefix_parse(text, &p), 0, "%s", text);
	return p;
}

static bool ends(const char *text)
{
	return !strcmp(text, "end");
}

/*
 * A line of a script: "EVENT TIME ...": start SINCE; add, del IN OUT FROM BLOCKS PORTS; undo, confirm FIRST LAST UNTIL;
 * clock SINCE AFTER; portmap PROTO IN OUT begin|end; retire, drained IN OUT OF; grant IN OUT LO PORTS begin|end; stop,
 * detach.
 */
static struct history_record record_of(enum history_event event)
{
	struct history_record r = {
		.time = moment(word[1], T0), .event = event, .mappings = told.none, .since = TIME_NONE
	};
	uint32_t lo, n;

	switch (event) {
	case EVENT_START:
		r.since = moment(word[2], TIME_NONE);
		snprintf(r.host, sizeof(r.host), "h");
		break;
	case EVENT_ADD:
	case EVENT_DEL:
		r.mapping = told_mapping(word[2], word[3], moment(word[4], r.time));
		n = (uint32_t)strtoul(word[6], NULL, 10);
		if (n)
			r.mapping.blocks = (struct plan_blocks){ .ratio = (uint32_t)strtoul(word[5], NULL, 10),
								 .first_port = 1024,
								 .pitch = n,
								 .ports_per_host = n };
		break;
	case EVENT_UNDO:
	case EVENT_CONFIRM:
		r.first = strtoull(word[2], NULL, 10);
		r.last = strtoull(word[3], NULL, 10);
		r.until = moment(word[4], r.time);
		break;
	case EVENT_CLOCK:
		r.since = moment(word[2], r.time);
		r.after = moment(word[3], r.time);
		break;
	case EVENT_PORTMAP:
		r.portmap.proto = !strcmp(word[2], "tcp") ? 6 : 17;
		cr_assert_eq(span_parse(word[3], &r.portmap.in), 0);
		cr_assert_eq(span_parse(word[4], &r.portmap.out), 0);
		r.portmap.from = moment(word[6], r.time);
		r.ends = ends(word[5]);
		break;
	case EVENT_RETIRE:
	case EVENT_DRAINED:
		r.drain = (struct history_drain){ prefix(word[2]), prefix(word[3]), prefix(word[4]),
						  moment(word[5], r.time) };
		break;
	case EVENT_GRANT:
		lo = (uint32_t)strtoul(word[4], NULL, 10);
		n = (uint32_t)strtoul(word[5], NULL, 10);
		r.grant = (struct history_grant){
			prefix(word[2]).base,	prefix(word[3]).base, (uint16_t)lo, (uint16_t)n, false,
			moment(word[7], r.time)
		};
		r.ends = ends(word[6]);
		break;
	default:
		break;
	}
	return r;
}

static long long from_t0(int64_t t)
{
	return t == TIME_OPEN ? 999999 : t == TIME_NONE ? -999999 : (long long)(t - T0);
}

static void print_pauses(FILE *out, const struct history_pauses *p)
{
	for (size_t i = 0; i < p->n; i++)
		fprintf(out, "  pause of %zu, moments %u to %u\n", p->at[i].of, p->at[i].begin, p->at[i].end);
}

#define INTERVAL "%lld to %lld, moments %u to %u, lines %llu to %llu%s\n"
#define OF_INTERVAL(v, since)                                                                  \
	from_t0(since), from_t0((v)->to), (v)->begin, (v)->end, (unsigned long long)(v)->line, \
		(unsigned long long)(v)->end_line, (v)->undone ? ", undone" : ""

static void print_index(FILE *out, const struct history_index *x)
{
	char a[SPAN_TEXT], b[SPAN_TEXT], c[SPAN_TEXT];

	for (size_t i = 0; i < x->mappings.n; i++) {
		const struct history_interval *v = &x->mappings.interval[i];

		fprintf(out, "mapping %s %s " INTERVAL, prefix_format(v->mapping.in.base, v->mapping.in.plen, a),
			prefix_format(v->mapping.out.base, v->mapping.out.plen, b), OF_INTERVAL(v, v->mapping.from));
	}
	print_pauses(out, &x->mappings.pauses);
	for (size_t i = 0; i < x->portmaps.n; i++) {
		const struct portmap_interval *v = &x->portmaps.interval[i];

		fprintf(out, "portmap %u %s:%u %s:%u " INTERVAL, v->portmap.proto, addr_format(v->portmap.in.addr, a),
			v->portmap.in.first, addr_format(v->portmap.out.addr, b), v->portmap.out.first,
			OF_INTERVAL(v, v->portmap.from));
	}
	print_pauses(out, &x->portmaps.pauses);
	for (size_t i = 0; i < x->drains.n; i++) {
		const struct drain_interval *v = &x->drains.interval[i];

		fprintf(out, "drain %s %s %s " INTERVAL, prefix_format(v->drain.in.base, v->drain.in.plen, a),
			prefix_format(v->drain.out.base, v->drain.out.plen, b),
			prefix_format(v->drain.of.base, v->drain.of.plen, c), OF_INTERVAL(v, v->drain.from));
	}
	print_pauses(out, &x->drains.pauses);
	for (size_t i = 0; i < x->grants.n; i++) {
		const struct grant_interval *v = &x->grants.interval[i];

		fprintf(out, "grant %s %s %u+%u " INTERVAL, addr_format(v->grant.in, a), addr_format(v->grant.out, b),
			v->grant.port_lo, v->grant.ports, OF_INTERVAL(v, v->grant.from));
	}
	print_pauses(out, &x->grants.pauses);
	for (size_t i = 0; i < x->n_damages; i++)
		fprintf(out, "damage at %llu: %s\n", (unsigned long long)x->damages[i].line, x->damages[i].text);
	fprintf(out, "lines %llu number %llu settled %llu change %llu to %llu, open %zu, from %lld to %lld%s%s\n",
		(unsigned long long)x->lines, (unsigned long long)x->number, (unsigned long long)x->settled,
		(unsigned long long)x->last_change, (unsigned long long)x->change_end, x->mappings.n_open,
		from_t0(x->first_time), from_t0(x->last_time), x->in_change ? ", in a change" : "",
		x->lost ? ", lost" : "");
}

static void print_lists(FILE *out, const struct history_index *x)
{
	_cleanup_free_ struct history_grant *grants = NULL;
	_cleanup_free_ struct history_portmap *portmaps = NULL;
	_cleanup_free_ struct history_drain *drains = NULL;
	size_t n;

	cr_assert_eq(history_facts_list(FACT_GRANT, &x->grants.facts, &grants, &n), 0);
	for (size_t i = 0; i < n; i++) {
		fputs("open: ", out);
		history_fact_write(out, FACT_GRANT, &grants[i]);
		fputc('\n', out);
	}
	cr_assert_eq(history_facts_list(FACT_PORTMAP, &x->portmaps.facts, &portmaps, &n), 0);
	for (size_t i = 0; i < n; i++) {
		fputs("open: ", out);
		history_fact_write(out, FACT_PORTMAP, &portmaps[i]);
		fputc('\n', out);
	}
	cr_assert_eq(history_facts_list(FACT_DRAIN, &x->drains.facts, &drains, &n), 0);
	for (size_t i = 0; i < n; i++) {
		fputs("open: ", out);
		history_fact_write(out, FACT_DRAIN, &drains[i]);
		fputc('\n', out);
	}
}

/* The answer at a time; the caller frees it. */
static char *answer(struct who *w, const char *text, int64_t t)
{
	struct endpoint e;
	struct who_answer a;
	struct error why = { 0 };
	char addr[ADDR_TEXT], *ret = NULL;
	enum who_result r;
	size_t size;
	FILE *out = open_memstream(&ret, &size);

	cr_assert_eq(endpoint_parse(text, &e), 0);
	r = who_ask(w, e, t, &a, &why);
	if (r == WHO_FOUND)
		fprintf(out, "%s from %lld to %lld by %d %u+%u, %u portmaps", addr_format(a.best.in_addr, addr),
			from_t0(a.best.from), from_t0(a.best.to), a.best.by, a.best.port_lo, a.best.ports,
			a.n_portmaps);
	else
		fprintf(out, "%s", why.text);
	for (size_t i = 0; i < a.n_holders; i++)
		fprintf(out, "%s%s%s %u", i ? ", " : "; ", addr_format(a.holders[i].in_addr, addr),
			a.holders[i].holds ? " holds" : "", a.holders[i].protos);
	fprintf(out, "%s", a.other ? "; another" : "");
	fclose(out);
	return ret;
}

/* Second by second, each answer once with the seconds for which it is the same. */
static void print_answers(FILE *out, struct who *w, const char *text, int64_t from, int64_t to)
{
	for (int64_t t = from, first; t <= to;) {
		_cleanup_free_ char *now = answer(w, text, t), *next = NULL;

		for (first = t++; t <= to; t++) {
			free(next);
			next = answer(w, text, t);
			if (strcmp(now, next) != 0)
				break;
		}
		fprintf(out, "%s from %lld to %lld: %s\n", text, from_t0(first), from_t0(t - 1), now);
	}
}

/* "ask OUT FROM TO", after all records: each second. "line TEXT": a line that is none of the history's. */
static void print_history(FILE *out, const char *name, const char *text, size_t size)
{
	static const char *const events[] = {
#define X(constant, event_word) [constant] = event_word,
		HISTORY_EVENTS(X)
#undef X
	};
	struct history_index x;
	struct who *w = NULL;
	size_t used;

	told_setup();
	history_index_init(&x);
	for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
		_cleanup_free_ char *line = strndup(at, strcspn(at, "\n"));

		memset(word, 0, sizeof(word));
		sscanf(line, "%47s %47s %47s %47s %47s %47s %47s %47s", word[0], word[1], word[2], word[3], word[4],
		       word[5], word[6], word[7]);
		if (!strcmp(word[0], "ask")) {
			if (!w) {
				/* What is printed may move the buffer. */
				fflush(told.out);
				fwrite(told.text, 1, told.size, out);
				cr_assert_eq(history_index_feed_all(&x, told.text, told.size, &used), 0);
				print_index(out, &x);
				print_lists(out, &x);
				cr_assert_eq(who_new(&x, &w), 0);
			}
			print_answers(out, w, word[1], moment(word[2], T0), moment(word[3], T0));
			continue;
		}
		if (!strcmp(word[0], "line")) {
			fprintf(told.out, "%s\n", line + 5);
			fflush(told.out);
			continue;
		}
		for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++)
			if (!strcmp(events[i], word[0]))
				told_put(record_of((enum history_event)i));
	}
	who_free(w);
	history_index_free(&x);
	told_teardown();
}

Test(history, lines_intervals_and_answers_are_as_recorded)
{
	listed_expect("tests/unit/listings/histories.txt", print_history);
}
