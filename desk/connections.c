// SPDX-License-Identifier: BSD-2-Clause
#include "connections.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

struct connection {
	int fd;
	bool used, has_request, closed;
	time_t begin;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Those that were shut down are there until their threads have ended and the accepting thread has seen it. */
static struct connection all[CONNECTIONS_MAX];
/* From so many of them on, the accepting thread gives their threads a millisecond for each new one. */
#define ENDING_MANY (CONNECTIONS_MAX / 8)

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Wakes the thread of the connection, which then closes it. */
static void shut(struct connection *c)
{
	c->closed = true;
	shutdown(c->fd, SHUT_RDWR);
}

/* Where half of the places are taken, gives away that of the one that has waited longest without a request. */
static void make_room(unsigned n_used)
{
	struct connection *oldest = NULL;

	if (n_used < CONNECTIONS_MAX / 2)
		return;
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (all[i].used && !all[i].closed && !all[i].has_request && (!oldest || all[i].begin < oldest->begin))
			oldest = &all[i];
	if (oldest)
		shut(oldest);
}

struct connection *connection_begin(int fd)
{
	struct connection *c = NULL;
	unsigned n_used = 0, n_ending = 0;

	pthread_mutex_lock(&mutex);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		n_used += all[i].used;
		n_ending += all[i].used && all[i].closed;
		if (!all[i].used)
			c = &all[i];
	}
	make_room(n_used);
	if (c)
		*c = (struct connection){ .fd = fd, .used = true, .begin = now_s() };
	pthread_mutex_unlock(&mutex);
	if (n_ending >= ENDING_MANY)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return c;
}

void connection_has_request(struct connection *c)
{
	pthread_mutex_lock(&mutex);
	c->has_request = true;
	pthread_mutex_unlock(&mutex);
}

void connection_end(struct connection *c)
{
	pthread_mutex_lock(&mutex);
	c->used = false;
	pthread_mutex_unlock(&mutex);
}

static void shut_slow(void)
{
	time_t now = now_s();

	pthread_mutex_lock(&mutex);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &all[i];

		if (c->used && !c->closed &&
		    now - c->begin > (c->has_request ? CONNECTION_LIFE_S : CONNECTION_REQUEST_S))
			shut(c);
	}
	pthread_mutex_unlock(&mutex);
}

static void *watch(void *arg)
{
	for (;;) {
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
		shut_slow();
	}
	return arg;
}

int connections_watch(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, watch, NULL);

	if (!r)
		pthread_detach(thread);
	return -r;
}
