// graph.js - the canvas.  It is as large as what can be seen of it, whatever the depth: scrolling draws again.
// layout() makes rows of boxes that are at least LEAST wide; what is narrower is one box without a node.
const ROW = 20, LEAST = 0.5, PAD = 5;
const canvas = by("canvas"), scroller = by("scroller"), extent = by("extent");
const pen = canvas.getContext("2d");
const graph = { rows: [], above: 0, focus: 0, hover: null, width: 0, height: 0 };
let colors = null;

function layout() {
	const { tree, zoom } = view, path = pathTo(tree, zoom);
	graph.width = scroller.clientWidth;
	graph.rows = [[{ node: 0, x: 0, width: graph.width }]];
	for (const node of path)
		graph.rows.push([{ node, x: 0, width: graph.width }]);
	graph.above = path.length;
	const scale = tree.total[zoom] ? graph.width / tree.total[zoom] : 0;
	for (let row = graph.rows[path.length]; row.length; graph.rows.push(row))
		row = below(row, tree, scale);
	graph.height = Math.max(graph.rows.length * ROW, scroller.clientHeight);
	extent.style.height = graph.height + "px";
}

function below(row, tree, scale) {
	const boxes = [];
	for (const { node, x } of row) {
		let at = x, rest = 0;
		if (node < 0)
			continue;
		for (const kid of tree.kids(node)) {
			const width = tree.total[kid] * scale;
			if (width < LEAST) {
				rest += width;
				continue;
			}
			boxes.push({ node: kid, x: at, width });
			at += width;
		}
		if (rest >= LEAST)
			boxes.push({ node: -1, x: at, width: rest });
	}
	return boxes;
}

const rowTop = depth => state.flame ? graph.height - (depth + 1) * ROW : depth * ROW;

function draw() {
	const height = scroller.clientHeight, ratio = devicePixelRatio || 1, top = scroller.scrollTop;
	drawRows(graph.width, height, ratio, depth => rowTop(depth) - top);
}

function drawRows(width, height, ratio, topOf) {
	canvas.width = Math.round(width * ratio);
	canvas.height = Math.round(height * ratio);
	canvas.style.height = height + "px";
	pen.setTransform(ratio, 0, 0, ratio, 0, 0);
	colors ||= readColors();
	pen.fillStyle = colors.ground;
	pen.fillRect(0, 0, width, height);
	pen.textBaseline = "middle";
	pen.direction = "ltr";
	graph.rows.forEach((row, depth) => {
		const y = topOf(depth);
		if (y > -ROW && y < height)
			for (const box of row)
				drawBox(box, y, depth < graph.above);
	});
	outline(graph.hover, topOf, 1.5);
	if (document.activeElement == canvas)
		outline(boxOf(graph.focus), topOf, 3);
}

function drawBox({ node, x, width }, y, isAbove) {
	const id = node < 0 ? 0 : view.tree.frames[node];
	const isFound = node > 0 && view.marks && view.marks[id];
	const gap = width > 2.5 ? 1 : 0;
	pen.fillStyle = isFound ? colors.match : fill(node, id, isAbove);
	pen.fillRect(x, y, width - gap, ROW - 1);
	if (isFound && width > 3) {
		pen.strokeStyle = colors.found;
		pen.lineWidth = 1.5;
		pen.strokeRect(x + 0.75, y + 0.75, width - gap - 1.5, ROW - 2.5);
	}
	if (node >= 0 && width > 4 * PAD) {
		pen.font = isFound ? "600 " + colors.font : colors.font;
		pen.fillStyle = colors.text;
		pen.fillText(fit(node, id, width - 2 * PAD), x + PAD, y + ROW / 2);
	}
}

function fill(node, id, isAbove) {
	if (!id || isAbove || view.marks)
		return colors.rest;
	if (view.tree.was)
		return changeColor(change(node));
	return colors.origins[originOf(id)][id * 7 % 5];
}

// How much the share of all has grown, in [-1, 1].
const change = node => share(view.tree.total, node) - share(view.tree.was, node);
const share = (totals, node) => totals[0] ? totals[node] / totals[0] : 0;

function changeColor(grown) {
	const size = Math.round(16 * Math.min(1, Math.sqrt(Math.abs(grown) * 4)));
	return size ? colors.changes[grown > 0 ? size : 16 + size] : colors.rest;
}

// The name, without its module where that does not fit, cut where nothing does.
function fit(node, id, room) {
	const before = view.tree.was && id ? signed(change(node), value => percent(value, 1)) + "  " : "";
	const width = text => pen.measureText(text).width;
	let text = before + apart(label(id));
	if (width(text) <= room)
		return text;
	text = before + apart(shortLabel(id));
	const whole = width(text);
	if (whole <= room)
		return text;
	const letters = Array.from(before + shortLabel(id));
	for (let count = Math.ceil(letters.length * room / whole); count > 0; count--) {
		text = apart(letters.slice(0, count).join("") + "\u2026");
		if (width(text) <= room)
			return text;
	}
	return "";
}

function outline(box, topOf, width) {
	if (!box)
		return;
	const y = topOf(box.depth);
	pen.strokeStyle = colors.text;
	pen.lineWidth = width;
	pen.strokeRect(box.x + width / 2, y + width / 2, Math.max(box.width - 1 - width, 1), ROW - 1 - width);
}

// As a canvas understands it fastest: of 30,000 boxes, the colours would else take longer than all the rest.
const paint = make("canvas").getContext("2d", { willReadFrequently: true });
function plain(color) {
	paint.fillStyle = color;
	paint.fillRect(0, 0, 1, 1);
	const [red, green, blue] = paint.getImageData(0, 0, 1, 1).data;
	return "#" + (1 << 24 | red << 16 | green << 8 | blue).toString(16).slice(1);
}

// Colours come from the style sheet; a frame's shade follows from its number.
function readColors() {
	const of = name => {
		const probe = make("i", { style: `color: var(--${name})` });
		document.body.append(probe);
		const color = getComputedStyle(probe).color;
		probe.remove();
		return color;
	};
	const shades = color => {
		const [light, chroma, hue] = color.match(/[\d.]+/g).map(Number);
		return [-2, -1, 0, 1, 2].map(step => plain(`oklch(${light + step * 0.014} ${chroma} ${hue})`));
	};
	const { theme } = document.documentElement.dataset;
	const isDark = theme ? theme == "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
	const changes = [];
	for (let size = 1; size <= 16; size++) {
		const light = isDark ? 0.34 + 0.0075 * size : 0.93 - 0.008 * size;
		for (const [at, hue] of [[size, 30], [16 + size, 250]])
			changes[at] = plain(`oklch(${light} ${0.008 * size} ${hue})`);
	}
	return {
		isDark, changes, origins: ORIGINS.map(name => shades(of(name))), font: "12px " + getComputedStyle(document.body).fontFamily,
		...Object.fromEntries(["ground", "text", "rest", "found", "match"].map(name => [name, plain(of(name))])),
	};
}

function boxOf(node) {
	const depth = pathTo(view.tree, node).length;
	const box = graph.rows[depth]?.find(box => box.node == node);
	return box && { ...box, depth };
}

function boxAt(event) {
	const bounds = canvas.getBoundingClientRect();
	const x = event.clientX - bounds.left, y = event.clientY - bounds.top + scroller.scrollTop;
	const depth = Math.floor((state.flame ? graph.height - y : y) / ROW);
	const box = graph.rows[depth]?.find(box => x >= box.x && x < box.x + box.width);
	return box && { ...box, depth };
}

function focusOn(node, isLoud = true) {
	graph.focus = node;
	const box = boxOf(node);
	if (box) {
		const y = rowTop(box.depth);
		if (y < scroller.scrollTop)
			scroller.scrollTop = y;
		else if (y + ROW > scroller.scrollTop + scroller.clientHeight)
			scroller.scrollTop = y + ROW - scroller.clientHeight;
	}
	draw();
	if (isLoud)
		tell(node);
}

function moveFocus(key) {
	const box = boxOf(graph.focus);
	const [down, up] = state.flame ? ["ArrowUp", "ArrowDown"] : ["ArrowDown", "ArrowUp"];
	if (!box)
		return focusOn(view.zoom);
	const row = graph.rows[box.depth].filter(other => other.node >= 0);
	const at = row.findIndex(other => other.node == box.node);
	if (key == up)
		focusOn(view.tree.parent[box.node]);
	else if (key == down && box.depth < graph.above)
		focusOn(graph.rows[box.depth + 1][0].node);
	else if (key == down && view.tree.kids(box.node).length && boxOf(view.tree.kids(box.node)[0]))
		focusOn(view.tree.kids(box.node)[0]);
	else if (key == "ArrowLeft" && at > 0)
		focusOn(row[at - 1].node);
	else if (key == "ArrowRight" && at + 1 < row.length)
		focusOn(row[at + 1].node);
}

// The next match in the order in which an eye reads, or the one before.
function nextMatch(step) {
	const found = [];
	graph.rows.forEach((row, depth) => row.forEach(box => {
		if (box.node > 0 && view.marks?.[view.tree.frames[box.node]])
			found.push(box.node);
	}));
	if (!found.length)
		return;
	const at = found.indexOf(graph.focus);
	focusOn(found[at < 0 ? (step > 0 ? 0 : found.length - 1) : (at + step + found.length) % found.length]);
}
