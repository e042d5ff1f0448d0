// state.js - what is shown, and the same as the address's hash: whoever has the address sees the same.
//
//   #zoom=3.1f.2&search=json&by=callers&as=flame&show=table&thread=2&column=1&compare=off     left out: as at first
const state = {};

function readAddress() {
	const hash = new URLSearchParams(location.hash.slice(1));
	const number = (name, least, count) => {
		const value = hash.get(name);
		return /^\d+$/.test(value) && +value < count ? +value : least;
	};
	state.zoom = (hash.get("zoom") || "").split(".").filter(Boolean).map(id => parseInt(id, 36));
	state.search = hash.get("search") || "";
	state.callers = hash.get("by") == "callers";
	state.flame = hash.get("as") == "flame";
	state.table = hash.get("show") == "table";
	state.column = number("column", 0, columns.length);
	state.thread = number("thread", -1, threads.length);
	if (state.thread >= 0 && threads[state.thread].isBase)
		state.thread = -1;
	state.compare = data.base ? hash.get("compare") || "both" : "off";
}

function address() {
	const hash = new URLSearchParams();
	if (state.zoom.length)
		hash.set("zoom", state.zoom.map(id => id.toString(36)).join("."));
	if (state.search)
		hash.set("search", state.search);
	if (state.callers)
		hash.set("by", "callers");
	if (state.flame)
		hash.set("as", "flame");
	if (state.table)
		hash.set("show", "table");
	if (state.column)
		hash.set("column", state.column);
	if (state.thread >= 0)
		hash.set("thread", state.thread);
	if (data.base && state.compare != "both")
		hash.set("compare", state.compare);
	return "#" + hash;
}

const steps = () => history.state?.steps || 0;

// Show something else.  Each such step can be gone back, but for the letters of a search.
function go(changes, isStep = true) {
	Object.assign(state, changes);
	if (isStep)
		history.pushState({ steps: steps() + 1 }, "", address());
	else
		history.replaceState(history.state, "", address());
	show();
}

function goBack() {
	if (steps())
		history.back();
	else if (state.zoom.length)
		go({ zoom: state.zoom.slice(0, -1) }, false);
}
