// Matrix products on Hopper's tensor cores (sm_90a): bf16 in, f32 sums in the order of k.
//
// Above the mma rung stands one step more: nothing passes through registers but the sums. One thread
// asks for whole boxes of both operands, which arrive in a ring of shared memory by themselves; two
// warpgroups multiply straight from there, and a ring of barriers tells each side of the other.
//
// Why a block owns 128 × 256 entries: at 2048 multiply-adds a cycle, a term of 128 × 256 lasts 16
// cycles, in which its 384 numbers come from the cache, 48 bytes a cycle and multiprocessor; 128 × 128
// ask for 64, a third more. A step of 16 terms, m64n256k16, lasts 128 cycles and reads 64 + 256 rows
// of 32 bytes, 80 cycles of a shared memory that gives 128 bytes a cycle. The sums fill 128 registers of
// each thread, so that one block has a multiprocessor for itself. Each quarter of it, with 512 registers
// a lane, holds a warp of either warpgroup that multiplies and one that does not and gives up its share.
// Blocks stay and walk through the tiles: while one is being ended, the ring already fills with slabs
// of the next, and its two halves end it each at its own time.
#include "hopper.cuh"
#include "product.cuh"

// Terms per slab, one row of 128 bytes of a K-major operand; shares of a split begin at multiples of it.
constexpr int DEPTH = 64, BOX = 64 * DEPTH;
static_assert(SPLIT_UNIT % DEPTH == 0, "slabs do not cross from one share to the next");
// Warps that multiply; threads, with the warpgroup that copies; registers of a thread of either: as
// many were launched for all, 65536 / 384 in whole eights.
constexpr int CONSUMERS = 8, THREADS = (CONSUMERS + 4) * 32, FEW = 40, MANY = 232;
static_assert(4 * FEW + CONSUMERS * MANY <= (CONSUMERS + 4) * 168, "what is given suffices for what is taken");

// One operand's slab in shared memory, WIDTH rows of the tile by DEPTH terms: if K_MAJOR one box
// [WIDTH, DEPTH], else boxes [DEPTH, 64], side by side. All are swizzled rows of 128 bytes.
template <bool K_MAJOR, int WIDTH>
struct Slab {
  static constexpr int SIZE = DEPTH * WIDTH;

  // Asks for terms l and on of rows w and on of the matrix.
  DEVICE static void copy(bf16* slab, const TensorMap* map, int w, int l, u64* barrier) {
    if (K_MAJOR) {
      copy_box(slab, map, l, w, barrier);
    } else {
      for (int box = 0; box < WIDTH / 64; box++) copy_box(slab + box * BOX, map, w + box * 64, l, barrier);
    }
  }

  // Of rows w and on, a multiple of 64, and terms l to l + 15. Within a K-major row 16 terms are 32
  // bytes further, which the swizzle of the hardware, a function of the address, bears; otherwise 16
  // rows, twice the pattern.
  DEVICE static u64 descriptor(const bf16* slab, int w, int l) {
    return K_MAJOR ? operand_descriptor(shared_address(slab + w * 64 + l), 16, 8 * 128)
                   : operand_descriptor(shared_address(slab + w / 64 * BOX + l * 64), BOX * 2, 8 * 128);
  }

  // Writes zeros from term `begin` of the slab on, by one warp.
  DEVICE static void clear(bf16* slab, int begin) {
    for (int i = int(threadIdx.x) % 32; i < SIZE; i += 32) {
      int row = i / 64, column = i % 64, term = K_MAJOR ? column : row % DEPTH;
      if (term >= begin) slab[swizzled(row, column)] = bf16{0};
    }
  }
};

// A place in a ring, and the parity of the round.
template <int STAGES>
struct Turn {
  int stage = 0;
  u32 parity = 0;
  DEVICE void next() {
    if (++stage == STAGES) stage = 0, parity ^= 1;
  }
};

// What a block keeps in shared memory.
template <Layout LAYOUT, int BN>
struct Room {
  static constexpr int BM = 128, STAGES = BN == 256 ? 4 : 6;
  static constexpr bool A_K_MAJOR = LAYOUT != TN, B_K_MAJOR = LAYOUT == NT;
  using SlabA = Slab<A_K_MAJOR, BM>;
  using SlabB = Slab<B_K_MAJOR, BN>;
  struct Stage {
    bf16 a[SlabA::SIZE], b[SlabB::SIZE];
  };
  Stage ring[STAGES];
  // Sums of 16 × 64 entries on their way from a warp's registers to whole lines of the output.
  Quad<float> waits[CONSUMERS][16 * 64 / 4];
  // A stage is full; it has been read; the slab that needs a hand has come.
  u64 full[STAGES], empty[STAGES], ragged;
};

// The tiles of this block, as both sides walk through them: `work(tile)`.
template <int BM, int BN, class Work>
DEVICE void each_tile(const Product& p, Work work) {
  int tiles = (p.m + BM - 1) / BM * ((p.n + BN - 1) / BN);
#pragma unroll 1
  for (int number = int(blockIdx.x); number < tiles; number += int(gridDim.x)) {
    Tile tile = tile_of<BM, BN>(p, number);
    if (tile.row < p.row_end) work(tile);
  }
}

// One warp keeps the ring full. Beyond the end of k there are zeros, but beyond a limit that only
// the device knows there may be anything: such a slab is cleared by hand before it counts as full.
template <Layout LAYOUT, int BN>
DEVICE void produce(Room<LAYOUT, BN>& room, const Product& p, const TensorMap* map_a, const TensorMap* map_b) {
  using R = Room<LAYOUT, BN>;
  Turn<R::STAGES> turn;
  bool first = threadIdx.x % 32 == 0;
  u32 ragged = 0;
  each_tile<R::BM, BN>(p, [&](Tile tile) {
#pragma unroll 1
    for (int l = p.k_begin; l < p.k_end; l += DEPTH) {
      typename R::Stage& stage = room.ring[turn.stage];
      u64* full = &room.full[turn.stage];
      bool by_hand = l + DEPTH > p.k_end && p.k_end < p.k;
      u64* come = by_hand ? &room.ragged : full;
      mbarrier_wait(&room.empty[turn.stage], turn.parity ^ 1);
      if (first) {
        mbarrier_arrive_expect(come, sizeof(typename R::Stage));
        R::SlabA::copy(stage.a, map_a, tile.row, l, come);
        R::SlabB::copy(stage.b, map_b, tile.column, l, come);
      }
      if (by_hand) {
        mbarrier_wait(come, ragged);
        ragged ^= 1;
        R::SlabA::clear(stage.a, p.k_end - l);
        R::SlabB::clear(stage.b, p.k_end - l);
        async_fence();
        __syncwarp();
        if (first) mbarrier_arrive(full);
      }
      turn.next();
    }
  });
}

struct alignas(8) Pair {
  float x, y;
};

// Each of two warpgroups multiplies 64 rows of the tile by all its columns. A slab is handed back once
// the products of the next are under way and its own are done.
template <Layout LAYOUT, int BN>
DEVICE void consume(Room<LAYOUT, BN>& room, const Product& p) {
  using R = Room<LAYOUT, BN>;
  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int half = warp / 4 * 64, row = warp * 16;
  Quad<float>* waits = room.waits[warp];
  Turn<R::STAGES> turn;
  each_tile<R::BM, BN>(p, [&](Tile tile) {
    float sums[BN / 2];
    wgmma_zero(sums);
    u64* reading = nullptr;
#pragma unroll 1
    for (int l = p.k_begin; l < p.k_end; l += DEPTH) {
      const typename R::Stage& stage = room.ring[turn.stage];
      mbarrier_wait(&room.full[turn.stage], turn.parity);
      wgmma_fence();
#pragma unroll
      for (int step = 0; step < DEPTH; step += 16)
        wgmma_bf16<BN, !R::A_K_MAJOR, !R::B_K_MAJOR>(sums, R::SlabA::descriptor(stage.a, half, step),
                                                     R::SlabB::descriptor(stage.b, 0, step));
      wgmma_commit();
      wgmma_wait<1>(sums);
      if (reading && lane == 0) mbarrier_arrive(reading);
      reading = &room.empty[turn.stage];
      turn.next();
    }
    wgmma_wait<0>(sums);
    if (reading && lane == 0) mbarrier_arrive(reading);

#pragma unroll
    for (int part = 0; part < BN / 64; part++) {
      __syncwarp();
#pragma unroll
      for (int j = 0; j < 8; j++)
#pragma unroll
        for (int upper = 0; upper < 2; upper++) {
          int r = upper * 8 + lane / 4, c = j * 8 + lane % 4 * 2;
          const float* pair = sums + part * 32 + j * 4 + upper * 2;
          *reinterpret_cast<Pair*>(waits[waiting<64>(r, c)].v + c % 4) = {pair[0], pair[1]};
        }
      __syncwarp();
      finish_tile<16, 64, 32>(p, Tile{tile.row + row, tile.column + part * 64}, waits, lane);
    }
  });
}

template <Layout LAYOUT, int BN>
DEVICE void product_wgmma(const Product& p, const TensorMap* map_a, const TensorMap* map_b) {
  using R = Room<LAYOUT, BN>;
  DYNAMIC_SHARED(R, memory);
  R& room = *memory;
  if (threadIdx.x == 0) {
    prefetch_map(map_a);
    prefetch_map(map_b);
    for (int stage = 0; stage < R::STAGES; stage++) {
      mbarrier_init(&room.full[stage], 1);
      mbarrier_init(&room.empty[stage], CONSUMERS);
    }
    mbarrier_init(&room.ragged, 1);
    async_fence();
  }
  __syncthreads();
  int warp = int(threadIdx.x) / 32;
  if (warp >= CONSUMERS) {
    give_registers<FEW>();
    if (warp == CONSUMERS) produce(room, p, map_a, map_b);
  } else {
    take_registers<MANY>();
    consume(room, p);
  }
}

// The operands come through the maps: of a [m, k] boxes of 128 × 64, of b [n, k] of BN × 64, of a
// [k, m] and b [k, n] of 64 × 64.
#define WGMMA_PARAMETERS \
  PRODUCT_PARAMETERS, const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b

DENSE_KERNEL(THREADS, 1, matmul_wgmma_nn)(WGMMA_PARAMETERS) {
  product_wgmma<NN, 256>(product_of(PRODUCT_ARGUMENTS), &map_a, &map_b);
}
EXPORT(matmul_wgmma_nn)
DENSE_KERNEL(THREADS, 1, matmul_wgmma_nt)(WGMMA_PARAMETERS) {
  product_wgmma<NT, 256>(product_of(PRODUCT_ARGUMENTS), &map_a, &map_b);
}
EXPORT(matmul_wgmma_nt)
DENSE_KERNEL(THREADS, 1, matmul_wgmma_tn)(WGMMA_PARAMETERS) {
  product_wgmma<TN, 256>(product_of(PRODUCT_ARGUMENTS), &map_a, &map_b);
}
EXPORT(matmul_wgmma_tn)
DENSE_KERNEL(THREADS, 1, matmul_wgmma_small_nn)(WGMMA_PARAMETERS) {
  product_wgmma<NN, 128>(product_of(PRODUCT_ARGUMENTS), &map_a, &map_b);
}
EXPORT(matmul_wgmma_small_nn)
DENSE_KERNEL(THREADS, 1, matmul_wgmma_small_nt)(WGMMA_PARAMETERS) {
  product_wgmma<NT, 128>(product_of(PRODUCT_ARGUMENTS), &map_a, &map_b);
}
EXPORT(matmul_wgmma_small_nt)
DENSE_KERNEL(THREADS, 1, matmul_wgmma_small_tn)(WGMMA_PARAMETERS) {
  product_wgmma<TN, 128>(product_of(PRODUCT_ARGUMENTS), &map_a, &map_b);
}
EXPORT(matmul_wgmma_small_tn)
