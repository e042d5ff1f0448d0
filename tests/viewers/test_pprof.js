/*
 * test_pprof.js - pprof's own pages of a real program's profile, and one profile less another.
 *
 * PPROF is the real one; it serves its pages to Chromium from this machine's own address.  Pictures stay in
 * build/tests/viewers.
 */
"use strict";
const assert = require("node:assert");
const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { test, main } = require("./suite.js");

const { TEST_PYTHON, LIBMONPROF, PPROF, PATH } = process.env;
const project = path.resolve(__dirname, "../..");
const pictures = path.join(project, "build/tests/viewers");
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), "monprof-pprof-"));
const environment = { PATH, HOME: scratch, PPROF_TMPDIR: scratch };

function record(name) {
	execFileSync(TEST_PYTHON, [path.join(project, "tests/programs/hostile.py")], {
		cwd: scratch, env: { PATH, HOME: scratch, LD_PRELOAD: LIBMONPROF, MONPROF_CPU_HZ: "200", MONPROF_COLLECT: "cpu", MONPROF_OUTPUT: name },
	});
}

const pprof = (...words) => execFileSync(PPROF, words, { cwd: scratch, env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
// What is the functions' own, all of them together. A very small share of the total is "9.1e-05%".
const own = (...words) => pprof("-top", "-unit=ns", "-nodecount=1000000", "-nodefraction=0", ...words).split("\n")
	.map(line => Number(line.match(/^\s*(-?\d+)(?:ns)?\s+-?[\d.]+(?:e-\d+)?%/)?.[1] ?? 0)).reduce((sum, value) => sum + value, 0);

// A port that was free a moment ago.
const freePort = () => new Promise(resolve => {
	const server = net.createServer().listen(0, "127.0.0.1", () => {
		const { port } = server.address();
		server.close(() => resolve(port));
	});
});

async function serve(file) {
	const address = "127.0.0.1:" + await freePort();
	const child = spawn(PPROF, ["-http=" + address, "-no_browser", file], { cwd: scratch, env: environment, stdio: "ignore" });
	const listens = () => fetch(`http://${address}/ui/top`).then(({ ok }) => ok, () => false);
	while (child.exitCode == null && !await listens())
		await new Promise(resolve => setTimeout(resolve, 20));
	assert.strictEqual(child.exitCode, null, "pprof has ended");
	return { at: `http://${address}/ui/`, close: () => child.kill() };
}

test("its flame graph has the program's functions, and no page of it complains", async ({ open }) => {
	const server = await serve("one.cpu.pb.gz");
	try {
		const page = await open(server.at + "flamegraph?si=cpu");
		assert.ok(await page.until("/hostile\\.spin/.test(document.body.textContent)", 30000), "hostile.spin is not in it");
		await page.screenshot(path.join(pictures, "pprof.png"));
		for (const part of ["top?si=cpu", "peek?si=cpu", "source?si=cpu&f=spin"]) {
			const other = await open(server.at + part);
			assert.ok(await other.until("/spin/.test(document.body.textContent)", 30000), "spin is not in " + part);
			assert.deepStrictEqual(other.said, [], part);
			await other.close();
		}
		await page.close();
	} finally {
		server.close();
	}
});

test("a profile less itself is nothing, less another what has changed", () => {
	const one = own("one.cpu.pb.gz"), other = own("other.cpu.pb.gz");
	assert.ok(one > 1e8 && other > 1e8, `${one}, ${other}`);
	assert.ok(!/hostile\./.test(pprof("-top", "-base", "one.cpu.pb.gz", "one.cpu.pb.gz")), "something is left");
	assert.strictEqual(own("-base", "one.cpu.pb.gz", "other.cpu.pb.gz"), other - one);
});

main(async browser => {
	record("one");
	record("other");
	fs.mkdirSync(pictures, { recursive: true });
	return {
		each: run => run({ open: at => browser.page(at) }),
		end: () => fs.rmSync(scratch, { recursive: true }),
	};
});
