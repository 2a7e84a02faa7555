// SPDX-License-Identifier: BSD-2-Clause
/* session flush: sessions are gathered by walking through them in slices, and closed between two slices. */
#include <errno.h>
#include <string.h>

#include "control/handlers.h"
#include "base/virtual6.h"
#include "control/request.h"
#include "tables/mapping_drains.h"

#define FLUSH_BATCH 256U

struct flush {
	struct session_walk *walk;
	struct session_filter filter;
	uint8_t tenant; /* of whose subscribers; 0: of all */
	bool dry_run;
	uint64_t closed;
	unsigned n;
	struct session found[FLUSH_BATCH];
};

static int gather(const struct session *s, void *arg)
{
	struct flush *f = arg;

	if (!session_fits(&f->filter, s) || (f->tenant && s->tenant != f->tenant))
		return 0;
	f->found[f->n++] = *s;
	return f->n == FLUSH_BATCH;
}

static int close_one(struct mappings *m, const struct session *s)
{
	const struct endpoint in = { s->in_addr, s->in_port }, ext = { s->ext_addr, s->ext_port };

	return virtual6_is(s->in_addr) ? sessions_close_host(m, &s->host, in, ext, s->proto)
				       : sessions_close_in(m, s->tenant, in, ext, s->proto);
}

static void close_found(struct request *r, struct flush *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		const struct session *s = &f->found[i];
		int n = f->dry_run ? 1 : close_one(r->context->mappings, s);

		/* A session that has ended meanwhile is not there to close. */
		f->closed += n > 0 ? (uint64_t)n : 0;
	}
	f->n = 0;
}

static int flush_step(struct request *r, cJSON **ret_result, struct error *err)
{
	struct flush *f = r->state;
	int ret = session_walk_step(f->walk, REQUEST_SLICE_US, gather, f);

	close_found(r, f);
	if (ret < 0)
		return error_set(err, ret, "after %llu sessions: %s", (unsigned long long)f->closed, strerror(-ret));
	if (ret)
		return 1;
	*ret_result = cJSON_CreateObject();
	json_add_u64(*ret_result, "closed", f->closed);
	if (f->dry_run)
		cJSON_AddTrueToObject(*ret_result, "dry_run");
	return *ret_result ? 0 : -ENOMEM;
}

static void flush_free(void *state)
{
	struct flush *f = state;

	session_walk_free(f->walk);
	free(f);
}

/* Refuses a prefix without a subscriber of the tenant (0: of any) and, unless it is confirmed, one that covers a
 * mapping.
 */
static int check_range(const struct request *r, struct prefix in, uint8_t tenant, struct error *err)
{
	const struct config *c = r->context->active->config;
	bool confirmed = request_arg(r, "yes")->number || request_arg(r, "dry_run")->number;
	char text[INSIDE_TEXT], title[MAPPING_TITLE];
	const struct mapping_drain *drain;
	size_t n_drains = mappings_drains(r->context->mappings, &drain);
	bool found = false;

	/* Sessions may drain in ranges without a mapping. */
	for (size_t i = 0; i < n_drains; i++) {
		if (!prefixes_overlap(in, drain[i].in) ||
		    (tenant && mappings_get(r->context->mappings, drain[i].number)->tenant != tenant))
			continue;
		found = true;
		if (prefix_within(drain[i].in, in) && in.plen < 32 && !confirmed)
			return error_set(err, -EPERM,
					 "%s covers everything that drains from %s: --yes ends its sessions, --dry-run "
					 "counts them",
					 inside_prefix_text(in, text), inside_prefix_text(drain[i].in, title));
	}
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		if (!prefixes_overlap(in, m->in) || (tenant && config_mapping_tenant(c, m) != tenant))
			continue;
		found = true;
		if (prefix_within(m->in, in) && in.plen < 32 && !confirmed)
			return error_set(
				err, -EPERM,
				"%s covers the whole mapping %s: --yes ends its sessions, --dry-run counts them",
				inside_prefix_text(in, text), config_mapping_title(c, m->tenant, m->in, m->out, title));
	}
	if (!found)
		return error_set(err, -ENOENT,
				 "%s contains no inside address of any mapping; `detnatctl mapping list` shows them",
				 inside_prefix_text(in, text));
	return 0;
}

int verb_session_flush(struct request *r, cJSON **ret_result, struct error *err)
{
	const struct arg_value *in = request_arg(r, "in");
	struct mappings *m = r->context->mappings;
	struct flush *f;
	uint8_t tenant;
	int ret = in->prefix.plen == 32 ? request_find_tenant(r, in->prefix.base, &tenant, err)
					: request_tenant(r, &tenant, err);

	if (ret)
		return ret;
	ret = check_range(r, in->prefix, tenant, err);
	if (ret == -ENOENT && in->prefix.plen == 32)
		return refuse_inside(in->prefix.base, ret, err);
	if (ret)
		return ret;
	f = calloc(1, sizeof(*f));
	ret = !f		      ? -ENOMEM
	      : in->prefix.plen == 32 ? session_walk_new_subscriber(m, inside_place(tenant, in->prefix.base), &f->walk)
				      : session_walk_new(m, &f->walk);
	if (ret) {
		free(f);
		return error_set(err, ret, "the sessions cannot be ended: %s", strerror(-ret));
	}
	f->tenant = tenant;
	f->dry_run = request_arg(r, "dry_run")->number;
	f->filter = (struct session_filter){
		.in = in,
		.host = arg_host(in),
		.ext = request_arg(r, "ext"),
		.proto = (uint8_t)request_arg(r, "proto")->number,
		.all = true,
	};
	request_run(r, flush_step, f, flush_free);
	return 0;
}
