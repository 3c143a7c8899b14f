// The next token from a row of logits: the largest, or one drawn after temperature, top-k and top-p.
//
// A row with a NaN or plus infinity, or without a finite logit, gives no token: NONE.
//
// A draw: w_k = exp((z_k − max z)·scale), then
//   top-k   keeps w_k ≥ the k-th largest weight; ties with it stay
//   top-p   in ascending order of (w, index) removes tokens while the mass removed is at most
//           (1 − top_p)·Σ w; the last one always stays
//   draw    the token whose piece of [0, Σ w), in index order, holds uniform·Σ w
//
// Departures from the naive rung, which does this as it stands:
// 1. Masses are integers, w·2^shift rounded down with V·2^shift < 2^63. Their sums are exact, so no
//    order of summation, no schedule and no atomic changes a bit. A weight below 2^−shift of the
//    largest has no mass.
// 2. Nothing is sorted. A weight in [0, 1] has a 30-bit pattern that grows with it, and both filters
//    ask for the largest pattern T such that the count, or the mass, of {patterns ≥ T} reaches a
//    given number. T is found in five passes of six bits each.
// 3. Weights are computed anew in every pass, and no scratch is needed.
#include "common.cuh"

#define NONE 0xffffffffu
#define DIGITS 64
#define DIGIT_BITS 6
#define PATTERN_BITS 30

// Grows with z, then falls with the index, so that the first of the largest wins; NaN is largest of
// all. The sum turns −0 into +0.
DEVICE u64 rank(float z, int k) {
  u32 bits = __float_as_uint(z + 0.0f);
  u32 ordered = (bits >> 31) ? ~bits : bits | 0x80000000u;
  return z == z ? u64(ordered) << 32 | (NONE - u32(k)) : ~0ull;
}

DEVICE u32 token_of(u64 best) {
  u32 ordered = u32(best >> 32);
  bool finite = ordered > 0x007fffffu && ordered < 0xff800000u;
  return finite ? NONE - u32(best) : NONE;
}

DEVICE u64 warp_best(u64 x) {
  for (int lane = 16; lane > 0; lane /= 2) x = max(x, __shfl_xor_sync(FULL, x, lane));
  return x;
}
DEVICE u64 warp_total(u64 x) {
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(FULL, x, lane);
  return x;
}

// The rank of the row's best token, in all threads. `scratch` is shared memory for 32 numbers.
DEVICE u64 best_of(const float* z, int v, u64* scratch) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  u64 best = 0;
#pragma unroll 4
  for (int k = threadIdx.x; k < v; k += blockDim.x) best = max(best, rank(z[k], k));
  best = warp_best(best);
  if (lane == 0) scratch[warp] = best;
  __syncthreads();
  return warp_best(lane < warps ? scratch[lane] : 0);
}

KERNEL(512, sampling_argmax)(u32* out, const float* logits, int v) {
  SHARED(u64, scratch, [32]);
  u64 best = best_of(logits + u64(blockIdx.x) * v, v, scratch);
  if (threadIdx.x == 0) out[blockIdx.x] = token_of(best);
}
EXPORT(sampling_argmax)

KERNEL(32, sampling_argmax_naive)(u32* out, const float* logits, int v) {
  if (threadIdx.x > 0) return;
  const float* z = logits + u64(blockIdx.x) * v;
  int token = 0;
  bool nan = false;
  for (int k = 0; k < v; k++) {
    nan |= z[k] != z[k];
    if (z[k] > z[token]) token = k;
  }
  out[blockIdx.x] = nan || fabsf(z[token]) == INFINITY_F ? NONE : u32(token);
}
EXPORT(sampling_argmax_naive)

struct Row {
  const float* z;
  int v;
  float max, scale, fixed;

  DEVICE u32 pattern(int k) const { return __float_as_uint(expf((z[k] - max) * scale)); }
  DEVICE u64 mass(u32 pattern) const { return u64(__uint_as_float(pattern) * fixed); }
};

// A threshold: what lies strictly above it and what lies on it, as counts or as masses.
struct Cut {
  u32 pattern;
  u64 above, at;
};

// The largest pattern such that the measure of those from it up reaches `need`. Each lane counts in a
// column of its own, so that a warp never adds to a number twice.
template <bool MASS>
DEVICE Cut threshold(const Row& row, u64 need, u64 (*bins)[32]) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  Cut cut = {0, 0, 0};
  for (int shift = PATTERN_BITS - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
    for (int digit = warp; digit < DIGITS; digit += warps) bins[digit][lane] = 0;
    __syncthreads();
#pragma unroll 4
    for (int k = threadIdx.x; k < row.v; k += blockDim.x) {
      u32 pattern = row.pattern(k);
      if (pattern >> shift >> DIGIT_BITS != cut.pattern) continue;
      atomicAdd(&bins[(pattern >> shift) % DIGITS][lane], MASS ? row.mass(pattern) : 1ull);
    }
    __syncthreads();
    for (int digit = warp; digit < DIGITS; digit += warps) {
      u64 total = warp_total(bins[digit][lane]);
      if (lane == 0) bins[digit][0] = total;
    }
    __syncthreads();
    u32 digit = DIGITS - 1;
    while (digit > 0 && cut.above + bins[digit][0] < need) cut.above += bins[digit--][0];
    cut.at = bins[digit][0];
    cut.pattern = cut.pattern << DIGIT_BITS | digit;
    __syncthreads();
  }
  return cut;
}

// Σ mass over patterns from `least` up, in all threads.
DEVICE u64 total_mass(const Row& row, u32 least, u64* scratch) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  u64 total = 0;
#pragma unroll 4
  for (int k = threadIdx.x; k < row.v; k += blockDim.x) {
    u32 pattern = row.pattern(k);
    if (pattern >= least) total += row.mass(pattern);
  }
  total = warp_total(total);
  __syncthreads();
  if (lane == 0) scratch[warp] = total;
  __syncthreads();
  return warp_total(lane < warps ? scratch[lane] : 0);
}

// The tokens that stay: patterns above `least`, and those equal to it but for the first `removed`.
struct Kept {
  u32 least;
  u32 removed;
};

DEVICE Kept kept_of(const Row& row, int top_k, double top_p, u64* scratch, u64 (*bins)[32]) {
  Kept kept = {0, 0};
  if (top_k > 0) kept.least = threshold<false>(row, top_k, bins).pattern;
  if (top_p >= 1.0) return kept;
  u64 total = total_mass(row, kept.least, scratch);
  u64 budget = min(u64((1.0 - top_p) * double(total)), total - 1);
  // Patterns below the cut go. Those on it go as far as the budget lasts, which is not for all.
  Cut cut = threshold<true>(row, total - budget, bins);
  u64 left = budget - (total - cut.above - cut.at);
  return {cut.pattern, u32(left / row.mass(cut.pattern))};
}

// Each warp owns a stretch of the row; the one that holds the position walks through it.
DEVICE void draw(u32* out, const Row& row, Kept kept, double uniform, u64* above, u32* ties) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
  int stretch = ((row.v + warps - 1) / warps + 31) / 32 * 32;
  int begin = min(row.v, warp * stretch), end = min(row.v, begin + stretch);
  u64 each = row.mass(kept.least), mass = 0;
  u32 equal = 0;
#pragma unroll 4
  for (int k = begin + lane; k < end; k += 32) {
    u32 pattern = row.pattern(k);
    if (pattern > kept.least) mass += row.mass(pattern);
    if (pattern == kept.least) equal++;
  }
  mass = warp_total(mass);
  u64 equals = warp_total(equal);
  __syncthreads();
  if (lane == 0) above[warp] = mass, ties[warp] = u32(equals);
  __syncthreads();
  // Of the ties up to here, those that stay.
  auto staying = [&](u32 upto) { return u64(upto > kept.removed ? upto - kept.removed : 0) * each; };
  u64 total = 0;
  u32 before = 0;
  for (int other = 0; other < warps; other++) {
    total += above[other] + staying(before + ties[other]) - staying(before);
    before += ties[other];
  }
  u64 left = min(u64(uniform * double(total)), total - 1);
  int owner = 0;
  before = 0;
  for (; owner < warps; owner++) {
    u64 here = above[owner] + staying(before + ties[owner]) - staying(before);
    if (left < here) break;
    left -= here;
    before += ties[owner];
  }
  if (warp != owner) return;
  for (int base = begin; base < end; base += 32) {
    u32 pattern = base + lane < end ? row.pattern(base + lane) : 0;
    bool tie = base + lane < end && pattern == kept.least;
    u32 votes = __ballot_sync(FULL, tie);
    u32 rank = before + __popc(votes & ((1u << lane) - 1));
    u64 sum = tie ? (rank >= kept.removed ? each : 0)
                  : (pattern > kept.least ? row.mass(pattern) : 0);
    for (int step = 1; step < 32; step *= 2) {
      u64 other = __shfl_up_sync(FULL, sum, step);
      if (lane >= step) sum += other;
    }
    u32 reached = __ballot_sync(FULL, left < sum);
    if (reached) {
      if (lane == 0) *out = u32(base) + u32(__ffs(int(reached))) - 1;
      return;
    }
    left -= __shfl_sync(FULL, sum, 31);
    before += __popc(votes);
  }
}

KERNEL(512, sampling_draw)
(u32* out, const float* logits, const double* uniforms, float scale, float fixed, int top_k,
 double top_p, int v) {
  SHARED(u64, bins, [DIGITS][32]);
  SHARED(u64, scratch, [32]);
  SHARED(u32, ties, [32]);
  const float* z = logits + u64(blockIdx.x) * v;
  u32 token = token_of(best_of(z, v, scratch));
  if (token == NONE) {
    if (threadIdx.x == 0) out[blockIdx.x] = NONE;
    return;
  }
  Row row = {z, v, z[token], scale, fixed};
  Kept kept = kept_of(row, top_k, top_p, scratch, bins);
  draw(out + blockIdx.x, row, kept, uniforms[blockIdx.x], scratch, ties);
}
EXPORT(sampling_draw)

// One thread per row, by the definition: a number of steps quadratic in V.
KERNEL(32, sampling_draw_naive)
(u32* out, const float* logits, const double* uniforms, float scale, float fixed, int top_k,
 double top_p, int v) {
  if (threadIdx.x > 0) return;
  const float* z = logits + u64(blockIdx.x) * v;
  u64 best = 0;
  for (int k = 0; k < v; k++) best = max(best, rank(z[k], k));
  u32 token = token_of(best);
  out[blockIdx.x] = token;
  if (token == NONE) return;
  float most = z[token];
  auto weight = [&](int k) { return expf((z[k] - most) * scale); };
  float least = top_k > 0 ? 1.0f : 0.0f;
  for (int k = 0; top_k > 0 && k < v; k++) {
    int larger = 0;
    for (int j = 0; j < v; j++) larger += weight(j) > weight(k);
    if (larger < top_k) least = fminf(least, weight(k));
  }
  double total = 0.0, sum = 0.0;
  int last = 0;
  for (int k = 0; k < v; k++) {
    if (weight(k) >= least) total += double(weight(k));
    if (weight(k) >= weight(last)) last = k;
  }
  double budget = (1.0 - top_p) * total;
  auto stays = [&](int k) {
    if (weight(k) < least) return false;
    if (top_p >= 1.0 || k == last) return true;
    double removed = 0.0;
    for (int j = 0; j < v; j++) {
      float other = weight(j);
      bool sooner = other < weight(k) || (other == weight(k) && j <= k);
      if (other >= least && sooner) removed += double(other);
    }
    return removed > budget;
  };
  for (int k = 0; k < v; k++) sum += stays(k) ? double(weight(k)) : 0.0;
  double left = uniforms[blockIdx.x] * sum;
  for (int k = 0; k < v; k++) {
    if (weight(k) == 0.0f || !stays(k)) continue;
    out[blockIdx.x] = k;
    if (left < double(weight(k))) return;
    left -= double(weight(k));
  }
}
EXPORT(sampling_draw_naive)
