"""A wrong parameter stops the replication, and the message says which ones are right."""

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
    notebook = ROOT / "nbs" / "replication" / "90_replication.ipynb"
    command = [sys.executable, "-m", "papermill", "--no-progress-bar"]
    command += [str(notebook), str(tmp_path / "out.ipynb")]
    command += ["-p", parameter, value, "-p", "run_dir", str(tmp_path / "run")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode != 0
    assert "HybridIVError" in run.stderr and words in run.stderr
    assert not (tmp_path / "run").exists()  # nothing half-written is left
