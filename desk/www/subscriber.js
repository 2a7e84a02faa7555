// SPDX-License-Identifier: BSD-2-Clause
// A subscriber: the diagnosis of detnatctl explain, and a plot of the sessions while the page is open.
import { api, busy, count, duration, facts, h, moveTo, pathOf, plain, say, section } from "./dom.js";
import { customer } from "./lookup.js";
import { plot } from "./plot.js";

const SECONDS = 3, KEPT = 1200;

function findings(list) {
	if (!list.length)
		return h("p", { class: "good", role: "status" }, "Nothing found that keeps this subscriber's packets back.");
	return h("ul", { class: "troubles", role: "status" }, list.map((f) => h("li", {},
		h("b", {}, f.drops ? "Dropped: " : "Note: "), plain(f.text), f.advice ? h("div", {}, `To do: ${plain(f.advice)}`) : null)));
}

function bar(label, used, all) {
	return h("p", { class: "bar" }, h("span", {}, `${label}: ${count(used)} of ${count(all)}`),
		h("meter", { min: 0, max: all || 1, high: all * 0.8, value: used, "aria-label": label }));
}

function way(name, w) {
	return w ? [name, [w.interface && `by ${w.interface}`, w.next_hop && `next hop ${w.next_hop}`, w.neighbour && `neighbour ${w.neighbour}`]
		.filter(Boolean).join(", ")] : [name, null];
}

const ago = (seconds) => (seconds === null ? null : `${duration(seconds)} ago`);

function subscriber(answer) {
	const s = answer.subscriber, m = answer.mapping;
	return [facts([
		s.in_prefix ? ["Inside prefix", s.in_prefix] : ["Inside address", s.in_addr],
		["Hosts with sessions", s.hosts && `${count(s.hosts.length)} of ${count(s.hosts_per_subscriber)}`],
		["Tenant", m && m.tenant],
		["Outside address", s.out_addr],
		["Outside ports", `${s.port_lo} to ${s.port_hi}`],
		["Mapping", m && `${m.in} to ${m.out}`],
		["Sharing ratio", m && count(m.sharing_ratio)],
		["Type of NAT", s.nat_type],
		["Refused by the quota", count(s.quota_exceeded)],
		["Last refusal by the quota", ago(s.last_quota_refusal)],
		["Last refusal for want of ports", ago(s.last_ports_refusal)],
		way("Way in", answer.way_in),
		way("Way out", answer.way_out),
	]),
	h("div", { class: "bars" }, bar("Sessions", s.sessions, s.quota), bar("Ports in use", s.ports_used, s.ports),
		bar("TCP", s.tcp, s.quota), bar("UDP", s.udp, s.quota), bar("ICMP", s.icmp, s.quota))];
}

// Of an address of several tenants the gateway names them: a link to each.
function choice(addr, message) {
	const names = [...message.matchAll(/\bof ([\w.-]+)/g)].map((found) => found[1]);
	return h("p", { role: "status" }, `${addr} is an address of several tenants: `,
		names.map((name) => h("a", { href: pathOf(addr, name) }, `${name} `)));
}

// Who has the address now. It is asked on a click, as each question leaves a line.
function customerOf(place, me, tell, endpoint) {
	const button = h("button", { type: "button", id: "whose" }, "Name the customer");
	button.addEventListener("click", () => busy(button, async () => {
		const [row] = await api("who", `${new Date().toISOString().slice(0, 19)}Z ${endpoint()}`);
		const named = customer(row) ?? h("p", {}, "The desk has no records of who has which address.");
		place.replaceChildren(section("Customer", h("p", {}, "At this time the address belongs to:"), named));
		moveTo(place.querySelector("h2"));
		say(place.textContent);
	}, tell));
	place.replaceChildren(me.look_up ? button : "");
}

export function show(main, { match, me, tell }) {
	const addr = match[1], tenant = match[2], facts_ = h("div", { id: "subscriber" }), found = h("div", { id: "findings" }), past = h("div", { id: "sessions" });
	const points = [], whose = h("div", { id: "customer" });
	let endpoint = null;
	main.replaceChildren(h("h1", {}, `Subscriber ${addr}${tenant ? ` of ${tenant}` : ""}`), found, facts_, whose, section("Sessions while this page is open", past));
	return { seconds: SECONDS, update: async () => {
		let answer;
		try {
			answer = await api(`explain/${addr}${tenant ? `/${tenant}` : ""}`);
		} catch (error) {
			if (!error.message.includes("--tenant"))
				throw error;
			found.replaceChildren(choice(addr, error.message));
			return;
		}
		found.replaceChildren(findings(answer.findings));
		if (!answer.subscriber)
			return;
		if (!endpoint)
			customerOf(whose, me, tell, () => endpoint);
		endpoint = `${answer.subscriber.out_addr}:${answer.subscriber.port_lo}`;
		points.push({ time: Date.now(), value: answer.subscriber.sessions });
		points.splice(0, points.length - KEPT);
		facts_.replaceChildren(...subscriber(answer));
		past.replaceChildren(plot("Sessions", points));
	} };
}
