#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
book.py TOP HTML: prints mistakes of the documents of the source TOP, of which HTML is the
book: pages that no link leads to, links to nothing, names of files that are not there,
pages that a package lacks, tests that are not there, ioctls without a description,
manual pages that are not installed or not in the book.
"""
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

# Folders of the source. A word in a document that begins with one is a path in it.
FOLDERS = "Documentation|drivers|include|kunit|packaging|tests|userspace|debian"


class Links(HTMLParser):
    """The targets of a page's links, and its anchors"""
    def __init__(self, path):
        super().__init__()
        self.targets, self.anchors = set(), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("id"):
            self.anchors.add(attrs["id"])
        if tag == "a" and attrs.get("href"):
            self.targets.add(attrs["href"])


def check_links(html):
    """Links of the book, and pages that cannot be reached from its first one"""
    pages = {path.resolve(): Links(path) for path in html.rglob("*.html")}
    waiting = [(html / "index.html").resolve()]
    reached = set(waiting)
    while waiting:
        page = waiting.pop()
        for link in sorted(pages[page].targets):
            if re.match(r"[a-z]+:", link):
                continue
            name, anchor = urldefrag(unquote(link))
            target = (page.parent / name).resolve() if name else page
            if target not in pages:
                if not target.is_file():
                    yield f"{page.name}: a link to {link}, which is not there"
                continue
            if anchor not in pages[target].anchors:
                yield f"{page.name}: a link to {link}, and no such place in that page"
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    for page in sorted(pages.keys() - reached):
        yield f"{page.name}: no link leads there"


def source_files(top):
    if not (top / ".git").exists():
        return [path for path in top.rglob("*") if path.is_file()]
    out = subprocess.run(["git", "-C", top, "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=True).stdout
    return [top / name for name in out.split("\n") if name]


def matches(top, name):
    """Whether a path, which may have NAME, * or ... for a part, is that of some file"""
    name = re.sub(r"\b[A-Z]{4,}\b|\bNN\b|\bN\b|<[^>]*>|\.\.\.", "*", name.rstrip("/"))
    if "{" in name:
        head, choices, tail = re.match(r"(.*?)\{(.*?)\}(.*)", name).groups()
        return all(matches(top, head + choice + tail) for choice in choices.split(","))
    return any(True for _ in top.glob(name))


def check_paths(top):
    """Links of Markdown, and paths in documents"""
    for path in source_files(top):
        if path.suffix not in (".md", ".rst") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(top)
        if path.suffix == ".md":
            for link in re.findall(r"\]\(([^):#\s]+)[^)]*\)", text):
                if not (path.parent / link).exists():
                    yield f"{name}: a link to {link}, which is not there"
        # Paths "there", and those of this page, are in a kernel's source.
        text = re.sub(r"``\S+`` there\b", "", text)
        if path.name == "in-tree.rst":
            continue
        for word in re.findall(rf"(?<![\w/.~$-])(?:{FOLDERS})/[\w/.*{{}},<>-]*[\w*}}>/]", text):
            if not matches(top, word):
                yield f"{name}: {word} is not there"


def check_tests(top):
    """Tests that a document names as KIND:NAME"""
    texts = {
        "vm": (r"^case_(\w+)\(", sorted(top.glob("tests/vm/guest/*.sh"))),
        "write": (r"^case_(\w+)\(", sorted(top.glob("tests/write/cases/*.sh"))),
        "kunit": (r"\.name = \"(qcow_\w+)\"", sorted(top.glob("kunit/*.c"))),
        "tier": (r"^\t(\S+)\)", [top / "tests/run.sh"]),
    }
    known = {kind: {name for file in files if file.is_file()
                    for name in re.findall(pattern, file.read_text(encoding="utf-8"), re.M)}
             for kind, (pattern, files) in texts.items()}
    for kind in ("vm", "write"):
        known[kind] = {name.replace("_", "-") for name in known[kind]}
    for kind, folder in (("tool", "tests/tool"), ("host", "tests/host/parts")):
        known[kind] = {path.stem.partition("-")[2] for path in top.glob(f"{folder}/[0-9]*.sh")}
    known["tier"] |= {f"{kind}-{kernel}" for kind in ("vm", "write", "cut")
                      for kernel in ("6.1", "6.12", "7")}
    for path in top.glob("Documentation/*.rst"):
        for kind, name in re.findall(r"``(\w+):([\w.-]+)``", path.read_text(encoding="utf-8")):
            if kind in known and not name.isupper() and name not in known[kind]:
                yield f"{path.name}: there is no test {kind}:{name}"


def toctree(index, caption):
    tree = re.search(rf":caption: {caption}\n\n((?:   \S+\n)+)", index)
    return tree[1].split() if tree else []


def check_packages(top):
    """Packages of the tools have the pages for users; documents of the changes they have."""
    index = (top / "Documentation/index.rst").read_text(encoding="utf-8")
    wanted = {"README.md"} | {f"Documentation/{page}.rst"
                              for caption in ("Use", "Facts") for page in toctree(index, caption)
                              if page != "changelog"}
    debian = set((top / "debian/qcow-utils.docs").read_text(encoding="utf-8").split())
    spec = (top / "packaging/qcow.spec").read_text(encoding="utf-8")
    utils = spec[spec.index("%files utils"):]
    rpm = {word for line in re.findall(r"^%doc (.*)", utils, re.M) for word in line.split()}
    for name, files in (("debian/qcow-utils.docs", debian), ("packaging/qcow.spec", rpm)):
        for file in sorted(wanted ^ files):
            yield f"{name}: {file} is in it or in the book's pages for users, but not both"


def check_manuals(top, html):
    makefile = (top / "userspace/Makefile").read_text(encoding="utf-8")
    manuals = sorted((top / "userspace/man").iterdir())
    if not manuals:
        yield "no manual pages"
    for manual in manuals:
        name = f"userspace/man/{manual.name}"
        section = manual.suffix[1:]
        if f"644:man/{manual.name}:$(MANDIR)/man{section}/{manual.name} \\" not in makefile:
            yield f"{name}: make install does not install it"
        if not (html / f"man/{manual.name}.html").is_file():
            yield f"{name}: not in the book"
        for other, number in re.findall(r"^\.Xr (\S*qcow\S*) (\d)", manual.read_text(), re.M):
            known = f"{other}.{number}"
            if not (top / "userspace/man" / known).exists() and f"/{known}\n" not in makefile \
                    and f"/{known} " not in makefile:
                yield f"{name}: refers to {other}({number}), which there is not"


def check_ioctls(top):
    """qcow(4) and the page of the interface have each ioctl of the header, and no other."""
    header = (top / "include/uapi/linux/qcow.h").read_text(encoding="utf-8")
    defined = set(re.findall(r"#define (QCOW_IOC_\w+)\s+_IO", header))
    for name, pattern in (("userspace/man/qcow.4", r"^\.It Dv (QCOW_IOC_\w+)"),
                          ("Documentation/abi.rst", r"^``(QCOW_IOC_\w+)`` ")):
        told = set(re.findall(pattern, (top / name).read_text(encoding="utf-8"), re.M))
        for ioctl in sorted(defined ^ told):
            yield f"{name}: {ioctl} is in it or in the header, but not both"


def main():
    top, html = Path(sys.argv[1]), Path(sys.argv[2])
    for mistakes in (check_links(html), check_paths(top), check_packages(top),
                     check_tests(top), check_manuals(top, html), check_ioctls(top)):
        for mistake in mistakes:
            print(mistake)


main()
