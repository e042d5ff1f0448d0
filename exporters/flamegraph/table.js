// table.js - the same tree as a table, for screen readers and whoever likes tables.  A row's children are made when
// it is opened; of many the first PART, and a row that has the rest.
const PART = 100, CHAIN = 40;
const grid = {};

function showTable() {
	const { tree } = view, head = make("tr", {});
	const titles = state.callers ? [["Self, by path", 2]] : [["Total", 2], ["Self", 2, "extra"]];
	if (tree.was)
		titles.push(["Base", 1, "extra"], ["Change", 1]);
	head.append(make("th", { scope: "col", textContent: state.callers ? "Function, and who called it" : "Function" }));
	for (const [textContent, colSpan, name] of titles)
		head.append(make("th", { scope: "col", textContent, colSpan, className: "number " + (name || "") }));
	head.append(make("th", { scope: "col", textContent: "Origin", className: "origin" }),
		make("th", { scope: "col", textContent: "Place", className: "place" }));
	grid.body = make("tbody", {});
	const table = make("table", {}, make("thead", {}, head), grid.body);
	table.setAttribute("role", "treegrid");
	table.setAttribute("aria-label", "Functions, opened with the right arrow, zoomed into with Enter");
	by("table").replaceChildren(table);
	const first = makeRow(view.zoom, 1, 1, 1);
	grid.body.append(first);
	first.tabIndex = 0;
	grid.current = first;
	for (let row = first, i = 0; row && i < CHAIN; i++) {
		open(row);
		const [kid] = tree.kids(row.node);
		row = tree.total[kid] > 0.9 * tree.total[row.node] ? row.nextSibling : null;
	}
}

function makeRow(node, level, position, count) {
	const { tree } = view, id = tree.frames[node], unit = columns[state.column].unit;
	const row = make("tr", { node, level, tabIndex: -1 });
	const cell = (text, name) => row.append(make("td", { textContent: text, className: name }));
	const turn = make("span", { className: "turn", textContent: "\u25b8" });
	const name = make("td", { className: "name", title: label(id), style: `padding-left: ${Math.min(level, 40) * 12}px` },
		turn, make("bdi", { textContent: label(id) }));
	turn.setAttribute("aria-hidden", "true");
	row.append(name);
	cell(amount(tree.total[node], unit), "number");
	cell(percent(tree.total[node], tree.total[0]), "number");
	if (!state.callers) {
		cell(amount(tree.self[node], unit), "number extra");
		cell(percent(tree.self[node], tree.total[0]), "number extra");
	}
	if (tree.was) {
		const grown = change(node);
		cell(percent(tree.was[node], tree.was[0]), "number extra");
		cell(signed(grown, value => percent(value, 1)), "number " + (grown > 0 ? "more" : grown < 0 ? "less" : ""));
	}
	cell(id ? data.origins[originOf(id)] : "", "origin");
	row.append(make("td", { className: "place", title: place(id) }, make("bdi", { textContent: place(id) })));
	if (view.marks && view.marks[id])
		row.classList.add("found");
	row.setAttribute("aria-level", level);
	row.setAttribute("aria-posinset", position);
	row.setAttribute("aria-setsize", count);
	if (tree.kids(node).length)
		row.setAttribute("aria-expanded", "false");
	else
		turn.textContent = "";
	return row;
}

const isOpen = row => row.getAttribute("aria-expanded") == "true";

function open(row, from = 0, before = row.nextSibling) {
	const kids = view.tree.kids(row.node), end = Math.min(from + PART, kids.length);
	if (!kids.length)
		return;
	for (let i = from; i < end; i++)
		grid.body.insertBefore(makeRow(kids[i], row.level + 1, i + 1, kids.length), before);
	if (end < kids.length) {
		const more = make("tr", { level: row.level + 1, tabIndex: -1 }, make("td", {
			colSpan: 9, style: `padding-left: ${Math.min(row.level + 1, 40) * 12 + 14}px`,
			textContent: plural(kids.length - end, "more function"),
		}));
		more.more = () => {
			open(row, end, more);
			step(more, -1) || focusRow(row);
			more.remove();
		};
		grid.body.insertBefore(more, before);
	}
	row.setAttribute("aria-expanded", "true");
	row.querySelector(".turn").textContent = "\u25be";
}

function close(row) {
	while (row.nextSibling && row.nextSibling.level > row.level)
		row.nextSibling.remove();
	row.setAttribute("aria-expanded", "false");
	row.querySelector(".turn").textContent = "\u25b8";
}

function focusRow(row) {
	if (!row)
		return false;
	grid.current.tabIndex = -1;
	grid.current = row;
	row.tabIndex = 0;
	row.focus();
	if (row.node !== undefined)
		tell(row.node);
	return true;
}

const step = (row, by) => focusRow(by > 0 ? row.nextSibling : row.previousSibling);

function rowParent(row) {
	let above = row.previousSibling;
	while (above && above.level >= row.level)
		above = above.previousSibling;
	return above;
}

function turnRow(row) {
	if (row.more)
		row.more();
	else if (isOpen(row))
		close(row);
	else
		open(row);
}

// As the ARIA Authoring Practices want it of a treegrid whose rows get the focus.
function tableKey(event) {
	const row = event.target.closest("tr[tabindex]");
	if (!row)
		return false;
	switch (event.key) {
	case "ArrowDown": step(row, 1); break;
	case "ArrowUp": step(row, -1); break;
	case "ArrowRight":
		if (row.more || row.getAttribute("aria-expanded") == "false")
			turnRow(row);
		else if (isOpen(row))
			step(row, 1);
		break;
	case "ArrowLeft":
		if (isOpen(row))
			close(row);
		else
			focusRow(rowParent(row));
		break;
	case "Home": focusRow(grid.body.firstChild); break;
	case "End": focusRow(grid.body.lastChild); break;
	case " ": turnRow(row); break;
	case "Enter": row.more ? row.more() : zoomTo(row.node); break;
	default: return false;
	}
	return true;
}
