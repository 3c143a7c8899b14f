// Barriers in shared memory that count arrivals and bytes, and the copies of boxes that report to them.
//
// A copy's target is NaN until somebody waits for its barrier: it comes as late as it may.
#pragma once

namespace shim {
namespace {

// --- The window of shared memory, as descriptors know it: dynamic memory at its beginning, behind the
// 1024 bytes that the system keeps for itself.
const u32 WINDOW = 1024;

SHIM_QUIET inline SharedMemory::Piece& dynamic_piece(const char* what, Block& block) {
  SharedMemory::Piece* piece = block.shared.of_slot[0];
  if (piece == nullptr) fail("%s: the block has no dynamic shared memory", what);
  return *piece;
}
SHIM_QUIET inline SharedMemory::Piece& dynamic_piece(const char* what) {
  return dynamic_piece(what, *SHIM_SELF->block);
}
// Within this block's memory.
SHIM_QUIET inline u32 window_address(const void* shared, size_t bytes, const char* what, Block& block) {
  SharedMemory::Piece& piece = dynamic_piece(what, block);
  i64 offset = static_cast<const char*>(shared) - piece.start;
  if (offset < 0 || size_t(offset) + bytes > piece.bytes) {
    fail("%s: %zu bytes at %lld, where dynamic shared memory has %zu", what, bytes, offset, piece.bytes);
  }
  return WINDOW + u32(offset);
}
SHIM_QUIET inline u32 window_address(const void* shared, size_t bytes, const char* what) {
  return window_address(shared, bytes, what, *SHIM_SELF->block);
}

// Another block of the cluster, which must be there.
SHIM_QUIET inline Block& block_of_rank(u32 rank, const char* what) {
  Cluster& cluster = *SHIM_SELF->block->cluster;
  if (rank >= u32(cluster.size)) fail("%s: block %u of a cluster of %d", what, rank, cluster.size);
  Block& block = *cluster.blocks[rank];
  if (block.ended()) fail("%s: block %u of the cluster has ended", what, rank);
  return block;
}
// Its counterpart of what lies in this block's shared memory.
template <class T>
SHIM_QUIET T* counterpart(T* shared, Block& block, const char* what) {
  u32 address = window_address(shared, sizeof(T), what);
  return reinterpret_cast<T*>(dynamic_piece(what, block).start + (address - WINDOW));
}

// --- Barriers, in the 8 bytes that the hardware gives them.
struct Mbarrier {
  int transactions;  // bytes announced that have not come, below zero if they came unannounced
  u8 arrivals, pending, parity, mark;
};
static_assert(sizeof(Mbarrier) == sizeof(u64), "the size of an mbarrier");
const u8 MADE = 0xb5;

SHIM_QUIET inline Mbarrier& mbarrier(u64* at, const char* what) {
  Mbarrier& barrier = *reinterpret_cast<Mbarrier*>(at);
  if (barrier.mark != MADE) fail("%s: nobody has made this barrier", what);
  return barrier;
}
SHIM_QUIET inline void settle(Mbarrier& barrier) {
  if (barrier.pending > 0 || barrier.transactions != 0) return;
  barrier.parity ^= 1;
  barrier.pending = barrier.arrivals;
}
SHIM_QUIET inline void arrive(u64* at, u32 bytes, const char* what) {
  Mbarrier& barrier = mbarrier(at, what);
  if (barrier.pending == 0) fail("%s: more arrivals in one phase than the barrier is made for", what);
  released(at);
  barrier.transactions += int(bytes);
  barrier.pending--;
  settle(barrier);
}

// --- Copies. The first words of a map, as Device::tensor_map writes them for the shim.
enum { MAP_ADDRESS, MAP_ROWS, MAP_COLUMNS, MAP_ELEMENT, MAP_BOX_ROWS, MAP_BOX_COLUMNS, MAP_SWIZZLE, MAP_STRIDE, MAP_LAYERS };

// 128 bytes, a row of a box, to their places from `address` on. The 128-byte swizzle is a function of
// the address: its bits 7 to 9 turn its bits 4 to 6.
SHIM_BARE inline void put_row(char* window, u32 address, const u64* row) {
  for (u32 chunk = 0; chunk < 8; chunk++) {
    u32 place = address + chunk * 16;
    u64* to = reinterpret_cast<u64*>(window + (place ^ (place >> 7 & 7) << 4));
    to[0] = row[2 * chunk];
    to[1] = row[2 * chunk + 1];
  }
}

// Row by row, zeros beyond the edges. The only look that sanitizers get is that at the matrix.
SHIM_QUIET inline void bring(const BoxCopy& copy) {
  const u64* map = copy.map;
  u64 element = map[MAP_ELEMENT], column = u64(copy.column);
  u64 left = column < map[MAP_COLUMNS] ? (map[MAP_COLUMNS] - column) * element : 0;
  u32 begin = window_address(copy.to, copy.bytes, "copy_box");
  char* window = reinterpret_cast<char*>(copy.to) - begin;
  for (u64 r = 0; r < map[MAP_BOX_ROWS]; r++) {
    u64 row = u64(copy.row) + r, bytes[16] = {};
    u64 from = map[MAP_ADDRESS] + (u64(copy.layer) * map[MAP_ROWS] + row) * map[MAP_STRIDE] + column * element;
    if (row < map[MAP_ROWS]) memcpy(bytes, reinterpret_cast<const void*>(from), left < 128 ? left : 128);
    put_row(window, begin + u32(r) * 128, bytes);
  }
}

// Everything that is on its way to this barrier comes.
SHIM_QUIET inline void deliver(u64* at) {
  Asynchronous& async = SHIM_SELF->block->async;
  Mbarrier& barrier = mbarrier(at, "mbarrier_wait");
  int kept = 0;
  for (int i = 0; i < async.copy_count; i++) {
    BoxCopy& copy = async.copies[i];
    if (copy.barrier != at) {
      if (kept != i) async.copies[kept] = copy;
      kept++;
      continue;
    }
    bring(copy);
    barrier.transactions -= int(copy.bytes);
  }
  bool any = kept < async.copy_count;
  async.copy_count = kept;
  if (any) settle(barrier);
}
// Copies come for those alone whose phase lacks them.
SHIM_QUIET inline bool ended(u64* at, u32 parity) {
  Mbarrier& barrier = mbarrier(at, "mbarrier_wait");
  if (barrier.parity == parity) deliver(at);
  return barrier.parity != parity;
}

// Whether two spans of the window share a byte.
inline bool meets(u32 first, u32 first_end, u32 other, u32 other_end) {
  return first < other_end && other < first_end;
}
void nobody_reads(u32 begin, u32 end, Block& block);  // wgmma.hpp

SHIM_QUIET inline void start_copy(u8* shared, const u64* map, int column, int row, int layer, u64* barrier,
                                  Block& block) {
  Asynchronous& async = block.async;
  mbarrier(barrier, "copy_box");
  if (map[MAP_SWIZZLE] != 128) fail("copy_box: only the 128-byte swizzle is modelled");
  if (map[MAP_BOX_COLUMNS] * map[MAP_ELEMENT] != 128) fail("copy_box: only rows of 128 bytes are modelled");
  if (column < 0 || row < 0) fail("copy_box from (%d, %d): only boxes from the edge on are modelled", row, column);
  if (layer < 0 ? map[MAP_LAYERS] != 0 : u64(layer) >= map[MAP_LAYERS]) {
    fail("copy_box from layer %d of a map with %llu", layer, map[MAP_LAYERS]);
  }
  size_t bytes = size_t(map[MAP_BOX_ROWS]) * 128;
  u32 begin = window_address(shared, bytes, "copy_box", block), end = begin + u32(bytes);
  if (begin % 1024 != 0) fail("copy_box: the target at %u is not aligned to 1024 bytes", begin - WINDOW);
  nobody_reads(begin, end, block);
  for (int i = 0; i < async.copy_count; i++) {
    u32 other = window_address(async.copies[i].to, 0, "copy_box", block);
    if (meets(begin, end, other, other + u32(async.copies[i].bytes))) {
      fail("copy_box: another copy to %u is still on its way", begin - WINDOW);
    }
  }
  if (async.copy_count == Asynchronous::COPIES) fail("more than %d copies on their way", async.copy_count);
  BoxCopy& copy = async.copies[async.copy_count++];
  copy = BoxCopy{shared, bytes, {}, column, row, layer < 0 ? 0 : layer, barrier};
  for (int i = 0; i < 9; i++) copy.map[i] = map[i];
  u64 unknown[16];
  for (u64& word : unknown) word = ~u64(0);
  for (u32 i = 0; i < bytes; i += 128) put_row(reinterpret_cast<char*>(copy.to) - begin, begin + i, unknown);
}

}  // namespace
}  // namespace shim

SHIM_QUIET inline void mbarrier_init(u64* barrier, u32 arrivals) {
  if (arrivals == 0 || arrivals > 255) shim::fail("mbarrier_init for %u arrivals", arrivals);
  *reinterpret_cast<shim::Mbarrier*>(barrier) = {0, u8(arrivals), u8(arrivals), 0, shim::MADE};
}
inline void async_fence() {}
inline void mbarrier_arrive(u64* barrier) { shim::arrive(barrier, 0, "mbarrier_arrive"); }
inline void mbarrier_arrive_expect(u64* barrier, u32 bytes) {
  shim::arrive(barrier, bytes, "mbarrier_arrive_expect");
}
inline void mbarrier_arrive_at(u64* barrier, u32 rank) {
  shim::Block& block = shim::block_of_rank(rank, "mbarrier_arrive_at");
  shim::arrive(shim::counterpart(barrier, block, "mbarrier_arrive_at"), 0, "mbarrier_arrive_at");
}
inline void mbarrier_wait(u64* barrier, u32 parity, SHIM_HERE) {
  shim_yield_until([=] { return shim::ended(barrier, parity); }, "mbarrier_wait", barrier, file, line);
}
template <class Map>
inline void copy_box(void* shared, const Map* map, int column, int row, u64* barrier) {
  shim::start_copy(static_cast<u8*>(shared), map->words, column, row, -1, barrier, *SHIM_SELF->block);
}
template <class Map>
inline void copy_box_of_layer(void* shared, const Map* map, int column, int row, int layer, u64* barrier) {
  shim::start_copy(static_cast<u8*>(shared), map->words, column, row, layer, barrier, *SHIM_SELF->block);
}
template <class Map>
inline void copy_box_to(u32 blocks, void* shared, const Map* map, int column, int row, u64* barrier) {
  for (u32 rank = 0; blocks >> rank != 0; rank++) {
    if ((blocks >> rank & 1) == 0) continue;
    shim::Block& block = shim::block_of_rank(rank, "copy_box_to");
    shim::start_copy(shim::counterpart(static_cast<u8*>(shared), block, "copy_box_to"), map->words, column, row, -1,
                     shim::counterpart(barrier, block, "copy_box_to"), block);
  }
}
inline void barriers_made() {}
template <class Map>
inline void prefetch_map(const Map*) {}
template <int COUNT>
inline void give_registers() {}
template <int COUNT>
inline void take_registers() {}
