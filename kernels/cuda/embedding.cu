// Token and position embedding: out_i = wte[token_i] + wpe[position_i], and its gradient,
//     dtable[id] += Σ_{i : id_i = id} dout_i.
//
//     embedding_forward          out [n, c]
//     embedding_backward         the groups of few rows
//     embedding_backward_long    the groups of many rows
//
// A group is an id and the rows that hold it, from the first to the last: ids [groups], rows [n],
// and starts [groups + 1], the ranges of `rows`. No two threads add to the same number.
#include "vector.cuh"

// The tables have `words` and `places` rows; what an id beyond them names is NaN.
DEVICE float nan_unless(bool known, float x) { return known ? x : __uint_as_float(0x7fffffffu); }

template <int W>
DEVICE void forward(act* out, const u32* tokens, const u32* positions, const act* wte,
                    const act* wpe, int words, int places, int n, int c, int rows) {
  each_piece<W>(n, c, rows, [=](u64 row, int at) {
    u32 token = tokens[row], position = positions[row];
    bool known = token < u32(words) && position < u32(places);
    float word[W], place[W];
    load(word, wte + u64(known ? token : 0) * c + at, known);
    load(place, wpe + u64(known ? position : 0) * c + at, known);
#pragma unroll
    for (int j = 0; j < W; j++) word[j] = nan_unless(known, word[j] + place[j]);
    store(out + row * c + at, word);
  });
}

// Blocks of `rows` rows.
KERNEL(256, embedding_forward)
(act* out, const u32* tokens, const u32* positions, const act* wte, const act* wpe, int words,
 int places, int n, int c, int rows) {
  if (c % WIDTH == 0 && aligned(out) && aligned(wte) && aligned(wpe))
    forward<WIDTH>(out, tokens, positions, wte, wpe, words, places, n, c, rows);
  else
    forward<1>(out, tokens, positions, wte, wpe, words, places, n, c, rows);
}
EXPORT(embedding_forward)

// `lanes` threads take a group and lanes·W columns: its rows in turn.
template <int W>
DEVICE void backward(float* dtable, const act* dout, const u32* ids, const u32* starts,
                     const u32* rows, int groups, int c, int lanes) {
  int tile = lanes * W, tiles = (c + tile - 1) / tile;
  u64 team = u64(blockIdx.x) * (blockDim.x / lanes) + threadIdx.x / lanes;
  u64 group = team / tiles;
  int column = int(team - group * tiles) * tile + int(threadIdx.x % lanes) * W;
  if (group >= u64(groups) || column >= c) return;
  u32 first = starts[group], last = starts[group + 1];
  float sum[W] = {};
  add_rows(sum, first, last, 1, [=](u32 i) { return dout + u64(rows[i]) * c + column; });
  float* to = dtable + u64(ids[group]) * c + column;
  float before[W];
  load(before, to);
#pragma unroll
  for (int j = 0; j < W; j++) sum[j] += before[j];
  store(to, sum);
}

// Whole pieces, aligned.
KERNEL(256, embedding_backward)
(float* dtable, const act* dout, const u32* ids, const u32* starts, const u32* rows, int groups,
 int c, int lanes) {
  backward<WIDTH>(dtable, dout, ids, starts, rows, groups, c, lanes);
}
EXPORT(embedding_backward)

// Any row.
KERNEL(256, embedding_backward_ragged)
(float* dtable, const act* dout, const u32* ids, const u32* starts, const u32* rows, int groups,
 int c, int lanes) {
  backward<1>(dtable, dout, ids, starts, rows, groups, c, lanes);
}
EXPORT(embedding_backward_ragged)

// A block takes group blockIdx.x and 4·W columns: its 256 fours of lanes take every 256th row, the
// fours of a warp are added as a tree, the warps one after the other.
template <int W>
DEVICE void backward_long(float* dtable, const act* dout, const u32* ids, const u32* starts,
                          const u32* rows, int c) {
  SHARED(float, warps, [32][4 * W]);
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int start = blockIdx.y * 4 * W, column = start + lane % 4 * W;
  u32 first = starts[blockIdx.x], last = starts[blockIdx.x + 1];
  float sum[W] = {};
  auto row = [=](u32 i) { return dout + u64(rows[i]) * c + column; };
  if (column < c) add_rows(sum, first + threadIdx.x / 4, last, 256, row);
#pragma unroll
  for (int j = 0; j < W; j++) {
    for (int other = 4; other < 32; other *= 2) sum[j] += __shfl_xor_sync(FULL, sum[j], other);
    if (lane < 4) warps[warp][lane * W + j] = sum[j];
  }
  __syncthreads();
  int j = threadIdx.x;
  if (j < 4 * W && start + j < c) {
    float total = 0.0f;
    for (int w = 0; w < 32; w++) total += warps[w][j];
    dtable[u64(ids[blockIdx.x]) * c + start + j] += total;
  }
}

// Whole pieces, aligned.
KERNEL(1024, embedding_backward_long)
(float* dtable, const act* dout, const u32* ids, const u32* starts, const u32* rows, int c) {
  backward_long<WIDTH>(dtable, dout, ids, starts, rows, c);
}
EXPORT(embedding_backward_long)

// Any row.
KERNEL(1024, embedding_backward_long_ragged)
(float* dtable, const act* dout, const u32* ids, const u32* starts, const u32* rows, int c) {
  backward_long<1>(dtable, dout, ids, starts, rows, c);
}
EXPORT(embedding_backward_long_ragged)

// One thread per number.
KERNEL(256, embedding_forward_naive)
(act* out, const u32* tokens, const u32* positions, const act* wte, const act* wpe, int words,
 int places, int n, int c) {
  u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= u64(n) * c) return;
  u64 row = i / c, j = i % c;
  u32 token = tokens[row], position = positions[row];
  bool known = token < u32(words) && position < u32(places);
  float word = known ? to_float(wte[u64(token) * c + j]) : 0.0f;
  out[i] = to_act(nan_unless(known, word + (known ? to_float(wpe[u64(position) * c + j]) : 0.0f)));
}
EXPORT(embedding_forward_naive)

// One thread per number of a group.
KERNEL(256, embedding_backward_naive)
(float* dtable, const act* dout, const u32* ids, const u32* starts, const u32* rows, int groups,
 int c) {
  u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= u64(groups) * c) return;
  u64 group = i / c, j = i % c;
  float sum = 0.0f;
  for (u32 k = starts[group]; k < starts[group + 1]; k++)
    sum += to_float(dout[u64(rows[k]) * c + j]);
  dtable[u64(ids[group]) * c + j] += sum;
}
EXPORT(embedding_backward_naive)
