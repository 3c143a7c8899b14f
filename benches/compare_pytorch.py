#!/usr/bin/env python3
"""Training steps S, M, L and generation at M: fortifai beside PyTorch, in one sitting.

    pip install torch transformers
    cargo build --release --benches
    python benches/compare_pytorch.py [--rounds 3] [--sizes S,M,L] [--out DIR]

The two alternate, each in a process of its own with two threads, so that neither sees the other's
memory and a drift of the machine meets both. PyTorch runs eager float32 (MKL) with the model of
transformers, dropout 0, AdamW (foreach), gradients set to none. Prints a table and, with --out,
writes it with the machine's description. Ratios are of the medians over the rounds.
"""

import argparse, glob, json, os, platform, statistics, subprocess, sys, time

SIZES = {  # layers, channels, heads, context, vocabulary, batch, length
    "S": (4, 128, 4, 128, 256, 16, 128),
    "M": (6, 384, 6, 256, 1024, 8, 256),
    "L": (12, 768, 12, 1024, 50304, 2, 256),
}


def gpt2(size):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(2)
    torch.manual_seed(1)
    layers, channels, heads, context, vocab, *_ = SIZES[size]
    return GPT2LMHeadModel(
        GPT2Config(
            n_layer=layers, n_embd=channels, n_head=heads, n_positions=context, vocab_size=vocab,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=None, eos_token_id=None,
        )
    )


def peak_memory_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def torch_step(size, seconds=10.0):
    import torch

    model = gpt2(size).train()
    *_, vocab, batch, length = SIZES[size]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    tokens = torch.randint(vocab, (batch, length + 1))

    def step():
        logits = model(tokens[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return loss.item()

    first, second = step(), step()
    assert second < first, (first, second)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or steps < 3:
        step()
        steps += 1
    rate = steps * batch * length / (time.perf_counter() - start)
    return {"size": size, "tokens_per_s": rate, "peak_memory_mib": peak_memory_mib()}


def torch_generate(batch, seconds=5.0):
    import torch

    model = gpt2("M").eval()
    prompt = torch.randint(1024, (batch, 32))
    mask = torch.ones_like(prompt)

    def run():
        with torch.no_grad():
            return model.generate(
                prompt, attention_mask=mask, do_sample=False, min_new_tokens=200,
                max_new_tokens=200, pad_token_id=0,
            )

    assert run().shape == (batch, 232)
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or runs < 3:
        run()
        runs += 1
    return {"batch": batch, "tokens_per_s": runs * batch * 200 / (time.perf_counter() - start)}


def ours(bench, *arguments):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target"))
    found = [p for p in glob.glob(f"{target}/release/deps/{bench}-*") if os.access(p, os.X_OK)]
    if not found:
        sys.exit(f"No bench binary {bench} under {target}; run cargo build --release --benches first.")
    command = [max(found, key=os.path.getmtime), "--quick-table", *arguments]
    environment = dict(os.environ, RAYON_NUM_THREADS="2")
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return [json.loads(line) for line in output.stdout.splitlines()]


def theirs(*arguments):
    environment = dict(os.environ, OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
    command = [sys.executable, __file__, *map(str, arguments)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(output.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="S,M,L")
    parser.add_argument("--no-generation", action="store_true")
    parser.add_argument("--out")
    parser.add_argument("--torch-step", help=argparse.SUPPRESS)
    parser.add_argument("--torch-generate", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_step:
        return print(json.dumps(torch_step(options.torch_step)))
    if options.torch_generate:
        return print(json.dumps(torch_generate(options.torch_generate)))

    lines = ["| measure | fortifai | PyTorch | ratio | memory MiB: fortifai | PyTorch | share |", "|---|---|---|---|---|---|---|"]
    raw = []
    for size in filter(None, options.sizes.split(",")):
        mine, peer = [], []
        for _ in range(options.rounds):
            mine += ours("step", size)
            peer.append(theirs("--torch-step", size))
        raw.append({"ours": mine, "theirs": peer})
        a, b = (statistics.median(r["tokens_per_s"] for r in rows) for rows in (mine, peer))
        m, n = (max(r["peak_memory_mib"] for r in rows) for rows in (mine, peer))
        lines.append(f"| training step {size}, tokens/s | {a:.0f} | {b:.0f} | {a / b:.2f} | {m:.0f} | {n:.0f} | {m / n:.2f} |")
        print(lines[-1], file=sys.stderr)
    if not options.no_generation:
        mine, peer = [], []
        for _ in range(options.rounds):
            mine += ours("generation")
            peer += [theirs("--torch-generate", batch) for batch in (1, 16)]
        raw.append({"ours": mine, "theirs": peer})
        for batch in (1, 16):
            pick = lambda rows: statistics.median(r["tokens_per_s"] for r in rows if r["batch"] == batch)
            a, b = pick(mine), pick(peer)
            lines.append(f"| generation M, batch {batch}, tokens/s | {a:.0f} | {b:.0f} | {a / b:.2f} | | | |")
    import torch, transformers

    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "")
    head = [
        f"Machine: {cpu}, {os.cpu_count()} logical CPUs, {platform.system()} {platform.release()}.",
        f"Peers: PyTorch {torch.__version__} eager float32, transformers {transformers.__version__} `generate`.",
        f"Two threads each, {options.rounds} alternating rounds, medians; peak memory is the process's VmHWM.",
        "Command: `python benches/compare_pytorch.py " + " ".join(sys.argv[1:]) + "`.", "",
    ]
    text = "\n".join(head + lines) + "\n"
    print(text)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        open(os.path.join(options.out, "pytorch.md"), "w").write("# Beside PyTorch\n\n" + text)
        json.dump(raw, open(os.path.join(options.out, "pytorch.json"), "w"), indent=1)


if __name__ == "__main__":
    main()
