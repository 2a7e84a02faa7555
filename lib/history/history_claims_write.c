/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes claims. The file is written anew beside the old one and put in its place, so that there is never a part of a
 * claim.
 */
#include "base/rights.h"
#include "base/text.h"
#include "history/history_claims.h"

#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define CLAIMS_NEW CLAIMS_FILE ".new"

/* Blocks in a line. */
#define LINE_BLOCKS 64U

static void write_addresses(FILE *out, const char *key, const struct plan_addresses *a)
{
	char text[PLAN_RANGE_TEXT];

	fprintf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < a->n; i++)
		fprintf(out, "%s%s", i ? "," : "", plan_range_format(a->range[i].first, a->range[i].last, text));
	fputc('"', out);
}

static void write_mapping(FILE *out, const struct plan_mapping *m)
{
	write_addresses(out, "in", &m->in);
	if (!m->out.n) {
		fputs(",\"out\":null", out);
		return;
	}
	write_addresses(out, "out", &m->out);
	fprintf(out, ",\"subscribers_per_address\":%u,\"ports_per_host\":%u,\"first_port\":%u",
		m->subscribers_per_address, m->ports_per_host, m->first_port);
	if (m->block_pitch)
		fprintf(out, ",\"block_pitch\":%u", m->block_pitch);
	fprintf(out, ",\"order\":\"%s\"", m->order == PLAN_NETMAP ? "netmap" : "sequential");
}

/* Those of one outside address, LINE_BLOCKS at most. Returns their number. */
static size_t write_blocks(FILE *out, const struct claim_block *b, size_t n)
{
	char addr[ADDR_TEXT];
	size_t i;

	fprintf(out, ",\"out\":\"%s\",\"blocks\":[", addr_format(b->out, addr));
	for (i = 0; i < n && i < LINE_BLOCKS && b[i].out == b->out; i++)
		fprintf(out, "%s{\"in\":\"%s\",\"port_lo\":%u,\"port_hi\":%u}", i ? "," : "",
			addr_format(b[i].in, addr), b[i].lo, b[i].hi);
	fputc(']', out);
	return i;
}

static void write_origin(FILE *out, const struct claim_origin *o)
{
	char from[TIME_TEXT];

	fprintf(out, ",\"from\":\"%s\",\"source\":", time_format(o->from, from));
	text_json_string(out, o->source);
	fprintf(out, ",\"sha256\":\"%s\"\n", o->sha256);
}

static int make_bodies(const struct claim_origin *origin, const struct claim_plan *plan, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_mappings; i++) {
		write_mapping(out, &plan->mapping[i]);
		write_origin(out, origin);
	}
	for (size_t i = 0; i < plan->n_blocks;) {
		i += write_blocks(out, plan->block + i, plan->n_blocks - i);
		write_origin(out, origin);
	}
	return fclose(out) ? -ENOMEM : 0;
}

/* The same claim has the same name. */
static void name_of(const char *text, size_t size, char id[static CLAIM_ID_TEXT])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, size, (const uint8_t *)text);
	sha256_digest(&sha, sizeof(digest), digest);
	for (unsigned i = 0; i < (CLAIM_ID_TEXT - 1) / 2; i++)
		snprintf(id + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* Writes each body as a line of the file. */
static int write_lines(FILE *out, const char *bodies, size_t size, const char *id, int64_t time,
		       const struct history_claims *after, uint64_t *ret_lines)
{
	char hash[HASH_TEXT], when[TIME_TEXT];
	int r = 0;

	memcpy(hash, after->lines ? after->hash : HASH_NONE, HASH_TEXT);
	*ret_lines = 0;
	for (const char *at = bodies, *end = bodies + size, *newline; !r && at < end; at = newline + 1) {
		_cleanup_free_ char *body = NULL;
		int n;

		newline = memchr(at, '\n', (size_t)(end - at));
		n = asprintf(&body, "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"event\":\"claim\",\"claim\":\"%s\"%.*s",
			     after->lines + ++*ret_lines, time_format(time, when), id, (int)(newline - at), at);
		r = n < 0 ? -ENOMEM : history_line_write(out, body, (size_t)n, hash, hash);
	}
	return r;
}

/* Copies the old file into the new one. */
static int copy_old(int dir, FILE *out)
{
	_cleanup_close_ int fd = openat(dir, CLAIMS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[65536];
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while ((n = read(fd, text, sizeof(text))) > 0)
		if (fwrite(text, 1, (size_t)n, out) != (size_t)n)
			return errno_or(EIO);
	return n < 0 ? -errno : 0;
}

/* As readable as the history is: to the owner and the group of the directory. */
static int give(int dir, int fd)
{
	struct stat st;

	if (fstat(dir, &st))
		return -errno;
	return fchown(fd, st.st_uid, st.st_gid) && errno != EPERM ? -errno : 0;
}

static int put_on_disk(int dir, FILE *out)
{
	int r = fflush(out) || ferror(out) ? errno_or(EIO) : 0;

	r = r ? r : give(dir, fileno(out));
	if (!r && (fchmod(fileno(out), 0640) || fsync(fileno(out))))
		r = -errno;
	return r;
}

static int replace(int dir, const char *lines, size_t size)
{
	int fd = openat(dir, CLAIMS_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int r = out ? copy_old(dir, out) : -errno;

	if (!r && fwrite(lines, 1, size, out) != size)
		r = errno_or(EIO);
	r = r ? r : put_on_disk(dir, out);
	if (out && fclose(out) && !r)
		r = errno_or(EIO);
	if (!r && (renameat(dir, CLAIMS_NEW, dir, CLAIMS_FILE) || fsync(dir)))
		r = -errno;
	if (r && fd >= 0)
		unlinkat(dir, CLAIMS_NEW, 0);
	return r;
}

static bool has(const struct history_claims *c, const char *id)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->claim[i].id, id))
			return true;
	return false;
}

static int append(int dir, const struct claim_origin *origin, const struct claim_plan *plan,
		  const struct history_claims *old, uint64_t *ret_lines)
{
	_cleanup_free_ char *bodies = NULL, *lines = NULL;
	size_t size = 0, n = 0;
	char id[CLAIM_ID_TEXT];
	int r = make_bodies(origin, plan, &bodies, &size);
	FILE *memory = r ? NULL : open_memstream(&lines, &n);

	*ret_lines = 0;
	if (!memory)
		return -ENOMEM;
	name_of(bodies, size, id);
	r = has(old, id) ? 0 : write_lines(memory, bodies, size, id, origin->time, old, ret_lines);
	if (fclose(memory))
		r = -ENOMEM;
	if (r || !*ret_lines)
		return r;
	/* What a crash left of another attempt. */
	unlinkat(dir, CLAIMS_NEW, 0);
	return n > CLAIMS_MAX_SIZE ? -EFBIG : replace(dir, lines, n);
}

int history_claims_append(const char *dir, const struct claim_origin *origin, const struct claim_plan *plan,
			  uint64_t *ret_lines, struct error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_claims_ struct history_claims old = { 0 };
	int r;

	if (fd < 0)
		return error_set(err, -errno, "%.200s: %s; make the directory, or start the agent once", dir,
				 strerror(errno));

	_cleanup_rights_ struct rights lesser = rights_of(fd);

	if (flock(fd, LOCK_EX))
		return error_set(err, -errno, "%.200s: %s", dir, strerror(errno));
	r = history_claims_read(dir, &old, err);
	if (r)
		return r;
	if (old.damaged)
		return error_set(err, -EBADMSG,
				 "%.200s/" CLAIMS_FILE ": line %" PRIu64
				 " %s: move the file away before you claim more",
				 dir, old.first_damage, old.damage);
	r = append(fd, origin, plan, &old, ret_lines);
	return r ? error_set(err, r, "%.200s/" CLAIMS_FILE ": %s", dir, strerror(-r)) : 0;
}
