"""Pretrain the shipped hybrid, `make pretrain`: hybrid_iv/pretrained/hybrid.safetensors and its manifest.

A run that was killed goes on from its last epoch, whose state lies in runs/pretraining; delete that folder to begin anew.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from common import ROOT


def main() -> int:
    """Train, save, print the record on unseen markets."""
    parser = argparse.ArgumentParser(description="Pretrain the hybrid on simulated markets.")
    parser.add_argument("--output", type=Path, default=ROOT / "hybrid_iv" / "pretrained" / "hybrid.safetensors", help="the file to write")
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "runs" / "pretraining", help="folder of the epochs' states")
    parser.add_argument("--without", default="", help="leave out one kind of dynamics: affine, lognormal or rough")
    parser.add_argument("--seed", type=int, default=0, help="of weights, markets and batches (default: that of the shipped weights)")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of the temporal network (default: as configured)")
    parser.add_argument("--devices", type=int, default=1, help="devices that share each step, by lightning")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from hybrid_iv.models.pretraining import (
        GATE_HORIZONS,
        PretrainingConfig,
        pretrain,
        save_pretrained,
    )
    from hybrid_iv.replication.study import git_commit
    from hybrid_iv.models.vae import DeviceConfig

    config, commit = PretrainingConfig(), git_commit()
    config = replace(config, prior=replace(config.prior, dynamics=tuple(kind for kind in config.prior.dynamics if kind != args.without)))
    training = config.network.lstm_training
    epochs = args.epochs or training.epochs
    training = replace(training, epochs=epochs, patience=epochs, batches_per_step=args.devices)
    config = replace(config, network=replace(config.network, lstm_training=training), seed=args.seed)
    devices = DeviceConfig(devices=args.devices, strategy="ddp" if args.devices > 1 else "auto")
    begin = time.perf_counter()
    pretrained = pretrain(config, args.checkpoint, devices)
    pretrained.manifest.update(git_commit=commit, seconds=round(time.perf_counter() - begin))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_pretrained(pretrained, args.output)
    gains = pretrained.gate.mean[:, -1]
    print("error over persistence's on unseen markets:", {h: round(1 - float(g), 3) for h, g in zip(GATE_HORIZONS, gains, strict=True)})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
