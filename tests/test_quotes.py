"""Any table, however wrong, ends in a clear error or in counted drops, never in a wrong panel."""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_iv.black import black_price
from hybrid_iv.data.gridding import quotes_to_panel
from hybrid_iv.data.quotes import REQUIRED, Cleaning, QuoteInfo, clean_quotes
from hybrid_iv.data.readers import read_table
from hybrid_iv.surface import DAYS_PER_YEAR, Grid, HybridIVError

GRID = Grid((30 / DAYS_PER_YEAR, 60 / DAYS_PER_YEAR), (0.9, 1.0, 1.1))
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
FEW = settings(max_examples=40, deadline=None, suppress_health_check=SLOW)


def flat_chain(days: int = 3, iv: float = 0.25, asset: str = "XYZ") -> pd.DataFrame:
    """European quotes of a flat surface: every cell of a right panel is `iv`."""
    rows = []
    for i in range(days):
        day = date(2024, 1, 2) + timedelta(days=i)
        for expiry in (date(2024, 1, 26), date(2024, 2, 16), date(2024, 3, 15)):
            tau = (expiry - day).days / DAYS_PER_YEAR
            strike = np.arange(80.0, 121.0, 5.0)
            for is_call in (True, False):
                forward, same_tau, same_iv = np.full(9, 100.0 + i), np.full(9, tau), np.full(9, iv)
                price = black_price(forward, strike, same_tau, same_iv, 1.0, is_call)
                right = "C" if is_call else "P"
                facts = {"date": str(day), "asset": asset, "expiry": str(expiry), "strike": strike}
                quotes = {"is_call": right, "bid": price, "ask": price}
                rows.append(pd.DataFrame({**facts, **quotes}))
    return pd.concat(rows, ignore_index=True)


CHAIN = flat_chain()
NAMES = {str(name): str(name) for name in CHAIN}


def to_panel(
    table: Any, names: dict[str, str] | None = None, jobs: int = 1
) -> tuple[xr.Dataset, dict[str, int]]:
    """The whole way."""
    quotes, report = clean_quotes(read_table(table, names or NAMES))
    assert report.rows == report.kept + sum(report.dropped.values())
    return quotes_to_panel(quotes, GRID, jobs=jobs)[0], report.dropped


def assert_right(panel: xr.Dataset, iv: float = 0.25) -> None:
    """Whatever is observed is true."""
    values = panel["iv"].values[panel["observed"].values]
    np.testing.assert_allclose(values, np.full(values.shape, iv), atol=1e-6, strict=True)


REFERENCE = to_panel(CHAIN)[0]


@pytest.mark.parametrize("style", ["european", "american"])
def test_a_known_spread(style: str) -> None:
    """Bid at 24 %, ask at 26 %: 2 vol points in every cell; of American quotes, by vega, nearly."""
    bid, ask = flat_chain(iv=0.24), flat_chain(iv=0.26)
    days = (pd.to_datetime(bid["date"]) - pd.Timestamp("2024-01-02")).dt.days
    table = bid.assign(ask=ask["ask"], iv=0.25, spot=100.0 + days)
    info = QuoteInfo(exercise_style=style)
    read = read_table(table, NAMES | {"iv": "iv", "spot": "spot"}, info)
    quotes, _ = clean_quotes(read, Cleaning(max_relative_spread=2.0))
    panel = quotes_to_panel(quotes, GRID)[0]
    wanted = np.where(panel["observed"].values, 0.02, np.nan)
    assert np.isfinite(wanted).any()
    tolerance = 1e-6 if style == "european" else 2e-4
    np.testing.assert_allclose(panel["iv_spread"].values, wanted, atol=tolerance, strict=True)


def test_reference() -> None:
    assert "iv_spread" not in REFERENCE  # bid is ask
    assert_right(REFERENCE)
    assert REFERENCE["observed"].values.all()


@FEW
@given(st.permutations(list(CHAIN.columns)), st.integers(0, 2**32 - 1))
def test_order_of_columns_and_rows(columns: list[str], seed: int) -> None:
    panel, dropped = to_panel(CHAIN[columns].sample(frac=1, random_state=seed))
    xr.testing.assert_identical(panel, REFERENCE)
    assert sum(dropped.values()) == 0


@FEW
@given(st.sets(st.sampled_from(REQUIRED), min_size=1))
def test_missing_columns(missing: set[str]) -> None:
    with pytest.raises(HybridIVError, match="not in the table"):
        read_table(CHAIN.drop(columns=list(missing)), NAMES)
    with pytest.raises(HybridIVError, match="required but not mapped"):
        read_table(CHAIN, {name: name for name in NAMES if name not in missing})


BAD = {
    "strike": st.sampled_from(["abc", "", "1,5x", "-80", "0", "nan", "inf"]),
    "bid": st.sampled_from(["abc", "", "-1", "nan", "0", "1e999"]),
    "ask": st.sampled_from(["n/a", "", "-3.5", "nan", "0"]),
    "date": st.sampled_from(["yesterday", "", "2024-13-01", "32/01/2024", "0"]),
    "expiry": st.sampled_from(["never", "", "2023-12-29", "2024-02-30", "20241"]),
    "is_call": st.sampled_from(["X", "", "straddle", "2"]),
    "asset": st.sampled_from(["", "   "]),
}


@FEW
@given(st.data())
def test_broken_values_are_dropped_and_counted(data: st.DataObject) -> None:
    broken = CHAIN.astype(str)
    rows = data.draw(st.sets(st.integers(0, len(broken) - 1), min_size=1, max_size=8))
    for row in rows:
        column = data.draw(st.sampled_from(sorted(BAD)))
        broken.loc[row, column] = data.draw(BAD[column])
    panel, dropped = to_panel(broken)
    assert sum(dropped.values()) == len(rows)
    assert_right(panel)


@FEW
@given(st.integers(0, len(CHAIN) - 1), st.floats(0.01, 30.0))
def test_a_second_price_drops_both(row: int, shift: float) -> None:
    twin = CHAIN.iloc[[row]].assign(bid=lambda t: t["bid"] + shift, ask=lambda t: t["ask"] + shift)
    panel, dropped = to_panel(pd.concat([CHAIN, twin], ignore_index=True))
    assert dropped["duplicate"] == 2
    assert_right(panel)


def test_repeated_days_are_dropped_once() -> None:
    second = CHAIN[CHAIN["date"] == "2024-01-03"]
    panel, dropped = to_panel(pd.concat([CHAIN, second], ignore_index=True))
    assert dropped["duplicate"] == int((CHAIN["date"] == "2024-01-03").sum())
    xr.testing.assert_identical(panel, REFERENCE)


def test_days_with_one_strike_are_not_observed() -> None:
    few = CHAIN[(CHAIN["date"] != "2024-01-03") | (CHAIN["strike"] == 100.0)]
    panel, _ = to_panel(few)
    assert panel.sizes["date"] == 3 and not panel["observed"].values[1].any()
    assert_right(panel)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai", "UTC"])
def test_time_zones(zone: str) -> None:
    evening = pd.to_datetime(CHAIN["date"]) + pd.Timedelta(hours=22)
    zoned = CHAIN.assign(date=evening.dt.tz_localize(zone))
    xr.testing.assert_identical(to_panel(zoned)[0], REFERENCE)
    text = CHAIN.assign(date=CHAIN["date"] + "T23:30:00-05:00")
    xr.testing.assert_identical(to_panel(text)[0], REFERENCE)


def test_mixed_types_in_a_column() -> None:
    strike: list[Any] = [*CHAIN["strike"][:-1], "a hundred and twenty"]
    panel, dropped = to_panel(CHAIN.assign(strike=pd.Series(strike, dtype=object)))
    assert dropped["unreadable"] == 1
    assert_right(panel)


@FEW
@given(st.integers(1, 60))
def test_truncated_gzip(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "chain.csv.gz"
    path.write_bytes(gzip.compress(CHAIN.to_csv(index=False).encode())[:-lost])
    try:
        panel, _ = to_panel(path)
    except HybridIVError as error:
        assert "cannot be read" in str(error)
    else:
        raise AssertionError(f"a file that lacks {lost} bytes was read as {panel.sizes}")


@pytest.mark.parametrize("content", ["", "\n", ",".join(NAMES) + "\n", "date;asset\n1;2\n"])
def test_empty_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "chain.csv"
    path.write_text(content)
    with pytest.raises(HybridIVError):
        to_panel(path)


def test_wrong_unit_of_strike_is_dropped() -> None:
    """Strikes times 1,000 under a known spot: too far, all of them, and then no panel."""
    table = CHAIN.assign(strike=CHAIN["strike"] * 1000, spot=100.0)
    quotes, report = clean_quotes(read_table(table, NAMES | {"spot": "spot"}))
    assert report.dropped["too_far"] == len(table) and report.kept == 0
    with pytest.raises(HybridIVError, match="no quotes are left"):
        quotes_to_panel(quotes, GRID)


def test_two_processes_give_the_same_panel() -> None:
    two = pd.concat([CHAIN, flat_chain(asset="ABC")], ignore_index=True)
    xr.testing.assert_identical(to_panel(two, jobs=2)[0], to_panel(two)[0])


def test_blocks_and_files_do_not_matter(tmp_path: Path) -> None:
    many = pd.concat([flat_chain(12, asset=name) for name in ("A", "B", "C")], ignore_index=True)
    many.to_parquet(tmp_path / "many.parquet")
    whole, report = clean_quotes(read_table(many, NAMES))
    source = read_table(tmp_path / "many.parquet", NAMES, QuoteInfo())
    parts, counted = clean_quotes(source, Cleaning(block_rows=100), tmp_path / "clean")
    assert parts.collect().equals(whole.collect()) and counted.dropped == report.dropped
    assert len(list((tmp_path / "clean").iterdir())) > 3
