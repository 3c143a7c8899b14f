//! Parameter arenas: f32 masters, and a copy in the storage that forward reads.

use crate::tier::Span;
use crate::{Error, Result};
use fortifai_kernels::{Buffer, Device, Storage, View, ViewMut};
use half::bf16;

/// An arena. As gradients it is the f32 part alone.
#[derive(Debug)]
pub struct Param<A: Storage> {
    /// Masters, or gradients.
    pub(super) master: Buffer<f32>,
    /// The masters rounded, from the first upload on; never there when `A` is f32.
    pub(super) rounded: Option<Buffer<A>>,
}

/// A storage in which forward can read parameters.
pub trait Weights: Storage {
    /// The parameters of a span as forward reads them.
    ///
    /// # Errors
    /// If nothing has been uploaded to the arena.
    fn read(param: &Param<Self>, span: Span) -> Result<View<'_, Self>>;
    /// Where rounded parameters of a span go, if they are kept.
    fn rounded_mut(
        param: &mut Param<Self>,
        span: Span,
    ) -> Option<(ViewMut<'_, f32>, ViewMut<'_, bf16>)>;
    /// Copies the masters of a span, given from the host, to their rounded form.
    ///
    /// # Errors
    /// If the device fails.
    fn round(device: &Device, param: &mut Param<Self>, span: Span, values: &[f32]) -> Result<()>;
}

impl Weights for f32 {
    fn read(param: &Param<f32>, span: Span) -> Result<View<'_, f32>> {
        Ok(param.master.slice(span.range()))
    }
    fn rounded_mut(_: &mut Param<f32>, _: Span) -> Option<(ViewMut<'_, f32>, ViewMut<'_, bf16>)> {
        None
    }
    fn round(_: &Device, _: &mut Param<f32>, _: Span, _: &[f32]) -> Result<()> {
        Ok(())
    }
}

impl Weights for bf16 {
    fn read(param: &Param<bf16>, span: Span) -> Result<View<'_, bf16>> {
        let rounded = param.rounded.as_ref().ok_or_else(|| {
            Error::environment("A model's parameters are read before they have been given.")
        })?;
        Ok(rounded.slice(span.range()))
    }
    fn rounded_mut(
        param: &mut Param<bf16>,
        span: Span,
    ) -> Option<(ViewMut<'_, f32>, ViewMut<'_, bf16>)> {
        let Param { master, rounded } = param;
        let rounded = rounded.as_mut()?;
        Some((master.slice_mut(span.range()), rounded.slice_mut(span.range())))
    }
    fn round(device: &Device, param: &mut Param<bf16>, span: Span, values: &[f32]) -> Result<()> {
        let rounded = match &mut param.rounded {
            Some(rounded) => rounded,
            none => none.insert(Buffer::zeros(device, param.master.len())?),
        };
        let values: Vec<bf16> = values.iter().map(|&value| bf16::from_f32(value)).collect();
        rounded.slice_mut(span.range()).upload(device, &values)?;
        Ok(())
    }
}
