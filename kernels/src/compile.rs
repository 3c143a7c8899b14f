//! Compiling kernel files: NVRTC for devices, the host's C++ compiler for the shim, and the cache of
//! what they made.
