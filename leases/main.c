// SPDX-License-Identifier: BSD-2-Clause
/* detnat-leases: options, its rights, and the end by a signal. */
#include <cap-ng.h>
#include <detnat/version.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent_link.h"
#include "base/base.h"
#include "base/log.h"
#include "base/option.h"
#include "base/printed.h"
#include "base/text.h"

#define EXIT_USAGE 2

static const char help[] =
	"Usage: detnat-leases [-c FILE]\n"
	"\n"
	"Records which customer had which inside address: takes RADIUS accounting, and follows the files of DHCP and\n"
	"access servers that the configuration of detnat-agent names in \"leases\". detnat-leases.socket starts it, or "
	"the\n"
	"agent where there is no such unit.\n"
	"\n"
	"  -c, --config FILE   the agent's configuration, with which it begins (/etc/detnat/detnat.json)\n"
	"  -V, --version       print the version\n"
	"  -h, --help          print this\n"
	"\n"
	"Examples:\n"
	"  systemctl enable --now detnat-leases.socket\n"
	"  detnatctl status\n";

struct options {
	const char *config;
	bool agent; /* the agent has started it */
};

static int read_option(struct options *o, int option, struct error *err)
{
	switch (option) {
	case 'c':
		if (o->config)
			return error_set(err, -EINVAL, "--config is given twice");
		o->config = optarg;
		return 0;
	case 'a':
		o->agent = true;
		return 0;
	case 'V':
		puts("detnat-leases " DETNAT_VERSION);
		exit(printed("detnat-leases", 0));
	case 'h':
		fputs(help, stdout);
		exit(printed("detnat-leases", 0));
	default:
		return -EINVAL;
	}
}

static int read_options(int argc, char **argv, struct options *o, struct error *err)
{
	static const struct option known[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "agent", no_argument, NULL, 'a' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	char refused[OPTION_ROOM];
	int option, r = 0;

	opterr = 0;
	while (!r && (option = getopt_long(argc, argv, "c:Vh", known, NULL)) >= 0)
		r = read_option(o, option, err);
	if (r && !*err->text)
		error_set(err, 0, "%s; see detnat-leases --help", option_refused(argv, known, refused));
	if (!r && optind < argc)
		r = error_set(err, -EINVAL, "%s is no option; see detnat-leases --help", QUOTED(argv[optind]));
	return r;
}

/* Whoever started it: no capability, no way to one, and no core that has secrets and customers. */
static void drop_rights(void)
{
	const struct rlimit none = { 0, 0 };

	umask(0027);
	setrlimit(RLIMIT_CORE, &none);
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		log_warning("the capabilities cannot be dropped: %s", strerror(errno));
}

/* A descriptor that becomes readable with a signal that ends the program, or has it begin anew. */
static int catch_signals(void)
{
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Whether the agent of a configuration will look for the program at the socket on which it listens. */
static bool is_agents_place(const struct config *c, int listening)
{
	struct sockaddr_un at = { 0 };
	socklen_t size = sizeof(at) - 1;
	size_t directory = (size_t)(strrchr(c->control_socket, '/') - c->control_socket) + 1;

	return !getsockname(listening, (struct sockaddr *)&at, &size) &&
	       !strncmp(at.sun_path, c->control_socket, directory) && !strcmp(at.sun_path + directory, LEASES_SOCKET);
}

/* Recording begins before the agent comes; a file that is wrong waits for the agent, who has what ran before. */
static void begin(struct worker *k, int listening, const char *path)
{
	struct lease_means *m = NULL;
	struct config *c = NULL;
	struct lease_place at;
	struct error err = { 0 };
	uint64_t hash;

	if (!config_load(path, &c, &hash, &err) && !is_agents_place(c, listening))
		log_warning(
			"the agent has its \"control_socket\" elsewhere: it starts a program of its own for leases, "
			"unless ListenSequentialPacket= in a drop-in of detnat-leases.socket is " LEASES_SOCKET
			" beside %s",
			c->control_socket);
	else if (*err.text || lease_means_new(&c->leases, c->state_dir, NULL, true, &m, &at, &err))
		log_warning("%s; the agent's rules are waited for", err.text);
	config_free(c);
	if (m)
		worker_adopt(k, m);
}

/* Whether a signal ends the program. What is in force is the agent's to say, so the file counts only without one. */
static bool is_ended(struct worker *k, const struct agent_link *l, int signals, const char *path)
{
	struct signalfd_siginfo caught;

	while (read(signals, &caught, sizeof(caught)) == (ssize_t)sizeof(caught)) {
		if (caught.ssi_signo != SIGHUP)
			return true;
		if (l->fd < 0)
			begin(k, l->listening, path);
		else
			log_info("the agent's sources stay; a reload of the agent hands over others");
	}
	return false;
}

static void serve(struct worker *k, struct agent_link *l, int signals, const char *path)
{
	while (!is_ended(k, l, signals, path) && agent_link_work(l, k)) {
		const int others[WORKER_OTHERS] = { signals, l->listening, l->fd };

		if (worker_turn(k, others))
			agent_link_report(l, k);
	}
}

static bool was_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	return pid && n && atol(pid) == getpid() && !strcmp(n, "1");
}

static int run(const struct options *o, struct error *err)
{
	struct agent_link l;
	struct worker *k;
	int signals = catch_signals(), r;

	if (!o->agent && !was_passed())
		return error_set(err, -ENOENT,
				 "no socket: detnat-leases.socket or the agent starts it; see detnat-leases --help");
	r = agent_link_open(&l, LEASES_FD, err);
	if (!r && (signals < 0 || worker_new(&k)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r)
		return r;
	if (!o->agent)
		begin(k, l.listening, o->config);
	serve(k, &l, signals, o->config);
	worker_free(k);
	agent_link_close(&l);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct error err = { 0 };

	log_set_program("detnat-leases");
	if (read_options(argc, argv, &o, &err)) {
		text_line(stderr, "detnat-leases: ", err.text);
		return EXIT_USAGE;
	}
	o.config = o.config ? o.config : "/etc/detnat/detnat.json";
	drop_rights();
	if (run(&o, &err)) {
		text_line(stderr, "detnat-leases: ", *err.text ? err.text : "cannot start");
		return EXIT_FAILURE;
	}
	return 0;
}
