"""What PyTorch has for each kernel of `fortifai bench`, at an entry's own shape.

`rivals(entry)` says which there are without importing PyTorch; `make(torch, entry, rival)` gives a
closure that calls one of them once. What a rival cannot do in place it allocates, which counts as
its memory. Inputs are random; times do not depend on them.
"""

import chunked

EAGER, COMPILED = "eager", "torch.compile"

# Kernel -> rivals. torch.matmul in bf16 is cuBLASLt or cuBLAS, whichever PyTorch picks. Its outputs
# are in the storage, where ours of logits and of weight gradients are in f32, which takes longer.
RIVALS = {
    "embedding_forward": [EAGER],
    "layernorm_forward": [EAGER, COMPILED],
    "residual_layernorm_forward": [EAGER, COMPILED],
    "layernorm_backward": [EAGER, COMPILED],
    "gelu_forward": [EAGER, COMPILED],
    "gelu_backward": [EAGER, COMPILED],
    "matmul": ["cuBLAS through torch.matmul"],
    "column_sum": [EAGER],
    "attention_forward": ["SDPA flash", "SDPA cuDNN", "SDPA"],
    "attention_backward": ["SDPA flash", "SDPA cuDNN", "SDPA"],
    "classifier_forward": [EAGER, COMPILED],
    "classifier_forward_backward": [EAGER, COMPILED, "chunked (Liger-style)", "chunked, 1024 rows"],
    "rows_gather": [EAGER],
    "decode_forward": ["SDPA"],
    "adamw_step": ["fused AdamW"],
    "squared_norm": [EAGER],
    "sampling_argmax": [EAGER],
}


def rivals(entry):
    names = RIVALS.get(entry["kernel"], [])
    if entry["precision"] == "f32":  # flash and cuDNN attention know no f32
        names = [name for name in names if name not in ("SDPA flash", "SDPA cuDNN")]
    return names


def make(torch, entry, rival, device="cuda"):
    shape = entry["shape"]
    storage = torch.float32 if entry["precision"] == "f32" else torch.bfloat16

    def normal(*sizes, deviation=1.0, dtype=storage):
        return torch.randn(*sizes, device=device, dtype=dtype) * deviation

    def below(bound, count):
        return torch.randint(bound, (count,), device=device)

    family = entry["kernel"].split("_")[0]
    build = {
        "residual": layernorm, "layernorm": layernorm, "gelu": gelu, "matmul": matmul,
        "attention": attention, "classifier": classifier, "adamw": adamw, "column": column_sum,
        "embedding": embedding, "rows": gather, "decode": decode, "squared": norm,
        "sampling": argmax,
    }[family]
    return build(torch, entry, shape, normal, below, rival)


def compiled(torch, function, rival):
    return torch.compile(function, dynamic=False) if rival == COMPILED else function


def layernorm(torch, entry, shape, normal, below, rival):
    F = torch.nn.functional
    n, c = shape["n"], shape["c"]
    x, weight, bias = normal(n, c), normal(c), normal(c)
    if entry["kernel"] == "layernorm_forward":
        forward = compiled(torch, lambda x: F.layer_norm(x, (c,), weight, bias), rival)
        return lambda: forward(x)
    if entry["kernel"] == "residual_layernorm_forward":
        branch = normal(n, c)

        def both(x, branch):
            residual = x + branch
            return residual, F.layer_norm(residual, (c,), weight, bias)

        both = compiled(torch, both, rival)
        return lambda: both(x, branch)
    return backward(torch, lambda x, w, b: F.layer_norm(x, (c,), w, b), (x, weight, bias), rival)


def gelu(torch, entry, shape, normal, below, rival):
    tanh = lambda x: torch.nn.functional.gelu(x, approximate="tanh")
    x = normal(shape["n"], shape["c"])
    if entry["kernel"] == "gelu_forward":
        forward = compiled(torch, tanh, rival)
        return lambda: forward(x)
    return backward(torch, tanh, (x,), rival)


def backward(torch, function, inputs, rival):
    """The backward pass alone, of a graph that is kept."""
    inputs = tuple(x.detach().requires_grad_() for x in inputs)
    out = compiled(torch, function, rival)(*inputs)
    dout = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, inputs, dout, retain_graph=True)


def matmul(torch, entry, shape, normal, below, rival):
    m, n, k = shape["m"], shape["n"], shape["k"]
    layout = entry["variant"].split()[-1]
    a = normal(k, m).t() if layout == "tn" else normal(m, k)
    b = normal(n, k).t() if layout == "nt" else normal(k, n)
    if entry["variant"].startswith("qkv d"):
        before = normal(m, n)
        return lambda: torch.addmm(before, a, b)
    return lambda: torch.matmul(a, b)


def attention(torch, entry, shape, normal, below, rival):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    F = torch.nn.functional
    b, t, nh, hs = (shape[letter] for letter in ("b", "t", "nh", "hs"))
    qkv = [normal(b, t, nh, hs).transpose(1, 2).requires_grad_() for _ in range(3)]
    backend = {"SDPA flash": SDPBackend.FLASH_ATTENTION, "SDPA cuDNN": SDPBackend.CUDNN_ATTENTION}
    call = lambda: F.scaled_dot_product_attention(*qkv, is_causal=True)

    def forward():
        if rival not in backend:
            return call()
        with sdpa_kernel(backend[rival]):
            return call()

    if entry["kernel"] == "attention_forward":
        def without_graph():
            with torch.no_grad():
                return forward()

        return without_graph
    out = forward()
    dout = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, qkv, dout, retain_graph=True)


def classifier(torch, entry, shape, normal, below, rival):
    F = torch.nn.functional
    n, c, v = shape["n"], shape["c"], shape["v"]
    x, weight = normal(n, c), normal(v, c, deviation=1.5 / c**0.5)
    targets = below(v, n)
    if rival.startswith("chunked"):
        rows = 1024 if rival.endswith("1024 rows") else None
        return lambda: chunked.forward_backward(torch, x, weight, targets, rows)
    loss = lambda x, w: F.cross_entropy((x @ w.t()).float(), targets)
    loss = compiled(torch, loss, rival)
    if entry["kernel"] == "classifier_forward":
        def without_graph():
            with torch.no_grad():
                return loss(x, weight)

        return without_graph
    x, weight = x.requires_grad_(), weight.requires_grad_()
    return lambda: torch.autograd.grad(loss(x, weight), (x, weight))


def adamw(torch, entry, shape, normal, below, rival):
    params = normal(shape["numbers"], dtype=torch.float32).requires_grad_()
    params.grad = normal(shape["numbers"], deviation=1e-3, dtype=torch.float32)
    optimiser = torch.optim.AdamW([params], lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    return optimiser.step


def column_sum(torch, entry, shape, normal, below, rival):
    dout = normal(shape["n"], shape["oc"])
    return lambda: dout.sum(0, dtype=torch.float32)


def embedding(torch, entry, shape, normal, below, rival):
    table = normal(shape["v"], shape["c"])
    tokens = below(shape["v"], shape["n"])
    positions = normal(shape["n"], shape["c"])
    return lambda: table[tokens] + positions


def gather(torch, entry, shape, normal, below, rival):
    x = normal(shape["n"], shape["c"])
    rows = below(shape["n"], shape["m"])
    return lambda: x.index_select(0, rows)


def decode(torch, entry, shape, normal, below, rival):
    rows, t, nh, hs = (shape[letter] for letter in ("rows", "t", "nh", "hs"))
    q, k, v = normal(rows, nh, 1, hs), normal(rows, nh, t, hs), normal(rows, nh, t, hs)
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v)


def norm(torch, entry, shape, normal, below, rival):
    g = normal(shape["numbers"], dtype=torch.float32)
    return lambda: torch.linalg.vector_norm(g)


def argmax(torch, entry, shape, normal, below, rival):
    logits = normal(shape["rows"], shape["v"], dtype=torch.float32)
    return lambda: logits.argmax(1)
