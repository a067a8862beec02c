#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""verify.py [--leaks] FOLDER FACTS: looks, with QEMU's tools, at the images in
FOLDER after the driver wrote and let go of them. Prints "ok NAME" or
"not ok NAME: why". --leaks: there may be leaks.

verify.py --facts FOLDER: prints such facts of the images that are there now."""

import json
import multiprocessing
import os
import subprocess
import sys

from images import access, digest, snapshots

SECTOR = 512
LEAKS = 3


def qemu_img(*args):
    done = subprocess.run(["qemu-img", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False)
    return done.returncode, done.stdout


def read(path):
    with open(path, "rb") as f:
        return f.read()


def difference(got, want, either):
    """The place where the content is wrong. A discarded sector may have its old
    content or zeros."""
    if got == want:
        return None
    if len(got) != len(want):
        return "%d bytes, not %d" % (len(got), len(want))
    for at in range(0, len(want), SECTOR):
        sector = got[at:at + SECTOR]
        if sector != want[at:at + SECTOR] and \
                not (either[at // SECTOR] and not any(sector)):
            return "QEMU reads other bytes at %d" % at
    return None


def problems(fact, leaks):
    image, _ = access(fact["image"], fact.get("secrets", []))
    code, out = qemu_img("check", *image)
    if code and not (leaks and code == LEAKS):
        yield "qemu-img check: exit %d: %s" % (code, "; ".join(out.split("\n")[:3]))
    code, out = qemu_img("convert", "-q", "-O", "raw", *image, "after.raw")
    if code:
        yield "qemu-img convert: " + out
        return
    want, either = read("model"), read("model.either")
    yield difference(read("after.raw"), want, either)
    if fact["options"].get("data_file_raw") == "on":
        raw = read(fact["image"] + ".data")[:len(want)].ljust(len(want), b"\0")
        if difference(raw, want, either):
            yield "the raw data file: " + difference(raw, want, either)
    for name, was in fact["files"].items():
        if digest(name) != was:
            yield name + " was written"
    if snapshots(fact["image"], fact.get("secrets", [])) != fact["snapshots"]:
        yield "a snapshot changed"


def judge(job):
    top, fact, leaks = job
    os.chdir(os.path.join(top, fact["name"]))
    found = [p for p in problems(fact, leaks) if p]
    if not found:
        return "ok " + fact["name"]
    return "not ok %s: %s [%s]" % (fact["name"], "; ".join(found), fact["options"])


def print_facts(top):
    for name in sorted(os.listdir(top)):
        os.chdir(os.path.join(top, name))
        print(json.dumps({
            "name": name, "image": "image", "options": {},
            "snapshots": snapshots("image"),
            "files": {f: digest(f) for f in os.listdir(".")
                      if f not in ("image", "model")}}))


def verify(top, path, leaks):
    with open(path, encoding="ascii") as f:
        facts = [json.loads(line) for line in f]
    facts = [f for f in facts if os.path.exists(os.path.join(
        top, f["name"], "model.either"))]
    with multiprocessing.Pool(2) as pool:
        for line in pool.imap(judge, [(top, f, leaks) for f in facts]):
            print(line)


def main():
    args = sys.argv[1:]
    option = args.pop(0) if args[0].startswith("--") else None
    top = os.path.abspath(args[0])
    os.environ["LC_ALL"] = "C"
    if option == "--facts":
        print_facts(top)
    else:
        verify(top, args[1], option == "--leaks")


if __name__ == "__main__":
    main()
