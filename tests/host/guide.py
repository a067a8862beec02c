#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
guide.py PAGE NAME: prints a shell script that runs the commands of the block NAME of the page,
and compares what they print with the page. It needs tests/lib/assert.sh.
guide.py PAGE NAME PATH: prints the content of the block NAME, which is that of the file PATH.
guide.py PAGE: prints name and path of each block. A literal block without a name is an error.

A comment names the literal block that follows:

    .. tried: NAME          commands after "# ", and the output of each
    .. tried: NAME PATH     the content of a file

A line "..." of the output stands for any lines. A command that ends in a backslash goes on in
the next line.
"""
import re
import shlex
import sys
import textwrap

FOLLOW = r"""
# follow COMMAND PATTERN: runs the command; its output, which is shown as it comes, matches.
follow() {
	local status=0

	echo "# $1"
	eval "$1" > >(tee /tmp/guide.said) 2>&1 || status=$?
	wait $!
	cat /tmp/guide.said >> /tmp/guide.all
	[ $status -eq 0 ] || fail "exit code $status: $1"
	# A terminal's lines end in CR as well.
	# shellcheck disable=SC2053 # a pattern
	[[ $(tr -d '\r' < /tmp/guide.said) == $2 ]] || fail "the page has another output: $2"
}

: > /tmp/guide.all
"""


def blocks(lines):
    """Yields number of the line, name, path and lines of each literal block."""
    name = None
    for i, line in enumerate(lines):
        mark = re.fullmatch(r"\.\. tried: (\S+)(?: (\S+))?", line)
        if mark:
            name = mark.groups()
        elif re.match(r"\.\. code-block::", line) or re.search(r"^(?!\.\. ).*::$", line):
            end = i + 1
            while end < len(lines) and (not lines[end] or lines[end].startswith(" ")):
                end += 1
            text = textwrap.dedent("\n".join(lines[i + 1:end])).strip("\n")
            yield i + 1, *(name or (None, None)), text.split("\n")
            name = None
        elif line and not line.startswith(" "):
            name = None


def commands(lines):
    """The commands of a block, each with the lines that it prints"""
    found = []
    more = False
    for line in lines:
        if more:
            found[-1][0] += "\n" + line
        elif line.startswith("# "):
            found.append([line[2:], []])
        else:
            found[-1][1].append(line)
        more = line.endswith("\\") and (more or line.startswith("# "))
    return found


def pattern(lines):
    """The pattern of bash for what a command prints"""
    literal = [re.sub(r"([][*?\\(])", r"\\\1", line) for line in lines]
    text = "\n".join("*" if line == "..." else line for line in literal)
    return text.replace("\n*", "*")


def main():
    path, *wanted = sys.argv[1:]
    with open(path, encoding="utf-8") as page:
        found = list(blocks(page.read().split("\n")))
    if not wanted:
        for number, name, file, _ in found:
            if name is None:
                sys.exit(f"{path}:{number}: a block that is not tried")
            print(name, file or "")
        return
    for _, name, file, lines in found:
        if [name, file] == (wanted + [None])[:2]:
            break
    else:
        sys.exit(f"{path}: no block {' '.join(wanted)}")
    if file:
        print("\n".join(lines))
    else:
        print(FOLLOW)
        for command, output in commands(lines):
            print("follow", shlex.quote(command), shlex.quote(pattern(output)))


main()
