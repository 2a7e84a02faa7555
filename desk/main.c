// SPDX-License-Identifier: BSD-2-Clause
/* detnat-desk: options, the socket, and the end by a signal. */
#include <detnat/version.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/log.h"
#include "base/option.h"
#include "base/printed.h"
#include "base/text.h"
#include "listening.h"
#include "notes.h"
#include "proto/defaults.h"
#include "samples.h"
#include "server.h"
#include "token_command.h"
#include "token_guard.h"

#define EXIT_USAGE 2
#define PATH_ROOM  4096U

#ifndef DESK_CTL
#define DESK_CTL "/usr/bin/detnatctl"
#endif

static const char help[] =
	"Usage: detnat-desk [--socket PATH | --listen ADDR:PORT] [--control PATH] [--state-dir DIR]\n"
	"                   [--leases DIR] [--queries DIR] [--key FILE] [--sample SECONDS] [--tokens FILE]\n" TOKEN_HELP
	"\n"
	"Serves a page to find the customer behind a complaint and to see the state of the NAT. It only reads.\n"
	"\n"
	"  --socket PATH       listen on a Unix socket, for a proxy that names the user in X-Remote-User;\n"
	"                      for root in a directory of root's alone\n"
	"  --listen ADDR:PORT  listen on an address of 127.0.0.0/8, for the users of this machine\n"
	"  --control PATH      the agent's socket (" DEFAULT_SOCKET ")\n"
	"  --state-dir DIR     the mapping history to ask (that of the agent)\n"
	"  --leases DIR        name customers from the leases there (those beside the history)\n"
	"  --queries DIR       note there who took evidence (beside the history)\n"
	"  --key FILE          sign evidence with this key of ssh-keygen\n"
	"  --sample SECONDS    time between two points of the plots, 1 to 3600 (60)\n"
	"  --tokens FILE       tokens of other programs, for /api/v1 (" TOKENS_FILE ")\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print this\n"
	"\n"
	"Without --socket and --listen, the socket is that of the service manager (detnat-desk.socket).\n"
	"\n"
	"Examples:\n"
	"  systemctl enable --now detnat-desk.socket\n"
	"  detnat-desk --listen 127.0.0.1:8080\n"
	"  detnat-desk --socket /run/desk.sock --state-dir /srv/copy\n"
	"  detnat-desk token add tickets --kind who,evidence --rate 100/h --expires +365d\n";

struct options {
	const char *socket, *listen, *tokens;
	unsigned sample_s;
	struct ask_at at;
};

static int read_seconds(const char *text, unsigned *ret, struct error *err)
{
	uint64_t s;

	if (duration_parse(text, &s) || s < 1 || s > 3600)
		return error_set(err, -EINVAL, "--sample takes 1 to 3600 seconds, not %s", QUOTED(text));
	*ret = (unsigned)s;
	return 0;
}

static int read_option(struct options *o, int option, struct error *err)
{
	switch (option) {
	case 's':
		o->socket = optarg;
		return 0;
	case 'l':
		o->listen = optarg;
		return 0;
	case 'c':
		o->at.control = optarg;
		return 0;
	case 'd':
		o->at.state_dir = optarg;
		return 0;
	case 'L':
		o->at.leases = optarg;
		return 0;
	case 'q':
		o->at.queries = optarg;
		return 0;
	case 'k':
		o->at.key = optarg;
		return 0;
	case 'p':
		return read_seconds(optarg, &o->sample_s, err);
	case 't':
		o->tokens = optarg;
		return 0;
	case 'V':
		puts("detnat-desk " DETNAT_VERSION);
		exit(printed("detnat-desk", 0));
	case 'h':
		fputs(help, stdout);
		exit(printed("detnat-desk", 0));
	default:
		return -EINVAL;
	}
}

static int read_options(int argc, char **argv, struct options *o, struct error *err)
{
	static const struct option known[] = {
		{ "socket", required_argument, NULL, 's' },  { "listen", required_argument, NULL, 'l' },
		{ "control", required_argument, NULL, 'c' }, { "state-dir", required_argument, NULL, 'd' },
		{ "leases", required_argument, NULL, 'L' },  { "queries", required_argument, NULL, 'q' },
		{ "key", required_argument, NULL, 'k' },     { "sample", required_argument, NULL, 'p' },
		{ "tokens", required_argument, NULL, 't' },  { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },	     {},
	};
	char refused[OPTION_ROOM];
	int option, r = 0, place = -1;
	unsigned seen = 0;

	opterr = 0;
	while (!r && (option = getopt_long(argc, argv, "Vh", known, &place)) >= 0) {
		if (place >= 0 && seen & 1U << place)
			return error_set(err, -EINVAL, "--%s is given twice", known[place].name);
		/* An option of one letter leaves it as it is. */
		seen |= place >= 0 ? 1U << place : 0;
		place = -1;
		r = read_option(o, option, err);
	}
	if (option == '?')
		error_set(err, 0, "%s; see detnat-desk --help", option_refused(argv, known, refused));
	if (!r && optind < argc)
		r = error_set(err, -EINVAL, "%s is no option; see detnat-desk --help", QUOTED(argv[optind]));
	if (!r && o->socket && o->listen)
		r = error_set(err, -EINVAL, "--socket and --listen exclude each other");
	return r;
}

/* detnatctl beside this program, as in a build, or else where it is installed. */
static const char *find_ctl(void)
{
	static char path[PATH_ROOM + 16];
	ssize_t n = readlink("/proc/self/exe", path, PATH_ROOM - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return DESK_CTL;
	strcpy(slash + 1, "detnatctl");
	return access(path, X_OK) ? DESK_CTL : path;
}

static int open_socket(const struct options *o, struct listening *ret, struct error *err)
{
	int r;

	if (o->socket)
		return listening_unix(o->socket, ret, err);
	if (o->listen)
		return listening_loopback(o->listen, ret, err);
	r = listening_passed(ret, err);
	if (r == -ENOENT)
		error_set(err, r,
			  "no socket: give --socket or --listen, or start detnat-desk.socket; see detnat-desk --help");
	return r;
}

/* Blocks the signals that end the process, in all threads. */
static void hold_signals(sigset_t *ret)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ret, NULL);
}

static int serve(const struct options *o, struct error *err)
{
	struct listening l;
	sigset_t signals;
	int r = open_socket(o, &l, err), number;

	hold_signals(&signals);
	if (!r)
		r = token_guard_open(o->tokens, err);
	if (!r)
		r = samples_start(&o->at, o->sample_s);
	if (!r)
		r = server_start(&l, &o->at, err);
	if (r)
		return r;
	log_say("detnat-desk " DETNAT_VERSION " ready\n");
	sigwait(&signals, &number);
	notes_count(&o->at, true);
	if (o->socket)
		listening_remove(&l, o->socket);
	return 0;
}

int main(int argc, char **argv)
{
	static struct options o = { .sample_s = 60, .at.control = DEFAULT_SOCKET, .tokens = TOKENS_FILE };
	struct error err = {};

	log_set_program("detnat-desk");
	if (argc > 1 && !strcmp(argv[1], "token")) {
		int r = token_command(argc - 1, argv + 1, &err);

		if (r)
			text_line(stderr, "detnat-desk: ", err.text);
		return printed("detnat-desk", r == -EINVAL ? EXIT_USAGE : r ? EXIT_FAILURE : 0);
	}
	o.at.program = find_ctl();
	if (read_options(argc, argv, &o, &err)) {
		text_line(stderr, "detnat-desk: ", err.text);
		return EXIT_USAGE;
	}
	if (serve(&o, &err)) {
		text_line(stderr, "detnat-desk: ", *err.text ? err.text : "cannot start");
		return EXIT_FAILURE;
	}
	return 0;
}
