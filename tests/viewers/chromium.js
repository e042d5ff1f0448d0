/*
 * chromium.js - a headless Chromium, driven by its own protocol over two pipes: no port, no package.
 *
 *   browser = open(executable) -> page = browser.page(url) -> page.evaluate(), page.press(), ... -> browser.close()
 *
 * Messages are JSON, each ended by a NUL (--remote-debugging-pipe: the browser reads descriptor 3, writes 4).  What
 * the page says to the console, and what it throws, is kept in page.said.
 */
"use strict";
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const FLAGS = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
	"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
	"--disable-dev-shm-usage", "--force-device-scale-factor=1"];
const KEYS = { Enter: 13, Backspace: 8, Escape: 27, Tab: 9, ArrowUp: 38, ArrowDown: 40, ArrowLeft: 37, ArrowRight: 39, Home: 36, End: 35 };

exports.find = () => ["chromium", "chromium-browser", "google-chrome"].flatMap(name =>
	process.env.PATH.split(":").map(directory => path.join(directory, name))).find(file => fs.existsSync(file));

exports.open = async executable => {
	const profile = fs.mkdtempSync(path.join(os.tmpdir(), "monprof-chromium-"));
	const child = spawn(executable, [...FLAGS, "--user-data-dir=" + profile, "about:blank"],
		{ stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], detached: true });
	const browser = new Browser(child, profile);
	await browser.send("Target.setDiscoverTargets", { discover: true });
	return browser;
};

class Browser {
	constructor(child, profile) {
		this.child = child;
		this.profile = profile;
		this.waiting = new Map();
		this.pages = new Map();
		this.count = 0;
		let rest = "";
		child.stdio[4].setEncoding("utf8");
		child.stdio[4].on("data", text => {
			const parts = (rest + text).split("\0");
			rest = parts.pop();
			parts.forEach(part => this.receive(JSON.parse(part)));
		});
		child.on("exit", () => this.waiting.forEach(({ reject }) => reject(new Error("the browser has ended"))));
	}

	send(method, params = {}, sessionId = undefined) {
		const id = ++this.count;
		this.child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
		return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject, method }));
	}

	receive({ id, result, error, method, params, sessionId }) {
		const wait = this.waiting.get(id);
		this.waiting.delete(id);
		if (wait && error)
			wait.reject(new Error(wait.method + ": " + error.message));
		else if (wait)
			wait.resolve(result);
		else if (sessionId)
			this.pages.get(sessionId)?.hear(method, params);
	}

	async page(url, size = { width: 1366, height: 768 }) {
		const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
		const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
		const page = new Page(this, sessionId, targetId);
		this.pages.set(sessionId, page);
		for (const domain of ["Page", "Runtime", "Log", "Network", "Accessibility"])
			await page.send(domain + ".enable");
		await page.resize(size);
		await page.go(url);
		return page;
	}

	async close() {
		await Promise.race([this.send("Browser.close").catch(() => 0), new Promise(done => setTimeout(done, 3000))]);
		try {
			process.kill(-this.child.pid, "SIGKILL");
		} catch {
			// it has ended
		}
		fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
	}
}

class Page {
	constructor(browser, session, target) {
		Object.assign(this, { browser, session, target, said: [], asked: [], loaded: null });
	}

	send(method, params) {
		return this.browser.send(method, params, this.session);
	}

	hear(method, params) {
		if (method == "Page.loadEventFired")
			this.loaded?.();
		else if (method == "Runtime.exceptionThrown")
			this.said.push(params.exceptionDetails.exception?.description || params.exceptionDetails.text);
		else if (method == "Runtime.consoleAPICalled")
			this.said.push(params.type + ": " + params.args.map(value => value.value).join(" "));
		else if (method == "Log.entryAdded")
			this.said.push(params.entry.level + ": " + params.entry.text);
		else if (method == "Network.requestWillBeSent")
			this.asked.push(params.request.url);
	}

	async go(url) {
		const loaded = new Promise(resolve => { this.loaded = resolve; });
		await this.send("Page.navigate", { url });
		await loaded;
	}

	async evaluate(expression) {
		const { result, exceptionDetails } = await this.send("Runtime.evaluate",
			{ expression, returnByValue: true, awaitPromise: true });
		if (exceptionDetails)
			throw new Error(expression + ": " + (exceptionDetails.exception?.description || exceptionDetails.text));
		return result.value;
	}

	// Until the expression holds; what it was last if it never does.
	async until(expression, ms = 5000) {
		for (const end = Date.now() + ms; ; await new Promise(done => setTimeout(done, 20))) {
			const value = await this.evaluate(expression);
			if (value || Date.now() > end)
				return value;
		}
	}

	async press(key) {
		const code = KEYS[key] || (/\w/.test(key) ? key.toUpperCase().charCodeAt(0) : 0), text = KEYS[key] ? (key == "Enter" ? "\r" : undefined) : key;
		await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, text, windowsVirtualKeyCode: code });
		await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, windowsVirtualKeyCode: code });
	}

	async type(text) {
		for (const letter of text)
			await this.press(letter);
	}

	async move(x, y) {
		await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
	}

	async click(x, y) {
		await this.move(x, y);
		for (const type of ["mousePressed", "mouseReleased"])
			await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
	}

	async resize({ width, height, isMobile = false }) {
		await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: isMobile ? 2 : 1, mobile: isMobile });
	}

	async prefer(scheme, media = "") {
		await this.send("Emulation.setEmulatedMedia", { media, features: [{ name: "prefers-color-scheme", value: scheme }] });
	}

	async screenshot(file) {
		const { data } = await this.send("Page.captureScreenshot", { format: "png" });
		fs.writeFileSync(file, Buffer.from(data, "base64"));
	}

	async close() {
		await this.browser.send("Target.closeTarget", { targetId: this.target });
	}
}
