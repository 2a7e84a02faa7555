// SPDX-License-Identifier: BSD-2-Clause
// Elements and requests. All text becomes text nodes or attributes: nothing that comes from the server is read as HTML,
// and what does not show itself is escaped, as detnatctl escapes it (lib/base/text.h).

const SVG = "http://www.w3.org/2000/svg";

// Controls, format characters, blanks other than the space, private use, noncharacters, planes without characters.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u2800\p{DI}\p{NChar}\u{40000}-\u{10ffff}]/gu;

function escape(character) {
	const code = character.codePointAt(0), digits = code.toString(16);
	return code < 0x80 ? `\\x${digits.padStart(2, "0")}` : `\\u{${digits.toUpperCase()}}`;
}

export const shown = (text) => text.replace(HIDDEN, escape);

// What others see or hear of an attribute.
const SEEN = ["title", "aria-label"];

function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes))
		if (name.startsWith("on"))
			element.addEventListener(name.slice(2), value);
		else if (value === true)
			element.setAttribute(name, "");
		else if (value !== false && value !== null && value !== undefined)
			element.setAttribute(name, SEEN.includes(name) ? shown(value) : value);
	element.append(...children.flat().filter((child) => child !== null && child !== undefined)
		.map((child) => (child instanceof Node ? child : shown(String(child)))));
	return element;
}

export function h(tag, attributes = {}, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
	return fill(document.createElementNS(SVG, tag), attributes, children);
}

// What the gateway's texts tell to those who have a shell there; who reads this page may have none.
const SHELL = new RegExp(["`", "\\bdetnatctl\\b", "\\b(re)?start detnat-", "\\b(chmod|chown|chgrp|adduser|groupadd|sysctl|systemctl|journalctl|ethtool|modprobe)\\b",
	"\\bip (route|link|addr|rule|-)", "(^|\\s)--?[a-z][a-z-]*\\b"].join("|"));
const OTHERS = "your operators can mend that";

// A text without them: the parts between "; " that say what is, and, if some are gone, who mends it.
export function plain(text) {
	const parts = text.split("; "), kept = parts.filter((part) => !SHELL.test(part));
	if (kept.length === parts.length)
		return text;
	return kept.length ? [...kept, OTHERS].join("; ") : `${OTHERS[0].toUpperCase()}${OTHERS.slice(1)}.`;
}

// Somebody's words, between quotes that are not theirs; their direction is their own.
export function quoted(text) {
	return h("span", {}, '"', h("bdi", {}, text.replace(/["\\]/g, "\\$&")), '"');
}

// A name, between quotes if it could be taken for something else.
export function word(text) {
	return /["\\]|^ | $| {2}/.test(text) || shown(text) !== text ? quoted(text) : h("bdi", {}, text);
}

// The response, 304 included; an Error has the server's words.
async function ask(path, body, headers = {}) {
	let response, answer;
	try {
		response = await fetch(`/api/${path}`, body === undefined ? { headers } : { method: "POST", body, headers: { "Content-Type": "text/plain" } });
	} catch (error) {
		throw new Error("The desk does not answer. Ask your operators.", { cause: error });
	}
	if (response.ok || response.status === 304)
		return response;
	try {
		answer = await response.json();
	} catch (error) {
		throw new Error(`The server answered ${response.status} without an explanation.`, { cause: error });
	}
	throw Object.assign(new Error(answer.error ?? `status ${response.status}`), { status: response.status });
}

export async function api(path, body) {
	return (await ask(path, body)).json();
}

// The same, or null while the answer is the last one, whose mark `seen` keeps.
export async function apiIfNew(path, seen) {
	const response = await ask(path, undefined, seen.mark ? { "If-None-Match": seen.mark } : {});
	if (response.status === 304)
		return null;
	seen.mark = response.headers.get("ETag");
	return response.json();
}

// Gives the browser a file to keep.
export function save(name, blob) {
	const link = h("a", { href: URL.createObjectURL(blob), download: name });
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export async function fetchFile(path, body, name) {
	save(name, await (await ask(path, body)).blob());
}

// A table with a head and rows of cells, each a text or an element; `numbers`: columns that are aligned to the right.
export function table(caption, head, rows, numbers = []) {
	const align = (column) => ({ class: numbers.includes(column) ? "number" : null });
	// On narrow screens a row is a card, whose cells have their heads beside them; the roles keep it a table.
	return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, h("table", { role: "table" },
		h("caption", {}, caption),
		h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
			head.map((text, i) => h("th", { scope: "col", role: "columnheader", ...align(i) }, text)))),
		h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" },
			cells.map((cell, i) => h("td", { role: "cell", "data-head": head[i], ...align(i) }, cell ?? "–")))))));
}

// Terms and their descriptions, without those that are null.
export function facts(pairs) {
	return h("dl", {}, pairs.filter(([, value]) => value !== null && value !== undefined)
		.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

// Tells those who do not see the page what has happened on it.
export function say(text) {
	const place = document.getElementById("said");
	place.textContent = "";
	setTimeout(() => {
		place.textContent = shown(text);
	}, 50);
}

// The button keeps the keyboard, which a disabled one would lose, and does nothing meanwhile.
export async function busy(button, work, tell) {
	if (button.getAttribute("aria-disabled") === "true")
		return;
	button.setAttribute("aria-disabled", "true");
	try {
		tell(null);
		await work();
	} catch (error) {
		tell(error);
	}
	button.removeAttribute("aria-disabled");
}

// Moves the keyboard to a heading, from where it goes on.
export function moveTo(element) {
	element.setAttribute("tabindex", "-1");
	element.focus();
}

export function section(title, ...children) {
	return h("section", {}, h("h2", {}, title), children);
}

export const count = (n) => Number(n).toLocaleString("en");

export function short(n) {
	for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]])
		if (Math.abs(n) >= limit)
			return `${(n / (unit === "k" ? 1e3 : limit)).toFixed(1)}${unit}`;
	return n >= 100 || Number.isInteger(n) ? count(Math.round(n)) : n.toFixed(1);
}

export function duration(seconds) {
	const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
	const first = parts.findIndex(([, size]) => seconds >= size);
	if (first < 0)
		return "0 s";
	let left = seconds;
	return parts.slice(first, first + 2).map(([unit, size]) => {
		const n = Math.floor(left / size);
		left -= n * size;
		return n ? `${n} ${unit}` : "";
	}).join(" ").trim();
}

export const when = (text) => (text ? text.replace("T", " ") : "still");

// Whom a row is about: an inside address, or the prefix of an IPv6 subscriber; null: nobody.
export const insideOf = (row) => row.in_addr ?? row.in_prefix ?? null;

export const nameOf = (row) => (row.tenant ? `${insideOf(row)} of ${row.tenant}` : insideOf(row));

// The subscriber's page: of a prefix, it is named by its first address.
export const pathOf = (addr, tenant) => `/subscriber/${encodeURIComponent(addr.replace(/(:.*)\/\d+$/, "$1")).replaceAll("%3A", ":")}${tenant
	? `/${encodeURIComponent(tenant)}` : ""}`;
