/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"
#include "base/log_limit.h"
#include "base/output.h"
#include "base/text.h"
#include "base/timestamp.h"

/* Time that log_end() waits for a log that is not read. */
#define END_PATIENCE_MS 1000

static const char *program = "detnat-agent";
static enum log_level highest = LOG_LEVEL_INFO;

/* Lines begin with the time: standard error is neither the journal, which notes it, nor a terminal. */
static bool with_times;

/* NULL: the calling thread writes. */
static struct output *log_output, *ready_output;

static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_limit limit;

void log_set_program(const char *name)
{
	program = name;
}

void log_set_level(enum log_level level)
{
	highest = level;
}

/* Whether stderr is connected to journald: JOURNAL_STREAM is its "DEVICE:INODE". */
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
	case LOG_LEVEL_AUDIT: /* the text names the level, under journald as well */
	case LOG_LEVEL_INFO:
		break;
	}
	return "";
}

/* The time and a space, or nothing. */
#define STAMP_TEXT (TIME_US_TEXT + 1)

static const char *stamp(char text[static STAMP_TEXT])
{
	char now[TIME_US_TEXT];

	text[0] = '\0';
	if (with_times)
		snprintf(text, STAMP_TEXT, "%s ", time_format_us(clock_ns(CLOCK_REALTIME), now));
	return text;
}

static void put(const char *text, size_t size)
{
	if (log_output)
		output_write(log_output, text, size);
	else
		fwrite(text, 1, size, stderr);
}

/* Writes one line, with what does not show itself escaped: it could drive a terminal or fake another line. */
static void write_line(enum log_level level, const char *line)
{
	_cleanup_free_ char *whole = NULL, *shown = text_escaped(line, strlen(line));
	char time[STAMP_TEXT];
	int length;

	if (!shown)
		return;
	if (stderr_is_journal())
		length = asprintf(&whole, "<%d>%s\n", level, shown);
	else
		length = asprintf(&whole, "%s%s: %s%s\n", stamp(time), program, level_word(level), shown);
	if (length < 0)
		whole = NULL;
	else
		put(whole, (size_t)length);
}

/* Debug messages and audit lines are never limited. */
static bool allowed(enum log_level level, const char *text)
{
	bool allowed;

	if (!log_output || highest == LOG_LEVEL_DEBUG || level == LOG_LEVEL_AUDIT)
		return true;
	pthread_mutex_lock(&limit_lock);
	allowed = log_limit_ask(&limit, level, text, clock_ns(CLOCK_MONOTONIC));
	pthread_mutex_unlock(&limit_lock);
	return allowed;
}

void log_write(enum log_level level, const char *format, ...)
{
	static const char no_memory[] = "a message was lost: no memory\n";
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int length;

	if (level > highest && level != LOG_LEVEL_AUDIT)
		return;
	va_start(ap, format);
	length = vasprintf(&text, format, ap);
	va_end(ap);
	if (length < 0) {
		text = NULL;
		put(no_memory, sizeof(no_memory) - 1);
		return;
	}
	if (!allowed(level, text))
		return;

	for (size_t n = strlen(text); n && text[n - 1] == '\n'; n--)
		text[n - 1] = '\0';
	write_line(level, text);
}

void log_lines(enum log_level level, const char *text)
{
	while (*text) {
		int n = (int)strcspn(text, "\n");

		if (n)
			log_write(level, "%.*s", n, text);
		text += n + (text[n] == '\n');
	}
}

static void tell_lost(uint64_t lines, char *text, size_t size)
{
	bool journal = stderr_is_journal();
	char time[STAMP_TEXT];

	snprintf(text, size, "%s%s%s%llu lines of this log were lost, as it was not read\n", stamp(time),
		 journal ? "<4>" : program, journal ? "" : ": warning: ", (unsigned long long)lines);
}

void log_begin(void)
{
	with_times = !stderr_is_journal() && !isatty(STDERR_FILENO);
	/* Without a thread, the log is written directly as before. */
	if (!log_output && output_new(STDERR_FILENO, tell_lost, &log_output))
		log_output = NULL;
	if (!ready_output && output_new(STDOUT_FILENO, NULL, &ready_output))
		ready_output = NULL;
}

void log_tick(void)
{
	char text[LOG_LIMIT_TEXT + 64];
	int level;
	bool any;

	do {
		pthread_mutex_lock(&limit_lock);
		any = log_limit_tell(&limit, clock_ns(CLOCK_MONOTONIC), &level, text, sizeof(text));
		pthread_mutex_unlock(&limit_lock);
		if (any)
			write_line((enum log_level)level, text);
	} while (any);
}

void log_end(void)
{
	output_free(take_pointer(ready_output), END_PATIENCE_MS);
	output_free(take_pointer(log_output), END_PATIENCE_MS);
}

uint64_t log_lost(bool *ret_waiting)
{
	*ret_waiting = false;
	return log_output ? output_lost(log_output, ret_waiting) : 0;
}

void log_say(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int length;

	va_start(ap, format);
	length = vasprintf(&text, format, ap);
	va_end(ap);
	if (length < 0) {
		text = NULL;
	} else if (ready_output) {
		output_write(ready_output, text, (size_t)length);
	} else {
		fputs(text, stdout);
		fflush(stdout);
	}
}
