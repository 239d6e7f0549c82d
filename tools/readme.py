"""Write README.md from the home page, nbs/index.ipynb, as stored, and its picture of the network: `make readme`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from common import ROOT, body, directives, read_notebook, source, stem, write_atomically

HOME = Path("nbs") / "index.ipynb"
PICTURE = Path("results") / "architecture.png"


def convert(root: Path) -> str:
    """The text of README.md."""
    cells = read_notebook(root / HOME)["cells"]
    parts = [text for cell in cells for text in cell_text(cell)]
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts)).strip() + "\n"


def cell_text(cell: dict[str, Any]) -> list[str]:
    """A cell as blocks of Markdown: nothing for a hidden one, the code unless `echo: false`, then the outputs."""
    text = source(cell)
    if cell["cell_type"] != "code":
        return [relative_links(text)]
    marks = directives(text)
    if marks.keys() & {"hide", "default_exp", "export"} or marks.get("include") == "false" or not body(text):
        return []
    shown = [] if marks.get("echo") == "false" or "hide_input" in marks else [f"```python\n{body(text)}\n```"]
    if marks.get("output") == "false" or "hide_output" in marks:
        return shown
    blocks = [output_text(output, as_is="asis" in marks.values()) for output in cell.get("outputs", [])]
    return shown + [relative_links(block) for block in blocks if block]


def output_text(output: dict[str, Any], as_is: bool) -> str:
    """One output: Markdown as it is, text in a block. A picture that is only in the notebook cannot be shown."""
    data = output.get("data", {})
    joined = {kind: "".join(value) if isinstance(value, list) else value for kind, value in data.items()}
    if "text/markdown" in joined:
        return str(joined["text/markdown"])
    if any(kind.startswith("image/") for kind in joined):
        raise SystemExit(f"{HOME}: README.md shows files only: save the picture under results/ and refer to it in Markdown")
    text = "".join(output["text"]) if "text" in output else joined.get("text/plain", "")
    return text if as_is or not text.strip() else f"```text\n{text.rstrip()}\n```"


def relative_links(text: str) -> str:
    """Links that hold from the top of the repository: `../results/x.png` is `results/x.png`, `00_surface.ipynb` is nbs/00_surface.ipynb."""
    def target(match: re.Match[str]) -> str:
        place = match[2]
        if place.startswith("../"):
            return f"{match[1]}{place.removeprefix('../')})"
        return match[0] if re.match(r"[a-z]+:|#|/", place) else f"{match[1]}nbs/{place})"

    return re.sub(r"(\]\()([^)\s]+)\)", target, text)


def problems(root: Path) -> list[str]:
    """What is wrong with README.md, if anything."""
    if not (root / HOME).exists():
        return [f"{HOME} is missing: README.md is made from it"]
    readme = root / "README.md"
    if not readme.exists() or readme.read_text(encoding="utf-8") != convert(root):
        return [f"README.md differs from what {HOME} gives: edit {stem(HOME)}.ipynb, then run `make readme`"]
    return []


def draw_architecture(root: Path) -> None:
    """Draw the network that ships; the table of its layers is kept in the file, so that a test can hold it against the modules."""
    import matplotlib

    matplotlib.use("agg")
    from hybrid_iv.models.architecture import layer_table, plot_architecture
    from hybrid_iv.models.pretraining import load_pretrained

    network = load_pretrained().network
    layers = layer_table(network).to_csv(index=False, lineterminator="\n")
    figure = plot_architecture(network, title="The hybrid as shipped").figure
    figure.savefig(root / PICTURE, dpi=130, bbox_inches="tight", metadata={"Description": layers, "Software": None})


def main() -> None:
    """Write README.md and the picture of the network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    root = parser.parse_args().root.resolve()
    write_atomically(root / "README.md", convert(root))
    draw_architecture(root)
    print(f"README.md and {PICTURE} written")


if __name__ == "__main__":
    main()
