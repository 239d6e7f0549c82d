"""Write `arbitragerepair.json`: what arbitragerepair 1.1.0 says of small surfaces, good and bad.

The package (Cohen, Reisinger and Wang 2020, Detecting and repairing arbitrage in traded option
prices) needs pandas below 3, so it is not a dependency. Run this in an environment of its own:
`pip install arbitragerepair==1.1.0 'pandas<3' scipy`.
"""

import json
import time
from pathlib import Path

import numpy as np
from arbitragerepair import constraints, repair
from scipy.special import ndtr

MATURITIES = [30 / 365, 91 / 365, 182 / 365, 365 / 365]
MONEYNESS = [0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2]


def call(strike: np.ndarray, iv: np.ndarray, tau: np.ndarray) -> np.ndarray:
    "Undiscounted Black price over the forward."
    root = iv * np.sqrt(tau)
    d1 = -np.log(strike) / root + root / 2
    return ndtr(d1) - strike * ndtr(d1 - root)


def smiles(strike: np.ndarray, tau: np.ndarray, level: float) -> np.ndarray:
    "Arbitrage-free power-law SSVI volatilities."
    theta, rho, eta = level**2 * tau, -0.6, 1.2
    phi, k = eta / np.sqrt(theta * (1 + theta)), np.log(strike)
    root = np.sqrt((phi * k + rho) ** 2 + 1 - rho**2)
    return np.sqrt(theta / 2 * (1 + rho * phi * k + root) / tau)


def seconds_for_large(rng: np.random.Generator) -> float:
    "Time to detect and repair one noisy surface of 11 x 13, the best of five."
    tau = np.array([7, 14, 30, 60, 91, 122, 182, 273, 365, 547, 730])[:, None] / 365
    strike = np.linspace(0.7, 1.3, 13) + 0 * tau
    noise = np.exp(0.03 * rng.standard_normal(strike.shape))
    price = call(strike, smiles(strike, tau, 0.3) * noise, tau).ravel()
    expiry, seconds = np.repeat(tau[:, 0], 13), []
    for _ in range(5):
        start = time.perf_counter()
        rows, low, _, _ = constraints.detect(expiry, strike.ravel(), price)
        repair.l1(rows, low, price)
        seconds.append(time.perf_counter() - start)
    return round(min(seconds), 4)


def main() -> None:
    "Write the table beside this script."
    rng, tau, cases = np.random.default_rng(20), np.array(MATURITIES)[:, None], []
    for case in range(24):
        ratio = np.exp((-0.08, 0.05)[case % 2] * tau[:, 0]) if case >= 12 else np.ones(4)
        strike = np.array(MONEYNESS) / ratio[:, None]
        iv = smiles(strike, tau, (0.15, 0.3, 0.5)[case % 3])
        if case % 4 == 1:
            iv = iv * np.exp(0.05 * rng.standard_normal(iv.shape))
        elif case % 4 == 2:
            iv[rng.integers(4), rng.integers(7)] += 0.06
        elif case % 4 == 3:
            iv[rng.integers(3)] *= rng.uniform(1.15, 1.9)
        iv = iv.round(6)
        price = call(strike, iv, tau).ravel()
        expiry = np.repeat(tau[:, 0], 7)
        rows, low, count, bad = constraints.detect(expiry, strike.ravel(), price, tolerance=1e-7)
        change = np.asarray(repair.l1(rows, low, price)).ravel()
        cases.append({
            "iv": iv.tolist(),
            "forward_ratio": ratio.tolist() if case >= 12 else None,
            "tests": [int(n) for n in count],
            "breaches": [int(n) for n in bad],
            "change_of_price": change.round(10).tolist(),
        })
        print(case, cases[-1]["tests"], cases[-1]["breaches"], np.abs(change).sum())
    calendar = ["calendar spread", "calendar vertical spread", "calendar butterfly"]
    table = {
        "origin": "arbitragerepair 1.1.0 (PyPI), constraints.detect, tolerance 1e-7, and repair.l1",
        "categories": ["outright", "vertical spread", "vertical butterfly", *calendar],
        "seconds_for_one_11_by_13": seconds_for_large(rng),
        "maturities": MATURITIES,
        "moneyness": MONEYNESS,
        "cases": cases,
    }
    Path(__file__).with_name("arbitragerepair.json").write_text(json.dumps(table) + "\n")


if __name__ == "__main__":
    main()
