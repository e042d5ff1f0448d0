// page.js - the page: what it shows follows from `state`, events change the state.
//
//   event -> go(changes) -> address -> show() -> view -> graph or table
const ORIGINS = ["program", "standard", "package", "c", "native", "profiler"];
const view = { key: "", tree: null, zoom: 0, marks: null };
const sums = new Map();

function show() {
	const key = [state.column, state.thread, state.compare, state.callers].join();
	if (key != view.key)
		makeTree(key);
	view.zoom = follow(view.tree, state.zoom);
	makeMarks();
	showControls();
	by("scroller").hidden = state.table;
	by("table").hidden = !state.table;
	if (state.table)
		return showTable();
	layout();
	if (state.flame != graph.wasFlame)
		scroller.scrollTop = state.flame ? graph.height : 0;
	graph.wasFlame = state.flame;
	graph.hover = null;
	hideTip();
	focusOn(boxOf(graph.focus) && pathTo(view.tree, graph.focus).length >= graph.above ? graph.focus : view.zoom, false);
}

function makeTree(key) {
	const self = selfValues(state.column, state.thread, state.compare == "base");
	const callees = new Callees(self, state.compare == "both" ? selfValues(state.column, state.thread, true) : null);
	view.key = key;
	view.callees = callees;
	view.tree = state.callers ? new Callers(callees) : callees;
	graph.focus = 0;
	sums.clear();
	showLegend();
}

function makeMarks() {
	const search = by("search");
	let pattern = null;
	view.marks = null;
	search.setAttribute("aria-invalid", "false");
	by("matched").textContent = "";
	if (!state.search)
		return;
	try {
		pattern = new RegExp(state.search, "i");
	} catch {
		search.setAttribute("aria-invalid", "true");
		by("matched").textContent = "not a regular expression";
		return;
	}
	view.marks = new Uint8Array(frameCount + 1);
	for (let id = 1; id <= frameCount; id++)
		view.marks[id] = pattern.test(label(id) + " (" + place(id) + ")");
	by("matched").textContent = percent(markedTotal(view.callees.total, view.marks), view.callees.total[0]) + " matched";
}

function showControls() {
	const press = (id, is) => by(id).setAttribute("aria-pressed", is);
	press("graph-tab", !state.table);
	press("table-tab", state.table);
	press("callees", !state.callers);
	press("callers", state.callers);
	press("flip", state.flame);
	by("flip").disabled = state.table;
	by("back").disabled = !steps() && !state.zoom.length;
	by("reset").disabled = !state.zoom.length && !state.search;
	by("column").value = state.column;
	by("thread").value = state.thread;
	by("compare").value = state.compare;
	if (by("search").value != state.search)
		by("search").value = state.search;
	canvas.setAttribute("aria-label", "Flame graph, zoomed into " + label(view.tree.frames[view.zoom]));
	tell(view.zoom);
}

function showLegend() {
	const { self, total, was } = view.callees, used = ORIGINS.map(() => 0);
	const item = (name, text, value, hidden) => make("li", { hidden }, make("i", { style: `background: var(--${name})` }), text,
		make("b", { textContent: value }));
	for (let node = 1; node <= nodeCount; node++)
		used[originOf(frameOf[node])] += self[node];
	const unit = columns[state.column].unit;
	by("legend").replaceChildren(...was ? [
		item("grown", "larger share than in the base", "+"), item("shrunk", "smaller share", "\u2212"),
		item("rest", "base, all of it", amount(was[0], unit)), item("rest", "now", amount(total[0], unit)),
	] : ORIGINS.map((name, origin) => item(name, data.origins[origin], percent(used[origin], total[0]), !used[origin])));
}

// All of one function, wherever it was called.
function everywhere(id) {
	if (!sums.has(id)) {
		const marks = new Uint8Array(frameCount + 1);
		let self = 0;
		marks[id] = 1;
		for (let node = 1; node <= nodeCount; node++)
			self += frameOf[node] == id ? view.callees.self[node] : 0;
		sums.set(id, [self, markedTotal(view.callees.total, marks)]);
	}
	return sums.get(id);
}

// Rows of a name, a value, its share of all.
function facts(node) {
	const { tree } = view, unit = columns[state.column].unit, id = tree.frames[node], all = tree.total[0];
	const row = (name, value) => [name, amount(value, unit), percent(value, all)];
	const rows = state.callers ? [row("self, by this path", tree.total[node])] :
		[row("total", tree.total[node]), row("self", tree.self[node])];
	if (tree.was)
		rows.push(["base", amount(tree.was[node], unit), percent(tree.was[node], tree.was[0])],
			["change", signed(tree.total[node] - tree.was[node], value => amount(value, unit)),
				signed(change(node), value => percent(value, 1))]);
	if (id) {
		const [self, total] = everywhere(id);
		rows.push(row("everywhere, total", total), row("everywhere, self", self));
	}
	return rows;
}

// One line about a frame, for those who do not hover.
function tell(node) {
	const id = view.tree.frames[node], rows = facts(node);
	by("status").replaceChildren(make("b", {}, make("bdi", { textContent: label(id) })),
		" \u2002 " + rows.slice(0, view.tree.was ? 4 : 2).filter(row => !row[0].startsWith("every"))
			.map(row => row[0] + " " + row[1] + " (" + row[2] + ")").join(", ") +
		(id ? " \u2002 " + data.origins[originOf(id)] + " \u2002 " + apart(place(id)) : ""));
}

function showTip(event, box) {
	const tip = by("tip");
	if (!box)
		return hideTip();
	if (box.node < 0) {
		tip.replaceChildren(make("p", { textContent: "Frames too narrow to draw: zoom in to see them." }));
	} else {
		const id = view.tree.frames[box.node];
		tip.replaceChildren(make("b", { textContent: label(id) }),
			make("p", { textContent: id ? [data.origins[originOf(id)], place(id)].filter(Boolean).join(", ") : "" }),
			make("table", {}, ...facts(box.node).map(([name, ...values]) => make("tr", {},
				make("th", { textContent: name }), ...values.map(textContent => make("td", { textContent }))))));
	}
	tip.hidden = false;
	const { width, height } = tip.getBoundingClientRect();
	const x = Math.min(event.clientX + 12, innerWidth - width - 8), below = event.clientY + 18;
	tip.style.left = Math.max(8, x) + "px";
	tip.style.top = Math.max(8, below + height > innerHeight - 8 ? event.clientY - height - 12 : below) + "px";
}

function hideTip() {
	by("tip").hidden = true;
}

function zoomTo(node) {
	const zoom = pathTo(view.tree, node).map(at => view.tree.frames[at]);
	if (zoom.join() == state.zoom.join())
		return;
	graph.focus = node;
	go({ zoom });
}

function changeTheme() {
	const root = document.documentElement;
	setTheme((colors || readColors()).isDark ? "light" : "dark");
	try {
		localStorage.setItem("monprof-theme", root.dataset.theme);
	} catch {
		// a file may have no storage: the switch holds for this page
	}
}

function setTheme(theme) {
	if (theme)
		document.documentElement.dataset.theme = theme;
	colors = readColors();
	by("theme").textContent = colors.isDark ? "Light" : "Dark";
	if (view.tree && !state.table)
		draw();
}

function fillControls() {
	const first = processes[0] || { program: "", python: "", start: 0, duration: 0 };
	const own = threads.filter(row => !row.isBase), pids = new Set(own.map(row => row.process)).size;
	const name = visible(first.program.replace(/.*\//, "")) || "profile";
	const options = (id, rows) => by(id).replaceChildren(...rows.map(([value, textContent]) => make("option", { value, textContent })));
	const all = columns.map((_, column) => totalValues(selfValues(column, -1, false))[0]);
	const used = threads.map((row, index) => [index, row]).filter(([index, row]) => !row.isBase);
	by("title").textContent = document.title = data.measurement + " of " + name + (pids > 1 ? ", " + plural(pids, "process") : ", pid " + first.pid);
	by("subtitle").textContent = [
		"CPython " + first.python, new Date(first.start).toISOString().slice(0, 19).replace("T", " ") + " UTC",
		scaled(first.duration * 1e6, 1000, ["ns", "\u00b5s", "ms", "s"]), plural(own.filter(row => row.tid).length, "thread"),
		...columns.map(({ name, unit }, i) => [amount(all[i], unit) + " " + name, all[i]]).filter(row => row[1]).map(row => row[0]),
	].join(" \u00b7 ");
	options("column", columns.map(({ name }, i) => [i, name]).filter(([i]) => !i || all[i]));
	options("thread", [[-1, "all threads"], ...used.map(([index, row]) => [index, threadLabel(row)])]);
	options("compare", [["both", "with base"], ["off", "this alone"], ["base", "base alone"]]);
	by("column-label").hidden = columns.length < 2;
	by("thread-label").hidden = own.length < 2;
	by("compare-label").hidden = !data.base;
	fillRecorded();
}

function fillRecorded() {
	const row = (name, value) => make("tr", {}, make("th", { textContent: name }), make("td", { textContent: visible(String(value)) }));
	const table = rows => make("table", {}, ...rows);
	const pairs = list => list.flatMap((value, i) => i % 2 ? [row(list[i - 1], value)] : []);
	const losses = [];
	for (let i = 0; i < data.losses.length; i += 3)
		losses.push(row(data.losses[i + 1] + ": " + grouped.format(data.losses[i]), data.losses[i + 2]));
	by("recorded").replaceChildren(
		...data.is_cut ? [make("p", { className: "warning", textContent: "A recording ended in a torn tail." })] : [],
		...losses.length ? [make("h3", { textContent: "Lost" }), table(losses)] : [],
		...processes.flatMap(({ pid, program, python, writer, notes }, index) => [
			make("h3", { textContent: (data.base && index >= data.base.process ? "base, " : "") + "pid " + pid }),
			table([row("program", program), row("Python", python), row("written by", writer), ...pairs(notes)])]));
}

function globalKey(event) {
	const key = event.key, isTyping = event.target.matches("input, select");
	if (event.ctrlKey || event.metaKey || event.altKey || by("help").open)
		return;
	if (key == "Escape" && event.target == by("search"))
		by("search").value ? go({ search: "" }) : canvas.focus();
	else if (key == "Enter" && event.target == by("search"))
		state.table || (canvas.focus(), nextMatch(1));
	else if (isTyping)
		return;
	else if (state.table && tableKey(event))
		void 0;
	else if (event.target == canvas && key.startsWith("Arrow"))
		moveFocus(key);
	else if (event.target == canvas && key == "Enter")
		zoomTo(graph.focus);
	else if (event.target == canvas && key == "Home")
		focusOn(view.zoom);
	else if (key == "Backspace")
		goBack();
	else if (key == "Escape" || key == "0")
		reset();
	else if (key == "/")
		by("search").select();
	else if (KEYS[key])
		by(KEYS[key]()).click();
	else if (key == "n" || key == "N")
		state.table || nextMatch(key == "n" ? 1 : -1);
	else
		return;
	event.preventDefault();
}

const KEYS = {
	t: () => state.table ? "graph-tab" : "table-tab",
	c: () => state.callers ? "callees" : "callers",
	i: () => "flip",
	d: () => "theme",
	"?": () => "about",
};

function reset() {
	if (state.zoom.length || state.search)
		go({ zoom: [], search: "" });
}

function pointAt(event) {
	const box = boxAt(event), was = graph.hover;
	graph.hover = box || null;
	if (box?.node != was?.node || box?.x != was?.x)
		draw();
	if (event.pointerType != "touch")
		showTip(event, box);
}

// A finger cannot hover: its first tap tells, its second zooms.
function pick(event) {
	const box = boxAt(event);
	if (!box || box.node < 0)
		return;
	if (event.pointerType == "touch" && graph.focus != box.node)
		focusOn(box.node);
	else
		zoomTo(box.node);
}

function printAll(isPrinting) {
	if (state.table)
		return;
	if (!isPrinting)
		return setTheme(document.documentElement.dataset.theme = by("theme").before || "");
	by("theme").before = document.documentElement.dataset.theme || "";
	document.documentElement.dataset.theme = "light";
	colors = readColors();
	const used = graph.rows.length * ROW;
	drawRows(graph.width, used, Math.min(2, 32000 / used), depth => state.flame ? used - (depth + 1) * ROW : depth * ROW);
}

function listen() {
	const on = (id, event, act) => by(id).addEventListener(event, act);
	let later = 0;
	on("back", "click", goBack);
	on("reset", "click", reset);
	on("graph-tab", "click", () => { go({ table: false }); canvas.focus(); });
	on("table-tab", "click", () => { go({ table: true }); focusRow(grid.current); });
	on("callees", "click", () => go({ callers: false, zoom: [] }));
	on("callers", "click", () => go({ callers: true, zoom: [] }));
	on("flip", "click", () => go({ flame: !state.flame }));
	on("theme", "click", changeTheme);
	on("about", "click", () => by("help").showModal());
	for (const id of ["column", "thread"])
		on(id, "change", event => go({ [id]: +event.target.value }));
	on("compare", "change", event => go({ compare: event.target.value }));
	on("search", "input", event => {
		clearTimeout(later);
		later = setTimeout(() => go({ search: event.target.value }, false), 120);
	});
	on("canvas", "pointermove", pointAt);
	on("canvas", "pointerleave", () => { graph.hover = null; hideTip(); draw(); });
	on("canvas", "click", pick);
	on("canvas", "focus", () => draw());
	on("canvas", "blur", () => draw());
	on("scroller", "scroll", () => { hideTip(); draw(); });
	on("table", "click", event => {
		const row = event.target.closest("tr[tabindex]");
		if (row && (row.more || event.target.className == "turn"))
			turnRow(row);
		else if (row)
			focusRow(row);
	});
	on("table", "dblclick", event => {
		const row = event.target.closest("tr[tabindex]");
		if (row && !row.more && event.target.className != "turn")
			zoomTo(row.node);
	});
	addEventListener("keydown", globalKey);
	addEventListener("popstate", () => { readAddress(); show(); });
	addEventListener("beforeprint", () => printAll(true));
	addEventListener("afterprint", () => printAll(false));
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme());
	new ResizeObserver(() => { if (!state.table) { layout(); draw(); } }).observe(scroller);
}

try {
	setTheme(localStorage.getItem("monprof-theme"));
} catch {
	setTheme();
}
readAddress();
fillControls();
listen();
show();
