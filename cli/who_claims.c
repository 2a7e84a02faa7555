// SPDX-License-Identifier: BSD-2-Clause
#include "who_claims.h"

#include "base/text.h"
#include "base/virtual6.h"

/* Since when the history has the address in a mapping. */
static int64_t mapped_since(const struct history_index *x, uint32_t addr)
{
	int64_t since = TIME_OPEN;

	for (size_t i = 0; i < x->mappings.n; i++) {
		const struct history_interval *v = &x->mappings.interval[i];

		if (!v->undone && prefix_holds(v->mapping.out, addr) && v->mapping.from < since)
			since = v->mapping.from;
	}
	return since;
}

const struct who_claimed *who_claims_ask(struct history_claims *c, const struct history_index *x, struct endpoint out,
					 int64_t t, enum who_result *result, struct who_claimed *ret, struct error *why)
{
	char text[WHO_CLAIMED_TEXT];

	if (*result == WHO_FOUND || history_claims_ask(c, out, t, &ret->answer))
		return NULL;
	ret->to = mapped_since(x, out.addr);
	if (t > ret->to || (!ret->answer.held && *result == WHO_NOBODY))
		return NULL;
	if (!ret->answer.held) {
		*result = WHO_NOBODY;
		error_set(why, 0, "the port is in no block, as claimed %s", who_claimed_text(ret, text));
	}
	return ret;
}

void who_claimed_json(FILE *out, const struct who_claimed *c)
{
	const struct claim_answer *a = &c->answer;
	const struct claim_origin *o = &a->claim->origin;
	char addr[INSIDE_TEXT], in[PLAN_RANGE_TEXT], to[PLAN_RANGE_TEXT], from[TIME_TEXT], end[TIME_TEXT];

	if (a->held) {
		fprintf(out, "\"in_addr\":\"%s\",\"mapping\":{\"in\":\"%s\",\"out\":\"%s\"},\"from\":\"%s\",",
			inside_text(a->in_addr, addr), plan_range_format(a->in.first, a->in.last, in),
			plan_range_format(a->out.first, a->out.last, to), time_format(o->from, from));
		if (c->to == TIME_OPEN)
			fputs("\"to\":null,", out);
		else
			fprintf(out, "\"to\":\"%s\",", time_format(c->to, end));
	}
	fputs("\"claimed\":{\"source\":", out);
	text_json_string(out, o->source);
	fprintf(out, ",\"sha256\":\"%s\",\"imported\":\"%s\"}", o->sha256, time_format(o->time, from));
}

const char *who_claimed_text(const struct who_claimed *c, char text[static WHO_CLAIMED_TEXT])
{
	const struct claim_origin *o = &c->answer.claim->origin;
	char time[TIME_TEXT];

	snprintf(text, WHO_CLAIMED_TEXT, "from the configuration of %s, read at %s, sha256 %s", QUOTED(o->source),
		 time_format(o->time, time), o->sha256);
	return text;
}

static const char *end_of(const struct who_claimed *c, const char *open, char text[static TIME_TEXT])
{
	return c->to == TIME_OPEN ? open : time_format(c->to, text);
}

void who_claimed_show(struct writer *w, const struct who_claimed *c)
{
	const struct claim_answer *a = &c->answer;
	char addr[INSIDE_TEXT], in[PLAN_RANGE_TEXT], out[PLAN_RANGE_TEXT], time[TIME_TEXT], text[WHO_CLAIMED_TEXT];

	writer_line(w, "Inside address: %s", inside_text(a->in_addr, addr));
	writer_line(w, "Mapping:        %s to %s", plan_range_format(a->in.first, a->in.last, in),
		    plan_range_format(a->out.first, a->out.last, out));
	writer_line(w, "From:           %s", time_format(a->claim->origin.from, time));
	writer_line(w, "To:             %s", end_of(c, "not known: no mapping has had the address since", time));
	writer_line(w, "Claimed:        %s; no record of this gateway", who_claimed_text(c, text));
}

void who_claimed_row(struct writer *w, const char *when, const char *endpoint, const struct who_claimed *c,
		     const char *customer)
{
	const struct claim_answer *a = &c->answer;
	char addr[INSIDE_TEXT], in[PLAN_RANGE_TEXT], out[PLAN_RANGE_TEXT], from[TIME_TEXT], to[TIME_TEXT];

	const struct cell cells[] = WHO_CELLS(when, endpoint, inside_text(a->in_addr, addr),
					      time_format(a->claim->origin.from, from), end_of(c, "not known", to));

	writer_row(w, cells, WHO_N_CELLS, "%s to %s (claimed from %s)%s",
		   plan_range_format(a->in.first, a->in.last, in), plan_range_format(a->out.first, a->out.last, out),
		   QUOTED(a->claim->origin.source), customer);
}
