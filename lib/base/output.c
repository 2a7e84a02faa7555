/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/output.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/background.h"
#include "base/base.h"

/* After a text took too long, none is waited for during this time. */
#define SLOW_US (10 * 1000000ULL)

#define STACK_SIZE (128U << 10)

struct output {
	int fd;
	output_tell tell;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;	/* for the thread */
	pthread_cond_t drained; /* for threads that wait for it */
	char *waiting;		/* OUTPUT_MAX octets, `length` of them used */
	char *writing;		/* as large; used by the thread */
	size_t length;
	bool busy; /* the thread is writing */
	bool ending;
	uint64_t lost; /* lines */
	uint64_t told; /* lost lines reported to the reader */
	uint64_t slow_until_us;
};

static size_t count_lines(const char *text, size_t size)
{
	size_t lines = 0;

	for (const char *end = text + size; (text = memchr(text, '\n', (size_t)(end - text))); text++)
		lines++;
	return lines;
}

/* Returns the octets written: fewer than size if the rest can never be written. */
static size_t write_all(int fd, const char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, text + done, size - done);
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (n < 0 && errno != EINTR)
			break;
	}
	return done;
}

/* Under the lock. */
static bool append(struct output *o, const char *text, size_t size)
{
	if (size > OUTPUT_MAX - o->length)
		return false;
	memcpy(o->waiting + o->length, text, size);
	o->length += size;
	return true;
}

/* Called with the lock held: reports lost lines at the place where they were lost. */
static void tell_losses(struct output *o)
{
	uint64_t lines = o->lost - o->told;
	char text[256];

	if (!lines)
		return;
	*text = '\0';
	if (o->tell)
		o->tell(lines, text, sizeof(text));
	if (append(o, text, strlen(text)))
		o->told = o->lost;
}

/* The thread may start before the agent drops its capabilities, and writing needs none. */
static void give_up_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	syscall(SYS_capset, &header, none);
}

static void *run(void *arg)
{
	struct output *o = arg;

	give_up_capabilities();
	pthread_mutex_lock(&o->lock);
	for (;;) {
		char *text = o->waiting;
		size_t size, done;

		while (!o->length && !o->ending)
			pthread_cond_wait(&o->more, &o->lock);
		if (!o->length)
			break;
		size = o->length;
		o->waiting = o->writing;
		o->writing = text;
		o->length = 0;
		o->busy = true;
		pthread_mutex_unlock(&o->lock);
		done = write_all(o->fd, text, size);
		pthread_mutex_lock(&o->lock);
		o->busy = false;
		if (done < size)
			o->lost += count_lines(text + done, size - done);
		else
			tell_losses(o);
		if (!o->length)
			pthread_cond_broadcast(&o->drained);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static void release(struct output *o)
{
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->more);
	pthread_cond_destroy(&o->drained);
	free(o->waiting);
	free(o->writing);
	free(o);
}

int output_new(int fd, output_tell tell, struct output **ret)
{
	struct output *o = calloc(1, sizeof(*o));
	pthread_condattr_t monotonic;
	int r = -ENOMEM;

	if (!o)
		return -ENOMEM;
	o->fd = fd;
	o->tell = tell;
	o->waiting = malloc(OUTPUT_MAX);
	o->writing = malloc(OUTPUT_MAX);
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->more, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&o->drained, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (o->waiting && o->writing)
		r = thread_start(&o->thread, STACK_SIZE, run, o);
	if (r) {
		release(o);
		return r;
	}
	*ret = o;
	return 0;
}

/* Called with the lock held: waits until everything is written; false if that takes too long. */
static bool wait_drained(struct output *o, unsigned patience_ms)
{
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + patience_ms * 1000000ULL;
	const struct timespec until = { (time_t)(until_ns / 1000000000), (long)(until_ns % 1000000000) };

	while (o->length || o->busy)
		if (pthread_cond_timedwait(&o->drained, &o->lock, &until) == ETIMEDOUT)
			return !o->length && !o->busy;
	return true;
}

void output_write(struct output *o, const char *text, size_t size)
{
	pthread_mutex_lock(&o->lock);
	tell_losses(o);
	if (o->lost != o->told || !append(o, text, size))
		o->lost += count_lines(text, size);
	pthread_cond_signal(&o->more);
	if (monotonic_us() >= o->slow_until_us && !wait_drained(o, OUTPUT_PATIENCE_MS))
		o->slow_until_us = monotonic_us() + SLOW_US;
	pthread_mutex_unlock(&o->lock);
}

uint64_t output_lost(struct output *o, bool *ret_waiting)
{
	uint64_t lost;

	pthread_mutex_lock(&o->lock);
	lost = o->lost;
	*ret_waiting = o->length || o->busy;
	pthread_mutex_unlock(&o->lock);
	return lost;
}

void output_free(struct output *o, unsigned patience_ms)
{
	bool drained;

	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	drained = wait_drained(o, patience_ms);
	o->ending = true;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->lock);
	/* Not freed: a blocked thread still uses it. */
	if (!drained) {
		pthread_detach(o->thread);
		return;
	}
	pthread_join(o->thread, NULL);
	release(o);
}
