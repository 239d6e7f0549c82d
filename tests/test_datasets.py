"""What a notebook cannot test of the datasets.

Two processes at once, a killed writer, and data that not everybody has.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hybrid_iv.data.datasets import load_dataset
from hybrid_iv.surface import DAYS_PER_YEAR, HybridIVError, panel_hash

ROOT = Path(__file__).parents[1]
LOAD = """
from hybrid_iv.data.datasets import load_dataset
from hybrid_iv.surface import panel_hash

print(panel_hash(load_dataset("us-stocks")))
"""


def start(cache: Path) -> subprocess.Popen[str]:
    """A process that loads the stocks through the cache in `cache` and prints the panel's hash."""
    environment = os.environ | {"HYBRID_IV_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", LOAD], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_two_processes_at_once(tmp_path: Path) -> None:
    both = [start(tmp_path), start(tmp_path)]
    answers = {process.communicate(timeout=120)[0].strip() for process in both}
    assert all(process.returncode == 0 for process in both)
    assert len(answers) == 1 and len(answers.pop()) == 64
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file.suffix for file in files] == [".nc"]


def test_a_killed_writer_leaves_nothing_that_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that dies half-way leaves at most a temporary file; the next reader starts anew."""
    monkeypatch.setenv("HYBRID_IV_CACHE", str(tmp_path / "whole"))
    expected = panel_hash(load_dataset("us-stocks"))
    cache = tmp_path / "cut"
    process = start(cache)
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end and not any(cache.rglob("*.nc")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    monkeypatch.setenv("HYBRID_IV_CACHE", str(cache))
    assert panel_hash(load_dataset("us-stocks")) == expected
    assert panel_hash(load_dataset("us-stocks")) == expected


def test_a_damaged_file_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process neither crashes on a changed bit nor believes it, in the header or the values."""
    monkeypatch.setenv("HYBRID_IV_CACHE", str(tmp_path))
    expected = panel_hash(load_dataset("us-stocks"))
    [path] = tmp_path.rglob("*.nc")
    whole = path.read_bytes()
    places = [
        *range(0, 96, 24),
        *np.random.default_rng(0).integers(96, len(whole), 4).tolist(),
        len(whole) - 1,
    ]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert panel_hash(load_dataset("us-stocks")) == expected, place
        [path] = tmp_path.rglob("*.nc")
        assert path.read_bytes() == whole
    # A header of nonsense, met by a fresh process.
    path.write_bytes(whole[:8] + b"\xff" * 200 + whole[208:])
    process = start(tmp_path)
    assert process.communicate(timeout=120)[0].strip() == expected and process.returncode == 0


@pytest.mark.skipif(
    not os.environ.get("HYBRID_IV_DATA"),
    reason="HYBRID_IV_DATA is not set: no S&P 500 factor surfaces",
)
def test_spx_factors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRID_IV_CACHE", str(tmp_path))
    panel = load_dataset("spx-factors")
    assert panel.sizes["date"] == 5_786 and panel.attrs["train_end"] == "2011-12-30"
    observed = panel["observed"]
    assert float(observed.mean()) > 0.95 and bool(observed.sel(moneyness=1.0).all())
    on_spot = panel["moneyness"] * panel["forward"] / panel["spot"]
    trusted = on_spot.where(observed)
    rounding = 1e-12
    assert float(trusted.min()) > 0.8 - rounding and float(trusted.max()) < 1.2 + rounding
    level = panel["iv"].sel(moneyness=1.0, maturity=30 / DAYS_PER_YEAR, asset="SPX").to_series()
    vix = panel["vix"].to_series()
    both = pd.concat([100 * level, vix], axis=1).dropna().to_numpy()
    assert len(both) > 5_700 and np.corrcoef(both.T)[0, 1] > 0.97  # the factor surfaces follow VIX
    assert panel_hash(load_dataset("spx-factors")) == panel_hash(panel)


def test_an_unreadable_date_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRID_IV_DATA", str(tmp_path))
    monkeypatch.setenv("HYBRID_IV_CACHE", str(tmp_path / "cache"))
    for name in ("spx_factors/spx_factors.csv", "vix/vix.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("date,close\n2020-01-02,1\nsoon,2\n")
    named = "spx_factors.csv: column date, line 3: must be a day, got 'soon'"
    with pytest.raises(HybridIVError, match=named):
        load_dataset("spx-factors")
