// Matrix products on Hopper's tensor cores (sm_90a): bf16 in, f32 sums in the order of k.
//
// Above the mma rung stands one step more: nothing passes through registers but the sums. One thread
// asks for whole boxes of both operands, which arrive in a ring of shared memory by themselves; two
// warpgroups multiply straight from there, and a ring of barriers tells each side of the other.
//
// Why a block owns 128 × 256 entries: at 2048 multiply-adds a cycle, a term of 128 × 256 lasts 16
// cycles, in which its 384 numbers come from the cache, 48 bytes a cycle and multiprocessor; 128 × 128
// ask for 64. The second-level cache has some 5120 bytes a cycle for all 132, 39 for each. So two blocks,
// one above the other, form a cluster: each brings its own rows of a and half of what both want of b, and
// 32 bytes (48) are left. A step of 16 terms, m64n256k16, lasts 128 cycles and reads 64 + 256 rows of 32
// bytes, 80 cycles of a shared memory that gives 128 bytes a cycle. The sums fill 128 registers of each
// thread, so that one block has a multiprocessor for itself. Each quarter of it, with 512 registers a lane,
// holds a warp of either warpgroup that multiplies and one that does not and gives up its share.
//
// Blocks stay and walk through the tiles. At k = 768 a tile lasts 12288 cycles, and to write it a tenth of
// that: so one warpgroup is half a ring ahead of the other, which multiplies while the first ends a tile,
// and the other way round. Sums go through shared memory to whole lines, rounded before if they will be.
#include "hopper.cuh"
#include "product.cuh"

// Terms per slab, one row of 128 bytes of a K-major operand; shares of a split begin at multiples of it.
constexpr int DEPTH = 64, BOX = 64 * DEPTH;
static_assert(SPLIT_UNIT % DEPTH == 0, "slabs do not cross from one share to the next");
// Warps that multiply; threads, with the warpgroup that copies; registers of a thread of either: as
// many were launched for all, 65536 / 384 in whole eights.
constexpr int CONSUMERS = 8, THREADS = (CONSUMERS + 4) * 32, FEW = 40, MANY = 232;
static_assert(4 * FEW + CONSUMERS * MANY <= (CONSUMERS + 4) * 168, "what is given suffices for what is taken");

// Blocks of a cluster, one above the other: they share the slabs of b, of which each brings a part to all.
constexpr u32 SHARERS = 2;

// One operand's slab in shared memory, WIDTH rows of the tile by DEPTH terms: boxes of 64 rows, which are
// [64, DEPTH] if K_MAJOR, else [DEPTH, 64]. All are swizzled rows of 128 bytes.
template <bool K_MAJOR, int WIDTH>
struct Slab {
  static constexpr int SIZE = DEPTH * WIDTH;

  // Asks for terms l and on of rows w and on of the matrix.
  DEVICE static void copy(bf16* slab, const TensorMap* map, int w, int l, u64* barrier) {
    for (int box = 0; box < WIDTH / 64; box++) {
      int row = w + box * 64;
      copy_box(slab + box * BOX, map, K_MAJOR ? l : row, K_MAJOR ? row : l, barrier);
    }
  }
  // The same, by all blocks of the cluster for all.
  DEVICE static void copy_shared(u32 rank, bf16* slab, const TensorMap* map, int w, int l, u64* barrier) {
    constexpr int SHARE = WIDTH / 64 / int(SHARERS);
    static_assert(SHARE * 64 * int(SHARERS) == WIDTH, "whole boxes for everybody");
    for (int i = 0; i < SHARE; i++) {
      int box = int(rank) * SHARE + i, row = w + box * 64;
      copy_box_to((1 << SHARERS) - 1, slab + box * BOX, map, K_MAJOR ? l : row, K_MAJOR ? row : l, barrier);
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
  // Slabs that the first warpgroup is ahead of the second.
  static constexpr int LEAD = STAGES / 2;
  static constexpr bool A_K_MAJOR = LAYOUT != TN, B_K_MAJOR = LAYOUT == NT;
  using SlabA = Slab<A_K_MAJOR, BM>;
  using SlabB = Slab<B_K_MAJOR, BN>;
  struct Stage {
    bf16 a[SlabA::SIZE], b[SlabB::SIZE];
  };
  Stage ring[STAGES];
  // Sums of 16 × 64 entries on their way from a warp's registers to whole lines of the output.
  Quad<float> waits[CONSUMERS][16 * 64 / 4];
  // A stage is full; all blocks have read it; the slab that needs a hand has come; the first warpgroup
  // has its lead.
  u64 full[STAGES], empty[STAGES], ragged[STAGES], lead;
};

DEVICE u32 rank_in_cluster() { return blockIdx.x % SHARERS; }

// The tiles of this block, as both sides walk through them: `work(tile)`. A cluster takes as many as it has
// blocks, one above the other; what of them lies below the rows that take part is multiplied in vain.
template <int BM, int BN, class Work>
DEVICE void each_tile(const Product& p, Work work) {
  constexpr int HIGH = BM * int(SHARERS);
  int tiles = (p.m + HIGH - 1) / HIGH * ((p.n + BN - 1) / BN), step = int(gridDim.x / SHARERS);
#pragma unroll 1
  for (int number = int(blockIdx.x / SHARERS); number < tiles; number += step) {
    Tile tile = tile_of<HIGH, BN>(p, number);
    if (tile.row < p.row_end) work(Tile{tile.row + int(rank_in_cluster()) * BM, tile.column});
  }
}

// One warp keeps the ring full: with a slab of a for this block, and with its part of b for all blocks of
// the cluster, once all have read what stood there. Beyond the end of k there are zeros, but beyond a
// limit that only the device knows there may be anything: such a slab is cleared by hand before it counts
// as full.
template <Layout LAYOUT, int BN>
DEVICE void produce(Room<LAYOUT, BN>& room, const Product& p, const TensorMap* map_a, const TensorMap* map_b) {
  using R = Room<LAYOUT, BN>;
  Turn<R::STAGES> turn;
  bool first = threadIdx.x % 32 == 0;
  u32 ragged = 0;  // the parity of each stage's barrier
  each_tile<R::BM, BN>(p, [&](Tile tile) {
#pragma unroll 1
    for (int l = p.k_begin; l < p.k_end; l += DEPTH) {
      typename R::Stage& stage = room.ring[turn.stage];
      u64* full = &room.full[turn.stage];
      bool by_hand = l + DEPTH > p.k_end && p.k_end < p.k;
      u64* come = by_hand ? &room.ragged[turn.stage] : full;
      mbarrier_wait(&room.empty[turn.stage], turn.parity ^ 1);
      if (first) {
        mbarrier_arrive_expect(come, sizeof(typename R::Stage));
        R::SlabA::copy(stage.a, map_a, tile.row, l, come);
        R::SlabB::copy_shared(rank_in_cluster(), stage.b, map_b, tile.column, l, come);
      }
      if (by_hand) {
        mbarrier_wait(come, ragged >> turn.stage & 1);
        ragged ^= 1u << turn.stage;
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
struct alignas(16) Chunk {
  u32 v[4];
};
// Of a column and its right neighbour.
struct alignas(2 * sizeof(act)) Biases {
  act x, y;
};

// The last step for a warp's 16 rows of a tile, in parts of one line, 128 bytes, of each row: out of the
// registers, as products leave the sums, through shared memory, to whole lines of the output. A lane
// writes, and reads what was there, 16 bytes of rows lane / 8 + 4 i.
template <class T>
struct Lines {
  static constexpr int COLUMNS = 128 / sizeof(T), EACH = 16 / sizeof(T);
  T* out;
  const Product& p;
  Tile tile;
  int lane;

  DEVICE T* at(int part, int i) const {
    return out + u64(tile.row + i * 4 + lane / 8) * u64(p.out_stride) + tile.column + part * COLUMNS + lane % 8 * EACH;
  }
  // Whether lines can be written whole, and the bias read in pairs.
  DEVICE bool aligned() const {
    u64 bits = reinterpret_cast<u64>(out) | u64(p.out_stride) * sizeof(T);
    bool pairs = reinterpret_cast<u64>(p.bias) % sizeof(Biases) == 0;
    return (bits & 15) == 0 && pairs && tile.row + 16 <= p.row_end;
  }
  DEVICE bool inside(int part) const { return tile.column + (part + 1) * COLUMNS <= p.n; }
  DEVICE void load(Chunk (&old)[4], int part) const {
#pragma unroll
    for (int i = 0; i < 4; i++) old[i] = *reinterpret_cast<const Chunk*>(at(part, i));
  }
  // That of columns 8 j + 2 (lane % 4) of the part.
  DEVICE void load_bias(Biases (&bias)[COLUMNS / 8], int part) const {
    if (!p.bias) return;
    const act* from = p.bias + tile.column + part * COLUMNS + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < COLUMNS / 8; j++) bias[j] = *reinterpret_cast<const Biases*>(from + j * 8);
  }

  // Asks the cache for the first PARTS parts as they are.
  template <int PARTS>
  DEVICE void prefetch() const {
    for (int line = lane; line < 16 * PARTS; line += 32) {
      int row = line / PARTS, part = line % PARTS;
      if (tile.row + row < p.row_end && inside(part))
        prefetch_line(out + u64(tile.row + row) * u64(p.out_stride) + tile.column + part * COLUMNS);
    }
  }

  // `sums` are those of 16 × COLUMNS entries, `room` has 2048 bytes; ADD is p.accumulate.
  template <bool ADD>
  DEVICE void write_lines(const float* sums, u8* room, int part) const;
};

template <>
template <bool ADD>
DEVICE void Lines<bf16>::write_lines(const float* sums, u8* room, int part) const {
  bf16* waits = reinterpret_cast<bf16*>(room);
  Chunk old[4];
  if (ADD) load(old, part);
  Biases bias[COLUMNS / 8] = {};
  load_bias(bias, part);
  if (ADD) {
#pragma unroll
    for (int i = 0; i < 4; i++)
      *reinterpret_cast<Chunk*>(waits + swizzled(i * 4 + lane / 8, lane % 8 * 8)) = old[i];
    __syncwarp();
  }
#pragma unroll
  for (int j = 0; j < 8; j += 2) {
    // Rows 0 to 7 and 8 to 15 of columns 8 j and on, then of the next eight: as they lie in registers.
    bf16* row = waits + swizzled(lane % 16, (j + lane / 16) * 8);
    u32 pairs[4] = {};
    if (ADD) ldmatrix_x4(pairs, row);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      float x = scaled(p, sums[j * 4 + i * 2], bias[j + i / 2].x);
      float y = scaled(p, sums[j * 4 + i * 2 + 1], bias[j + i / 2].y);
      if (ADD) x += to_float(bf16{u16(pairs[i])}), y += to_float(bf16{u16(pairs[i] >> 16)});
      pairs[i] = pair_bf16(x, y);
    }
    if (ADD) __syncwarp();
    stmatrix_x4(row, pairs);
  }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < 4; i++)
    *reinterpret_cast<Chunk*>(at(part, i)) =
        *reinterpret_cast<const Chunk*>(waits + swizzled(i * 4 + lane / 8, lane % 8 * 8));
}

// Quads of a row of 32 numbers turn by pairs, so that those of the registers and of a line meet no bank
// conflict.
DEVICE int turned(int row, int column) { return row * 32 + ((column / 4 ^ row % 4 * 2) * 4 | column % 4); }

template <>
template <bool ADD>
DEVICE void Lines<float>::write_lines(const float* sums, u8* room, int part) const {
  float* waits = reinterpret_cast<float*>(room);
  Chunk old[4];
  if (ADD) load(old, part);
  Biases bias[COLUMNS / 8] = {};
  load_bias(bias, part);
#pragma unroll
  for (int j = 0; j < 4; j++)
#pragma unroll
    for (int upper = 0; upper < 2; upper++) {
      const float* pair = sums + j * 4 + upper * 2;
      *reinterpret_cast<Pair*>(waits + turned(upper * 8 + lane / 4, j * 8 + lane % 4 * 2)) = {
          scaled(p, pair[0], bias[j].x), scaled(p, pair[1], bias[j].y)};
    }
  __syncwarp();
#pragma unroll
  for (int i = 0; i < 4; i++) {
    Quad<float> quad = *reinterpret_cast<const Quad<float>*>(waits + turned(i * 4 + lane / 8, lane % 8 * 4));
    if (ADD)
      for (int c = 0; c < 4; c++) quad.v[c] += __uint_as_float(old[i].v[c]);
    *reinterpret_cast<Quad<float>*>(at(part, i)) = quad;
  }
}

// Of 16 × 64 entries, some of which may lie outside, or anywhere.
template <class T>
DEVICE void write_ragged(const Lines<T>& lines, const float* sums, Quad<float>* waits, int part) {
  int lane = lines.lane;
  __syncwarp();
#pragma unroll
  for (int j = 0; j < 8; j++)
#pragma unroll
    for (int upper = 0; upper < 2; upper++) {
      int r = upper * 8 + lane / 4, c = j * 8 + lane % 4 * 2;
      const float* pair = sums + j * 4 + upper * 2;
      *reinterpret_cast<Pair*>(waits[waiting<64>(r, c)].v + c % 4) = {pair[0], pair[1]};
    }
  __syncwarp();
#pragma unroll 1
  for (int entry = lane; entry < 16 * 64; entry += 32) {
    int r = entry / 64, c = entry % 64;
    finish_entry(lines.out, lines.p, lines.tile.row + r, lines.tile.column + part * 64 + c, waits[waiting<64>(r, c)].v[c % 4]);
  }
}

template <class T, int BN>
DEVICE void end_rows(const Lines<T>& lines, const float (&sums)[BN / 2], Quad<float>* waits) {
  constexpr int PARTS = BN / Lines<T>::COLUMNS, PER = 64 / Lines<T>::COLUMNS;
  bool aligned = lines.aligned();
  auto whole = [&](int part) { return aligned && lines.inside(part * PER + PER - 1); };
  // In halves of the room in turn: who is slow to read one is met at the other.
  auto room = [&](int line) { return reinterpret_cast<u8*>(waits) + line % 2 * 2048; };
  __syncwarp();
  if (lines.p.accumulate) {
#pragma unroll
    for (int line = 0; line < PARTS; line++)
      if (whole(line / PER)) lines.template write_lines<true>(sums + line * Lines<T>::COLUMNS / 2, room(line), line);
  } else {
#pragma unroll
    for (int line = 0; line < PARTS; line++)
      if (whole(line / PER)) lines.template write_lines<false>(sums + line * Lines<T>::COLUMNS / 2, room(line), line);
  }
#pragma unroll
  for (int part = 0; part < BN / 64; part++)
    if (!whole(part)) write_ragged(lines, sums + part * 32, waits, part);
}

// Each of two warpgroups multiplies 64 rows of the tile by all its columns. A slab is handed back once
// the products of the next are under way and its own are done.
//
// The first begins each tile alone and keeps its lead, so that one multiplies while the other ends a
// tile. A tile of fewer slabs than the ring has stages, of which the first might be through before the
// second begins, has no such order.
template <Layout LAYOUT, int BN>
DEVICE void consume(Room<LAYOUT, BN>& room, const Product& p) {
  using R = Room<LAYOUT, BN>;
  int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int half = warp / 4 * 64, row = warp * 16;
  bool ordered = p.k_end - p.k_begin > R::STAGES * DEPTH, leads = ordered && warp < 4 && lane == 0;
  bool follows = ordered && warp >= 4;
  Quad<float>* waits = room.waits[warp];
  Turn<R::STAGES> turn;
  u32 parity = 0;
  each_tile<R::BM, BN>(p, [&](Tile tile) {
    float sums[BN / 2];
    wgmma_zero(sums);
    u64* reading = nullptr;
    Tile own{tile.row + row, tile.column};
    if (p.accumulate && !p.wide) Lines<act>{p.out, p, own, lane}.template prefetch<BN / 64>();
    if (follows) mbarrier_wait(&room.lead, parity);
    parity ^= 1;
    int lead = p.k_begin + (R::LEAD - 1) * DEPTH;
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
      if (leads && l == lead) mbarrier_arrive(&room.lead);
      wgmma_wait<1>(sums);
      if (reading && lane < int(SHARERS)) mbarrier_arrive_at(reading, u32(lane));
      reading = &room.empty[turn.stage];
      turn.next();
    }
    wgmma_wait<0>(sums);
    if (reading && lane < int(SHARERS)) mbarrier_arrive_at(reading, u32(lane));
    if (p.wide) {
      end_rows<float, BN>(Lines<float>{p.wide + slice(p), p, own, lane}, sums, waits);
    } else {
      end_rows<act, BN>(Lines<act>{p.out + slice(p), p, own, lane}, sums, waits);
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
      mbarrier_init(&room.empty[stage], CONSUMERS * SHARERS);
      mbarrier_init(&room.ragged[stage], 1);
    }
    mbarrier_init(&room.lead, 4);
    barriers_made();
    async_fence();
  }
  cluster_sync();
  int warp = int(threadIdx.x) / 32;
  if (warp >= CONSUMERS) {
    give_registers<FEW>();
    if (warp == CONSUMERS) produce(room, p, map_a, map_b);
  } else {
    take_registers<MANY>();
    consume(room, p);
  }
  // Nobody leaves while another block may still write to it.
  cluster_sync();
}

// The operands come through the maps, in boxes of 64 × 64.
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
