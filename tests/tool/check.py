#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""check.py QCOWCTL SEED COUNT: in the current folder, make images, healthy and
damaged, and compare the output of qcowctl check for each with qemu-img check.

If there is a stop.so, made of stop.c, repairs are interrupted, too.

Prints a line "ok" or "FAILED: REASON" for each comparison. With --keep, images
that failed stay in the folder.
"""

import filecmp
import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "vm", "images"))


class NoZstd:
    """Stands in for a module that may be missing: the compressed data does not
    matter here."""

    def __init__(self, **options):
        pass

    def compress(self, data):
        return data[:len(data) // 2 + 1]


if not importlib.util.find_spec("zstandard"):
    sys.modules["zstandard"] = types.SimpleNamespace(ZstdCompressor=NoZstd)
# pylint: disable=wrong-import-position
import crafted
import cross
import damage
from common import qemu_img, qemu_io
from qcow2 import Image, content, peek, poke

KEYS = ("check-errors", "corruptions", "leaks", "image-end-offset",
        "total-clusters", "allocated-clusters", "fragmented-clusters",
        "compressed-clusters")

QCOWCTL = os.environ.get("WRAP", "").split() + [os.path.abspath(sys.argv[1])]


def output(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60,
                          stderr=subprocess.PIPE, text=True, errors="replace",
                          check=False)
    return done.returncode, done.stdout, done.stderr


def judged(*command):
    """Exit code and numbers."""
    code, out, err = output(*command)
    try:
        found = json.loads(out)
    except ValueError:
        return code, None, err
    return code, {key: found.get(key, 0) for key in KEYS}, err


def by_qemu(image):
    return judged("qemu-img", "check", "-f", "qcow2", "--output=json", image)


def short_snapshots(err):
    """Snapshots whose L1 table is too small for their disk: QEMU does not look."""
    return len(set(re.findall(r"entry (\d+): its L1 table is too small", err)))


def by_us(image, *options):
    """As QEMU would judge, without the faults that it does not look for."""
    code, found, err = judged(*QCOWCTL, "check", "--json", *options, image)
    if found and code == 2 and short_snapshots(err):
        found["corruptions"] -= short_snapshots(err)
        if not found["corruptions"]:
            code = 3 if found["leaks"] else 0
    return code, found, err


class Tally:
    """Counts comparisons."""

    def __init__(self):
        self.codes = {}
        self.failed = 0

    def say(self, name, wrong=None):
        if wrong:
            self.failed += 1
            print("FAILED: %s: %s" % (name, wrong), flush=True)
        else:
            print("ok", flush=True)

    def compare(self, name, image):
        theirs, ours = by_qemu(image), by_us(image)
        self.codes[theirs[0]] = self.codes.get(theirs[0], 0) + 1
        wrong = None
        if theirs[:2] != ours[:2]:
            wrong = "qemu-img %s, qcowctl %s\n    %s\n    %s" % (
                theirs[:2], ours[:2], theirs[2][-400:], ours[2][-400:])
            if "--keep" in sys.argv:
                os.makedirs("kept", exist_ok=True)
                shutil.copy(image, "kept/%s.qcow2" % name)
        self.say(name, wrong)
        return theirs

    def repair(self, name, image, mode, before):
        """Repair a copy. before: of the image, from by_qemu()."""
        shutil.copy(image, "repaired.qcow2")
        ours = by_us("repaired.qcow2", "--repair=" + mode)
        theirs = by_qemu("repaired.qcow2")
        wrong = []
        if ours[0] == 1 and theirs[0] in (2, 3) and "cannot be repaired" in ours[2]:
            if not filecmp.cmp(image, "repaired.qcow2", shallow=False):
                wrong.append("given up, but changed")
        elif ours[:2] != theirs[:2]:
            wrong.append("repaired: qemu-img %s, qcowctl %s" % (theirs[:2], ours[:2]))
        short = short_snapshots(ours[2])
        if before[0] == 3 and theirs[0] and ours[0] != 1 and not short:
            wrong.append("leaks are left: %s" % (theirs,))
        kept = "leaked clusters are not freed" in ours[2] or ours[0] == 1
        if before[0] == 2 and theirs[0] not in (0, 2) and not kept:
            wrong.append("exit code %d" % theirs[0])
        if before[0] == 0 and open(image, "rb").read() != \
                open("repaired.qcow2", "rb").read() and not peek(image, 72) & 3:
            wrong.append("a clean image was changed")
        # There the disk shows one of its own tables, whose COPIED flags are repaired.
        if name != "damage data-at-metadata" and reads(image) != reads("repaired.qcow2"):
            wrong.append("other content")
        self.codes[mode, before[0], theirs[0]] = \
            self.codes.get((mode, before[0], theirs[0]), 0) + 1
        if wrong and "--keep" in sys.argv:
            os.makedirs("kept", exist_ok=True)
            shutil.copy(image, "kept/%s.qcow2" % name)
        self.say("%s, --repair=%s" % (name, mode),
                 "; ".join(wrong + [ours[2][-900:]]) if wrong else None)

    def interrupt(self, name, image, before):
        """End a repair before each of its writes: there is no new corruption,
        save for COPIED flags that are missing."""
        content_before = reads(image)
        for at in range(200):
            shutil.copy(image, "cut.qcow2")
            env = dict(os.environ, LD_PRELOAD=os.path.abspath("stop.so"),
                       STOP_AT=str(at))
            code = subprocess.run(QCOWCTL[-1:] + ["check", "--repair=all", "cut.qcow2"],
                                  stdout=subprocess.DEVNULL, env=env,
                                  stderr=subprocess.DEVNULL, check=False).returncode
            if code != 99:
                break
            after = by_qemu("cut.qcow2")
            allowed = after[2].count("OFLAG_COPIED") + before[1]["corruptions"]
            if after[0] not in (0, 2, 3) or after[1]["corruptions"] > allowed:
                self.say(name, "interrupted at write %d: %s" % (at, after[:2]))
            elif at % 8 == 0 and reads("cut.qcow2") != content_before:
                self.say(name, "interrupted at write %d: other content" % at)
            else:
                self.say(name)


def reads(image):
    """The readable content of the disk and of its snapshots."""
    found = []
    for which in (), ("-l", "s0"), ("-l", "s1"):
        code, out, _ = output("qemu-img", "convert", "-q", "-U", *which,
                              "--salvage", "-f", "qcow2", "-O", "raw", image, "read.raw")
        found.append((code, out))
        if not code:
            with open("read.raw", "rb") as f:
                found.append(hashlib.sha1(f.read()).digest())
    return found


# --- Images ---

def one_damage(number):
    what, change, options = damage.DAMAGE[number]
    image = what + ".qcow2"
    change(damage.base(image, random.Random(what), **options))
    return "damage " + what, image


def one_crafted(seed):
    for attempt in range(10):
        rng = random.Random("check crafted %s %s" % (seed, attempt))
        img = crafted.draw_image(rng)
        crafted.fill(img, rng)
        if rng.random() < 0.5:
            crafted.reserve(img, rng)
        try:
            img.finish()
        except OverflowError:
            continue
        if rng.random() < 0.5:
            crafted.cut_end(img, rng)
        break
    return "crafted %s" % seed, img.path


def features(rng):
    """Options of an image that QEMU makes."""
    version = rng.choice(["0.10", "1.1", "1.1", "1.1"])
    options = {"compat": version}
    extl2 = version == "1.1" and rng.random() < 0.25
    bits = rng.choice([14, 16] if extl2 else [9, 9, 10, 12, 14, 16, 16])
    options["cluster_size"] = 1 << bits
    if version == "1.1":
        options["refcount_bits"] = rng.choice([1, 2, 4, 8, 16, 32, 64])
        options["compression_type"] = rng.choice(["zlib", "zstd"])
        if extl2:
            options["extended_l2"] = "on"
        if rng.random() < 0.1:
            options["data_file"] = "made.data"
        elif rng.random() < 0.2:
            options["lazy_refcounts"] = "on"
    return options, bits


def writes(rng, size, bits, compress):
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(size >> 9) << 9
        length = min(size - at, rng.randint(1, 40) << 9)
        kind = rng.random()
        if kind < 0.6:
            yield "write -q -P %d %d %d" % (rng.randrange(256), at, length)
        elif kind < 0.7:
            yield "write -q -z %d %d" % (at, length)
        elif kind < 0.8 or not compress:
            yield "discard -q %d %d" % (at, length)
        else:
            at = at >> bits << bits
            yield "write -q -c -P %d %d %d" % (rng.randrange(256), at,
                                               min(1 << bits, size - at))


def one_made(seed):
    """A history, as of QEMU's own tools."""
    rng = random.Random("check made %s" % seed)
    options, bits = features(rng)
    size = rng.randint(1, 400) << max(9, bits - 4)
    image = "made.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o",
             ",".join("%s=%s" % o for o in options.items()), image, str(size))
    own = "data_file" not in options
    for i in range(rng.randint(1, 3)):
        commands = list(writes(rng, size, bits, own))
        if "lazy_refcounts" in options and i and rng.random() < 0.4:
            commands += ["flush", "abort"]
        qemu_io(image, commands)
        if "abort" in commands:
            break
        if own and rng.random() < 0.6:
            qemu_img("snapshot", "-c", "s%d" % i, image, check=False)
        if options["compat"] == "1.1" and rng.random() < 0.4:
            qemu_img("bitmap", "--add", "-g", "512", image, "b%d" % i, check=False)
            qemu_io(image, list(writes(rng, size, bits, own)))
        if i and rng.random() < 0.3:
            qemu_img("snapshot", rng.choice(["-d", "-a"]), "s0", image, check=False)
    return "made %s (%s)" % (seed, options), image


def metadata(image):
    """Offsets of 8-byte words that mean something, most of all if they are not
    0."""
    bits = peek(image, 20, 4)
    cluster = 1 << bits
    length = os.stat(image).st_size
    places = []

    def table(at, size):
        places.extend(range(at, min(at + size, length - 8), 8))

    l1, l1_size = peek(image, 40), peek(image, 36, 4)
    reftable = peek(image, 48)
    table(l1, 8 * l1_size)
    for i in range(min(l1_size, 64)):
        at = peek(image, l1 + 8 * i) & 0xfffffffffffe00
        if 0 < at < length:
            table(at, cluster)
    table(reftable, min(cluster * peek(image, 56, 4), 4096))
    for i in range(min(cluster // 8, 64)):
        at = peek(image, reftable + 8 * i)
        if 0 < at < length:
            table(at, min(cluster, length >> bits << 1))
    table(peek(image, 64), 128 if peek(image, 60, 4) else 0)
    used = [p for p in places if peek(image, p)]
    return used or places, places


def mutate(rng, image):
    used, places = metadata(image)
    bits = peek(image, 20, 4)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.choice(used if rng.random() < 0.85 else places)
        old = peek(image, at)
        kind = rng.random()
        if kind < 0.3:
            new = old ^ 1 << rng.randrange(64)
        elif kind < 0.5:
            new = old ^ 1 << 63
        elif kind < 0.6:
            new = 0
        elif kind < 0.7:
            new = peek(image, rng.choice(used))
        elif kind < 0.8:
            new = old + (rng.randint(-8, 8) << bits)
        elif kind < 0.9:
            new = old & ~0xffff | rng.randrange(4)
        else:
            new = rng.getrandbits(64)
        poke(image, at, new)
    if rng.random() < 0.1:
        os.truncate(image, rng.randrange(512, os.stat(image).st_size + 1))


def try_one(tally, name, image, repair):
    before = tally.compare(name, image)
    if repair and before[0] in (0, 2, 3):
        for mode in "leaks", "all":
            tally.repair(name, image, mode, before)
        if before[0] and os.path.exists("stop.so"):
            tally.interrupt(name, image, before)


def main():
    seed, count = sys.argv[2], int(sys.argv[3])
    tally = Tally()
    for number in range(len(damage.DAMAGE)):
        name, image = one_damage(number)
        small = os.stat(image).st_size < 4 << 20
        try_one(tally, name, image, small and number % 3 == 0)
    for i in range(count // 4):
        name, image = one_crafted("%s %d" % (seed, i))
        try_one(tally, name, image, i % 4 == 0)
    for i in range(count // 4):
        name, image = one_made("%s %d" % (seed, i))
        try_one(tally, name, image, False)
        rng = random.Random(name)
        for k in range(4):
            shutil.copy(image, "mutant.qcow2")
            mutate(rng, "mutant.qcow2")
            try_one(tally, "%s, mutant %d" % (name, k), "mutant.qcow2", k < 2)
    print("exit codes:", sorted(tally.codes.items(), key=str))


if __name__ == "__main__":
    main()
