// The classifier's row work: softmax statistics, the loss of a row, its gradient.
//
// Per row of logits z with target t, M = max z and e_k = exp(z_k − M):
//     p = e_t / (Σ_{k≠t} e_k + e_t),   q = 1 − p = Σ_{k≠t} e_k / Σ_k e_k, never by subtraction
//     nll = −log1p(−q) where p > 1/2, else log Σ_k e_k − (z_t − M)
//     (f, a, b) from the loss's code
//     dz_k = scale·[a(p_k − [k = t]) + b(p_k − 1/V)]
// A row with a = b = 0 is dropped: it gets no place among the rows that the backward products see.
//
// The launcher works through the rows a chunk at a time; per chunk
//     logits = x Wᵀ                 a product, f32
//     classifier_rows               one block per row: statistics, loss, and dz over the logits
//     classifier_place              one block: an order of the kept rows without gaps
//     classifier_move               kept rows from behind into the places of dropped ones
//     dW += dzᵀ x and dx = dz W     over the kept rows alone; their number stays on the device
// Rows of logits and of dz begin `stride` numbers apart, a multiple of 8 and at least V, on 16-byte
// boundaries whatever V is.
//
// Bytes per logit and row, storage of s bytes: 4 written and 4 read in any case; s written and 2s read
// for rows that are kept. A block keeps the first `held` logits of its row in shared memory, from
// where the gradient takes them; the others it reads once more. A rung that never writes logits (a
// product whose epilogue keeps the online statistics, recomputed backward) would save these, 14 bytes
// in bf16, for two more products of 2c operations, because dW is summed over rows and dx over the
// vocabulary, and neither sweep can hand its tile to the other without atomics on floats. On a machine
// with 3 TB/s and 600 TFLOP/s in bf16 at c = 768 the bytes cost 5 ps and the two products 5 ps: nothing
// is won, exactness of skipped tiles is lost, and the chunk already bounds the memory. So it is not
// here.
#include "common.cuh"

#define LOWEST_F (-3.402823466e38f)

struct alignas(16) Four {
  float values[4];
};

// What the gradient pass needs of a row: dz_k = exp(z_k − top)·slope − floor, and dz_t.
struct alignas(16) Saved {
  float top, slope, floor, at_target;
};

struct RowLoss {
  float f, a, b;
};

// The codes, in the order of the launcher's constructors.
enum Kind { CE, TCE, FOCAL, FOCAL_DETACHED, LINEAR, DROP_LOW, MASKED, SMOOTHED };

// Exact for the small integers that are used most; in double, as one thread per row is no cost.
DEVICE float power(float base, double exponent) {
  if (exponent == 0.0) return 1.0f;
  if (exponent == 1.0) return base;
  if (exponent == 2.0) return base * base;
  return float(pow(double(base), exponent));
}

// A factor of zero wins over an infinite loss.
DEVICE float weighted(float factor, float nll) { return factor == 0.0f ? 0.0f : factor * nll; }

// `parameter + second` is the loss's parameter; thresholds are compared in f32.
DEVICE RowLoss row_loss(int kind, float parameter, float second, float p, float q, float nll,
                        float uniform, bool in_mask) {
  RowLoss whole = {nll, 1.0f, 0.0f}, dropped = {0.0f, 0.0f, 0.0f};
  double exact = double(parameter) + double(second);
  switch (kind) {
    case CE:
      return whole;
    // A row that is NaN is kept: a loss that dropped it would hide what went wrong.
    case TCE:
      return exact > 0.0 && !(p > parameter) ? whole : dropped;
    case FOCAL:
    case FOCAL_DETACHED: {
      if (exact == 0.0) return whole;
      float factor = power(q, exact), pull = 0.0f;
      // Near p = 1 the product q^(γ−1)·ln p behaves as −q^γ: no infinity times zero.
      if (kind == FOCAL && q > 0.0f) pull = parameter * p * power(q, exact - 1.0) * nll;
      return {weighted(factor, nll), factor + pull, 0.0f};
    }
    case LINEAR: {
      // 1 − γp as (1 − γ) + γ(1 − p), which does not cancel at γ = 1.
      float factor = (1.0f - parameter) + parameter * q;
      return {weighted(factor, nll), factor, 0.0f};
    }
    case DROP_LOW:
      return p < parameter ? dropped : whole;
    case MASKED:
      return in_mask ? whole : dropped;
    default:  // SMOOTHED
      return {(1.0f - parameter) * nll + parameter * uniform, 1.0f - parameter, parameter};
  }
}

// One thread's share of a row: its largest logit, Σ_{k≠t} exp(z_k − top), and Σ (z_k − z_t).
struct Share {
  float top, rest, centred;
};

template <int N>
DEVICE void take(Share& share, const float (&z)[N], int k, int target, float at_target) {
  float most = z[0];
#pragma unroll
  for (int j = 1; j < N; j++) most = fmaxf(most, z[j]);
  if (most > share.top) {
    share.rest *= expf(share.top - most);
    share.top = most;
  }
  float rest = 0.0f, centred = 0.0f;
#pragma unroll
  for (int j = 0; j < N; j++) {
    rest += k + j == target ? 0.0f : expf(z[j] - share.top);
    centred += z[j] - at_target;
  }
  share.rest += rest;
  share.centred += centred;
}

// A target beyond the vocabulary makes the row NaN.
DEVICE float logit_of(const float* z, u32 target, int v) {
  return target < u32(v) ? z[target] : __uint_as_float(0x7fffffffu);
}

// What one row leaves, from its sums; returns whether it has a gradient.
DEVICE bool finish(float* loss, float* nll, float* probability, float* kept, Saved& saved, u32 row,
                   Share sum, float at_target, bool in_mask, float scale, int kind, float parameter,
                   float second, int v) {
  float own = expf(at_target - sum.top), total = sum.rest + own;
  float p = own / total, q = sum.rest / total, log_total = logf(total);
  float minus_ln_p = p > 0.5f ? -log1pf(-q) : log_total - (at_target - sum.top);
  // −(1/V) Σ_k ln p_k, measured from the target's logit so that a common offset costs no digits.
  float uniform = (log_total - (at_target - sum.top)) - sum.centred / float(v);
  RowLoss row_is = row_loss(kind, parameter, second, p, q, minus_ln_p, uniform, in_mask);
  bool keep = row_is.a != 0.0f || row_is.b != 0.0f;
  loss[row] = row_is.f;
  nll[row] = minus_ln_p;
  probability[row] = p;
  kept[row] = keep ? 1.0f : 0.0f;
  float a = row_is.a * scale, b = row_is.b * scale;
  saved = {sum.top, (a + b) / total, b / float(v), b * (p - 1.0f / float(v)) - a * q};
  return keep;
}

DEVICE act gradient(Saved row, float z, int k, u32 target) {
  return to_act(u32(k) == target ? row.at_target : fmaf(expf(z - row.top), row.slope, -row.floor));
}

// Numbers of storage in 16 bytes.
#define WIDTH int(16 / sizeof(act))
struct alignas(16) Piece {
  act values[WIDTH];
};
// Fours that a thread asks for at a time.
#define BATCH 4

// A thread's share of a row, of which the first `held` numbers are kept in shared memory.
DEVICE Share share_of(const float* z, float* holds, int held, int target, float at_target, int v) {
  int threads = blockDim.x, thread = threadIdx.x, whole = v / 4 * 4;
  Share share = {LOWEST_F, 0.0f, 0.0f};
  for (int start = 4 * thread; start < whole; start += 4 * BATCH * threads) {
    Four fours[BATCH];
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
      int k = start + i * 4 * threads;
      if (k < whole) fours[i] = *reinterpret_cast<const Four*>(z + k);
    }
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
      int k = start + i * 4 * threads;
      if (k >= whole) break;
      if (k < held) *reinterpret_cast<Four*>(holds + k) = fours[i];
      take<4>(share, fours[i].values, k, target, at_target);
    }
  }
  int last = whole + thread;
  if (last < v) {
    float end = z[last];
    if (last < held) holds[last] = end;
    take<1>(share, {end}, last, target, at_target);
  }
  return share;
}

// dz of a row over its logits, and zeros from V up to the stride. What a step writes lies over logits
// that it or an earlier one has read, as a number of storage is no longer than a logit.
DEVICE void write_gradient(float* z, const float* holds, int held, const Saved& of, u32 target, int v,
                           int stride) {
  act* out = reinterpret_cast<act*>(z);
  for (int start = 0; start < stride; start += WIDTH * blockDim.x) {
    int k = start + WIDTH * threadIdx.x;
    Four fours[WIDTH / 4];
    if (k < stride) {
#pragma unroll
      for (int j = 0; j < WIDTH / 4; j++) {
        const float* from = k + 4 * j + 4 <= held ? holds : z;
        fours[j] = *reinterpret_cast<const Four*>(from + k + 4 * j);
      }
    }
    if (held < v) __syncthreads();
    if (k >= stride) continue;
    Piece piece;
#pragma unroll
    for (int j = 0; j < WIDTH; j++) {
      act entry = gradient(of, fours[j / 4].values[j % 4], k + j, target);
      piece.values[j] = k + j < v ? entry : to_act(0.0f);
    }
    *reinterpret_cast<Piece*>(out + k) = piece;
  }
}

// The largest logit and the sum are kept online, so that the row is read once; each thread's sum is
// brought to the row's largest once, at the end. Sums: V / threads terms per thread, then a tree. With
// `backward`, rows that are kept become their dz. `held` is a multiple of 4.
KERNEL(1024, classifier_rows)
(float* loss, float* nll, float* probability, float* kept, float* logits, const u32* targets,
 const u8* mask, float scale, int backward, int kind, float parameter, float second, int v, int stride,
 int held) {
  DYNAMIC_SHARED(float, holds);
  SHARED(float, scratch, [32]);
  SHARED(Saved, saved, [1]);
  SHARED(u32, keep, [1]);
  u32 row = blockIdx.x, target = targets[row];
  float* z = logits + u64(row) * stride;
  float at_target = logit_of(z, target, v);
  Share share = share_of(z, holds, held, target, at_target, v);
  Share sum;
  sum.top = block_max(share.top, scratch);
  sum.rest = block_sum(share.rest * expf(share.top - sum.top), scratch);
  sum.centred = kind == SMOOTHED ? block_sum(share.centred, scratch) : 0.0f;
  if (threadIdx.x == 0)
    keep[0] = finish(loss, nll, probability, kept, saved[0], row, sum, at_target, !mask || mask[row],
                     scale, kind, parameter, second, v);
  __syncthreads();
  if (backward && keep[0]) write_gradient(z, holds, held, saved[0], target, v, stride);
}
EXPORT(classifier_rows)

// One thread per row, three plain passes.
KERNEL(32, classifier_rows_naive)
(float* loss, float* nll, float* probability, float* kept, float* logits, const u32* targets,
 const u8* mask, float scale, int backward, int kind, float parameter, float second, int v, int stride) {
  if (threadIdx.x > 0) return;
  u32 row = blockIdx.x, target = targets[row];
  float* z = logits + u64(row) * stride;
  float at_target = logit_of(z, target, v);
  Share sum = {LOWEST_F, 0.0f, 0.0f};
  for (int k = 0; k < v; k++) sum.top = fmaxf(sum.top, z[k]);
  for (int k = 0; k < v; k++) {
    sum.rest += u32(k) == target ? 0.0f : expf(z[k] - sum.top);
    sum.centred += z[k] - at_target;
  }
  Saved saved;
  bool keep = finish(loss, nll, probability, kept, saved, row, sum, at_target, !mask || mask[row], scale,
                     kind, parameter, second, v);
  if (!backward || !keep) return;
  act* out = reinterpret_cast<act*>(z);
  for (int k = 0; k < stride; k++)
    out[k] = k < v ? gradient(saved, z[k], k, target) : to_act(0.0f);
}
EXPORT(classifier_rows_naive)

// Among the block's threads: how many before this one have the flag, and how many have it at all.
DEVICE u32 rank(bool flag, u32& all, u32* totals) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  u32 votes = __ballot_sync(FULL, flag);
  __syncthreads();
  if (lane == 0) totals[warp] = __popc(votes);
  __syncthreads();
  u32 before = __popc(votes & ((1u << lane) - 1));
  all = 0;
  for (int other = 0; other < warps; other++) {
    if (other < warp) before += totals[other];
    all += totals[other];
  }
  return before;
}

// state = {kept rows, moves}. With K rows kept, those among the first K stay; the i-th of the others
// moves to the i-th place that a dropped row has among the first K: moves[2i] to moves[2i + 1].
// order[i] is the row, counted from `start`, the chunk's first, whose dz then stands at place i.
KERNEL(1024, classifier_place)
(u32* order, u32* moves, u32* state, const float* kept, int start, int n) {
  SHARED(u32, totals, [32]);
  u32 count = 0, from = 0, to = 0, all;
  for (int base = 0; base < n; base += blockDim.x) {
    int row = base + threadIdx.x;
    rank(row < n && kept[row] != 0.0f, all, totals);
    count += all;
  }
  for (int base = 0; base < n; base += blockDim.x) {
    int row = base + threadIdx.x;
    bool keep = row < n && kept[row] != 0.0f, front = u32(row) < count;
    if (keep && front) order[row] = start + row;
    bool moves_away = keep && !front, gap = !keep && front;
    u32 mine = from + rank(moves_away, all, totals);
    from += all;
    if (moves_away) moves[2 * mine] = row;
    mine = to + rank(gap, all, totals);
    to += all;
    if (gap) moves[2 * mine + 1] = row;
  }
  __syncthreads();
  for (u32 i = threadIdx.x; i < to; i += blockDim.x) order[moves[2 * i + 1]] = start + moves[2 * i];
  if (threadIdx.x == 0) {
    state[0] = count;
    state[1] = to;
  }
}
EXPORT(classifier_place)

KERNEL(32, classifier_place_naive)
(u32* order, u32* moves, u32* state, const float* kept, int start, int n) {
  if (threadIdx.x > 0) return;
  int count = 0, from, to = 0;
  for (int row = 0; row < n; row++) count += kept[row] != 0.0f;
  from = count;
  u32 moved = 0;
  for (; to < count; to++) {
    order[to] = start + to;
    if (kept[to] != 0.0f) continue;
    while (kept[from] == 0.0f) from++;
    moves[2 * moved] = from;
    moves[2 * moved + 1] = to;
    moved++;
    order[to] = start + from++;
  }
  state[0] = count;
  state[1] = moved;
}
EXPORT(classifier_place_naive)

// A block copies a row of dz. No row both comes and goes.
KERNEL(256, classifier_move)(float* logits, const u32* moves, const u32* state, int stride) {
  u32 move = blockIdx.x;
  if (move >= state[1]) return;
  const Piece* from = reinterpret_cast<const Piece*>(logits + u64(moves[2 * move]) * stride);
  Piece* to = reinterpret_cast<Piece*>(logits + u64(moves[2 * move + 1]) * stride);
#pragma unroll 4
  for (int k = threadIdx.x; k < stride / WIDTH; k += blockDim.x) to[k] = from[k];
}
EXPORT(classifier_move)

// One thread per number.
KERNEL(256, classifier_move_naive)(float* logits, const u32* moves, const u32* state, int stride) {
  u32 move = blockIdx.x;
  int k = blockIdx.y * 256 + threadIdx.x;
  if (move >= state[1] || k >= stride) return;
  const act* from = reinterpret_cast<const act*>(logits + u64(moves[2 * move]) * stride);
  reinterpret_cast<act*>(logits + u64(moves[2 * move + 1]) * stride)[k] = from[k];
}
EXPORT(classifier_move_naive)
