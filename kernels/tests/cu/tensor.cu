// The instructions of ptx.cuh against plain loops.
#include "common.cuh"
#include "ptx.cuh"

// out [2, 32, 4]: what each lane holds of four 8×8 matrices that stand in `in` one after the other.
KERNEL(32, load_matrices)(u32* out, const u16* in) {
  SHARED(alignas(16) u16, tiles, [256]);
  int lane = threadIdx.x;
  for (int i = lane; i < 256; i += 32) tiles[i] = in[i];
  __syncwarp();
  u32 r[4];
  ldmatrix_x4(r, tiles + 8 * lane);
  for (int m = 0; m < 4; m++) out[4 * lane + m] = r[m];
  ldmatrix_x4_trans(r, tiles + 8 * lane);
  for (int m = 0; m < 4; m++) out[128 + 4 * lane + m] = r[m];
}
EXPORT(load_matrices)

// Lane 0's row begins `skew` numbers late.
KERNEL(32, skewed_rows)(u32* out, int skew) {
  SHARED(alignas(16) u16, tiles, [264]);
  u32 r[4];
  ldmatrix_x4(r, tiles + 8 * threadIdx.x + (threadIdx.x == 0 ? skew : 0));
  out[threadIdx.x] = r[0];
}
EXPORT(skewed_rows)

// d [16, 8] += a [16, 16] b [16, 8], all row-major, through ldmatrix as matrix products use it.
KERNEL(32, product)(float* d, const bf16* a, const bf16* b) {
  SHARED(alignas(16) bf16, as, [16 * 16]);
  SHARED(alignas(16) bf16, bs, [16 * 8]);
  int lane = threadIdx.x;
  for (int i = lane; i < 256; i += 32) as[i] = a[i];
  for (int i = lane; i < 128; i += 32) bs[i] = b[i];
  __syncwarp();
  u32 ra[4], rb[4];
  ldmatrix_x4(ra, as + lane % 16 * 16 + lane / 16 * 8);
  ldmatrix_x4_trans(rb, bs + lane % 16 * 8);
  int g = lane / 4, t = 2 * (lane % 4);
  float rd[4] = {d[g * 8 + t], d[g * 8 + t + 1], d[(g + 8) * 8 + t], d[(g + 8) * 8 + t + 1]};
  u32 half[2] = {rb[0], rb[1]};
  mma_bf16_16816(rd, ra, half);
  d[g * 8 + t] = rd[0];
  d[g * 8 + t + 1] = rd[1];
  d[(g + 8) * 8 + t] = rd[2];
  d[(g + 8) * 8 + t + 1] = rd[3];
}
EXPORT(product)

// Three groups of one copy each, the last of them short; `waits` says how far to wait before looking:
// 0 not at all, 1 for the first, 2 for two, 3 for all. out [3, 32, 4].
KERNEL(32, copies)(float* out, const float* in, int waits) {
  SHARED(alignas(16) float, target, [3 * 128]);
  int lane = threadIdx.x;
  for (int group = 0; group < 3; group++) {
    float* to = target + group * 128 + 4 * lane;
    for (int i = 0; i < 4; i++) to[i] = -1.0f;
    cp_async_16(to, in + group * 128 + 4 * lane, group == 2 ? 4 * (lane % 5) : 16);
    cp_async_commit();
  }
  if (waits == 1) cp_async_wait<2>();
  if (waits == 2) cp_async_wait<1>();
  if (waits == 3) cp_async_wait<0>();
  __syncwarp();
  for (int i = lane; i < 384; i += 32) out[i] = target[i];
}
EXPORT(copies)

// A copy to or from an address that is no multiple of 16.
KERNEL(32, skewed_copy)(const float* in, int to, int from) {
  SHARED(alignas(16) float, target, [8]);
  if (threadIdx.x == 0) cp_async_16(target + to, in + from, 4);
}
EXPORT(skewed_copy)
