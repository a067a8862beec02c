# SPDX-License-Identifier: GPL-2.0
"""offsets.py FILE...: prints the parameters, members and variables of integer types whose
name is an offset's, and does not say of what: "offset", "pos", "at", "from", "to"."""
import pathlib
import re
import sys

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"', re.S)
BARE = {'offset', 'pos', 'at', 'from', 'to'}
TYPE = re.compile(r'\b(?:[us](?:16|32|64)|__be(?:16|32|64)|u?int|s?size_t|l?off_t|sector_t|long)\b'
                  r'(?=[\s*]+\w)')


def declarators(text):
    """The declarators, and the parameters after them, up to the end of the list."""
    depth, item = 0, ''
    for char in text:
        if depth == 0 and char in ',;){:':
            yield item
            item = ''
            if char != ',':
                return
            continue
        depth += (char in '([{') - (char in ')]}')
        item += char


def names(text):
    """(place, name) of all that is declared with a type of TYPE."""
    for match in TYPE.finditer(text):
        for number, item in enumerate(declarators(text[match.end():])):
            words = re.findall(r'\w+', re.split(r'[=\[(]', item)[0])
            # Two words are a type and a name, which the type's own match is for.
            if number and len(words) > 1:
                break
            if words:
                yield match.start(), words[-1]


def main():
    found = 0
    for path in map(pathlib.Path, sys.argv[1:]):
        text = COMMENT.sub(lambda match: re.sub(r'[^\n]', ' ', match[0]), path.read_text())
        for place, name in names(text):
            found += 1
            if name in BARE:
                print(f'{path}:{text.count(chr(10), 0, place) + 1}: "{name}": of what?')
    if not found:
        sys.exit('no declarations found')


main()
