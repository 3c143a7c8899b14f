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
