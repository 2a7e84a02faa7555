// SPDX-License-Identifier: BSD-2-Clause
/* What the words before a value say about it, in the languages that complaints are written in. */
#include "complaints/complaint_words.h"

#include <ctype.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

/* Latin letters with marks, U+00C0 to U+017F, without them; blank: two letters or none. */
static const char plain[] = "aaaaaaaceeeeiiiidnooooo ouuuuy saaaaaaaceeeeiiiidnooooo ouuuuy y"
			    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllllllln"
			    "nnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

bool word_octet(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* A letter of UTF-8 of two octets, folded: its octets, at most two. */
static unsigned fold_pair(unsigned char first, unsigned char second, char *ret)
{
	unsigned code = (first & 31U) << 6 | (second & 63U);

	if (code >= 0xc0 && code < 0xc0 + sizeof(plain) - 1 && plain[code - 0xc0] != ' ')
		return *ret = plain[code - 0xc0], 1;
	if (code >= 0x410 && code <= 0x42f)
		code += 0x20;
	if (code == 0x401 || code == 0x451)
		code = 0x435;
	ret[0] = (char)(0xc0 | code >> 6);
	ret[1] = (char)(0x80 | (code & 63U));
	return 2;
}

const char *word_fold(const char *at, const char *end, char ret[static WORD_TEXT])
{
	unsigned n = 0;
	bool lower = false;

	for (; at < end && word_octet(*at); at++) {
		unsigned char c = (unsigned char)*at;

		/* "sourcePort" is two words, and so is "SourceIP". */
		if (n && lower && isupper(c))
			break;
		lower = islower(c) || isdigit(c);
		if (n + 3 >= WORD_TEXT)
			continue;
		if ((c & 0xe0) == 0xc0 && at + 1 < end) {
			n += fold_pair(c, (unsigned char)at[1], ret + n);
			at++;
		} else {
			ret[n++] = (char)tolower(c);
		}
	}
	ret[n] = '\0';
	return at;
}

#define S WORD_SOURCE
#define X WORD_TARGET
#define P WORD_PORT
#define A WORD_ADDR
#define T WORD_TIME
#define E WORD_EVENT
#define O WORD_OTHER
#define N WORD_END
#define L WORD_LINK
#define F WORD_FROM
#define B WORD_TO
#define R WORD_PROTO
#define U WORD_UNLESS
#define D WORD_LATE

/* A star: any word that begins so. */
static const struct {
	const char *text;
	unsigned is;
} words[] = {
	/* who came */
	{ "source*", S | E }, { "src", S }, { "src*", S }, { "srcip", S | A }, { "sa", S | A }, { "other*", S }, { "gegenseite", S },
	{ "gegenstelle", S }, { "autre", S }, { "otra", S }, { "outra", S }, { "altra", S }, { "srcport", S | P },
	{ "attacker*", S }, { "attacking", S }, { "offend*", S }, { "client*", S }, { "remote", S }, { "rhost", S | A },
	{ "orig*", S }, { "peer*", S }, { "visitor*", S }, { "customer*", S }, { "subscriber*", S }, { "your", S },
	{ "infected", S }, { "intruder*", S }, { "culprit*", S }, { "suspect*", S }, { "theirs", S }, { "his", S },
	{ "their", S }, { "saddr", S | A }, { "sport", S | P }, { "spt", S | P }, { "sp", S | P }, { "rip", S | A },
	{ "rport", S | P }, { "cport", S | P }, { "cip", S | A }, { "caddr", S | A }, { "s", S }, { "sourceip", S | A },
	{ "sourceport", S | P }, { "infring*", S | E }, { "caller", S }, { "sender", S }, { "bot", S },
	{ "quell*", S }, { "angreifer*", S }, { "absender*", S }, { "urspr*", S }, { "kunde*", S }, { "tater*", S },
	{ "bestell*", S }, { "nutzer*", S }, { "infiz*", S }, { "ihr", S }, { "ihre*", S }, { "quellip", S | A },
	{ "quellport*", S | P }, { "abonn*", S }, { "attaquant*", S }, { "emetteur*", S }, { "votre", S }, { "vos", S },
	{ "atacante*", S }, { "agresor*", S }, { "cliente*", S }, { "usted*", S }, { "sorgente", S }, { "mittente", S },
	{ "zrodl*", S }, { "sprawc*", S }, { "nadawc*", S }, { "bron*", S }, { "источник*", S }, { "отправител*", S },
	{ "атакующ*", S }, { "клиент*", S }, { "абонент*", S }, { "вашег*", S }, { "вашей", S }, { "送信元*", S },
	{ "発信元*", S },
	/* whom he came to */
	{ "dest*", X }, { "dst", X }, { "dst*", X }, { "dstip", X | A }, { "dstport", X | P }, { "destport", X | P },
	{ "target*", X }, { "victim*", X }, { "our", X }, { "ours", X }, { "my", X }, { "own", X }, { "eigen*", X }, { "mine", X }, { "server*", X },
	{ "attacked", X }, { "daddr", X | A }, { "da", X | A }, { "dport", X | P }, { "dpt", X | P }, { "dp", X | P }, { "d", X },
	{ "lip", X | A }, { "lport", X | P }, { "laddr", X | A }, { "local*", X }, { "listen*", X }, { "backend*", X },
	{ "upstream*", X }, { "sinkhole*", X }, { "cc", X }, { "c2", X }, { "resp", X }, { "responder", X },
	{ "service", X }, { "sensor*", X }, { "honeypot*", X }, { "recipient*", X }, { "receiver*", X }, { "dip", X | A },
	{ "hit", X }, { "ziel*", X }, { "zielport*", X | P }, { "zielip", X | A }, { "unser*", X }, { "dienst*", X },
	{ "angegriff*", X }, { "opfer*", X }, { "cible*", X }, { "attaque", X | E }, { "attaquee*", X },
	{ "notre", X }, { "nos", X }, { "serveur*", X }, { "nuestr*", X }, { "atacad*", X }, { "servid*", X },
	{ "servicio", X }, { "nosso*", X }, { "nossa*", X }, { "alvo*", X }, { "nostr*", X }, { "vittima", X },
	{ "objetivo", X }, { "docelow*", X }, { "cel", X }, { "ofiar*", X }, { "serwer*", X }, { "nasz*", X },
	{ "назначени*", X }, { "цел*", X }, { "сервер*", X }, { "жертв*", X }, { "потерпевш*", X }, { "наш*", X },
	{ "получател*", X }, { "атакованн*", X }, { "atakowan*", X }, { "宛先*", X }, { "送信先*", X },
	/* what it is */
	{ "port", P }, { "ports", P }, { "portnumm*", P }, { "portnumber", P }, { "porto", P }, { "puerto*", P },
	{ "porta", P }, { "порт*", P }, { "p", P }, { "ip", A }, { "ipv4", A }, { "addr*", A }, { "adres*", A },
	{ "direccion*", A }, { "endereco*", A }, { "indirizzo", A }, { "адрес*", A }, { "h", A }, { "ipaddress", A },
	{ "time*", T }, { "date*", T }, { "zeit*", T }, { "uhrzeit", T }, { "datum", T }, { "hora*", T },
	{ "heure*", T }, { "ora", T }, { "ore", T }, { "czas*", T }, { "godz*", T }, { "data", T }, { "fecha*", T },
	{ "врем*", T }, { "дата*", T }, { "when", T }, { "at", T }, { "ts", T }, { "moment*", T }, { "epoch*", T },
	{ "clock", T }, { "second*", T }, { "segund*", T }, { "sekund*", T }, { "minut*", T }, { "stamp", T }, { "t", T | E }, { "eventtime", T | E }, { "realtime", T }, { "日時", T },
	{ "発生日時", T | E }, { "報告日時", T | O }, { "proto*", R }, { "pr", R }, { "tcp", R }, { "udp", R }, { "transport", R }, { "протокол*", R },
	/* when it was */
	{ "incident*", E }, { "event*", E }, { "attack*", E }, { "seen", E }, { "first*", E | T }, { "start*", E | T },
	{ "begin*", E | T }, { "began", E | T }, { "occur*", E | T }, { "ocurr*", E | T }, { "ocorr*", E | T }, { "accadut*", E | T },
	{ "survenu*", E | T }, { "ereignet*", E | T }, { "произош*", E | T }, { "wydarzy*", E | T }, { "took", E }, { "happen*", E }, { "detect*", D | T }, { "detecc*", D | T }, { "entdeck*", D | T }, { "festgestell*", D | T },
	{ "rilev*", D | T }, { "wykry*", D | T }, { "обнаруж*", D | T },
	{ "observed", E | T }, { "connection*", E }, { "session*", E }, { "opened", E | T }, { "login*", E },
	{ "arriv*", E | T }, { "angriff*", E }, { "vorfall*", E }, { "tatzeit*", E | T }, { "zugriff*", E },
	{ "beginn*", E | T }, { "erste*", E | T }, { "evenement*", E }, { "faits", E }, { "connexion*", E },
	{ "debut", E | T }, { "ataque*", E }, { "suceso*", E }, { "hecho*", E }, { "inicio*", E | T }, { "conexi*", E },
	{ "acces*", E }, { "evento*", E }, { "fatto", E }, { "inizio", E | T }, { "zdarz*", E }, { "событи*", E },
	{ "инцидент*", E }, { "атак*", E }, { "начал*", E | T }, { "発生*", E },
	/* when something else was */
	{ "report*", O }, { "receiv*", O }, { "generat*", O }, { "observation*", O }, { "creat*", O }, { "ingest*", O },
	{ "sent", O }, { "publish*", O }, { "updat*", O }, { "letter*", O }, { "ticket*", O }, { "forward*", O },
	{ "listed", O }, { "listing*", O }, { "expire*", O }, { "check*", O }, { "allocat*", O }, { "notif*", O },
	{ "issued", O }, { "print*", O }, { "export*", O }, { "write", O }, { "written", O }, { "postmark*", O }, { "deadline", O }, { "until", O },
	{ "submi*", O }, { "complain*", O }, { "process*", O }, { "regist*", O }, { "notice*", O }, { "gemeldet", O },
	{ "meld*", O }, { "anzeige*", O }, { "erstell*", O }, { "eingang*", O }, { "erstattet", O }, { "signal*", O },
	{ "plainte*", O }, { "depos*", O }, { "recu", O }, { "denunc*", O }, { "recib*", O }, { "recebid*", O },
	{ "ricev*", O }, { "querela", O }, { "comunica*", O }, { "particip*", O }, { "presentat*", O },
	{ "segnala*", O }, { "zglosz*", O }, { "przyj*", O }, { "поступ*", O }, { "заявл*", O }, { "сообщ*", O },
	{ "обращен*", O }, { "報告*", O }, { "resolved", O }, { "answered", O }, { "wrote", O }, { "schrieb", O },
	{ "end", N }, { "te", N | T }, { "ended", N }, { "ends", N }, { "last*", N }, { "finish*", N }, { "closed", N }, { "stop*", N },
	{ "ende", N }, { "letzte*", N }, { "fin", N }, { "dernier*", N }, { "ultim*", N }, { "teardown", N },
	{ "конец", N }, { "окончан*", N }, { "koniec", N },
	/* what joins them */
	{ "and", L }, { "und", L }, { "et", L }, { "y", L }, { "e", L }, { "i", L }, { "и", L }, { "with", L },
	{ "mit", L }, { "avec", L }, { "con", L }, { "com", L }, { "the", L }, { "le", L }, { "la", L }, { "el", L },
	{ "o", L }, { "a", L }, { "of", L }, { "de", L }, { "du", L }, { "des", L }, { "do", L }, { "di", L },
	{ "del", L }, { "side", L }, { "party", L }, { "parte", L }, { "partie", L }, { "logic*", L }, { "seite", L }, { "cote", L }, { "lado", L }, { "lato", L },
	{ "сторон*", L }, { "stron*", L }, { "number", L }, { "no", L }, { "nr", L }, { "is", L }, { "was", L }, { "war", L }, { "ist", L },
	{ "using", L }, { "z", L }, { "der", L }, { "den", L }, { "via", L }, { "from", F }, { "von", F },
	{ "desde", F }, { "depuis", F }, { "dal", F }, { "dall", F }, { "to", B }, { "nach", B }, { "hacia", B },
	{ "vers", B }, { "verso", B }, { "para", B }, { "against", B }, { "gegen", B }, { "on", B }, { "auf", B },
	{ "an", B }, { "am", B }, { "sur", B }, { "en", B }, { "na", B }, { "no", B }, { "at", B }, { "su", B },
	{ "на", B }, { "al", B }, { "than", U }, { "que", U }, { "als", U }, { "ahead", U }, { "behind", U }, { "not", U },
	{ "nicht", U }, { "pas", U }, { "nie", U }, { "не", U }, { "unlike", U },
};

#undef S
#undef X
#undef P
#undef A
#undef T
#undef E
#undef O
#undef N
#undef L
#undef F
#undef B
#undef R
#undef U
#undef D

#define N_WORDS (sizeof(words) / sizeof(*words))
#define BUCKETS 1024U

/* The words by their first two octets: numbers from 1, 0 ends a list. */
static struct {
	uint16_t first[BUCKETS], next[N_WORDS + 1];
} index_of_words;
static pthread_once_t indexed = PTHREAD_ONCE_INIT;

static unsigned bucket_of(const char *text)
{
	unsigned first = (unsigned char)text[0], second = first ? (unsigned char)text[1] : 0;

	/* A star is beyond the second octet of all words. */
	return (first * 31 + second) % BUCKETS;
}

static void make_index(void)
{
	for (uint16_t i = 1; i <= N_WORDS; i++) {
		uint16_t *first = &index_of_words.first[bucket_of(words[i - 1].text)];

		index_of_words.next[i] = *first;
		*first = i;
	}
}

unsigned word_meaning(const char *folded)
{
	unsigned is = 0;

	pthread_once(&indexed, make_index);
	for (unsigned i = index_of_words.first[bucket_of(folded)]; i; i = index_of_words.next[i]) {
		const char *text = words[i - 1].text;
		size_t n = strlen(text);

		if (text[n - 1] == '*' ? !strncmp(text, folded, n - 1) : !strcmp(text, folded))
			is |= words[i - 1].is;
	}
	return is;
}

struct label label_read(const char *at, const char *end)
{
	struct label l = { 0 };
	char folded[WORD_TEXT];

	while (at < end) {
		unsigned is;

		if (!word_octet(*at)) {
			at++;
			continue;
		}
		at = word_fold(at, end, folded);
		is = word_meaning(folded);
		l.words++;
		l.any |= is;
		l.before_port = is & WORD_PORT ? l.last : l.before_port;
		l.loose = is & WORD_PORT ? false : !(is & (WORD_SOURCE | WORD_TARGET | WORD_LINK | WORD_ADDR)) || l.loose;
		l.strange |= !(is & (WORD_PORT | WORD_LINK | WORD_SOURCE | WORD_TARGET | WORD_FROM | WORD_PROTO | WORD_ADDR));
		if (is & (WORD_SOURCE | WORD_TARGET))
			l.role = is & (WORD_SOURCE | WORD_TARGET);
		if (is & (WORD_EVENT | WORD_OTHER | WORD_END | WORD_LATE))
			l.when = is;
		l.last = is;
	}
	return l;
}
