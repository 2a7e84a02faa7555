/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Versions before had a second home for sessions beyond the slots, the map `overflow`, a hash with an entry for each
 * direction. Its sessions go into extents, <detnat/extents.h>, while the programs that have opened them still run:
 * before these are exchanged, right after, and once none of them is running any more. The subscribers' counts have them
 * already.
 *
 * If the former programs look into the extents, too, a session leaves the hash as soon as it has its place there, for
 * as long as it has two, both translate alike. If not, it stays in the hash for them, and what they change there is
 * merged into its place.
 */
#ifndef DETNAT_FORMER_SESSIONS_H
#define DETNAT_FORMER_SESSIONS_H

#include "datapath/datapath.h"

struct btf;
struct former_sessions;

/* Of another layout's hash, which stays as it is; takes the descriptor. resumed: an earlier agent has begun this. */
int former_sessions_of_layout(int map, const struct btf *types, bool resumed, struct former_sessions **ret);

/* Of the hash that an earlier build of this layout has left; *ret is NULL if it has left none. */
int former_sessions_of_build(const struct datapath *d, struct former_sessions **ret);

/* Places what is there now, and brings over what has changed since the last call. 0 or -errno. */
int former_sessions_bring_over(const struct datapath *d, struct former_sessions *f);

/*
 * The last call, once the former programs have gone. What has found no room is taken out of the counts and said in the
 * log; the hash of an earlier build is not pinned any more. Returns the number of sessions that have a place.
 */
size_t former_sessions_end(const struct datapath *d, struct former_sessions *f);

void former_sessions_free(struct former_sessions *f);

#endif
