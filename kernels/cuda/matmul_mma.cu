// Matrix products on the tensor cores of sm_80 and later: bf16 in, f32 sums in the order of k.
//
// Above the tiled rung of matmul.cu stands one step more: asynchronous copies bring slabs of both
// operands into a ring of shared memory, ldmatrix brings 16 × 16 pieces from there to registers, mma
// multiplies them.
//
// Why warps own 64 × 64 entries: a step of 16 terms takes 8 ldmatrix of 512 bytes, 32 cycles of a
// shared memory that gives 128 bytes a cycle, and 32 mma of 2048 multiply-adds, 64 cycles at 1024 a
// cycle (sm_80). With the copies into the ring, 128 cycles per slab of 512 cycles of mma, shared
// memory is busy three quarters of the time; 64 × 32 entries a warp would fill it. From the cache a
// block of 128 × 128 reads 256 numbers per term for 16384 multiply-adds, 64 a number. Two blocks of
// 4 warps and 64 KiB share a multiprocessor, so that one multiplies while the other ends its tile.
#include "product.cuh"
#include "ptx.cuh"

// Terms per slab, slabs in the ring. Rows of a slab are cut into chunks of 8 numbers, 16 bytes.
constexpr int DEPTH = 32, STAGES = 4;

// One operand's slab in shared memory, WIDTH rows of the tile by DEPTH terms, stored as the operand
// is: [WIDTH, DEPTH] if K_MAJOR, else [DEPTH, WIDTH]. The chunks of a row are permuted so that the 8
// chunks that a phase of cp.async writes and the 8 that one of ldmatrix reads (a column of chunks)
// lie in different banks: a line of 128 bytes holds two rows of DEPTH, or part of one of WIDTH.
template <bool K_MAJOR, int WIDTH, int THREADS>
struct Slab {
  static constexpr int ROW = K_MAJOR ? DEPTH : WIDTH, SIZE = DEPTH * WIDTH;
  static constexpr int CHUNKS = ROW / 8, ROWS_AT_ONCE = THREADS / CHUNKS;

  DEVICE static int place(int row, int chunk) {
    return row * ROW + (chunk ^ (K_MAJOR ? row / 2 % 4 : row % 8)) * 8;
  }

  // Starts the copies of terms l0 and on for rows w0 and on of the tile, zeros beyond the ends.
  DEVICE static void copy(bf16* slab, const bf16* from, int stride, int w0, int w_end, int l0, int l_end) {
    static_assert(ROWS_AT_ONCE % 8 == 0, "the permutation repeats");
    int chunk = int(threadIdx.x) % CHUNKS, first = int(threadIdx.x) / CHUNKS;
    int row = (K_MAJOR ? w0 : l0) + first, along = (K_MAJOR ? l0 : w0) + chunk * 8;
    int rows = (K_MAJOR ? w_end : l_end) - row;
    int bytes = 2 * max(0, min((K_MAJOR ? l_end : w_end) - along, 8));
    const bf16* at = from + u64(row) * u64(stride) + along;
    bf16* to = slab + place(first, chunk);
#pragma unroll
    for (int i = 0; i < SIZE / 8 / THREADS; i++) {
      bool there = i * ROWS_AT_ONCE < rows && bytes > 0;
      cp_async_16(to + i * ROWS_AT_ONCE * ROW, there ? at + u64(i * ROWS_AT_ONCE) * u64(stride) : from,
                  there ? bytes : 0);
    }
  }
};

// The 16 × 16 piece at row w and term l of a slab, in quarters of 8 × 8. mma wants those of its left
// operand rows first: (0, 0), (8, 0), (0, 8), (8, 8); of its right operand terms first, which gives
// registers 0 and 1 for the first 8 rows, 2 and 3 for the others.
template <bool K_MAJOR, bool RIGHT, class SLAB>
DEVICE void load_piece(u32 (&piece)[4], const bf16* slab, int w, int l) {
  int lane = int(threadIdx.x) % 32, within = lane % 8, first = lane / 8 % 2, second = lane / 16;
  int w8 = RIGHT ? second : first, l8 = RIGHT ? first : second;
  if (K_MAJOR) {
    ldmatrix_x4(piece, slab + SLAB::place(w + w8 * 8 + within, l / 8 + l8));
  } else {
    ldmatrix_x4_trans(piece, slab + SLAB::place(l + l8 * 8 + within, w / 8 + w8));
  }
}

struct alignas(8) Pair {
  float x, y;
};

// A block owns BM × BN entries, a warp WM × WN of them. While the pieces of one step of 16 terms are
// multiplied, those of the next are on their way from shared memory, and those of the next
// STAGES - 1 slabs from global memory.
template <Layout LAYOUT, int BM, int BN, int WM, int WN>
DEVICE void product_mma(const Product& p) {
  constexpr int THREADS = BM / WM * (BN / WN) * 32, STEPS = DEPTH / 16;
  constexpr bool A_K_MAJOR = LAYOUT != TN, B_K_MAJOR = LAYOUT == NT;
  using SlabA = Slab<A_K_MAJOR, BM, THREADS>;
  using SlabB = Slab<B_K_MAJOR, BN, THREADS>;
  constexpr int STAGE = SlabA::SIZE + SlabB::SIZE;
  static_assert(STAGES * STAGE * sizeof(bf16) >= BM * BN * sizeof(float), "room for the sums");
  DYNAMIC_SHARED(bf16, ring);
  Tile tile = tile_of<BM, BN>(p);
  if (tile.row >= p.row_end) return;

  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int row = warp / (BN / WN) * WM, column = warp % (BN / WN) * WN;
  int slabs = (p.k_end - p.k_begin + DEPTH - 1) / DEPTH;
  auto stage = [&](int slab) { return ring + slab % STAGES * STAGE; };
  auto copy = [&](int slab) {
    int l = p.k_begin + slab * DEPTH;
    SlabA::copy(stage(slab), p.a, p.a_stride, tile.row, p.row_end, l, p.k_end);
    SlabB::copy(stage(slab) + SlabA::SIZE, p.b, p.b_stride, tile.column, p.n, l, p.k_end);
  };
  float sums[WM / 16][WN / 8][4] = {};
  u32 left[2][WM / 16][4], right[2][WN / 16][4];
  auto load = [&](int half, const bf16* from, int l) {
#pragma unroll
    for (int i = 0; i < WM / 16; i++) load_piece<A_K_MAJOR, false, SlabA>(left[half][i], from, row + i * 16, l);
#pragma unroll
    for (int j = 0; j < WN / 16; j++)
      load_piece<B_K_MAJOR, true, SlabB>(right[half][j], from + SlabA::SIZE, column + j * 16, l);
  };
  auto multiply = [&](int half) {
#pragma unroll
    for (int i = 0; i < WM / 16; i++)
#pragma unroll
      for (int j = 0; j < WN / 8; j++) {
        const u32* piece = right[half][j / 2] + j % 2 * 2;
        mma_bf16_16816(sums[i][j], left[half][i], {piece[0], piece[1]});
      }
  };

  for (int slab = 0; slab < STAGES - 1; slab++) {
    copy(slab);
    cp_async_commit();
  }
  cp_async_wait<STAGES - 2>();
  __syncthreads();
  load(0, stage(0), 0);
#pragma unroll 1
  for (int slab = 0; slab < slabs; slab++) {
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
      if (step == STEPS - 1) {
        // The next slab has come for all, and all have read this one to its end.
        cp_async_wait<STAGES - 2>();
        __syncthreads();
      }
      // Behind the last slab this loads what is never used.
      load((step + 1) % 2, stage(step + 1 < STEPS ? slab : slab + 1), (step + 1) % STEPS * 16);
      if (step == 0) {
        // Into the place of the slab before, which all have read to its end.
        if (slab + STAGES - 1 < slabs) copy(slab + STAGES - 1);
        cp_async_commit();
      }
      multiply(step % 2);
    }
  }

  // The ring is free once everything has arrived and been read, and holds the sums.
  cp_async_wait<0>();
  __syncthreads();
  Quad<float>* waits = reinterpret_cast<Quad<float>*>(ring);
#pragma unroll
  for (int i = 0; i < WM / 16; i++)
#pragma unroll
    for (int j = 0; j < WN / 8; j++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int r = row + i * 16 + half * 8 + lane / 4, c = column + j * 8 + lane % 4 * 2;
        float* quad = waits[waiting<BN>(r, c)].v;
        *reinterpret_cast<Pair*>(quad + c % 4) = {sums[i][j][2 * half], sums[i][j][2 * half + 1]};
      }
  __syncthreads();
  finish_tile<BM, BN, THREADS>(p, tile, waits);
}

DENSE_KERNEL(128, 2, matmul_mma_nn)(PRODUCT_PARAMETERS) {
  product_mma<NN, 128, 128, 64, 64>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_mma_nn)
DENSE_KERNEL(128, 2, matmul_mma_nt)(PRODUCT_PARAMETERS) {
  product_mma<NT, 128, 128, 64, 64>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_mma_nt)
DENSE_KERNEL(128, 2, matmul_mma_tn)(PRODUCT_PARAMETERS) {
  product_mma<TN, 128, 128, 64, 64>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_mma_tn)
DENSE_KERNEL(128, 4, matmul_mma_small_nn)(PRODUCT_PARAMETERS) {
  product_mma<NN, 64, 64, 32, 32>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_mma_small_nn)
DENSE_KERNEL(128, 4, matmul_mma_small_nt)(PRODUCT_PARAMETERS) {
  product_mma<NT, 64, 64, 32, 32>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_mma_small_nt)
DENSE_KERNEL(128, 4, matmul_mma_small_tn)(PRODUCT_PARAMETERS) {
  product_mma<TN, 64, 64, 32, 32>(product_of(PRODUCT_ARGUMENTS));
}
EXPORT(matmul_mma_small_tn)
