/*
 * test_timelines.js - one recording of a real program in every format: the sums agree, and what speedscope and Firefox
 * Profiler show is what is in the files.
 *
 * speedscope's own page is opened in Chromium, Firefox Profiler's code by its command.  Both are packages of npm,
 * pinned in package-lock.json.  Pictures stay in build/tests/viewers.
 */
"use strict";
const assert = require("node:assert");
const { execFileSync, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test, main } = require("./suite.js");

const { TEST_PYTHON, LIBMONPROF, MONPROF_CLI, VIEWERS } = process.env;
const project = path.resolve(__dirname, "../..");
const pictures = path.join(project, "build/tests/viewers");
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "monprof-timelines-"));
const home = path.join(scratch, "home");
const FORMATS = { collapsed: ".collapsed", speedscope: ".speedscope.json", gecko: ".gecko.json", cpuprofile: ".cpuprofile", json: ".json", flamegraph: ".html" };
const TALL = { width: 1366, height: 3000 }; // its table has only the rows that are seen

const add = (sum, value) => sum + value;
const read = name => fs.readFileSync(path.join(scratch, name), "utf8");
const parse = format => JSON.parse(read("hostile.cpu" + FORMATS[format]));

function record() {
	const { PATH } = process.env;
	fs.mkdirSync(home);
	execFileSync(TEST_PYTHON, [path.join(project, "tests/programs/hostile.py")], {
		cwd: scratch, env: { PATH, HOME: scratch, LD_PRELOAD: LIBMONPROF, MONPROF_CPU_HZ: "200", MONPROF_CALLS_RATE: "50%",
			MONPROF_EXPORT: "none", MONPROF_OUTPUT: "hostile" },
	});
	execFileSync(MONPROF_CLI, ["export", "-f", "pprof," + Object.keys(FORMATS).join(","), "hostile.monprof"], { cwd: scratch, env: { PATH } });
}

// Sums of the first metric, each from what the format itself says.
const SUMS = {
	json: file => file.samples.filter(({ metric }) => metric == 0).map(({ value }) => value).reduce(add, 0),
	collapsed: text => text.trim().split("\n").map(line => Number(line.slice(line.lastIndexOf(" ")))).reduce(add, 0),
	speedscope: file => file.profiles.filter(({ name }) => name.endsWith(file.profiles[0].name.split(": ").pop()))
		.map(({ weights }) => weights.reduce(add, 0)).reduce(add, 0),
	gecko: file => file.threads.map(({ samples }) => samples.weight.map(value => samples.weightType == "tracing-ms" ? Math.round(value * 1e6) : value).reduce(add, 0)).reduce(add, 0),
	flamegraph: text => {
		const data = JSON.parse(text.match(/<script type="application\/json" id="data">([^]*?)<\/script>/)[1]), stride = 2 + data.columns.length;
		return data.cells.filter((_, i) => i % stride == 2).reduce(add, 0);
	},
};

for (const measurement of ["cpu", "calls"])
	test("the sums of " + measurement + " agree in all formats", () => {
		const sums = Object.entries(SUMS).map(([format, of]) => {
			const text = read("hostile." + measurement + FORMATS[format]);
			return [format, of(FORMATS[format].endsWith("json") ? JSON.parse(text) : text)];
		});
		assert.ok(sums[0][1] > 0);
		for (const [format, sum] of sums)
			assert.strictEqual(sum, sums[0][1], format);
	});

test("speedscope's totals are the file's", async ({ open }) => {
	const release = path.join(VIEWERS, "node_modules/speedscope/dist/release/index.html"), script = path.join(scratch, "load.js");
	const text = read("hostile.cpu.speedscope.json"), file = JSON.parse(text), profile = file.profiles[file.activeProfileIndex];
	fs.writeFileSync(script, `speedscope.loadFileFromBase64("hostile.speedscope.json", ${JSON.stringify(Buffer.from(text).toString("base64"))})`);
	const page = await open(release + "#view=sandwich&localProfilePath=" + script, TALL);
	assert.ok(await page.until("/Symbol Name/.test(document.body.innerText)", 30000), "it shows no table");
	const table = await page.evaluate("document.body.innerText");
	assert.ok(!/Something went wrong/.test(table), table);
	assert.ok(table.includes(profile.name), "it opens the busiest thread: " + table.slice(0, 200));
	const total = profile.weights.reduce(add, 0), spin = file.shared.frames.findIndex(({ name }) => name == "hostile.spin");
	const inSpin = profile.samples.map((stack, i) => stack.includes(spin) ? profile.weights[i] : 0).reduce(add, 0);
	const row = table.match(/\((\d+(?:\.\d+)?)%\)\s+[\d.]+\w+ \([\d.<]+%\)\s+hostile\.spin\n/);
	assert.ok(row, table);
	assert.ok(Math.abs(Number(row[1]) - 100 * inSpin / total) < 1, `${row[1]} % is shown, it is ${100 * inSpin / total} %`);
	for (const name of ["a;b 12.a;b 12", "\"quoted\" 'twice' \\.\"quoted\" 'twice' \\", "caf\u00e9 \u{1f40d}.caf\u00e9 \u{1f40d}"])
		assert.ok(table.includes(name), name + " is not in " + table);
	assert.ok(!await page.evaluate("window.escaped"), "a name was run");
	await page.screenshot(path.join(pictures, "speedscope.png"));
	await page.close();
});

test("speedscope reads the cpuprofile, too", async ({ open }) => {
	const release = path.join(VIEWERS, "node_modules/speedscope/dist/release/index.html"), script = path.join(scratch, "load2.js");
	const text = read("hostile.cpu.cpuprofile"), file = JSON.parse(text);
	fs.writeFileSync(script, `speedscope.loadFileFromBase64("hostile.cpuprofile", ${JSON.stringify(Buffer.from(text).toString("base64"))})`);
	const page = await open(release + "#view=sandwich&localProfilePath=" + script, TALL);
	assert.ok(await page.until("/Symbol Name/.test(document.body.innerText)", 30000), "it shows no table");
	const table = await page.evaluate("document.body.innerText"), total = SUMS.json(parse("json"));
	assert.ok(Math.abs(file.timeDeltas.reduce(add, 0) * 1000 - total) < 1000, "a microsecond");
	assert.ok(/hostile\.spin\n/.test(table), table);
	await page.close();
});

function firefox(...words) {
	const command = path.join(VIEWERS, "node_modules/.bin/profiler-cli");
	const { stdout, stderr } = spawnSync(process.execPath, [command, ...words], { encoding: "utf8", env: { PATH: process.env.PATH, HOME: home }, timeout: 60000 });
	return stdout + stderr;
}

// Its daemon goes on starting when the command has given up waiting for it, after half a second.
function firefoxLoad(file) {
	const said = firefox("load", file), end = Date.now() + 60000;
	let selected = firefox("thread", "select", "t-0");
	for (; /did not become ready/.test(said) && /Error|No active/.test(selected) && Date.now() < end; selected = firefox("thread", "select", "t-0"))
		;
	assert.ok(/Selected thread/.test(selected), said + selected);
}

test("Firefox Profiler's totals are the file's", () => {
	const file = parse("gecko");
	try {
		firefoxLoad(path.join(scratch, "hostile.cpu.gecko.json"));
		file.threads.forEach((thread, i) => {
			firefox("thread", "select", "t-" + i);
			const tree = JSON.parse(firefox("thread", "samples-top-down", "--json", "--include-idle"));
			const sum = thread.samples.weight.reduce(add, 0);
			assert.strictEqual(tree.weightType, "tracing-ms");
			assert.ok(Math.abs(tree.regularCallTree.totalSamples - sum) < 1e-3, `${tree.regularCallTree.totalSamples} ms of ${thread.name}, ${sum} in the file`);
		});
	} finally {
		firefox("stop", "--all");
	}
});

for (const measurement of ["cpu", "calls"])
	test("Firefox Profiler's counters, markers and threads' ends of " + measurement + " are the file's", () => {
		const name = "hostile." + measurement + ".gecko.json", file = JSON.parse(read(name)), ask = (...words) => JSON.parse(firefox(...words, "--json"));
		const near = (a, b) => Math.abs(a - b) < 1e-3;
		try {
			firefoxLoad(path.join(scratch, name));
			assert.strictEqual(ask("counter", "list").counters.length, file.counters.length);
			file.counters.forEach((counter, i) => {
				const shown = ask("counter", "info", "c-" + i), sum = counter.samples.count.reduce(add, 0);
				const weights = file.threads.filter(({ pid }) => pid == counter.pid).flatMap(({ samples }) => samples.weight).reduce(add, 0);
				assert.strictEqual(shown.label, measurement == "cpu" ? "cpu (ms)" : "calls");
				assert.strictEqual(shown.pid, counter.pid);
				assert.strictEqual(shown.sampleCount, counter.samples.length);
				assert.ok(near(sum, weights), `${sum} in its counter, ${weights} in its samples`);
				assert.ok(near(shown.overTime.map(({ value }) => value).reduce(add, 0), sum), JSON.stringify(shown.overTime));
			});
			file.threads.forEach((thread, i) => {
				firefox("thread", "select", "t-" + i);
				const { endedAt, context } = ask("thread", "info"), marked = ask("thread", "markers", "--list", "--limit", "0").flatMarkers ?? [];
				const { markers, samples } = thread, values = markers.data.map(({ value }) => value);
				assert.ok(thread.unregisterTime == null ? endedAt == null : near(endedAt, thread.unregisterTime), String(endedAt));
				assert.deepStrictEqual(marked.map(({ fields }) => fields[0].value), values);
				assert.ok(marked.every(({ name, start }, j) => name == "Window of observation" && near(start, markers.startTime[j] - context.rootRange.start)));
				assert.strictEqual(values.reduce(add, 0), measurement == "calls" ? samples.weight.reduce(add, 0) : 0);
			});
			if (measurement == "cpu")
				assert.ok(file.threads.some(({ unregisterTime }) => unregisterTime != null), "no thread has ended");
		} finally {
			firefox("stop", "--all");
		}
	});

main(async browser => {
	record();
	fs.mkdirSync(pictures, { recursive: true });
	return {
		each: run => run({ open: (at, size) => browser.page("file://" + at, size) }),
		end: () => fs.rmSync(scratch, { recursive: true }),
	};
});
