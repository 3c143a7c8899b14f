#!/usr/bin/env python3
"""PyTorch at the shapes of `fortifai bench`, on the same card, and one table of ratios.

    fortifai bench --out results
    fortifai bench --step gpt2 --out results
    python3 benches/device/rivals.py results

Reads results/kernels.json and, where it is there, results/step.json; writes rivals.json and
rivals.md beside them. Rivals: PyTorch eager and torch.compile, scaled_dot_product_attention with its
flash and cuDNN kernels, cuBLAS(Lt) through torch.matmul, chunked cross entropy written here after
Liger's description, fused AdamW. Times as ours are taken: between events, cold second-level cache,
medians. Memory is what a call allocates beside its inputs.

--dry-run prints what would be measured; it needs neither PyTorch nor a GPU. --rehearse calls every
rival once on the CPU, without times; it needs PyTorch and the record of `--device cuda-host`. A rival that fails is
reported in its place and does not stop the others. With --seconds the measuring stops when the time
is over; what is missing is named.
"""

import argparse, json, os, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import goals, gpt2, operators

STEP_RIVALS = ["eager", "torch.compile"]


def read(path):
    with open(path) as file:
        return json.load(file)


def plan(kernels, only):
    """(case, entry, rival) of every measurement, torch.compile last because it takes longest."""
    wanted = [
        (name, entry, rival)
        for name, entry in goals.best(kernels["entries"]).items()
        if not only or any(part in entry["kernel"] for part in only)
        for rival in operators.rivals(entry)
    ]
    return sorted(wanted, key=lambda task: task[2] == operators.COMPILED)


def measure_operators(torch, clock, tasks, deadline):
    found, left, known = {}, [], {}
    for name, entry, rival in tasks:
        # What tells our cases apart may be no difference to a rival: it computes every row.
        same = entry["kernel"].startswith("classifier")
        key = (rival, entry["kernel"], entry["precision"], str(entry["shape"]),
               "" if same else entry["variant"])
        if key in known:
            found.setdefault(name, []).append(known[key])
            continue
        if time.monotonic() > deadline:
            left.append(f"{rival} at {name}")
            continue
        try:
            work = operators.make(torch, entry, rival)
            result = clock.measure(work, replay=rival == operators.COMPILED)
        except Exception as error:  # one rival's failure is a result, not the end
            result = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"}
        known[key] = {"rival": rival, **result}
        found.setdefault(name, []).append(known[key])
        work = None
        if rival == operators.COMPILED:
            torch._dynamo.reset()
        torch.cuda.empty_cache()
        print(f"{name}: {rival}: {result.get('time_ms', result.get('error'))}", file=sys.stderr)
    return found, left


def measure_step(torch, step, rival, seconds=15.0):
    model, b, t = step["model"], step["b"], step["t"]
    torch.manual_seed(1)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    sizes = [model[name] for name in ("layers", "heads", "channels", "context", "vocab")]
    network = gpt2.build(torch, *sizes).cuda()
    if rival == "torch.compile":
        network = torch.compile(network, dynamic=False)
    run = gpt2.step(torch, network, b, t, model["vocab"], step["precision"])
    first = run().item()
    for _ in range(2):
        last = run().item()
    assert last < first, f"the loss rose from {first} to {last}"
    times, begin = [], time.perf_counter()
    while len(times) < 20 or time.perf_counter() - begin < seconds and len(times) < 50:
        start = time.perf_counter()
        run().item()
        times.append(time.perf_counter() - start)
        if time.perf_counter() - begin > 3 * seconds:
            break
    times.sort()
    median = times[len(times) // 2]
    return {
        "rival": rival, "tokens_per_s": b * t / median, "time_ms": 1e3 * median,
        "runs": len(times), "memory_bytes": torch.cuda.max_memory_allocated(),
    }


def measure_steps(torch, step, deadline):
    results, left = [], []
    for rival in STEP_RIVALS:
        if time.monotonic() > deadline:
            left.append(f"{rival} at the training step")
            continue
        try:
            results.append(measure_step(torch, step, rival))
        except Exception as error:
            sentence = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
            results.append({"rival": rival, "error": sentence})
        torch._dynamo.reset()
        torch.cuda.empty_cache()
        print(f"training step: {results[-1]}", file=sys.stderr)
    return results, left


def rehearse(torch, tasks, step):
    """Every rival once on the CPU. Kernels that only a GPU has, and compilers, are left out."""
    for name, entry, rival in tasks:
        if rival in ("SDPA flash", "SDPA cuDNN", operators.COMPILED):
            continue
        work = operators.make(torch, entry, rival, device="cpu")
        work()
        work()
        print(f"{rival}: {name}: runs")
    if step:
        sizes = [step["model"][name] for name in ("layers", "heads", "channels", "context", "vocab")]
        network = gpt2.build(torch, *sizes)
        run = gpt2.step(torch, network, step["b"], step["t"], sizes[-1], step["precision"], "cpu")
        losses = [run().item() for _ in range(5)]
        assert losses[-1] < losses[0], losses
        print(f"training step: the loss falls from {losses[0]:.4f} to {losses[-1]:.4f}")
    compare_chunks(torch)


def compare_chunks(torch):
    """The chunked cross entropy is that of PyTorch, value and gradients."""
    import chunked

    torch.manual_seed(1)
    x = torch.randn(37, 16, requires_grad=True)
    weight = torch.randn(101, 16, requires_grad=True)
    targets = torch.randint(101, (37,))
    truth = torch.nn.functional.cross_entropy(x @ weight.t(), targets)
    truth.backward()
    with torch.no_grad():
        ours = chunked.forward_backward(torch, x, weight, targets)
    for mine, theirs in zip(ours, (truth, x.grad, weight.grad)):
        assert torch.allclose(mine, theirs, atol=1e-6), (mine, theirs)
    print("chunked cross entropy: loss and gradients are PyTorch's")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="folder with kernels.json, and perhaps step.json")
    parser.add_argument("--kernel", action="append", default=[], metavar="NAME",
                        help="only kernels whose names contain this; may be repeated")
    parser.add_argument("--seconds", type=float, default=600.0, help="stop measuring after so long")
    parser.add_argument("--no-step", action="store_true", help="leave the training step out")
    parser.add_argument("--dry-run", action="store_true", help="print what would be measured")
    parser.add_argument("--rehearse", action="store_true", help="call every rival once on the CPU")
    options = parser.parse_args()
    kernels_path = os.path.join(options.results, "kernels.json")
    step_path = os.path.join(options.results, "step.json")
    if not os.path.exists(kernels_path):
        sys.exit(f"{kernels_path} does not exist; run fortifai bench --out {options.results} first.")
    kernels = read(kernels_path)
    step = read(step_path) if os.path.exists(step_path) and not options.no_step else None
    tasks = plan(kernels, options.kernel)
    if options.dry_run:
        for name, entry, rival in tasks:
            print(f"{rival}: {name}, beside {entry['rung']} with {entry['time_ms']:.4f} ms")
        for rival in STEP_RIVALS if step else []:
            print(f"{rival}: training step {step['size']}, {step['precision']}, b {step['b']} t {step['t']}")
        print(f"{len(tasks) + (len(STEP_RIVALS) if step else 0)} measurements; nothing has been run.")
        print("\nThe table as it stands without rivals:\n")
        print(goals.markdown(goals.rows(kernels, {})))
        return

    import torch
    from clock import Clock

    if options.rehearse:
        return rehearse(torch, tasks, step)
    if not torch.cuda.is_available():
        print("PyTorch finds no CUDA device; --dry-run needs none.", file=sys.stderr)
        sys.exit(3)
    if not kernels["times_mean_something"]:
        sys.exit(f"{kernels_path} was made without a GPU; its times cannot be compared.")
    # The f32 of ours is f32: no TF32.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # A compiled backward pass is called again and again, so its inputs may not be given away.
    import torch._functorch.config

    torch._functorch.config.donated_buffer = False
    begin = time.monotonic()
    # What compiles comes last, and whatever is there is written down before each part, so that a run
    # that is cut loses little. A third of the time belongs to the step.
    end = begin + options.seconds
    quick = [task for task in tasks if task[2] != operators.COMPILED]
    slow = [task for task in tasks if task[2] == operators.COMPILED]
    found, left = measure_operators(torch, Clock(torch), quick, begin + options.seconds / 3)
    save(torch, options.results, kernels, step, found, [], left)
    steps, more = measure_steps(torch, step, begin + 2 / 3 * options.seconds) if step else ([], [])
    save(torch, options.results, kernels, step, found, steps, left + more)
    compiled, most = measure_operators(torch, Clock(torch), slow, end)
    for case, results in compiled.items():
        found.setdefault(case, []).extend(results)
    print(save(torch, options.results, kernels, step, found, steps, left + more + most))


def save(torch, folder, kernels, step, found, steps, left):
    """Writes rivals.json and rivals.md as far as there are results; returns the latter."""
    name = torch.cuda.get_device_name()
    table = goals.rows(kernels, found) + (goals.step_rows(step, steps) if step else [])
    record = {
        "device": name, "torch": torch.__version__, "cuda": torch.version.cuda,
        "operators": found, "step": steps, "not_measured": left, "table": table,
    }
    with open(os.path.join(folder, "rivals.json"), "w") as file:
        json.dump(record, file, indent=1)
    head = [
        "# Beside PyTorch", "",
        f"{name}; PyTorch {torch.__version__}, CUDA {torch.version.cuda}, no TF32. The fastest rung of "
        "each case; times between events, cold second-level cache, medians. Memory is what a call "
        "needs beside its inputs.",
        f"Ours: {kernels['device']['name']}, {kernels['origin']['started']}, "
        f"commit {kernels['origin']['commit']}.", "",
    ]
    if name != kernels["device"]["name"]:
        head.insert(2, f"**The two ran on different cards: {name}, {kernels['device']['name']}.**\n")
    tail = ["", "Not measured, for lack of time: " + "; ".join(left) + "."] if left else []
    text = "\n".join(head) + "\n" + goals.markdown(table) + "\n".join(tail) + "\n"
    with open(os.path.join(folder, "rivals.md"), "w") as file:
        file.write(text)
    return text


if __name__ == "__main__":
    main()
