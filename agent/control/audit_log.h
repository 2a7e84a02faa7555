/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line in the log for each change requested at the control socket, whatever the level of the log:
 *
 *	audit: uid=1000 (alice) pid=4711: mapping add {"in":"10.0.0.0/18","out":"1.1.1.0/30"}: done
 */
#ifndef DETNAT_AUDIT_LOG_H
#define DETNAT_AUDIT_LOG_H

#include "control/request.h"

/* Logs how a change ended, with the result and error that its client gets. Verbs that only read are not logged. */
void audit_change(struct request *r, int result_r, const struct error *err);

#endif
