#!/usr/bin/env python3
"""The loss curves of two runs of `fortifai train`, step by step.

    python3 benches/device/curve.py CPU_RUN DEVICE_RUN --steps 200 --tolerance 1e-4
    python3 benches/device/curve.py CPU_RUN DEVICE_RUN --steps 200 --tolerance 1e-2 --reference CPU_BF16_RUN

Exits with 1 if a loss differs by more than the tolerance times the first run's, if a curve has fewer
steps, or if the loss did not fall. Training amplifies what rounding does to it, so that a run in
bfloat16 may also differ as far as twice what the reference does, a run of the CPU that stores the same
tensors in bfloat16.
"""

import argparse, json, os, sys


def curve(run):
    with open(os.path.join(run, "metrics.jsonl")) as lines:
        record = json.loads(next(lines))
    return {point["step"]: point["loss_nats"] for point in record["training"]}


def worst(truth, other):
    """The largest relative difference and its step."""
    return max((abs(other[step] - truth[step]) / truth[step], step) for step in truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth")
    parser.add_argument("other")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--tolerance", type=float, required=True)
    parser.add_argument("--reference", help="run of the CPU with --precision bf16")
    options = parser.parse_args()
    truth, other = curve(options.truth), curve(options.other)
    if len(truth) < options.steps or truth.keys() != other.keys():
        sys.exit(f"{len(truth)} and {len(other)} steps, where {options.steps} are asked for.")
    allowed = options.tolerance
    if options.reference:
        of_storage, at = worst(truth, curve(options.reference))
        print(f"stored alike on the CPU: {of_storage:.2e} of the loss, at step {at}.")
        allowed = max(allowed, 2 * of_storage)
    error, at = worst(truth, other)
    steps = sorted(truth)
    print(f"{len(truth)} steps from {truth[steps[0]]:.4f} to {truth[steps[-1]]:.4f} nats; the largest "
          f"difference is {error:.2e} of the loss, at step {at}; {allowed:.1e} is allowed.")
    if not error <= allowed:
        sys.exit("The curves differ.")
    if not truth[steps[-1]] < 0.9 * truth[steps[0]]:
        sys.exit("The loss did not fall: nothing has been compared.")


if __name__ == "__main__":
    main()
