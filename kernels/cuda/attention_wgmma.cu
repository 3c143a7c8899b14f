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
// e^(x − lse) is 2^(x·log2 e − lse·log2 e), one fused operation and the exponential: as long as the
// second product is at most LARGE, its rounding changes a weight by less than 2^-6 units of bf16. Of larger
// ones the difference is taken first, so that it is exactly zero where it should be.
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

// Where a tile begins, as the low word of its descriptors: they differ in it alone. The unused leading
// offset may be a tile's length either way.
DEVICE u32 begin_of(const bf16* tile) {
  return u32(operand_descriptor(shared_address(tile), TILE_BYTES, 8 * 128));
}
// Steps of 16 terms of a tile: of its channels, 32 bytes, or of its rows, 2048 bytes.
DEVICE u64 descriptor(u32 begin) { return operand_descriptor(0, 0, 8 * 128) | begin; }
DEVICE u64 along_channels(u32 begin, int k) { return descriptor(begin + 2 * k); }
DEVICE u64 along_rows(u32 begin, int k) { return descriptor(begin + 128 * k); }

// sums [64, 64] = a · tileᵀ: the sum runs over channels.
DEVICE void scores(float (&sums)[32], u32 a, u32 tile) {
  wgmma_bf16_64<false, false>(sums, along_channels(a, 0), along_channels(tile, 0));
#pragma unroll
  for (int k = 1; k < HS / 16; k++)
    wgmma_bf16_64<true, false>(sums, along_channels(a, k), along_channels(tile, k));
}
DEVICE void scores(float (&sums)[32], const u32 (&a)[HS / 16][4], u32 tile) {
  wgmma_bf16_64<false, false>(sums, a[0], along_channels(tile, 0));
#pragma unroll
  for (int k = 1; k < HS / 16; k++) wgmma_bf16_64<true, false>(sums, a[k], along_channels(tile, k));
}
// sums [64, 64] += w · tile: the sum runs over rows of the tile.
DEVICE void weigh(float (&sums)[32], const u32 (&w)[SIDE / 16][4], u32 tile) {
#pragma unroll
  for (int k = 0; k < SIDE / 16; k++) wgmma_bf16_64<true, true>(sums, w[k], along_rows(tile, k));
}

// A place in a ring, and the parity of the round.
template <int STAGES>
struct Turn {
  int stage = 0;
  u32 parity = 0;
  DEVICE void next() {
    if (++stage == STAGES) stage = 0, parity ^= 1;
  }
};

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
struct alignas(8) Pair {
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
  int group = __any_sync(FULL, threadIdx.x >= 128);  // the compiler sees that a warp agrees on it
  int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
  int own = first + group * SIDE;
  bool both = first + SIDE < t;
  // Tiles before the diagonal: of both warpgroups, and one more of the second. The last has the most,
  // and asks for copies.
  int before = first / SIDE, most = before + 1 + both;
  bool asks = group == both && warp == 0;
  auto copy = [&](int tile, int at) {
    u64* full = &room.full[at];
    ForwardRoom::Stage& stage = room.ring[at];
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
    for (int tile = 0; tile < min(most, FORWARD_STAGES); tile++) copy(tile, tile);
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
  u32 keys = begin_of(room.ring[0].keys), values = begin_of(room.ring[0].values);
  constexpr u32 UNITS = sizeof(ForwardRoom::Stage) / 16;
  wgmma_fence();
  scores(s, q, keys);
  wgmma_commit();
  wgmma_wait<0>(s);
  Turn<FORWARD_STAGES> now, next, left;  // of this tile, the next, and the last
  next.next();
  auto work = [&](int tile) {
    rows.weights<false>(s, sums, exponent);
    as_left(p, s);
    mbarrier_wait(&room.full[next.stage], next.parity);
    wgmma_fence();
    weigh(sums, p, values + now.stage * UNITS);
    wgmma_commit();
    scores(s, q, keys + next.stage * UNITS);
    wgmma_commit();
    // Into the stage of the last tile, which the other warpgroup has surely left.
    int again = tile - 1 + FORWARD_STAGES;
    if (tile > 0) {
      if (asks && again < most) {
        mbarrier_wait(&room.empty[left.stage], left.parity);
        if (lane == 0) copy(again, left.stage);
      }
      left.next();
    }
    wgmma_wait<0>(sums);
    pin(s);
    if (lane == 0) mbarrier_arrive(&room.empty[now.stage]);
    now.next();
    next.next();
  };
#pragma unroll 1
  for (int tile = 0; tile < before + group; tile++) work(tile);
  rows.weights<true>(s, sums, exponent);
  as_left(p, s);
  wgmma_fence();
  weigh(sums, p, values + now.stage * UNITS);
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

// Adds sums · factor to rows own … own + 63 of one part of dqkv, rounding once. Through the warp's 4 KiB
// of `waits`, so that whole chunks are read and written: rows of 64 numbers, whose pieces of 4 turn.
DEVICE void add_rows(bf16* to, int stride, const float (&sums)[32], float* waits, int own, int t, float factor) {
  int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
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

// This thread's quarter of the product of one row of a head in two tensors [b, t, nh, hs].
DEVICE float product_of_rows(const bf16* x, const bf16* y, int head, int row, int t, int nh) {
  const Chunk* a = reinterpret_cast<const Chunk*>(head_of(x, head, t, nh, HS) + u64(row) * nh * HS);
  const Chunk* b = reinterpret_cast<const Chunk*>(head_of(y, head, t, nh, HS) + u64(row) * nh * HS);
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    Chunk left = a[threadIdx.x % 4 + 4 * i], right = b[threadIdx.x % 4 + 4 * i];
#pragma unroll
    for (int e = 0; e < 4; e++) {
      sum = fmaf(__uint_as_float(left.x[e] << 16), __uint_as_float(right.x[e] << 16), sum);
      sum = fmaf(__uint_as_float(left.x[e] & 0xffff0000u), __uint_as_float(right.x[e] & 0xffff0000u), sum);
    }
  }
  return sum;
}

constexpr int QUERY_STAGES = 4;
struct QueryRoom {
  struct Owned {
    bf16 queries[TILE], dout[TILE];
  };
  Owned owned[2];
  struct Stage {
    bf16 keys[TILE], values[TILE];
  };
  Stage ring[QUERY_STAGES];
  u64 full[QUERY_STAGES], empty[QUERY_STAGES], come, finished[2];
};

// The pass over queries, dQ += dS K, which also finds D, the row sums, for the other: two warpgroups that
// share the tiles of keys and values, as forward.
RESIDENT_KERNEL(256, 2, attention_backward_wgmma_queries_64)
(bf16* dqkv, float* row_sums, const float* lse, const bf16* dout, const bf16* out, int t, int nh,
 const __grid_constant__ TensorMap qkv_map, const __grid_constant__ TensorMap dout_map) {
  DYNAMIC_SHARED(QueryRoom, memory);
  QueryRoom& room = *memory;
  int tiles = (t + 2 * SIDE - 1) / (2 * SIDE), heads = int(gridDim.x) / tiles;
  int head = int(blockIdx.x) % heads, sequence = head / nh, column = head % nh * HS;
  int first = (tiles - 1 - int(blockIdx.x) / heads) * (2 * SIDE);
  int group = __any_sync(FULL, threadIdx.x >= 128);
  int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32, own = first + group * SIDE;
  bool both = first + SIDE < t;
  int before = first / SIDE, most = before + 1 + both;
  bool asks = group == both && warp == 0;
  auto copy = [&](int tile, int at) {
    u64* full = &room.full[at];
    QueryRoom::Stage& stage = room.ring[at];
    mbarrier_arrive_expect(full, sizeof stage);
    copy_box_of_layer(stage.keys, &qkv_map, nh * HS + column, tile * SIDE, sequence, full);
    copy_box_of_layer(stage.values, &qkv_map, 2 * nh * HS + column, tile * SIDE, sequence, full);
  };
  if (asks && lane == 0) {
    prefetch_map(&qkv_map);
    prefetch_map(&dout_map);
    for (int stage = 0; stage < QUERY_STAGES; stage++) {
      mbarrier_init(&room.full[stage], 1);
      mbarrier_init(&room.empty[stage], both ? 8 : 4);
    }
    mbarrier_init(&room.come, 1);
    for (int i = 0; i < 2; i++) mbarrier_init(&room.finished[i], 4);
    async_fence();
    mbarrier_arrive_expect(&room.come, 2 * (1 + both) * TILE_BYTES);
    for (int i = 0; i < 1 + both; i++) {
      copy_box_of_layer(room.owned[i].queries, &qkv_map, column, first + i * SIDE, sequence, &room.come);
      copy_box_of_layer(room.owned[i].dout, &dout_map, column, first + i * SIDE, sequence, &room.come);
    }
    for (int tile = 0; tile < min(most, QUERY_STAGES); tile++) copy(tile, tile);
  }
  lse += u64(head) * t;
  row_sums += u64(head) * t;
  float scale = scale_of(HS), exponent = scale * LOG2_E, row_base[2], row_sum[2];
  bool large = false;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    int row = own + warp * 16 + lane / 4 + 8 * half;
    row_sum[half] = quad_sum(row < t ? product_of_rows(dout, out, head, row, t, nh) : 0.0f);
    if (row < t && lane % 4 == 0) row_sums[row] = row_sum[half];
    // Beyond the last row lse is infinite, so that P is zero.
    float log_sum = row < t ? lse[row] : INFINITY_F;
    row_base[half] = -log_sum * LOG2_E;
    large = large || (fabsf(row_base[half]) > LARGE && row < t);
  }
  large = __any_sync(FULL, large);
  __syncthreads();
  if (group > both) return;

  float p[32], ds[32], sums[32];
  u32 left[4][4];
  wgmma_zero(sums);
  mbarrier_wait(&room.come, 0);
  u32 queries = begin_of(room.owned[group].queries), gradients = begin_of(room.owned[group].dout);
  u32 keys = begin_of(room.ring[0].keys), values = begin_of(room.ring[0].values);
  constexpr u32 UNITS = sizeof(QueryRoom::Stage) / 16;
  Turn<QUERY_STAGES> now, last;
  auto work = [&](int tile, auto diagonal) {
    constexpr bool DIAGONAL = decltype(diagonal)::value;
    u32 offset = now.stage * UNITS;
    mbarrier_wait(&room.full[now.stage], now.parity);
    wgmma_fence();
    scores(p, queries, keys + offset);
    wgmma_commit();
    scores(ds, gradients, values + offset);
    wgmma_commit();
    int again = tile - 1 + QUERY_STAGES;
    if (tile > 0) {
      if (asks && again < most) {
        mbarrier_wait(&room.empty[last.stage], last.parity);
        if (lane == 0) copy(again, last.stage);
      }
      last.next();
    }
    wgmma_wait<1>();
    pin(p);
    if (large) {
#pragma unroll
      for (int i = 0; i < 32; i++) {
        int row = own + warp * 16 + lane / 4 + i % 4 / 2 * 8;
        p[i] = exp2_approximate((scaled(p[i], scale) - (row < t ? lse[row] : INFINITY_F)) * LOG2_E);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 32; i++) p[i] = exp2_approximate(fmaf(p[i], exponent, row_base[i % 4 / 2]));
    }
    wgmma_wait<0>();
    pin(ds);
#pragma unroll
    for (int i = 0; i < 32; i++) {
      // What the mask hides may have overflowed: no product of it, not even with zero.
      bool seen = !DIAGONAL || i / 4 * 8 + lane % 4 * 2 + i % 2 <= warp * 16 + lane / 4 + i % 4 / 2 * 8;
      ds[i] = seen ? p[i] * (ds[i] - row_sum[i % 4 / 2]) : 0.0f;
    }
    as_left(left, ds);
    wgmma_fence();
    weigh(sums, left, keys + offset);
    wgmma_commit();
    wgmma_wait<0>(sums);
    if (lane == 0) mbarrier_arrive(&room.empty[now.stage]);
    now.next();
  };
#pragma unroll 1
  for (int tile = 0; tile < before + group; tile++) work(tile, Flag<false>());
  work(before + group, Flag<true>());

  // All four warps are done with the owned tiles, which make room.
  if (lane == 0) mbarrier_arrive(&room.finished[group]);
  mbarrier_wait(&room.finished[group], 0);
  float* waits = reinterpret_cast<float*>(&room.owned[group]) + warp * 16 * HS;
  add_rows(part_of(dqkv, 0, head, t, nh, HS), 3 * nh * HS, sums, waits, own, t, scale);
}
EXPORT(attention_backward_wgmma_queries_64)
constexpr int KEY_STAGES = 3;
struct KeyRoom {
  bf16 keys[TILE], values[TILE];
  struct Stage {
    bf16 queries[TILE], dout[TILE];
  };
  Stage ring[KEY_STAGES];
  // Of the streamed queries: −lse·log2 e, lse, and the row's sum; whether some of 32 are large.
  struct Statistics {
    Pair base[SIDE / 2], lse[SIDE / 2], sum[SIDE / 2];
    int large[2];
  };
  Statistics statistics[2];
  u64 full[KEY_STAGES], come;
};

// The pass over keys, dK += dSᵀ Q and dV += Pᵀ dout, by one warpgroup. It sees scores as Sᵀ = K Qᵀ and
// dPᵀ = V doutᵀ, whose results are the left operands of the sums. The diagonal comes first.
RESIDENT_KERNEL(128, 3, attention_backward_wgmma_keys_64)
(bf16* dqkv, const float* row_sums, const float* lse, int t, int nh,
 const __grid_constant__ TensorMap qkv_map, const __grid_constant__ TensorMap dout_map) {
  DYNAMIC_SHARED(KeyRoom, memory);
  KeyRoom& room = *memory;
  int tiles = (t + SIDE - 1) / SIDE, heads = int(gridDim.x) / tiles;
  int head = int(blockIdx.x) % heads, sequence = head / nh, column = head % nh * HS;
  int tile = int(blockIdx.x) / heads, own = tile * SIDE, count = tiles - tile;  // the longest first
  int thread = int(threadIdx.x), warp = thread / 32, lane = thread % 32;
  auto copy = [&](int step, int at) {
    u64* full = &room.full[at];
    KeyRoom::Stage& stage = room.ring[at];
    mbarrier_arrive_expect(full, sizeof stage);
    copy_box_of_layer(stage.queries, &qkv_map, column, own + step * SIDE, sequence, full);
    copy_box_of_layer(stage.dout, &dout_map, column, own + step * SIDE, sequence, full);
  };
  if (thread == 0) {
    prefetch_map(&qkv_map);
    prefetch_map(&dout_map);
    for (int stage = 0; stage < KEY_STAGES; stage++) mbarrier_init(&room.full[stage], 1);
    mbarrier_init(&room.come, 1);
    async_fence();
    mbarrier_arrive_expect(&room.come, 2 * TILE_BYTES);
    copy_box_of_layer(room.keys, &qkv_map, nh * HS + column, own, sequence, &room.come);
    copy_box_of_layer(room.values, &qkv_map, 2 * nh * HS + column, own, sequence, &room.come);
    for (int step = 0; step < min(count, KEY_STAGES); step++) copy(step, step);
  }
  lse += u64(head) * t;
  row_sums += u64(head) * t;
  float scale = scale_of(HS), exponent = scale * LOG2_E;
  // Half of the threads fetch a streamed query's statistics, a step ahead. Beyond the last row lse is
  // infinite, so that P is zero.
  float log_sum = 0.0f, row_sum = 0.0f;
  auto fetch = [&](int step) {
    int row = own + step * SIDE + thread;
    if (thread >= SIDE) return;
    log_sum = row < t ? lse[row] : INFINITY_F;
    row_sum = row < t ? row_sums[row] : 0.0f;
  };
  fetch(0);
  __syncthreads();

  float p[32], ds[32], key_sums[32], value_sums[32];
  u32 left_p[4][4], left_ds[4][4];
  wgmma_zero(key_sums);
  wgmma_zero(value_sums);
  mbarrier_wait(&room.come, 0);
  u32 keys = begin_of(room.keys), values = begin_of(room.values);
  u32 queries = begin_of(room.ring[0].queries), dout = begin_of(room.ring[0].dout);
  constexpr u32 UNITS = sizeof(KeyRoom::Stage) / 16;
  Turn<KEY_STAGES> now;
  int last = 0;  // the last step's stage
  auto work = [&](int step, auto diagonal) {
    constexpr bool DIAGONAL = decltype(diagonal)::value;
    u32 offset = now.stage * UNITS;
    KeyRoom::Statistics& statistics = room.statistics[step % 2];
    mbarrier_wait(&room.full[now.stage], now.parity);
    wgmma_fence();
    scores(p, keys, queries + offset);
    wgmma_commit();
    scores(ds, values, dout + offset);
    wgmma_commit();
    if (thread < SIDE) {
      float base = -log_sum * LOG2_E;
      reinterpret_cast<float*>(statistics.base)[thread] = base;
      reinterpret_cast<float*>(statistics.lse)[thread] = log_sum;
      reinterpret_cast<float*>(statistics.sum)[thread] = row_sum;
      bool large = __any_sync(FULL, fabsf(base) > LARGE && own + step * SIDE + thread < t);
      if (lane == 0) statistics.large[warp] = large;
    }
    __syncthreads();
    // All warps are done with the last step: its stage can be filled again.
    int again = step - 1 + KEY_STAGES;
    if (thread == 0 && step > 0 && again < count) copy(again, last);
    last = now.stage;
    now.next();
    if (step + 1 < count) fetch(step + 1);
    wgmma_wait<1>();
    pin(p);
    auto of = [&](const Pair(&streamed)[SIDE / 2], int i) {
      const Pair& pair = streamed[i / 4 * 4 + lane % 4];
      return i % 2 ? pair.y : pair.x;
    };
    if (statistics.large[0] || statistics.large[1]) {
#pragma unroll
      for (int i = 0; i < 32; i++)
        p[i] = exp2_approximate((scaled(p[i], scale) - of(statistics.lse, i)) * LOG2_E);
    } else {
#pragma unroll
      for (int i = 0; i < 32; i++) p[i] = exp2_approximate(fmaf(p[i], exponent, of(statistics.base, i)));
    }
    auto seen = [&](int i) {
      int key = warp * 16 + lane / 4 + i % 4 / 2 * 8, query = i / 4 * 8 + lane % 4 * 2 + i % 2;
      return !DIAGONAL || key <= query;
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
      // What the mask hides may have overflowed: no product of it, not even with zero.
      ds[i] = seen(i) ? p[i] * (ds[i] - of(statistics.sum, i)) : 0.0f;
    }
    as_left(left_p, p);
    as_left(left_ds, ds);
    wgmma_fence();
    weigh(value_sums, left_p, dout + offset);
    weigh(key_sums, left_ds, queries + offset);
    wgmma_commit();
    // No registers to let the next scores begin before.
    wgmma_wait<0>();
  };
  work(0, Flag<true>());
#pragma unroll 1
  for (int step = 1; step < count; step++) work(step, Flag<false>());
  pin(key_sums);
  pin(value_sums);

  __syncthreads();  // the owned tiles make room
  float* waits = reinterpret_cast<float*>(room.keys) + warp * 16 * HS;
  int stride = 3 * nh * HS;
  add_rows(part_of(dqkv, 1, head, t, nh, HS), stride, key_sums, waits, own, t, scale);
  add_rows(part_of(dqkv, 2, head, t, nh, HS), stride, value_sums, waits, own, t, 1.0f);
}
EXPORT(attention_backward_wgmma_keys_64)

#endif
