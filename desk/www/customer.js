// SPDX-License-Identifier: BSD-2-Clause
// A customer: the addresses and ports that the records say he had.
import { api, busy, count, h, insideOf, moveTo, nameOf, pathOf, quoted, say, section, table, when } from "./dom.js";

const SHOWN = 1000;
const BY = { id: "name", circuit: "circuit", mac: "MAC address" };

const ports = (row) => (row.out_addr ? `${row.out_addr} ports ${row.port_lo} to ${row.port_hi}` : "no mapping");

// An address of IPv6 without a mapping may be of no subscriber.
function inside(row, me) {
	return me.subscribers && (row.in_addr || row.out_addr) ? h("a", { href: pathOf(insideOf(row), row.tenant) }, nameOf(row)) : nameOf(row);
}

function showRows(place, rows, name, me) {
	const text = rows.length ? `${count(rows.length)} ${rows.length === 1 ? "row" : "rows"}.` : "Nobody of this name, circuit or MAC address is in the records.";
	place.replaceChildren(section("Addresses",
		h("p", {}, quoted(name), `: ${text}`),
		rows.length ? table("Addresses of the customer", ["From (UTC)", "To (UTC)", "Inside", "Outside", "Found by"],
			rows.slice(0, SHOWN).map((row) => [row.from ? when(row.from) : "not known", row.to ? when(row.to) : "as far as is known",
				inside(row, me), ports(row), BY[row.by] ?? row.by])) : null,
		rows.length > SHOWN ? h("p", { class: "quiet" }, `The first ${SHOWN} of ${count(rows.length)}.`) : null));
	moveTo(place.querySelector("h2"));
	say(text);
}

export function show(main, { me, tell }) {
	const place = h("div"), button = h("button", { class: "main", id: "find" }, "Find the addresses");
	const field = h("input", { id: "customer", required: true, maxlength: 255, size: 30, autocomplete: "off", spellcheck: "false" });
	main.replaceChildren(h("h1", {}, "What did a customer have?"),
		h("form", { onsubmit: (event) => {
			event.preventDefault();
			busy(button, async () => showRows(place, await api("customer", field.value.trim()), field.value.trim(), me), tell);
		} },
		h("p", { class: "buttons" }, h("label", { for: "customer" }, "Name, circuit or MAC address, exactly as it is recorded"), field, button)), place);
	field.focus();
	return {};
}
