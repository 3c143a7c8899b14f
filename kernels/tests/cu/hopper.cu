// One box as it lies in shared memory.
#include "hopper.cuh"

KERNEL(32, copied_box)(u16* out, const __grid_constant__ TensorMap map, int column, int row, int count) {
  DYNAMIC_SHARED(u16, box);
  SHARED(u64, barrier, [1]);
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, 1);
    async_fence();
    mbarrier_arrive_expect(barrier, u32(count) * 2);
    copy_box(box, &map, column, row, barrier);
  }
  __syncwarp();
  mbarrier_wait(barrier, 0);
  for (int i = int(threadIdx.x); i < count; i += 32) out[i] = box[i];
}
EXPORT(copied_box)

// The same of one layer.
KERNEL(32, copied_box_of_layer)
(u16* out, const __grid_constant__ TensorMap map, int column, int row, int layer, int count) {
  DYNAMIC_SHARED(u16, box);
  SHARED(u64, barrier, [1]);
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, 1);
    async_fence();
    mbarrier_arrive_expect(barrier, u32(count) * 2);
    copy_box_of_layer(box, &map, column, row, layer, barrier);
  }
  __syncwarp();
  mbarrier_wait(barrier, 0);
  for (int i = int(threadIdx.x); i < count; i += 32) out[i] = box[i];
}
EXPORT(copied_box_of_layer)

// sums [64, 64] = (start +) a b of a [64, 16] bf16 in registers, in the lanes of mma's left operand, and
// b [16, 64].
KERNEL(128, left_in_registers)(float* out, const u16* a, const __grid_constant__ TensorMap map, int start) {
  DYNAMIC_SHARED(bf16, box);
  SHARED(u64, barrier, [1]);
  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, 1);
    async_fence();
    mbarrier_arrive_expect(barrier, 16 * 128);
    copy_box(box, &map, 0, 0, barrier);
  }
  __syncthreads();
  mbarrier_wait(barrier, 0);
  u32 left[4];
  for (int i = 0; i < 4; i++) {
    const u16* pair = a + (warp * 16 + lane / 4 + i % 2 * 8) * 16 + lane % 4 * 2 + i / 2 * 8;
    left[i] = pair[0] | u32(pair[1]) << 16;
  }
  float sums[32];
  wgmma_zero(sums);
  for (int i = 0; i < 32; i++) sums[i] = float(start);
  u64 b = operand_descriptor(shared_address(box), 16 * 128, 8 * 128);
  wgmma_fence();
  if (start) wgmma_bf16_64<true, true>(sums, left, b);
  else wgmma_bf16_64<false, true>(sums, left, b);
  wgmma_commit();
  wgmma_wait<0>(sums);
  for (int i = 0; i < 32; i++)
    out[(warp * 16 + lane / 4 + i % 4 / 2 * 8) * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
}
EXPORT(left_in_registers)
