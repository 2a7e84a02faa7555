// SPDX-License-Identifier: BSD-2-Clause
/* trace start, show, pcap and stop. */
#include <errno.h>
#include <string.h>

#include "control/answer.h"
#include "control/handlers.h"
#include "punt/trace_frames.h"
#include "punt/tracing.h"

#define DEFAULT_COUNT 100U

static struct trace_endpoint endpoint_of(const struct request *r, const char *name)
{
	const struct arg_value *v = request_arg(r, name);

	return (struct trace_endpoint){ .addr = v->endpoint.addr, .port = v->endpoint.port };
}

/*
 * The tenant whose packets are wanted; 0: of any. An inside address that several have must come with one. Without
 * --tenant, packets of other tenants' interfaces with that address are traced as well: they are why one may ask.
 */
static int tenant_wanted(const struct request *r, uint8_t *ret, struct error *err)
{
	const struct arg_value *in = request_arg(r, "in");
	int failed = in->given ? request_find_tenant(r, in->endpoint.addr, ret, err) : request_tenant(r, ret, err);

	if (!failed && !request_arg(r, "tenant")->given)
		*ret = 0;
	return failed;
}

static int prepare_start(void *arg, struct error *err)
{
	const struct request *r = arg;
	uint8_t tenant;
	int failed = tenant_wanted(r, &tenant, err);

	return failed ? failed : trace_prepare(r->context->trace, err);
}

static void start_ended(struct request *r, int result_r)
{
	struct trace_filter filter = {
		.in = endpoint_of(r, "in"),
		.out = endpoint_of(r, "out"),
		.ext = endpoint_of(r, "ext"),
		.proto = (uint8_t)request_arg(r, "proto")->number,
	};
	const struct address6 *host = arg_host(request_arg(r, "in"));
	uint32_t count = request_arg(r, "count")->given ? request_arg(r, "count")->number : DEFAULT_COUNT;

	if (host) {
		filter.host[0] = be64_number(host->hi);
		filter.host[1] = be64_number(host->lo);
	}
	/* As in prepare_start(): no other change has come between. */
	if (result_r || tenant_wanted(r, &filter.tenant, NULL))
		trace_settle(r->context->trace);
	else
		trace_record(r->context->trace, &filter, count, NULL);
}

int verb_trace_start(struct request *r, cJSON **ret_result, struct error *err)
{
	r->ended = start_ended;
	return request_programs(r, prepare_start, answer_empty, err);
}

static int prepare_stop(void *arg, struct error *err)
{
	const struct request *r = arg;

	trace_dismiss(r->context->trace);
	return 0;
}

static void stop_ended(struct request *r, int result_r)
{
	trace_settle(r->context->trace);
}

int verb_trace_stop(struct request *r, cJSON **ret_result, struct error *err)
{
	r->ended = stop_ended;
	return request_programs(r, prepare_stop, answer_empty, err);
}

struct showing {
	const struct trace *trace;
	struct evbuffer *output;
	uint32_t generation;
	size_t next;
	bool frames; /* in place of steps */
};

static int show_json(struct showing *s, cJSON *json)
{
	_cleanup_free_ char *text = json ? cJSON_PrintUnformatted(json) : NULL;

	cJSON_Delete(json);
	if (!text || evbuffer_add_printf(s->output, "%s\n", text) < 0)
		return -ENOMEM;
	return 0;
}

static int show_one(struct showing *s, const struct trace_record *record)
{
	struct trace_frame frame[2];
	unsigned n = s->frames ? trace_frames(record, frame) : 0;
	int r = 0;

	if (!s->frames)
		return show_json(s, trace_record_json(s->trace, record));
	for (unsigned i = 0; !r && i < n; i++)
		r = show_json(s, trace_frame_json(record, &frame[i], i));
	return r;
}

static int show_step(struct request *r, cJSON **ret_result, struct error *err)
{
	uint64_t end = monotonic_us() + REQUEST_SLICE_US;
	struct showing *s = r->state;

	if (trace_generation(s->trace) != s->generation)
		return error_set(err, -ESTALE, "the listing broke off, as another trace was started");
	do {
		const struct trace_record *record = trace_get(s->trace, s->next);

		if (!record)
			return 0;
		if (show_one(s, record))
			return error_set(err, -ENOMEM, "the agent is out of memory");
		s->next++;
	} while (monotonic_us() < end && evbuffer_get_length(s->output) < REQUEST_OUTPUT_HIGH);
	return 1;
}

int verb_trace_show(struct request *r, cJSON **ret_result, struct error *err)
{
	struct showing *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, -ENOMEM, "the agent is out of memory");
	s->trace = r->context->trace;
	s->generation = trace_generation(s->trace);
	s->frames = request_arg(r, "pcap")->given;
	request_run(r, show_step, s, free);
	s->output = request_stream(r);
	return 0;
}

/* The same, with the output file as an argument. */
int verb_trace_pcap(struct request *r, cJSON **ret_result, struct error *err)
{
	return verb_trace_show(r, ret_result, err);
}
