#!/bin/sh
# assemble.sh DIRECTORY OUTPUT - make of the sources in DIRECTORY the two halves of the page: OUTPUT.head and
# OUTPUT.tail.  Between them the exporter puts the data.
#
# Indentation, empty lines, lines that are comments alone, and spaces around operators and punctuation stay behind.
# What is between double quotes is kept, and lines with a template or a regular expression are kept whole.  Lines
# stay lines but for those that end in the middle of something, so what a browser's debugger shows can be read.
set -eu

directory=$1
output=$2

# bare CHARACTERS FILE...
bare() {
	characters=$1
	shift
	cat "$@" | awk -v characters="$characters" '
	function put(line) {
		printf "%s%s", line, characters && line ~ /[{,]$/ ? "" : "\n"
	}
	{
		sub(/^[ \t]+/, "")
	}
	/^\/\// || /^\/\*.*\*\/$/ || /^<!--.*-->$/ || $0 == "" {
		next
	}
	/`|\(\/|= \/|\? \/|, \/|^\/|&& \// {
		put($0)
		next
	}
	{
		line = ""
		count = split($0, part, "\"")
		for (i = 1; i <= count; i++) {
			for (c = 1; i % 2 && c <= length(characters); c++) {
				of = substr(characters, c, 1)
				gsub(" *[" of "] *", of == "&" ? "\\&" : of, part[i])
			}
			line = line part[i] (i < count ? "\"" : "")
		}
		put(line)
	}'
}

{
	sed '/<!-- style -->/,$d' "$directory/page.html" | bare ''
	echo '<style>'
	bare '{};:,' "$directory/style.css"
	echo '</style>'
	sed '1,/<!-- style -->/d' "$directory/page.html" | bare ''
} >"$output.head"
{
	printf '<script>\n"use strict";(()=>{\n'
	cd "$directory"
	bare '=+*<>?:,;{}()&|-' text.js profile.js tree.js state.js graph.js table.js page.js
	printf '})()\n</script>\n</body>\n</html>\n'
} >"$output.tail"
