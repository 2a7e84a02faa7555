// SPDX-License-Identifier: BSD-2-Clause
// The mapping history as a timeline: a bar for each mapping from its first second to its last.
import { apiIfNew, count, h, quoted, section, svg, table, when } from "./dom.js";

const SHOWN = 500, ROW = 30, WIDTH = 900, TOP = 22;
const SECONDS = 30;

const key = (m) => `${m.in} to ${m.out ?? "none"}`;

// Lines of records that were taken back.
function undone(records) {
	const lines = new Set();
	for (const r of records)
		if (r.event === "undo")
			for (let line = r.first; line <= r.last && line - r.first < 100000; line++)
				lines.add(line);
	return lines;
}

class Bars {
	constructor() {
		this.all = [];
		this.open = new Map();
	}

	begin(m, time) {
		const name = key(m);
		if (this.open.has(name))
			return;
		const bar = { name, label: m.name ?? null, from: Date.parse(m.from ?? time), to: null };
		this.open.set(name, bar);
		this.all.push(bar);
	}

	end(m, time) {
		const bar = this.open.get(key(m));
		if (bar)
			bar.to = Date.parse(time);
		this.open.delete(key(m));
	}

	// A list of all mappings that there are.
	list(mappings, time) {
		const names = new Set(mappings.map(key));
		for (const [name, bar] of [...this.open])
			if (!names.has(name)) {
				bar.to = Date.parse(time);
				this.open.delete(name);
			}
		for (const m of mappings)
			this.begin(m, time);
	}
}

// The bars, and the times of which nothing is known.
export function timeline(records) {
	const back = undone(records), bars = new Bars(), gaps = [];
	for (const r of records) {
		if (back.has(r.line))
			continue;
		if (r.event === "add")
			bars.begin(r, r.time);
		else if (r.event === "del")
			bars.end(r, r.time);
		else if (r.event === "detach")
			bars.list([], r.time);
		else if (r.event === "start" || r.event === "daily")
			bars.list(r.mappings ?? [], r.unknown_since ?? r.time);
		if (r.event === "start" && r.unknown_since)
			gaps.push({ from: Date.parse(r.unknown_since), to: Date.parse(r.time) });
	}
	return { bars: bars.all, gaps };
}

const day = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

function drawing({ bars, gaps }, begin, end) {
	const x = (ms) => ((Math.min(ms, end) - begin) / (end - begin)) * WIDTH, height = TOP + bars.length * ROW + 6;
	const marks = [0, 0.5, 1].map((at) => svg("text", { x: at * WIDTH, y: 14, "text-anchor": ["start", "middle", "end"][at * 2] },
		day(begin + at * (end - begin))));
	const rows = bars.map((bar, i) => {
		const text = `${bar.name}${bar.label ? `, ${bar.label}` : ""}: ${day(bar.from)} to ${bar.to ? day(bar.to) : "now"}`;
		return svg("g", { class: bar.to ? "bar-past" : "bar-now" }, svg("title", {}, text),
			svg("rect", { x: x(bar.from), y: TOP + i * ROW, width: Math.max(x(bar.to ?? end) - x(bar.from), 3), height: ROW - 6, rx: 4 }),
			svg("text", { x: x(bar.from) > WIDTH * 0.6 ? x(bar.from) - 8 : x(bar.from) + 8, y: TOP + i * ROW + 16,
				"text-anchor": x(bar.from) > WIDTH * 0.6 ? "end" : "start" }, bar.label ? `${bar.name} (${bar.label})` : bar.name));
	});
	return svg("svg", { class: "timeline", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `Timeline of ${bars.length} mappings` },
		marks,
		gaps.map((gap) => svg("rect", { class: "gap", x: x(gap.from), y: TOP - 4, width: Math.max(x(gap.to) - x(gap.from), 2), height },
			svg("title", {}, `Nothing is known from ${day(gap.from)} to ${day(gap.to)}`))), rows);
}

// Beginning and end of a portmap are one event of the history.
const WORDS = { retire: "drain begins", drained: "drain ends", portmap: "portmap", undo: "taken back" };
const word = (r) => (r.event === "portmap" && r.to ? "portmap ends" : WORDS[r.event] ?? r.event);

function about(r) {
	if (r.event === "add" || r.event === "del")
		return key(r) + (r.name ? `, ${r.name}` : "");
	if (r.event === "portmap")
		return `${r.proto} ${r.out} to ${r.in}${r.to ? `, since ${when(r.from)}` : ""}`;
	if (r.event === "retire" || r.event === "drained")
		return `${r.of} to ${r.out}${r.of === r.in ? "" : `, of ${r.in}`}`;
	if (r.first)
		return `lines ${r.first} to ${r.last}`;
	if (!r.mappings)
		return "";
	return h("span", {}, `${count(r.mappings.length)} mappings`, r.host ? [", host ", quoted(r.host)] : null);
}

function draw(place, records) {
	const found = timeline(records), shown = { bars: found.bars.slice(-200), gaps: found.gaps };
	const begin = Math.min(...shown.bars.map((b) => b.from)), end = Math.max(Date.now(), begin + 1000);
	place.replaceChildren(
		section("Mappings", shown.bars.length ? drawing(shown, begin, end) : h("p", { class: "quiet" }, "No mapping was recorded."),
			found.bars.length > shown.bars.length ? h("p", { class: "quiet" }, `The last 200 of ${count(found.bars.length)}.`) : null),
		section("Records", table("Records, the last first", ["Line", "Time (UTC)", "Event", "About"],
			records.slice(-SHOWN).reverse().map((r) => [count(r.line), when(r.time), word(r), about(r)]), [0]),
		records.length > SHOWN ? h("p", { class: "quiet" },
			`The last ${SHOWN} of ${count(records.length)}.`) : null));
}

export function show(main) {
	const place = h("div", { id: "history" });
	const seen = {};
	let records = [];
	main.replaceChildren(h("h1", {}, "History of the mappings"), place);
	return { seconds: SECONDS, update: async () => {
		// What is behind the last record that is whole, which the page has; all if the history is another one now.
		const last = records.findLast((r) => r.hash);
		const found = await apiIfNew(last ? `history?after=${last.line}.${last.hash}` : "history", seen);
		if (!found || (last && !found.length))
			return;
		const goesOn = last && found[0].line > last.line;
		records = goesOn ? [...records.slice(0, records.indexOf(last) + 1), ...found] : found;
		draw(place, records);
	} };
}
