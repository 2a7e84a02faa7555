/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/audit_log.h"

#include <string.h>

#include "base/log.h"
#include "host/accounts.h"

static void audit_one(struct request *r, int result_r, const struct error *err)
{
	char user[ACCOUNT_NAME] = "?";
	_cleanup_free_ char *args = NULL;

	if (!r->spec || !request_changes(r) || r->audited)
		return;
	r->audited = true;
	account_name(r->peer.uid, user);
	args = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(r->document, "args"));
	log_audit("audit: uid=%u (%s) pid=%d: %s %s: %s%s", r->peer.uid, user, r->peer.pid, r->spec->name,
		  args ? args : "{}", result_r ? "refused: " : "done",
		  !result_r	      ? ""
		  : err && *err->text ? err->text
				      : strerror(-result_r));
}

void audit_change(struct request *r, int result_r, const struct error *err)
{
	audit_one(r, result_r, err);
	for (unsigned i = 0; r->batch && i < r->batch->n; i++)
		audit_one(r->batch->request[i], result_r, err);
}
