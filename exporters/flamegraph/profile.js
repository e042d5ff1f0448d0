// profile.js - the data as the exporter wrote it, in flat arrays; nodes and frames are numbered from 1, node 0 is the
// root of all stacks.
const data = JSON.parse(by("data").textContent);
const FRAME = 5;
const nodeCount = data.nodes.length / 2, frameCount = data.frames.length / FRAME;
const columns = data.columns.map(([name, unit]) => ({ name, unit }));
const parents = new Uint32Array(nodeCount + 1), frameOf = new Uint32Array(nodeCount + 1);
for (let node = 1; node <= nodeCount; node++) {
	parents[node] = node - data.nodes[2 * node - 2];
	frameOf[node] = data.nodes[2 * node - 1];
}

// Children of a node: childList from childStart[node] to childStart[node + 1].
const childStart = new Uint32Array(nodeCount + 2), childList = new Uint32Array(nodeCount);
for (let node = 1; node <= nodeCount; node++)
	childStart[parents[node] + 1]++;
for (let node = 0; node <= nodeCount; node++)
	childStart[node + 1] += childStart[node];
{
	const at = childStart.slice();
	for (let node = 1; node <= nodeCount; node++)
		childList[at[parents[node]]++] = node;
}

const processes = data.processes.map(([pid, program, python, writer, start, duration, notes]) =>
	({ pid, program, python, writer, start, duration, notes }));
const threads = [];
for (let i = 0; i < data.threads.length; i += 3) {
	const [process, tid, name] = data.threads.slice(i, i + 3);
	threads.push({ process, tid, name, isBase: !!data.base && threads.length >= data.base.thread });
}
const threadLabel = ({ process, tid, name }) =>
	(visible(name) || "thread") + " (" + (processes.length > (data.base ? 2 : 1) ? processes[process].pid + "/" : "") + tid + ")";

function frame(id, field) {
	return data.frames[(id - 1) * FRAME + field];
}

function label(id) {
	if (!id)
		return "all";
	const module = data.strings[frame(id, 0)];
	return visible((module && module + ".") + data.strings[frame(id, 1)]);
}

const shortLabel = id => id ? visible(data.strings[frame(id, 1)]) : "all";

function place(id) {
	const file = id ? data.strings[frame(id, 2)] : "", line = id ? frame(id, 3) : 0;
	return visible(file) + (file && line ? ":" + line : "");
}

const originOf = id => frame(id, 4);

// What each node used itself: of one thread or, with -1, of all; of the profile, or of its base.
function selfValues(column, thread, isBase) {
	const values = new Float64Array(nodeCount + 1), cells = data.cells, stride = 2 + columns.length;
	const wanted = threads.map((row, index) => row.isBase == isBase &&
		(thread < 0 || index == thread || (isBase && row.name == threads[thread].name)));
	for (let at = 0; at < cells.length; at += stride)
		if (wanted[cells[at + 1]])
			values[cells[at]] += cells[at + 2 + column];
	return values;
}

// With those of all below; parents come before their children.
function totalValues(self) {
	const totals = self.slice();
	for (let node = nodeCount; node > 0; node--)
		totals[parents[node]] += totals[node];
	return totals;
}

// Of all nodes whose frame is marked, each but once: not those below another one.
function markedTotal(totals, marks) {
	const inside = new Uint8Array(nodeCount + 1);
	let sum = 0;
	for (let node = 1; node <= nodeCount; node++) {
		const above = inside[parents[node]];
		inside[node] = above | marks[frameOf[node]];
		if (inside[node] && !above)
			sum += totals[node];
	}
	return sum;
}
