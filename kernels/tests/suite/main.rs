//! The kernels' own tests, on the shim and, where there is one, on a GPU. One module per kernel file.

mod adamw;
mod attention;
mod bench;
mod classifier;
mod column_sum;
mod compile;
mod decode;
mod embedding;
mod faults;
mod gelu;
mod layernorm;
mod matmul;
mod matmul_mma;
mod matmul_wgmma;
mod norm;
mod rows;
mod sampling;
mod shim;
mod support;
