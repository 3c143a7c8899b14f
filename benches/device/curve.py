#!/usr/bin/env python3
"""The loss curves of two runs of `fortifai train`, step by step.

    python3 benches/device/curve.py CPU_RUN DEVICE_RUN --steps 200 --tolerance 1e-4

Exits with 1 if a loss differs by more than the tolerance times the first run's, if a curve has fewer
steps, or if the loss did not fall.
"""

import argparse, json, os, sys


def curve(run):
    with open(os.path.join(run, "metrics.jsonl")) as lines:
        record = json.loads(next(lines))
    return {point["step"]: point["loss_nats"] for point in record["training"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth")
    parser.add_argument("other")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--tolerance", type=float, required=True)
    options = parser.parse_args()
    truth, other = curve(options.truth), curve(options.other)
    if len(truth) < options.steps or truth.keys() != other.keys():
        sys.exit(f"{len(truth)} and {len(other)} steps, where {options.steps} are asked for.")
    worst = max(truth, key=lambda step: abs(other[step] - truth[step]) / truth[step])
    error = abs(other[worst] - truth[worst]) / truth[worst]
    steps = sorted(truth)
    print(f"{len(truth)} steps from {truth[steps[0]]:.4f} to {truth[steps[-1]]:.4f} nats; the largest "
          f"difference is {error:.2e} of the loss, at step {worst}; {options.tolerance:.0e} is allowed.")
    if not error <= options.tolerance:
        sys.exit("The curves differ.")
    if not truth[steps[-1]] < 0.9 * truth[steps[0]]:
        sys.exit("The loss did not fall: nothing has been compared.")


if __name__ == "__main__":
    main()
