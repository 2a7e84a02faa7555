// SPDX-License-Identifier: BSD-2-Clause
/* Every flow and note of files of traffic against recorded ones: texts in listings/traffic.txt, captures packet by
 * packet in listings/captures.txt. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/address.h"
#include "listed.h"
#include "traffic/traffic.h"

#define TAKEN 1700000000000LL /* 2023-11-14T22:13:20Z */

struct seen {
	FILE *out;
	char line[4096][240];
	unsigned n;
};

static int see(void *arg, const struct traffic_flow *f)
{
	struct seen *s = arg;
	char src[ADDR_TEXT], dst[ADDR_TEXT], out[ADDR_TEXT];

	cr_assert_lt(s->n, 4096);
	snprintf(s->line[s->n++], sizeof(s->line[0]),
		 "proto %u %s:%u %s:%u out %s:%u state %u timer %u %lld to %lld%s\n", f->proto,
		 addr_format(f->src, src), f->sport, addr_format(f->dst, dst), f->dport, addr_format(f->out_addr, out),
		 f->out_port, f->state, f->timer, (long long)(f->first_ms - TAKEN),
		 (long long)(f->timer ? f->last_ms : f->last_ms - TAKEN), f->exact ? " exact" : "");
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The flows of a capture come in the order of a hash. */
static void print_file(FILE *out, const void *octets, size_t size, bool sorted)
{
	struct seen *s = calloc(1, sizeof(*s));
	struct traffic_notes n;
	struct error err;
	int fd = memfd_create("traffic", 0), r;

	cr_assert_eq(write(fd, octets, size), (ssize_t)size);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	r = traffic_read(fd, "FILE", TAKEN, see, s, &n, &err);
	close(fd);
	if (sorted)
		qsort(s->line, s->n, sizeof(s->line[0]), by_text);
	for (unsigned i = 0; i < s->n; i++)
		fputs(s->line[i], out);
	free(s);
	if (r) {
		fprintf(out, "refused: %d %s\n", r, err.text);
		return;
	}
	fprintf(out, "%s: %llu lines, %llu octets, %llu flows, %llu other, %llu garbage%s%s\n", n.format,
		(unsigned long long)n.lines, (unsigned long long)n.octets, (unsigned long long)n.flows,
		(unsigned long long)n.other, (unsigned long long)n.garbage, n.cut ? ", cut" : "",
		n.naive ? ", without zone" : "");
	for (unsigned i = 0; i < n.garbage && i < TRAFFIC_NAMED; i++)
		fprintf(out, "  %llu: %s\n", (unsigned long long)n.named[i].line, n.named[i].text);
	for (unsigned i = 1; i < N_TRAFFIC_TIMERS; i++)
		if (n.longest_ms[i])
			fprintf(out, "  %s: %lld of %lld ms\n", traffic_timer_names[i], (long long)n.longest_ms[i],
				(long long)traffic_timer_length(n.longest_ms[i]));
}

static void print_text(FILE *out, const char *name, const char *text, size_t size)
{
	/* A name that ends so: its last line has no end. */
	print_file(out, text, strstr(name, "without end") ? size - 1 : size, false);
}

Test(traffic, flows_and_notes_of_texts_are_as_recorded)
{
	listed_expect("tests/unit/listings/traffic.txt", print_text);
}

static size_t hex_of(const char *hex, uint8_t *to)
{
	size_t n = 0;

	for (const char *at = hex; *at && *at != '\n'; at++) {
		unsigned octet;

		if (*at == ' ')
			continue;
		cr_assert_eq(sscanf(at, "%2x", &octet), 1);
		to[n++] = (uint8_t)octet;
		at++;
	}
	return n;
}

/*
 * Lines of a capture: "magic HEX link NUMBER" first, then "at SECONDS.FRACTION HEX…", the packet; "raw HEX…": octets as
 * they are; "long N": a header of a packet of so many octets, without them.
 */
static void print_capture(FILE *out, const char *name, const char *text, size_t size)
{
	uint8_t *file = calloc(1, 1 << 20);
	size_t n = 24;
	unsigned magic = 0, link = 0;

	cr_assert_eq(sscanf(text, "magic %x link %u", &magic, &link), 2);
	/* As a program on this machine writes it, or one of the other byte order. */
	bool swapped = strstr(name, "swapped");

#define NUMBER(x) (swapped ? __builtin_bswap32(x) : (x))
	memcpy(file, &(uint32_t){ NUMBER(magic) }, 4);
	memcpy(file + 20, &(uint32_t){ NUMBER(link) }, 4);
	for (const char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
		unsigned seconds, fraction, octets;
		int at = 0;

		if (sscanf(line, "at %u.%u %n", &seconds, &fraction, &at) == 2) {
			octets = (unsigned)hex_of(line + at, file + n + 16);
			memcpy(file + n, &(uint32_t){ NUMBER(1700000000 + seconds) }, 4);
			memcpy(file + n + 4, &(uint32_t){ NUMBER(fraction) }, 4);
			memcpy(file + n + 8, &(uint32_t){ NUMBER(octets) }, 4);
			memcpy(file + n + 12, &(uint32_t){ NUMBER(octets) }, 4);
			n += 16 + octets;
		} else if (sscanf(line, "long %u", &octets) == 1) {
			memcpy(file + n + 8, &(uint32_t){ NUMBER(octets) }, 4);
			n += 16;
		} else if (sscanf(line, "zeros %u", &octets) == 1) {
			n += octets;
		} else {
			n += hex_of(line + 4, file + n);
		}
	}
	print_file(out, file, n, true);
	free(file);
}

Test(traffic, flows_and_notes_of_captures_are_as_recorded)
{
	listed_expect("tests/unit/listings/captures.txt", print_capture);
}
