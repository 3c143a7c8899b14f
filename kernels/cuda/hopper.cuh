// Hopper's asynchronous units, as inline PTX for sm_90a: barriers in shared memory that count bytes,
// copies of boxes of a matrix, products of a warpgroup, and clusters: blocks side by side that run at
// the same time and reach each other's shared memory. The shim's bulk.hpp and wgmma.hpp model the same
// functions on the host.
//
// Everything that the hardware is told in figures is written down from the PTX ISA; section names
// are those of its chapter on the instruction.
#pragma once
#include "ptx.cuh"

// Of 64 numbers, 128 bytes, are the rows of everything that is copied and multiplied here. In a group
// of 8 such rows (1024 bytes, and aligned to as many) the chunk of 16 bytes number c of row r stands
// at place c ^ r % 8: the 128-byte swizzle, which keeps rows and columns of chunks free of bank
// conflicts. Copies write it and products read it; only who touches a box by hand must know it.
DEVICE int swizzled(int row, int column) { return row * 64 + ((column / 8 ^ row % 8) * 8 | column % 8); }

// How a product finds an operand of 16-bit numbers in rows of 128 bytes ("Matrix Descriptor Format"):
//   bits 0-13 the first byte's address, 16-29 the leading offset, 32-45 the stride offset, each in
//   units of 16 bytes; 49-51 the base offset, 0 as the pattern starts at multiples of 1024 bytes;
//   62-63 the swizzle, 1 for 128 bytes.
// What the two offsets say ("Strides", "Canonical Layouts", 128-byte swizzling):
//   rows along k (K-major): stride from 8 rows to the next 8; leading unused, 1.
//   rows along m or n (MN-major): stride from 8 terms to the next 8; leading from 64 numbers of m or
//   n, one row's, to the next 64.
DEVICE u64 operand_descriptor(u32 address, u32 leading, u32 stride) {
  return u64((address & 0x3ffff) >> 4) | u64((leading & 0x3ffff) >> 4) << 16 |
         u64((stride & 0x3ffff) >> 4) << 32 | u64(1) << 62;
}

#ifdef FORTIFAI_HOST
// Modelled by the shim.
#else

// --- Barriers. One phase ends when as many have arrived as it was made for, and the bytes that were
// announced have come; the next begins at once. Phases are even and odd in turn, the first is even.

DEVICE void mbarrier_init(u64* barrier, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}

// What this thread has written to shared memory, new barriers too, is there for the asynchronous units
// behind the next barrier.
DEVICE void async_fence() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }

// The barriers that this thread has made can be used by whoever meets it in the next cluster_sync.
DEVICE void barriers_made() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }

// Waits for all threads of all blocks of the cluster.
DEVICE void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;\n" ::: "memory");
}

DEVICE void mbarrier_arrive(u64* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives at the barrier that lies at the same place of block `rank` of the cluster. What it tells the other
// block is that products have read; of what threads have written it says nothing beyond this block, which
// would cost a fence of all memory.
DEVICE void mbarrier_arrive_at(u64* barrier, u32 rank) {
  asm volatile(
      "{\n.reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n}\n" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}

// Arrives and announces `bytes` that copies will bring.
DEVICE void mbarrier_arrive_expect(u64* barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(barrier)),
               "r"(bytes)
               : "memory");
}

// Waits for the end of the current or the last phase of this parity. Of a new barrier, the odd phase
// before the first has ended.
DEVICE void mbarrier_wait(u64* barrier, u32 parity) {
  u32 ended;
  do {
    asm volatile(
        "{\n.reg .pred ended;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 ended, [%1], %2;\n"
        "selp.u32 %0, 1, 0, ended;\n}\n"
        : "=r"(ended)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
  } while (!ended);
}

// --- Copies. One thread starts the copy of a whole box of the matrix that `map` describes, from
// `column` and `row` on, zeros beyond the edges; the barrier hears of the bytes. `shared` is a multiple
// of 1024 bytes. The destination's state space is the cluster's, of which this block is one.
DEVICE void copy_box(void* shared, const TensorMap* map, int column, int row, u64* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];\n" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier))
      : "memory");
}

// The same in one of the layers of a map that has them.
DEVICE void copy_box_of_layer(void* shared, const TensorMap* map, int column, int row, int layer, u64* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4}], [%5];\n" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(layer), "r"(shared_address(barrier))
      : "memory");
}

// The same to every block of the cluster whose bit is set in `blocks`: to the same place of each, whose
// barrier at the same place hears of it.
DEVICE void copy_box_to(u32 blocks, void* shared, const TensorMap* map, int column, int row, u64* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%2, %3}], [%4], %5;\n" ::"r"(shared_address(shared)),
      "l"(map), "r"(column), "r"(row), "r"(shared_address(barrier)), "h"(u16(blocks))
      : "memory");
}

DEVICE void prefetch_map(const TensorMap* map) {
  asm volatile("prefetch.tensormap [%0];\n" ::"l"(map) : "memory");
}

// --- Registers. The block was launched with as many for each thread; a warpgroup keeps COUNT of them, a
// multiple of 8, or takes up to COUNT once others have given theirs.
template <int COUNT>
DEVICE void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(COUNT));
}
template <int COUNT>
DEVICE void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(COUNT));
}

// Asks for the 128 bytes around `global` in the second-level cache.
DEVICE void prefetch_line(const void* global) { asm volatile("prefetch.global.L2 [%0];\n" ::"l"(global)); }

// Four 8×8 matrices of 16-bit numbers from registers to shared memory: r[i] holds of matrix i the entries
// (l / 4, 2 (l % 4)) and its right neighbour, and lane l names row l % 8 of matrix l / 8, 16 aligned bytes.
DEVICE void stmatrix_x4(void* row, const u32 (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};\n" ::"r"(shared_address(row)),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}

// --- Products of a warpgroup, four warps of which the first is a multiple of four.

// Keeps the compiler from moving what it does with these registers across this place.
template <int COUNT>
DEVICE void pin(float (&sums)[COUNT]) {
#pragma unroll
  for (int i = 0; i < COUNT; i++) asm volatile("" : "+f"(sums[i])::"memory");
}

// Sums of nothing.
template <int COUNT>
DEVICE void wgmma_zero(float (&sums)[COUNT]) {
#pragma unroll
  for (int i = 0; i < COUNT; i++) sums[i] = 0.0f;
  pin(sums);
}

// Orders what the threads themselves did to registers before the products that follow.
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }

// Closes the group of products since the last.
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }

// Waits until at most the LEFT newest groups are under way: the others have read their operands. With
// none left, `sums` are the threads' own again.
template <int LEFT, int COUNT>
DEVICE void wgmma_wait(float (&sums)[COUNT]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(LEFT) : "memory");
  if (LEFT == 0) pin(sums);
}

// The same without sums: whose products are done, their registers the threads own once pinned.
template <int LEFT>
DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(LEFT) : "memory");
}

#define SUMS_2(I) "+f"(sums[I]), "+f"(sums[I + 1])
#define SUMS_8(I) SUMS_2(I), SUMS_2(I + 2), SUMS_2(I + 4), SUMS_2(I + 6)

// sums [64, N] += a [64, 16] b [16, N]. With g = lane / 4 and t = 2 (lane % 4), the thread's
// sums[4 j + i] is the entry of row 16 (warp % 4) + g + 8 (i / 2) and column 8 j + t + i % 2 ("Matrix
// Fragments for wgmma.mma_async.m64nNk16"). The immediates are, in order: add to the sums; the
// factors 1 of a and b; whether each is MN-major ("Shared Memory Matrix Layout": 0 is K-major).
template <int N, bool A_MN, bool B_MN>
DEVICE void wgmma_bf16(float (&sums)[N / 2], u64 a, u64 b) {
  static_assert(N == 128 || N == 256, "the widths in use");
  if constexpr (N == 128) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "%64, %65, 1, 1, 1, %66, %67;\n"
        :
        SUMS_8(0), SUMS_8(8), SUMS_8(16), SUMS_8(24),
        SUMS_8(32), SUMS_8(40), SUMS_8(48), SUMS_8(56)
        : "l"(a), "l"(b), "n"(A_MN), "n"(B_MN));
  }
  if constexpr (N == 256) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
        "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
        "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
        "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
        "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
        "%128, %129, 1, 1, 1, %130, %131;\n"
        :
        SUMS_8(0), SUMS_8(8), SUMS_8(16), SUMS_8(24),
        SUMS_8(32), SUMS_8(40), SUMS_8(48), SUMS_8(56),
        SUMS_8(64), SUMS_8(72), SUMS_8(80), SUMS_8(88),
        SUMS_8(96), SUMS_8(104), SUMS_8(112), SUMS_8(120)
        : "l"(a), "l"(b), "n"(A_MN), "n"(B_MN));
  }
}

// sums [64, 64] = or += a [64, 16] b [16, 64], a K-major.
template <bool ADD, bool B_MN>
DEVICE void wgmma_bf16_64(float (&sums)[32], u64 a, u64 b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
      "%32, %33, %34, 1, 1, 0, %35;\n"
      :
      SUMS_8(0), SUMS_8(8), SUMS_8(16), SUMS_8(24)
      : "l"(a), "l"(b), "n"(ADD), "n"(B_MN));
}
// The same with a from registers: those of warp w hold rows 16 w to 16 w + 15 as mma's left operand
// ("Register Fragments"); they are the product's until it is waited for.
template <bool ADD, bool B_MN>
DEVICE void wgmma_bf16_64(float (&sums)[32], const u32 (&a)[4], u64 b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
      "{%32, %33, %34, %35}, %36, %37, 1, 1, %38;\n"
      :
      SUMS_8(0), SUMS_8(8), SUMS_8(16), SUMS_8(24)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(ADD), "n"(B_MN));
}

#undef SUMS_2
#undef SUMS_8
#endif
