/* SPDX-License-Identifier: BSD-2-Clause */
/* The links that match names with `*` in the configuration. */
#ifndef DETNAT_INTERFACES_PATTERNS_H
#define DETNAT_INTERFACES_PATTERNS_H

#include "config/config.h"
#include "host/stacking.h"

/* Maximum number of links that match all patterns together. */
#define MAX_MATCHES CONFIG_MAX_INTERFACES

/*
 * The longest pattern that matches a link: NULL if none does, or if the link is not an interface of its own: loopback,
 * or a port of another interface. A link with an index beyond the tables does not match either: packets from
 * there are translated by their source (settings.inside_from).
 */
const struct config_interface *pattern_for(const struct config_interface *wanted, size_t n, const struct link *l);

/*
 * A copy of a configuration with the matching links in place of patterns, and without "*". The caller frees it; NULL:
 * out of memory.
 */
struct config *patterns_expand(const struct config *c, const struct link_list *links);

#endif
