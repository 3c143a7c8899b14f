//! The CPU tier: one file per operator, forward directly above backward, generic over [`Real`].

mod real;

pub use real::Real;
