/* SPDX-License-Identifier: BSD-2-Clause */
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include <detnat/version.h>

#include "base/log.h"
#include "base/option.h"
#include "base/printed.h"
#include "config/config.h"
#include "diagnosis/doctor.h"
#include "links/detach.h"
#include "recorder/history.h"
#include "recorder/pin.h"
#include "service/hand_back_run.h"
#include "service/lease_rights.h"
#include "service/prepare.h"
#include "service/service.h"
#include "service/signals.h"

#define DEFAULT_CONFIG "/etc/detnat/detnat.json"

static const char usage[] =
	"Usage: detnat-agent [-v | -q] [-c FILE] [-t | --replace | --guard | --hand-back | --detach | --doctor | "
	"--prepare |\n"
	"                    --lease-groups]\n"
	"       detnat-agent --schema | -V | -h\n"
	"\n"
	"Runs the deterministic NAT of this machine, in the foreground, and logs to stderr.\n"
	"\n"
	"  -c, --config FILE  configuration (" DEFAULT_CONFIG ")\n"
	"  -t, --test         check the configuration and this machine; change nothing\n"
	"      --guard        block the mapped addresses until the agent has attached its programs\n"
	"      --replace      replace a datapath of another version that cannot be taken over; its sessions are lost\n"
	"      --hand-back    let 1.0.0 take the datapath over again, without a lost packet; no agent may run\n"
	"      --detach       remove the datapath, all that is pinned, and the guard; no agent may run\n"
	"      --doctor       check this machine before it goes live: kernel, drivers, routes, firewall ...\n"
	"      --prepare      as root, before the agent starts as user detnat: mount the bpffs, give it pins and "
	"history\n"
	"      --lease-groups as root, for packages: give detnat-leases the groups by which the agent read files of "
	"leases\n"
	"  -v, --verbose      log details for troubleshooting; -vv: and all messages of libbpf\n"
	"  -q, --quiet        log only warnings and errors\n"
	"      --schema       print the JSON schema of configuration files\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this text\n"
	"\n"
	"Signals: SIGHUP reloads the file. SIGTERM and SIGINT end the agent; the datapath goes on translating,\n"
	"unless \"on_exit\" says \"detach\".\n"
	"Exit status: 0 done, 1 failed, or --doctor found failures, 2 bad usage or bad configuration.\n"
	"\n"
	"examples:\n"
	"  detnat-agent -t -c detnat.json        is this file right for this machine?\n"
	"  systemctl reload detnat               apply what has changed in " DEFAULT_CONFIG "\n"
	"  detnat-agent --doctor -c detnat.json  is this machine ready for it, and if not, what to fix?\n"
	"  detnat-agent --detach                 end NAT on this machine, after the agent was stopped\n";

static int print_schema(void)
{
	_cleanup_free_ char *schema = config_schema();

	if (!schema) {
		fputs("detnat-agent: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	puts(schema);
	return printed("detnat-agent", EXIT_DONE);
}

enum mode {
	MODE_RUN,
	MODE_TEST,
	MODE_GUARD,
	MODE_HAND_BACK,
	MODE_DETACH,
	MODE_DOCTOR,
	MODE_PREPARE,
	MODE_LEASE_GROUPS
};

#define SIGNAL_BIT(number) (1ULL << ((number)-1))

/* Long options without a short one. */
enum {
	OPTION_DETACH = 256,
	OPTION_GUARD,
	OPTION_HAND_BACK,
	OPTION_REPLACE,
	OPTION_DOCTOR,
	OPTION_PREPARE,
	OPTION_LEASE_GROUPS,
	OPTION_SCHEMA
};

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "test", no_argument, NULL, 't' },
	{ "schema", no_argument, NULL, OPTION_SCHEMA },
	{ "guard", no_argument, NULL, OPTION_GUARD },
	{ "hand-back", no_argument, NULL, OPTION_HAND_BACK },
	{ "detach", no_argument, NULL, OPTION_DETACH },
	{ "replace", no_argument, NULL, OPTION_REPLACE },
	{ "doctor", no_argument, NULL, OPTION_DOCTOR },
	{ "prepare", no_argument, NULL, OPTION_PREPARE },
	{ "lease-groups", no_argument, NULL, OPTION_LEASE_GROUPS },
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
		log_info("a sample is /usr/share/doc/detnat/detnat.json; detnat.json(5) explains it");
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

static int put_up_guard(const char *config_path)
{
	struct error err = { 0 };
	const char *done = NULL;
	enum exit_status status = guard_install(config_path, &done, &err);

	if (status == EXIT_DONE)
		puts(done);
	return print_end(status, config_path, &err);
}

/* The interfaces of the file may be gone. */
static int detach(const char *config_path)
{
	struct config *c;
	struct error err = { 0 };
	bool found = false, guarded = false;
	struct history_pin recorded;
	int r = config_load(config_path, &c, NULL, &err);

	if (r)
		return print_end(EXIT_BAD_CONFIGURATION, config_path, &err);
	history_pin_find(c->pin_path, &recorded);
	r = detach_pinned(c, &found, &err);
	if (!r && found && history_detach_at(c->state_dir, &recorded, &err))
		log_warning("%s; the history lacks the removal of the datapath", err.text);
	if (!r)
		r = detach_guard(c->pin_path, &guarded, &err);
	if (!r)
		puts(found || guarded ? "detached" : "nothing to detach");
	config_free(c);
	return print_end(r ? EXIT_FAILED : EXIT_DONE, config_path, &err);
}

static int hand_back(const char *config_path)
{
	struct error err = { 0 };

	return print_end(hand_back_run(config_path, &err), config_path, &err);
}

static int doctor(const char *config_path)
{
	_cleanup_config_ struct config *c = NULL;
	struct error err = { 0 };

	if (config_load(config_path, &c, NULL, &err))
		return print_end(EXIT_BAD_CONFIGURATION, config_path, &err);
	return doctor_examine(c, config_path) ? EXIT_FAILED : EXIT_DONE;
}

/* If the file is wrong, the agent itself refuses it; it may accept one that root does not follow. */
static int prepare(const char *config_path)
{
	_cleanup_config_ struct config *c = NULL;
	struct error err = { 0 };

	if (config_load(config_path, &c, NULL, &err)) {
		log_warning("nothing is prepared for the agent: %s", err.text);
		return EXIT_DONE;
	}
	return print_end(prepare_for_agent(c, &err) ? EXIT_FAILED : EXIT_DONE, config_path, &err);
}

/* What is still missing afterwards is named. */
static int lease_groups(const char *config_path)
{
	_cleanup_config_ struct config *c = NULL;
	struct error err = { 0 };
	int r;

	if (config_load(config_path, &c, NULL, &err))
		return print_end(EXIT_BAD_CONFIGURATION, config_path, &err);
	r = lease_rights_carry(c, &err);
	lease_rights_warn(c);
	return print_end(r ? EXIT_FAILED : EXIT_DONE, config_path, &err);
}

static int run(const char *config_path, bool replace)
{
	struct error err = { 0 };
	int status;

	log_begin();
	status = print_end(service_run(config_path, replace, &err), config_path, &err);
	log_end();
	return status;
}

/*
 * Blocks signals from the first moment on, before the libraries are initialised: an early reload is carried out later,
 * and no signal ends the agent halfway. Makes the system call directly, as libc is not ready yet.
 */
static __attribute__((no_sanitize("address", "undefined"))) void hold_signals(int argc, char **argv, char **environment)
{
	const uint64_t held = SIGNAL_BIT(SIGHUP) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT);

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &held, NULL, sizeof(held));
}

static __attribute__((section(".preinit_array"), used)) void (*const first)(int, char **, char **) = hold_signals;

/* What is done once, and prints what came of it. */
static int (*const once[])(const char *config_path) = {
	[MODE_TEST] = test,	[MODE_GUARD] = put_up_guard, [MODE_HAND_BACK] = hand_back,	 [MODE_DETACH] = detach,
	[MODE_DOCTOR] = doctor, [MODE_PREPARE] = prepare,    [MODE_LEASE_GROUPS] = lease_groups,
};

int main(int argc, char **argv)
{
	const char *config_path = NULL;
	enum mode mode = MODE_RUN;
	unsigned verbosity = 0;
	bool quiet = false, replace = false;
	char refused[OPTION_ROOM];
	int option;

	/* write() reports a file at its size limit, and a pipe that was closed. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	opterr = 0;
	while ((option = getopt_long(argc, argv, "c:tvqVh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			if (config_path)
				return bad_usage("--config once");
			config_path = optarg;
			break;
		case 't':
		case OPTION_GUARD:
		case OPTION_HAND_BACK:
		case OPTION_DETACH:
		case OPTION_DOCTOR:
		case OPTION_PREPARE:
		case OPTION_LEASE_GROUPS:
			if (mode != MODE_RUN)
				return bad_usage("one of -t, --guard, --hand-back, --detach, --doctor, --prepare and "
						 "--lease-groups, and once");
			mode = option == 't'		    ? MODE_TEST
			       : option == OPTION_GUARD	    ? MODE_GUARD
			       : option == OPTION_HAND_BACK ? MODE_HAND_BACK
			       : option == OPTION_DETACH    ? MODE_DETACH
			       : option == OPTION_DOCTOR    ? MODE_DOCTOR
			       : option == OPTION_PREPARE   ? MODE_PREPARE
							    : MODE_LEASE_GROUPS;
			break;
		case OPTION_REPLACE:
			replace = true;
			break;
		case 'v':
			verbosity++;
			break;
		case 'q':
			quiet = true;
			break;
		case OPTION_SCHEMA:
			return print_schema();
		case 'V':
			puts("detnat-agent " DETNAT_VERSION);
			return printed("detnat-agent", EXIT_DONE);
		case 'h':
			fputs(usage, stdout);
			return printed("detnat-agent", EXIT_DONE);
		default:
			fprintf(stderr, "detnat-agent: %s; see detnat-agent --help\n",
				option_refused(argv, options, refused));
			return EXIT_BAD_CONFIGURATION;
		}
	}
	if (optind < argc)
		return bad_usage("it takes no arguments");
	if (replace && mode != MODE_RUN)
		return bad_usage("--replace is an option of a start");
	if (verbosity && quiet)
		return bad_usage("either -v or -q");
	if (verbosity)
		log_set_level(LOG_LEVEL_DEBUG);
	else if (quiet)
		log_set_level(LOG_LEVEL_WARNING);
	datapath_log_libbpf(verbosity);
	/* These two take signals in their turns. */
	if (mode != MODE_RUN && mode != MODE_HAND_BACK)
		signals_release();
	config_path = config_path ? config_path : DEFAULT_CONFIG;
	return mode == MODE_RUN ? run(config_path, replace) : printed("detnat-agent", once[mode](config_path));
}
