// Models of the instructions that ptx.cuh wraps: asynchronous copies, ldmatrix, mma.
#pragma once

namespace shim {
namespace {

inline void aligned_16(const void* address, const char* what) {
  if (uintptr_t(address) % 16 != 0) fail("%s: address %p is not aligned to 16 bytes", what, address);
}

// A row of eight bf16 comes from each lane, lane 8m + r bringing row r of matrix m. Each lane reads
// its own row as it arrives: the instruction orders nothing that other lanes wrote.
struct LoadMatrix {
  u16 row[8];
  u32 result[4];
  bool transposed;
  SHIM_QUIET static void answer(LoadMatrix* const* lanes) {
    for (int lane = 0; lane < 32; lane++) {
      int major = lane / 4, minor = lane % 4 * 2;
      for (int m = 0; m < 4; m++) {
        LoadMatrix* const* rows = lanes + 8 * m;
        bool t = lanes[lane]->transposed;
        u32 low = t ? rows[minor]->row[major] : rows[major]->row[minor];
        u32 high = t ? rows[minor + 1]->row[major] : rows[major]->row[minor + 1];
        lanes[lane]->result[m] = low | high << 16;
      }
    }
  }
};
inline void load_matrix(u32 (&r)[4], const void* row, bool transposed, Site site) {
  aligned_16(row, site.what);
  LoadMatrix request{};
  memcpy(request.row, row, 16);
  request.transposed = transposed;
  warp_meet(request, site);
  memcpy(r, request.result, sizeof r);
}

// The other way: each lane writes the row that it names.
struct StoreMatrix {
  u32 pairs[4];
  u16 row[8];
  SHIM_QUIET static void answer(StoreMatrix* const* lanes) {
    for (int lane = 0; lane < 32; lane++) {
      for (int m = 0; m < 4; m++) {
        u16* row = lanes[8 * m + lane / 4]->row + lane % 4 * 2;
        row[0] = u16(lanes[lane]->pairs[m]);
        row[1] = u16(lanes[lane]->pairs[m] >> 16);
      }
    }
  }
};

inline float low_bf16(u32 pair) { return bits<float>(pair << 16); }
inline float high_bf16(u32 pair) { return bits<float>(pair & 0xffff0000u); }

// d[16, 8] += a[16, 16] · b[16, 8]. Lane 4g + t holds rows g and g + 8 of a and d, column g of b, and
// of the other axis the pairs at 2t and 2t + 8.
struct Mma {
  float* d;
  const u32 *a, *b;
  SHIM_QUIET static void answer(Mma* const* lanes) {
    float a[16][16], b[16][8], d[16][8];
    for (int lane = 0; lane < 32; lane++) {
      int g = lane / 4, pair = lane % 4 * 2;
      const Mma& mine = *lanes[lane];
      for (int half = 0; half < 2; half++) {
        for (int upper = 0; upper < 2; upper++) {
          u32 of_a = mine.a[2 * half + upper];
          a[g + 8 * upper][pair + 8 * half] = low_bf16(of_a);
          a[g + 8 * upper][pair + 8 * half + 1] = high_bf16(of_a);
        }
        b[pair + 8 * half][g] = low_bf16(mine.b[half]);
        b[pair + 8 * half + 1][g] = high_bf16(mine.b[half]);
        d[g + 8 * half][pair] = mine.d[2 * half];
        d[g + 8 * half][pair + 1] = mine.d[2 * half + 1];
      }
    }
    for (int i = 0; i < 16; i++) {
      for (int k = 0; k < 16; k++) {
        for (int j = 0; j < 8; j++) d[i][j] += a[i][k] * b[k][j];
      }
    }
    for (int lane = 0; lane < 32; lane++) {
      int g = lane / 4, pair = lane % 4 * 2;
      for (int half = 0; half < 2; half++) {
        lanes[lane]->d[2 * half] = d[g + 8 * half][pair];
        lanes[lane]->d[2 * half + 1] = d[g + 8 * half][pair + 1];
      }
    }
  }
};

}  // namespace
}  // namespace shim

// Copies `bytes` (0 to 16) and fills up with zeros. The target is NaN until the copy is waited for.
inline void cp_async_16(void* shared, const void* global, int bytes) {
  shim::aligned_16(shared, "cp_async_16, shared");
  shim::aligned_16(global, "cp_async_16, global");
  if (bytes < 0 || bytes > 16) shim::fail("cp_async_16 of %d bytes", bytes);
  shim::Copies& copies = SHIM_SELF->copies;
  if (copies.count == copies.room) {
    copies.room = copies.room == 0 ? 16 : 2 * copies.room;
    size_t size = copies.room * sizeof(shim::Copy);
    copies.pending = static_cast<shim::Copy*>(realloc(copies.pending, size));
    if (copies.pending == nullptr) abort();
  }
  shim::Copy& copy = copies.pending[copies.count++];
  copy = shim::Copy{shared, {0, 0}, copies.committed};
  memcpy(copy.bytes, global, size_t(bytes));
  memset(shared, 0xff, 16);
}
inline void cp_async_commit() { SHIM_SELF->copies.committed++; }
// Delivers all of this thread's groups but the newest N.
template <int N>
inline void cp_async_wait() {
  shim::Copies& copies = SHIM_SELF->copies;
  int kept = 0;
  for (int i = 0; i < copies.count; i++) {
    shim::Copy copy = copies.pending[i];
    if (copy.group + N < copies.committed) {
      memcpy(copy.to, copy.bytes, 16);
    } else {
      copies.pending[kept++] = copy;
    }
  }
  copies.count = kept;
}

inline void ldmatrix_x4(u32 (&r)[4], const void* row, SHIM_HERE) {
  shim::load_matrix(r, row, false, {"ldmatrix_x4", file, line});
}
inline void ldmatrix_x4_trans(u32 (&r)[4], const void* row, SHIM_HERE) {
  shim::load_matrix(r, row, true, {"ldmatrix_x4_trans", file, line});
}
inline void prefetch_line(const void*) {}
inline void stmatrix_x4(void* row, const u32 (&r)[4], SHIM_HERE) {
  shim::aligned_16(row, "stmatrix_x4");
  shim::StoreMatrix request{{r[0], r[1], r[2], r[3]}, {}};
  shim::warp_meet(request, {"stmatrix_x4", file, line});
  memcpy(row, request.row, sizeof request.row);
}
inline void mma_bf16_16816(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2], SHIM_HERE) {
  shim::Mma request{d, a, b};
  shim::warp_meet(request, {"mma_bf16_16816", file, line});
}
inline float exp2_approximate(float x) { return x < -126.0f ? 0.0f : exp2f(x); }
