// SPDX-License-Identifier: BSD-2-Clause
/* top: the subscribers are found in slices, by one pass or two, and then sent as a stream. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "control/handlers.h"
#include "base/virtual6.h"
#include "sessions/survey.h"
#include "sessions/top.h"
#include "suspects/suspects.h"

/* Subscribers shown by default. */
#define TOP_DEFAULT 1000U

/* Lines sent in one slice; after some hundred, a client must read before it gets more. */
#define LINES 256U

struct listing {
	const struct parts *parts;
	uint32_t limit;
	enum survey_kind kind; /* what they are ordered by; N_SURVEY_KINDS: by sessions or refusals */
	/* The first pass of two. */
	struct survey *survey;
	struct top_heap highest;
	bool failed; /* out of memory */
	struct top *top;
	bool found;
	size_t sent;
};

static int add_line(struct evbuffer *out, const struct listing *l, const struct top_entry *e)
{
	const char *tenant = mappings_tenant_name(l->parts->mappings, e->tenant);
	char addr[INSIDE_TEXT], figure[40] = "";

	if (l->kind != N_SURVEY_KINDS)
		snprintf(figure, sizeof(figure), "\"%s\":%u,", suspect_kind_text(l->kind), e->figure);
	return evbuffer_add_printf(out,
				   "{\"%s\":\"%s\",%s%s%s%s\"sessions\":%u,\"quota_exceeded\":%" PRIu64
				   ",\"quota\":%u,\"ports_used\":%u,\"ports_per_host\":%u,\"ports\":%u,"
				   "\"draining\":%u}\n",
				   virtual6_is(e->in_addr) ? "in_prefix" : "in_addr", inside_text(e->in_addr, addr),
				   *tenant ? "\"tenant\":\"" : "", tenant, *tenant ? "\"," : "", figure, e->sessions,
				   e->quota_exceeded, e->quota, e->ports_used, e->ports_per_host, e->ports,
				   e->draining);
}

static int send_lines(struct request *r, struct listing *l)
{
	const struct top_entry *entries;
	size_t n, end;

	entries = top_entries(l->top, &n);
	end = l->sent + LINES < n ? l->sent + LINES : n;
	while (l->sent < end)
		if (add_line(r->stream, l, &entries[l->sent++]) < 0)
			return -ENOMEM;
	return l->sent < n;
}

/* The subscribers that the first pass has found, for the second. 0 or -ENOMEM. */
static int take_highest(struct listing *l)
{
	_cleanup_free_ struct top_figure *list = NULL;
	size_t n;

	if (l->failed || top_heap_figures(&l->highest, &list, &n))
		return -ENOMEM;
	return top_new_of(l->parts->mappings, l->parts->grants, list, n, &l->top);
}

/* 1: more to do, 0: done, or -errno. */
static int find_step(struct listing *l)
{
	int r;

	if (l->survey) {
		r = survey_step(l->survey, REQUEST_COUNT_US);
		if (r)
			return r;
		survey_free(take_pointer(l->survey));
		r = take_highest(l);
		return r ? r : 1;
	}
	return top_step(l->top, REQUEST_COUNT_US);
}

static int top_step_request(struct request *r, cJSON **ret_result, struct error *err)
{
	struct listing *l = r->state;
	int ret = 0;

	if (!l->found) {
		ret = find_step(l);
		if (ret < 0)
			return error_set(err, ret, "the subscribers cannot be listed: %s", strerror(-ret));
		l->found = !ret;
		if (l->found)
			request_stream(r);
		return 1;
	}
	ret = send_lines(r, l);
	return ret < 0 ? error_set(err, ret, "the listing broke off: %s", strerror(-ret)) : ret;
}

static void listing_free(void *state)
{
	struct listing *l = state;

	survey_free(l->survey);
	top_heap_free(&l->highest);
	top_free(l->top);
	free(l);
}

static void on_surveyed(void *arg, const struct surveyed *s)
{
	struct listing *l = arg;
	struct top_rank rank = { .first = s->n[l->kind], .in_addr = s->in_addr, .tenant = s->tenant };

	if (!top_heap_takes(&l->highest, &rank))
		return;
	l->failed |= top_heap_put(&l->highest, &rank) != 0;
	if (l->highest.heap.n == l->limit)
		survey_rules(l->survey)->least[l->kind] = (uint32_t)top_heap_ranks(&l->highest)->first;
}

_Static_assert(PORT_LIST_MAX <= SURVEY_PORTS, "a survey takes the ports of a request");

static int begin_survey(struct listing *l, const char *ports)
{
	struct survey_rules rules = { .report = on_surveyed, .arg = l };

	for (unsigned kind = 0; kind < N_SURVEY_KINDS; kind++)
		rules.least[kind] = kind == l->kind ? 1 : SURVEY_NEVER;
	if (ports && port_list_parse(ports, rules.ports.port, &rules.ports.n))
		return -EINVAL;
	suspects_leave_out_copies(l->parts, &rules);
	l->highest.limit = l->limit;
	return survey_new(l->parts->mappings, &rules, &l->survey);
}

/*
 * The rates of the agent's own passes. 0, -ENOMEM, -EAGAIN: there are none yet, or -ENODATA: the configuration does not
 * ask for them.
 */
static int begin_rates(struct listing *l)
{
	size_t n;
	const struct top_figure *rates = suspects_rates(l->parts->suspects, l->kind, &n);

	if (l->kind == SURVEY_INBOUND && !l->parts->active->config->suspects.inbound)
		return -ENODATA;
	if (!rates)
		return -EAGAIN;
	return top_new_of(l->parts->mappings, l->parts->grants, rates, n < l->limit ? n : l->limit, &l->top);
}

static int begin(struct listing *l, enum top_order order, const char *ports)
{
	const struct parts *p = l->parts;

	switch (order) {
	case TOP_BY_HALF_OPEN:
		l->kind = SURVEY_HALF_OPEN;
		return begin_survey(l, ports);
	case TOP_BY_DESTINATIONS:
		l->kind = SURVEY_DESTINATIONS;
		return begin_survey(l, ports);
	case TOP_BY_RATE:
		l->kind = SURVEY_RATE;
		return begin_rates(l);
	case TOP_BY_INBOUND:
		l->kind = SURVEY_INBOUND;
		return begin_rates(l);
	case TOP_BY_SESSIONS:
	case TOP_BY_QUOTA:
		break;
	}
	return top_new(p->mappings, p->grants, order, l->limit, &l->top);
}

int verb_top(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *n = request_arg(r, "n"), *by = request_arg(r, "by"), *ports = request_arg(r, "ports");
	enum top_order order = by->given ? (enum top_order)by->number : TOP_BY_SESSIONS;
	struct listing *l;
	int ret;

	if (ports->given && order != TOP_BY_HALF_OPEN && order != TOP_BY_DESTINATIONS)
		return error_set(err, -EINVAL, "--ports needs --by half-open or --by destinations");
	l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(err, -ENOMEM, "the agent is out of memory");
	l->parts = r->context;
	l->limit = n->given ? n->number : TOP_DEFAULT;
	l->kind = N_SURVEY_KINDS;
	ret = begin(l, order, ports->given ? ports->text : NULL);
	if (!ret) {
		request_run(r, top_step_request, l, listing_free);
		return 0;
	}
	listing_free(l);
	if (ret == -ENODATA)
		return error_set(err, ret,
				 "packets of strangers are counted by subscriber only with `inbound` of "
				 "`suspects` in the configuration, such as \"suspects\": {\"inbound\": 1000}");
	if (ret == -EAGAIN)
		return error_set(err, ret,
				 "rates are known once the agent has counted sessions twice: every "
				 "`sweep_interval` with `metrics` or `suspects` in the configuration, else "
				 "each minute; ask again then");
	return error_set(err, -ENOMEM, "the agent is out of memory");
}
