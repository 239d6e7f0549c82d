"""What helps in pretraining and what does not, `make variants`: results/pretraining/variants.csv and manifest.json.

Every variant is a small training with the same budget of steps, judged on the same unseen markets, so that differences from `base` are
paired by market. A variant that is done is not run again; delete runs/pretraining_variants to begin anew. `--only` runs some of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from common import ROOT, write_atomically

STEPS, TEST_MARKETS, HORIZONS = 400, 24, (1, 5, 10, 20, 30)


def variants() -> dict[str, tuple[str, dict[str, Any]]]:
    """By name: the group, and what differs from `base`."""
    short, middle = ((20, 1),), ((20, 1), (20, 4))
    found: dict[str, tuple[str, dict[str, Any]]] = {"base": ("base", {}), "shipped": ("shipped", {})}
    found |= {f"{count} markets": ("different markets", {"different": count}) for count in (10, 30, 100)}
    for count in (10, 30, 100, 300, 1000):
        found[f"{count} markets, {3 * STEPS} steps"] = "three times the steps", {"different": count, "markets": 3 * STEPS // 5}
    found |= {"no fading": ("filtering over days", {"fading": False}), "no other assets": ("context", {"network.market": False})}
    found |= {"seed 1": ("seed", {"seed": 1}), "seed 2": ("seed", {"seed": 2}), "mean of 3 seeds": ("ensemble", {})}
    found |= {"width 0.2": ("width of the prior", {"prior.width": 0.2}), "no attention": ("attention", {"lstm.attention": False})}
    found |= {"window of 20 days": ("window", {"pools": short, "network.window": 20})}
    found |= {"window of 100 days": ("window", {"pools": middle, "network.window": 40})}
    found |= {f"{units} units": ("size", {"lstm.units": (units, units)}) for units in (24, 96)}
    found |= {f"{latent} latents": ("latents", {"vae.latent": latent}) for latent in (6, 12, 24)}
    found |= {"attention across assets": ("context", {"network.asset_attention": True})}
    found |= {"width 0.6": ("width of the prior", {"prior.width": 0.6})}
    found |= {"12 latents, not variational": ("latents", {"vae.variational": False})}
    found |= {"12 principal components": ("latents", {"vae.latent": 12, "vae.variational": False})}
    return found | {"shipped, fine-tuned": ("fine-tuning", {"days": 0.6}), "shipped, fine-tuned on 60 days": ("fine-tuning", {"days": 60})}


def configured(changes: dict[str, Any]) -> Any:
    """The reduced setting with some changes."""
    from hybrid_iv.models.pretraining import PretrainingConfig

    config = PretrainingConfig(markets=STEPS // 5, batches=1, sequences=64, valid_markets=8)
    network = config.network
    lstm, vae, prior = replace(network.lstm, units=(48, 48)), network.vae, replace(config.prior, assets=6, days=420)
    training = replace(network.lstm_training, epochs=5, patience=5)
    parts: dict[str, dict[str, Any]] = {"lstm": {}, "vae": {}, "prior": {}, "network": {}, "": {}}
    for name, value in changes.items():
        part, _, entry = name.rpartition(".")
        parts[part][entry] = value
    network = replace(
        network, lstm=replace(lstm, **parts["lstm"]), vae=replace(vae, **parts["vae"]), lstm_training=training,
        vae_training=replace(network.vae_training, epochs=3), seed=parts[""].get("seed", 0), **parts["network"],
    )  # fmt: skip
    return replace(config, network=network, prior=replace(prior, **parts["prior"]), **parts[""])


def principal_components(config: Any, markets: int = 64) -> Any:
    """A linear autoencoder: the first principal components of surfaces of the prior's markets, of unit deviation."""
    import torch
    from torch import nn

    from hybrid_iv.data.features import FEATURE_NAMES
    from hybrid_iv.market.prior import PRIOR_GRID
    from hybrid_iv.models.pretraining import _surfaces, market_batches
    from hybrid_iv.models.vae import SurfaceVAE

    many = torch.cat([_surfaces(market_batches(config, 500_000_000 + number, 1)[0]).surface for number in range(markets)]).flatten(1)
    middle, latent = many.mean(0), config.network.vae.latent
    _, sizes, axes = torch.linalg.svd((many - middle).double(), full_matrices=False)
    axes, sizes = axes[:latent].float(), (sizes[:latent] / len(many) ** 0.5).float()
    vae = SurfaceVAE(PRIOR_GRID, config.network.vae)
    vae.encoder, vae.to_moments = nn.Sequential(), nn.Linear(many.shape[1] + len(FEATURE_NAMES), 2 * latent)
    vae.decoder = nn.Sequential(nn.Linear(latent, many.shape[1]))
    with torch.no_grad():
        for parameter in vae.to_moments.parameters():
            parameter.zero_()
        vae.to_moments.weight[:latent, : many.shape[1]] = axes / sizes[:, None]
        vae.to_moments.bias[:latent] = -(axes / sizes[:, None]) @ middle
        vae.decoder[0].weight.copy_((axes * sizes[:, None]).T)
        vae.decoder[0].bias.copy_(middle)
    return vae


def trained(name: str, changes: dict[str, Any], config: Any) -> Any:
    """The temporal network of a variant; the autoencoder is the shipped one unless the variant is about it."""
    from hybrid_iv.models.pretraining import (
        load_pretrained,
        pretrain_autoencoder,
        pretrain_network,
    )

    if "principal" in name:
        vae = principal_components(config)
    elif any(change.startswith("vae.") for change in changes):
        vae = pretrain_autoencoder(replace(config, markets=64))[0]
    else:
        vae = load_pretrained().network.vae
    return pretrain_network(config, vae)[0].eval()


def test_ratios(networks: list[Any], markets: list[Any], pools: Any) -> Any:
    """Error over persistence's (market, horizon) of the mean of some networks' steps, whole and unprojected."""
    import numpy as np

    from hybrid_iv.models.pretraining import (
        GATE_HORIZONS,
        LEVEL_ROWS,
        GridHistory,
        network_steps,
        step_errors,
    )

    out, at = [], [GATE_HORIZONS.index(h) for h in HORIZONS]
    for market in markets:
        rows = np.arange(LEVEL_ROWS, len(market.log_iv) - 1 - max(HORIZONS), 8)
        history = GridHistory.of(market.log_iv, market.first)
        steps = np.mean([network_steps(network, history, rows, GATE_HORIZONS, pools) for network in networks], 0)
        errors = step_errors(market.log_iv, market.observed, np.arange(len(market.log_iv)), rows, steps).errors.mean(1)
        out.append((errors[:, -1] / errors[:, 0])[at])
    return np.array(out)


def fine_tuned_ratios(markets: list[Any], days: float) -> Any:
    """The same of the shipped network as it is, and trained further on so many days before the last 40 % (below 1: all), judged there."""
    import numpy as np

    from hybrid_iv.models.pretraining import PretrainedHybrid
    from hybrid_iv.replication.transfer import stretch_errors
    from hybrid_iv.models.vae import TrainingConfig

    out = []
    for training in (None, TrainingConfig(epochs=3, patience=2, learning_rate=1e-4)):
        ratios = []
        for market in markets[:8]:
            panel, end = market.panel(), int(0.6 * len(market.log_iv))
            begin = 0 if days < 1 else end - int(days)
            cut = begin + 3 * (end - begin) // 4
            hybrid = PretrainedHybrid(gate=None, fine_tuning=training)
            hybrid.fit(panel.isel(date=slice(begin, cut)), panel.isel(date=slice(cut, end)))
            errors = stretch_errors(hybrid, panel, np.arange(end, len(market.log_iv) - 1, 5)).mean("origin")
            ratios.append((errors["unprojected"] / errors["persistence"]).values)
        out.append(np.array(ratios))
    return out


def stored(path: Path, config: Any) -> Any:
    """A network of the reduced setting from its weights."""
    from safetensors.torch import load_file

    from hybrid_iv.market.prior import PRIOR_GRID
    from hybrid_iv.models.pretraining import PretrainedNetwork
    from hybrid_iv.models.vae import SurfaceVAE

    network = PretrainedNetwork(SurfaceVAE(PRIOR_GRID, config.network.vae), config.network)
    network.load_state_dict(load_file(path))
    return network.eval()


def summary(done: Any) -> Any:
    """Means over markets with their standard errors, and differences from `base` paired by market with theirs."""
    import pandas as pd

    base = done[done["variant"] == "base"].set_index(["market", "horizon"])["ratio"]
    paired = done["ratio"] - pd.Series(base.reindex(pd.MultiIndex.from_frame(done[["market", "horizon"]])).values, done.index)
    paired = paired.where(done["group"] != "fine-tuning")  # judged on other days
    grouped = done.assign(over_base=paired).groupby(["variant", "group", "horizon"], sort=False)
    found = grouped.agg(ratio=("ratio", "mean"), standard_error=("ratio", "sem"), over_base=("over_base", "mean"),
                        over_base_error=("over_base", "sem"), markets=("market", "size"), seconds=("seconds", "first"))  # fmt: skip
    return found.reset_index()


def main() -> int:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description="Small pretrainings that differ in one thing each.")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "pretraining", help="the folder to write")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "pretraining_variants", help="folder of the variants that are done")
    parser.add_argument("--only", nargs="*", default=None, help="names of variants")
    parser.add_argument("--alike", type=Path, nargs="*", default=[], help="networks that differ from the shipped one by their seed")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import pandas as pd
    from safetensors.torch import save_file

    from hybrid_iv import pretraining
    from hybrid_iv.market.prior import PriorConfig, draw_market
    from hybrid_iv.replication.study import git_commit

    cached = lru_cache(1200)(draw_market)
    pretraining.draw_market = lambda seed, prior: cached(tuple(seed), prior)  # type: ignore[attr-defined]  # variants share markets
    commit = git_commit()
    args.work.mkdir(parents=True, exist_ok=True)
    markets = [draw_market([8_000_000, number], PriorConfig(assets=6, days=600)) for number in range(TEST_MARKETS)]

    def write(name: str, group: str, ratios: Any, seconds: float) -> None:
        table = pd.DataFrame(ratios, columns=list(HORIZONS)).rename_axis("market").reset_index()
        table = table.melt("market", var_name="horizon", value_name="ratio")
        table = table.assign(variant=name, group=group, seconds=round(seconds), commit=commit)
        write_atomically(args.work / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
        print(name, ratios.mean(0).round(4), round(seconds), flush=True)

    for name, (group, changes) in variants().items():
        if (args.work / f"{name}.csv").is_file() or args.only and name not in args.only:
            continue
        begin, config = time.process_time(), configured({} if group == "fine-tuning" else changes)
        if group == "fine-tuning":
            before, after = fine_tuned_ratios(markets, changes["days"])
            write("shipped, before fine-tuning", group, before, 0)
            write(name, group, after, time.process_time() - begin)
        elif group == "ensemble":
            members = [args.work / f"{member}.safetensors" for member in ("base", "seed 1", "seed 2")]
            if all(path.is_file() for path in members):
                write(name, group, test_ratios([stored(path, config) for path in members], markets, config.pools), 0)
        elif group == "shipped":
            write(name, group, test_ratios([pretraining.load_pretrained().network], markets, config.pools), 0)
        else:
            network = trained(name, changes, config)
            seconds = time.process_time() - begin
            save_file({key: value.contiguous() for key, value in network.state_dict().items()}, args.work / f"{name}.safetensors")
            write(name, group, test_ratios([network], markets, config.pools), seconds)
    alike = [pretraining.load_pretrained(path) for path in args.alike]
    for other in alike:
        name = f"shipped size, seed {other.manifest['settings']['seed']}"
        write(name, "shipped", test_ratios([other.network], markets, other.pools), other.manifest["seconds"])
    if alike:
        networks = [pretraining.load_pretrained().network, *(other.network for other in alike)]
        write(f"mean of {len(networks)}, shipped size", "shipped", test_ratios(networks, markets, alike[0].pools), 0)
    every = pd.concat([pd.read_csv(path) for path in sorted(args.work.glob("*.csv"))], ignore_index=True)
    done = summary(every)
    table, manifest = args.output / "variants.csv", args.output / "manifest.json"
    if table.is_file():  # rows of earlier runs stay
        kept = pd.read_csv(table)
        done = pd.concat([kept[~kept["variant"].isin(done["variant"])], done], ignore_index=True).sort_values("variant", kind="stable")
    runs = json.loads(manifest.read_text(encoding="utf-8"))["git_commit"] if manifest.is_file() else {}
    runs |= every.groupby("variant")["commit"].first().to_dict()
    write_atomically(table, done.to_csv(index=False, float_format="%.5g", lineterminator="\n"))
    facts = {"git_commit": runs, "steps": STEPS, "base": asdict(configured({})), "test_markets": TEST_MARKETS,
             "packages": pretraining.load_pretrained().manifest["packages"]}  # fmt: skip
    write_atomically(manifest, json.dumps(facts, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
