// The CUDA machine on a CPU: what common.cuh and ptx.cuh leave to the compiler of a device.
//
// A kernel file is compiled as C++17 with -DFORTIFAI_HOST into a library whose two C functions
// (registry.hpp) list its kernels and run blocks of one of them. Each CUDA thread is a fiber
// (fibers.hpp) of a block (block.hpp); what threads do together are meetings (meetings.hpp, warp.hpp,
// ptx.hpp, wgmma.hpp), and what goes on beside them is kept in hopper.hpp.
// The machine is meant to be unkind: threads run as far as they can before another one moves,
// shared memory starts as NaN, copies in flight show NaN until they are waited for.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <type_traits>
#include <utility>

#include "fibers.hpp"
#include "thread.hpp"
#include "hopper.hpp"
#include "block.hpp"
#include "meetings.hpp"
#include "memory.hpp"
#include "warp.hpp"
#include "builtins.hpp"
#include "ptx.hpp"
#include "bulk.hpp"
#include "wgmma.hpp"
#include "registry.hpp"
