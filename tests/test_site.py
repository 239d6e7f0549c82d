"""What the README and the site show is made from the modules and from results/: nothing is typed."""

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
from hybrid_iv.models.architecture import layer_table  # noqa: E402
from hybrid_iv.replication.claims import CLAIMS, judge_claims, read_tables  # noqa: E402
from hybrid_iv.evaluation.evaluation import result_table, table_markdown  # noqa: E402
from hybrid_iv.models.pretraining import load_pretrained  # noqa: E402
from readme import PICTURE  # noqa: E402

STUDY = ("metrics", "violations", "significance", "liquidity", "attention", "co_movement")


def results() -> tuple[Path, dict[str, pd.DataFrame]]:
    """Folder and tables of the last full run, else of the last small one."""
    folder = next(ROOT / "results" / name for name in ("full", "small") if (ROOT / "results" / name / "metrics.csv").is_file())
    extra = [ROOT / "results" / "ablations" / f"{name}.csv" for name in ("ablations", "least_liquid")]
    return folder, read_tables(*(str(path) for path in [*(folder / f"{name}.csv" for name in STUDY), *extra]))


def shown(notebook: str) -> str:
    """Everything that the stored outputs of a notebook say in Markdown."""
    outputs = [o for cell in read_notebook(ROOT / "nbs" / notebook)["cells"] for o in cell.get("outputs", [])]
    return "\n".join("".join(output.get("data", {}).get("text/markdown", "")) for output in outputs)


def test_result_tables_are_made_from_the_results() -> None:
    """README and home page show exactly the tables that the result files give, and the README shows what the page shows."""
    folder, tables = results()
    readme, home = (ROOT / "README.md").read_text(encoding="utf-8"), shown("index.ipynb")
    for dataset in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["panels"]:
        table = table_markdown(result_table(tables["metrics"], dataset=dataset))
        assert table in readme and table in home, dataset
    assert f"results/{folder.name}/forecast_surface.png" in readme


def test_no_table_of_numbers_is_typed() -> None:
    """Numbers in tables come from code: the written cells of the home page and of the paper map hold none."""
    for name in ("index.ipynb", "paper_map.ipynb"):
        for cell in read_notebook(ROOT / "nbs" / name)["cells"]:
            rows = re.findall(r"^\|.*$", source(cell), re.M) if cell["cell_type"] == "markdown" else []
            assert not [row for row in rows if re.search(r"\d\.\d", row)], name


def test_every_claim_has_a_row_with_the_status_that_the_results_give() -> None:
    """The paper map shows each claim, with the status and the reason that the rules find in the result files."""
    _, tables = results()
    page, numbers = shown("paper_map.ipynb"), pd.read_csv(ROOT / "results" / "paper" / "numbers.csv")
    for dataset in tables["metrics"]["dataset"].unique():
        for row in judge_claims(tables, dataset, numbers).itertuples():
            assert f"| {row.words} | {row.section} | {row.model} | {row.paper} | {row.ours} | {row.status} | {row.why} |" in page, row.claim
    assert all(claim.words in page for claim in CLAIMS)


def test_the_picture_shows_the_network_that_ships() -> None:
    """The table of layers kept in the picture is that of the modules."""
    layers = layer_table(load_pretrained().network).to_csv(index=False, lineterminator="\n")
    assert Image.open(ROOT / PICTURE).info["Description"] == layers


WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
VALUE_OF = {**{word: value for value, word in enumerate(WORDS.split())}, **TENS}


def spoken(quote: str) -> set[float]:
    """Numbers of a quote: `23%`, `twenty-three`, `one-point-zero-five`."""
    found = set()
    for token in re.findall(r"[a-z]+(?:-[a-z]+)*|[0-9.]+", quote.lower()):
        whole, point, rest = token.partition("-point-")
        parts, digits = whole.split("-"), rest.split("-") if point else []
        if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", token):
            found.add(float(token))
        elif all(part in VALUE_OF for part in parts + digits):
            found.add(float(f"{sum(VALUE_OF[part] for part in parts)}.{''.join(str(VALUE_OF[digit]) for digit in digits) or 0}"))
    return found


def test_numbers_of_the_paper_are_those_of_their_quotes() -> None:
    """Every transcribed result is the number that its quote says."""
    assert spoken("one-point-zero-five for twenty-three percent, 23%") == {1.05, 23.0}
    numbers = pd.read_csv(ROOT / "results" / "paper" / "numbers.csv")
    results = numbers[numbers["metric"].isin(["mae", "calendar", "butterfly", "both", "significant share"])]
    wrong = [row.id for row in results.itertuples() if row.value not in spoken(row.quote)]
    assert len(results) > 20 and not wrong
