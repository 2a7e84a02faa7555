/* SPDX-License-Identifier: BSD-2-Clause */
/* A request from its line to its answer; it knows neither sockets nor clients. */
#ifndef DETNAT_REQUEST_H
#define DETNAT_REQUEST_H

#include <cjson/cJSON.h>
#include <event2/buffer.h>

#include "change/change.h"
#include "control/control.h"
#include "host/accounts.h"
#include "proto/verbs.h"
#include "sessions/sessions.h"

/* Time for one slice of a listing, and of any other job, which ends soon. */
#define REQUEST_SLICE_US 500U
#define REQUEST_COUNT_US 2000U

/* A client with this much unread output gets no more until it has read most of it. */
#define REQUEST_OUTPUT_HIGH (64U << 10)

struct client;
struct notes;
struct request;

/* 1: more to do; 0: done, with the answer unless it was streamed; -errno with err. */
typedef int (*request_step)(struct request *r, cJSON **ret_result, struct error *err);
/* Makes the answer to a change; NULL: out of memory. */
typedef cJSON *(*request_answer)(struct request *r);

/* Of several requests that are one change. */
struct batch {
	unsigned n;
	unsigned refused; /* number, from 1, of the refused request; 0: none, or all of them together */
	unsigned tried;	  /* how many of the first ones are made, to find it */
	struct request *request[];
};

/* A mapping by its inside prefix and its tenant, "": none. */
struct named_mapping {
	struct prefix in;
	char tenant[LABEL_TEXT];
};

struct request {
	const struct parts *context;
	const struct verb_spec *spec;
	struct arg_value args[VERB_MAX_ARGS]; /* in the order of the verb's specification */
	cJSON *document;		      /* the request; texts of arguments point into it */
	struct peer peer;
	bool audited; /* its outcome is in the log */

	/* For jobs. */
	request_step step;
	void *state;
	void (*state_free)(void *state);
	struct evbuffer *stream; /* receives elements, one per line; NULL: not a stream */
	bool endless; /* a stream that ends only with its client, or with the half of it that sends requests */
	bool idle;    /* has nothing to do for now: its step is not called */

	/* For batches (control/request.h). */
	struct batch *batch; /* NULL: it is a single request */
	bool in_batch;	     /* belongs to one, which makes the change: */
	change_edit edit;

	/* For changes. */
	struct change_options options; /* of request_change() */
	request_answer answer;
	struct named_mapping named; /* the mapping that is changed */
	bool changing;		    /* the queue of changes holds this request */
	/* Called with the change's result before the client, which may have gone, is answered. May be NULL. */
	void (*ended)(struct request *r, int result_r);

	/* Set by the control socket before the start. */
	struct client *client;	 /* NULL: gone */
	struct evbuffer *output; /* of the client */
	void (*changed)(struct request *r, int result_r, cJSON *result, const struct error *err);
	void (*wake)(struct request *r); /* it is not idle any more */
	struct notes *notes;		 /* NULL: no request leaves a line (control/noting.h) */
};

/* Makes a request, or a batch, from a peer's line of size octets: 0, -ENOMEM, or -EBADMSG if the line is neither. */
int request_new(const struct parts *context, const struct peer *peer, const char *line, size_t size,
		struct request **ret);

/* Whether a document has a verb, optional arguments, and nothing else, once each. NULL does not. */
bool request_is_well_formed(const cJSON *document);

/* Calls the step of a job. */
int request_go_on(struct request *r, cJSON **ret_result, struct error *err);

/*
 * Frees a request. One held by the queue of changes only loses its client: it is freed when the change has ended, and
 * its answer is dropped.
 */
void request_free(struct request *r);

/* Reads the arguments of r->spec: 0, or -EINVAL with err. */
int request_parse_args(struct request *r, struct error *err);

/*
 * Gives arguments that are inside addresses or prefixes of IPv6 their virtual ones: 0, -ENOENT if no mapping has them,
 * or -EINVAL. Those of commands that edit the configuration stay as they are: request_in().
 */
int request_place_args(struct request *r, struct error *err);

/*
 * The inside addresses that the argument `in` names in a configuration: of IPv6, those of a mapping, or -ENOENT with
 * err.
 */
int request_in(const struct request *r, const struct config *c, struct prefix *ret, struct error *err);

/* The argument of that name, which the verb's specification must have. */
const struct arg_value *request_arg(const struct request *r, const char *name);

/* Whether it changes the running state: its peer then needs the right to (host/accounts.h), and it is logged. */
bool request_changes(const struct request *r);

/* Makes it a job that continues with step in slices. Takes the state, and frees it when the job has ended in any way.
 */
void request_run(struct request *r, request_step step, void *state, void (*state_free)(void *state));

/* Makes the answer a stream; elements are lines added to the result. */
struct evbuffer *request_stream(struct request *r);

/*
 * Queues a change of the configuration, with edit called with the request as its argument, or a reload of the file. A
 * request in a batch shares the batch's change.
 */
int request_change(struct request *r, change_edit edit, request_answer answer, struct error *err);
int request_reload(struct request *r, request_answer answer, struct error *err);

/* Queues what takes back the reload that waits for its confirmation. */
int request_back(struct request *r, request_answer answer, struct error *err);

/* Queues a replacement of the programs, with prepare called with the request as its argument. */
int request_programs(struct request *r, change_prepare prepare, request_answer answer, struct error *err);

/*
 * Starts requests, and batches of them: several that edit the configuration, as one change. The edits are made in
 * order, each on the result of the ones before; they take effect together or not at all.
 */

/* request_start_one() for a request or a batch, whose answer is an array of its requests' answers. */
int request_start(struct request *r, cJSON **ret_result, int *ret_status, struct error *err);

/* The sessions that a request selects: all given arguments must match. */

/* Arguments that are absent from the request, or NULL, match all. */
struct session_filter {
	const struct arg_value *in;    /* prefix */
	const struct arg_value *ext;   /* prefix, perhaps with a port */
	const struct arg_value *out;   /* endpoint, perhaps with a port */
	const struct arg_value *state; /* text */
	const struct address6 *host;   /* of an IPv6 subscriber */
	uint32_t older;		       /* seconds without a packet from inside */
	uint8_t proto;		       /* 0: all */
	bool all;		       /* also those that count in no figure */
	const uint32_t *timeouts;      /* seconds, of the configuration */
};

/* The host that an argument names, or NULL: it names all of a subscriber, or one of IPv4. */
const struct address6 *arg_host(const struct arg_value *v);

bool session_fits(const struct session_filter *f, const struct session *s);

/* Refuses an inside address without a mapping. Returns ret. */
int refuse_inside(uint32_t addr, int ret, struct error *err);

#endif
