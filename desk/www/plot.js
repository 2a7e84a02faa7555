// SPDX-License-Identifier: BSD-2-Clause
// A plot of figures over time, as SVG that scales with the page.
import { h, svg, short } from "./dom.js";

const WIDTH = 640, HEIGHT = 190, LEFT = 52, RIGHT = 10, TOP = 10, BOTTOM = 24;

// A round number at or above the value.
function ceiling(value) {
	const size = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
	return [1, 2, 4, 5, 10].map((n) => n * size).find((n) => n >= value);
}

const clock = (ms, seconds) => new Date(ms).toISOString().slice(11, seconds ? 19 : 16);

// Runs of points without a gap.
function runs(points) {
	const found = [[]];
	for (const point of points)
		if (point.value === null)
			found.push([]);
		else
			found.at(-1).push(point);
	return found.filter((run) => run.length);
}

function grid(top, begin, end, y) {
	const lines = [];
	for (let i = 0; i <= 2; i++) {
		const value = (top * i) / 2;
		lines.push(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
		lines.push(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
	}
	for (let i = 0; i <= 4; i++) {
		const anchor = i === 0 ? "start" : i === 4 ? "end" : "middle";
		const x = LEFT + ((WIDTH - LEFT - RIGHT) * i) / 4;
		lines.push(svg("text", { x, y: HEIGHT - 6, "text-anchor": anchor }, clock(begin + ((end - begin) * i) / 4, end - begin < 600000)));
	}
	return lines;
}

function drawing(points, title) {
	const begin = points[0].time, end = Math.max(points.at(-1).time, begin + 1000);
	const values = points.map((p) => p.value).filter((v) => v !== null);
	const top = ceiling(Math.max(0, ...values));
	const x = (t) => LEFT + ((t - begin) / (end - begin)) * (WIDTH - LEFT - RIGHT);
	const y = (v) => TOP + (1 - v / top) * (HEIGHT - TOP - BOTTOM);
	const at = (p) => `${x(p.time).toFixed(1)},${y(p.value).toFixed(1)}`;
	const lines = runs(points).flatMap((run) => [
		svg("path", { class: "area",
			d: `M${x(run[0].time).toFixed(1)},${y(0)}L${run.map(at).join("L")}L${x(run.at(-1).time).toFixed(1)},${y(0)}Z` }),
		svg("path", { class: "line", d: `M${run.map(at).join("L")}` }),
		svg("circle", { class: "dot", cx: x(run.at(-1).time), cy: y(run.at(-1).value), r: 2.5 }),
	]);
	const label = `${title}: now ${short(values.at(-1))}, at most ${short(Math.max(...values))}`;
	return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, grid(top, begin, end, y), lines);
}

// points: [{time in ms, value or null}], in order of time.
export function plot(title, points) {
	const values = points.filter((p) => p.value !== null);
	return h("figure", { class: "plot" },
		h("figcaption", {}, h("span", {}, title), h("b", {}, values.length ? short(values.at(-1).value) : "–")),
		values.length ? drawing(points, title) : h("p", { class: "quiet" }, "No figures yet: the first come within a minute or two."));
}

// Points of a figure of the samples; of a counter, its growth each second, and a gap where it began anew.
export function level(samples, key) {
	return samples.map((s) => ({ time: Date.parse(s.time), value: s[key] }));
}

export function rate(samples, key) {
	return samples.slice(1).map((s, i) => {
		const before = samples[i], seconds = (Date.parse(s.time) - Date.parse(before.time)) / 1000;
		const known = s[key] !== null && before[key] !== null && s[key] >= before[key] && seconds > 0;
		return { time: Date.parse(s.time), value: known ? (s[key] - before[key]) / seconds : null };
	});
}
