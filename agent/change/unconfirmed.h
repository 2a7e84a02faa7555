/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reload that waits for its confirmation: `reload --confirm SECONDS`. What ran before it is kept in a file of the
 * state directory, so that it is taken back after a kill, a restart, an upgrade or a reboot, too.
 */
#ifndef DETNAT_UNCONFIRMED_H
#define DETNAT_UNCONFIRMED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/active.h"

#define UNCONFIRMED_FILE "unconfirmed.json"

/* Notes, before a reload takes effect, what runs now and for how many seconds the reload may wait. 0 or -errno. */
int unconfirmed_begin(struct active_config *a, uint32_t seconds, struct error *err);

/* A reload waits no more: it is confirmed, was taken back, or did not take effect. 0 or -errno, and it waits on. */
int unconfirmed_end(struct active_config *a, struct error *err);

/* The reload stays as it is: 0, -ENOENT if none waits, -EBUSY if its time is over, or another -errno. */
int unconfirmed_keep(struct active_config *a, struct error *err);

/* Takes up what an earlier agent has noted, if it did. */
void unconfirmed_resume(struct active_config *a);

/* Whether the time of the reload that waits is over. */
bool unconfirmed_is_due(const struct active_config *a);

/* -EBUSY with what can be done, if a reload waits; else 0. */
int unconfirmed_refuse(const struct active_config *a, struct error *err);

/* Begins to take it back: what ran before the reload, the caller's, or -errno with err (-ENOENT: none waits). */
int unconfirmed_before(struct active_config *a, struct config **ret, struct error *err);

#endif
