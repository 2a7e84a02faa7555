// SPDX-License-Identifier: BSD-2-Clause
// Begins the page: asks for the rights, picks the view of the path, and keeps it up to date.
import { api, pathOf, plain, shown } from "./dom.js";

// The path, its module, and the title of its page.
const VIEWS = [
	[/^\/(lookup)?$/, "lookup", () => "Look up"],
	[/^\/state$/, "state", () => "State"],
	[/^\/customer$/, "customer", () => "Customer"],
	[/^\/history$/, "history", () => "History"],
	[/^\/subscriber\/([0-9.]+|[0-9A-Fa-f:]+)(?:\/([\w.-]+))?$/, "subscriber", ([, addr, tenant]) => `Subscriber ${addr}${tenant ? ` of ${tenant}` : ""}`],
];

function tell(error) {
	const fault = document.getElementById("fault");
	fault.hidden = !error;
	fault.textContent = error ? shown(plain(error.message)) : "";
}

function greet(me) {
	document.getElementById("user").textContent = shown(me.user);
	for (const element of document.querySelectorAll("[data-right]"))
		element.hidden = !me[element.dataset.right];
	for (const link of document.querySelectorAll("nav a"))
		if (link.getAttribute("href") === location.pathname)
			link.setAttribute("aria-current", "page");
	document.getElementById("jump").addEventListener("submit", (event) => {
		event.preventDefault();
		// "100.64.0.2", "100.64.0.2 of ispA", or "2001:db8:4000:1200::/56".
		const [addr, tenant] = event.target.address.value.trim().split(/\s+(?:of\s+)?/);
		location.assign(pathOf(addr, tenant));
	});
}

// Calls it again and again while the page is seen; a failure is told and tried again.
async function repeat(update, seconds) {
	for (;;) {
		if (document.visibilityState === "visible")
			try {
				await update();
				tell(null);
			} catch (error) {
				tell(error);
			}
		await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
	}
}

async function begin() {
	const [pattern, name, title] = VIEWS.find(([form]) => form.test(location.pathname)), match = location.pathname.match(pattern);
	const main = document.getElementById("main");
	document.title = `${title(match)} - detnat desk`;
	try {
		const [me, view] = await Promise.all([api("me"), import(`./${name}.js`)]);
		if (name === "lookup" && !me.look_up)
			return location.replace("/state");
		greet(me);
		const { update, seconds } = await view.show(main, { me, tell, match });
		if (update)
			repeat(update, seconds);
	} catch (error) {
		tell(error);
	}
}

begin();
