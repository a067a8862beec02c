#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
headless.py FILE...: prints "FILE:LINE: WORDS" for each "what", "who" or "whoever" in a
comment, message or document that stands in place of a noun, as in "What is dirty is written". Such a
sentence hides its subject; "Dirty slices are written" names it.

Questions are fine, and so are indirect ones ("decides what a name means") and relative
clauses ("the task who..."): only the beginning of a sentence is looked at, and a "what" or
"who" behind a word that does not lead to a question.
"""
import itertools
import re
import sys

# A verb or preposition that takes a noun: "is what", "of what", "for whoever".
BEFORE = (r'is|are|was|were|be|been|does|do|done|did|has|have|had|of|for|from|with|by|to|in'
          r'|at|than|like|behind|before|after|over|under|beside|between|into|through|without'
          r'|keeps?|gives?|gets?|takes?|writes?|reads?|frees?|needs?|makes?|holds?|changes?|drops?'
          r'|releases?|copies|copy|undo|undoes|gives back|lets go of|waits? for')
# The beginning of a text: of a parameter, of a structure or function, of a list's entry
START = r'^(?:(?:struct |enum |union )?[\w.()*]+ - |@[\w.]+: |[-*] |#\. |\d+\. |``[^`]*`` +|# )?'

WORD = r'(?:[Ww]hat|[Ww]ho(?:ever)?)\b'
HEADLESS = re.compile(
    rf'{START}{WORD}(?! to\b)'
    rf'|(?<=[.;:!?] ){WORD}(?! to\b)'
    rf'|\b(?:{BEFORE}) {WORD}(?! to\b)'
    r'|, what\b')
END = re.compile(r'[.?!](?=\s|$)')


def c_comments(text):
    """Yields line and text of each paragraph of each comment."""
    for m in re.finditer(r'/\*.*?\*/|//[^\n]*', text, re.S):
        line = text.count('\n', 0, m.start()) + 1
        for i, row in enumerate(m.group().split('\n')):
            yield line + i, re.sub(r'^\s*(/\*+|\*/|\*|//)|\*/$', '', row.strip()).strip()
        yield 0, ''


def c_strings(text):
    """Yields line and text of each string, of pieces that follow each other."""
    text = re.sub(r'/\*.*?\*/', lambda m: re.sub(r'[^\n]', ' ', m.group()), text, flags=re.S)
    for m in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', text):
        words = re.sub(r'"\s*"|\\n', ' ', m.group()[1:-1])
        if ' ' in words.strip():
            yield text.count('\n', 0, m.start()) + 1, re.sub(r'\s+', ' ', words).strip()
        yield 0, ''


def manual(text):
    """Yields the text of a manual page, with its macros in sentences taken as words."""
    for i, row in enumerate(text.split('\n'), 1):
        m = re.match(r'\.(Ar|Cm|Nm|Fl|Pa|Ev|Xr|Dv|Ic)\b(.*)', row)
        yield i, 'X' + m.group(2) if m else '' if row.startswith('.') else row.strip()


def hash_comments(text):
    for i, row in enumerate(text.split('\n'), 1):
        m = re.match(r'\s*#+!?(.*)', row)
        yield i, m.group(1).strip() if m else ''


def all_lines(text):
    for i, row in enumerate(text.split('\n'), 1):
        yield i, re.sub(r'``?[^`]*``?|\*[^*]+\*', 'X', row.strip().lstrip('|').strip())


def paragraphs(rows):
    """Joins rows up to an empty one, or one that begins a text of its own."""
    first, words = 0, ''
    for line, row in rows:
        begins = re.match(r'@[\w.]+:|[-*] |#\. |(struct |enum )?[\w.()]+ - ', row)
        if words and (not row or begins):
            yield first, words
            words = ''
        if row:
            first, words = (first, words + ' ' + row) if words else (line, row)
    if words:
        yield first, words


def is_question(words, at):
    end = END.search(words, at)
    return bool(end) and end.group() == '?'


def main():
    for name in sys.argv[1:]:
        with open(name, encoding='utf-8') as file:
            text = file.read()
        if re.search(r'\.[ch]$', name):
            rows = itertools.chain(c_comments(text), c_strings(text))
        elif re.search(r'\.(rst|md)$', name):
            rows = all_lines(text)
        elif re.search(r'\.[1-8]$', name):
            rows = manual(text)
        else:
            rows = hash_comments(text)
        for line, words in paragraphs(rows):
            for m in HEADLESS.finditer(words):
                if not is_question(words, m.end()):
                    print(f'{name}:{line}: {words[max(0, m.start() - 15):m.end() + 35]}')


main()
