// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sentences that say of the ports or the addresses of a text that they are not those that were used: "our NAT changed
 * source ports", "ports are those of our load balancer", "the port is not the one that your customer used", "addresses
 * are anonymised". What the provider's own NAT does is no such thing, nor what became of the target's.
 */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_doubt.h"

/* A clause of more words is cut. */
#define MOST_WORDS 40U

/* So many words may be between a port and what is said of it. */
#define FAR_WORDS 8U

enum {
	VERB = 1,   /* what makes a number stand for something else */
	WEAK = 2,   /* it may have been done to something else, as to the port of a service */
	HIDES = 4,  /* it is done to addresses, too */
	DEVICE = 8, /* what lies between a source and who logs it */
	IS = 16,
	THAT = 32,
	TRUE = 64,
	SWAP = 128, /* what is the source's for what is the target's */
	KEEP = 256, /* what was not done to what is another's now */
	SNAT = 512, /* "source NAT", in one word, */
	NAT = 1024, /* or behind "source" */
	SOURCE = 2048,
	OWN = 4096, /* a device's, beside it */
	FORWARDED = 8192,
	FOR = 16384,
};

/* In the order of their octets. */
static const struct word words[] = {
	{ "actual", TRUE },
	{ "allocates", VERB | WEAK },
	{ "altered", VERB | WEAK },
	{ "alters", VERB | WEAK },
	{ "andersom", SWAP },
	{ "andrad*", VERB | WEAK },
	{ "anonimi*", VERB | HIDES },
	{ "anonymi*", VERB | HIDES },
	{ "appartengono", IS },
	{ "appartiennent", IS },
	{ "are", IS },
	{ "asigna", VERB | WEAK },
	{ "assegna", VERB | WEAK },
	{ "assigns", VERB | WEAK },
	{ "atribui", VERB | WEAK },
	{ "attribue", VERB | WEAK },
	{ "balanceador*", DEVICE },
	{ "balancer", DEVICE },
	{ "balancers", DEVICE },
	{ "behouden", KEEP },
	{ "beibehalten", KEEP },
	{ "belong", IS },
	{ "belongs", IS },
	{ "bewaard", KEEP },
	{ "bewahrt", KEEP },
	{ "bilanciator*", DEVICE },
	{ "cambi*", VERB | WEAK },
	{ "cdn", DEVICE },
	{ "celui", THAT },
	{ "ceux", THAT },
	{ "cgn", DEVICE },
	{ "cgnat", DEVICE },
	{ "changed", VERB | WEAK },
	{ "changes", VERB | WEAK },
	{ "changing", VERB | WEAK },
	{ "chooses", VERB | WEAK },
	{ "cloudflare", DEVICE },
	{ "come", IS },
	{ "comes", IS },
	{ "conservad*", KEEP },
	{ "conserve*", KEEP },
	{ "der", THAT },
	{ "die", THAT },
	{ "echte*", TRUE },
	{ "eigen", OWN },
	{ "eigener", OWN },
	{ "el", THAT },
	{ "encrypted", VERB },
	{ "enmascarad*", VERB },
	{ "envers", SWAP },
	{ "equilibreur*", DEVICE },
	{ "erhalten", KEEP },
	{ "ersetzt", VERB | WEAK },
	{ "es", IS },
	{ "est", IS },
	{ "exchanged", SWAP },
	{ "exit", DEVICE },
	{ "fake", VERB },
	{ "faked", VERB },
	{ "ficti*", VERB },
	{ "firewall*", DEVICE },
	{ "for", FOR },
	{ "forwarded", DEVICE | FORWARDED },
	{ "from", THAT },
	{ "gateway*", DEVICE },
	{ "geandert", VERB | WEAK },
	{ "geanonimiseerd", VERB | HIDES },
	{ "gehoren", IS },
	{ "gewijzigd", VERB | WEAK },
	{ "haproxy", DEVICE },
	{ "hash", VERB },
	{ "hashed", VERB },
	{ "herschreven", VERB },
	{ "herum", SWAP },
	{ "horen", IS },
	{ "ihr", OWN },
	{ "intercambi*", SWAP },
	{ "interchanged", SWAP },
	{ "invers*", SWAP },
	{ "inverted", SWAP },
	{ "inverti*", SWAP },
	{ "is", IS },
	{ "ist", IS },
	{ "its", OWN },
	{ "jene", THAT },
	{ "keep*", KEEP },
	{ "kept", KEEP },
	{ "kiest", VERB | WEAK },
	{ "komen", IS },
	{ "las", THAT },
	{ "lb", DEVICE },
	{ "loadbalancer*", DEVICE },
	{ "los", THAT },
	{ "mantem", KEEP },
	{ "mantenut*", KEEP },
	{ "mantid*", KEEP },
	{ "mantien*", KEEP },
	{ "mascherat*", VERB },
	{ "masked", VERB },
	{ "maskiert", VERB },
	{ "masque*", VERB },
	{ "masquerad*", VERB | DEVICE },
	{ "middlebox*", DEVICE },
	{ "modif*", VERB | WEAK },
	{ "nat", DEVICE | NAT },
	{ "natting", DEVICE },
	{ "obfuscat*", VERB | HIDES },
	{ "obscured", VERB },
	{ "odwrotnie", SWAP },
	{ "of", THAT },
	{ "omgewisseld", SWAP },
	{ "one", THAT | TRUE },
	{ "original*", TRUE },
	{ "origine", TRUE },
	{ "own", OWN },
	{ "pat", DEVICE },
	{ "pertenecen", IS },
	{ "picks", VERB | WEAK },
	{ "placeholder*", VERB },
	{ "platzhalter*", VERB },
	{ "pochodza", IS },
	{ "preservad*", KEEP },
	{ "preserve*", KEEP },
	{ "propio", OWN },
	{ "propre", OWN },
	{ "proprio", OWN },
	{ "provengono", IS },
	{ "provienen", IS },
	{ "proviennent", IS },
	{ "proxies", DEVICE },
	{ "proxy", DEVICE },
	{ "przepisan*", VERB },
	{ "przydziela", VERB | WEAK },
	{ "pseudonymi*", VERB | HIDES },
	{ "quelli", THAT },
	{ "quello", THAT },
	{ "randomi*", VERB },
	{ "real", TRUE },
	{ "redacted", VERB },
	{ "reecrit*", VERB },
	{ "reel*", TRUE },
	{ "reescrit*", VERB },
	{ "relay", DEVICE },
	{ "remap*", VERB },
	{ "renumbered", VERB },
	{ "repartiteur*", DEVICE },
	{ "replaced", VERB | WEAK },
	{ "replaces", VERB | WEAK },
	{ "retain*", KEEP },
	{ "reverse", DEVICE },
	{ "reversed", SWAP },
	{ "reves", SWAP },
	{ "rewrites", VERB },
	{ "rewritten", VERB },
	{ "rewrote", VERB },
	{ "riscritt*", VERB },
	{ "router*", DEVICE },
	{ "rovescio", SWAP },
	{ "sao", IS },
	{ "scambiat*", SWAP },
	{ "scrambl*", VERB | HIDES },
	{ "shuffl*", VERB },
	{ "sind", IS },
	{ "snat", DEVICE | SNAT },
	{ "son", IS },
	{ "sono", IS },
	{ "sont", IS },
	{ "source", SOURCE },
	{ "stammen", IS },
	{ "swap*", SWAP },
	{ "synthetic*", VERB },
	{ "synthetisch*", VERB },
	{ "tatsachlich*", TRUE },
	{ "that", THAT },
	{ "the", THAT },
	{ "this", THAT },
	{ "those", THAT },
	{ "tillhor", IS },
	{ "tokeni*", VERB },
	{ "tradott*", VERB },
	{ "traducid*", VERB },
	{ "traduit*", VERB },
	{ "translat*", VERB },
	{ "trocad*", SWAP },
	{ "trocou", SWAP },
	{ "true", TRUE },
	{ "tunnel", DEVICE },
	{ "uberschrieben", VERB },
	{ "ubersetzt", VERB },
	{ "umgeschrieben", VERB },
	{ "umgesetzt", VERB },
	{ "ursprunglich*", TRUE },
	{ "verandern", VERB | WEAK },
	{ "verandert", VERB | WEAK },
	{ "verdader*", TRUE },
	{ "verfalscht", VERB },
	{ "vergibt", VERB | WEAK },
	{ "verschleiert", VERB | HIDES },
	{ "vertausch*", SWAP },
	{ "verwisseld", SWAP },
	{ "viennent", IS },
	{ "vom", THAT },
	{ "von", THAT },
	{ "vpn", DEVICE },
	{ "war", IS },
	{ "waren", IS },
	{ "was", IS },
	{ "were", IS },
	{ "werkelijke", TRUE },
	{ "wijzigt", VERB | WEAK },
	{ "zachow*", KEEP },
	{ "zamaskowan*", VERB },
	{ "zamienion*", SWAP },
	{ "zijn", IS },
	{ "zmieni*", VERB | WEAK },
	{ "анонимизир*", VERB | HIDES },
	{ "измен*", VERB | WEAK },
	{ "назначает", VERB | WEAK },
	{ "наоборот", SWAP },
	{ "перепутан*", SWAP },
	{ "подмен*", VERB },
	{ "сохран*", KEEP },
};
static struct word_table known = { .words = words, .n = ARRAY_SIZE(words) };

/* A clause without any of these says nothing. */
#define SAYS (VERB | IS | SWAP | KEEP | SNAT | NAT | FORWARDED)

struct clause_word {
	const char *at;
	unsigned label; /* word_meaning() */
	unsigned is;
};

struct account {
	struct clause_word words[MOST_WORDS];
	unsigned n;
	unsigned is;		     /* of all words */
	unsigned doubts[MOST_WORDS]; /* doubt_meaning() */
	bool not, doubtful;
};

static void take_word(struct account *a, const char *at, const char *folded)
{
	unsigned is = word_find(&known, folded);

	a->is |= is;
	a->words[a->n++] = (struct clause_word){ .at = at, .is = is };
}

/* What else its words are, if it may say something at all. */
static bool read_rest(struct account *a, const char *end)
{
	char folded[WORD_TEXT];

	for (unsigned i = 0; i < a->n && a->is & SAYS; i++) {
		struct clause_word *w = &a->words[i];

		word_fold(w->at, end, folded);
		w->label = word_meaning(folded);
		/* Of Italian; in French it is no port. */
		w->label |= !strcmp(folded, "porte") ? WORD_PORT : 0;
		w->is |= w->label & WORD_SOURCE ? TRUE : 0;
		a->doubts[i] = doubt_meaning(folded);
		/* "The wrong way round" */
		if (i && !strcmp(folded, "way") && a->doubts[i - 1] & IS_FALSE)
			a->is |= SWAP;
		a->not |= (a->doubts[i] & IS_NOT) != 0;
		a->doubtful |= (a->doubts[i] & (IS_IF | IS_PLEASE | IS_ASKED)) != 0;
	}
	return a->is & SAYS;
}

/* Whether a port or an address is the target's, by itself or by the word before it. */
static bool is_targets(const struct account *a, unsigned i)
{
	unsigned role = (a->words[i].label | (i ? a->words[i - 1].label : 0)) & (WORD_SOURCE | WORD_TARGET);

	return role == WORD_TARGET;
}

/* Whether a device is the provider's: "your NAT". */
static bool is_providers(const struct account *a, unsigned i)
{
	unsigned first = i > 3 ? i - 3 : 0;

	for (; first < i; first++)
		if (a->words[first].label & WORD_SOURCE)
			return true;
	return false;
}

static bool has_device(const struct account *a)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->words[i].is & DEVICE && !is_providers(a, i))
			return true;
	return false;
}

/* Whether a verb says that something became of a port or an address. */
static bool is_changed(const struct account *a, unsigned verb, unsigned noun)
{
	const struct clause_word *v = &a->words[verb], *n = &a->words[noun];
	unsigned apart = verb > noun ? verb - noun : noun - verb;
	bool source = (n->label | (noun ? a->words[noun - 1].label : 0)) & WORD_SOURCE;

	if (!(v->is & VERB) || a->not || a->doubtful || apart > FAR_WORDS || is_targets(a, noun))
		return false;
	if (!(n->label & WORD_PORT))
		return n->label & WORD_ADDR && v->is & HIDES;
	for (unsigned i = 0; i < a->n; i++)
		if (a->words[i].is & DEVICE && is_providers(a, i))
			return false;
	return !(v->is & WEAK) || source || has_device(a);
}

/* Whether "is" behind a port makes it that of a device, or not that of the source. */
static bool is_of_another(const struct account *a, unsigned port)
{
	unsigned i = port + 1, last = i + FAR_WORDS < a->n ? i + FAR_WORDS : a->n;
	bool not = false;

	if (is_targets(a, port))
		return false;
	while (i < last && !(a->words[i].is & IS))
		i++;
	last = i + FAR_WORDS < a->n ? i + FAR_WORDS : a->n;
	for (i++; i < last && (a->doubts[i] & IS_NOT || a->words[i].label == WORD_LINK); i++)
		not |= (a->doubts[i] & IS_NOT) != 0;
	/* "Not that of the source", "n'est pas celui d'origine" */
	for (unsigned k = 0; not &&k < 3 && i < last && a->words[i].is & THAT && !(a->words[i].is & TRUE); k++)
		i += i + 1 < last && a->words[i + 1].is & (THAT | TRUE) ? 1 : 2;
	if (not )
		return i < last && a->words[i].is & TRUE;
	for (bool that = false; i < last; i++) {
		if (that && a->words[i].is & (DEVICE | VERB) && !(a->words[i].is & WEAK))
			return !is_providers(a, i);
		if (a->words[i].is & OWN && has_device(a))
			return true;
		that |= (a->words[i].is & THAT) != 0;
		if (!that)
			return false;
	}
	return false;
}

/* Whether something was done to a port as the source's: "source ports are not preserved". */
static bool is_not_kept(const struct account *a, unsigned port)
{
	unsigned first = port > FAR_WORDS ? port - FAR_WORDS : 0;

	if (is_targets(a, port) || a->doubtful)
		return false;
	for (unsigned i = first; i < a->n && i <= port + FAR_WORDS; i++)
		if (a->words[i].is & KEEP)
			return true;
	return false;
}

/* "Source NAT", which is not the provider's, in a clause that speaks of ports. */
static bool is_source_nat(const struct account *a)
{
	bool port = false, nat = false;

	if (a->not || a->doubtful)
		return false;
	for (unsigned i = 0; i < a->n; i++) {
		bool two = i && a->words[i].is & NAT && a->words[i - 1].is & SOURCE;
		unsigned at = two ? i - 1 : i, first = at > 4 ? at - 4 : 0;

		port |= (a->words[i].label & WORD_PORT) != 0;
		if (!two && !(a->words[i].is & SNAT))
			continue;
		nat = true;
		for (; first < at; first++)
			nat &= !(a->words[first].label & WORD_SOURCE);
	}
	return port && nat;
}

/* "The address is that of X-Forwarded-For, the port of the connection": what forwards has a port of its own. */
static bool is_forwarded_for(const struct account *a)
{
	bool port = false, addr = false, forwarded = false;

	for (unsigned i = 0; i < a->n; i++) {
		port |= (a->words[i].label & WORD_PORT) != 0;
		addr |= (a->words[i].label & WORD_ADDR) != 0;
		forwarded |= a->words[i].is & FORWARDED && i + 1 < a->n && a->words[i + 1].is & FOR;
	}
	return port && addr && forwarded && !a->not ;
}

static bool says_rewritten(struct account *a, const char *end)
{
	unsigned swapped = 0;

	if (!read_rest(a, end))
		return false;
	for (unsigned i = 0; a->is & SWAP && i < a->n; i++)
		swapped |= a->words[i].label;
	if (swapped & WORD_SOURCE && swapped & WORD_TARGET && !a->not &&!a->doubtful)
		return true;
	if (is_source_nat(a) || is_forwarded_for(a))
		return true;
	for (unsigned i = 0; i < a->n; i++) {
		if (!(a->words[i].label & (WORD_PORT | WORD_ADDR)))
			continue;
		if (a->words[i].label & WORD_PORT && a->not &&is_not_kept(a, i))
			return true;
		for (unsigned k = 0; k < a->n; k++)
			if (is_changed(a, k, i))
				return true;
		if (a->words[i].label & WORD_PORT && is_of_another(a, i))
			return true;
	}
	return false;
}

bool doubt_rewritten(const char *begin, const char *end)
{
	struct account a = { 0 };
	char folded[WORD_TEXT];

	for (const char *p = begin; p < end;) {
		bool ends = octet_is_of(*p, "=:|{}[]<>\"\t"), word = word_octet(*p);

		/* What is no prose says nothing. */
		if (ends || (word && a.n == MOST_WORDS)) {
			if (says_rewritten(&a, end))
				return true;
			a.n = a.is = 0;
			a.not = a.doubtful = false;
		}
		if (word) {
			const char *at = p;

			p = word_fold(at, end, folded);
			take_word(&a, at, folded);
		} else {
			p++;
		}
	}
	return says_rewritten(&a, end);
}
