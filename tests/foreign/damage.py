#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""damage.py PROGRAM FORMAT SEED...: damages copies of small images, gives each to the parser
(PROGRAM is that of foreign.c) and to a judge, and compares the disks of those that both accept.
It fails if the parser crashes or hangs, refuses an image without a message, or reads other data
than the judge. Damage goes to metadata mostly: to bytes that no data piece of the table has.

A seed may have more files, such as extents and parents, in its folder; all files that the parser
opens are damaged.

--count N       damaged images for all seeds together
--seed N        draws them
--only N        just image N of them, which is kept
--member NAME   of an archive
--judge WORDS   a command that writes the raw disk of IMAGE to OUT, such as the default,
                "qemu-img convert -f FORMAT -O raw IMAGE OUT"; "none": there is no judge
--parent FILE   raw disk of the parent, for holes
--module FILE   Python: fix(data, path) repairs the checksums of a damaged file in place;
                known(path, lines) returns the reason for which the judge is wrong about an
                image, or None
--keep FOLDER   for images that show a fault
--pack FOLDER   damage nothing, but write inputs of tests/fuzz/foreign.c there, without the data
                of the disk; the file .formats there has the names of formats by number
"""

import argparse
import collections
import hashlib
import importlib.util
import os
import random
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

HOLE, ZERO, DATA, COMPRESSED = range(4)
WIDTHS = (1, 2, 4, 4, 4, 8, 8)
JUDGE_SECONDS = 20
PAGE = 1 << 16
MAX_RECORD = 32 << 10
MAX_PACKED = 32 << 10
MAX_SECTORS = 48
MAX_DULL_SECTORS = 8
MAX_FAULTS = 5


class Program:
    """The parser: one process for all images."""

    def __init__(self, path, folder, member):
        self.member = f"\t{member}" if member else ""
        self.run = subprocess.Popen([os.path.abspath(path), "-"], cwd=folder, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def parse(self, kind, path):
        """Its lines about an image, each a list of words, and its exit status."""
        self.run.stdin.write(os.fsencode(f"{kind}\t{path}{self.member}\n"))
        self.run.stdin.flush()
        lines = []
        while True:
            line = self.run.stdout.readline()
            if not line:
                raise SystemExit("damage: the program of foreign.c has ended")
            words = line.decode(errors="surrogateescape").rstrip("\n").split("\t")
            if words[0] == "end":
                return lines, int(words[1])
            lines.append(words)


def values(lines, word):
    """The values of the lines that begin with a word."""
    return [line[1:] for line in lines if line[0] == word]


def pieces(lines):
    """The table: guest start, guest end, kind, host offset, stored bytes, file."""
    entries = [[int(x) for x in e] for e in values(lines, "entry")]
    if not entries:
        return []
    size = int(values(lines, "size")[0][0])
    ends = [e[0] for e in entries[1:]] + [size + -size % 512]
    return [(e[0], end, e[1], e[2], e[3], e[6]) for e, end in zip(entries, ends)]


class Seed:
    """An image that is damaged, with its files by path."""

    def __init__(self, args, program, path):
        self.path = os.path.abspath(path)
        lines, status = program.parse(args.format, self.path)
        if status and not args.pack:
            raise SystemExit(f"damage: the parser refuses {path}: {values(lines, 'error')}")
        numbers = {int(n): name for n, name in values(lines, "file")
                   if not os.path.basename(name).startswith("scratch.")}
        self.backing = [name for name, in values(lines, "backing")]
        self.files = {}
        for number, name in numbers.items():
            with open(name, "rb") as f:
                self.files.setdefault(os.path.basename(name), Content(f.read()))
            self.files[os.path.basename(name)].take_data(
                [p for p in pieces(lines) if p[5] == number])
        for content in self.files.values():
            content.finish()


class Content:
    """The bytes of a file, and the places where damage is worth most."""

    def __init__(self, data):
        self.data = data
        self.free = [(0, len(data))]
        self.places = []
        self.ranges = []

    def take_data(self, table):
        """Leave out the data of a table."""
        used = sorted((p[3], p[3] + (p[1] - p[0] if p[2] == DATA else p[4]))
                      for p in table if p[2] in (DATA, COMPRESSED))
        for first, end in used:
            self.free = [part for a, b in self.free
                         for part in ((a, min(b, first)), (max(a, end), b)) if part[0] < part[1]]

    def finish(self):
        """Find the words of metadata that are not zero; some of a long text or table."""
        for first, end in self.free:
            for at in range(first & ~3, end, 4):
                if any(self.data[at:at + 4]):
                    self.places.append(at)
                    # What lies near is looked at by the parser as well.
                    self.ranges.append((max(at - 16, 0), min(at + 20, len(self.data))))

    def place(self, draw):
        """Where to damage."""
        if not self.places or draw.random() < 0.05:
            return draw.randrange(max(len(self.data), 1))
        if draw.random() < 0.6:
            return draw.choice(self.places) + draw.choice((0, 0, 0, 0, 1, 2, 3))
        return draw.randrange(*draw.choice(self.ranges))


def number(draw, data, at, width, order):
    """A number that may matter in the place of another one."""
    old = int.from_bytes(data[at:at + width], order)
    other = draw.randrange(max(len(data) - 8, 1)) & ~3
    return draw.choice((
        0, 1, 2, old + 1, old - 1, old * 2, old // 2, old ^ 1 << draw.randrange(8 * width),
        -1, -2, 1 << draw.randrange(8 * width), (1 << draw.randrange(8 * width)) - 1,
        len(data), len(data) // 512, draw.getrandbits(8 * width), draw.randrange(100),
        int.from_bytes(data[other:other + width], order),
    )) & ((1 << 8 * width) - 1)


def damage_once(draw, content, data):
    """One change of the bytes of a file."""
    at = content.place(draw)
    what = draw.randrange(20)
    if what < 4:
        at = min(at, len(data) - 1)
        data[at] ^= 1 << draw.randrange(8)
    elif what < 6:
        data[min(at, len(data) - 1)] = draw.randrange(256)
    elif what < 13:
        width, order = draw.choice(WIDTHS), draw.choice(("little", "big"))
        at -= at % min(width, 4)
        if at + width <= len(data):
            data[at:at + width] = number(draw, data, at, width, order).to_bytes(width, order)
    elif what < 16:
        width = draw.choice((4, 8))
        other = content.place(draw)
        other, at = other - other % width, at - at % width
        if max(at, other) + width <= len(data):
            data[at:at + width], data[other:other + width] = \
                data[other:other + width], data[at:at + width]
    elif what < 17:
        at -= at % 512
        data[at:at + 512] = bytes(len(data[at:at + 512]))
    elif what < 18:
        at, other = at - at % 512, content.place(draw) & ~511
        if max(at, other) + 512 <= len(data):
            data[at:at + 512] = data[other:other + 512]
    else:
        resize(draw, at, data)


def resize(draw, at, data):
    """Cut a file off, or make it longer."""
    way = draw.randrange(4)
    if way == 0:
        data.extend(bytes(draw.choice((1, 511, 512, 4096))))
    elif way == 1:
        del data[draw.randrange(len(data)):]
    elif way == 2:
        del data[at:]
    else:
        del data[len(data) - draw.choice((1, 4, 511, 512, 513, 1024)):]
    if not data:
        data.extend(b"\0")


class Folder:
    """The files of a damaged image, of which only changed pages are written."""

    def __init__(self, path):
        self.path = path
        self.last = {}

    def put(self, name, data):
        """Write a file."""
        path, last = os.path.join(self.path, name), self.last.get(name, b"")
        with open(path, "r+b" if last else "wb") as f:
            f.truncate(len(data))
            new, old = memoryview(data), memoryview(last)
            for at in range(0, len(data), PAGE):
                if new[at:at + PAGE] != old[at:at + PAGE]:
                    f.seek(at)
                    f.write(new[at:at + PAGE])
        self.last[name] = data

    def link(self, seed):
        """The files of a seed's folder that are not damaged, such as parents."""
        folder = os.path.dirname(seed.path)
        for entry in os.scandir(folder):
            path = os.path.join(self.path, entry.name)
            if entry.name not in seed.files and not os.path.lexists(path):
                os.symlink(entry.path, path)

    def clear(self):
        """Remove all files."""
        for entry in os.scandir(self.path):
            os.unlink(entry.path)
        self.last = {}


def read_at(path, host_offset, length):
    """Bytes of a file, fewer at its end."""
    with open(path, "rb", buffering=0) as f:
        f.seek(host_offset)
        return f.read(length)


def data_ranges(f, start, end):
    """The parts of a sparse file that have blocks."""
    while start < end:
        try:
            start = os.lseek(f.fileno(), start, os.SEEK_DATA)
        except OSError:
            return
        stop = min(os.lseek(f.fileno(), start, os.SEEK_HOLE), end)
        if start < stop:
            yield start, stop
        start = stop


def chunks(start, end):
    """A range in parts that fit into memory."""
    for at in range(start, end, 16 * PAGE):
        yield at, min(at + 16 * PAGE, end)


class Comparison:
    """The disk by our table beside the judge's raw file."""

    def __init__(self, lines, judged, parent, decompress):
        self.lines = lines
        self.judged = judged
        self.parent = parent
        self.decompress = decompress
        self.files = {int(n): name for n, name in values(lines, "file")}

    def fault(self, folder):
        """The first difference, or None."""
        table = pieces(self.lines)
        ours, theirs = table[-1][1], os.path.getsize(self.judged)
        if ours != theirs + -theirs % 512:
            return f"a disk of {ours} bytes, the judge has {theirs}"
        entries = values(self.lines, "entry")
        with open(self.judged, "rb", buffering=0) as f:
            for piece, entry in zip(table, entries):
                start, end = piece[0], min(piece[1], theirs)
                if start < end and not self.same(f, folder, start, end, [int(x) for x in entry]):
                    return f"other data in the piece at {start}"
        return None

    def same(self, f, folder, start, end, entry):
        """Whether a piece is the same."""
        kind = entry[1]
        if kind == COMPRESSED:
            host, stored, plain, skip, file, codec = entry[2:8]
            try:
                data = self.decompress(codec, read_at(self.name(folder, file), host, stored), plain)
            except Exception:  # pylint: disable=broad-except
                # The driver fails such a read, so it shows no other data.
                return True
            return data[skip:skip + end - start] == os.pread(f.fileno(), end - start, start)
        if kind == DATA:
            name = self.name(folder, entry[6])
            return all(read_at(name, entry[2] + a - start, b - a) ==
                       os.pread(f.fileno(), b - a, a) for a, b in chunks(start, end))
        below = self.parent if kind == HOLE else b""
        if below and start < len(below):
            middle = min(end, len(below))
            if os.pread(f.fileno(), middle - start, start) != below[start:middle]:
                return False
            start = middle
        return not any(any(os.pread(f.fileno(), b - a, a))
                       for first, stop in data_ranges(f, start, end)
                       for a, b in chunks(first, stop))

    def name(self, folder, file):
        """The path of a file of the image."""
        return os.path.join(folder, self.files[file])


def judge(args, image, out):
    """Whether the judge accepts an image: True, False, or None if that takes too long."""
    words = [{"IMAGE": image, "OUT": out}.get(w, w) for w in shlex.split(args.judge)]
    if os.path.exists(out):
        os.unlink(out)
    try:
        run = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             stdin=subprocess.DEVNULL, timeout=JUDGE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None
    return run.returncode == 0


class Run:
    """All damaged images of a format."""

    def __init__(self, args, work):
        self.args = args
        self.folder = Folder(os.path.join(work, "images"))
        os.mkdir(self.folder.path)
        self.out = os.path.join(work, "judged.raw")
        self.program = Program(args.program, self.folder.path, args.member)
        self.seeds = [Seed(args, self.program, path) for path in args.seeds]
        self.module = load(args.module) if args.module else None
        self.parent = open(args.parent, "rb").read() if args.parent else b""
        self.decompress = load(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                            "foreign.py")).decompress
        self.counts = collections.Counter()
        self.faults = 0

    def make(self, i):
        """Make image number i; returns its seed, or None if it is like the seed."""
        draw = random.Random(f"{self.args.seed} {self.args.format} {i}")
        seed = self.seeds[i % len(self.seeds)]
        names = sorted(seed.files)
        changed = {name: bytearray(seed.files[name].data) for name in names}
        for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 5))):
            name = draw.choice(names)
            damage_once(draw, seed.files[name], changed[name])
        if len(self.seeds) > 1:
            self.folder.clear()
        for name, data in changed.items():
            if data != seed.files[name].data and hasattr(self.module, "fix") and draw.random() < 0.7:
                self.module.fix(data, name)
            self.folder.put(name, data)
        self.folder.link(seed)
        return seed

    def one(self, i):
        """Try image number i; returns the fault, or None."""
        seed = self.make(i)
        image = os.path.join(self.folder.path, os.path.basename(seed.path))
        lines, status = self.program.parse(self.args.format, image)
        if status > 1:
            return "takes too long" if status in (152, 137) else f"crashes (status {status})"
        error = values(lines, "error")
        if status or error:
            self.counts["refused"] += 1
            return None if status and error and error[-1][0] else "refuses it without a message"
        self.counts["accepted"] += 1
        if self.args.judge == "none":
            return None
        return self.compare(seed, image, lines)

    def compare(self, seed, image, lines):
        """Compare the disk of an image with that of the judge."""
        if [name for name, in values(lines, "backing")] != seed.backing:
            self.counts["other parent"] += 1
            return None
        known = self.module.known(image, lines) if hasattr(self.module, "known") else None
        if known:
            self.counts[known] += 1
            return None
        verdict = judge(self.args, image, self.out)
        if not verdict:
            self.counts["judge takes too long" if verdict is None else "judge refuses"] += 1
            return None
        self.counts["compared"] += 1
        return Comparison(lines, self.out, self.parent, self.decompress).fault(self.folder.path)

    def keep(self, i, fault):
        """Show a fault, and keep its image."""
        self.faults += 1
        again = f"--seed {self.args.seed} --only {i}"
        print(f"damage: {self.args.format}: {fault} ({again})")
        if self.args.keep:
            to = os.path.join(self.args.keep, f"{self.args.format}-{self.args.seed}-{i}")
            shutil.copytree(self.folder.path, to, dirs_exist_ok=True)
            print(f"damage: kept in {to}")

    def run(self):
        """Try all of them; returns the exit status."""
        numbers = range(self.args.count) if self.args.only is None else [self.args.only]
        for i in numbers:
            self.counts["images"] += 1
            fault = self.one(i)
            if fault or self.args.only is not None:
                self.keep(i, fault or "nothing")
            if self.faults == MAX_FAULTS:
                break
        print(f"damage: {self.args.format}: " +
              ", ".join(f"{n} {what}" for what, n in sorted(self.counts.items())))
        return 1 if self.faults else 0


def record(file, size, sector, data=b""):
    """A record of an input of the fuzzer."""
    return struct.pack("<BBHI", file, size, len(data) or sector % 512,
                       sector // 512 if size else sector) + data


def ends(sectors, most):
    """The first and the last ones, as tables are there."""
    return sectors if len(sectors) <= most else sectors[:most // 2] + sectors[-most // 2:]


def sectors_to_pack(content):
    """The numbers of a file's sectors with metadata. Those that look like data, all of one
    byte or of many, make an input long, and all its changes slow."""
    lively, dull = set(), set()
    for first, end in content.free:
        for sector in range(first // 512, (end + 511) // 512):
            different = set(content.data[sector * 512:sector * 512 + 512])
            if different != {0}:
                (lively if 1 < len(different) <= 100 else dull).add(sector)
    return sorted(ends(sorted(lively), MAX_SECTORS) + ends(sorted(dull), MAX_DULL_SECTORS))


def pack_file(number_of_file, content):
    """The records of a file: its size, and its metadata."""
    data = content.data
    yield record(number_of_file, 1, len(data))
    sectors = sectors_to_pack(content)
    while sectors:
        nr = next((i for i, s in enumerate(sectors[:MAX_RECORD // 512])
                   if s != sectors[0] + i), min(len(sectors), MAX_RECORD // 512))
        yield record(number_of_file, 0, sectors[0],
                     data[sectors[0] * 512:(sectors[0] + nr) * 512])
        sectors = sectors[nr:]


def pack(args, seeds):
    """Write inputs of the fuzzer."""
    with open(os.path.join(args.pack, ".formats"), encoding="ascii") as f:
        formats = f.read().split()
    for seed in seeds:
        words = bytes([formats.index(args.format), 2 if args.member else 0])
        words += b"".join(r for n, content in enumerate(seed.files.values())
                          for r in pack_file(n, content))
        # Images of different content may have one name.
        digest = hashlib.sha256(words).hexdigest()[:8]
        name = f"{args.format}-{os.path.basename(seed.path)}-{digest}"
        if len(words) <= MAX_PACKED:
            with open(os.path.join(args.pack, name), "wb") as f:
                f.write(words)
        else:
            print(f"damage: {name} is too long for the fuzzer")
    return 0


def load(path):
    """A module of Python by its path."""
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    """Read the arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("format")
    parser.add_argument("seeds", nargs="+")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--member")
    parser.add_argument("--judge")
    parser.add_argument("--parent")
    parser.add_argument("--module")
    parser.add_argument("--keep")
    parser.add_argument("--pack")
    args = parser.parse_args()
    if args.judge is None:
        args.judge = f"qemu-img convert -f {args.format} -O raw IMAGE OUT"
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as work:
        run = Run(args, work)
        return pack(args, run.seeds) if args.pack else run.run()


if __name__ == "__main__":
    sys.exit(main())
