// SPDX-License-Identifier: BSD-2-Clause
/* What the words before a value say about it, in the languages that complaints are written in. */
#include "complaints/complaint_words.h"

#include <ctype.h>
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

/* In the order of their octets. A star: any word that begins so. */
static const struct word words[] = {
	{ "a", L }, { "abonn*", S }, { "absender*", S }, { "accadut*", T | E }, { "acces*", E }, { "addr*", A },
	{ "adres*", A }, { "against", B }, { "agresor*", S }, { "ahead", U }, { "al", B }, { "allocat*", O },
	{ "als", U }, { "altra", S }, { "alvo*", X }, { "am", B }, { "an", B }, { "and", L }, { "angegriff*", X },
	{ "angreifer*", S }, { "angriff*", E }, { "answered", O }, { "anzeige*", O }, { "arriv*", T | E },
	{ "at", T | B }, { "atacad*", X }, { "atacante*", S }, { "atakowan*", X }, { "ataque*", E },
	{ "attack*", E }, { "attacked", X }, { "attacker*", S }, { "attacking", S }, { "attaquant*", S },
	{ "attaque", X | E }, { "attaquee*", X }, { "auf", B }, { "autre", S }, { "avec", L }, { "backend*", X },
	{ "began", T | E }, { "begin*", T | E }, { "beginn*", T | E }, { "behind", U }, { "bestell*", S },
	{ "bot", S }, { "bron*", S }, { "c2", X }, { "caddr", S | A }, { "caller", S }, { "cc", X }, { "cel", X },
	{ "check*", O }, { "cible*", X }, { "cip", S | A }, { "client*", S }, { "cliente*", S }, { "clock", T },
	{ "closed", N }, { "com", L }, { "complain*", O }, { "comunica*", O }, { "con", L }, { "conexi*", E },
	{ "connection*", E }, { "connexion*", E }, { "cote", L }, { "cport", S | P }, { "creat*", O },
	{ "culprit*", S }, { "customer*", S }, { "czas*", T }, { "d", X }, { "da", X | A }, { "daddr", X | A },
	{ "dal", F }, { "dall", F }, { "data", T }, { "date*", T }, { "datum", T }, { "de", L }, { "deadline", O },
	{ "debut", T | E }, { "del", L }, { "den", L }, { "denunc*", O }, { "depos*", O }, { "depuis", F },
	{ "der", L }, { "dernier*", N }, { "des", L }, { "desde", F }, { "dest*", X }, { "destport", X | P },
	{ "detecc*", T | D }, { "detect*", T | D }, { "di", L }, { "dienst*", X }, { "dip", X | A },
	{ "direccion*", A }, { "do", L }, { "docelow*", X }, { "dp", X | P }, { "dport", X | P }, { "dpt", X | P },
	{ "dst", X }, { "dst*", X }, { "dstip", X | A }, { "dstport", X | P }, { "du", L }, { "e", L },
	{ "eigen*", X }, { "eingang*", O }, { "el", L }, { "emetteur*", S }, { "en", B }, { "end", N },
	{ "ende", N }, { "ended", N }, { "endereco*", A }, { "ends", N }, { "entdeck*", T | D }, { "epoch*", T },
	{ "ereignet*", T | E }, { "erstattet", O }, { "erste*", T | E }, { "erstell*", O }, { "et", L },
	{ "evenement*", E }, { "event*", E }, { "evento*", E }, { "eventtime", T | E }, { "expire*", O },
	{ "export*", O }, { "faits", E }, { "fatto", E }, { "fecha*", T }, { "festgestell*", T | D }, { "fin", N },
	{ "finish*", N }, { "first*", T | E }, { "forward*", O }, { "from", F }, { "gegen", B }, { "gegenseite", S },
	{ "gegenstelle", S }, { "gemeldet", O }, { "generat*", O }, { "godz*", T }, { "h", A }, { "hacia", B },
	{ "happen*", E }, { "hecho*", E }, { "heure*", T }, { "his", S }, { "hit", X }, { "honeypot*", X },
	{ "hora*", T }, { "i", L }, { "ihr", S }, { "ihre*", S }, { "incident*", E }, { "indirizzo", A },
	{ "infected", S }, { "infiz*", S }, { "infring*", S | E }, { "ingest*", O }, { "inicio*", T | E },
	{ "inizio", T | E }, { "intruder*", S }, { "ip", A }, { "ipaddress", A }, { "ipv4", A }, { "is", L },
	{ "issued", O }, { "ist", L }, { "koniec", N }, { "kunde*", S }, { "la", L }, { "laddr", X | A },
	{ "lado", L }, { "last*", N }, { "lato", L }, { "le", L }, { "letter*", O }, { "letzte*", N },
	{ "lip", X | A }, { "listed", O }, { "listen*", X }, { "listing*", O }, { "local*", X }, { "logic*", L },
	{ "login*", E }, { "lport", X | P }, { "meld*", O }, { "mine", X }, { "minut*", T }, { "mit", L },
	{ "mittente", S }, { "moment*", T }, { "my", X }, { "na", B }, { "nach", B }, { "nadawc*", S },
	{ "nasz*", X }, { "nicht", U }, { "nie", U }, { "no", L | B }, { "nos", X }, { "nossa*", X },
	{ "nosso*", X }, { "nostr*", X }, { "not", U }, { "notice*", O }, { "notif*", O }, { "notre", X },
	{ "nr", L }, { "nuestr*", X }, { "number", L }, { "nutzer*", S }, { "o", L }, { "objetivo", X },
	{ "observation*", O }, { "observed", T | E }, { "occur*", T | E }, { "ocorr*", T | E }, { "ocurr*", T | E },
	{ "of", L }, { "offend*", S }, { "ofiar*", X }, { "on", B }, { "opened", T | E }, { "opfer*", X },
	{ "ora", T }, { "ore", T }, { "orig*", S }, { "other*", S }, { "otra", S }, { "our", X }, { "ours", X },
	{ "outra", S }, { "own", X }, { "p", P }, { "para", B }, { "parte", L }, { "particip*", O }, { "partie", L },
	{ "party", L }, { "pas", U }, { "peer*", S }, { "plainte*", O }, { "port", P }, { "porta", P },
	{ "portnumber", P }, { "portnumm*", P }, { "porto", P }, { "ports", P }, { "postmark*", O }, { "pr", R },
	{ "presentat*", O }, { "print*", O }, { "process*", O }, { "proto*", R }, { "przyj*", O }, { "publish*", O },
	{ "puerto*", P }, { "que", U }, { "quell*", S }, { "quellip", S | A }, { "quellport*", S | P },
	{ "querela", O }, { "realtime", T }, { "recebid*", O }, { "receiv*", O }, { "receiver*", X },
	{ "recib*", O }, { "recipient*", X }, { "recu", O }, { "regist*", O }, { "remote", S }, { "report*", O },
	{ "resolved", O }, { "resp", X }, { "responder", X }, { "rhost", S | A }, { "ricev*", O },
	{ "rilev*", T | D }, { "rip", S | A }, { "rport", S | P }, { "s", S }, { "sa", S | A }, { "saddr", S | A },
	{ "schrieb", O }, { "second*", T }, { "seen", E }, { "segnala*", O }, { "segund*", T }, { "seite", L },
	{ "sekund*", T }, { "sender", S }, { "sensor*", X }, { "sent", O }, { "server*", X }, { "serveur*", X },
	{ "service", X }, { "servicio", X }, { "servid*", X }, { "serwer*", X }, { "session*", E }, { "side", L },
	{ "signal*", O }, { "sinkhole*", X }, { "sorgente", S }, { "source*", S | E }, { "sourceip", S | A },
	{ "sourceport", S | P }, { "sp", S | P }, { "sport", S | P }, { "sprawc*", S }, { "spt", S | P },
	{ "src", S }, { "src*", S }, { "srcip", S | A }, { "srcport", S | P }, { "stamp", T }, { "start*", T | E },
	{ "stop*", N }, { "stron*", L }, { "su", B }, { "submi*", O }, { "subscriber*", S }, { "suceso*", E },
	{ "sur", B }, { "survenu*", T | E }, { "suspect*", S }, { "t", T | E }, { "target*", X }, { "tater*", S },
	{ "tatzeit*", T | E }, { "tcp", R }, { "te", T | N }, { "teardown", N }, { "than", U }, { "the", L },
	{ "their", S }, { "theirs", S }, { "ticket*", O }, { "time*", T }, { "to", B }, { "took", E },
	{ "transport", R }, { "ts", T }, { "udp", R }, { "uhrzeit", T }, { "ultim*", N }, { "und", L },
	{ "unlike", U }, { "unser*", X }, { "until", O }, { "updat*", O }, { "upstream*", X }, { "urspr*", S },
	{ "using", L }, { "usted*", S }, { "vers", B }, { "verso", B }, { "via", L }, { "victim*", X },
	{ "visitor*", S }, { "vittima", X }, { "von", F }, { "vorfall*", E }, { "vos", S }, { "votre", S },
	{ "war", L }, { "was", L }, { "when", T }, { "with", L }, { "write", O }, { "written", O }, { "wrote", O },
	{ "wydarzy*", T | E }, { "wykry*", T | D }, { "y", L }, { "your", S }, { "z", L }, { "zdarz*", E },
	{ "zeit*", T }, { "zglosz*", O }, { "ziel*", X }, { "zielip", X | A }, { "zielport*", X | P },
	{ "zrodl*", S }, { "zugriff*", E }, { "абонент*", S }, { "адрес*", A }, { "атак*", E }, { "атакованн*", X },
	{ "атакующ*", S }, { "вашег*", S }, { "вашей", S }, { "врем*", T }, { "дата*", T }, { "жертв*", X },
	{ "заявл*", O }, { "и", L }, { "инцидент*", E }, { "источник*", S }, { "клиент*", S }, { "конец", N },
	{ "на", B }, { "назначени*", X }, { "начал*", T | E }, { "наш*", X }, { "не", U }, { "обнаруж*", T | D },
	{ "обращен*", O }, { "окончан*", N }, { "отправител*", S }, { "получател*", X }, { "порт*", P },
	{ "поступ*", O }, { "потерпевш*", X }, { "произош*", T | E }, { "протокол*", R }, { "сервер*", X },
	{ "событи*", E }, { "сообщ*", O }, { "сторон*", L }, { "цел*", X }, { "報告*", O }, { "報告日時", T | O },
	{ "宛先*", X }, { "日時", T }, { "発信元*", S }, { "発生*", E }, { "発生日時", T | E }, { "送信元*", S }, { "送信先*", X },
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

/* The first word of those that begin with an octet, or where it would be. */
static size_t first_word(const struct word *table, size_t n, unsigned char octet)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((unsigned char)*table[middle].text < octet)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

unsigned word_find(const struct word *table, size_t n, const char *folded)
{
	unsigned is = 0;

	for (size_t i = first_word(table, n, (unsigned char)*folded); i < n && *table[i].text == *folded; i++) {
		size_t size = strlen(table[i].text);

		if (table[i].text[size - 1] == '*' ? !strncmp(table[i].text, folded, size - 1) : !strcmp(table[i].text, folded))
			is |= table[i].is;
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
		is = word_find(words, sizeof(words) / sizeof(*words), folded);
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
