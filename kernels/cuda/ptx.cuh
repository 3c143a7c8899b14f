// Instructions beyond plain CUDA C++: asynchronous copies and tensor cores. On the host,
// host/ptx.hpp models the same functions.
#pragma once
#include "common.cuh"
