# SPDX-License-Identifier: GPL-2.0
"""calls.py TOP: prints "FILE OTHER" for each file in the folders of TOP that uses a
function which another .c file of them defines, whatever header declares it. Names are
without their endings."""
import pathlib
import re
import sys

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"', re.S)
FUNCTION = re.compile(r'^(?P<type>[a-z_][\w \t*]*?[\s*])(?P<name>\w+)\((?:[^;{}]*)\)\s*\n\{', re.M)


def functions(text):
    """The names of the global and of the static functions that a file defines."""
    found = {False: set(), True: set()}
    for match in FUNCTION.finditer(text):
        found[bool(re.search(r'\bstatic\b', match['type']))].add(match['name'])
    return found[False], found[True]


def main():
    top = pathlib.Path(sys.argv[1])
    texts = {path: COMMENT.sub(' ', path.read_text()) for path in top.glob('*/*.[ch]')}
    names = {path: str(path.relative_to(top).with_suffix('')) for path in texts}
    owner, static = {}, {}
    for path, text in texts.items():
        defined, static[path] = functions(text)
        if path.suffix == '.c':
            owner.update(dict.fromkeys(defined, names[path]))
    if not owner:
        sys.exit(f'{top}: no functions found')
    calls = set()
    for path, text in texts.items():
        # A declaration in a header is no use.
        if path.suffix == '.h':
            text = re.sub(r'^[a-z_][^;{}()=]*\b\w+\([^;{}]*;', ' ', text, flags=re.M)
        used = set(re.findall(r'(?<![.>\w])\w+', text)) - static[path]
        calls |= {(names[path], owner[name]) for name in used & owner.keys()}
    for name, other in sorted(calls):
        if name != other:
            print(name, other)


main()
