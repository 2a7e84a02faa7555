/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of the control protocol (agent/control/control.h describes it): sends requests over one connection, and
 * reads their answers.
 */
#ifndef DETNATCTL_CLIENT_H
#define DETNATCTL_CLIENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "base/json_scan.h"

/* How long the agent may send nothing, not even the empty line that says it is still at work. */
#define CLIENT_PATIENCE_S 60

struct client {
	int fd;
	char *buffer;
	size_t start, end, size; /* start and end of what has been read but not handed out yet; size of the buffer */
	/* Called before waiting for the agent, where set; the request fails with what it returns, if that is not 0. */
	int (*before_wait)(const struct client *c, void *arg);
	void *before_wait_arg;
};

/* The first line of an answer, or an element of a stream. */
struct answer {
	bool stream;	  /* elements follow; there is no result */
	cJSON *json;	  /* the result, or the element if it was asked for; the caller deletes it */
	const char *text; /* the same as the agent wrote it, with its 64-bit numbers; valid until the next call */
	size_t size;
	int status; /* of a refusal: the exit status that the agent asks for */
};

/* Connects; 0, or -errno with err saying what to do about it. */
int client_connect(const char *path, struct client *ret, struct error *err);
void client_close(struct client *c);

/* Sets err for an answer that is not of this protocol, and returns -EPROTO. */
int client_not_agent(struct error *err);

/* Sends a request; args may be NULL. 0, or -errno with err. */
int client_request(struct client *c, const char *verb, const cJSON *args, struct error *err);

/*
 * Reads the first line of the answer. 0, or -errno with err: -EREMOTEIO where the agent refused, -EPROTO where the
 * line is no answer of this protocol, -EPIPE where the agent went away, -ETIMEDOUT where it sends nothing.
 */
int client_answer(struct client *c, struct answer *ret, struct error *err);

/*
 * Reads the next element of a stream: 1 with an element, of which ret->json is made only if parse is set; 0 at the end;
 * or -errno as client_answer(), -EREMOTEIO where the stream broke off.
 */
int client_element(struct client *c, bool parse, struct answer *ret, struct error *err);

static inline void client_cleanup(struct client *c)
{
	client_close(c);
}
#define _cleanup_client_ __attribute__((cleanup(client_cleanup)))

#endif
