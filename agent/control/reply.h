/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines that the agent answers with (control/control.h). */
#ifndef DETNAT_REPLY_H
#define DETNAT_REPLY_H

#include <cjson/cJSON.h>
#include <event2/buffer.h>

/* {"ok":true,"result":…}; takes the result, NULL meaning that memory was short for it. */
void reply_result(struct evbuffer *out, cJSON *result);

/* {"ok":false,"status":…,"error":"…"}; with "request":…, the number of that in a batch, unless that is 0. */
void reply_error(struct evbuffer *out, int status, unsigned request, const char *text);

/* {"end":true}, or {"end":false,"error":"…"} where text is not NULL. */
void reply_end(struct evbuffer *out, const char *text);

#endif
