// SPDX-License-Identifier: BSD-2-Clause
#include "pcap.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "json_get.h"

#define BLOCK_SECTION	0x0a0d0d0aU
#define BLOCK_INTERFACE 1U
#define BLOCK_PACKET	6U
#define BYTE_ORDER_MARK 0x1a2b3c4dU
#define LINK_ETHERNET	1U

#define OPTION_COMMENT	   1U
#define OPTION_IF_NAME	   2U
#define OPTION_PACKET_FLAG 2U
#define OPTION_RESOLUTION  9U /* of times: the power of ten */

#define MOST_INTERFACES 256U
#define MOST_OCTETS	256U

struct capture {
	FILE *out; /* memory */
	char *text;
	size_t size;
	char interface[MOST_INTERFACES][32];
	unsigned n_interfaces;
	unsigned frames;
	unsigned packets;
};

/* A block: its body grows until it is written with its length on both sides. */
struct block {
	uint8_t body[1024];
	size_t size;
};

static void add(struct block *b, const void *data, size_t size)
{
	if (size > sizeof(b->body) - b->size - 4)
		return;
	memcpy(b->body + b->size, data, size);
	b->size += size;
	while (b->size & 3)
		b->body[b->size++] = 0;
}

static void add_32(struct block *b, uint32_t value)
{
	add(b, &value, sizeof(value));
}

static void add_option(struct block *b, uint16_t code, const void *data, size_t size)
{
	const uint16_t head[2] = { code, (uint16_t)size };

	add(b, head, sizeof(head));
	add(b, data, size);
}

static void write_block(struct capture *c, uint32_t type, const struct block *b)
{
	const uint32_t length = (uint32_t)b->size + 12, head[2] = { type, length };

	fwrite(head, sizeof(head), 1, c->out);
	fwrite(b->body, 1, b->size, c->out);
	fwrite(&length, sizeof(length), 1, c->out);
}

static void write_section(struct capture *c)
{
	static const uint64_t unknown_length = UINT64_MAX;
	struct block b = { .size = 0 };

	add_32(&b, BYTE_ORDER_MARK);
	add_32(&b, 1); /* version 1.0 */
	add(&b, &unknown_length, sizeof(unknown_length));
	write_block(c, BLOCK_SECTION, &b);
}

/* The number of an interface, which is described where it is first met. */
static uint32_t interface_number(struct capture *c, const char *name)
{
	static const uint8_t nanoseconds = 9;
	struct block b = { .size = 0 };
	unsigned i;

	for (i = 0; i < c->n_interfaces; i++)
		if (!strcmp(c->interface[i], name))
			return i;
	if (i == MOST_INTERFACES)
		return 0;
	snprintf(c->interface[c->n_interfaces++], sizeof(c->interface[0]), "%.31s", name);
	add_32(&b, LINK_ETHERNET);
	add_32(&b, 0); /* no limit to the length */
	add_option(&b, OPTION_IF_NAME, name, strlen(name));
	add_option(&b, OPTION_RESOLUTION, &nanoseconds, 1);
	add_32(&b, 0);
	write_block(c, BLOCK_INTERFACE, &b);
	return i;
}

static size_t read_octets(const char *text, uint8_t octets[static MOST_OCTETS])
{
	size_t n = 0;
	unsigned value;

	for (; n < MOST_OCTETS && sscanf(text + 2 * n, "%2x", &value) == 1; n++)
		octets[n] = (uint8_t)value;
	return n;
}

static void write_frame(struct capture *c, const cJSON *frame)
{
	uint64_t time =
		(uint64_t)json_number(frame, "seconds") * 1000000000 + (uint64_t)json_number(frame, "nanoseconds");
	uint32_t number = interface_number(c, json_text(frame, "interface", "?"));
	uint32_t flags = strcmp(json_text(frame, "direction", "in"), "out") ? 1 : 2;
	const char *translation = json_text(frame, "translation", "before");
	uint8_t octets[MOST_OCTETS];
	size_t captured = read_octets(json_text(frame, "octets", ""), octets);
	struct block b = { .size = 0 };
	char comment[128];

	snprintf(comment, sizeof(comment), "%.16s translation, %.64s", translation, json_text(frame, "verdict", "-"));
	add_32(&b, number);
	add_32(&b, (uint32_t)(time >> 32));
	add_32(&b, (uint32_t)time);
	add_32(&b, (uint32_t)captured);
	add_32(&b, (uint32_t)json_number(frame, "length"));
	add(&b, octets, captured);
	add_option(&b, OPTION_COMMENT, comment, strlen(comment));
	add_option(&b, OPTION_PACKET_FLAG, &flags, sizeof(flags));
	add_32(&b, 0);
	write_block(c, BLOCK_PACKET, &b);
	c->frames++;
	c->packets += !strcmp(translation, "before");
}

static int read_all(struct capture *c, struct client *client, struct error *err)
{
	struct answer a;
	int r;

	write_section(c);
	while ((r = client_element(client, true, &a, err)) > 0) {
		write_frame(c, a.json);
		cJSON_Delete(a.json);
	}
	if (r)
		return r == -EREMOTEIO ? EXIT_REFUSED : EXIT_UNREACHABLE;
	if (fflush(c->out))
		return error_set(err, EXIT_REFUSED, "out of memory");
	return c->frames ? EXIT_DONE
			 : error_set(err, EXIT_REFUSED, "no packets were recorded; detnatctl trace start records some");
}

static int write_file(const struct capture *c, const char *path, struct writer *w, struct error *err)
{
	FILE *file;
	bool failed;

	if (!strcmp(path, "-")) {
		fwrite(c->text, 1, c->size, w->out);
		return EXIT_DONE;
	}
	file = fopen(path, "we");
	failed = !file || fwrite(c->text, 1, c->size, file) != c->size;
	if (file && fclose(file))
		failed = true;
	if (failed)
		return error_set(err, EXIT_REFUSED, "%s: %s", path, strerror(errno));
	writer_line(w, "%u frames of %u packets written to %s", c->frames, c->packets, path);
	return EXIT_DONE;
}

int pcap_save(struct client *client, const char *path, struct writer *w, struct error *err)
{
	struct capture c = { .n_interfaces = 0 };
	int status;

	if (!strcmp(path, "-") && isatty(fileno(w->out)))
		return error_set(err, EXIT_USAGE,
				 "a capture is no text for a terminal: name a file, or pipe it into tcpdump -nr -");
	c.out = open_memstream(&c.text, &c.size);
	if (!c.out)
		return error_set(err, EXIT_REFUSED, "out of memory");
	status = read_all(&c, client, err);
	if (!status)
		status = write_file(&c, path, w, err);
	fclose(c.out);
	free(c.text);
	return status;
}
