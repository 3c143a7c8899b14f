// Each built-in against answers worked by hand; on a device too, which tests the model itself.
#include "common.cuh"

// Row k of out [20, 32] is one shuffle of 100 + lane.
KERNEL(32, shuffles)(int* out) {
  int lane = threadIdx.x, x = 100 + lane;
  int* mine = out + lane;
  mine[0 * 32] = __shfl_sync(FULL, x, 5);
  mine[1 * 32] = __shfl_sync(FULL, x, 31 - lane);
  mine[2 * 32] = __shfl_sync(FULL, x, 9, 8);
  mine[3 * 32] = __shfl_xor_sync(FULL, x, 1);
  mine[4 * 32] = __shfl_xor_sync(FULL, x, 16);
  mine[5 * 32] = __shfl_xor_sync(FULL, x, 8, 8);
  mine[6 * 32] = __shfl_up_sync(FULL, x, 1);
  mine[7 * 32] = __shfl_up_sync(FULL, x, 3, 8);
  mine[8 * 32] = __shfl_down_sync(FULL, x, 1);
  mine[9 * 32] = __shfl_down_sync(FULL, x, 3, 8);
  mine[10 * 32] = int(__ballot_sync(FULL, lane % 3 == 0));
  mine[11 * 32] = __any_sync(FULL, lane == 17);
  mine[12 * 32] = __any_sync(FULL, lane == 32);
  mine[13 * 32] = __all_sync(FULL, lane < 32);
  mine[14 * 32] = __all_sync(FULL, lane < 31);
  u64 wide = (u64(lane) << 40) + 7;
  mine[15 * 32] = int(__shfl_xor_sync(FULL, wide, 2) >> 40);
  mine[16 * 32] = int(__shfl_sync(FULL, lane + 0.25, 3) * 4.0);
  mine[17 * 32] = int(__shfl_sync(FULL, -float(lane), lane));
  mine[18 * 32] = int(__shfl_down_sync(FULL, u32(lane), 31));
  mine[19 * 32] = int(__shfl_sync(FULL, i64(-lane), 4));
}
EXPORT(shuffles)

// out [2, blocks, threads]: every thread's view of the sum and the largest of its own number.
KERNEL(1024, reductions)(float* out) {
  SHARED(float, scratch, [32]);
  float x = float((threadIdx.x * 7 + blockIdx.x) % 64);
  u32 at = blockIdx.x * blockDim.x + threadIdx.x;
  out[at] = block_sum(x, scratch);
  out[gridDim.x * blockDim.x + at] = block_max(-x, scratch);
}
EXPORT(reductions)

KERNEL(32, integers)(int* out) {
  if (threadIdx.x > 0) return;
  int k = 0;
  out[k++] = __popc(0xf0f0u);
  out[k++] = __clz(1);
  out[k++] = __clz(0);
  out[k++] = __clz(-1);
  out[k++] = __ffs(0);
  out[k++] = __ffs(40);
  out[k++] = int(__float_as_uint(1.0f));
  out[k++] = __float_as_int(-0.0f);
  out[k++] = int(__uint_as_float(0x40400000u));
  out[k++] = int(__int_as_float(0x40800000));
  out[k++] = __ldg(out + 1);
  out[k++] = min(3, -4);
  out[k++] = max(3, -4);
  out[k++] = int(min(3u, 0xffffffffu));
  out[k++] = int(max(u64(3), u64(1) << 33) >> 33);
  out[k++] = int(min(2.5f, 8.0f) * 2.0f);
}
EXPORT(integers)

// out [13, n]: the mathematics at x, single precision; wide [10, n]: double.
KERNEL(32, mathematics)(float* out, double* wide, const float* in, int n) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    float x = in[i];
    out[0 * n + i] = expf(x);
    out[1 * n + i] = logf(x);
    out[2 * n + i] = log1pf(x);
    out[3 * n + i] = expm1f(x);
    out[4 * n + i] = sqrtf(x);
    out[5 * n + i] = rsqrtf(x);
    out[6 * n + i] = tanhf(x);
    out[7 * n + i] = powf(x, 1.5f);
    out[8 * n + i] = fmaf(x, x, -1.0f);
    out[9 * n + i] = fmaxf(x, 1.0f);
    out[10 * n + i] = fminf(x, 1.0f);
    out[11 * n + i] = fabsf(-x);
    out[12 * n + i] = floorf(x);
    double y = x;
    wide[0 * n + i] = exp(y);
    wide[1 * n + i] = log(y);
    wide[2 * n + i] = log1p(y);
    wide[3 * n + i] = expm1(y);
    wide[4 * n + i] = sqrt(y);
    wide[5 * n + i] = tanh(y);
    wide[6 * n + i] = pow(y, 1.5);
    wide[7 * n + i] = fma(y, y, -1.0);
    wide[8 * n + i] = fabs(-y);
    wide[9 * n + i] = floor(y);
  }
}
EXPORT(mathematics)

// Each thread counts itself, in all widths; the largest number; who was first.
KERNEL(256, atomics)(u64* wide, int* counts, u32* count, const int* numbers) {
  atomicAdd(wide, 1ull);
  atomicAdd(counts, 2);
  atomicAdd(count, 3u);
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicMax(counts + 1, numbers[i]);
  if (atomicCAS(counts + 2, 0, i + 1) == 0) counts[3] = i + 1;
  __threadfence();
}
EXPORT(atomics)
