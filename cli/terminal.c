// SPDX-License-Identifier: BSD-2-Clause
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Switch to the alternate screen and hide the cursor; and back. */
#define ENTER "\033[?1049h\033[?25l\033[H\033[2J"
#define LEAVE "\033[?25h\033[?1049l"

#define ROWS	24U
#define COLUMNS 80U

static struct termios before;
static volatile sig_atomic_t entered, changed;

bool terminal_usable(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* The functions below are also called from signal handlers: async-signal-safe functions only. */

static void write_fixed(const char *text, size_t size)
{
	int saved = errno;

	while (size) {
		ssize_t n = write(STDOUT_FILENO, text, size);

		if (n < 0 && errno != EINTR)
			break;
		text += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	errno = saved;
}

static void take(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	write_fixed(ENTER, sizeof(ENTER) - 1);
	entered = 1;
}

void terminal_leave(void)
{
	if (!entered)
		return;
	entered = 0;
	write_fixed(LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void on_end(int number)
{
	terminal_leave();
	if (number == SIGINT)
		_exit(0);
	/* Delivered when this handler returns. */
	signal(number, SIG_DFL);
	raise(number);
}

static void on_stop(int number)
{
	terminal_leave();
	signal(number, SIG_DFL);
	raise(number);
}

static void on_resize(int number)
{
	changed = 1;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(number, &sa, NULL);
}

static void on_continue(int number)
{
	int saved = errno;

	handle(SIGTSTP, on_stop);
	if (!entered)
		take();
	changed = 1;
	errno = saved;
}

int terminal_enter(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	if (tcgetattr(STDIN_FILENO, &before))
		return -errno;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		handle(ends[i], on_end);
	handle(SIGTSTP, on_stop);
	handle(SIGWINCH, on_resize);
	take();
	handle(SIGCONT, on_continue);
	changed = 1;
	return 0;
}

bool terminal_changed(void)
{
	bool was = changed;

	changed = 0;
	return was;
}

void terminal_size(unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		size.ws_row = 0;
	*ret_rows = size.ws_row ? size.ws_row : ROWS;
	*ret_columns = size.ws_col ? size.ws_col : COLUMNS;
}

int terminal_columns(void)
{
	unsigned rows, columns;

	if (!isatty(STDOUT_FILENO))
		return 0;
	terminal_size(&rows, &columns);
	return (int)columns;
}

int terminal_write(const char *text, unsigned long size)
{
	while (size) {
		ssize_t n = write(STDOUT_FILENO, text, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}
