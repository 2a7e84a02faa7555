/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/request.h"

#include <errno.h>
#include <string.h>

#include "control/handlers.h"
#include "control/noting.h"

/* The longest search for the request that makes a batch wrong, while which the agent does nothing else. */
#define SEARCH_US 500000U

static bool has_arg(const struct verb_spec *spec, const char *name)
{
	for (const struct arg_spec *arg = spec->args; arg->kind; arg++)
		if (!strcmp(arg->name, name))
			return true;
	return false;
}

/* One change has one drain time. drains: an earlier request has set it. */
static int merge_options(struct request *r, const struct request *one, bool *drains, struct error *err)
{
	if (!has_arg(one->spec, "drain"))
		return 0;
	if (*drains && (one->options.drain_given != r->options.drain_given || one->options.drain != r->options.drain))
		return error_set(err, -EINVAL,
				 "%s: sessions of one change drain alike: give each command of the batch that takes "
				 "--drain the same value",
				 one->spec->name);
	*drains = true;
	r->options.drain_given = one->options.drain_given;
	r->options.drain = one->options.drain;
	return 0;
}

static int no_edit(const char *verb, struct error *err)
{
	return error_set(err, -EINVAL, "%s does not edit the configuration, and cannot be part of a batch", verb);
}

static int check_verb(const cJSON *document, struct error *err)
{
	const char *name = cJSON_GetObjectItemCaseSensitive(document, "verb")->valuestring;
	int verb = verb_find(name);

	return verb >= 0 && !verb_specs[verb].edits ? no_edit(name, err) : 0;
}

/* Reads the next request of the list. */
static int take_one(struct request *r, cJSON *list, int *ret_status, struct error *err)
{
	cJSON *document = cJSON_DetachItemFromArray(list, 0), *result = NULL;
	struct request *one;
	int ret;

	*ret_status = 2;
	if (!request_is_well_formed(document)) {
		cJSON_Delete(document);
		return error_set(err, -EINVAL, "a batch is an array of requests, each with a verb and perhaps args");
	}
	one = calloc(1, sizeof(*one));
	if (!one) {
		cJSON_Delete(document);
		*ret_status = 1;
		return error_set(err, -ENOMEM, "out of memory");
	}
	one->context = r->context;
	one->peer = r->peer;
	one->document = document;
	one->in_batch = true;
	r->batch->request[r->batch->n++] = one;
	ret = check_verb(document, err);
	if (!ret)
		ret = request_start_one(one, &result, ret_status, err);
	cJSON_Delete(result);
	return ret || one->edit ? ret : no_edit(one->spec->name, err);
}

/* Makes the first n edits. */
static int edit_first(struct batch *b, unsigned n, struct config *c, struct error *err)
{
	for (unsigned i = 0; i < n; i++) {
		int ret = b->request[i]->edit(c, b->request[i], err);

		if (ret) {
			b->refused = i + 1;
			return ret;
		}
	}
	return 0;
}

static int edit_all(struct config *c, void *arg, struct error *err)
{
	struct batch *b = ((struct request *)arg)->batch;

	return edit_first(b, b->n, c, err);
}

static int edit_tried(struct config *c, void *arg, struct error *err)
{
	struct batch *b = ((struct request *)arg)->batch;

	return edit_first(b, b->tried, c, err);
}

/* What the configuration after the first n edits is refused with; "": with nothing. */
static void try_first(struct request *r, unsigned n, struct error *ret)
{
	r->batch->tried = n;
	*ret->text = '\0';
	if (change_check_edit(r->context->changes, edit_tried, r, ret) && !*ret->text)
		error_set(ret, 0, "refused");
}

/*
 * Edits that are well each by itself, and make together what is refused: finds the one that brings the reason in. What
 * runs now has no such reason and all edits have it, so there is one before which it is not there and after which it
 * is; those after it may still have mended it, and did not.
 */
static void find_refused(struct request *r, int result_r)
{
	struct batch *b = r->batch;
	unsigned without = 0, with = b->n;
	uint64_t until = monotonic_us() + SEARCH_US;
	struct error why, some;

	if (!result_r || b->refused)
		return;
	try_first(r, with, &why);
	if (!*why.text)
		return;
	while (with - without > 1 && monotonic_us() < until) {
		unsigned middle = without + (with - without) / 2;

		try_first(r, middle, &some);
		if (!strcmp(some.text, why.text))
			with = middle;
		else
			without = middle;
	}
	b->refused = with - without > 1 ? 0 : with;
}

/* The answer to a request is null if a later one has deleted its object. */
static cJSON *answer_all(struct request *r)
{
	cJSON *list = cJSON_CreateArray();

	for (unsigned i = 0; list && i < r->batch->n; i++) {
		cJSON *answer = r->batch->request[i]->answer(r->batch->request[i]);

		if (!cJSON_AddItemToArray(list, answer ? answer : cJSON_CreateNull())) {
			cJSON_Delete(answer);
			cJSON_Delete(list);
			return NULL;
		}
	}
	return list;
}

static int change_all(struct request *r, cJSON **ret_result, struct error *err)
{
	return request_change(r, edit_all, answer_all, err);
}

static int start_batch(struct request *r, cJSON *list, int *ret_status, struct error *err)
{
	unsigned n = (unsigned)cJSON_GetArraySize(list);
	bool drains = false;
	int ret = 0;

	*ret_status = 2;
	if (!n)
		return error_set(err, -EINVAL, "a batch needs at least one request");
	r->batch = calloc(1, sizeof(*r->batch) + n * sizeof(struct request *));
	if (!r->batch) {
		*ret_status = 1;
		return error_set(err, -ENOMEM, "out of memory");
	}
	while (!ret && r->batch->n < n) {
		r->batch->refused = r->batch->n + 1;
		ret = take_one(r, list, ret_status, err);
		if (!ret) {
			*ret_status = 1;
			ret = merge_options(r, r->batch->request[r->batch->n - 1], &drains, err);
		}
	}
	if (ret)
		return ret;
	r->batch->refused = 0;
	r->ended = find_refused;
	return notes_want(r) ? notes_begin(r, change_all, NULL, err) : change_all(r, NULL, err);
}

int request_start(struct request *r, cJSON **ret_result, int *ret_status, struct error *err)
{
	cJSON *list = cJSON_GetObjectItemCaseSensitive(r->document, "batch");

	return list ? start_batch(r, list, ret_status, err) : request_start_one(r, ret_result, ret_status, err);
}
