// SPDX-License-Identifier: BSD-2-Clause
// The pasted text, with the places marked from which the questions were taken.
import { count, h } from "./dom.js";

const LINES = 2000, AROUND = 3;
const KINDS = { addr: "address", port: "port", time: "time" };

// The places of a row and of what else it may mean: [line, column, length, what it is].
function placesOf(row) {
	return [row, ...(row.candidates ?? [])].flatMap((of) => Object.entries(of.places ?? {})
		.map(([kind, place]) => [place.line, place.column, place.length, KINDS[kind], "time" in row]));
}

// By line, in the order of its characters; a place that several rows have is marked once.
function byLine(rows) {
	const lines = new Map();
	for (const place of rows.flatMap(placesOf).sort((a, b) => a[1] - b[1] || b[4] - a[4])) {
		const before = lines.get(place[0]) ?? lines.set(place[0], []).get(place[0]), last = before.at(-1);
		if (!last || last[1] + last[2] <= place[1])
			before.push(place);
	}
	return lines;
}

// A line whose places are marked; columns count characters, and so does Array.from.
function marked(text, places) {
	const characters = Array.from(text.replaceAll("\t", " ")), parts = [];
	let at = 0;
	for (const [, column, length, kind, asked] of places) {
		parts.push(characters.slice(at, column - 1).join(""),
			h("mark", { title: asked ? kind : `${kind}, which cannot be asked`, class: asked ? null : "doubt" },
				characters.slice(column - 1, column - 1 + length).join("")));
		at = column - 1 + length;
	}
	return [...parts, characters.slice(at).join("")];
}

// All lines of a text that is short; of others those with places, and some around.
function chosen(lines, places) {
	if (lines.length <= LINES)
		return lines.map((_, i) => i + 1);
	const near = new Set();
	for (const line of places.keys())
		for (let n = Math.max(1, line - AROUND); n <= Math.min(lines.length, line + AROUND) && near.size < LINES; n++)
			near.add(n);
	return [...near].sort((a, b) => a - b);
}

export function markedText(text, rows) {
	const lines = text.split("\n"), places = byLine(rows);
	if (!places.size)
		return null;
	let before = 0;
	const shownLines = chosen(lines, places).flatMap((n) => {
		const left = n > before + 1 ? [h("span", { class: "quiet" }, `… ${count(n - before - 1)} more lines`), "\n"] : [];
		before = n;
		return [...left, h("span", { class: "quiet" }, `${String(n).padStart(5)}  `), ...marked(lines[n - 1], places.get(n) ?? []), "\n"];
	});
	return h("pre", { class: "text wide", tabindex: "0", role: "region", "aria-label": "The text, with the places of its questions" },
		shownLines.map((part) => (part === "\n" ? document.createTextNode(part) : part)));
}

export const noticeText = (row) => (row.name ? `${row.name}: ${row.error}` : row.error);
