/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line in the log for each change requested at the control socket, whatever the level of the log:
 *
 *	audit: uid=1000 (alice) pid=4711: mapping add {"in":"10.0.0.0/18","out":"1.1.1.0/30"}: done
 */
#ifndef DETNAT_AUDIT_LOG_H
#define DETNAT_AUDIT_LOG_H

#include "control/request.h"

/* Tells how a change ended; result_r and err as its client hears of them. Of verbs that only read nothing is told. */
void audit_change(struct request *r, int result_r, const struct error *err);

#endif
