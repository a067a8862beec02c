#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
documented.py QCOWCTL FILE...: prints commands and options of qcowctl that documents name and
that there are not. A command stands behind "qcowctl" or begins a text of literals, as in
``attach --temporary``.
"""
import re
import subprocess
import sys


def lines_of(*arguments):
    run = subprocess.run([sys.argv[1], "--completion", *arguments], capture_output=True,
                         text=True, check=True)
    return run.stdout.split("\n")


COMMANDS = {command: {word.rstrip("=") for line in lines_of(command) for word in line.split()}
            for command in filter(None, lines_of())}
OTHERS = {"help", "version"}


def mistakes(text, only_known):
    """Of a text that begins with a command"""
    words = re.split(r"[\s|]+", re.sub(r"[#(;>&].*", "", text).strip())
    command = words[0]
    if command not in COMMANDS:
        if not only_known and command not in OTHERS and re.fullmatch(r"[a-z]+", command):
            yield f"there is no command {command}"
        return
    for word in words[1:]:
        if word == "qcowctl":
            break
        option = re.match(r"\[?(--[a-z][a-z-]*|-[a-zA-Z]$)", word)
        if option and option[1] not in COMMANDS[command] and option[1] != "--help":
            yield f"{command} has no option {option[1]}"


def main():
    for name in sys.argv[2:]:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        found = set()
        # A line of a literal block, or a literal: of reStructuredText, or of Markdown
        for line in re.findall(r"^(?: {4}|\t)(?:# )?(?:sudo )?qcowctl (.*)|^# qcowctl (.*)", text, re.M):
            found.update(mistakes("".join(line), False))
        for literal in re.findall(r"``?([^`]+)``?", text):
            if literal.startswith("qcowctl"):
                found.update(mistakes(literal[len("qcowctl"):].strip() or "help", False))
            else:
                found.update(mistakes(" ".join(literal.split()), True))
        for mistake in sorted(found):
            print(f"{name.rpartition('/')[2]}: {mistake}")


main()
