// SPDX-License-Identifier: BSD-2-Clause
#include "control/handlers.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"
#include "control/audit_log.h"
#include "control/noting.h"

/* NULL for a verb that detnatctl answers itself. */
static const verb_handler handlers[N_VERBS] = {
#define VERB(id, ...) [VERB_##id] = verb_##id,
#define LOCAL_VERB(id, ...)
#include "proto/verbs.def"
};

static int check_rights(struct request *r, struct error *err)
{
	if (!request_changes(r) || r->peer.may_change)
		return 0;
	log_warning("%s: refused to uid %u (pid %d), who is not in group " GROUP_ADMINS, r->spec->name, r->peer.uid,
		    r->peer.pid);
	return error_set(err, -EPERM, "%s: changes need root or membership of group " GROUP_ADMINS, r->spec->name);
}

int request_start_one(struct request *r, cJSON **ret_result, int *ret_status, struct error *err)
{
	const char *name = cJSON_GetObjectItemCaseSensitive(r->document, "verb")->valuestring;
	int verb = verb_find(name);
	int ret;

	*ret_status = 2;
	if (verb < 0)
		return error_set(err, -EINVAL, "unknown verb %s", QUOTED(name));
	r->spec = &verb_specs[verb];
	ret = request_parse_args(r, err);
	if (ret)
		return ret;
	if (!handlers[verb])
		return error_set(err, -EINVAL, "detnatctl answers %s itself, without the agent", name);
	*ret_status = 1;
	ret = check_rights(r, err);
	if (!ret)
		ret = request_place_args(r, err);
	if (ret)
		return ret;
	ret = notes_want(r) ? notes_begin(r, handlers[verb], ret_result, err) : handlers[verb](r, ret_result, err);
	if (ret || *ret_result)
		audit_change(r, ret, err);
	return ret;
}
