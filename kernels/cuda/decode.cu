// Attention of one new token per row against the key-value cache.
//
//     layer [2, slots, nh, t, hs]: keys, then values, one layer of the cache
//     row i stores its key and value at position lengths[i] − 1 of slot slots[i], then
//     out_i = Σ_j softmax_j(q_i·k_j/√hs) v_j over j < lengths[i], where position j lies in slot
//     ancestry[i, j], so that beams share their past
//
// Storing is a launch of its own, since rows may read what others store in the same step. Slots and
// positions beyond the cache are not stored, and read as NaN.
//
// With grouped queries nh would count keys' heads here, and a query's head be divided by the group; with
// rotary positions keys are turned when they are stored, once, and queries where they are loaded.
#include "heads.cuh"
#include "vector.cuh"

// qkv [tokens, 3, nh, hs]. Prompts of `prompt` tokens begin at position 0 of their sequence's slot; with
// lengths, a token is a row's newest.
KERNEL(256, decode_store)
(act* layer, const act* qkv, const u32* numbers, const u32* lengths, int prompt, int slots, int t, int nh, int hs) {
  u32 token = blockIdx.x;
  u32 slot = lengths ? numbers[token] : numbers[token / prompt];
  u32 position = lengths ? lengths[token] - 1 : token % prompt;
  if (slot >= u32(slots) || position >= u32(t)) return;
  int c = nh * hs;
  for (int x = threadIdx.x; x < 2 * c; x += 256) {
    int head = x % c / hs, d = x % hs;
    u64 row = (u64(x / c) * slots + slot) * nh + head;
    layer[(row * t + position) * hs + d] = qkv[u64(token) * 3 * c + c + x];
  }
}
EXPORT(decode_store)

DEVICE float nan_unless(bool there, float x) { return there ? x : __uint_as_float(0x7fffffff); }

// One thread per output.
KERNEL(128, decode_forward_naive)
(act* out, const act* layer, const act* qkv, const u32* lengths, const u32* ancestry, int slots, int t, int nh, int hs, int rows) {
  u64 index = u64(blockIdx.x) * 128 + threadIdx.x;
  if (index >= u64(rows) * nh * hs) return;
  int d = index % hs, head = index / hs % nh, row = index / hs / nh;
  int length = min(lengths[row], u32(t));
  ancestry += u64(row) * t;
  const act* q = qkv + (u64(row) * 3 * nh + head) * hs;
  u64 part = u64(slots) * nh * t * hs;
  float scale = scale_of(hs);
  auto at = [&](int j) { return ((u64(ancestry[j]) * nh + head) * t + j) * hs; };
  auto score = [&](int j) {
    if (ancestry[j] >= u32(slots)) return nan_unless(false, 0.0f);
    float sum = 0.0f;
    for (int e = 0; e < hs; e++) sum = fmaf(to_float(q[e]) * scale, to_float(layer[at(j) + e]), sum);
    return sum;
  };
  float most = -INFINITY_F, total = 0.0f, sum = 0.0f;
  for (int j = 0; j < length; j++) most = fmaxf(most, score(j));
  for (int j = 0; j < length; j++) total += expf(score(j) - most);
  for (int j = 0; j < length; j++) {
    float value = ancestry[j] < u32(slots) ? to_float(layer[part + at(j) + d]) : 0.0f;
    sum = fmaf(expf(score(j) - most) / total, value, sum);
  }
  out[index] = to_act(nan_unless(length > 0, sum));
}
EXPORT(decode_forward_naive)

// One block per head of a row. Teams of `lanes` threads, each a part of a warp, take every
// (256/lanes)-th position, AHEAD of them at a time, and keep a softmax of their own; in the end the teams'
// sums are weighed by e^(most of the team − most of all). A thread holds K pieces of W channels.
template <int W, int K, int AHEAD>
DEVICE void forward_teams(act* out, const act* layer, const act* qkv, const u32* lengths, const u32* ancestry,
                          int slots, int t, int nh, int hs, int lanes) {
  SHARED(float, team_sums, [256 * W * K]);
  SHARED(float, team_most, [32]);
  SHARED(float, team_total, [32]);
  int row = blockIdx.x / nh, head = blockIdx.x % nh, teams = 256 / lanes;
  int team = threadIdx.x / lanes, lane = threadIdx.x % lanes;
  int length = min(lengths[row], u32(t));
  ancestry += u64(row) * t;
  const act* keys = layer + u64(head) * t * hs;
  const act* values = keys + u64(slots) * nh * t * hs;
  float q[K][W], sums[K][W] = {}, most = -INFINITY_F, total = 0.0f, scale = scale_of(hs);
#pragma unroll
  for (int k = 0; k < K; k++) {
    int d = (k * lanes + lane) * W;
    load(q[k], qkv + (u64(row) * 3 * nh + head) * hs + d, d < hs);
#pragma unroll
    for (int w = 0; w < W; w++) q[k][w] *= scale;
  }
  for (int start = 0; start < length; start += AHEAD * teams) {
    float key[AHEAD][K][W], value[AHEAD][K][W], score[AHEAD];
    bool seen[AHEAD], known[AHEAD];
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      int j = start + a * teams + team;
      seen[a] = j < length;
      u32 slot = seen[a] ? ancestry[j] : 0;
      known[a] = slot < u32(slots);
      u64 at = (u64(slot) * nh * t + j) * hs;
#pragma unroll
      for (int k = 0; k < K; k++) {
        int d = (k * lanes + lane) * W;
        bool there = seen[a] && known[a] && d < hs;
        load(key[a][k], keys + at + d, there);
        load(value[a][k], values + at + d, there);
      }
    }
    float top = most;
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      float sum = 0.0f;
#pragma unroll
      for (int k = 0; k < K; k++)
#pragma unroll
        for (int w = 0; w < W; w++) sum = fmaf(q[k][w], key[a][k][w], sum);
      for (int other = lanes / 2; other > 0; other /= 2) sum += __shfl_xor_sync(FULL, sum, other);
      score[a] = seen[a] ? nan_unless(known[a], sum) : -INFINITY_F;
      top = fmaxf(top, score[a]);
    }
    float from = top == -INFINITY_F ? 0.0f : top;  // a team may have seen nothing yet
    float shrink = expf(most - from);
    most = top;
    total *= shrink;
#pragma unroll
    for (int k = 0; k < K; k++)
#pragma unroll
      for (int w = 0; w < W; w++) sums[k][w] *= shrink;
#pragma unroll
    for (int a = 0; a < AHEAD; a++) {
      float p = expf(score[a] - from);
      total += p;
#pragma unroll
      for (int k = 0; k < K; k++)
#pragma unroll
        for (int w = 0; w < W; w++) sums[k][w] = fmaf(p, value[a][k][w], sums[k][w]);
    }
  }
#pragma unroll
  for (int k = 0; k < K; k++)
#pragma unroll
    for (int w = 0; w < W; w++) team_sums[team * lanes * K * W + (k * lanes + lane) * W + w] = sums[k][w];
  if (lane == 0) team_most[team] = most, team_total[team] = total;
  __syncthreads();
  float top = -INFINITY_F;
  for (int i = 0; i < teams; i++) top = fmaxf(top, team_most[i]);
  for (int d = threadIdx.x; d < hs; d += 256) {
    float sum = 0.0f, share = 0.0f;
    for (int i = 0; i < teams; i++) {
      float weight = expf(team_most[i] - top);
      sum = fmaf(weight, team_sums[i * lanes * K * W + d], sum);
      share = fmaf(weight, team_total[i], share);
    }
    out[u64(blockIdx.x) * hs + d] = to_act(sum / share);
  }
}

// Heads of whole pieces of 16 bytes, at most 32 of them.
KERNEL(256, decode_forward)
(act* out, const act* layer, const act* qkv, const u32* lengths, const u32* ancestry, int slots, int t, int nh, int hs, int lanes) {
  forward_teams<WIDTH, 1, 4>(out, layer, qkv, lengths, ancestry, slots, t, nh, hs, lanes);
}
EXPORT(decode_forward)

// Any others of at most 128 channels.
KERNEL(256, decode_forward_ragged)
(act* out, const act* layer, const act* qkv, const u32* lengths, const u32* ancestry, int slots, int t, int nh, int hs) {
  forward_teams<1, 4, 2>(out, layer, qkv, lengths, ancestry, slots, t, nh, hs, 32);
}
EXPORT(decode_forward_ragged)
