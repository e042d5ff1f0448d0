// text.js - how numbers and names are written.
const by = id => document.getElementById(id);
const grouped = new Intl.NumberFormat("en");

function make(tag, properties, ...children) {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
}

// Three digits that count: 1.23 s, 45.6 ms, 789 ns.
function scaled(value, step, units) {
	let unit = 0;
	while (unit < units.length - 1 && Math.abs(value) >= step) {
		value /= step;
		unit++;
	}
	const size = Math.abs(value);
	const text = unit && size < 100 ? value.toFixed(size < 10 ? 2 : 1) : grouped.format(Math.round(value));
	return text + " " + units[unit];
}

function amount(value, unit) {
	if (unit == "nanoseconds")
		return scaled(value, 1000, ["ns", "\u00b5s", "ms", "s"]);
	if (unit == "bytes")
		return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
	return grouped.format(Math.round(value)) + (unit == "count" ? "" : " " + unit);
}

function percent(part, whole) {
	const share = whole ? 100 * part / whole : 0;
	return share.toFixed(share && Math.abs(share) < 0.95 ? 2 : 1) + " %";
}

const signed = (value, text) => (value > 0 ? "+" : value < 0 ? "\u2212" : "\u00b1") + text(Math.abs(value));

// Names may hold anything: what cannot be seen gets its picture, what is endless its end cut.
const SHOWN = 300;
function visible(text) {
	if (text.length > SHOWN)
		text = text.slice(0, SHOWN) + "\u2026";
	return text.replace(/[\0-\x1f]/g, c => String.fromCharCode(0x2400 + c.charCodeAt(0))).replace(/\x7f/g, "\u2421");
}

// The same for a text in the middle of others: its direction is its own.
const apart = text => "\u2068" + text + "\u2069";
const plural = (count, word) => grouped.format(count) + " " + word + (count == 1 ? "" : word.endsWith("s") ? "es" : "s");
