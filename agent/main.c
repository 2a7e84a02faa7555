/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <string.h>

#include "agent.h"
#include "detach.h"
#include "log.h"
#include "service.h"

#define DEFAULT_CONFIG "/etc/detnat/detnat.json"

static const char usage[] =
	"Usage: detnat-agent [-v | -q] [-c FILE] [-t | --detach]\n"
	"       detnat-agent -V | -h\n"
	"\n"
	"Runs the deterministic NAT of this machine, in the foreground, and logs to stderr.\n"
	"\n"
	"  -c, --config FILE  configuration (" DEFAULT_CONFIG ")\n"
	"  -t, --test         check the configuration and this machine, and touch nothing\n"
	"      --detach       remove the datapath and all that is pinned; no agent may run\n"
	"  -v, --verbose      log what is of use in a search for errors, too; -vv: and all of libbpf's messages\n"
	"  -q, --quiet        log warnings and errors alone\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this text\n"
	"\n"
	"Signals: SIGHUP reloads the file. SIGTERM and SIGINT end the agent; the datapath goes on translating,\n"
	"unless \"on_exit\" says \"detach\".\n"
	"Exit status: 0 done, 1 failed while running, 2 bad usage or bad configuration.\n"
	"\n"
	"examples:\n"
	"  detnat-agent -t -c detnat.json        is this file right, for this machine?\n"
	"  systemctl reload detnat               apply what has changed in " DEFAULT_CONFIG "\n"
	"  detnat-agent --detach                 end NAT here, when the agent is stopped\n";

enum mode { MODE_RUN, MODE_TEST, MODE_DETACH };

/* Where long options have no short one. */
enum { OPTION_DETACH = 256 };

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "test", no_argument, NULL, 't' },
	{ "detach", no_argument, NULL, OPTION_DETACH },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int bad_usage(const char *text)
{
	fprintf(stderr, "detnat-agent: %s; see detnat-agent --help\n", text);
	return EXIT_BAD_CONFIGURATION;
}

static int print_end(enum exit_status status, const char *config_path, const struct error *err)
{
	if (status == EXIT_DONE)
		return status;
	log_error("%s", err->text);
	if (status == EXIT_BAD_CONFIGURATION && !strcmp(config_path, DEFAULT_CONFIG) && access(config_path, F_OK))
		log_info("a sample is installed as share/doc/detnat/detnat.json; detnat.json(5) explains it");
	return status;
}

static int test(const char *config_path)
{
	struct error err = { 0 };
	enum exit_status status = service_check(config_path, &err);

	if (status == EXIT_DONE)
		printf("%s: ok\n", config_path);
	return print_end(status, config_path, &err);
}

/* Of the file only the pin path matters: the interfaces may be gone. */
static int detach(const char *config_path)
{
	struct config *c;
	struct error err = { 0 };
	bool found = false;
	int r = config_load(config_path, &c, NULL, &err);

	if (r)
		return print_end(EXIT_BAD_CONFIGURATION, config_path, &err);
	r = detach_pinned(c->pin_path, &found, &err);
	if (!r)
		puts(found ? "detached" : "nothing to detach");
	config_free(c);
	return print_end(r ? EXIT_FAILED : EXIT_DONE, config_path, &err);
}

static int run(const char *config_path)
{
	struct error err = { 0 };

	return print_end(service_run(config_path, &err), config_path, &err);
}

int main(int argc, char **argv)
{
	static char program[] = "detnat-agent";
	const char *config_path = DEFAULT_CONFIG;
	enum mode mode = MODE_RUN;
	unsigned verbosity = 0;
	bool quiet = false;
	int option;

	/* getopt's messages begin like all others. */
	if (argc)
		argv[0] = program;
	while ((option = getopt_long(argc, argv, "c:tvqVh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config_path = optarg;
			break;
		case 't':
		case OPTION_DETACH:
			if (mode != MODE_RUN)
				return bad_usage("either -t or --detach, and once");
			mode = option == 't' ? MODE_TEST : MODE_DETACH;
			break;
		case 'v':
			verbosity++;
			break;
		case 'q':
			quiet = true;
			break;
		case 'V':
			puts("detnat-agent " AGENT_VERSION);
			return EXIT_DONE;
		case 'h':
			fputs(usage, stdout);
			return EXIT_DONE;
		default:
			fputs("detnat-agent: see detnat-agent --help\n", stderr);
			return EXIT_BAD_CONFIGURATION;
		}
	}
	if (optind < argc)
		return bad_usage("arguments are not taken");
	if (verbosity && quiet)
		return bad_usage("either -v or -q");
	if (verbosity)
		log_set_level(LOG_LEVEL_DEBUG);
	else if (quiet)
		log_set_level(LOG_LEVEL_WARNING);
	datapath_log_libbpf(verbosity);
	switch (mode) {
	case MODE_TEST:
		return test(config_path);
	case MODE_DETACH:
		return detach(config_path);
	default:
		return run(config_path);
	}
}
