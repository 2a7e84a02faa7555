/* SPDX-License-Identifier: BSD-2-Clause */
/* From what was typed to a command and its arguments, and what is said of what makes no sense. */
#include <criterion/criterion.h>

#include <string.h>
#include <time.h>

#include "base/timestamp.h"
#include "command.h"

#define MAX_WORDS 12

/* Splits at blanks; "" stands for an empty word. */
static unsigned split(const char *typed, char *copy, char *words[MAX_WORDS])
{
	unsigned n = 0;

	strcpy(copy, typed);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		words[n++] = strcmp(word, "\"\"") ? word : "";
	words[n] = NULL;
	return n;
}

/* The arguments of a request as JSON, or what is wrong. */
static const char *arguments_of(const char *typed, struct error *err)
{
	static char text[512];
	char copy[256], *words[MAX_WORDS];
	unsigned n = split(typed, copy, words), taken;
	const struct command *c = command_find(words, n, &taken, err);
	cJSON *args = c ? command_arguments(c, words + taken, n - taken, err) : NULL;

	if (!args)
		return NULL;
	cr_assert(cJSON_PrintPreallocated(args, text, sizeof(text), false));
	cJSON_Delete(args);
	return text;
}

static const struct {
	const char *typed, *args;
} taken[] = {
	{ "stats", "{}" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30", "{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\"}" },
	{ "mapping add --session-slots 64 10.0.0.0/18 --sessions-per-user=5 1.1.1.0/30",
	  "{\"session_slots\":64,\"in\":\"10.0.0.0/18\",\"sessions_per_user\":5,\"out\":\"1.1.1.0/30\"}" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --name a.B_9-c --comment x",
	  "{\"in\":\"10.0.0.0/18\",\"out\":\"1.1.1.0/30\",\"name\":\"a.B_9-c\",\"comment\":\"x\"}" },
	{ "mapping add 2001:db8:4000::/36 203.0.112.0/22 --subscriber-plen 56 --nat64-prefix 64:ff9b::/96",
	  "{\"in\":\"2001:db8:4000::/36\",\"out\":\"203.0.112.0/22\",\"subscriber_plen\":56,\"nat64_prefix\":"
	  "\"64:ff9b::/96\"}" },
	{ "mapping set 2001:db8:4000::/36 --hosts-per-subscriber 12",
	  "{\"in\":\"2001:db8:4000::/36\",\"hosts_per_subscriber\":12}" },
	{ "forward 2001:db8:4000:1200::1", "{\"addr\":\"2001:db8:4000:1200::1\"}" },
	{ "session list 2001:db8:4000:1200::/56", "{\"addr\":\"2001:db8:4000:1200::/56\"}" },
	{ "session close in [2001:db8:4000:1200::1]:40001 198.51.100.7:443",
	  "{\"direction\":\"in\",\"endpoint\":\"[2001:db8:4000:1200::1]:40001\",\"ext\":\"198.51.100.7:443\"}" },
	{ "explain [2001:db8:4000:1200::1]:40001", "{\"place\":\"[2001:db8:4000:1200::1]:40001\"}" },
	{ "mapping del residential", "{\"in\":\"residential\"}" },
	{ "mapping set 10.0.0.0/18 --name \"\" --comment=", "{\"in\":\"10.0.0.0/18\",\"name\":\"\",\"comment\":\"\"}" },
	{ "who 1.1.1.1:1276", "{\"endpoint\":\"1.1.1.1:1276\"}" },
	{ "who 1.1.1.1 --limit 7 --offset 3", "{\"endpoint\":\"1.1.1.1\",\"limit\":7,\"offset\":3}" },
	{ "who - --state-dir /mnt/copy", "{\"endpoint\":\"-\",\"state_dir\":\"/mnt/copy\"}" },
	{ "who --at 2026-01-31T10:00:00Z 1.1.1.1:1", "{\"at\":\"2026-01-31T10:00:00Z\",\"endpoint\":\"1.1.1.1:1\"}" },
	{ "history verify", "{}" },
	{ "who 1.1.1.1:1 --leases /l --margin 2m", "{\"endpoint\":\"1.1.1.1:1\",\"leases\":\"/l\",\"margin\":120}" },
	{ "request - --zone Europe/Berlin", "{\"file\":\"-\",\"zone\":\"Europe/Berlin\"}" },
	{ "leases import kea f --leases d", "{\"format\":\"kea\",\"file\":\"f\",\"leases\":\"d\"}" },
	{ "customer alice --from 2026-01-01", "{\"customer\":\"alice\",\"from\":\"2026-01-01\"}" },
	{ "leases index --leases d", "{\"leases\":\"d\"}" },
	{ "leases expire --older 180d --leases d", "{\"older\":15552000,\"leases\":\"d\"}" },
	{ "forward 10.0.0.2", "{\"addr\":\"10.0.0.2\"}" },
	{ "reverse 1.1.1.1:0", "{\"endpoint\":\"1.1.1.1:0\"}" },
	{ "interface add eth0.100 outside", "{\"name\":\"eth0.100\",\"role\":\"outside\"}" },
	{ "timeouts set icmp=1 udp=604800", "{\"icmp\":1,\"udp\":604800}" },
	{ "session list", "{}" },
	{ "session list --all 10.0.0.2 --proto icmp", "{\"all\":true,\"addr\":\"10.0.0.2\",\"proto\":\"icmp\"}" },
	{ "session list --ext 198.51.100.0/24:443 --out 1.1.1.0 --state tcp-established --older 5 --count",
	  "{\"ext\":\"198.51.100.0/"
	  "24:443\",\"out\":\"1.1.1.0\",\"state\":\"tcp-established\",\"older\":5,\"count\":true}" },
	{ "session flush 10.0.0.0/24 --dry-run", "{\"in\":\"10.0.0.0/24\",\"dry_run\":true}" },
	{ "session list -- 10.0.0.2", "{\"addr\":\"10.0.0.2\"}" },
	{ "session close out 1.1.1.0:1024 192.0.2.1:0 --proto tcp",
	  "{\"direction\":\"out\",\"endpoint\":\"1.1.1.0:1024\",\"ext\":\"192.0.2.1:0\",\"proto\":\"tcp\"}" },
	{ "ipfix set source=0.0.0.0:0 domain_id=4294967295", "{\"source\":\"0.0.0.0:0\",\"domain_id\":4294967295}" },
	{ "ipfix set collector=tcp:192.0.2.1:1,192.0.2.1:1", "{\"collector\":\"tcp:192.0.2.1:1,192.0.2.1:1\"}" },
	{ "top", "{}" },
	{ "top -n 5 --by quota --once", "{\"n\":5,\"by\":\"quota\",\"once\":true}" },
	{ "top -n65536 --by=sessions", "{\"n\":65536,\"by\":\"sessions\"}" },
	{ "explain 10.0.0.2", "{\"place\":\"10.0.0.2\"}" },
	{ "explain 1.1.1.0:1054", "{\"place\":\"1.1.1.0:1054\"}" },
	{ "timeouts set udp=5m tcp_established=2h4m", "{\"udp\":300,\"tcp_established\":7440}" },
	{ "mapping add 10.0.5.77 1.1.3.9", "{\"in\":\"10.0.5.77\",\"out\":\"1.1.3.9\"}" },
	{ "mapping del 10.0.5.77", "{\"in\":\"10.0.5.77\"}" },
	{ "mapping del homes --drain 10m", "{\"in\":\"homes\",\"drain\":600}" },
	{ "session list --older 90s", "{\"older\":90}" },
	{ "portmap del web", "{\"proto\":\"web\"}" },
	{ "portmap del tcp 1.1.1.0:443", "{\"proto\":\"tcp\",\"out\":\"1.1.1.0:443\"}" },
	{ "pool drain 1.1.1.2 --portmaps move --drain 1h",
	  "{\"out\":\"1.1.1.2\",\"portmaps\":\"move\",\"drain\":3600}" },
	{ "ipfix set path_mtu=128 template_interval=86400", "{\"path_mtu\":128,\"template_interval\":86400}" },
};

Test(cli_arguments, are_read_by_place_by_option_and_by_assignment)
{
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		struct error err = { "" };
		const char *args = arguments_of(taken[i].typed, &err);

		cr_expect(args && !strcmp(args, taken[i].args), "%s: %s %s", taken[i].typed, args ? args : "",
			  err.text);
	}
}

/* What is refused, and a word of the reason. */
static const struct {
	const char *typed, *reason;
} refused[] = {
	{ "stats all", "all" },
	{ "stats --all", "--all" },
	{ "mapping add 10.0.0.0/18", "usage" },
	{ "mapping add 10.0.0 1.1.1.0/30",
	  "IN must be a prefix such as 10.0.0.0/18, a range such as 10.0.0.1-10.0.0.9, or an address, not \"10.0.0\"" },
	{ "mapping add 10.0.0.0/8 1.1.1",
	  "OUT must be a prefix such as 203.0.113.0/30, a range such as 203.0.113.1-203.0.113.9, "
	  "an address, or none, not \"1.1.1\"" },
	{ "mapping add 10.0.0.0/33 1.1.1.0/30", "10.0.0.0/33" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 5", "5" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --session-slots 65", "power of two" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --session-slots 4096", "2048" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --session-slots", "needs a value" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --sessions-per-user 0", "65535" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --sessions-per-user 65536", "65535" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --sessions_per_user 5", "--sessions_per_user" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --session-slots 8 --session-slots 8", "twice" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --name a/b", "--name NAME must be a name" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --name a\nb", "--name NAME must be a name" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --comment a\033[2J", "without control characters" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --comment a\xff", "without control characters" },
	{ "mapping add 10.0.0.0/18 1.1.1.0/30 --comment a\xc2\x9b", "without control characters" },
	{ "mapping del", "usage: detnatctl mapping del NAME|IN [OUT]" },
	{ "mapping del 10.0.0.0/33", "NAME|IN must be" },
	{ "mapping set residential", "usage: detnatctl mapping set NAME|IN" },
	{ "mapping set residential --session-slots 64", "`mapping del` and `mapping add` change them" },
	{ "forward", "usage" },
	{ "top -n", "needs a value" },
	{ "top -n 0", "-n N must be a whole number from 1 to 65536" },
	{ "top -n -1", "-1" },
	{ "top -n 5 -n 5", "twice" },
	{ "top -x", "-x" },
	{ "top -", "unexpected" },
	{ "top --by name", "sessions, quota, rate, half-open, destinations or inbound" },
	{ "top 5", "unexpected argument \"5\"; did you mean -n 5?" },
	{ "trace start 10.0.0.3", "trace start: unexpected argument \"10.0.0.3\"; did you mean --in 10.0.0.3?" },
	{ "trace start udp", "did you mean --proto udp?" },
	{ "trace start --in 10.0.0.3 192.0.2.1:80", "did you mean --out 192.0.2.1:80?" },
	{ "pool drain 1.1.1.2 1.1.9.0", "did you mean --to 1.1.9.0?" },
	{ "user move 10.0.0.3 1.1.9.0 10m", "did you mean --drain 10m?" },
	{ "monitor refusals sesions",
	  "peers, leases, grants, attacks, suspects or sessions, or several of them, not \"sesions\"; did you mean "
	  "sessions?" },
	{ "monitor refusals,intefaces", "not \"refusals,intefaces\"; did you mean interfaces?" },
	{ "top --by seesions", "not \"seesions\"; did you mean sessions?" },
	{ "session list --state tcp-estalbished", "not \"tcp-estalbished\"; did you mean tcp-established?" },
	{ "session list --statte udp-active", "session list has no option --statte; did you mean --state?" },
	{ "mapping add --prots-per-host=63", "has no option --prots-per-host; did you mean --ports-per-host?" },
	{ "timeouts set upd=30", "unexpected argument \"upd=30\"; did you mean udp=30?" },
	{ "status --jsno", "status has no option --jsno; did you mean --json?" },
	{ "portmap del", "usage: detnatctl portmap del NAME|tcp|udp|both [OUT:PORT[-PORT]]" },
	{ "portmap del tcp", "tcp needs OUT:PORT[-PORT]; or name the portmap alone" },
	{ "portmap del web 1.1.1.0:443",
	  "before OUT:PORT[-PORT] stands tcp, udp or both, not \"web\"; a name stands alone" },
	{ "portmap del a/b", "NAME|tcp|udp|both must be tcp, udp, both or the name of a portmap" },
	{ "pool drain 1.1.1.2 --portmaps keep", "--portmaps must be move or delete, not \"keep\"" },
	{ "explain", "usage" },
	{ "explain 10.0.0.2:", "10.0.0.2:" },
	{ "explain 10.0.0.2:x", "address" },
	{ "forward 10.0.0", "10.0.0" },
	{ "forward \"\"", "ADDR must be" },
	{ "reverse 1.1.1.1", "1.1.1.1" },
	{ "reverse 1.1.1.1:65536", "65536" },
	{ "interface add eth0 both", "inside or outside" },
	{ "interface add sixteencharacter inside", "sixteencharacter" },
	{ "interface add \"\" inside", "NAME must be" },
	{ "timeouts set", "usage" },
	{ "timeouts set udp=0", "udp=N must be 1 to 604800 seconds" },
	{ "timeouts set udp=604801", "604800" },
	{ "timeouts set udp=18446744073709551617", "604800" },
	{ "timeouts set udp=-1", "-1" },
	{ "timeouts set udp=1.0", "1.0" },
	{ "timeouts set udp=8d", "udp=N must be 1 to 604800 seconds" },
	{ "timeouts set udp=soon", "from 1 to 604800, or a time such as 90s, 10m, 2h or 7d, not \"soon\"" },
	{ "mapping del homes --drain -5m", "--drain SECONDS must be a number of seconds from 0 to 604800" },
	{ "timeouts set udp=", "udp" },
	{ "timeouts set udp", "udp" },
	{ "timeouts set UDP=5", "UDP=5" },
	{ "timeouts set udp=5 udp=5", "twice" },
	{ "session list 10.0.0.2 10.0.0.3", "10.0.0.3" },
	{ "session list --proto sctp", "sctp" },
	{ "session list --all=no", "no value" },
	{ "session list --ext 198.51.100.0/33", "PREFIX[:PORT] must be" },
	{ "session list --ext 198.51.100.1:65536", "PREFIX[:PORT] must be" },
	{ "session list --ext 198.51.100.1:", "PREFIX[:PORT] must be" },
	{ "session list --state open", "--state STATE must be" },
	{ "session list --older 0", "--older SECONDS must be" },
	{ "session flush", "usage: detnatctl session flush ADDR|PREFIX" },
	{ "session flush 10.0.0.2:80", "ADDR|PREFIX must be" },
	{ "session fl 10.0.0.2", "typed in full" },
	{ "session close up 10.0.0.2:1 192.0.2.1:1", "in or out" },
	{ "session close in 10.0.0.2:1", "usage" },
	{ "ipfix set collector=192.0.2.1:0", "collector" },
	{ "ipfix set collector=192.0.2.1:1,udp:192.0.2.1:1", "collector" },
	{ "ipfix set collector=192.0.2.1:1,", "collector" },
	{ "ipfix set path_mtu=127", "128" },
	{ "ipfix set domain_id=4294967296", "4294967295" },
	{ "ipfix set events=quota", "events=quota" },
	{ "who", "usage" },
	{ "who 1.1.1.1:", "1.1.1.1:" },
	{ "who 1.1.1.1 --limit 0", "whole number from 1 to 100000" },
	{ "who 1.1.1.1:1 --at tomorrow", "tomorrow" },
	{ "who 1.1.1.1:1 --at 5m", "or from now such as -5m or +2h, not \"5m\"" },
	{ "who 1.1.1.1:1 --state-dir=", "directory" },
	{ "reload now", "now" },
	/* Commands that are none, and what is said of them. */
	{ "mapping frob",
	  "\"mapping frob\" is not a command: there are mapping add, mapping del, mapping set and mapping list" },
	{ "session 10.0.0.2", "there are session list, session close and session flush" },
	{ "sesion lsit", "\"session list\"" },
	{ "statsu", "\"status\"" },
	{ "interfaces list", "\"interface list\"" },
	{ "frobnicate", "help lists" },
	{ "\"\"", "help lists" },
	{ "-x status", "-x" },
	{ "mapping -x", "mapping" },
	{ "-L", "-L: there are -s SOCKET, -j" },
	{ "stauts", "\"stauts\" is not a command; did you mean \"status\"?" },
	{ "--sokcet", "unknown option --sokcet; did you mean --socket?" },
	{ "users", "\"users\" is not a command; did you mean user show or user move?" },
	{ "pools drain", "\"pool drain\"" },
	{ "bindings", "did you mean binding list?" },
	{ "reload --check", "reload has no option --check; it has --dry-run, --force and --confirm SECONDS" },
	{ "stats --all", "stats has no option --all" },
	{ "session list --dst 192.0.2.1", "--dst; it has --proto" },
	/* Habits. */
	{ "show mapping", "\"show mapping\"; did you mean \"mapping list\"?" },
	{ "show interfaces", "\"interface list\"" },
	{ "show status", "\"status\"" },
	{ "show running-config", "\"config show\"" },
	{ "list ruleset", "\"config show\"" },
	{ "write memory", "\"config save\"" },
	{ "write", "\"config save\"" },
	{ "config write", "\"config save\"" },
	{ "config check", "\"reload --dry-run\"" },
	{ "mapping delete homes", "\"mapping del\"" },
	{ "mapping rm homes", "\"mapping del\"" },
	{ "delete mapping homes", "\"mapping del\"" },
	{ "mapping change homes", "\"mapping set\"" },
	{ "mapping replace 10.0.0.0/18 1.1.1.0/30", "\"mapping add IN OUT --replace\"" },
	{ "session delete 10.0.0.2", "\"session flush ADDR\"" },
	{ "flush sessions", "\"session flush\"" },
	{ "session count", "\"session list --count\"" },
	{ "conntrack", "\"session list\"" },
	{ "link show", "\"interface list\"" },
	{ "commit", "\"reload\"" },
	{ "tcpdump", "\"trace start\"" },
	{ "show",
	  "\"show\" is not a command, as the noun comes first: mapping list, pool list, portmap list, config show, " },
	{ "list", "trace show or peer list; stats, status and top have no noun" },
	{ "add", "the noun comes first: mapping add, portmap add or interface add" },
	{ "delete", "the noun comes first: mapping del, portmap del or interface del" },
	{ "kill", "mapping del" },
	{ "show nonsense", "the noun comes first" },
	{ "list", "the noun comes first" },
	/* Only what reads is abbreviated. */
	{ "mapping a 10.0.0.0/18 1.1.1.0/30", "\"mapping add\"? Commands that change anything are typed in full" },
	{ "map add 10.0.0.0/18 1.1.1.0/30", "\"mapping add\"? Commands that change" },
	{ "session c in 10.0.0.2:1 192.0.2.1:1", "\"session close\"? Commands that change" },
	{ "relo", "\"reload\"? Commands that change" },
	{ "re", "\"re\" is ambiguous: reverse, request or reload" },
	{ "st", "\"st\" is ambiguous: stats or status" },
	{ "i ls", "\"i ls\" is ambiguous: interface list, ipfix show or import" },
	{ "trace s", "\"trace s\" is ambiguous: trace start, trace show or trace stop" },
	{ "trace st", "\"trace st\" is ambiguous: trace start or trace stop" },
	{ "forward show", "show" },
	{ "user", "usage: detnatctl user show ADDR" },
	{ "reload show", "show" },
};

/* What may be typed for a command that only reads. */
static const struct {
	const char *typed, *name;
} abbreviated[] = {
	{ "mapping", "mapping list" },
	{ "mapping list", "mapping list" },
	{ "mapping ls", "mapping list" },
	{ "mapping show", "mapping list" },
	{ "mapping l", "mapping list" },
	{ "map li", "mapping list" },
	{ "map", "mapping list" },
	{ "sess li", "session list" },
	{ "session --proto tcp", "session list" },
	{ "user ls 10.0.0.2", "user show" },
	{ "u s 10.0.0.2", "user show" },
	{ "timeouts list", "timeouts show" },
	{ "timeouts", "timeouts show" },
	{ "ipfix", "ipfix show" },
	{ "interface sh", "interface list" },
	{ "trace", "trace show" },
	{ "tr sh", "trace show" },
	{ "history", "history list" },
	{ "hi v", "history verify" },
	{ "stats show", "stats" },
	{ "statu", "status" },
	{ "fo 10.0.0.2", "forward" },
	{ "w -", "who" },
	{ "che", "check" },
	{ "vers", "version" },
	{ "help map", "help" },
};

Test(cli_arguments, times_from_now_are_sent_as_what_they_mean)
{
	static const char *const typed[] = { "-60", "-1m", "+2h", "now" };
	static const int64_t from_now[] = { -60, -60, 7200, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(typed); i++) {
		char command[64], wanted[128], text[TIME_TEXT];
		struct error err = { "" };
		int64_t before, t = 0;
		const char *args;

		snprintf(command, sizeof(command), "who 1.1.1.1:1 --at %s", typed[i]);
		before = time(NULL);
		args = arguments_of(command, &err);
		cr_assert(args, "%s", err.text);
		/* The second may have changed meanwhile. */
		for (t = before; t <= before + 5; t++) {
			snprintf(wanted, sizeof(wanted), "{\"endpoint\":\"1.1.1.1:1\",\"at\":\"%s\"}",
				 time_format(t + from_now[i], text));
			if (!strcmp(args, wanted))
				break;
		}
		cr_expect_leq(t, before + 5, "%s: %s", typed[i], args);
	}
}

Test(cli_arguments, commands_that_only_read_can_be_abbreviated)
{
	for (size_t i = 0; i < ARRAY_SIZE(abbreviated); i++) {
		char copy[256], *words[MAX_WORDS];
		unsigned n = split(abbreviated[i].typed, copy, words), n_words;
		struct error err = { "" };
		const struct command *c = command_find(words, n, &n_words, &err);

		cr_expect(c && !strcmp(command_name(c), abbreviated[i].name), "%s: %s %s", abbreviated[i].typed,
			  c ? command_name(c) : "", err.text);
		cr_expect(arguments_of(abbreviated[i].typed, &err), "%s: %s", abbreviated[i].typed, err.text);
	}
}

Test(cli_arguments, no_beginning_of_a_command_that_changes_anything_is_taken_for_it)
{
	const struct command *c;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		const char *verb = strchr(command_name(c), ' ');

		for (size_t n = 1; c->verb->changes && n < strlen(command_name(c)); n++) {
			char copy[64], *words[] = { copy, NULL, NULL };
			struct error err = { "" };
			unsigned n_words;

			snprintf(copy, sizeof(copy), "%.*s", (int)n, command_name(c));
			if (verb && n > (size_t)(verb - command_name(c)) + 1) {
				copy[verb - command_name(c)] = 0;
				words[1] = &copy[verb - command_name(c) + 1];
			} else if (verb && n >= (size_t)(verb - command_name(c))) {
				continue;
			}
			cr_expect_neq(command_find(words, words[1] ? 2 : 1, &n_words, &err), c, "%.*s", (int)n,
				      command_name(c));
		}
	}
}

Test(cli_arguments, that_make_no_sense_are_refused_with_a_reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct error err = { "" };
		const char *args = arguments_of(refused[i].typed, &err);

		cr_expect(!args && strstr(err.text, refused[i].reason), "%s: %s %s", refused[i].typed, args ? args : "",
			  err.text);
	}
}

Test(cli_arguments, words_of_any_length_are_refused_in_bounds)
{
	static char word[5000];
	char *words[] = { word, word, NULL };
	struct error err = { "" };
	unsigned n;

	memset(word, 'x', sizeof(word) - 1);
	cr_expect_null(command_find(words, 2, &n, &err));
	words[0] = "session";
	cr_expect_null(command_find(words, 2, &n, &err));
	words[0] = "timeouts";
	words[1] = "set";
	cr_assert(command_find(words, 2, &n, &err));
	words[0] = word;
	for (const char *first = "=-x"; *first; first++) {
		word[0] = *first;
		cr_expect_null(
			command_arguments(command_find((char *[]){ "timeouts", "set" }, 2, &n, &err), words, 1, &err));
	}
}

Test(cli_arguments, every_verb_has_one_command_and_its_help_is_complete)
{
	unsigned seen[N_VERBS] = { 0 };
	const struct command *c;

	for (unsigned i = 0; (c = command_at(i)); i++) {
		char copy[256], *words[MAX_WORDS], *text = NULL;
		unsigned n = split(c->verb->example, copy, words), n_words;
		struct error err = { "" };
		size_t size;
		FILE *f = open_memstream(&text, &size);

		seen[c->verb - verb_specs]++;
		cr_expect_eq(command_find(words, n, &n_words, &err), c, "the example of %s", command_name(c));
		cr_expect(arguments_of(c->verb->example, &err), "%s: %s", c->verb->example, err.text);
		/* A list by columns, or by elements, or something else. */
		cr_expect_eq(!!c->view->columns + !!c->view->show_element +
				     (c->view->show || c->view->run || c->view->converse),
			     1, "%s", command_name(c));
		cr_expect_eq(!c->view->empty, c->view->show || c->view->run || c->view->converse || c->view->lines,
			     "%s", command_name(c));
		command_help(f, c);
		fclose(f);
		for (const struct arg_spec *a = c->verb->args; a->kind; a++) {
			char option[64];

			snprintf(option, sizeof(option), "%s%s", a->name[1] ? "--" : "-", a->name);
			for (char *p = option; *p; p++)
				*p = *p == '_' ? '-' : *p;
			if (a->style == ARG_OPTION && !a->refused)
				cr_expect(strstr(text, option), "%s: %s", command_name(c), option);
			if (a->style == ARG_ASSIGNMENT)
				cr_expect(strstr(text, a->name), "%s: %s", command_name(c), a->name);
		}
		free(text);
	}
	for (int v = 0; v < N_VERBS; v++)
		cr_expect_eq(seen[v], 1, "%s", verb_specs[v].name);
}
