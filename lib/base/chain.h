/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of JSON lines that only grow, chained by hashes: {"line":N,...,"hash":"..."}. The hash is the SHA-256, in
 * hexadecimal digits, of the hash of the line before (64 zeros before the first) followed by this line up to the comma
 * before its hash. The mapping history, leases, queries, claims and the ledger are such files; base/ledger.h has what a
 * directory of several of them needs.
 *
 * What is not a whole line at the end was never written: a crash interrupted it, and the next writer takes it back. A
 * write that fails, on a full disk, say, leaves the file as it was.
 *
 * A line may be erased the lawful way. In its place stands {"line":N,"event":"erased","was":"...","hash":"..."}, with
 * the SHA-256 of its octets and the hash that it had, by which the next line still follows.
 */
#ifndef DETNAT_CHAIN_H
#define DETNAT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HASH_TEXT 65
#define HASH_NONE "0000000000000000000000000000000000000000000000000000000000000000"

/* The end of a file, or a place in it. */
struct chain_tip {
	uint64_t line; /* number of the last line, 0: there is none */
	uint64_t size; /* octets */
	char hash[HASH_TEXT];
};

/* The SHA-256 of a text. */
void chain_digest(const char *text, size_t size, char ret[static HASH_TEXT]);

/*
 * Writes a line, newline included, whose members but for its number and hash are `body`, and moves the tip to it. 0 or
 * -ENOMEM: the stream is one in memory.
 */
int chain_write(FILE *out, const char *body, size_t size, struct chain_tip *tip);

/* The same for many, each of which ends with a newline in `bodies`. The caller frees *ret. */
int chain_write_all(const char *bodies, size_t size, struct chain_tip *tip, char **ret, size_t *ret_size);

/*
 * Reads the hash at the end of a line, without its newline, and checks it against that of the line before; prev and ret
 * may be the same memory. 0; -EBADMSG if it is wrong, with *ret as found in the line; -EINVAL if the line has none,
 * with nothing written.
 */
int chain_check(const char *line, size_t size, const char prev[static HASH_TEXT], char ret[static HASH_TEXT]);

/* The number of a line; 0: it has none. */
uint64_t chain_number(const char *line, size_t size);

/* The members of a line between its number and its hash; false: it has no such form. The text is that of the line. */
bool chain_body(const char *line, size_t size, const char **ret, size_t *ret_size);

/* Whether a line stands for an erased one, and writes the one that stands for a line. 0 or -ENOMEM. */
bool chain_erased(const char *line, size_t size);
int chain_erase(FILE *out, const char *line, size_t size);

/* Receives a line without its newline; `number` counts from 1 in the file. Nonzero ends the reading. */
typedef int (*chain_take)(void *arg, const char *name, uint64_t number, const char *line, size_t size);

/*
 * Reads the complete lines of a file of a directory; *ret_torn is the size of an incomplete one at its end. 0, -errno,
 * or what take returned.
 */
int chain_read(int dir, const char *name, chain_take take, void *arg, size_t *ret_torn);

/* The same for octets from..to of an open file, or for the lines in its last ones; lines count from 1 there, too. */
int chain_read_part(int fd, const char *name, uint64_t from, uint64_t to, chain_take take, void *arg, size_t *ret_torn);
int chain_read_last(int dir, const char *name, uint64_t most, chain_take take, void *arg);

/* A file that is written. */
struct chain {
	int fd;
	struct chain_tip tip; /* of what was written, octets of a failed write may follow it */
	bool torn;	      /* they do, or those of a crash */
	bool unsynced;	      /* the last lines may not be on the disk yet */
};

/* Opens a file of a directory; flags: O_RDONLY, O_RDWR or O_RDWR | O_CREAT. 0 or -errno. */
int chain_open(int dir, const char *name, int flags, struct chain *ret);
void chain_close(struct chain *c);

/* Finds the tip of an open file by its last line. 0, -EBADMSG: that is none of these, -EBADF or another -errno. */
int chain_find_tip(struct chain *c);

/* The same of a file of a directory: 0 also if there is none, whose tip has no lines and HASH_NONE. */
int chain_tip_at(int dir, const char *name, struct chain_tip *ret);

/* Makes a place the end of the file: what is behind it goes. 0 or -errno. */
int chain_take_back(struct chain *c, const struct chain_tip *to);

/*
 * Whether the file still has its name in the directory, and the size that its writer left. 0, -ESTALE: it was moved or
 * removed, -EBUSY: another program wrote to it, or another -errno.
 */
int chain_same(struct chain *c, int dir, const char *name);

/* Appends lines after which the tip is another, with `sync` on the disk. 0, or -errno with the file as it was. */
int chain_append(struct chain *c, const char *lines, size_t size, const struct chain_tip *tip, bool sync);

/* Brings all lines to the disk. 0 or -errno. */
int chain_sync(struct chain *c);

/* Whether there is room for some lines: 0 or -errno. Where room cannot be reserved, only the next write finds out. */
int chain_probe(struct chain *c);

#endif
