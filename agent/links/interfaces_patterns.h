/* SPDX-License-Identifier: BSD-2-Clause */
/* The links that names with `*` in the configuration stand for. */
#ifndef DETNAT_INTERFACES_PATTERNS_H
#define DETNAT_INTERFACES_PATTERNS_H

#include "config/config.h"
#include "host/stacking.h"

/* As many links as patterns may stand for, all together. */
#define MAX_MATCHES CONFIG_MAX_INTERFACES

/*
 * The pattern that stands for a link, the longest that matches: NULL if none does, or if the link is no interface of
 * its own: loopback, a port of another interface, or in a VRF. One with an index beyond the tables is none of these
 * either: what comes from there is translated by its source (settings.inside_from).
 */
const struct config_interface *pattern_for(const struct config_interface *wanted, size_t n, const struct link *l);

/*
 * A copy of a configuration with the links that patterns stand for in their place, and without "*". The caller frees
 * it; NULL: out of memory.
 */
struct config *patterns_expand(const struct config *c, const struct link_list *links);

#endif
