/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "util.h"

static enum log_level highest = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	highest = level;
}

/* Whether stderr is the stream that journald said it reads: JOURNAL_STREAM is "DEVICE:INODE" of it. */
static int stderr_is_journal(void)
{
	static int known = -1;

	if (known < 0) {
		const char *stream = getenv("JOURNAL_STREAM");
		unsigned long long device, inode;
		struct stat st;

		known = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
			st.st_dev == device && st.st_ino == inode;
	}
	return known;
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error: ";
	case LOG_LEVEL_WARNING:
		return "warning: ";
	case LOG_LEVEL_DEBUG:
		return "debug: ";
	case LOG_LEVEL_INFO:
		break;
	}
	return "";
}

/* Writes one line, with what could confuse a terminal or forge another line made harmless. */
static void write_line(enum log_level level, char *line)
{
	for (char *c = line; *c; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			*c = '?';
	if (stderr_is_journal())
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "detnat-agent: %s%s\n", level_word(level), line);
}

void log_write(enum log_level level, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int length;

	if (level > highest)
		return;
	va_start(ap, format);
	length = vasprintf(&text, format, ap);
	va_end(ap);
	if (length < 0) {
		text = NULL;
		fputs("detnat-agent: a message was lost: no memory\n", stderr);
		return;
	}

	/* A text of several lines (the verifier's) stays readable, and each line gets its level. */
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line || line == text)
			write_line(level, line);
}
