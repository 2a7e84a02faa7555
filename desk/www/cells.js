// SPDX-License-Identifier: BSD-2-Clause
// The outside addresses as a map of cells, coloured by the share of their ports that sessions take.
import { api, count, h } from "./dom.js";

const PORTS = 64512;
const STEPS = [[0, "none"], [0.01, "below 1 %"], [0.1, "below 10 %"], [0.25, "below 25 %"], [0.5, "below 50 %"],
	[Infinity, "50 % or more"]];
const OTHER = { spare: "spare", "out of use": "out of use", draining: "draining" };
// A pool with up to so many addresses has a cell for each.
const SINGLE = 4096;

const share = (row) => row.sessions / row.addresses / PORTS;

export function step(row) {
	return row.sessions ? STEPS.findIndex(([limit], i) => i && share(row) < limit) : 0;
}

function addresses(row) {
	return row.addresses > 1 ? `${row.addr} to ${row.last}, ${count(row.addresses)} addresses` : row.addr;
}

// whole: with the whole address, where the cells beside it are of others.
function cell(row, whole) {
	const text = `${addresses(row)}: ${row.state}, ${count(row.subscribers)} subscribers, ${count(row.sessions)} sessions, ` +
		`${(share(row) * 100).toFixed(1)} % of the ports`;
	return h("li", { class: `cell step${step(row)}${row.addresses > 1 || whole ? " range" : ""}`, "data-state": row.state, title: text,
		tabindex: "0", "aria-label": text }, row.addresses > 1 ? `${row.addr} …` : whole ? row.addr : row.addr.split(".").pop());
}

function legend() {
	return h("p", { class: "legend" }, "Sessions, as a share of the 64,512 ports of an address: ",
		STEPS.map(([, text], i) => h("span", {}, h("i", { class: `cell step${i}` }), text)),
		Object.entries(OTHER).map(([state, text]) => h("span", {}, h("i", { class: "cell step0", "data-state": state }), text)));
}

const SINGLES = "Single addresses";

// The rows by outside prefix, in their order; pools of one address have a group together.
function byPool(rows) {
	const pools = new Map();
	for (const row of rows) {
		const name = row.out.includes("/") && !row.out.endsWith("/32") ? row.out : SINGLES;
		pools.set(name, [...(pools.get(name) ?? []), row]);
	}
	return pools;
}

// Of a pool that comes in ranges, each address; a very large one stays in ranges.
async function single(out, rows) {
	const n = rows.reduce((sum, row) => sum + row.addresses, 0);
	if (rows.length === n || n > SINGLE || !/^[0-9.]+\/[0-9]+$/.test(out))
		return rows;
	return (await api(`pools/${out}`)).filter((row) => row.out === out);
}

export async function cells(rows) {
	const pools = await Promise.all([...byPool(rows)].map(async ([out, some]) => [out, await single(out, some)]));
	return [legend(), ...pools.map(([out, some]) => h("div", { class: "pool" },
		h("h3", {}, out, h("small", {}, ` ${count(some.reduce((sum, row) => sum + row.sessions, 0))} sessions`)),
		h("ul", { class: "cells" }, some.map((row) => cell(row, out === SINGLES)))))];
}
