// SPDX-License-Identifier: BSD-2-Clause
// Look up: a complaint is pasted, its questions are shown, and asked once they are confirmed.
import { api, count, h, section, table, when } from "./dom.js";

const SHOWN = 500;
const REASONS = { "no-subscriber": "no subscriber", "no-record": "no record" };

function inside(row, me) {
	if (!row.in_addr)
		return h("span", { class: "warn" }, REASONS[row.reason] ?? row.reason ?? "no answer");
	return me.state ? h("a", { href: `/subscriber/${row.in_addr}` }, row.in_addr) : h("b", {}, row.in_addr);
}

function also(row) {
	const others = (row.holders ?? []).map((holder) => holder.in_addr).filter((addr) => addr !== row.in_addr);
	return others.length ? `but also ${[...new Set(others)].join(", ")}` : "";
}

// Later than the history was read: who it will have been is not known.
function late(row) {
	return row.in_addr && Date.parse(row.time) > Date.parse(row.read_until) + 120000 ? `known only until ${when(row.read_until)}` : "";
}

function notes(row) {
	const portmap = row.portmap ? `portmap ${row.portmap.proto} to ${row.portmap.in}` : "";
	return [row.error ?? "", late(row), portmap, also(row)].filter(Boolean).join("; ");
}

const mapping = (row) => (row.mapping ? `${row.mapping.in} to ${row.mapping.out}` : null);

function answerRows(rows, me) {
	return rows.slice(0, SHOWN).map((row) => [
		when(row.time), `${row.out_addr}:${row.out_port}`, inside(row, me), row.from ? when(row.from) : null,
		row.in_addr ? when(row.to) : null, mapping(row), notes(row),
	]);
}

// A cell that a spreadsheet takes as text.
function cell(value) {
	const text = String(value ?? "");
	return `"${(/^[=+\-@\t\r]/.test(text) ? "'" : "") + text.replaceAll('"', '""')}"`;
}

function csv(rows) {
	const lines = rows.map((row) => [row.time, row.out_addr, row.out_port, row.in_addr, row.from, row.to, mapping(row), notes(row),
		row.read_until]);
	const head = ["time", "out_addr", "out_port", "in_addr", "from", "to", "mapping", "notes", "history_read_until"];
	return [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

function download(name, type, text) {
	const link = h("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const more = (n, words) => (n > SHOWN ? h("p", { class: "quiet" }, `${count(n - SHOWN)} more ${words}`) : null);

function showAnswers(place, rows, me) {
	const found = rows.filter((row) => row.in_addr).length;
	place.replaceChildren(section("Answers",
		h("p", { role: "status" }, `${count(found)} of ${count(rows.length)} found.`),
		table("Answers", ["Time (UTC)", "Outside", "Inside", "From", "To", "Mapping", "Notes"], answerRows(rows, me)),
		more(rows.length, "are in the downloads."),
		h("p", { class: "buttons" },
			h("button", { type: "button", onclick: () => download("answers.csv", "text/csv", csv(rows)) }, "Download as CSV"),
			h("button", { type: "button", onclick: () => download("answers.json", "application/json", JSON.stringify(rows, null, 1)) },
				"Download as JSON"),
			h("button", { type: "button", onclick: () => print() }, "Print"))));
	place.scrollIntoView({ block: "nearest" });
}

async function busy(button, work, tell) {
	button.disabled = true;
	try {
		tell(null);
		await work();
	} catch (error) {
		tell(error);
	}
	button.disabled = false;
}

function showQuestions(place, found, answers, { me, tell }) {
	const lines = found.questions.map((q) => `${q.time} ${q.out_addr}:${q.out_port}`).join("\n");
	const n = found.questions.length;
	const ask = h("button", { type: "button", class: "main", id: "ask", onclick: () => busy(ask, async () =>
		showAnswers(answers, await api("who", lines), me), tell) }, n === 1 ? "Ask this question" : `Ask these ${count(n)} questions`);
	answers.replaceChildren();
	place.replaceChildren(section("Questions",
		n ? null : h("p", { role: "status", class: "warn" },
			"No question was found. A line needs an address with a port and a time with a zone."),
		n ? table("Questions", ["Line", "Time (UTC)", "Outside address and port"],
			found.questions.slice(0, SHOWN).map((q) => [count(q.line), when(q.time), `${q.out_addr}:${q.out_port}`]), [0]) : null,
		more(n, "will be asked, too."),
		found.left_out ? h("p", { class: "warn" }, `${count(found.left_out)} more than can be asked at once; ask them in another go.`) : null,
		found.problems.length ? table("Lines that cannot be asked", ["Line", "Problem"],
			found.problems.slice(0, SHOWN).map((p) => [count(p.line), p.text]), [0]) : null,
		n ? h("p", { class: "buttons" }, ask) : null));
	if (n)
		ask.focus();
}

function form(find) {
	const text = h("textarea", { id: "complaint", rows: 9, required: true, spellcheck: "false",
		placeholder: "2026-01-31T14:05:00+01:00 1.1.1.1:1276" });
	const file = h("input", { type: "file", id: "file", onchange: async () => {
		if (file.files[0])
			text.value = await file.files[0].text();
	} });
	const button = h("button", { class: "main", id: "find" }, "Find the questions");
	return h("form", { onsubmit: (event) => {
		event.preventDefault();
		find(text.value, button);
	} },
	h("label", { for: "complaint" }, "Paste the complaint: a mail, a log, or lines of time and address"),
	text,
	h("p", { class: "quiet" }, "Each line with an address and a port needs a time with its zone, such as 14:05:00+01:00 or Z."),
	h("p", { class: "buttons" }, button, h("label", { for: "file" }, "or open a file"), file));
}

export function show(main, context) {
	const questions = h("div"), answers = h("div");
	const find = (text, button) => busy(button, async () =>
		showQuestions(questions, await api("questions", text), answers, context), context.tell);
	main.replaceChildren(h("h1", {}, "Who was it?"), form(find), questions, answers);
	document.getElementById("complaint").focus();
	return {};
}
