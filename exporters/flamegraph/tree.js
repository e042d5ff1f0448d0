// tree.js - the two trees that can be shown.  Both number their nodes from the root, 0, and make what is below a
// node when it is asked for: kids(node), most first.
//
//   frames[node]  parent[node]  total[node]  was[node] (the base's total, if there is one)
class Callees {
	constructor(self, selfWas) {
		this.self = self;
		this.total = totalValues(self);
		this.was = selfWas && totalValues(selfWas);
		this.selfWas = selfWas;
		this.frames = frameOf;
		this.parent = parents;
		this.sorted = new Map();
	}

	kids(node) {
		let kids = this.sorted.get(node);
		if (!kids) {
			kids = Array.from(childList.subarray(childStart[node], childStart[node + 1]));
			this.sorted.set(node, kids = sortKids(this, kids));
		}
		return kids;
	}
}

// The root's children are the functions that used something themselves, theirs who called them.  A node knows the
// leaves that it stands for, and where in their stacks it is.
class Callers {
	constructor(callees) {
		const leaves = [];
		this.self = callees.self;
		this.selfWas = callees.selfWas;
		for (let node = 1; node <= nodeCount; node++)
			if (this.self[node] || (this.selfWas && this.selfWas[node]))
				leaves.push(node);
		this.frames = [0];
		this.parent = [0];
		this.total = [callees.total[0]];
		this.was = callees.was && [callees.was[0]];
		this.leaves = [leaves];
		this.places = [leaves];
		this.sorted = [];
	}

	kids(node) {
		return this.sorted[node] ||= sortKids(this, this.grow(node));
	}

	grow(node) {
		const leaves = this.leaves[node], places = this.places[node], kids = new Map();
		for (let i = 0; i < leaves.length; i++) {
			const at = node ? parents[places[i]] : places[i];
			if (!at)
				continue;
			let kid = kids.get(frameOf[at]);
			if (kid === undefined) {
				kids.set(frameOf[at], kid = this.frames.length);
				this.frames.push(frameOf[at]);
				this.parent.push(node);
				this.total.push(0);
				this.was?.push(0);
				this.leaves.push([]);
				this.places.push([]);
			}
			this.total[kid] += this.self[leaves[i]];
			if (this.was)
				this.was[kid] += this.selfWas[leaves[i]];
			this.leaves[kid].push(leaves[i]);
			this.places[kid].push(at);
		}
		return Array.from(kids.values());
	}
}

function sortKids(tree, kids) {
	const { total, was } = tree;
	return kids.filter(kid => total[kid] > 0 || (was && was[kid] > 0))
		.sort((a, b) => total[b] - total[a] || (was ? was[b] - was[a] : 0) || a - b);
}

// From the root down, without it.
function pathTo(tree, node) {
	const path = [];
	for (; node; node = tree.parent[node])
		path.unshift(node);
	return path;
}

// As far down a path of frames as this tree has it.
function follow(tree, path) {
	let node = 0;
	for (const wanted of path) {
		const kid = tree.kids(node).find(kid => tree.frames[kid] == wanted);
		if (kid === undefined)
			break;
		node = kid;
	}
	return node;
}
