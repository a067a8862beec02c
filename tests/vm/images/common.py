# SPDX-License-Identifier: GPL-2.0
"""Functions of all image generators: commands, and cases for the guest.

A case is a line of a manifest, its fields separated by tabs: name, image,
reference, arguments of qcowctl attach, checks. See ../guest/compare.c.
"""

import os
import re
import subprocess


def run(*command, check=True, cwd=None):
    """Return the command's output. A command that was told to abort leaves a
    core file that nobody needs."""
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, cwd=cwd, text=True,
                          errors="replace", check=False)
    if check and done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(command)[:400], done.stdout))
    return done.stdout


def qemu_img(*args, **kw):
    return run("qemu-img", *args, **kw)


def qemu_io(image, commands, fmt="qcow2", options=("-t", "unsafe")):
    """Commands may fail, as a compressed write to written clusters does."""
    args = [a for c in commands for a in ("-c", c)]
    return run("qemu-io", *options, "-f", fmt, *args, image, check=False)


def reference(image, path, fmt="qcow2"):
    """Write QEMU's view of the disk to path."""
    qemu_img("convert", "-q", "-f", fmt, "-O", "raw", image, path)


def reference_of_damaged(image, path):
    """Write QEMU's view of the disk to path; return the ranges that it cannot
    read: [(offset, length)]."""
    run("qemu-img", "convert", "-q", "--salvage", "-f", "qcow2", "-O", "raw",
        image, path)
    info = qemu_img("info", "-f", "qcow2", image)
    step = int(re.search(r"cluster_size: (\d+)", info).group(1))
    size = os.stat(path).st_size
    places = [(at, min(step, size - at)) for at in range(0, size, step)]
    out = qemu_io(image, ["read %d %d" % place for place in places],
                  options=("-r",))
    good = {int(at) for at in re.findall(r"^read .* at offset (\d+)$", out, re.M)}
    return [place for place in places if place[0] not in good]


def case(name, image, ref, args="-", checks="-"):
    return "\t".join((name, image, ref, args, checks))
