#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""verify.py FOLDER FACTS: looks, with QEMU's tools, at the images in FOLDER
after the driver wrote and let go of them. Prints "ok NAME" or
"not ok NAME: why"."""

import json
import multiprocessing
import os
import subprocess
import sys

from images import digest, snapshots

SECTOR = 512


def qemu_img(*args):
    done = subprocess.run(["qemu-img", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace",
                          check=False)
    return done.returncode, done.stdout


def read(path):
    with open(path, "rb") as f:
        return f.read()


def difference(got, want, either):
    """Where the content is wrong. A discarded sector may be what it was or
    zeros."""
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


def problems(fact):
    code, out = qemu_img("check", "-f", "qcow2", fact["image"])
    if code:
        yield "qemu-img check: exit %d: %s" % (code, "; ".join(out.split("\n")[:3]))
    code, out = qemu_img("convert", "-q", "-f", "qcow2", "-O", "raw", fact["image"],
                         "after.raw")
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
    if snapshots(fact["image"]) != fact["snapshots"]:
        yield "a snapshot changed"


def judge(job):
    top, fact = job
    os.chdir(os.path.join(top, fact["name"]))
    found = [p for p in problems(fact) if p]
    if not found:
        return "ok " + fact["name"]
    return "not ok %s: %s [%s]" % (fact["name"], "; ".join(found), fact["options"])


def main():
    top = os.path.abspath(sys.argv[1])
    os.environ["LC_ALL"] = "C"
    with open(sys.argv[2], encoding="ascii") as f:
        facts = [json.loads(line) for line in f]
    facts = [f for f in facts if os.path.exists(os.path.join(
        top, f["name"], "model.either"))]
    with multiprocessing.Pool(2) as pool:
        for line in pool.imap(judge, [(top, f) for f in facts]):
            print(line)


if __name__ == "__main__":
    main()
