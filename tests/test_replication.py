"""What only a process can show of the replication: a wrong parameter stops it, and says which ones are right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("parameter", "value", "words"),
    [
        ("profle", "smoke", "the parameters are ['profile', 'dataset', 'seed', 'run_dir']"),
        ("profile", "tiny", "profile: must be one of"),
        ("dataset", "us-stonks", "us-stocks"),
    ],
)
def test_wrong_parameters_are_refused(
    tmp_path: Path, parameter: str, value: str, words: str
) -> None:
    notebook, out = ROOT / "nbs" / "replication" / "90_replication.ipynb", tmp_path / "out.ipynb"
    command = [
        sys.executable,
        "-m",
        "papermill",
        "--no-progress-bar",
        str(notebook),
        str(out),
        "-p",
        parameter,
        value,
    ]
    run = subprocess.run(
        [*command, "-p", "run_dir", str(tmp_path / "run")], capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode != 0
    assert "HybridIVError" in run.stderr and words in run.stderr
    assert not (tmp_path / "run").exists()  # nothing half-written is left
