/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of the control protocol (described in agent/control/control.h): sends requests over one connection and
 * reads the answers.
 */
#ifndef DETNATCTL_CLIENT_H
#define DETNATCTL_CLIENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "base/json_scan.h"

/* Longest time for which the agent may send nothing, not even the empty line that shows it is at work. */
#define CLIENT_PATIENCE_S 60

struct client {
	int fd;
	char *buffer;
	size_t start, end, size; /* bounds of what was read but not yet returned; size of the buffer */
	/* If set, called before each wait for the agent; the request fails with its result unless that is 0. */
	int (*before_wait)(const struct client *c, void *arg);
	void *before_wait_arg;
};

/* The first line of an answer, or one element of a stream. */
struct answer {
	bool stream;	  /* elements follow; there is no result */
	cJSON *json;	  /* the result, or the element if parsing was requested; the caller deletes it */
	const char *text; /* the same as the agent sent it, with 64-bit numbers intact; valid until the next call */
	size_t size;
	int status;	  /* if refused: the exit status requested by the agent */
	unsigned request; /* the number, from 1, of the request of a batch that was refused; 0: all of it */
};

/* Connects. Returns 0, or -errno with err, which says what to do about it. */
int client_connect(const char *path, struct client *ret, struct error *err);
void client_close(struct client *c);

/* Sets err to say that the answer does not follow this protocol, and returns -EPROTO. */
int client_not_agent(struct error *err);

/* Sends a request; args may be NULL. Returns 0, or -errno with err. */
int client_request(struct client *c, const char *verb, const cJSON *args, struct error *err);

/*
 * Sends requests that are one change, each an object with a verb and args. -E2BIG if they are longer than the agent
 * accepts.
 */
int client_batch(struct client *c, const cJSON *requests, struct error *err);

/*
 * Reads the first line of the answer. Returns 0, or -errno with err: -EREMOTEIO if the agent refused, -EPROTO if the
 * line is not an answer of this protocol, -EPIPE if the agent closed the connection, -ETIMEDOUT if it sends nothing.
 */
int client_answer(struct client *c, struct answer *ret, struct error *err);

/*
 * Reads the next element of a stream. Returns 1 with an element (ret->json is set only if parse is true), 0 at the end,
 * or -errno as client_answer(), with -EREMOTEIO if the stream broke off.
 */
int client_element(struct client *c, bool parse, struct answer *ret, struct error *err);

static inline void client_cleanup(struct client *c)
{
	client_close(c);
}
#define _cleanup_client_ __attribute__((cleanup(client_cleanup)))

#endif
