"""Training in processes of its own: killed at random moments and resumed, or shared by two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np, torch
from torch import nn
from hybrid_iv.models.training import DeviceConfig, TrainingConfig, train_network

out, folder = Path(sys.argv[1]), sys.argv[2]
devices, group, dropout, pause = map(float, sys.argv[3:])
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(6, 16), nn.ELU(), nn.Dropout(dropout), nn.Linear(16, 3))

def batches(epoch, count=7):
    rng = np.random.default_rng([1, epoch])
    for number in range(count):
        time.sleep(pause)
        # Batches of unequal size.
        x = torch.from_numpy(rng.standard_normal((8 + number, 6)).astype(np.float32))
        yield x, torch.sin(x[:, :3])

def loss(batch, epoch):
    return {"loss": ((network(batch[0]) - batch[1]) ** 2).mean()}

config = TrainingConfig(epochs=12, learning_rate=2e-2, patience=4, batches_per_step=int(group))
where = DeviceConfig("cpu", int(devices), strategy="ddp" if devices > 1 else "auto")
place = Path(folder) if folder != "-" else None
valid = lambda: batches(999, 2)
record = train_network(
    network, loss, batches, valid, config, 3, checkpoint=place, devices=where
)
weights = torch.cat([value.flatten() for value in network.state_dict().values()]).numpy()
rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
valid = record.table["valid_loss"].to_numpy()
np.savez(out.with_suffix(f".{rank}.npz"), weights=weights, valid=valid)
"""


def start(
    tmp_path: Path,
    out: str,
    folder: str = "-",
    devices: int = 1,
    group: int = 1,
    dropout: float = 0.3,
    pause: float = 0.0,
) -> subprocess.Popen[str]:
    """The script in a process of its own."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    quiet = {"HYBRID_IV_QUIET": "1", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    env = {**os.environ, "PYTHONPATH": str(ROOT), **quiet}
    for name in ("LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        env.pop(name, None)
    command = [sys.executable, str(script), str(tmp_path / out), folder]
    command += map(str, (devices, group, dropout, pause))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=env, text=True, **pipes)


def finished(process: subprocess.Popen[str]) -> None:
    """Wait until the process ends, and assert that it ended well."""
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed


def result(tmp_path: Path, out: str, rank: int = 0) -> dict[str, np.ndarray]:
    """Final weights and validation losses of a process."""
    with np.load(tmp_path / f"{out}.{rank}.npz") as file:
        return {name: file[name] for name in file.files}


def test_kill_and_resume(tmp_path: Path) -> None:
    """Killed at random moments, the run ends with the weights of an unbroken one, bit for bit."""
    rng = np.random.default_rng()  # no seed: the claim is about any moment
    unbroken = start(tmp_path, "unbroken")
    checkpoint, kills = tmp_path / "run" / "epoch.ckpt", 0
    for _ in range(2):
        process = start(tmp_path, "resumed", str(tmp_path / "run"), pause=0.02)
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        # Until this process has written a checkpoint of its own.
        while process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.5))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills and not list(tmp_path.glob("resumed*"))
    finished(start(tmp_path, "resumed", str(tmp_path / "run")))
    finished(unbroken)
    one, two = result(tmp_path, "unbroken"), result(tmp_path, "resumed")
    assert len(one["valid"]) > 4
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], strict=True)


def test_two_processes(tmp_path: Path) -> None:
    """Two processes (ddp) that share the batches of a step make the weights of one; no dropout."""
    alone = start(tmp_path, "alone", group=2, dropout=0.0)
    finished(start(tmp_path, "shared", devices=2, group=2, dropout=0.0))
    finished(alone)
    one = result(tmp_path, "alone")
    for rank in (0, 1):
        two = result(tmp_path, "shared", rank)
        for name in ("weights", "valid"):
            np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-5, strict=True)
