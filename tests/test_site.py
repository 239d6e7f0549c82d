"""What the README and the site show is made from modules and from results/: nothing is typed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pandas as pd
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from common import read_notebook, source  # noqa: E402
from hybrid_iv.evaluation.evaluation import result_table, table_markdown  # noqa: E402
from hybrid_iv.models.architecture import layer_table  # noqa: E402
from hybrid_iv.models.pretraining import shipped_hybrid  # noqa: E402
from hybrid_iv.replication.claims import CLAIMS, judge_claims, read_results  # noqa: E402
from notebooks import PICTURE, SHOWN  # noqa: E402

RESULTS = ROOT / "results"


def shown(notebook: str) -> str:
    """Everything that the stored outputs of a notebook say in Markdown."""
    cells = read_notebook(ROOT / "nbs" / notebook)["cells"]
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return "\n".join("".join(one.get("text/markdown", "")) for one in data)


def test_result_tables_are_made_from_the_results() -> None:
    """README and home page show exactly the tables that the result files give."""
    run, tables = read_results(RESULTS)
    readme, home = (ROOT / "README.md").read_text(encoding="utf-8"), shown("index.ipynb")
    manifest = json.loads((RESULTS / run / "manifest.json").read_text(encoding="utf-8"))
    for dataset in manifest["panels"]:
        table = table_markdown(result_table(tables["metrics"], dataset=dataset))
        assert table in readme and table in home, dataset
    assert f"results/{run}/{SHOWN}" in readme


def test_no_table_of_numbers_is_typed() -> None:
    """Numbers in tables come from code: the written cells of two pages hold none."""
    for name in ("index.ipynb", "paper_map.ipynb"):
        for cell in read_notebook(ROOT / "nbs" / name)["cells"]:
            if cell["cell_type"] == "markdown":
                rows = re.findall(r"^\|.*$", source(cell), re.M)
                assert not [row for row in rows if re.search(r"\d\.\d", row)], name


def test_every_claim_has_a_row_with_the_status_that_the_results_give() -> None:
    """The paper map shows each claim, with the status and the reason that the rules find."""
    _, tables = read_results(RESULTS)
    page, numbers = shown("paper_map.ipynb"), pd.read_csv(RESULTS / "paper" / "numbers.csv")
    columns = ["words", "section", "model", "paper", "ours", "status", "why"]
    for dataset in tables["metrics"]["dataset"].unique():
        judged = judge_claims(tables, dataset, numbers)
        for row in judged[columns].astype(str).to_numpy():
            assert f"| {' | '.join(row)} |" in page, row[0]
    assert all(claim.words in page for claim in CLAIMS)


def test_the_picture_shows_the_network_that_ships() -> None:
    """The table of layers kept in the picture is that of the modules."""
    layers = layer_table(shipped_hybrid().network).to_csv(index=False, lineterminator="\n")
    assert Image.open(ROOT / PICTURE).info["Description"] == layers


WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
VALUE_OF = {
    **{word: value for value, word in enumerate(WORDS)},
    **{word: 10 * value for value, word in enumerate(TENS, 2)},
}


def spoken(quote: str) -> set[float]:
    """Numbers of a quote: `23%`, `twenty-three`, `one-point-zero-five`."""
    found = set()
    for token in re.findall(r"[a-z]+(?:-[a-z]+)*|[0-9.]+", quote.lower()):
        whole, point, rest = token.partition("-point-")
        parts, digits = whole.split("-"), rest.split("-") if point else []
        if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", token):
            found.add(float(token))
        elif all(part in VALUE_OF for part in parts + digits):
            decimals = "".join(str(VALUE_OF[digit]) for digit in digits) or "0"
            found.add(float(f"{sum(VALUE_OF[part] for part in parts)}.{decimals}"))
    return found


def test_numbers_of_the_paper_are_those_of_their_quotes() -> None:
    """Every transcribed result is the number that its quote says."""
    assert spoken("one-point-zero-five for twenty-three percent, 23%") == {1.05, 23.0}
    numbers = pd.read_csv(RESULTS / "paper" / "numbers.csv")
    measured = ["mae", "calendar", "butterfly", "both", "significant share"]
    results = numbers[numbers["metric"].isin(measured)]
    wrong = [row.id for row in results.itertuples() if row.value not in spoken(row.quote)]
    assert len(results) > 20 and not wrong
