# SPDX-License-Identifier: GPL-2.0
"""
The book that "make htmldocs" makes of this folder. CHANGELOG.md, tables of README.md and
the manual pages are read where they are; nothing of them is written a second time.
"""
import re
import subprocess
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

TOP = Path(__file__).resolve().parent.parent
MANUALS = {path.name: path for path in sorted((TOP / "userspace/man").iterdir())}

project = "qcow"
author = "qcow developers"
version = re.search(r"VERSION \?= (\S+)", (TOP / "userspace/Makefile").read_text())[1]
release = version

extensions = ["myst_parser"]
exclude_patterns = ["output", "ABI"]
highlight_language = "none"
smartquotes = False
html_theme = "alabaster"
html_theme_options = {"description": "QEMU's disk images as Linux block devices",
                      "page_width": "70em", "sidebar_width": "15em"}
html_copy_source = False
html_use_index = False


def manual_html(path):
    """The body of a manual page, with links to the others."""
    run = subprocess.run(["mandoc", "-T", "html", "-O", "fragment,toc", path],
                         capture_output=True, text=True, check=True)
    html = re.sub(r'<table class="(head|foot)">.*?</table>', "", run.stdout, flags=re.S)
    # The title of the page is the first heading.
    html = re.sub(r"<(/?)h([12])\b", lambda m: f"<{m[1]}h{int(m[2]) + 1}", html)

    def link(match):
        name, section = match.groups()
        known = f"{name}.{section}" in MANUALS
        return f'<a class="Xr" href="{name}.{section}.html">{name}({section})</a>' if known \
            else f"<em>{name}({section})</em>"
    return re.sub(r'<a class="Xr">([\w.-]+)\((\d)\)</a>', link, html)


class Manual(Directive):
    """.. manual:: NAME.SECTION"""
    required_arguments = 1

    def run(self):
        path = MANUALS[self.arguments[0]]
        self.state.document.settings.env.note_dependency(str(path))
        return [nodes.raw("", manual_html(path), format="html")]


def first_sentence(path):
    """The first sentence of the comment that a source file begins with."""
    match = re.match(r"(?://[^\n]*\n)?/\*(.*?)\*/", path.read_text(), re.S)
    if not match:
        raise ValueError(f"{path} does not begin with a comment")
    text = " ".join(line.strip(" *") for line in match[1].strip().splitlines())
    return re.match(r".*?[.:](?= [A-Z]|$)|.*", re.sub(r"\s+", " ", text))[0]


class Files(Directive):
    """.. files:: TOP FOLDER...: the .c files of these folders, with their first sentences"""
    required_arguments = 2
    final_argument_whitespace = True

    def run(self):
        fields = nodes.field_list()
        top = TOP / self.arguments[0]
        for folder in self.arguments[1].split():
            for path in sorted((top / folder).glob("*.c")):
                self.state.document.settings.env.note_dependency(str(path))
                name = nodes.field_name()
                name += nodes.literal("", f"{folder}/{path.name}")
                fields += nodes.field("", name, nodes.field_body(
                    "", nodes.paragraph("", first_sentence(path))))
        return [fields]


def link_manuals(app, doctree, docname):
    """Names such as "qcowctl(8)" in a text lead to the page."""
    known = "|".join(re.escape(name.rpartition(".")[0]) for name in MANUALS)
    pattern = re.compile(rf"((?:{known})\(\d\))")
    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, (nodes.literal, nodes.literal_block, nodes.title,
                                    nodes.reference, nodes.raw)):
            continue
        parts = []
        for word in pattern.split(text.astext()):
            page = re.sub(r"\((\d)\)$", r".\1", word)
            if word != page and page in MANUALS:
                uri = app.builder.get_relative_uri(docname, f"man/{page}")
                parts.append(nodes.reference("", word, refuri=uri, internal=True))
            elif word:
                parts.append(nodes.Text(word))
        if len(parts) > 1:
            text.parent.replace(text, parts)


def setup(app):
    app.add_directive("manual", Manual)
    app.add_directive("files", Files)
    app.connect("doctree-resolved", link_manuals)
    return {"parallel_read_safe": True}
