// Causal attention on Hopper's tensor cores (sm_90a), bf16 with f32 sums, for heads of 64 channels.
// Formulas and passes are those of attention.cu; departures from f32 are those of attention_mma.cu.
//
// Above the mma rung stand three steps. Tiles of 64 rows of a head come as boxes of [b, t, channels],
// zeros from row `t` on, asked for by one thread and announced by barriers. A warpgroup owns 64 rows and
// multiplies straight from shared memory; its weights go from sums to left operands within the
// registers. And a multiprocessor holds three or four warpgroups that know nothing of each other, so
// that the exponentials of one fall into the products of another: per pair of tiles, forward, both
// last 256 cycles.
//
// Tiles are squares, so that the causal mask cuts only the one on the diagonal, which has code of its
// own; what the mask hides is neither copied nor multiplied.
//
// Why e^(x − lse) is 2^(x·log2 e − lse·log2 e) in one operation: for sums up to LARGE the second
// product's rounding changes the weights by less than 2^-8 of a unit of bf16. Beyond it (the
// exponentials' only sums that could leave their range) the difference is taken first.
#include "heads.cuh"
#include "hopper.cuh"

#ifdef FORTIFAI_BF16

#ifdef FORTIFAI_HOST
#define RESIDENT_KERNEL(THREADS, BLOCKS, NAME) KERNEL(THREADS, NAME)
#else
#define RESIDENT_KERNEL(THREADS, BLOCKS, NAME) \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) NAME
#endif

constexpr int HS = 64, SIDE = 64, TILE = SIDE * HS, TILE_BYTES = TILE * 2;
constexpr float LOG2_E = 1.4426950408889634f, LARGE = 1024.0f;

// Steps of 16 terms of a tile: of its channels, or of its rows.
DEVICE u64 along_channels(const bf16* tile, int k) {
  return operand_descriptor(shared_address(tile) + 32 * k, 16, 8 * 128);
}
DEVICE u64 along_rows(const bf16* tile, int k) {
  return operand_descriptor(shared_address(tile) + 16 * 128 * k, TILE_BYTES, 8 * 128);
}

// sums [64, 64] = a · tileᵀ: the sum runs over channels.
DEVICE void scores(float (&sums)[32], const bf16* a, const bf16* tile) {
  wgmma_bf16_64<false, false>(sums, along_channels(a, 0), along_channels(tile, 0));
#pragma unroll
  for (int k = 1; k < HS / 16; k++)
    wgmma_bf16_64<true, false>(sums, along_channels(a, k), along_channels(tile, k));
}
DEVICE void scores(float (&sums)[32], const u32 (&a)[HS / 16][4], const bf16* tile) {
  wgmma_bf16_64<false, false>(sums, a[0], along_channels(tile, 0));
#pragma unroll
  for (int k = 1; k < HS / 16; k++) wgmma_bf16_64<true, false>(sums, a[k], along_channels(tile, k));
}
// sums [64, 64] += w · tile: the sum runs over rows of the tile.
DEVICE void weigh(float (&sums)[32], const u32 (&w)[SIDE / 16][4], const bf16* tile) {
#pragma unroll
  for (int k = 0; k < SIDE / 16; k++) wgmma_bf16_64<true, true>(sums, w[k], along_rows(tile, k));
}

// A product's results, rounded, as the next one's left operand.
DEVICE void as_left(u32 (&a)[4][4], const float (&w)[32]) {
#pragma unroll
  for (int i = 0; i < 16; i++) a[i / 4][i % 4] = pair_bf16(w[2 * i], w[2 * i + 1]);
}
// Rows 16w to 16w + 15 of a tile, for warp w of the warpgroup.
DEVICE void load_left(u32 (&a)[HS / 16][4], const bf16* tile) {
  int lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16 + lane % 16;
#pragma unroll
  for (int k = 0; k < HS / 16; k++) ldmatrix_x4(a[k], tile + swizzled(row, 16 * k + lane / 16 * 8));
}

DEVICE float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(FULL, x, 1));
  return fmaxf(x, __shfl_xor_sync(FULL, x, 2));
}
DEVICE float quad_sum(float x) {
  x += __shfl_xor_sync(FULL, x, 1);
  return x + __shfl_xor_sync(FULL, x, 2);
}
// x·scale, rounded on its own: see attention_mma.cu.
DEVICE float scaled(float x, float scale) {
#ifdef FORTIFAI_HOST
  return x * scale;
#else
  return __fmul_rn(x, scale);
#endif
}

template <bool X>
struct Flag {
  static constexpr bool value = X;
};
struct Pair {
  float x, y;
};
struct alignas(16) Chunk {
  u32 x[4];
};

constexpr int FORWARD_STAGES = 4;
struct ForwardRoom {
  bf16 queries[2][TILE];
  struct Stage {
    bf16 keys[TILE], values[TILE];
  };
  Stage ring[FORWARD_STAGES];
  u64 full[FORWARD_STAGES], empty[FORWARD_STAGES], come;
};

// What a thread knows of its two rows: the largest unscaled product so far, and the sum of the weights
// of this thread's columns. For each tile: most' = max(most, s), and what was summed so far shrinks by
// e^(most − most').
struct Softmax {
  float most[2], total[2];
  bool large;

  // Scores become weights. `sums` are those of the output.
  template <bool DIAGONAL>
  DEVICE void weights(float (&s)[32], float (&sums)[32], float exponent) {
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16 + lane / 4, column = lane % 4 * 2;
    if (DIAGONAL) {
#pragma unroll
      for (int i = 0; i < 32; i++)
        if (i / 4 * 8 + column + i % 2 > row + i % 4 / 2 * 8) s[i] = -INFINITY_F;
    }
    float top[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float x = most[half];
#pragma unroll
      for (int j = 0; j < 8; j++) x = fmaxf(x, fmaxf(s[4 * j + 2 * half], s[4 * j + 2 * half + 1]));
      top[half] = quad_max(x);
    }
    if (__any_sync(FULL, top[0] > most[0] || top[1] > most[1])) {  // rarely after the first tiles
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float shrink = exp2_approximate((most[half] - top[half]) * exponent);
        most[half] = top[half];
        total[half] *= shrink;
#pragma unroll
        for (int j = 0; j < 8; j++) {
          sums[4 * j + 2 * half] *= shrink;
          sums[4 * j + 2 * half + 1] *= shrink;
        }
      }
      large = __any_sync(FULL, fmaxf(fabsf(top[0]), fabsf(top[1])) * exponent > LARGE);
    }
    if (large) {
#pragma unroll
      for (int i = 0; i < 32; i++) s[i] = exp2_approximate((s[i] - most[i % 4 / 2]) * exponent);
    } else {
      float base[2] = {-most[0] * exponent, -most[1] * exponent};
#pragma unroll
      for (int i = 0; i < 32; i++) s[i] = exp2_approximate(fmaf(s[i], exponent, base[i % 4 / 2]));
    }
#pragma unroll
    for (int i = 0; i < 32; i++) total[i % 4 / 2] += s[i];
  }
};

// Two warpgroups own 64 queries each and share the tiles of keys and values. The products of a tile's
// values and of the next tile's keys are asked for together.
RESIDENT_KERNEL(256, 2, attention_forward_wgmma_64)
(bf16* out, float* lse, int t, int nh, const __grid_constant__ TensorMap qkv) {
  DYNAMIC_SHARED(ForwardRoom, memory);
  ForwardRoom& room = *memory;
  int tiles = (t + 2 * SIDE - 1) / (2 * SIDE), heads = int(gridDim.x) / tiles;
  int head = int(blockIdx.x) % heads, sequence = head / nh, column = head % nh * HS;
  int first = (tiles - 1 - int(blockIdx.x) / heads) * (2 * SIDE);  // the longest rows first
  int group = threadIdx.x / 128, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
  int own = first + group * SIDE;
  bool both = first + SIDE < t;
  // Tiles of this warpgroup; the last warpgroup has the most and asks for copies.
  int count = own / SIDE + 1, most = first / SIDE + 1 + both;
  bool asks = group == both && warp == 0;
  auto copy = [&](int tile) {
    u64* full = &room.full[tile % FORWARD_STAGES];
    ForwardRoom::Stage& stage = room.ring[tile % FORWARD_STAGES];
    mbarrier_arrive_expect(full, sizeof stage);
    copy_box_of_layer(stage.keys, &qkv, nh * HS + column, tile * SIDE, sequence, full);
    copy_box_of_layer(stage.values, &qkv, 2 * nh * HS + column, tile * SIDE, sequence, full);
  };
  if (asks && lane == 0) {
    prefetch_map(&qkv);
    for (int stage = 0; stage < FORWARD_STAGES; stage++) {
      mbarrier_init(&room.full[stage], 1);
      mbarrier_init(&room.empty[stage], both ? 8 : 4);
    }
    mbarrier_init(&room.come, 1);
    async_fence();
    mbarrier_arrive_expect(&room.come, (1 + both) * TILE_BYTES);
    for (int i = 0; i < 1 + both; i++)
      copy_box_of_layer(room.queries[i], &qkv, column, first + i * SIDE, sequence, &room.come);
    for (int tile = 0; tile < min(most, FORWARD_STAGES); tile++) copy(tile);
  }
  __syncthreads();
  if (group > both) return;

  float exponent = scale_of(HS) * LOG2_E, s[32], sums[32];
  Softmax rows{{-INFINITY_F, -INFINITY_F}, {0.0f, 0.0f}, false};
  u32 q[HS / 16][4], p[SIDE / 16][4];
  mbarrier_wait(&room.come, 0);
  load_left(q, room.queries[group]);
  wgmma_zero(sums);
  mbarrier_wait(&room.full[0], 0);
  wgmma_fence();
  scores(s, q, room.ring[0].keys);
  wgmma_commit();
  wgmma_wait<0>(s);
#pragma unroll 1
  for (int tile = 0; tile + 1 < count; tile++) {
    int stage = tile % FORWARD_STAGES, next = (tile + 1) % FORWARD_STAGES;
    rows.weights<false>(s, sums, exponent);
    as_left(p, s);
    mbarrier_wait(&room.full[next], (tile + 1) / FORWARD_STAGES % 2);
    wgmma_fence();
    weigh(sums, p, room.ring[stage].values);
    wgmma_commit();
    scores(s, q, room.ring[next].keys);
    wgmma_commit();
    // The stage before this one, which the other warpgroup has surely left.
    int again = tile - 1 + FORWARD_STAGES;
    if (asks && tile > 0 && again < most) {
      mbarrier_wait(&room.empty[again % FORWARD_STAGES], (again / FORWARD_STAGES - 1) % 2);
      if (lane == 0) copy(again);
    }
    wgmma_wait<0>(sums);
    pin(s);
    if (lane == 0) mbarrier_arrive(&room.empty[stage]);
  }
  rows.weights<true>(s, sums, exponent);
  as_left(p, s);
  wgmma_fence();
  weigh(sums, p, room.ring[(count - 1) % FORWARD_STAGES].values);
  wgmma_commit();
  wgmma_wait<0>(sums);

  // Through this warp's own queries' place, so that whole chunks are written.
  bf16* place = room.queries[group];
  __syncwarp();
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float sum = quad_sum(rows.total[half]), share = 1.0f / sum;
    int local = warp * 16 + 8 * half + lane / 4;
#pragma unroll
    for (int j = 0; j < 8; j++)
      *reinterpret_cast<u32*>(place + swizzled(local, 8 * j + lane % 4 * 2)) =
          pair_bf16(sums[4 * j + 2 * half] * share, sums[4 * j + 2 * half + 1] * share);
    if (lane % 4 == 0 && own + local < t)
      lse[u64(head) * t + own + local] = rows.most[half] * scale_of(HS) + logf(sum);
  }
  __syncwarp();
  bf16* y = head_of(out, head, t, nh, HS);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int local = warp * 16 + 4 * i + lane / 8, chunk = lane % 8 * 8;
    if (own + local < t)
      *reinterpret_cast<Chunk*>(y + u64(own + local) * nh * HS + chunk) =
          *reinterpret_cast<const Chunk*>(place + swizzled(local, chunk));
  }
}
EXPORT(attention_forward_wgmma_64)

constexpr int BACKWARD_STAGES = 3;
struct BackwardRoom {
  bf16 owned1[TILE], owned2[TILE];
  struct Stage {
    bf16 b1[TILE], b2[TILE];
  };
  Stage ring[BACKWARD_STAGES];
  // Of the streamed queries: −lse·log2 e and the row's sum; lse; whether some of 32 are large.
  struct Statistics {
    Pair pairs[SIDE];
    float lse[SIDE];
    int large[2];
  };
  Statistics statistics[2];
  u64 full[BACKWARD_STAGES], come;
};

// Adds sums · factor to rows own … own + 63 of one part of dqkv, rounding once. Through the warp's 4 KiB
// of `waits`, so that whole chunks are read and written: rows of 64 numbers, whose pieces of 4 turn.
DEVICE void add_rows(bf16* to, int stride, const float (&sums)[32], float* waits, int own, int t, float factor) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  auto at = [&](int row, int c) { return waits + row * HS + (c / 4 ^ row % 8 * 2) * 4 + c % 4; };
  __syncwarp();
#pragma unroll
  for (int i = 0; i < 32; i += 2)
    *reinterpret_cast<Pair*>(at(lane / 4 + i % 4 / 2 * 8, i / 4 * 8 + lane % 4 * 2)) = {sums[i] * factor,
                                                                                       sums[i + 1] * factor};
  __syncwarp();
#pragma unroll
  for (int i = 0; i < 4; i++) {
    int local = 4 * i + lane / 8, row = own + warp * 16 + local;
    if (row >= t) continue;
    Chunk* chunk = reinterpret_cast<Chunk*>(to + u64(row) * stride) + lane % 8;
    Chunk old = *chunk;
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const float* pair = at(local, lane % 8 * 8 + 2 * e);
      float low = __uint_as_float(old.x[e] << 16), high = __uint_as_float(old.x[e] & 0xffff0000u);
      old.x[e] = pair_bf16(low + pair[0], high + pair[1]);
    }
    *chunk = old;
  }
}

// One pass backward by one warpgroup. Owned rows are queries and the sums dQ, or (OF_KEYS) owned rows
// are keys and the sums dK and dV. Both see scores as owned × streamed rows: s = a1 · b1, dP = a2 · b2,
// and dQ = dS · b1, dK = dSᵀ · b1, dV = Pᵀ · b2.
template <bool OF_KEYS>
DEVICE void backward(bf16* dqkv, const float* row_sums, const float* lse, int t, int nh, const TensorMap* qkv,
                     const TensorMap* dout) {
  DYNAMIC_SHARED(BackwardRoom, memory);
  BackwardRoom& room = *memory;
  int tiles = (t + SIDE - 1) / SIDE, heads = int(gridDim.x) / tiles;
  int head = int(blockIdx.x) % heads, sequence = head / nh, column = head % nh * HS, part = nh * HS;
  int rank = int(blockIdx.x) / heads, tile = OF_KEYS ? rank : tiles - 1 - rank;  // the longest first
  int own = tile * SIDE, count = OF_KEYS ? tiles - tile : tile + 1;
  // The diagonal comes first or last.
  int begin = OF_KEYS ? tile : 0;
  int thread = int(threadIdx.x), warp = thread / 32, lane = thread % 32;
  lse += u64(head) * t;
  row_sums += u64(head) * t;
  float scale = scale_of(HS), exponent = scale * LOG2_E;

  auto copy = [&](int step) {
    BackwardRoom::Stage& stage = room.ring[step % BACKWARD_STAGES];
    u64* full = &room.full[step % BACKWARD_STAGES];
    int row = (begin + step) * SIDE;
    mbarrier_arrive_expect(full, sizeof stage);
    copy_box_of_layer(stage.b1, qkv, (OF_KEYS ? 0 : part) + column, row, sequence, full);
    copy_box_of_layer(stage.b2, OF_KEYS ? dout : qkv, (OF_KEYS ? 0 : 2 * part) + column, row, sequence, full);
  };
  if (thread == 0) {
    prefetch_map(qkv);
    prefetch_map(dout);
    for (int stage = 0; stage < BACKWARD_STAGES; stage++) mbarrier_init(&room.full[stage], 1);
    mbarrier_init(&room.come, 1);
    async_fence();
    mbarrier_arrive_expect(&room.come, 2 * TILE_BYTES);
    copy_box_of_layer(room.owned1, qkv, (OF_KEYS ? part : 0) + column, own, sequence, &room.come);
    copy_box_of_layer(room.owned2, OF_KEYS ? qkv : dout, (OF_KEYS ? 2 * part : 0) + column, own, sequence,
                      &room.come);
    for (int step = 0; step < min(count, BACKWARD_STAGES); step++) copy(step);
  }
  // Beyond the last row lse is infinite, so that P is zero.
  auto lse_of = [&](int row) { return row < t ? lse[row] : INFINITY_F; };
  auto sum_of = [&](int row) { return row < t ? row_sums[row] : 0.0f; };
  auto is_large = [](float x) { return fabsf(x) * LOG2_E > LARGE && x < INFINITY_F; };
  float row_lse[2], row_sum[2], row_base[2];
  bool rows_large = false;
  if (OF_KEYS) {
    row_lse[0] = thread < SIDE ? lse_of(own + thread) : 0.0f;
    row_sum[0] = thread < SIDE ? sum_of(own + thread) : 0.0f;
  } else {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      int row = own + warp * 16 + lane / 4 + 8 * half;
      row_lse[half] = lse_of(row);
      row_sum[half] = sum_of(row);
      row_base[half] = -row_lse[half] * LOG2_E;
    }
    rows_large = __any_sync(FULL, is_large(row_lse[0]) || is_large(row_lse[1]));
  }
  __syncthreads();

  float p[32], ds[32], sums[32], value_sums[32];
  u32 left_p[4][4], left_ds[4][4];
  wgmma_zero(sums);
  if (OF_KEYS) wgmma_zero(value_sums);
  mbarrier_wait(&room.come, 0);

  auto work = [&](int step, auto diagonal) {
    constexpr bool DIAGONAL = decltype(diagonal)::value;
    const BackwardRoom::Stage& stage = room.ring[step % BACKWARD_STAGES];
    BackwardRoom::Statistics& statistics = room.statistics[step % 2];
    mbarrier_wait(&room.full[step % BACKWARD_STAGES], step / BACKWARD_STAGES % 2);
    wgmma_fence();
    scores(p, room.owned1, stage.b1);
    wgmma_commit();
    scores(ds, room.owned2, stage.b2);
    wgmma_commit();
    // What was asked for in the last step is done, by all warps: its stage can be filled again.
    wgmma_wait<2>();
    if (OF_KEYS && thread < SIDE) {
      statistics.pairs[thread] = {-row_lse[0] * LOG2_E, row_sum[0]};
      statistics.lse[thread] = row_lse[0];
      bool large = __any_sync(FULL, is_large(row_lse[0]));
      if (lane == 0) statistics.large[warp] = large;
    }
    __syncthreads();
    int again = step - 1 + BACKWARD_STAGES;
    if (thread == 0 && step > 0 && again < count) copy(again);
    if (OF_KEYS && thread < SIDE && step + 1 < count) {
      row_lse[0] = lse_of((begin + step + 1) * SIDE + thread);
      row_sum[0] = sum_of((begin + step + 1) * SIDE + thread);
    }
    wgmma_wait<1>();
    pin(p);
    bool large = OF_KEYS ? statistics.large[0] || statistics.large[1] : rows_large;
    if (large) {
#pragma unroll
      for (int i = 0; i < 32; i++) {
        float log_sum = OF_KEYS ? statistics.lse[i / 4 * 8 + lane % 4 * 2 + i % 2] : row_lse[i % 4 / 2];
        p[i] = exp2_approximate((scaled(p[i], scale) - log_sum) * LOG2_E);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 32; i++) {
        float base = OF_KEYS ? statistics.pairs[i / 4 * 8 + lane % 4 * 2 + i % 2].x : row_base[i % 4 / 2];
        p[i] = exp2_approximate(fmaf(p[i], exponent, base));
      }
    }
    auto seen = [&](int i) {
      int left = warp * 16 + lane / 4 + i % 4 / 2 * 8, right = i / 4 * 8 + lane % 4 * 2 + i % 2;
      return !DIAGONAL || (OF_KEYS ? left <= right : right <= left);
    };
    if (DIAGONAL) {
#pragma unroll
      for (int i = 0; i < 32; i++)
        if (!seen(i)) p[i] = 0.0f;
    }
    wgmma_wait<0>();
    pin(ds);
#pragma unroll
    for (int i = 0; i < 32; i++) {
      float sum = OF_KEYS ? statistics.pairs[i / 4 * 8 + lane % 4 * 2 + i % 2].y : row_sum[i % 4 / 2];
      // What the mask hides may have overflowed: no product of it, not even with zero.
      ds[i] = seen(i) ? p[i] * (ds[i] - sum) : 0.0f;
    }
    if (OF_KEYS) as_left(left_p, p);
    as_left(left_ds, ds);
    wgmma_fence();
    if (OF_KEYS) weigh(value_sums, left_p, stage.b2);
    weigh(sums, left_ds, stage.b1);
    wgmma_commit();
    if (OF_KEYS) wgmma_wait<0>();
  };
  if (OF_KEYS) work(0, Flag<true>());
#pragma unroll 1
  for (int step = OF_KEYS; step < count - !OF_KEYS; step++) work(step, Flag<false>());
  if (!OF_KEYS) work(count - 1, Flag<true>());
  wgmma_wait<0>(sums);
  if (OF_KEYS) pin(value_sums);

  __syncthreads();  // the owned tiles make room
  float* waits = reinterpret_cast<float*>(room.owned1) + warp * 16 * HS;
  int stride = 3 * nh * HS;
  add_rows(part_of(dqkv, OF_KEYS ? 1 : 0, head, t, nh, HS), stride, sums, waits, own, t, scale);
  if (OF_KEYS) add_rows(part_of(dqkv, 2, head, t, nh, HS), stride, value_sums, waits, own, t, 1.0f);
}

#define BACKWARD_PARAMETERS                                                             \
  bf16 *dqkv, const float *row_sums, const float *lse, int t, int nh,                   \
      const __grid_constant__ TensorMap qkv, const __grid_constant__ TensorMap dout

RESIDENT_KERNEL(128, 3, attention_backward_wgmma_queries_64)(BACKWARD_PARAMETERS) {
  backward<false>(dqkv, row_sums, lse, t, nh, &qkv, &dout);
}
EXPORT(attention_backward_wgmma_queries_64)
RESIDENT_KERNEL(128, 3, attention_backward_wgmma_keys_64)(BACKWARD_PARAMETERS) {
  backward<true>(dqkv, row_sums, lse, t, nh, &qkv, &dout);
}
EXPORT(attention_backward_wgmma_keys_64)

#endif
