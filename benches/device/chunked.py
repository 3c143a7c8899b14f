"""The rival of the fused classifier: cross entropy whose logits exist for a chunk of rows at a
time, with the gradient taken in the forward pass, as Liger (Hsu and others 2024, arXiv 2410.10989,
section 3.3) describes it. Written here from that description.

Per chunk: z = x Wᵀ, p = softmax(z), loss = −log p_t, dz = (p − e_t)/n, dx = dz W, dW += dzᵀ x.
"""


def chunk_rows(n, c, v):
    """Rows whose logits take about the room of the inputs: n / 2^⌈log2(V/c)⌉, a power of two."""
    parts = max(1, -(-v // c))
    rows = max(1, n // parts)
    return 1 << (rows - 1).bit_length()


def forward_backward(torch, x, weight, targets, rows=None):
    """Mean loss, dx in the storage of x, dW in f32. Without `rows` a chunk has as many as
    [chunk_rows] says, which are few where the vocabulary is much larger than the channels."""
    n, c = x.shape
    rows = rows or chunk_rows(n, c, weight.shape[0])
    dx = torch.empty_like(x)
    dweight = torch.zeros(weight.shape, dtype=torch.float32, device=x.device)
    loss = torch.zeros((), dtype=torch.float32, device=x.device)
    for start in range(0, n, rows):
        part = slice(start, min(start + rows, n))
        logits = (x[part] @ weight.t()).float()
        log_sum = torch.logsumexp(logits, dim=1, keepdim=True)
        target = targets[part, None]
        loss += (log_sum - logits.gather(1, target)).sum()
        dz = logits.sub_(log_sum).exp_()
        dz.scatter_add_(1, target, torch.full_like(log_sum, -1.0))
        dz = dz.mul_(1.0 / n).to(x.dtype)
        torch.mm(dz, weight, out=dx[part])
        dweight += (dz.t() @ x[part]).float()
    return loss / n, dx, dweight
