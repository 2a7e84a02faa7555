// SPDX-License-Identifier: BSD-2-Clause
#include "shares.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "connections.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
/* Each has a connection, but for the thread that takes samples. */
#define ASKERS_MAX  (CONNECTIONS_MAX + 1)
#define WAITING_MAX 16U
#define LOOK_MS	    200

/* At most so much of each: together, by one asker of a kind, and by all of it. */
static const struct {
	uint64_t all, one, kind[N_ASKING];
} limits[N_SHARES] = {
	[SHARE_REQUESTS] = { CONNECTIONS_MAX, 96, { 192, 192, 96, 64 } },
	/* Whatever two kinds take, the third one has one; and whatever one asker takes, others of its kind have one. */
	[SHARE_PROCESSES] = { 8, 2, { 4, 4, 3, 0 } },
	[SHARE_BODIES] = { 64 * MIB, 32 * MIB, { 48 * MIB, 48 * MIB, 32 * MIB, 0 } },
	[SHARE_ANSWERS] = { 6 * GIB, 3 * GIB, { 3 * GIB, 4 * GIB, 3 * GIB, 0 } },
};

struct use {
	struct asker who; /* without a name: free */
	uint64_t taken[N_SHARES];
	unsigned waiting;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static struct use uses[ASKERS_MAX];
static uint64_t all[N_SHARES], by_kind[N_SHARES][N_ASKING];

/* The asker's use, of the kind that it asks; one without any if it has none; NULL if there are too many. */
static struct use *use_of(const struct asker *who)
{
	struct use *vacant = NULL;

	for (unsigned i = 0; i < ASKERS_MAX; i++) {
		if (uses[i].who.asking == who->asking && !strcmp(uses[i].who.name, who->name))
			return &uses[i];
		if (!*uses[i].who.name)
			vacant = &uses[i];
	}
	return vacant;
}

static void forget_unused(struct use *u)
{
	static const struct use none;

	if (!memcmp(u->taken, none.taken, sizeof(u->taken)) && !u->waiting)
		*u = none;
}

static bool take(enum share what, const struct asker *who, uint64_t n)
{
	struct use *u = use_of(who);

	if (!u || n > limits[what].all - all[what] || n + u->taken[what] > limits[what].one ||
	    n + by_kind[what][who->asking] > limits[what].kind[who->asking])
		return false;
	u->who = *who;
	u->taken[what] += n;
	all[what] += n;
	by_kind[what][who->asking] += n;
	return true;
}

bool share_take(enum share what, const struct asker *who, uint64_t n)
{
	bool taken;

	pthread_mutex_lock(&mutex);
	taken = take(what, who, n);
	pthread_mutex_unlock(&mutex);
	return taken;
}

void share_give(enum share what, const struct asker *who, uint64_t n)
{
	struct use *u;

	if (!n)
		return;
	pthread_mutex_lock(&mutex);
	u = use_of(who);
	u->taken[what] -= n;
	all[what] -= n;
	by_kind[what][who->asking] -= n;
	forget_unused(u);
	pthread_cond_broadcast(&given);
	pthread_mutex_unlock(&mutex);
}

/* Until something was given back, or it is time to look whether somebody still waits. */
static void rest(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOOK_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&given, &mutex, &until);
}

static bool wait_for(enum share what, const struct asker *who, uint64_t n, uint64_t until_us, bool (*wanted)(void *arg),
		     void *arg)
{
	bool taken = take(what, who, n);

	while (!taken && monotonic_us() < until_us && wanted(arg)) {
		rest();
		taken = take(what, who, n);
	}
	return taken;
}

bool share_wait(enum share what, const struct asker *who, uint64_t n, unsigned seconds, bool (*wanted)(void *arg),
		void *arg)
{
	struct use *u;
	bool taken = false;

	pthread_mutex_lock(&mutex);
	u = use_of(who);
	if (u && u->waiting < WAITING_MAX) {
		u->who = *who;
		u->waiting++;
		taken = wait_for(what, who, n, monotonic_us() + seconds * UINT64_C(1000000), wanted, arg);
		u->waiting--;
		forget_unused(u);
	}
	pthread_mutex_unlock(&mutex);
	return taken;
}
