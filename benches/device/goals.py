"""The table of ratios, with what each kernel is meant to reach.

A goal names a kernel, a precision (or none for both) and what is compared: `share` of the copy's
bandwidth, or `speed` and `memory` relative to a rival.
"""

GOALS = [
    # kernel, precision, kind, rival, at least
    ("classifier_forward_backward", "bf16", "speed", "eager", 2.0),
    ("classifier_forward_backward", "bf16", "memory", "eager", 10.0),
    ("classifier_forward_backward", "bf16", "speed", "chunked", 1.0),
    ("residual_layernorm_forward", None, "share", None, 0.85),
    ("layernorm_forward", None, "share", None, 0.85),
    ("layernorm_backward", None, "share", None, 0.85),
    ("gelu_forward", None, "share", None, 0.85),
    ("gelu_backward", None, "share", None, 0.85),
    ("adamw_step", None, "share", None, 0.85),
    ("attention_forward", "bf16", "speed", "SDPA", 1.0),
    ("attention_backward", "bf16", "speed", "SDPA", 1.0),
    ("matmul", "bf16", "speed", "cuBLAS through torch.matmul", 0.85),
]
STEP_GOAL = ("step", "bf16", "speed", "torch.compile", 1.0)


def case(entry):
    """What the rungs of one case have in common."""
    shape = " ".join(f"{letter} {size}" for letter, size in entry["shape"].items())
    variant = f" {entry['variant']}" if entry["variant"] else ""
    return f"{entry['kernel']}{variant}, {entry['precision']}, {shape}"


def best(entries):
    """The fastest rung of every case, in the order of the cases. The classifier with all logits at
    once is a rung to compare with; the model runs it in chunks."""
    found = {}
    for entry in entries:
        if entry["kernel"].startswith("classifier") and entry["rung"] != "fast":
            continue
        name = case(entry)
        if name not in found or entry["time_ms"] < found[name]["time_ms"]:
            found[name] = entry
    return found


def matches(goal, entry):
    return goal[0] == entry["kernel"] and goal[1] in (None, entry["precision"])


def rows(kernels, rivals):
    """[case, ours, rival, its time, speed ratio, memory ratio, goal, reached]."""
    table = []
    for name, entry in best(kernels["entries"]).items():
        ours = f"{entry['rung']} {entry['time_ms']:.4f}"
        for goal in GOALS:
            if goal[2] == "share" and matches(goal, entry) and entry["share"] is not None:
                reached = verdict(entry["share"], goal[4])
                share = f"{100 * entry['share']:.1f} %"
                wish = f"≥ {100 * goal[4]:.0f} % of the copy"
                table.append([name, ours, "copy bandwidth", "", share, "", wish, reached])
        for rival in rivals.get(name, []):
            if "error" in rival:
                table.append([name, ours, rival["rival"], rival["error"], "", "", "", ""])
                continue
            speed = rival["time_ms"] / entry["time_ms"]
            ours_bytes = entry["extra_memory_bytes"]
            memory = rival["extra_memory_bytes"] / ours_bytes if ours_bytes else None
            wishes, verdicts = [], []
            for goal in GOALS:
                # SDPA's goal holds for the fastest of its kernels too.
                if matches(goal, entry) and goal[3] and rival["rival"].startswith(goal[3]):
                    value = speed if goal[2] == "speed" else memory or 0.0
                    wishes.append(f"{goal[2]} ≥ {goal[4]} ×")
                    verdicts.append(verdict(value, goal[4]))
            table.append([
                name, ours, rival["rival"], f"{rival['time_ms']:.4f}", f"{speed:.2f} ×",
                "" if memory is None else f"{memory:.1f} ×", ", ".join(wishes), ", ".join(verdicts),
            ])
    return table


def verdict(value, goal):
    return "reached" if value >= goal else "NOT REACHED"


def step_rows(step, rivals):
    table = []
    ours = next(run for run in step["runs"] if run["loss"] == "ce")
    name = f"training step {step['size']}, {step['precision']}, b {step['b']} t {step['t']}"
    for rival in rivals:
        if "error" in rival:
            table.append([name, "", rival["rival"], rival["error"], "", "", "", ""])
            continue
        speed = ours["tokens_per_s"] / rival["tokens_per_s"]
        memory = rival["memory_bytes"] / ours["memory_bytes"]
        wished = rival["rival"] == STEP_GOAL[3] and step["precision"] == STEP_GOAL[1]
        table.append([
            name, f"{ours['tokens_per_s']:.0f} tokens/s", rival["rival"],
            f"{rival['tokens_per_s']:.0f} tokens/s", f"{speed:.2f} ×", f"{memory:.2f} ×",
            f"speed ≥ {STEP_GOAL[4]} ×" if wished else "",
            verdict(speed, STEP_GOAL[4]) if wished else "",
        ])
    return table


HEAD = ["case", "ours: rung, ms", "rival", "its ms", "times as fast", "its memory to ours", "goal", ""]


def markdown(table):
    lines = [HEAD, ["---"] * len(HEAD), *table]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
