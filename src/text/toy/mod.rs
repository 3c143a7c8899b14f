//! toy.
/// x
pub struct ToyWorld;
