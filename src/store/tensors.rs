//! Named tensors and JSON metadata as the bytes of a safetensors file.

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, View};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The key of the metadata within the safetensors header.
const METADATA: &str = "fortifai";

/// The values of a tensor to be saved, in row-major order.
#[derive(Clone, Copy, Debug)]
pub enum TensorData<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

/// The values of a loaded tensor, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// A loaded tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values, as many as the product of the axes.
    pub values: Values,
}

/// The bytes of a checkpoint's file; the same for the same content.
pub(super) fn encode(
    tensors: &[(&str, &[usize], TensorData)],
    metadata: &Value,
) -> Result<Vec<u8>, SafeTensorError> {
    let mut names = HashSet::new();
    for (tensor, shape, data) in tensors {
        let (filled, length) = (shape.iter().product::<usize>(), data.len());
        assert_eq!(filled, length, "checkpoint::save: {tensor} has shape {shape:?}");
        assert!(names.insert(tensor), "checkpoint::save: there are two tensors {tensor}");
    }
    let views = tensors.iter().map(|&(name, shape, data)| (name, Borrowed { shape, data }));
    let header = HashMap::from([(METADATA.to_owned(), metadata.to_string())]);
    safetensors::serialize(views, Some(header))
}

/// The tensors and metadata of a checkpoint's file, or what is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<(BTreeMap<String, Tensor>, Value), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|cause| cause.to_string())?;
    let metadata = header.metadata().as_ref().and_then(|map| map.get(METADATA));
    let metadata = metadata.ok_or("it has no metadata")?;
    let metadata = serde_json::from_str(metadata).map_err(|cause| cause.to_string())?;
    let mut tensors = BTreeMap::new();
    for (tensor, view) in SafeTensors::deserialize(bytes).map_err(|cause| cause.to_string())?.iter()
    {
        let values = match view.dtype() {
            Dtype::F32 => Values::F32(numbers(view.data(), f32::from_le_bytes)),
            Dtype::F64 => Values::F64(numbers(view.data(), f64::from_le_bytes)),
            other => return Err(format!("tensor {tensor} is of type {other:?}")),
        };
        tensors.insert(tensor.to_owned(), Tensor { shape: view.shape().to_vec(), values });
    }
    Ok((tensors, metadata))
}

fn numbers<X, const BYTES: usize>(data: &[u8], number: fn([u8; BYTES]) -> X) -> Vec<X> {
    data.as_chunks::<BYTES>().0.iter().map(|bytes| number(*bytes)).collect()
}

impl TensorData<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }
}

/// A tensor on its way into the file; its bytes are made when they are written.
struct Borrowed<'a> {
    shape: &'a [usize],
    data: TensorData<'a>,
}

impl View for Borrowed<'_> {
    fn dtype(&self) -> Dtype {
        match self.data {
            TensorData::F32(_) => Dtype::F32,
            TensorData::F64(_) => Dtype::F64,
        }
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self.data {
            TensorData::F32(values) => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorData::F64(values) => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
    }
    fn data_len(&self) -> usize {
        match self.data {
            TensorData::F32(values) => values.len() * 4,
            TensorData::F64(values) => values.len() * 8,
        }
    }
}
