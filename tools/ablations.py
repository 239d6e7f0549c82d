"""Ablations and least liquid names, `make ablations`: results/ablations.

Each training is kept under runs/ablations as soon as it is done, so that a run that was killed goes on; another code or another
setting begins anew. `--only` picks tables, `--variants` names the variants to train first; `--collect` trains nothing and writes the
tables of what is there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import ROOT, write_atomically


def main() -> int:
    """Run what is not there yet, then write tables and manifests."""
    parser = argparse.ArgumentParser(description="Run the ablations.")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder of the tables (default: results/)")
    parser.add_argument("--only", nargs="+", choices=("variants", "liquid"), default=("variants", "liquid"))
    parser.add_argument("--variants", nargs="+", default=[], help="train these variants, in this order, and no others")
    parser.add_argument("--collect", action="store_true", help="train nothing: write the tables of what is kept already")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import pandas as pd
    import torch

    from hybrid_iv import ablations as study
    from hybrid_iv.market.simulation import MarketConfig, noisy_panel, simulate_market
    from hybrid_iv.replication.study import git_commit, package_versions, source_digest
    from hybrid_iv.surface import panel_hash

    commit, code = git_commit(), source_digest("hybrid_iv.ablations")
    base, market, grid = study.ABLATION_BASE, study.ABLATION_MARKET, study.ABLATION_GRID

    def kept(name: str, settings: dict[str, Any], compute: Callable[[], list[pd.DataFrame]]) -> tuple[list[pd.DataFrame], dict[str, Any]]:
        """Tables of one training, from its file or made now, with the facts of their making."""
        text = json.dumps({"name": name, "code": code, "threads": torch.get_num_threads(), **settings}, sort_keys=True, default=str)
        file = ROOT / "runs" / "ablations" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
        if not file.is_file() and args.collect:
            return [], {}
        if not file.is_file():
            begin, cpu = time.perf_counter(), time.process_time()
            tables = [table.to_dict("split", index=False) for table in compute()]
            seconds, used = round(time.perf_counter() - begin, 1), round(time.process_time() - cpu, 1)
            facts = {"git_commit": commit, "seconds": seconds, "cpu_seconds": used}
            write_atomically(file, json.dumps({"facts": facts, "tables": tables}, default=str))
            print(f"{name}: {seconds} s, {used} s of processor", flush=True)
        found = json.loads(file.read_text(encoding="utf-8"))
        return [pd.DataFrame(table["data"], columns=table["columns"]) for table in found["tables"]], found["facts"]

    def written(tables: dict[str, pd.DataFrame], facts: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Tables and manifest."""
        for name, table in tables.items():
            write_atomically(args.output / "ablations" / name, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
        commits = sorted({fact["git_commit"] for fact in facts.values()})
        manifest = {
            "git_commit": commits[0] if len(commits) == 1 else commits, "parameters": parameters, "packages": package_versions(),
            "threads": torch.get_num_threads(), "seconds": {name: fact["seconds"] for name, fact in facts.items()},
            "cpu_seconds": {name: fact["cpu_seconds"] for name, fact in facts.items()},
        }
        text = json.dumps(manifest, indent=1, sort_keys=True, default=str) + "\n"
        write_atomically(args.output / "ablations" / "manifest.json", text)

    def panel_of(config: MarketConfig) -> Any:
        return noisy_panel(simulate_market(config), grid)

    panel, facts, tables = panel_of(market), {}, {}
    variants, hashes = study.ablation_variants(), {"ablations": panel_hash(panel)}

    def trained(name: str) -> tuple[list[pd.DataFrame], dict[str, Any]]:
        """The table of one variant."""
        return kept(name, {"panel": hashes["ablations"]}, lambda: [study.run_variant(name, variants[name], panel)])

    for name in args.variants:
        trained(name)
    args.collect = args.collect or bool(args.variants)
    found = {name: trained(name) for name in variants if "variants" in args.only}
    found = {name: pair for name, pair in found.items() if pair[0]}
    facts |= {name: pair[1] for name, pair in found.items()}
    if found:
        parts = [pair[0][0] for pair in found.values()]
        tables["ablations.csv"] = pd.concat([study.origin_breaches(panel), *parts], ignore_index=True)
    if "liquid" in args.only:
        few = panel_of(study.LIQUIDITY_MARKET)
        hashes["least_liquid"] = panel_hash(few)
        made, fact = kept("least liquid", {"panel": hashes["least_liquid"]}, lambda: [study.least_liquid(few)])
        if made:
            tables["least_liquid.csv"], facts["least liquid"] = made[0], fact
    shape = {"base": asdict(base), "paper": asdict(study.ABLATION_PAPER), "market": asdict(market), "grid": asdict(grid),
             "liquidity_market": asdict(study.LIQUIDITY_MARKET), "seed": base.seed, "panel_hash": hashes}
    written(tables, facts, shape)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
