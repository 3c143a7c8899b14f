//! What a kernel takes of a multiprocessor, as the assembler says it under `--ptxas-options=-v`.

/// The figures of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Its name.
    pub kernel: String,
    /// Registers per thread.
    pub registers: u32,
    /// Statically sized shared memory per block.
    pub shared_bytes: u32,
    /// Local memory per thread.
    pub stack_bytes: u32,
    /// The part of local memory that holds what found no register: stores and loads.
    pub spill_bytes: u32,
}

/// The figures of every kernel of a file, from the compiler's log.
///
/// ```
/// let log = "ptxas info    : Compiling entry function 'f' for 'sm_80'
/// ptxas info    : Function properties for f
///     8 bytes stack frame, 4 bytes spill stores, 4 bytes spill loads
/// ptxas info    : Used 32 registers, used 1 barriers, 128 bytes smem, 376 bytes cmem[0]";
/// let figures = fortifai_kernels::compile::figures(log);
/// assert_eq!((figures[0].registers, figures[0].shared_bytes), (32, 128));
/// assert_eq!((figures[0].stack_bytes, figures[0].spill_bytes), (8, 8));
/// ```
pub fn figures(log: &str) -> Vec<Figures> {
    let mut all: Vec<Figures> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let kernel = rest.split('\'').next().unwrap_or_default().to_owned();
            all.push(Figures { kernel, ..Figures::default() });
        }
        let Some(last) = all.last_mut() else { continue };
        if line.contains("bytes stack frame") {
            last.stack_bytes = before(line, " bytes stack frame");
            last.spill_bytes =
                before(line, " bytes spill stores") + before(line, " bytes spill loads");
        }
        if line.contains("Used ") && line.contains(" registers") {
            last.registers = before(line, " registers");
            last.shared_bytes = before(line, " bytes smem");
        }
    }
    all
}

/// The number in front of `unit`, or 0.
fn before(line: &str, unit: &str) -> u32 {
    let number = line.split_once(unit).and_then(|(head, _)| head.split(' ').next_back());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
