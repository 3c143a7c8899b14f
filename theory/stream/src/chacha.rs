//! ChaCha8, sixteen blocks at a time: the key stream of `rand_chacha`'s generator, lane by lane,
//! so that the compiler turns the lanes into vectors.

/// Blocks computed together.
pub const LANES: usize = 16;

/// Words of 64 bits in a block.
pub const WORDS: usize = 8;

/// Blocks `counter..counter + 16` of the key: `[w][j]` is word `w` of block `counter + j`.
#[inline(always)]
pub fn blocks(key: &[u32; 8], counter: u64) -> [[u64; LANES]; WORDS] {
    let k = *key;
    let mut out = [[0; LANES]; WORDS];
    for lane in 0..LANES {
        let n = counter.wrapping_add(lane as u64);
        // "expand 32-byte k", the key, the counter, and the nonce zero.
        let start = [
            0x6170_7865,
            0x3320_646e,
            0x7962_2d32,
            0x6b20_6574,
            k[0],
            k[1],
            k[2],
            k[3],
            k[4],
            k[5],
            k[6],
            k[7],
            n as u32,
            (n >> 32) as u32,
            0,
            0,
        ];
        let mut s: [u32; 16] = start;
        // Written out: a loop of rounds inside the loop of lanes would not become vectors.
        double_round(&mut s);
        double_round(&mut s);
        double_round(&mut s);
        double_round(&mut s);
        for (word, row) in out.iter_mut().enumerate() {
            let low = s[2 * word].wrapping_add(start[2 * word]);
            let high = s[2 * word + 1].wrapping_add(start[2 * word + 1]);
            row[lane] = u64::from(low) | u64::from(high) << 32;
        }
    }
    out
}

#[inline(always)]
fn double_round(s: &mut [u32; 16]) {
    quarter_round(s, 0, 4, 8, 12);
    quarter_round(s, 1, 5, 9, 13);
    quarter_round(s, 2, 6, 10, 14);
    quarter_round(s, 3, 7, 11, 15);
    quarter_round(s, 0, 5, 10, 15);
    quarter_round(s, 1, 6, 11, 12);
    quarter_round(s, 2, 7, 8, 13);
    quarter_round(s, 3, 4, 9, 14);
}

#[inline(always)]
fn quarter_round(s: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(16);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(12);
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(8);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(7);
}
