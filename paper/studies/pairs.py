"""Two arms of a study compared seed by seed: means, ratio and difference with 95 % Student-t intervals.

    python paper/studies/pairs.py paper/results/wikitext2/measures.csv heldout_nats tce:0.9 focal:2
    python paper/studies/pairs.py paper/results/wikitext2/measures.csv heldout_nats tce:0.9 ce --above 1.5

Takes the last generation, and the change since generation 0; with --above X the generation at which each chain first
rises above X, on a straight line between generations. Nothing is adjusted for how often one asks.
"""

import argparse
import csv
import math

# Two-sided 95 % quantiles of Student's t at 1 to 9 degrees of freedom.
T = [12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.306, 2.26216]


def estimate(values):
    n = len(values)
    mean = sum(values) / n
    half = T[n - 2] * math.sqrt(sum((x - mean) ** 2 for x in values) / (n - 1) / n)
    return mean, mean - half, mean + half


def crossing(curve, line):
    for g in range(1, len(curve)):
        if curve[g] > line:
            return g - 1 + (line - curve[g - 1]) / (curve[g] - curve[g - 1])
    raise SystemExit(f"a chain never rises above {line}; choose another --above")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("measure")
    parser.add_argument("arm")
    parser.add_argument("against")
    parser.add_argument("--protocol", default="replace")
    parser.add_argument("--above", type=float)
    asked = parser.parse_args()
    curves = {}
    with open(asked.table, newline="") as file:
        rows = csv.DictReader(file)
        if asked.measure not in rows.fieldnames:
            raise SystemExit(f"{asked.table} has no measure {asked.measure}; it has {', '.join(rows.fieldnames[4:])}")
        for row in rows:
            if row["protocol"] == asked.protocol and row["arm"] in (asked.arm, asked.against):
                curves.setdefault((row["arm"], row["seed"]), []).append(float(row[asked.measure]))
    seeds = sorted({s for a, s in curves if a == asked.arm} & {s for a, s in curves if a == asked.against})
    if not 2 <= len(seeds) <= len(T) + 1:
        raise SystemExit(f"{asked.table} has {len(seeds)} pairs of {asked.arm} and {asked.against}; 2 to {len(T) + 1} will do")
    pairs = [(curves[asked.arm, s], curves[asked.against, s]) for s in seeds]

    def show(what, values, through=lambda x: x):
        print(f"{what:<28} {{:.4f}} [{{:.4f}}, {{:.4f}}]".format(*map(through, estimate(values))))

    print(f"{asked.arm} against {asked.against}, {asked.measure}, {asked.protocol}, {len(seeds)} pairs")
    if asked.above is not None:
        times = [[crossing(curve, asked.above) for curve in pair] for pair in pairs]
        show("ratio of first crossings", [math.log(a / b) for a, b in times], math.exp)
        return
    if all(a[-1] > 0 and b[-1] > 0 for a, b in pairs):
        show("ratio, last generation", [math.log(a[-1] / b[-1]) for a, b in pairs], math.exp)
    show("difference, last generation", [a[-1] - b[-1] for a, b in pairs])
    show("difference of the change", [(a[-1] - a[0]) - (b[-1] - b[0]) for a, b in pairs])


main()
