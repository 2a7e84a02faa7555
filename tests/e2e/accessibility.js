// SPDX-License-Identifier: BSD-2-Clause
// What keeps people who do not see the page, or who use no mouse, from using it: a text for each fault of the page as
// it stands. Evaluates to a function without arguments.
(() => {
	const ROLES = ["alert", "cell", "columnheader", "img", "region", "row", "rowgroup", "status", "table"];
	const ARIA = ["aria-current", "aria-disabled", "aria-label"];
	const faults = [];
	const tell = (rule, element) => faults.push(`${rule}: ${element.outerHTML?.slice(0, 160) ?? element}`);
	const all = (selector) => [...document.querySelectorAll(selector)];
	const isSeen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
	const seen = (selector) => all(selector).filter(isSeen);

	function name(e) {
		const label = e.id ? document.querySelector(`label[for="${CSS.escape(e.id)}"]`) : null;
		return (e.getAttribute("aria-label") ?? label?.textContent ?? e.closest("label")?.textContent ??
			(e.matches("a, button, h1, h2, h3") ? e.textContent : "") ?? "").trim() || [...e.querySelectorAll("img")].map((i) => i.alt).join("").trim();
	}

	function page() {
		if (!/^[a-z]{2}$/.test(document.documentElement.lang))
			tell("lang", document.documentElement.tagName);
		if (!/^\S.* - detnat desk$/.test(document.title))
			tell("title", document.title);
		if (/user-scalable\s*=\s*no|maximum-scale/.test(document.querySelector("meta[name=viewport]")?.content ?? "user-scalable=no"))
			tell("viewport", "meta");
		for (const [selector, n] of [["main", 1], ["body > header", 1], ["body > footer", 1], ["nav[aria-label]", 1], ["h1", 1]])
			if (seen(selector).length !== n)
				tell(`one ${selector}`, `${seen(selector).length}`);
		if (document.querySelector("a.skip")?.getAttribute("href") !== "#main" || !document.getElementById("main"))
			tell("skip link", "a.skip");
		for (const [id, role] of [["said", "status"], ["fault", "alert"]])
			if (document.getElementById(id)?.getAttribute("role") !== role)
				tell("live region", id);
		const ids = all("[id]").map((e) => e.id);
		for (const id of ids.filter((id, i) => ids.indexOf(id) !== i))
			tell("id is there twice", id);
	}

	function structure() {
		let level = 0;
		for (const e of seen("h1, h2, h3, h4, h5, h6")) {
			const at = Number(e.tagName[1]);
			if (at > level + 1 || !e.textContent.trim())
				tell("heading", e);
			level = at;
		}
		for (const e of seen("body *"))
			if (!e.closest("header, main, footer, a.skip, [role=alert], [role=status]") && e.textContent.trim())
				tell("outside of all landmarks", e);
		for (const e of seen("ul, ol"))
			if (!e.children.length || [...e.children].some((c) => c.tagName !== "LI"))
				tell("list", e);
		for (const e of seen("dl"))
			if ([...e.children].some((c) => c.tagName !== "DIV" || [...c.children].map((d) => d.tagName).join() !== "DT,DD"))
				tell("terms", e);
		for (const e of all("table"))
			if (!e.caption?.textContent.trim() || [...e.querySelectorAll("thead th")].some((c) => c.scope !== "col" || !c.textContent.trim()))
				tell("table", e);
	}

	function names() {
		for (const e of seen("input, textarea, select, meter, button, a, [role=region], [role=img], nav"))
			if (!name(e))
				tell("without a name", e);
		for (const e of seen("a"))
			if (!e.getAttribute("href"))
				tell("link to nowhere", e);
		for (const e of all("img"))
			if (!e.hasAttribute("alt"))
				tell("alt", e);
		for (const e of seen("svg"))
			if (e.getAttribute("role") !== "img")
				tell("role of a drawing", e);
		for (const e of all("*"))
			for (const { name: attribute, value } of e.attributes)
				if ((attribute.startsWith("aria-") && (!ARIA.includes(attribute) || !value.trim())) || (attribute === "role" && !ROLES.includes(value)) ||
					(attribute === "tabindex" && Number(value) > 0) || attribute === "accesskey" || attribute === "autofocus")
					tell(attribute, e);
	}

	// ---- Contrast

	const channels = (text) => {
		const [r, g, b, a = 1] = (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
		return text === "none" ? [0, 0, 0, 0] : [r, g, b, a];
	};
	const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
	const linear = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
	const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

	function contrast(a, b) {
		const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
		return (high + 0.05) / (low + 0.05);
	}

	function behind(e) {
		const layers = [];
		for (let at = e; at; at = at.parentElement)
			layers.push(channels(getComputedStyle(at).backgroundColor));
		const below = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
		return layers.reverse().reduce((under, layer) => over(layer, under), below);
	}

	function contrasts() {
		const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		for (let node = walker.nextNode(); node; node = walker.nextNode()) {
			const e = node.parentElement;
			if (!node.data.trim() || !isSeen(e) || e.closest("script, style, title, option, [aria-disabled], caption, #said, a.skip"))
				continue;
			const style = getComputedStyle(e), drawn = e.closest("svg"), ink = channels(drawn ? style.fill : style.color);
			const bar = drawn ? e.parentElement.querySelector(":scope > rect") : null, page = behind(drawn ? drawn.parentElement : e);
			const grounds = [page, ...(bar ? [over(channels(getComputedStyle(bar).fill), page)] : [])];
			const least = Math.min(...grounds.map((ground) => contrast(over(ink, ground), ground)));
			const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
			if (least < (large ? 3 : 4.5))
				tell(`contrast ${least.toFixed(2)}`, e);
		}
		for (const e of seen("input:placeholder-shown, textarea:placeholder-shown"))
			if (contrast(over(channels(getComputedStyle(e, "::placeholder").color), behind(e)), behind(e)) < 4.5)
				tell("contrast of the placeholder", e);
	}

	// ---- Keyboard

	function keyboard() {
		const before = document.activeElement, reached = seen("a[href], button, input, textarea, select, [tabindex='0']");
		for (const e of seen("main *"))
			if (/auto|scroll/.test(getComputedStyle(e).overflowX + getComputedStyle(e).overflowY) && e.tagName !== "TEXTAREA" &&
				(e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) && !e.matches("[tabindex]") && !e.querySelector("a, button"))
				tell("cannot be scrolled by keys", e);
		for (const e of all("[onclick]"))
			if (!reached.includes(e))
				tell("cannot be reached by keys", e);
		for (const e of reached) {
			e.focus({ focusVisible: true, preventScroll: true });
			const style = getComputedStyle(e);
			if (document.activeElement !== e || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2 ||
				contrast(channels(style.outlineColor), behind(e.parentElement)) < 3)
				tell("focus is not seen", e);
		}
		(before ?? document.body).focus({ preventScroll: true });
	}

	return () => {
		page(), structure(), names(), contrasts(), keyboard();
		return faults;
	};
})()
