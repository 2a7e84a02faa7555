// SPDX-License-Identifier: BSD-2-Clause
// The state of the gateway: troubles first, then its figures, pools, the last day, refusals, interfaces and peers.
import { api, count, duration, facts, h, plain, section, short, table, when, word } from "./dom.js";
import { cells } from "./cells.js";
import { level, plot, rate } from "./plot.js";

const SECONDS = 5;
const TRANSLATED = /_translated$/;

const words = (name) => name.replaceAll("_", " ");

function troubles(status) {
	if (!status.troubles.length)
		return h("p", { class: "good", role: "status" }, "No troubles.");
	return h("ul", { class: "troubles", role: "status" }, status.troubles.map((t) =>
		h("li", {}, h("b", {}, words(t.what)), ` since ${when(t.since)}: ${plain(t.text)}`)));
}

const translated = (stats) => Object.entries(stats.counters).filter(([name]) => TRANSLATED.test(name)).reduce((sum, [, n]) => sum + n, 0);

const bits = (stats) => Object.values(stats.octets).reduce((sum, n) => sum + 8 * n, 0);

// Growth of a figure each second since the last look; null at the first, or where the counters began anew.
function growthRate(figure, last, stats, now) {
	const growth = last ? figure(stats) - figure(last.stats) : -1;
	return growth < 0 ? null : short(growth / ((now - last.at) / 1000));
}

function figures(status, pools, packetRate, bitRate) {
	return facts([
		["Sessions", count(status.sessions)],
		["Packets a second", packetRate ?? "…"],
		["Bits a second", bitRate ?? "…"],
		["Mappings", count(status.mappings)],
		["Outside addresses", count(pools.reduce((sum, row) => sum + row.addresses, 0))],
		["Running for", duration(status.uptime)],
		["Forwarding", status.forwarding_reason ? `${status.forwarding}: ${plain(status.forwarding_reason)}` : status.forwarding],
		["Guard", status.guard.active ? "active" : plain(status.guard.reason)],
		["Version", status.version],
	]);
}

function day(samples) {
	return [plot("Sessions", level(samples, "sessions")), plot("Sessions opened a second", rate(samples, "opened")),
		plot("Packets translated a second", rate(samples, "translated")),
		plot("Bits translated a second", rate(samples, "octets").map((p) => ({ ...p, value: p.value === null ? null : 8 * p.value }))),
		plot("Packets refused a second: quota, ports, overflow", rate(samples, "refused"))];
}

function refusals(stats) {
	const rows = Object.entries(stats.counters).filter(([name, n]) => name.startsWith("drop_") && n).sort((a, b) => b[1] - a[1]);
	if (!rows.length)
		return h("p", { class: "good" }, "No packet was dropped.");
	return table("Packets dropped since the start of the datapath", ["Reason", "Packets"],
		rows.map(([name, n]) => [words(name.slice(5)), count(n)]), [1]);
}

function interfaces(list) {
	return table("Interfaces", ["Name", "Role", "XDP", "Forwarding", "Problem"], list.map((i) => [
		word(i.name), i.role, i.xdp_reason ? `${i.xdp}: ${plain(i.xdp_reason)}` : i.xdp,
		i.forwarding_reason ? `${i.forwarding}: ${plain(i.forwarding_reason)}` : i.forwarding, i.problem && plain(i.problem)]));
}

function peers(list) {
	if (!list.length)
		return h("p", { class: "quiet" }, "Sessions are copied to no other gateway.");
	return table("Peers", ["Peer", "State", "Lag", "Copies", "Sent", "Received"], list.map((p) => [
		p.peer, p.reason ? `${p.state}: ${plain(p.reason)}` : p.state, p.lag_seconds === null ? null : `${p.lag_seconds} s`,
		count(p.copies), count(p.sessions_sent), count(p.sessions_received)]), [3, 4, 5]);
}

// Keeps the place of the keyboard in the cells.
function exchange(place, ...children) {
	const at = place.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label")?.split(":")[0] : null;
	place.replaceChildren(...children);
	if (at)
		[...place.querySelectorAll("[tabindex]")].find((e) => e.getAttribute("aria-label")?.split(":")[0] === at)?.focus();
}

export function show(main) {
	const places = Object.fromEntries(["troubles", "figures", "pools", "day", "drops", "interfaces", "peers"]
		.map((id) => [id, h("div", { id })]));
	let last = null;
	main.replaceChildren(h("h1", {}, "State of the gateway"), places.troubles, places.figures, section("Pools", places.pools),
		section("The last day", places.day), section("Dropped packets", places.drops), section("Interfaces", places.interfaces),
		section("Peers", places.peers));
	return { seconds: SECONDS, update: async () => {
		const [status, stats, pools, past, links, others] = await Promise.all(
			["status", "stats", "pools", "samples", "interfaces", "peers"].map((path) => api(path)));
		const now = Date.now(), map = await cells(pools);
		exchange(places.troubles, troubles(status));
		exchange(places.figures, figures(status, pools, growthRate(translated, last, stats, now), growthRate(bits, last, stats, now)));
		exchange(places.pools, ...map);
		exchange(places.day, ...day(past.samples));
		exchange(places.drops, refusals(stats));
		exchange(places.interfaces, interfaces(links));
		exchange(places.peers, peers(others));
		last = { stats, at: now };
	} };
}
