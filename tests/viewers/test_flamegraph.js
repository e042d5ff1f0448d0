/*
 * test_flamegraph.js - the flame graph's page in a real browser, as a user has it: by keys, by the mouse, by its
 * address; what it says is held against what its data says, which is summed up here once more.
 *
 * The page is the export of a recording of tests/programs/hostile.py.  Screenshots stay in build/tests/viewers.
 */
"use strict";
const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test, main } = require("./suite.js");

const { TEST_PYTHON, LIBMONPROF, MONPROF_CLI } = process.env;
const project = path.resolve(__dirname, "../..");
const pictures = path.join(project, "build/tests/viewers");
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "monprof-page-"));
const SIZES = { laptop: { width: 1366, height: 768 }, phone: { width: 390, height: 844, isMobile: true }, wide: { width: 2560, height: 1440 } };
process.on("exit", () => fs.rmSync(scratch, { recursive: true, force: true }));
const BIG = 250000;

function record() {
	const { PATH } = process.env;
	assert.ok(TEST_PYTHON && LIBMONPROF && MONPROF_CLI, "TEST_PYTHON, LIBMONPROF and MONPROF_CLI say what is tested");
	execFileSync(TEST_PYTHON, [path.join(project, "tests/programs/hostile.py")], {
		cwd: scratch, env: { PATH, HOME: scratch, LD_PRELOAD: LIBMONPROF, MONPROF_COLLECT: "cpu",
			MONPROF_CPU_HZ: "200", MONPROF_EXPORT: "none", MONPROF_OUTPUT: "hostile" },
	});
	execFileSync(MONPROF_CLI, ["export", "-f", "flamegraph", "-o", "page.html", "hostile.monprof"], { cwd: scratch, env: { PATH } });
	return path.join(scratch, "page.html");
}

const MARK = '<script type="application/json" id="data">';

function dataOf(file) {
	const text = fs.readFileSync(file, "utf8"), begin = text.indexOf(MARK) + MARK.length;
	return JSON.parse(text.slice(begin, text.indexOf("</script>", begin)));
}

function withData(file, data, to) {
	const text = fs.readFileSync(file, "utf8"), begin = text.indexOf(MARK) + MARK.length;
	fs.writeFileSync(to, text.slice(0, begin) + JSON.stringify(data).replace(/</g, "\\u003c") + text.slice(text.indexOf("</script>", begin)));
	return to;
}

// Names from the root to the node of each cell, and its first value.
function stacksOf(data) {
	const name = frame => [data.strings[data.frames[5 * frame - 5]], data.strings[data.frames[5 * frame - 4]]].filter(Boolean).join(".");
	const stride = 2 + data.columns.length, stacks = [];
	for (let i = 0; i < data.cells.length; i += stride) {
		const names = [], files = [];
		for (let node = data.cells[i]; node; node -= data.nodes[2 * node - 2]) {
			names.unshift(name(data.nodes[2 * node - 1]));
			files.unshift(data.strings[data.frames[5 * data.nodes[2 * node - 1] - 3]]);
		}
		stacks.push({ names, files, thread: data.cells[i + 1], value: data.cells[i + 2], count: data.cells[i + 3] });
	}
	return stacks;
}

const sum = stacks => stacks.reduce((all, { value }) => all + value, 0);
const hash = page => page.evaluate("location.hash");
const text = (page, id) => page.evaluate(`document.getElementById("${id}").textContent`);
const share = shown => parseFloat(shown.match(/([\d.]+) %/)[1]);
const near = (shown, wanted) => assert.ok(Math.abs(shown - wanted) < 0.06, `${shown} % is shown, it is ${wanted} %`);

// As many frames as a long run of a large program has: stacks of 50 frames that part at random, the same each time.
function bigData(small) {
	const data = { ...small, strings: [""], frames: [], nodes: [], cells: [], threads: small.threads.slice(0, 3) };
	let seed = 1;
	const random = most => (seed = seed * 48271 % 0x7fffffff) % most;
	for (let i = 1; i <= 3000; i++) {
		data.strings.push("function_" + i);
		data.frames.push(0, i, 0, i, i % 4);
	}
	for (let node = 1; node <= BIG; node++) {
		const back = node < 50 || random(20) ? 1 : 1 + random(Math.min(node - 1, 4000));
		data.nodes.push(node % 50 == 1 ? node : back, 1 + random(3000));
		if (node % 50 == 0 || random(20) == 0)
			data.cells.push(node, 0, 1000000 * (1 + random(9)), 1);
	}
	return data;
}

test("opens in every size, light and dark, and says nothing to the console", async ({ page, data }) => {
	assert.match(await text(page, "title"), /^cpu of python3/);
	assert.match(await text(page, "subtitle"), /2 threads/);
	for (const [size, pixels] of Object.entries(SIZES)) {
		await page.resize(pixels);
		for (const scheme of ["light", "dark"]) {
			await page.prefer(scheme);
			await page.until(`document.getElementById("theme").textContent == "${scheme == "dark" ? "Light" : "Dark"}"`);
			await page.screenshot(path.join(pictures, `flamegraph-${size}-${scheme}.png`));
			assert.ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), `${size} is too wide`);
		}
	}
	assert.strictEqual(data.columns.length, 2);
});

test("shows names that break out of nothing", async ({ page, data }) => {
	assert.strictEqual(await page.evaluate("window.escaped"), undefined);
	assert.strictEqual(await page.evaluate("document.scripts.length"), 2);
	for (const part of ["a;b 12", "</script><script>window.escaped = 1</script>", "caf\u00e9 \u{1f40d}", "nul\ufffdbyte", "\"quoted\" 'twice' \\", "new\nline\rand\ttab"])
		assert.ok(data.strings.includes(part), part);
	assert.ok(data.strings.some(name => /^n{4000,}$/.test(name)), "the long name");
	assert.ok(data.strings.includes("[unnamed]"));
});

test("searches, and tells the share that matches", async ({ page, data }) => {
	const stacks = stacksOf(data), matching = stacks.filter(({ names, files }) =>
		names.some((name, i) => /encoder|a;b/i.test(name + " (" + files[i])));
	await page.press("/");
	await page.type("ENCODER|a;b");
	assert.ok(await page.until('/%/.test(document.getElementById("matched").textContent)'));
	near(share(await text(page, "matched")), 100 * sum(matching) / sum(stacks));
	assert.match(await hash(page), /search=ENCODER/);
	await page.press("Enter");
	assert.ok(await page.until('document.activeElement.id == "canvas"'));
	assert.match(await text(page, "status"), /encoder|a;b/i);
	await page.screenshot(path.join(pictures, "flamegraph-search.png"));
	await page.press("/");
	await page.type("(");
	assert.ok(await page.until('/not a regular/.test(document.getElementById("matched").textContent)'));
	assert.strictEqual(await page.evaluate('document.getElementById("search").getAttribute("aria-invalid")'), "true");
	await page.press("Escape");
	assert.strictEqual(await text(page, "matched"), "");
});

test("zooms by the mouse, goes back, and has an address for it", async ({ page, open, file }) => {
	const label = 'document.getElementById("canvas").getAttribute("aria-label")';
	const { x, y } = await page.evaluate('document.getElementById("canvas").getBoundingClientRect().toJSON()');
	const at = [await page.evaluate(label)];
	for (const row of [3, 6]) {
		await page.click(x + 100, y + row * 20 + 10);
		assert.ok(await page.until(`${label} != ${JSON.stringify(at[at.length - 1])}`), "a click zooms in");
		at.push(await page.evaluate(label));
	}
	const zoomed = await hash(page), other = await open(file + zoomed);
	assert.match(zoomed, /zoom=/);
	assert.strictEqual(await other.evaluate(label), at[2]);
	await other.close();
	assert.match(await text(page, "tip"), /total.*self.*everywhere/);
	await page.screenshot(path.join(pictures, "flamegraph-zoom.png"));
	await page.evaluate('document.getElementById("back").click()');
	assert.ok(await page.until(`${label} == ${JSON.stringify(at[1])}`), "back is one step");
	await page.press("Escape");
	assert.strictEqual(await page.evaluate(label), at[0]);
});

test("goes from frame to frame by keys", async ({ page, data }) => {
	const status = () => page.evaluate('document.querySelector("#status b").textContent');
	await page.evaluate('document.getElementById("canvas").focus()');
	await page.press("Home");
	assert.strictEqual(await status(), "all");
	const stacks = stacksOf(data), total = sum(stacks), first = {};
	for (const { names, value } of stacks)
		first[names[0]] = (first[names[0]] || 0) + value;
	const most = Object.keys(first).sort((a, b) => first[b] - first[a]);
	await page.press("ArrowDown");
	assert.strictEqual(await status(), most[0]);
	near(share(await text(page, "status")), 100 * first[most[0]] / total);
	await page.press("ArrowRight");
	assert.strictEqual(await status(), most[1]);
	await page.press("ArrowLeft");
	await page.press("ArrowDown");
	const below = await status();
	await page.press("Enter");
	assert.match(await hash(page), /zoom=\w+\.\w+/);
	await page.press("ArrowUp");
	assert.strictEqual(await status(), most[0]);
	await page.press("Backspace");
	assert.ok(await page.until('location.hash == "" || location.hash == "#"'), "not back: " + below);
});

test("turns over, and shows callers, one thread, samples", async ({ page, data }) => {
	const stacks = stacksOf(data), legend = () => text(page, "legend");
	const before = await legend();
	await page.evaluate('document.getElementById("canvas").focus()');
	await page.press("i");
	assert.match(await hash(page), /as=flame/);
	const [top, bottom] = await page.evaluate(`(() => {
		const { width, height } = canvas, column = canvas.getContext("2d").getImageData(width / 2, 0, 1, height).data;
		return [column.slice(4 * 8, 4 * 8 + 3).join(), column.slice(-4 * 8, -4 * 8 + 3).join()];
	})()`);
	assert.strictEqual(bottom, "227,230,234", "the root is at the bottom");
	assert.notStrictEqual(top, bottom);
	await page.press("i");
	await page.press("c");
	assert.match(await hash(page), /by=callers/);
	await page.evaluate('document.getElementById("canvas").focus()');
	await page.press("ArrowDown");
	const leaves = {};
	for (const { names, value } of stacks)
		leaves[names[names.length - 1]] = (leaves[names[names.length - 1]] || 0) + value;
	near(share(await text(page, "status")), 100 * Math.max(...Object.values(leaves)) / sum(stacks));
	await page.screenshot(path.join(pictures, "flamegraph-callers.png"));
	await page.press("c");
	for (const [control, value] of [["thread", stacks[0].thread], ["column", 1]]) {
		await page.evaluate(`(() => { const s = document.getElementById("${control}"); s.value = "${value}"; s.dispatchEvent(new Event("change")); })()`);
		assert.match(await hash(page), new RegExp(control + "=" + value));
	}
	const one = stacks.filter(({ thread }) => thread == stacks[0].thread).reduce((all, { count }) => all + count, 0);
	await page.press("0");
	await page.evaluate('document.getElementById("canvas").focus()');
	await page.press("Home");
	assert.match(await text(page, "status"), new RegExp(`total ${one} `));
	assert.notStrictEqual(before, "");
	await page.evaluate("history.replaceState(null, '', '#'); dispatchEvent(new PopStateEvent('popstate'))");
	assert.strictEqual(await legend(), before);
});

test("is a tree table for screen readers and keys", async ({ page, data }) => {
	const row = property => page.evaluate(`document.activeElement.${property}`);
	await page.press("t");
	assert.ok(await page.until('document.activeElement.matches("tr[aria-level]")'));
	const { nodes } = await page.send("Accessibility.getFullAXTree");
	const roles = nodes.map(({ role }) => role?.value);
	assert.ok(roles.includes("treegrid"), "no treegrid for screen readers");
	assert.ok(roles.filter(role => role == "row").length > 3);
	await page.press("End");
	await page.press("Home");
	assert.strictEqual(await row('getAttribute("aria-level")'), "1");
	assert.strictEqual(await row('getAttribute("aria-expanded")'), "true");
	await page.press("ArrowLeft");
	assert.strictEqual(await row('getAttribute("aria-expanded")'), "false");
	assert.strictEqual(await page.evaluate('document.querySelectorAll("#table tbody tr").length'), 1);
	await page.press("ArrowRight");
	await page.press("ArrowRight");
	assert.strictEqual(await row('getAttribute("aria-level")'), "2");
	assert.strictEqual(await row('getAttribute("aria-posinset")'), "1");
	const first = {};
	for (const { names, value } of stacksOf(data))
		first[names[0]] = (first[names[0]] || 0) + value;
	const most = Object.keys(first).sort((a, b) => first[b] - first[a]);
	assert.strictEqual(+await row('getAttribute("aria-setsize")'), most.length);
	assert.strictEqual(await row('querySelector("bdi").textContent'), most[0]);
	near(share(await row("textContent")), 100 * first[most[0]] / sum(stacksOf(data)));
	await page.press("ArrowRight");
	await page.screenshot(path.join(pictures, "flamegraph-table.png"));
	await page.press("Enter");
	assert.match(await hash(page), /zoom=/);
	await page.press("Backspace");
	await page.press("t");
	assert.ok(await page.until('document.activeElement.id == "canvas"'));
});

test("is light or dark as the system or the user wants, with contrast", async ({ page }) => {
	const ground = () => page.evaluate("getComputedStyle(document.body).color");
	await page.prefer("light");
	const light = await ground();
	await page.press("d");
	assert.notStrictEqual(await ground(), light);
	await page.press("d");
	assert.strictEqual(await ground(), light);
	for (const scheme of ["light", "dark"]) {
		await page.evaluate(`document.documentElement.dataset.theme = "${scheme}"`);
		const low = await page.evaluate(`(() => {
			const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true }), found = [];
			const light = name => {
				const probe = document.body.appendChild(document.createElement("i"));
				probe.style.color = "var(--" + name + ")";
				pen.fillStyle = getComputedStyle(probe).color;
				probe.remove();
				pen.fillRect(0, 0, 1, 1);
				const part = Array.from(pen.getImageData(0, 0, 1, 1).data, value => value / 255)
					.map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
				return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
			};
			for (const [ink, ...grounds] of [["text", "ground", "panel", "rest", "match", "program", "standard", "package", "c", "profiler"],
				["text", "grown", "shrunk"], ["quiet", "ground", "panel"], ["on-accent", "accent"], ["found", "panel", "ground"], ["more", "ground", "panel"]])
				for (const ground of grounds) {
					const [a, b] = [light(ink), light(ground)].sort((a, b) => b - a), ratio = (a + 0.05) / (b + 0.05);
					if (ratio < 4.5)
						found.push(ink + " on " + ground + ": " + ratio.toFixed(2));
				}
			return found.join(", ");
		})()`);
		assert.strictEqual(low, "", scheme);
	}
	await page.evaluate("delete document.documentElement.dataset.theme; localStorage.clear()");
});

test("prints, and has a table where scripts are off", async ({ page, open, file, data }) => {
	const { data: pdf } = await page.send("Page.printToPDF", { landscape: true, printBackground: true });
	assert.ok(Buffer.from(pdf, "base64").subarray(0, 4).toString() == "%PDF");
	const plain = await open("about:blank");
	await plain.send("Emulation.setScriptExecutionDisabled", { value: true });
	await plain.go("file://" + file);
	const { nodes } = await plain.send("Accessibility.getFullAXTree");
	assert.ok(!nodes.some(({ role, ignored }) => role?.value == "button" && !ignored), "buttons that do nothing");
	const shown = nodes.map(({ name }) => name?.value || "").join("\n");
	assert.match(shown, /draws a flame graph with a script/);
	assert.ok(shown.includes("spin"), "the top function is not in the table");
	await plain.screenshot(path.join(pictures, "flamegraph-noscript.png"));
	await plain.close();
	assert.ok(data.cells.length > 0);
});

test("compares two profiles, in numbers", async ({ open, file, data }) => {
	const both = structuredClone(data), stride = 2 + data.columns.length, from = data.threads.length / 3;
	both.base = { process: data.processes.length, thread: from };
	both.processes.push(...data.processes);
	both.threads.push(...data.threads);
	// The base has all that the main thread did four times, and nothing of the others.
	const main = data.threads.findIndex((value, i) => i % 3 == 2 && value == "MainThread") / 3 | 0;
	for (let i = 0; i < data.cells.length; i += stride)
		if (data.cells[i + 1] == main)
			both.cells.push(data.cells[i], from + main, 4 * data.cells[i + 2], 4 * data.cells[i + 3]);
	const stacks = stacksOf(data), was = stacks.filter(({ thread }) => thread == main);
	const isMain = ({ names }) => names[0] == "hostile.<module>";
	const grown = 100 * (sum(stacks.filter(isMain)) / sum(stacks) - sum(was.filter(isMain)) / sum(was));
	assert.ok(grown < -10, "the test has something to show");
	const page = await open(withData(file, both, path.join(scratch, "both.html")));
	await page.evaluate('document.getElementById("canvas").focus()');
	await page.press("Home");
	await page.press("ArrowDown");
	assert.match(await text(page, "status"), /hostile\.<module>.*base .*change/);
	assert.ok((await text(page, "status")).includes(`\u2212${(-grown).toFixed(1)} %`), await text(page, "status"));
	assert.match(await text(page, "legend"), /larger share/);
	await page.screenshot(path.join(pictures, "flamegraph-compare.png"));
	await page.prefer("dark");
	await page.screenshot(path.join(pictures, "flamegraph-compare-dark.png"));
	await page.prefer("light");
	await page.press("t");
	assert.ok(await page.until('document.querySelectorAll("#table tbody tr").length > 2'));
	assert.ok((await text(page, "table")).includes(`\u2212${(-grown).toFixed(1)} %`));
	await page.screenshot(path.join(pictures, "flamegraph-compare-table.png"));
	await page.evaluate('(() => { const s = document.getElementById("compare"); s.value = "base"; s.dispatchEvent(new Event("change")); })()');
	assert.match(await hash(page), /compare=base/);
	await page.press("t");
	assert.match(await text(page, "status"), /^all/);
	assert.deepStrictEqual(page.said, []);
	await page.close();
});

test("stays small with 250,000 frames", async ({ open, file, data }) => {
	const big = bigData(data), began = Date.now();
	const page = await open(withData(file, big, path.join(scratch, "big.html")));
	const opened = Date.now() - began;
	assert.match(await text(page, "title"), /^cpu of/);
	assert.ok(await page.evaluate("document.querySelectorAll('*').length < 400"), "frames are no elements");
	assert.ok(await page.evaluate("document.getElementById('canvas').height <= innerHeight"), "the canvas is what is seen");
	const stacks = stacksOf(big), matching = stacks.filter(({ names }) => names.some(name => /_7/.test(name)));
	await page.press("/");
	await page.type("_7");
	assert.ok(await page.until('/%/.test(document.getElementById("matched").textContent)'));
	near(share(await text(page, "matched")), 100 * sum(matching) / sum(stacks));
	await page.press("Escape");
	await page.press("Escape");
	await page.press("c");
	await page.screenshot(path.join(pictures, "flamegraph-big-callers.png"));
	await page.press("c");
	await page.press("t");
	await page.press("t");
	const drawing = await page.evaluate(`(() => {
		const at = performance.now(), scroller = document.getElementById("scroller");
		for (let i = 0; i < 10; i++)
			scroller.dispatchEvent(new Event("scroll"));
		return ((performance.now() - at) / 10).toFixed(1);
	})()`);
	await page.screenshot(path.join(pictures, "flamegraph-big.png"));
	assert.deepStrictEqual(page.said, []);
	console.log(`     ${BIG} frames, ${(fs.statSync(path.join(scratch, "big.html")).size / 1e6).toFixed(1)} MB: open after ${opened} ms, drawn again in ${drawing} ms`);
	await page.close();
});

main(async browser => {
	const file = record(), data = dataOf(file);
	const open = at => browser.page(/^about:/.test(at) ? at : "file://" + at, SIZES.laptop);
	fs.mkdirSync(pictures, { recursive: true });
	return {
		async each(run) {
			const page = await open(file);
			await run({ page, open, file, data });
			assert.deepStrictEqual(page.said, [], "the console");
			assert.ok(page.asked.every(url => /^(file|data):/.test(url)), "it fetched: " + page.asked);
			await page.close();
		},
	};
});
