#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""foreign.py PROGRAM FORMAT IMAGE OUT: writes the disk of an image as a raw file, by the
table that tests/foreign/foreign.c prints. Holes are zeros, unless a fifth argument names a raw
file of the parent's disk. A sixth one is the member of an archive. As a module: disk()."""

import subprocess
import sys
import zlib
import lzma

HOLE, ZERO, DATA, COMPRESSED = range(4)
ZLIB, DEFLATE, XZ, LZ4, LZO, ZSTD = range(1, 7)


class Refused(Exception):
    """The parser's message."""


def lines(program, kind, image, *member):
    """The lines of the program, each a list of words."""
    run = subprocess.run([program, kind, image, *member], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, check=False)
    out = [line.split("\t") for line in
           run.stdout.decode(errors="surrogateescape").splitlines()]
    if run.returncode not in (0, 1):
        raise AssertionError(f"exit status {run.returncode}: "
                             + run.stderr.decode(errors="replace"))
    for line in out:
        if line[0] == "error":
            raise Refused(line[1])
    if run.returncode:
        raise AssertionError("exit status 1 without a message")
    return out


def inflate(window, data, plain):
    """The plain bytes of a whole stream, which the driver wants too."""
    stream = zlib.decompressobj(window)
    out = stream.decompress(data, plain + 1)
    if len(out) != plain or not stream.eof:
        raise zlib.error(f"a stream of other than {plain} bytes")
    return out


def decompress(codec, data, plain):
    """The chunk, padded to its size."""
    if codec == ZLIB:
        out = inflate(15, data, plain)
    elif codec == DEFLATE:
        out = inflate(-15, data, plain)
    elif codec == XZ:
        out = lzma.LZMADecompressor().decompress(data, plain)
    elif codec == LZ4:
        import lz4.block  # pylint: disable=import-outside-toplevel
        out = lz4.block.decompress(data, uncompressed_size=plain)
    elif codec == LZO:
        import lzo  # pylint: disable=import-outside-toplevel
        out = lzo.decompress(data, False, plain)
    elif codec == ZSTD:
        import zstandard  # pylint: disable=import-outside-toplevel
        out = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    else:
        raise AssertionError(f"codec {codec}")
    return out + bytes(plain - len(out))


def read_at(files, number, host_offset, length):
    """Bytes of a file, fewer at its end."""
    with open(files[number], "rb") as f:
        f.seek(host_offset)
        return f.read(length)


def disk(program, kind, image, parent=b"", *member):
    """The bytes of the disk of a small image, and the lines."""
    out = lines(program, kind, image, *member)
    files = {int(l[1]): l[2] for l in out if l[0] == "file"}
    size = next(int(l[1]) for l in out if l[0] == "size")
    size += -size % 512
    entries = [[int(x) for x in l[1:]] for l in out if l[0] == "entry"]
    data = bytearray(size)
    ends = [e[0] for e in entries[1:]] + [size]
    for (start, what, host, stored, plain, skip, number, codec), end in zip(entries, ends):
        if what == HOLE:
            piece = parent[start:end]
        elif what == DATA:
            piece = read_at(files, number, host, end - start)
        elif what == COMPRESSED:
            piece = decompress(codec, read_at(files, number, host, stored), plain)
            piece = piece[skip:skip + end - start]
        else:
            continue
        data[start:start + len(piece)] = piece
    assert len(data) == size
    return bytes(data), out


if __name__ == "__main__":
    below = open(sys.argv[5], "rb").read() if "".join(sys.argv[5:6]) else b""
    try:
        content, _ = disk(*sys.argv[1:4], below, *sys.argv[6:])
    except Refused as refused:
        sys.exit(f"{sys.argv[3]}: {refused}")
    with open(sys.argv[4], "wb") as output:
        output.write(content)
