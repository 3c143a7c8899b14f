// The bandwidth that others are measured by: 16 bytes read and written per piece, four pieces of a
// thread under way at a time.
#include "vector.cuh"

KERNEL(256, copy)(u32* to, const u32* from, u64 pieces) {
  typedef Words<16> Piece;
  Piece* out = reinterpret_cast<Piece*>(to);
  const Piece* in = reinterpret_cast<const Piece*>(from);
  u64 first = u64(blockIdx.x) * 1024 + threadIdx.x;
  Piece piece[4];
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (first + 256 * k < pieces) piece[k] = in[first + 256 * k];
#pragma unroll
  for (int k = 0; k < 4; k++)
    if (first + 256 * k < pieces) out[first + 256 * k] = piece[k];
}
EXPORT(copy)
