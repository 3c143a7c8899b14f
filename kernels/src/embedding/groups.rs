//! Which rows hold an id.

use crate::{Buffer, Device, Result};

/// Rows of a group that one team of threads adds up.
const SHORT: usize = 128;

/// The distinct ids of a list, and for each the rows that hold it, in device memory.
#[derive(Debug)]
pub struct Groups {
    /// First those of up to 128 rows, then the others, both ascending.
    pub(super) ids: Buffer<u32>,
    /// Group `k` has `rows[starts[k]..starts[k + 1]]`.
    pub(super) starts: Buffer<u32>,
    /// Ascending within a group.
    pub(super) rows: Buffer<u32>,
    /// Groups of up to 128 rows.
    pub(super) short: usize,
    /// Rows that the table must have.
    pub(super) table: usize,
}

impl Groups {
    /// The groups of `ids`, which lie in host memory.
    ///
    /// # Errors
    /// If the device has no room or fails.
    ///
    /// # Panics
    /// If there are 2³¹ ids or more.
    pub fn of(device: &Device, ids: &[u32]) -> Result<Self> {
        assert!(i32::try_from(ids.len()).is_ok(), "embedding::Groups: fewer than 2³¹ ids");
        let mut keys: Vec<u64> =
            ids.iter().zip(0..).map(|(&id, row)| u64::from(id) << 32 | row).collect();
        keys.sort_unstable();
        let same = |a: &u64, b: &u64| a >> 32 == b >> 32;
        let (short, long): (Vec<_>, Vec<_>) =
            keys.chunk_by(same).partition(|group| group.len() <= SHORT);
        let (mut distinct, mut starts, mut rows) = (Vec::new(), vec![0], Vec::new());
        for group in short.iter().chain(&long) {
            distinct.push((group[0] >> 32) as u32);
            rows.extend(group.iter().map(|&key| key as u32));
            starts.push(rows.len() as u32);
        }
        Ok(Self {
            ids: Buffer::of(device, &distinct)?,
            starts: Buffer::of(device, &starts)?,
            rows: Buffer::of(device, &rows)?,
            short: short.len(),
            table: keys.last().map_or(0, |&key| (key >> 32) as usize + 1),
        })
    }

    /// Number of distinct ids.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
