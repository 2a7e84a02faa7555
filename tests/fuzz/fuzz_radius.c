// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of any octets to the RADIUS server: one that is sound is read into lines that can be written and read back;
 * its answer and what is passed on are sound, genuine, and have its Proxy-State attributes. The first octet is the
 * seconds for which the request is held.
 */
#include <stdlib.h>
#include <string.h>

#include "radius.h"
#include "radius_attributes.h"
#include "leases/accounting_servers.h"

static const struct radius_secret secret = { "testing123", 10 };

static int take(void *arg, const struct lease_line *l)
{
	struct lease_line again;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)arg;
	fputc('{', out);
	lease_line_write(out, l);
	fputc('}', out);
	fclose(out);
	if (lease_line_read(text, size, &again, NULL) || again.event != l->event || strcmp(again.id, l->id) != 0 ||
	    memcmp(&again.addr, &l->addr, sizeof(again.addr)) != 0 || again.early != l->early ||
	    again.packet != l->packet || strcmp(again.session, l->session) != 0)
		abort();
	free(text);
	return 0;
}

/* Octets of the attributes of a type. */
static size_t octets_of(const uint8_t *packet, size_t size, uint8_t type)
{
	struct radius_attribute a;
	size_t at = RADIUS_HEADER, sum = 0;

	while (radius_attribute_find(packet, size, type, &at, &a))
		sum += a.size + 2;
	return sum;
}

static void check_answer(const uint8_t *request, size_t size)
{
	uint8_t made[RADIUS_MAX];
	size_t n = radius_answer(request, size, &secret, made), sound;

	if (!radius_sound(made, n, &sound) || sound != n ||
	    n != RADIUS_HEADER + octets_of(request, size, ATTRIBUTE_PROXY_STATE) ||
	    !radius_response_genuine(made, n, request[1], request + 4, &secret))
		abort();
}

static void check_passed(const uint8_t *request, size_t size, uint32_t held)
{
	uint8_t made[RADIUS_MAX];
	size_t n = radius_pass_on(request, size, 9, held, &secret, made), sound;

	if (!radius_sound(made, n, &sound) || sound != n || made[1] != 9 ||
	    octets_of(made, n, ATTRIBUTE_MESSAGE_AUTHENTICATOR) ||
	    octets_of(made, n, ATTRIBUTE_PROXY_STATE) != octets_of(request, size, ATTRIBUTE_PROXY_STATE) ||
	    (request[0] == RADIUS_ACCOUNTING_REQUEST && !radius_request_genuine(made, n, &secret)))
		abort();
}

#define NOW 1795690800

/* Of all inputs: clocks and names are learned from any of them. */
static struct accounting_servers servers;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct accounting a;
	unsigned n;
	uint8_t *packet; /* on the heap, so that a read behind the end is seen */
	size_t length;

	if (!size--)
		return 0;
	packet = malloc(size + !size);
	memcpy(packet, data + 1, size);
	if (radius_sound(packet, size, &length)) {
		radius_request_genuine(packet, length, &secret);
		radius_read(packet, length, "192.0.2.1", &a);
		a.packet = data[0];
		accounting_date(&servers, &a, NOW);
		if (a.time > NOW || (a.early != TIME_NONE && a.early >= a.time) ||
		    a.time < NOW - 2 * ACCOUNTING_STALE_S)
			abort();
		if (accounting_lines(&a, take, NULL, &n))
			abort();
		check_answer(packet, length);
		check_passed(packet, length, data[0]);
	}
	free(packet);
	return 0;
}
