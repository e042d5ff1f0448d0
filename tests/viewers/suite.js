/*
 * suite.js - tests in a browser, one after the other; the last line is what tests/run counts.
 *
 *   test(name, run) ...     main(begin): begin(browser) -> { each(run), end() }; each calls run with what a test gets
 */
"use strict";
const chromium = require("./chromium.js");
const tests = [];

exports.test = (name, run) => tests.push({ name, run });

async function main(begin) {
	const browser = await chromium.open(chromium.find());
	let passed = 0, failed = 0;
	try {
		const { each, end } = await begin(browser);
		for (const { name, run } of tests) {
			try {
				await each(run);
				passed++;
				console.log("ok   " + name);
			} catch (error) {
				failed++;
				console.log("FAIL " + name + "\n" + error.stack);
			}
		}
		await end?.();
	} finally {
		await browser.close();
	}
	console.log(`${passed} passed, ${failed} failed`);
	process.exitCode = failed ? 1 : 0;
}

exports.main = begin => main(begin).catch(error => {
	console.log(error.stack + "\n0 passed, 1 failed");
	process.exit(1);
});
