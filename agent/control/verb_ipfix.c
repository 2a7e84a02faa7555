// SPDX-License-Identifier: BSD-2-Clause
/* ipfix show, set, disable, flush. */
#include <errno.h>
#include <string.h>

#include "control/handlers.h"

/* One collector as text, several as a list, as in the configuration. */
static void add_collector_names(cJSON *json, const struct config_ipfix *c)
{
	char text[COLLECTOR_TEXT];
	cJSON *list;

	if (c->n_collectors == 1) {
		cJSON_AddStringToObject(json, "collector", collector_format(c->collectors[0], text));
		return;
	}
	list = cJSON_AddArrayToObject(json, "collector");
	for (uint32_t i = 0; i < c->n_collectors; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(collector_format(c->collectors[i], text)));
}

static void add_figures(cJSON *json, const struct ipfix_figures *figures)
{
	json_add_u64(json, "records_sent", figures->records_sent);
	json_add_u64(json, "messages_sent", figures->messages_sent);
	json_add_u64(json, "records_lost", figures->records_lost);
}

static void add_collectors(cJSON *json, const struct ipfix *x)
{
	struct ipfix_collector_stats stats[MAX_COLLECTORS];
	size_t n = ipfix_stats(x, stats);
	cJSON *list = cJSON_AddArrayToObject(json, "collectors");

	for (size_t i = 0; i < n; i++) {
		const struct ipfix_collector_stats *s = &stats[i];
		cJSON *one = cJSON_CreateObject();
		char text[COLLECTOR_TEXT];

		cJSON_AddStringToObject(one, "collector", collector_format(s->collector, text));
		cJSON_AddBoolToObject(one, "connected", s->connected);
		add_figures(one, &s->figures);
		json_add_u64(one, "records_waiting", s->records_waiting);
		json_add_u64(one, "reconnects", s->reconnects);
		cJSON_AddItemToArray(list, one);
	}
}

static cJSON *answer_settings(struct request *r)
{
	const struct config_ipfix *c = &r->context->active->config->ipfix;
	struct ipfix_figures figures = ipfix_figures(r->context->ipfix);
	struct counters counters = { 0 };
	cJSON *json = cJSON_CreateObject();
	cJSON *events;

	if (!c->enabled)
		return json;
	add_collector_names(json, c);
	json_add_endpoint(json, "source", c->source);
	json_add_u64(json, "domain_id", c->domain_id);
	json_add_u64(json, "path_mtu", c->path_mtu);
	json_add_u64(json, "template_interval", c->template_interval);
	events = cJSON_AddArrayToObject(json, "events");
	for (const struct word *event = ipfix_event_words; event->text; event++)
		if (c->events & event->number)
			cJSON_AddItemToArray(events, cJSON_CreateString(event->text));
	add_figures(json, &figures);
	datapath_counters(r->context->datapath, &counters);
	json_add_u64(json, "events_lost", counters.events_lost);
	add_collectors(json, r->context->ipfix);
	return json;
}

int verb_ipfix_show(struct request *r, cJSON **ret_result, struct error *err)
{
	*ret_result = answer_settings(r);
	return *ret_result ? 0 : -ENOMEM;
}

static int edit_set(struct config *c, void *arg, struct error *err)
{
	const struct request *r = arg;
	struct config_ipfix *x = &c->ipfix;

	if (request_arg(r, "collector")->given)
		collectors_parse(request_arg(r, "collector")->text, x->collectors, &x->n_collectors);
	else if (!x->enabled)
		return error_set(err, -EINVAL, "there is no collector yet: name one with collector=ADDR:PORT");
	if (request_arg(r, "source")->given)
		x->source = request_arg(r, "source")->endpoint;
	if (request_arg(r, "domain_id")->given)
		x->domain_id = request_arg(r, "domain_id")->number;
	if (request_arg(r, "path_mtu")->given)
		x->path_mtu = request_arg(r, "path_mtu")->number;
	if (request_arg(r, "template_interval")->given)
		x->template_interval = request_arg(r, "template_interval")->number;
	x->enabled = true;
	return 0;
}

int verb_ipfix_set(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_set, answer_settings, err);
}

static int edit_disable(struct config *c, void *arg, struct error *err)
{
	c->ipfix.enabled = false;
	return 0;
}

int verb_ipfix_disable(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_disable, answer_empty, err);
}

int verb_ipfix_flush(struct request *r, cJSON **ret_result, struct error *err)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	ipfix_flush(r->context->ipfix, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
	*ret_result = answer_settings(r);
	return *ret_result ? 0 : -ENOMEM;
}
