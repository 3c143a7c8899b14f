#!/usr/bin/env python3
"""Chains of Gaussians fitted to their own samples: fortifai beside vectorised numpy, in one sitting.

    pip install numpy
    cargo bench -p fortifai-collapse --bench theory --no-run
    python benches/compare_numpy.py [--rounds 3] [--out DIR]

Every chain refits mean and variance (divisor n − 1) to n samples per generation, 50 generations,
about forty million samples per size. numpy runs in two forms: as one would write it (all chains at
once: `normal(mean, sd, (chains, n))`, `mean`, `var`), and tuned by hand (blocks of chains whose
samples fill a buffer that stays in the cache, `standard_normal(out=…)`, mean and sum of squares of
the standardised samples by one pass each). Ours draws the same number of samples ("every sample"),
or only the mean and the χ² that the fit sees ("statistics"), on both cores; numpy has one thread.
Both answers are checked before they are timed: E ln σ² = t (ψ(ν/2) − ln(ν/2)) within 6.5 standard
errors. The two alternate; the ratio is of the medians over the rounds.
"""

import argparse, json, os, platform, statistics, subprocess, time
import numpy as np

GENERATIONS = 50
DRAWS = 40_000_000
BUFFER = 32_768


def digamma(x):
    """Recurrence to 12, then the asymptotic series; the first omitted term is below 1e-15."""
    shift = 0.0
    while x < 12:
        shift -= 1 / x
        x += 1
    y = 1 / (x * x)
    series = y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y * (1 / 132 - y * 691 / 32760)))))
    return shift + np.log(x) - 0.5 / x - series


def chains(n, replicates, seed):
    """ln of the last variances of all chains."""
    random = np.random.default_rng(seed)
    rows = max(1, BUFFER // n)
    buffer = np.empty((rows, n))
    logs = []
    for start in range(0, replicates, rows):
        z = buffer[: min(rows, replicates - start)]
        mean, var = np.zeros(len(z)), np.ones(len(z))
        for _ in range(GENERATIONS):
            random.standard_normal(out=z)
            m = z.mean(axis=1)
            squares = np.einsum("ij,ij->i", z, z) - n * m * m
            mean += np.sqrt(var) * m
            var *= squares / (n - 1)
        logs.append(np.log(var))
    return np.concatenate(logs)


def plain_chains(n, replicates, seed):
    """The same as one would write it."""
    random = np.random.default_rng(seed)
    mean, var = np.zeros(replicates), np.ones(replicates)
    for _ in range(GENERATIONS):
        x = random.normal(mean[:, None], np.sqrt(var)[:, None], (replicates, n))
        mean, var = x.mean(axis=1), x.var(axis=1, ddof=1)
    return np.log(var)


def numpy_run(n, way, chains):
    replicates = DRAWS // n // GENERATIONS
    logs = chains(n, replicates, 1)
    expected = GENERATIONS * (digamma((n - 1) / 2) - np.log((n - 1) / 2))
    z = (logs.mean() - expected) / (logs.std(ddof=1) / np.sqrt(replicates))
    assert abs(z) <= 6.5, z
    start = time.perf_counter()
    chains(n, replicates, 2)
    seconds = time.perf_counter() - start
    return {"way": way, "n": n, "z": round(float(z), 3), "time_s": seconds,
            "samples_per_s": replicates * n * GENERATIONS / seconds}


def our_runs():
    command = ["cargo", "bench", "-q", "-p", "fortifai-collapse", "--bench", "theory", "--", "--quick-table"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), "?")
    return f"{model}, {os.cpu_count()} logical CPUs, {platform.system()} {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", help="directory for numpy.md and numpy.json")
    arguments = parser.parse_args()
    runs = []
    for _ in range(arguments.rounds):
        runs += our_runs()
        for n in sorted({run["n"] for run in runs}):
            runs += [numpy_run(n, "numpy", plain_chains), numpy_run(n, "numpy, tuned", chains)]
    speed = lambda way, n: statistics.median(
        run["samples_per_s"] for run in runs if (run["way"], run["n"]) == (way, n)
    )
    lines = [
        "| n | numpy, samples/s | numpy, tuned | every sample | ratio to numpy | to tuned | statistics | ratio to numpy | to tuned |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for n in sorted({run["n"] for run in runs}):
        ways = ("numpy", "numpy, tuned", "every sample", "statistics")
        plain, tuned, every, few = (speed(way, n) for way in ways)
        lines.append(
            f"| {n} | {plain:.3g} | {tuned:.3g} | {every:.3g} | {every / plain:.1f} | {every / tuned:.1f} "
            f"| {few:.3g} | {few / plain:.0f} | {few / tuned:.0f} |"
        )
    table = "\n".join(lines)
    print(table)
    if arguments.out:
        os.makedirs(arguments.out, exist_ok=True)
        with open(os.path.join(arguments.out, "numpy.json"), "w") as file:
            json.dump(runs, file, indent=1)
        with open(os.path.join(arguments.out, "numpy.md"), "w") as file:
            file.write(
                "# Beside numpy\n\n"
                f"Machine: {machine()}.\nPeer: numpy {np.__version__}, one thread; ours on all cores.\n"
                f"Command: `python benches/compare_numpy.py --rounds {arguments.rounds}`; what is compared "
                "stands at its head.\n\n" + table + "\n"
            )


if __name__ == "__main__":
    main()
