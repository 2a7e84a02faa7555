// SPDX-License-Identifier: BSD-2-Clause
// Look up: a complaint is pasted, its questions are shown, and asked once they are confirmed.
import { api, busy, count, fetchFile, h, insideOf, moveTo, nameOf, pathOf, quoted, save, say, section, table, when } from "./dom.js";
import { markedText, noticeText } from "./places.js";

const SHOWN = 500, AT_ONCE = 100000;
const REASONS = { "no-subscriber": "no subscriber", "no-record": "no record" };
const NO_CUSTOMER = {
	"no-lease": "no lease: it is recorded that nobody had the address then",
	"two-leases": "not certain: more than one customer may have had the address then",
	"perhaps": "not certain: one customer may have had the address then",
	"no-record": "no record",
	"erased": "no record: lines of that time were erased",
};
// Why it is not certain, or nobody is known.
const DOUBTS = {
	"several": "more than one customer may have had it",
	"gap": "records are missing around that time",
	"clock": "the clock was set around that time",
	"damaged": "lines around that time were changed or taken out",
	"another": "somebody else is said to have had it meanwhile",
	"unheard": "nothing was heard of the session after that time",
	"term": "the promised term was over, and no end is recorded",
	"begin": "when the session got the address is not recorded",
	"before-record": "nothing is recorded of the address up to that time",
	"after-record": "that time had not been recorded yet",
};

function inside(row, me) {
	if (!insideOf(row))
		return h("span", { class: "warn" }, REASONS[row.reason] ?? row.reason ?? "no answer");
	return me.subscribers ? h("a", { href: pathOf(insideOf(row), row.tenant) }, nameOf(row)) : h("b", {}, nameOf(row));
}

function person(customer) {
	const parts = [["tenant", customer.tenant], ["MAC", customer.mac === customer.id ? null : customer.mac], ["circuit", customer.circuit],
		["session", customer.session]].filter(([, value]) => value).map(([name, value], i) => [i ? ", " : " ", `${name} `, quoted(value)]);
	const name = customer.id ?? customer.mac ?? customer.session;
	return h("div", {}, h("b", {}, name ? quoted(name) : "without a name"), parts.length ? h("small", { class: "quiet" }, parts.flat()) : null);
}

function perhaps(customer) {
	const why = `perhaps, at ${insideOf(customer)}: ${DOUBTS[customer.doubt] ?? customer.doubt}`;
	return h("div", {}, h("small", { class: "quiet" }, why), person(customer));
}

// All who may have been the customer, whether they were heard of before that time or only after it.
const possible = (row) => [...(row.customers ?? []), ...(row.customers_after ?? [])];

function whyNone(row) {
	const reason = NO_CUSTOMER[row.customer_reason] ?? row.customer_reason, doubt = DOUBTS[row.customer_doubt];
	return row.customer_reason === "no-record" && doubt ? `${reason}: ${doubt}` : reason;
}

// The customer, or why none is certain and who it may have been.
export function customer(row) {
	if (row.customer)
		return person(row.customer);
	if (!insideOf(row) || !("customer" in row))
		return null;
	return h("div", {}, h("span", { class: "warn" }, whyNone(row)), possible(row).map(perhaps),
		row.others ? h("small", { class: "quiet" }, "somebody else may have had it, of whom no record is there") : null);
}

function margin(row) {
	return row.customer && !row.margin.same ? `another answer within ${row.margin.seconds} s` : "";
}

function also(row) {
	const others = (row.holders ?? []).map(nameOf).filter((name) => name !== nameOf(row));
	return others.length ? `but also ${[...new Set(others)].join(", ")}` : "";
}

// Later than the history was read: who it will have been is not known.
function late(row) {
	return insideOf(row) && Date.parse(row.time) > Date.parse(row.read_until) + 120000 ? `known only until ${when(row.read_until)}` : "";
}

function notes(row) {
	const portmap = row.portmap ? `portmap ${row.portmap.proto} to ${row.portmap.in}` : "";
	const grant = row.grant ? `grant of ports ${row.grant.port_lo} to ${row.grant.port_hi}` : "";
	return [row.error ?? "", margin(row), late(row), grant, portmap, also(row)].filter(Boolean).join("; ");
}

const mapping = (row) => (row.mapping ? `${row.mapping.in} to ${row.mapping.out}` : null);

// The first cell of several rows, which what they say together names by their numbers.
const numbered = (rows, cell) => (rows.length > 1 ? [cell] : []);

function answerRows(rows, context) {
	return rows.slice(0, SHOWN).map((row, i) => [
		...numbered(rows, count(row.line)), h("span", { class: "time" }, when(row.time)), `${row.out_addr}:${row.out_port}`, customer(row),
		h("div", {}, inside(row, context.me), row.mapping ? h("small", { class: "quiet" }, mapping(row)) : null), held(row), notes(row), evidenceButton(row, rows.length > 1 ? `-${i + 1}` : "", context),
	]);
}

// From when to when the mapping held.
function held(row) {
	return row.from ? h("div", { class: "time" }, when(row.from), h("small", { class: "quiet" }, row.to ? `to ${when(row.to)}` : "still")) : null;
}

// Of several questions, each has its number in the name of the case.
function evidenceButton(row, suffix, { tell }) {
	const button = h("button", { type: "button", class: "evidence", onclick: () => busy(button, async () => {
		const field = document.getElementById("case");
		if (!field.reportValidity())
			return;
		await fetchFile("evidence", `${field.value}${suffix} ${row.time} ${row.out_addr}:${row.out_port}`, `${field.value}${suffix}.tar`);
		say(`The evidence ${field.value}${suffix}.tar was downloaded.`);
	}, tell) }, "Evidence");
	return button;
}

function caseField() {
	const now = new Date().toISOString();
	return h("p", { class: "buttons" }, h("label", { for: "case" }, "Case"),
		h("input", { id: "case", value: `${now.slice(0, 10)}-${now.slice(11, 16).replace(":", "")}`, required: true, maxlength: 56, size: 24,
			pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", title: "letters, digits, dots, underscores and hyphens", autocomplete: "off" }),
		h("span", { class: "quiet" }, "names the archive of the evidence. Who takes it is recorded."));
}

// A cell that a spreadsheet takes as text.
function cell(value) {
	const text = String(value ?? "");
	return `"${(/^[=+\-@\t\r]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"`;
}

function csv(rows) {
	const lines = rows.map((row) => [row.time, row.out_addr, row.out_port, insideOf(row), row.from, row.to, mapping(row), notes(row),
		row.read_until, row.customer?.id, row.customer?.tenant, row.customer?.mac, row.customer?.circuit, row.customer?.session,
		row.customer_reason, row.margin?.same]);
	const head = ["time", "out_addr", "out_port", "in_addr", "from", "to", "mapping", "notes", "history_read_until", "customer", "tenant", "mac",
		"circuit", "session", "customer_reason", "same_around"];
	return [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

function download(name, type, text) {
	save(name, new Blob([text], { type }));
}

const more = (n, words) => (n > SHOWN ? h("p", { class: "quiet" }, `${count(n - SHOWN)} more ${words}`) : null);

// With what several answers say together, such as "they differ: lines 2, 3", which are rows here.
function together(rows, text) {
	return rows.length > 1 ? `${verdict(rows)} ${text[0].toUpperCase()}${text.slice(1).replaceAll("lines", "rows")}.` : verdict(rows);
}

function verdict(rows) {
	const found = rows.filter(insideOf).length, named = rows.filter((row) => row.customer).length;
	const text = `${count(found)} of ${count(rows.length)} found`;
	return rows.some((row) => "customer" in row) ? `${text}, with ${named === 1 ? "a customer" : `${count(named)} customers`}.`
		: `${text}. Customers are not named, as the desk has no records of who had which address; your operators can add them.`;
}

// Asks lines of questions, and shows the answers.
async function askAll(place, lines, context) {
	const { verdict: text, answers: rows } = await api("who?verdict=1", lines);
	place.replaceChildren(section("Answers",
		h("p", {}, together(rows, text)), caseField(),
		table("Answers", [...numbered(rows, "Row"), "Time (UTC)", "Outside", "Customer", "Inside", "Since", "Notes", "Evidence"], answerRows(rows, context)),
		more(rows.length, "are in the downloads."),
		h("p", { class: "buttons" },
			h("button", { type: "button", onclick: () => download("answers.csv", "text/csv", csv(rows)) }, "Download as CSV"),
			h("button", { type: "button", onclick: () => download("answers.json", "application/json", JSON.stringify(rows, null, 1)) },
				"Download as JSON"),
			h("button", { type: "button", onclick: () => print() }, "Print"))));
	place.scrollIntoView({ block: "nearest" });
	moveTo(place.querySelector("h2"));
	say(together(rows, text));
}

function questionsOf(rows) {
	const all = rows.filter((row) => row.time), others = rows.filter((row) => !row.time);
	return { questions: all.slice(0, AT_ONCE), left: Math.max(0, all.length - AT_ONCE),
		problems: others.filter((row) => row.reason !== "not-read"), notices: others.filter((row) => row.reason === "not-read") };
}

// The page has a field for what detnatctl has an option for.
const PROBLEMS = { "no-zone": "the time has no zone: choose its zone above" };
const problem = (row) => PROBLEMS[row.code] ?? row.error;

// What the text may mean, of which a person chooses one.
function choice(row, answers, context) {
	const asked = (row.candidates ?? []).filter((candidate) => candidate.time);
	return asked.length ? h("span", { class: "buttons" }, asked.map((candidate) => {
		const button = h("button", { type: "button", class: "choice", onclick: () => busy(button, async () =>
			askAll(answers, `${candidate.time} ${candidate.out_addr}:${candidate.out_port}`, context), context.tell) },
		`Ask ${candidate.out_addr}:${candidate.out_port} at ${when(candidate.time)}`);
		return button;
	})) : null;
}

function showQuestions(place, text, rows, answers, context) {
	const { questions, left, problems, notices } = questionsOf(rows), n = questions.length;
	const lines = questions.map((q) => `${q.time} ${q.out_addr}:${q.out_port}`).join("\n");
	const ask = h("button", { type: "button", class: "main", id: "ask", onclick: () => busy(ask, async () =>
		askAll(answers, lines, context), context.tell) },
	n === 1 ? "Ask this question" : `Ask these ${count(n)} questions`);
	answers.replaceChildren();
	place.replaceChildren(section("Questions",
		n ? null : h("p", { class: "warn" }, "No question was found. One needs an address, a port, and a time with a zone."),
		n ? table("Questions", ["Line", "Time (UTC)", "Outside address and port"],
			questions.slice(0, SHOWN).map((q) => [count(q.line), when(q.time), `${q.out_addr}:${q.out_port}`]), [0]) : null,
		more(n, "will be asked, too."),
		left ? h("p", { class: "warn" }, `${count(left)} more than can be asked at once; ask them in another go.`) : null,
		problems.length ? table("Lines that cannot be asked", ["Line", "Problem", "Or choose what is meant"],
			problems.slice(0, SHOWN).map((p) => [count(p.line), problem(p), choice(p, answers, context)]), [0]) : null,
		notices.length ? table("What was not read", ["Line", "Not read"], notices.map((p) => [count(p.line), noticeText(p)]), [0]) : null,
		n ? h("p", { class: "buttons" }, ask) : null,
		markedText(text, rows)));
	say(n === 1 ? "One question was found." : `${count(n)} questions were found.`);
	const zone = document.getElementById("zone");
	(n ? ask : place.querySelector(".choice") ?? (problems.some((p) => p.code === "no-zone") ? zone : document.getElementById("complaint"))).focus();
}

function zoneField() {
	const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
	return h("span", { class: "field" }, h("label", { for: "zone" }, "Zone of times that name none"),
		h("input", { id: "zone", list: "zones", size: 22, maxlength: 63, placeholder: "such lines are refused", autocomplete: "off", spellcheck: "false" }),
		h("datalist", { id: "zones" }, [...new Set(["UTC", own, ...(Intl.supportedValuesOf?.("timeZone") ?? [])])].map((value) => h("option", { value }))));
}

// A file may be of a spreadsheet or of an old program of mail.
function decode(octets) {
	const mark = (octets[0] << 8) | octets[1];
	if (mark === 0xfffe || mark === 0xfeff)
		return new TextDecoder(mark === 0xfffe ? "utf-16le" : "utf-16be").decode(octets);
	try {
		return new TextDecoder("utf-8", { fatal: true }).decode(octets);
	} catch {
		return new TextDecoder("windows-1252").decode(octets);
	}
}

function form(find) {
	const text = h("textarea", { id: "complaint", rows: 6, required: true, spellcheck: "false",
		placeholder: "2026-01-31T14:05:00+01:00 203.0.113.1:1276" });
	const file = h("input", { type: "file", id: "file", onchange: async () => {
		if (file.files[0])
			text.value = decode(new Uint8Array(await file.files[0].arrayBuffer()));
	} });
	const button = h("button", { class: "main", id: "find" }, "Find the questions");
	return h("form", { onsubmit: (event) => {
		event.preventDefault();
		find(text.value, document.getElementById("zone").value.trim(), button);
	} },
	h("label", { for: "complaint" }, "Paste the complaint: a mail, ACNS, X-ARF, CSV, tcpdump, or lines of time and address"),
	text,
	h("p", { class: "buttons" }, button, h("label", { for: "file" }, "or open a file"), file, zoneField()));
}

export function show(main, context) {
	const questions = h("div"), answers = h("div");
	const find = (text, zone, button) => busy(button, async () =>
		showQuestions(questions, text, await api(`questions${zone ? `?zone=${encodeURIComponent(zone)}` : ""}`, text), answers, context), context.tell);
	main.replaceChildren(h("h1", {}, "Who was it?"), form(find), questions, answers);
	document.getElementById("complaint").focus();
	return {};
}
