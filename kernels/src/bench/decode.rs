//! Attention of one new token per row against the cache, with a full cache behind it.

use super::measure::{Bench, Case};
use super::numbers::normals;
use super::subject::{Output, Subject};
use crate::decode::{self, CacheShape};
use crate::{Buffer, Device, Result, Rung, Storage};

struct Decode<A: Storage> {
    out: Buffer<A>,
    cache: Buffer<A>,
    qkv: Buffer<A>,
    slots: Buffer<u32>,
    lengths: Buffer<u32>,
    ancestry: Buffer<u32>,
    shape: CacheShape,
}

impl<A: Storage> Subject for Decode<A> {
    fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
        let Self { out, cache, qkv, slots, lengths, ancestry, shape } = self;
        let rung = [Rung::Naive, Rung::Fast][rung];
        let (out, cache) = (out.view_mut(), cache.view_mut());
        let (slots, lengths, ancestry) = (slots.view(), lengths.view(), ancestry.view());
        decode::forward_with(
            rung,
            device,
            out,
            cache,
            qkv.view(),
            slots,
            lengths,
            ancestry,
            0,
            *shape,
        )
    }

    fn outputs(&mut self) -> Vec<Output<'_>> {
        vec![Output::of(self.out.view_mut())]
    }
}

pub(super) fn run<A: Storage>(bench: &mut Bench) -> Result<()> {
    if !bench.wants("decode_forward") {
        return Ok(());
    }
    let device = bench.device;
    let letters = bench.letters;
    let (slots, t, nh, hs) = (letters.b, letters.t, letters.nh, letters.hs);
    let shape = CacheShape { layers: 1, slots, t, nh, hs };
    let numbers = slots * nh * hs;
    let own: Vec<u32> = (0..slots as u32).collect();
    let ancestry: Vec<u32> = own.iter().flat_map(|&slot| vec![slot; t]).collect();
    let mut subject = Decode::<A> {
        out: Buffer::zeros(device, numbers)?,
        cache: normals(device, 1, 1.0, decode::cache_len(shape))?,
        qkv: normals(device, 2, 1.0, 3 * numbers)?,
        slots: Buffer::of(device, &own)?,
        lengths: Buffer::of(device, &vec![t as u32; slots])?,
        ancestry: Buffer::of(device, &ancestry)?,
        shape,
    };
    let case = Case {
        // The cache once, the new token's q, k, v, and its k and v into the cache.
        bytes: (decode::cache_len(shape) + 6 * numbers) * size_of::<A>() + 4 * slots * (t + 2),
        memory_bytes: vec![numbers * size_of::<A>()],
        ..Case::of::<A>("decode_forward", &[("rows", slots), ("t", t), ("nh", nh), ("hs", hs)])
    };
    bench.measure(case, &mut subject)
}
