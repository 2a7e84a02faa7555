// SPDX-License-Identifier: BSD-2-Clause
#include "control/answer.h"

#include <errno.h>
#include <string.h>

#include "diagnosis/doctor.h"
#include "links/devices.h"
#include "proto/words.h"

cJSON *answer_empty(struct request *r)
{
	return cJSON_CreateObject();
}

bool json_add_addr(cJSON *object, const char *name, uint32_t addr)
{
	char text[ADDR_TEXT];

	return cJSON_AddStringToObject(object, name, addr_format(addr, text));
}

bool json_add_prefix(cJSON *object, const char *name, struct prefix p)
{
	char text[ADDR_TEXT];

	return cJSON_AddStringToObject(object, name, prefix_format(p.base, p.plen, text));
}

bool json_add_endpoint(cJSON *object, const char *name, struct endpoint e)
{
	char text[ADDR_TEXT + 8], addr[ADDR_TEXT];

	snprintf(text, sizeof(text), "%s:%u", addr_format(e.addr, addr), e.port);
	return cJSON_AddStringToObject(object, name, text);
}

bool json_add_name(cJSON *object, const char *name, const char *text)
{
	return *text ? cJSON_AddStringToObject(object, name, text) : cJSON_AddNullToObject(object, name);
}

void json_add_mapping_name(cJSON *object, const struct request *r, const struct mapping *m)
{
	const struct geometry *g = &m->geo;
	const char *name = config_mapping_name(r->context->active->config, (struct prefix){ g->in_base, g->in_plen },
					       (struct prefix){ g->out_base, g->out_plen });

	if (*name)
		cJSON_AddStringToObject(object, "mapping", name);
}

bool json_add_u64(cJSON *object, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return cJSON_AddRawToObject(object, name, text);
}

struct counting {
	struct session_counter *counter;
	struct session_count count;
	answer_count answer;
};

static void counting_free(void *state)
{
	struct counting *c = state;

	session_counter_free(c->counter);
	free(c);
}

static int counting_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct counting *c = r->state;
	int ret = session_counter_step(c->counter, REQUEST_COUNT_US, &c->count);

	if (ret < 0)
		return error_set(err, ret, "the sessions could not be counted: %s", strerror(-ret));
	if (ret)
		return 1;
	*ret_result = c->answer(r, &c->count);
	return *ret_result ? 0 : error_set(err, -ENOMEM, "the agent is out of memory");
}

int request_count(struct request *r, answer_count answer, struct error *err)
{
	struct counting *c = calloc(1, sizeof(*c));
	int ret = c ? session_counter_new(r->context->mappings, &c->counter) : -ENOMEM;

	if (ret) {
		free(c);
		return error_set(err, ret, "the sessions cannot be counted: %s", strerror(-ret));
	}
	c->answer = answer;
	request_run(r, counting_step, c, counting_free);
	return 0;
}

bool json_add_text(cJSON *object, const char *name, const char *text)
{
	return text ? cJSON_AddStringToObject(object, name, text) : cJSON_AddNullToObject(object, name);
}

bool answer_add_forwarding(const struct parts *a, cJSON *object, const char *interface)
{
	const char *why = devices_kernel_forwards(a->devices, a->active->config, interface);

	return cJSON_AddStringToObject(object, "forwarding",
				       word_text(forwarding_words, why ? FORWARDING_KERNEL : FORWARDING_REDIRECT)) &&
	       json_add_text(object, "forwarding_reason", why);
}

size_t json_add_draining(cJSON *object, const struct mappings *m, uint32_t in_addr)
{
	const struct mapping_drain *drain;
	size_t n = mappings_drains(m, &drain), found = 0;
	cJSON *list = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct mapping_drain *d = &drain[i];
		const struct geometry *g = &mappings_get(m, d->number)->geo;
		struct port_block block;
		cJSON *item;

		if (mappings_drain_of(m, d->number, in_addr) != d)
			continue;
		list = list ? list : cJSON_AddArrayToObject(object, "draining");
		item = cJSON_CreateObject();
		block = mapping_block(g, in_addr);
		json_add_addr(item, "out_addr", block.out_addr);
		json_add_u64(item, "port_lo", block.port_lo);
		json_add_u64(item, "port_hi", block.port_hi);
		json_add_prefix(item, "in", (struct prefix){ g->in_base, g->in_plen });
		json_add_prefix(item, "out", (struct prefix){ g->out_base, g->out_plen });
		json_add_u64(
			item, "sessions",
			__atomic_load_n(&mappings_subscriber(m, d->number, mapping_subscriber(g, in_addr))->sessions,
					__ATOMIC_RELAXED));
		json_add_u64(item, "drain_left", mapping_drain_left(d));
		found += cJSON_AddItemToArray(list, item);
	}
	return found;
}

static void add_warning(void *arg, const char *subject, const char *text)
{
	cJSON_AddItemToArray(arg, cJSON_CreateString(text));
}

bool answer_add_warnings(const struct parts *a, cJSON *object, struct prefix in, struct prefix out)
{
	cJSON *list = cJSON_AddArrayToObject(object, "warnings");
	struct config_mapping mapping = { .in = in, .out = out };
	struct config c = *a->active->config;

	c.mappings = &mapping;
	c.n_mappings = 1;
	if (list)
		doctor_pool_warnings(&c, add_warning, list);
	return list;
}
