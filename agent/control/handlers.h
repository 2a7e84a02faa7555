/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent does for each verb of the control protocol. The control socket (control/control.c) reads requests and
 * writes replies; a verb knows neither sockets nor clients.
 *
 * A handler ends in one of four ways:
 *  - an answer at once: 0 with *ret_result set;
 *  - a job, where the answer takes long: request_run(), whose step is called in slices until it has the answer. A job
 * that calls request_stream() sends its elements itself, as many as it likes;
 *  - a change of the running configuration: request_change(), answered when the change is done;
 *  - a refusal: -errno with err saying why.
 */
#ifndef DETNAT_HANDLERS_H
#define DETNAT_HANDLERS_H

#include <cjson/cJSON.h>
#include <event2/buffer.h>

#include "change/change.h"
#include "control/control.h"
#include "host/peer.h"
#include "sessions/sessions.h"
#include "proto/verbs.h"

/* Time that a listing may take in one slice, and other jobs, which end soon. */
#define REQUEST_SLICE_US 500U
#define REQUEST_COUNT_US 2000U

/* A client with more output than this is given nothing more until it has read most of it. */
#define REQUEST_OUTPUT_HIGH (64U << 10)

struct client;
struct request;

/* 1: more to do; 0: done, with the answer unless it was streamed; -errno with err. */
typedef int (*request_step)(struct request *r, cJSON **ret_result, struct error *err);
/* Makes the answer, after a change or at once; NULL when memory is short. */
typedef cJSON *(*request_answer)(struct request *r);

struct request {
	const struct control_context *context;
	const struct verb_spec *spec;
	struct arg_value args[VERB_MAX_ARGS]; /* in the order of the verb's specification */
	cJSON *document;		      /* the request; texts of arguments lie in it */
	struct peer peer;
	bool audited; /* the log says how it ended */

	/* Of a job. */
	request_step step;
	void *state;
	void (*state_free)(void *state);
	struct evbuffer *stream; /* where elements go, a line each; NULL: not a stream */

	/* Of a change. */
	request_answer answer;
	bool changing; /* the queue of changes holds this request */
	/* Told how the change ended, before the client is, which may have gone; NULL: nobody. */
	void (*ended)(struct request *r, int result_r);

	/* The control socket's: set before the start. */
	struct client *client;	 /* NULL: gone */
	struct evbuffer *output; /* of the client */
	void (*changed)(struct request *r, int result_r, cJSON *result, const struct error *err);
};

/* Reads a peer's request from a line of size octets: 0, -ENOMEM, or -EBADMSG where it is no request at all. */
int request_new(const struct control_context *context, const struct peer *peer, const char *line, size_t size,
		struct request **ret);

/*
 * Checks the arguments and calls the handler of the verb: 0 with *ret_result (answered) or without (a job or a change
 * was started), or -errno with err and *ret_status, what detnatctl exits with: 1 refused (-EPERM: the peer may not
 * change anything), 2 unknown verb, unknown or malformed arguments.
 */
int request_start(struct request *r, cJSON **ret_result, int *ret_status, struct error *err);

/* Calls the step of a job. */
int request_go_on(struct request *r, cJSON **ret_result, struct error *err);

/*
 * Frees a request. One that the queue of changes holds is only cut off from its client: it is freed when the change
 * has ended, with nobody told.
 */
void request_free(struct request *r);

/* Whether it changes anything: then it wants the rights of host/peer.h, and is told in the log. */
bool request_changes(const struct request *r);

/* ---- for handlers ------------------------------------------------------------------------------------------- */

/* The argument of that name, which the verb's specification must have. */
const struct arg_value *request_arg(const struct request *r, const char *name);

/* Goes on with step in slices; state_free frees the state when the job has ended, however it did. Takes the state. */
void request_run(struct request *r, request_step step, void *state, void (*state_free)(void *state));

/* Makes the answer a stream; elements are then lines added to the result. */
struct evbuffer *request_stream(struct request *r);

/* Queues a change of the configuration, edit called with the request as its argument, or a reload of the file. */
int request_change(struct request *r, change_edit edit, request_answer answer, struct error *err);
int request_reload(struct request *r, request_answer answer, struct error *err);

/* Queues a replacement of the programs, prepare called with the request as its argument. */
int request_programs(struct request *r, change_prepare prepare, request_answer answer, struct error *err);

/* Counts all sessions in slices, and then makes the answer. */
typedef cJSON *(*request_count_answer)(struct request *r, const struct session_count *count);
int request_count(struct request *r, request_count_answer answer, struct error *err);

/* An empty object, the answer of verbs that have nothing to tell. */
cJSON *answer_empty(struct request *r);

/* Adds to an object what cJSON has no function for; false when memory is short. */
bool json_add_addr(cJSON *object, const char *name, uint32_t addr);
bool json_add_prefix(cJSON *object, const char *name, struct prefix p);
bool json_add_endpoint(cJSON *object, const char *name, struct endpoint e);
bool json_add_u64(cJSON *object, const char *name, uint64_t number); /* all 64 bits, as no double holds them */

/* ---- handlers, one for each verb ------------------------------------------------------------------------------- */

typedef int (*verb_handler)(struct request *r, cJSON **ret_result, struct error *err);

int verb_mapping_add(struct request *r, cJSON **ret_result, struct error *err);
int verb_mapping_del(struct request *r, cJSON **ret_result, struct error *err);
int verb_mapping_list(struct request *r, cJSON **ret_result, struct error *err);
int verb_forward(struct request *r, cJSON **ret_result, struct error *err);
int verb_reverse(struct request *r, cJSON **ret_result, struct error *err);
int verb_interface_add(struct request *r, cJSON **ret_result, struct error *err);
int verb_interface_del(struct request *r, cJSON **ret_result, struct error *err);
int verb_interface_list(struct request *r, cJSON **ret_result, struct error *err);
int verb_timeouts_show(struct request *r, cJSON **ret_result, struct error *err);
int verb_timeouts_set(struct request *r, cJSON **ret_result, struct error *err);
int verb_timeouts_reset(struct request *r, cJSON **ret_result, struct error *err);
int verb_session_list(struct request *r, cJSON **ret_result, struct error *err);
int verb_session_close(struct request *r, cJSON **ret_result, struct error *err);
int verb_user_show(struct request *r, cJSON **ret_result, struct error *err);
int verb_stats(struct request *r, cJSON **ret_result, struct error *err);
int verb_status(struct request *r, cJSON **ret_result, struct error *err);
int verb_ipfix_show(struct request *r, cJSON **ret_result, struct error *err);
int verb_ipfix_set(struct request *r, cJSON **ret_result, struct error *err);
int verb_ipfix_disable(struct request *r, cJSON **ret_result, struct error *err);
int verb_ipfix_flush(struct request *r, cJSON **ret_result, struct error *err);
int verb_reload(struct request *r, cJSON **ret_result, struct error *err);
int verb_top(struct request *r, cJSON **ret_result, struct error *err);
int verb_explain(struct request *r, cJSON **ret_result, struct error *err);
int verb_trace_start(struct request *r, cJSON **ret_result, struct error *err);
int verb_trace_show(struct request *r, cJSON **ret_result, struct error *err);
int verb_trace_stop(struct request *r, cJSON **ret_result, struct error *err);
int verb_check(struct request *r, cJSON **ret_result, struct error *err);

#endif
