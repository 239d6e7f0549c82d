"""Render the site, `make docs`: nbdev processes the notebooks, Quarto or smalldocs renders them.

The work is done on a copy, and the finished site replaces the old one at the end. `--strict` fails
on a warning, on a broken link, and on anything that a page would load from another machine, for the
site must work offline.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import html
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from common import (
    ROOT,
    copy_tree,
    directives,
    quiet_environment,
    read_notebook,
    settings,
    source,
    write_atomically,
)

LOADS = {  # what a browser fetches by itself when it shows a page; a plain link it does not
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
}
LOADING_LINKS = set("stylesheet icon preload modulepreload prefetch preconnect manifest".split())
# What latex2mathml passes through.
UNKNOWN_TEX = re.compile(r"<m(?:i|o|n|text)\b[^>]*>(\\[a-zA-Z]+|&(?:amp;)?)</m")
# Warnings of smalldocs about what this file does instead.
DONE_HERE = ("output-file is not read", "html-math-method is ignored")
ELSEWHERE = r"(?:[a-z]+:)?//"
CSS_LOADS = re.compile(rf"(?:url\(\s*|@import\s+)[\"']?({ELSEWHERE}[^\"')\s]+)")
SCRIPT_LOADS = re.compile(
    rf"(?:\bimport\b[^\"'`;]*|\bfetch\(\s*|\.src\s*=\s*)[\"'`]({ELSEWHERE}[^\"'`]+)"
)
LONGEST_DEFAULT = 60  # characters of a default that a page shows in full


def shown_default(value: Any) -> str:
    """A default as a signature shows it: `HybridConfig()` instead of all its fields."""
    kind: Any = type(value)
    text = getattr(value, "__name__", repr(value))
    if value is inspect.Parameter.empty:
        return ""
    if len(text) <= LONGEST_DEFAULT:
        return str(text)
    try:
        plain = dataclasses.is_dataclass(value) and value == kind()
    except TypeError:  # it has fields without a default
        plain = False
    return f"{kind.__name__}()" if plain else f"{kind.__name__}(...)"


def process_file(job: object) -> None:
    """nbdev's processing of one file, in a process of its own, with types as they are written.

    fastcore would evaluate them, which fails for names that are imported for type checkers only.
    """
    import fastcore.docments
    from nbdev.serve_drv import main as nbdev_main

    fastcore.docments.signature = lambda function, **_: inspect.signature(function)
    fastcore.docments._fmt_default = shown_default
    nbdev_main(job)


def process_notebooks(copy: Path) -> Path:
    """nbdev's own processing, which hides, folds and documents; the folder of its notebooks."""
    os.environ.update(quiet_environment(copy), PYTHONWARNINGS="ignore")
    sys.path.insert(0, str(copy))
    import nbdev.serve
    import nbdev.serve_drv

    # Found by the module's name in another process.
    nbdev.serve_drv.main = import_module("docs").process_file
    with contextlib.chdir(copy):
        return Path(nbdev.serve.proc_nbs(n_workers=2))


def plain_code(text: str) -> str:
    """Take nbdev's links out of fenced code, where a page would show them as they are written."""

    def unlinked(fence: re.Match[str]) -> str:
        return re.sub(r"\[(`[^`\]]+`)\]\([^)\s]+\)", r"\1", fence[0])

    return re.sub(r"^```.*?^```", unlinked, text, flags=re.MULTILINE | re.DOTALL)


def finish_notebooks(processed: Path, root: Path) -> None:
    """Make links hold inside the site, and give every picture an alternative text."""
    for path in processed.rglob("*.ipynb"):
        folder = PurePosixPath(path.parent.relative_to(processed).as_posix())
        notebook = read_notebook(path)
        heading = said = ""
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = site_links(source(cell), folder, processed, root)
                headings = re.findall(r"^#+ (.+)$", source(cell), re.MULTILINE)
                heading = headings[-1] if headings else heading
                said = last_sentence(source(cell)) or said
            elif shows_picture(cell) and "fig-alt" not in directives(source(cell)):
                words = json.dumps(f"{heading}: {said}")
                cell["source"] = f"#| fig-alt: {words}\n{source(cell)}"
            for output in cell.get("outputs", []):
                for kind, text in output.get("data", {}).items():
                    if kind == "text/markdown":
                        whole = text if isinstance(text, str) else "".join(text)
                        output["data"][kind] = site_links(whole, folder, processed, root)
        write_atomically(path, json.dumps(notebook, ensure_ascii=False, indent=1))


def site_links(text: str, folder: PurePosixPath, processed: Path, root: Path) -> str:
    """Links as the site needs them: pictures of `results/` are copied, other files on GitHub."""
    options = settings(root)
    site, up = options["doc_host"] + options["doc_baseurl"], "../" * len(folder.parts)

    def target(match: re.Match[str]) -> str:
        place, _, anchor = match[2].partition("#")
        if place.startswith(f"{site}/"):  # nbdev links names with the address of the site
            owner = anchor.partition(".")[0]  # a method stands with its class
            return f"{match[1]}{up}{place.removeprefix(f'{site}/')}{owner and '#' + owner})"
        found = os.path.normpath(PurePosixPath("nbs") / folder / place)
        own_page = re.match(r"[a-z]+:|/", place) or not place or found.startswith("nbs")
        if own_page or not (root / found).exists():
            return match[0]
        if not found.startswith("results/"):
            address = f"{options['git_url']}/blob/{options['branch']}/{found}"
            return f"{match[1]}{address}{anchor and '#' + anchor})"
        (processed / found).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / found, processed / found)
        return f"{match[1]}{up}{found})"

    public = re.sub(r"\[(`[^`\]]+`)\]\([^)\s]+#_\w+\)", r"\1", plain_code(text))
    return re.sub(r"(\]\()([^)\s]+)\)", target, public)  # private names have no page


def shows_picture(cell: dict[str, Any]) -> bool:
    """Whether a cell's stored outputs hold a picture."""
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def last_sentence(text: str) -> str:
    """The last sentence of a text without its markup, which introduces the picture below it."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$", " ", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|[\[\]*_`$]|^#+ .*$|^\|.*$|<[^>]*>", "", text, flags=re.MULTILINE)
    sentences = re.split(r"(?<=[.?!])\s+", " ".join(text.split()))
    return sentences[-1].rstrip(":")[:250] if sentences else ""


def mathml(tex: str, options: dict[str, bool]) -> str:
    """TeX as MathML, which browsers show by themselves; smalldocs would fetch a script for it."""
    from latex2mathml.converter import convert

    # latex2mathml knows align* only.
    tex = re.sub(r"\\(begin|end)\{(?:aligned|split)\}", r"\\\1{align*}", tex)
    return str(convert(tex, display="block" if options.get("display_mode") else "inline"))


def smalldocs(processed: Path) -> list[str]:
    """Render with smalldocs into `_docs` of the folder; returns its warnings."""
    from smalldocs import config, markdown, site

    class Site(site.Site):
        """smalldocs's site, with pages named as nbdev's links expect, without the number."""

        def read(self, src: PurePosixPath) -> site.Page:
            page = super().read(src)
            page.out = page.out.with_name(page.front.get("output-file") or page.out.name)
            return page

        def find_page(self, target: PurePosixPath) -> site.Page | None:
            named = (page for page in self.pages.values() if page.out == target)
            return super().find_page(target) or next(named, None)

        def render_page(self, page: site.Page) -> None:
            super().render_page(page)
            page.env["math"] = False  # it is MathML already: no script to load

    markdown.math_renderer = mathml
    built = Site(config.load(processed), quiet=True)
    built.build()
    return [said for said in built.warnings if not any(key in said for key in DONE_HERE)]


class Reader(HTMLParser):
    """What a page loads, links to, and can be linked at."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of one element."""
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self.loads += [values[name] for name in LOADS.get(tag, ()) if name in values]
        if tag == "link" and LOADING_LINKS & set(values.get("rel", "").split()):
            self.loads.append(values.get("href", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])


def site_problems(site: Path) -> list[str]:
    """Loads from other machines, broken links, missing places on a page, and TeX left over."""
    problems = []
    pages: dict[Path, Reader] = {}
    for path in sorted(site.rglob("*")):
        if path.suffix not in (".html", ".css", ".js"):
            continue
        text, name = path.read_text(encoding="utf-8", errors="replace"), path.relative_to(site)
        found = CSS_LOADS.findall(text) if path.suffix != ".js" else SCRIPT_LOADS.findall(text)
        if path.suffix == ".html":
            pages[path] = reader = Reader()
            reader.feed(text)
            found += [address for address in reader.loads if re.match(ELSEWHERE, address)]
            if re.search(r'class="math (?:inline|display)">\\[(\[]', text):
                problems.append(f"{name}: formulas are left as TeX")
            problems += [
                f"{name}: {sign} in a formula is not known to latex2mathml"
                for sign in UNKNOWN_TEX.findall(text)
            ]
        problems += [f"{name} loads {address} from another machine" for address in found]
    for path, reader in pages.items():
        for link in reader.links:
            parts = urlsplit(link)
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            goal = goal / "index.html" if goal.is_dir() else goal
            if parts.scheme or parts.netloc or parts.path.startswith("/"):
                continue
            if not goal.exists():
                problems.append(f"{path.relative_to(site)}: broken link {link}")
                continue
            place = unquote(parts.fragment)
            if place and goal in pages and place not in pages[goal].ids:
                said = f"{goal.name} has no place #{html.escape(place)}"
                problems.append(f"{path.relative_to(site)}: {said}")
    return problems


def main() -> int:
    """Render the site; 1 if it is strict and something is wrong."""
    parser = argparse.ArgumentParser(description="Render the site.")
    parser.add_argument("--strict", action="store_true", help="fail on a warning or a broken link")
    parser.add_argument("--output", type=Path, help="the folder to write (default: _docs)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    args = parser.parse_args()
    root = args.root.resolve()
    output = (args.output or root / settings(root)["doc_path"]).resolve()
    if output.exists() and any(output.iterdir()) and not (output / "site_libs").is_dir():
        parser.error(f"{output} is not empty and holds no site: choose another folder")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_tree(root, copy)
        processed = process_notebooks(copy)
        finish_notebooks(processed, root)
        problems: list[str] = []
        if shutil.which("quarto"):
            subprocess.run(["quarto", "render", "--no-cache"], cwd=processed, check=True)
        else:
            problems += smalldocs(processed)
        problems += site_problems(processed / "_docs")
        part = output.with_name(f"{output.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(processed / "_docs", part)
        shutil.rmtree(output, ignore_errors=True)
        part.rename(output)
    for problem in sorted(set(problems)):
        print(f"warning: {problem}", file=sys.stderr)
    pages = len(list(output.rglob("*.html")))
    print(f"{pages} pages in {os.path.relpath(output)}, {len(set(problems))} warnings")
    return int(args.strict and bool(problems))


if __name__ == "__main__":
    raise SystemExit(main())
