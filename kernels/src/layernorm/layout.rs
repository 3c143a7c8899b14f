//! How rows are spread over threads.

/// The kernels for rows of whole pieces, and the threads that share such a row.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub forward: &'static str,
    pub backward: &'static str,
    /// Lanes of a warp, a power of two; or all threads of a block.
    pub team: usize,
    block: bool,
}

impl Layout {
    /// For rows of `c` channels, which one row's threads can hold in registers up to 8192.
    pub fn of(c: usize) -> Option<Self> {
        let lanes = |forward, backward, team| Self { forward, backward, team, block: false };
        let block = |forward, backward, channels| {
            let team = c.div_ceil(channels).next_multiple_of(32);
            Self { forward, backward, team, block: true }
        };
        match c {
            0..=256 => {
                let team = c.div_ceil(8).next_power_of_two();
                Some(lanes("layernorm_forward_8", "layernorm_backward_8", team))
            }
            257..=768 => Some(lanes("layernorm_forward_24", "layernorm_backward_24", 32)),
            769..=1024 => Some(lanes("layernorm_forward_32", "layernorm_backward_32", 32)),
            1025..=2048 => {
                Some(block("layernorm_forward_block_8", "layernorm_backward_block_8", 8))
            }
            2049..=8192 => {
                Some(block("layernorm_forward_block_16", "layernorm_backward_block_16", 16))
            }
            _ => None,
        }
    }

    pub fn forward_threads(self) -> usize {
        if self.block { self.team } else { 256 }
    }

    /// Rows of a block.
    pub fn forward_rows(self) -> usize {
        self.forward_threads() / self.team
    }

    pub fn backward_threads(self) -> usize {
        if self.block { self.team } else { 128 }
    }
}

/// Threads of a block that takes a row of any length.
pub(super) fn threads_of_a_row(c: usize) -> usize {
    c.div_ceil(4).next_multiple_of(32).min(256)
}

/// Rows that a backward team takes: so many that there are no more than 1024 blocks, and four where
/// that leaves 256 blocks.
pub(super) fn steps(n: usize, c: usize) -> usize {
    let teams = teams(c);
    n.div_ceil(teams * 1024).max(n.div_ceil(teams * 256).min(4)).max(1)
}

/// Backward blocks, each of which leaves a row of `dweight` and one of `dbias`.
pub(super) fn blocks(n: usize, c: usize) -> usize {
    n.div_ceil(teams(c) * steps(n, c))
}

fn teams(c: usize) -> usize {
    Layout::of(c).map_or(1, |layout| layout.backward_threads() / layout.team)
}
