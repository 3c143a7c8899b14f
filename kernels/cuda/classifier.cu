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
//     logits = x Wᵀ                               a product, f32
//     classifier_statistics                       one block per row, one pass over the logits
//     classifier_place                            one block: kept rows get places in order
//     classifier_gradient                         one block per row, a second pass; dz in storage
// and when enough rows wait (decided on the device, so the host never waits)
//     dW += dzᵀ x and dx = dz W over the waiting rows alone.
// Rows of logits and of dz begin `stride` numbers apart, a multiple of 8 and at least V, on 16-byte
// boundaries whatever V is.
//
// Bytes per logit and row, storage of s bytes: 4 written and 4 read in any case; 4 read, s written
// and 2s read for rows that are kept. A rung that never writes logits (a product whose epilogue
// keeps the online statistics, recomputed backward) would save these, 18 bytes in bf16, for two
// more products of 2c operations, because dW is summed over rows and dx over the vocabulary, and
// neither sweep can hand its tile to the other without atomics on floats. On a machine with 3 TB/s
// and 600 TFLOP/s in bf16 at c = 768 the bytes cost 6 ps and the two products 5 ps: nothing is won,
// exactness of skipped tiles is lost, and the chunk already bounds the memory. So it is not here.
#include "common.cuh"

#define DROPPED 0xffffffffu
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
    case TCE:
      return exact > 0.0 && p <= parameter ? whole : dropped;
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
      return p >= parameter ? whole : dropped;
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

// What one row leaves, from its sums.
DEVICE void finish(float* loss, float* nll, float* probability, float* kept, Saved* saved, u32 row,
                   Share sum, float at_target, bool in_mask, float scale, int kind, float parameter,
                   float second, int v) {
  float own = expf(at_target - sum.top), total = sum.rest + own;
  float p = own / total, q = sum.rest / total, log_total = logf(total);
  float minus_ln_p = p > 0.5f ? -log1pf(-q) : log_total - (at_target - sum.top);
  // −(1/V) Σ_k ln p_k, measured from the target's logit so that a common offset costs no digits.
  float uniform = (log_total - (at_target - sum.top)) - sum.centred / float(v);
  RowLoss row_is = row_loss(kind, parameter, second, p, q, minus_ln_p, uniform, in_mask);
  loss[row] = row_is.f;
  nll[row] = minus_ln_p;
  probability[row] = p;
  kept[row] = row_is.a != 0.0f || row_is.b != 0.0f ? 1.0f : 0.0f;
  if (!saved) return;
  float a = row_is.a * scale, b = row_is.b * scale;
  saved[row] = {sum.top, (a + b) / total, b / float(v), b * (p - 1.0f / float(v)) - a * q};
}

// The largest logit and the sum are kept online, so that the row is read once; each thread's sum is
// brought to the row's largest once, at the end. Sums: V / threads terms per thread, then a tree.
KERNEL(512, classifier_statistics)
(float* loss, float* nll, float* probability, float* kept, float* saved, const float* logits,
 const u32* targets, const u8* mask, float scale, int kind, float parameter, float second, int v,
 int stride) {
  SHARED(float, scratch, [32]);
  u32 row = blockIdx.x, target = targets[row];
  const float* z = logits + u64(row) * stride;
  float at_target = logit_of(z, target, v);
  int threads = blockDim.x, thread = threadIdx.x, whole = v / 4 * 4;
  Share share = {LOWEST_F, 0.0f, 0.0f};
#pragma unroll 4
  for (int k = 4 * thread; k < whole; k += 4 * threads) {
    Four four = *reinterpret_cast<const Four*>(z + k);
    take<4>(share, four.values, k, target, at_target);
  }
  int last = whole + thread;
  if (last < v) take<1>(share, {z[last]}, last, target, at_target);
  Share sum;
  sum.top = block_max(share.top, scratch);
  sum.rest = block_sum(share.rest * expf(share.top - sum.top), scratch);
  sum.centred = kind == SMOOTHED ? block_sum(share.centred, scratch) : 0.0f;
  if (thread > 0) return;
  finish(loss, nll, probability, kept, reinterpret_cast<Saved*>(saved), row, sum, at_target,
         !mask || mask[row], scale, kind, parameter, second, v);
}
EXPORT(classifier_statistics)

// One thread per row, two plain passes.
KERNEL(32, classifier_statistics_naive)
(float* loss, float* nll, float* probability, float* kept, float* saved, const float* logits,
 const u32* targets, const u8* mask, float scale, int kind, float parameter, float second, int v,
 int stride) {
  if (threadIdx.x > 0) return;
  u32 row = blockIdx.x, target = targets[row];
  const float* z = logits + u64(row) * stride;
  float at_target = logit_of(z, target, v);
  Share sum = {LOWEST_F, 0.0f, 0.0f};
  for (int k = 0; k < v; k++) sum.top = fmaxf(sum.top, z[k]);
  for (int k = 0; k < v; k++) {
    sum.rest += u32(k) == target ? 0.0f : expf(z[k] - sum.top);
    sum.centred += z[k] - at_target;
  }
  finish(loss, nll, probability, kept, reinterpret_cast<Saved*>(saved), row, sum, at_target,
         !mask || mask[row], scale, kind, parameter, second, v);
}
EXPORT(classifier_statistics_naive)

// Places for the kept rows of a chunk behind those that wait: place[row] and waiting[place] are
// inverse, rows stay in ascending order. state = {rows waiting, rows to be multiplied now}; the
// latter is not zero once `most` wait or the chunk is the last. `start` is the chunk's first row.
KERNEL(1024, classifier_place)
(u32* place, u32* waiting, u32* state, const float* kept, int start, int n, int most, int first,
 int last) {
  SHARED(u32, totals, [32]);
  int thread = threadIdx.x, warp = thread / 32, lane = thread % 32, warps = blockDim.x / 32;
  u32 before = first ? 0 : state[0];
  for (int base = 0; base < n; base += blockDim.x) {
    int row = base + thread;
    bool keep = row < n && kept[row] != 0.0f;
    u32 votes = __ballot_sync(FULL, keep);
    __syncthreads();
    if (lane == 0) totals[warp] = __popc(votes);
    __syncthreads();
    u32 offset = before + __popc(votes & ((1u << lane) - 1));
    for (int other = 0; other < warps; other++) {
      if (other < warp) offset += totals[other];
      before += totals[other];
    }
    if (keep) waiting[offset] = start + row;
    if (row < n) place[row] = keep ? offset : DROPPED;
  }
  if (thread > 0) return;
  bool now = before >= u32(most) || last;
  state[0] = now ? 0 : before;
  state[1] = now ? before : 0;
}
EXPORT(classifier_place)

KERNEL(32, classifier_place_naive)
(u32* place, u32* waiting, u32* state, const float* kept, int start, int n, int most, int first,
 int last) {
  if (threadIdx.x > 0) return;
  u32 count = first ? 0 : state[0];
  for (int row = 0; row < n; row++) {
    place[row] = DROPPED;
    if (kept[row] == 0.0f) continue;
    waiting[count] = start + row;
    place[row] = count++;
  }
  bool now = count >= u32(most) || last;
  state[0] = now ? 0 : count;
  state[1] = now ? count : 0;
}
EXPORT(classifier_place_naive)

DEVICE act gradient(Saved row, float z, int k, u32 target) {
  return to_act(u32(k) == target ? row.at_target : expf(z - row.top) * row.slope - row.floor);
}

// Numbers of storage in 16 bytes.
#define WIDTH int(16 / sizeof(act))
struct alignas(16) Piece {
  act values[WIDTH];
};

// dz of the kept rows at their places, 16 bytes at a time, and zeros from V up to the stride.
KERNEL(512, classifier_gradient)
(act* dz, const float* saved, const float* logits, const u32* targets, const u32* place, int v,
 int stride) {
  u32 row = blockIdx.x, to = place[row];
  if (to == DROPPED) return;
  u32 target = targets[row];
  Saved of = reinterpret_cast<const Saved*>(saved)[row];
  const float* z = logits + u64(row) * stride;
  act* out = dz + u64(to) * stride;
#pragma unroll 2
  for (int k = WIDTH * threadIdx.x; k < stride; k += WIDTH * blockDim.x) {
    Piece piece;
#pragma unroll
    for (int j = 0; j < WIDTH; j += 4) {
      Four four = *reinterpret_cast<const Four*>(z + k + j);
#pragma unroll
      for (int l = 0; l < 4; l++) {
        act entry = gradient(of, four.values[l], k + j + l, target);
        piece.values[j + l] = k + j + l < v ? entry : to_act(0.0f);
      }
    }
    *reinterpret_cast<Piece*>(out + k) = piece;
  }
}
EXPORT(classifier_gradient)

// One thread per entry.
KERNEL(256, classifier_gradient_naive)
(act* dz, const float* saved, const float* logits, const u32* targets, const u32* place, int v,
 int stride) {
  u32 row = blockIdx.x, to = place[row];
  int k = blockIdx.y * 256 + threadIdx.x;
  if (to == DROPPED || k >= stride) return;
  Saved of = reinterpret_cast<const Saved*>(saved)[row];
  act entry = k < v ? gradient(of, logits[u64(row) * stride + k], k, targets[row]) : to_act(0.0f);
  dz[u64(to) * stride + k] = entry;
}
EXPORT(classifier_gradient_naive)
