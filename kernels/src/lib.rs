//! Device probe and, later, launchers of the CUDA kernels.
