#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""make.py FOLDER SEEDS COUNT: makes the test images in FOLDER/images, and
manifests beside it. COUNT random ones for each of SEEDS."""

import multiprocessing
import os
import resource
import sys

import crafted
import cross
import damage
import encrypted
import extra
import refuse


def write_manifest(path, lines):
    with open(path, "w", encoding="ascii") as f:
        f.writelines(line + "\n" for line in lines if line)


def main():
    top, seeds, count = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    images = os.path.join(top, "images")
    os.makedirs(images)
    # qemu-io is told to abort.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["LC_ALL"] = "C"
    with multiprocessing.Pool(2) as pool:
        jobs = []
        for seed in seeds.split(","):
            srcs = cross.sources(os.path.join(top, "sources-" + seed), seed)
            jobs += [(images, srcs, seed, i) for i in range(count)]
        lines = pool.map(cross.make, jobs, chunksize=4)
        write_manifest(os.path.join(top, "cross"), lines)
        jobs = [(images, seed, i) for seed in seeds.split(",")
                for i in range(count // 2)]
        more = pool.map(crafted.make, jobs, chunksize=4)
        write_manifest(os.path.join(top, "crafted"), more + crafted.make_huge(images))
        jobs = [(images, i) for i in range(len(damage.DAMAGE))]
        write_manifest(os.path.join(top, "damage"), pool.map(damage.make, jobs))
        write_manifest(os.path.join(top, "crypt"), encrypted.make(images, pool))
    write_manifest(os.path.join(top, "refuse"), refuse.make(images))
    extra.make(images)
    # Not planned by name: cases in ../guest use them.
    for name, flat in (("subset", False), ("flat", True)):
        write_manifest(os.path.join(top, name),
                       extra.subset(images, lines, 4, flat) +
                       extra.subset(images, more, 2, flat))


if __name__ == "__main__":
    main()
