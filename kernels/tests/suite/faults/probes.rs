//! Small runs of kernels, at ragged shapes: the bits of their outputs.

use crate::support::{blank, download, normals, upload};
use fortifai_kernels::matmul::{self, Layout, Options, Product, Tile, Write};
use fortifai_kernels::sampling::{self, Draw};
use fortifai_kernels::{Device, Result, Rung, Storage, adamw, attention, classifier, column_sum};
use fortifai_kernels::{gelu, layernorm, norm, rows};
use half::bf16;

type Bits = Vec<u64>;

/// A probe by name.
pub fn probe(name: &str) -> fn(&Device) -> Result<Bits> {
    match name {
        "adamw" => adamw,
        "attention" => |device| attention::<f32>(device, 70, 1, 20),
        "attention_mma" => |device| attention::<bf16>(device, 140, 2, 32),
        "classifier" => classifier,
        "attention_wgmma" => |device| attention::<bf16>(device, 330, 1, 64),
        "column_sum" => column_sum,
        "gelu" => gelu,
        "layernorm" => layernorm,
        "matmul" => matmul::<f32>,
        "matmul_mma" => matmul::<bf16>,
        "norm" => norm,
        "rows" => rows,
        "sampling" => sampling,
        _ => panic!("no probe is called {name}"),
    }
}

fn bits<A: Storage>(values: &[A]) -> Bits {
    values.iter().map(|value| u64::from(value.wide().to_bits())).collect()
}

fn adamw(device: &Device) -> Result<Bits> {
    let len = 1030;
    let of = |seed| upload(device, &normals::<f32>(seed, len));
    let (mut params, mut m, mut v, g) = (of(1), of(2), of(3), of(4));
    v.view_mut().zero(device)?;
    let mut narrow = blank::<bf16>(device, len);
    let step = adamw::Step {
        shrink: 0.99,
        rate: 0.01,
        root_correct2: 1.5,
        beta1: 0.9,
        beta2: 0.95,
        one_minus1: 0.1,
        one_minus2: 0.05,
        epsilon: 1e-8,
        gradient_scale: 0.5,
    };
    let narrow_to = Some(narrow.view_mut());
    let (to, m_to, v_to) = (params.view_mut(), m.view_mut(), v.view_mut());
    adamw::step(device, to, narrow_to, m_to, v_to, g.view(), step)?;
    let mut all = bits(&download(device, params.view()));
    all.extend(bits(&download(device, m.view())));
    all.extend(bits(&download(device, v.view())));
    all.extend(bits(&download(device, narrow.view())));
    Ok(all)
}

/// Forward and backward.
fn attention<A: Storage>(device: &Device, t: usize, nh: usize, hs: usize) -> Result<Bits> {
    let shape = attention::Shape { b: 1, t, nh, hs };
    let n = t * nh;
    let (qkv, dout) = (normals::<A>(1, 3 * n * hs), normals::<A>(2, n * hs));
    let (qkv, dout) = (upload(device, &qkv), upload(device, &dout));
    let (mut out, mut lse) = (blank::<A>(device, n * hs), blank::<f32>(device, n));
    attention::forward(device, out.view_mut(), lse.view_mut(), qkv.view(), shape)?;
    let mut dqkv = upload(device, &normals::<A>(3, 3 * n * hs));
    let mut scratch = blank::<f32>(device, attention::scratch(shape));
    let (to, scratch) = (dqkv.view_mut(), scratch.view_mut());
    let (y, lse_there) = (out.view(), lse.view());
    attention::backward(device, to, dout.view(), qkv.view(), y, lse_there, scratch, shape)?;
    let mut all = bits(&download(device, out.view()));
    all.extend(bits(&download(device, lse.view())));
    all.extend(bits(&download(device, dqkv.view())));
    Ok(all)
}

/// A row of which shared memory holds less than half.
fn classifier(device: &Device) -> Result<Bits> {
    let shape = classifier::Shape { n: 1, c: 8, v: 131_080 };
    let classifier::Shape { n, c, v } = shape;
    let x = upload(device, &normals::<bf16>(1, n * c));
    let weight = upload(device, &normals::<bf16>(2, v * c));
    let targets = upload(device, &[7u32]);
    let (mut dx, mut dweight) = (blank::<bf16>(device, n * c), blank::<f32>(device, v * c));
    dx.view_mut().zero(device)?;
    dweight.view_mut().zero(device)?;
    let mut rows = [(); 4].map(|()| blank::<f32>(device, n));
    let [loss, nll, probability, kept] = rows.each_mut().map(|row| row.view_mut());
    let rows = classifier::Rows { loss, nll, probability, kept };
    let gradients =
        classifier::Gradients { dx: dx.view_mut(), dweight: dweight.view_mut(), scale: 1.0 };
    let mut workspace = blank::<f32>(device, classifier::workspace(shape));
    let (code, room) = (classifier::Code::ce(), workspace.view_mut());
    let (x, targets, weight) = (x.view(), targets.view(), weight.view());
    classifier::forward_backward(
        device,
        rows,
        Some(gradients),
        x,
        targets,
        None,
        weight,
        code,
        room,
        shape,
    )?;
    Ok(bits(&download(device, dx.view())))
}

fn column_sum(device: &Device) -> Result<Bits> {
    let (n, oc) = (70, 37);
    let dout = upload(device, &normals::<f32>(1, n * oc));
    let mut dbias = upload(device, &normals::<f32>(2, oc));
    let mut scratch = blank::<f32>(device, column_sum::scratch(n, oc));
    column_sum::accumulate(device, dbias.view_mut(), dout.view(), scratch.view_mut())?;
    Ok(bits(&download(device, dbias.view())))
}

/// A whole block and a tail.
fn gelu(device: &Device) -> Result<Bits> {
    let len = 2503;
    let pre = upload(device, &normals::<f32>(1, len));
    let mut activated = blank::<f32>(device, len);
    gelu::forward(device, activated.view_mut(), pre.view())?;
    Ok(bits(&download(device, activated.view())))
}

/// Rows in whole pieces and ragged ones.
fn layernorm(device: &Device) -> Result<Bits> {
    let mut all = Vec::new();
    for (n, c) in [(5, 40), (3, 301)] {
        let x = upload(device, &normals::<f32>(1, n * c));
        let (weight, bias) =
            (upload(device, &normals::<f32>(2, c)), upload(device, &normals::<f32>(3, c)));
        let mut out = blank::<f32>(device, n * c);
        let (mut mean, mut rstd) = (blank::<f32>(device, n), blank::<f32>(device, n));
        let (to, mean_to, rstd_to) = (out.view_mut(), mean.view_mut(), rstd.view_mut());
        let (weight, bias) = (weight.view(), bias.view());
        layernorm::forward(device, to, mean_to, rstd_to, x.view(), weight, bias)?;
        all.extend(bits(&download(device, out.view())));
        all.extend(bits(&download(device, mean.view())));
        all.extend(bits(&download(device, rstd.view())));
    }
    Ok(all)
}

/// Four tiles of which three are cut, many slabs and a piece, added to what was there. In bf16 the
/// rows begin at multiples of 16 bytes, so that tensor cores serve.
fn matmul<A: Storage>(device: &Device) -> Result<Bits> {
    let mma = size_of::<A>() == 2;
    let (m, n, k) = if mma { (70, 72, 200) } else { (70, 67, 19) };
    let (a, b) = (normals::<A>(1, m * k), normals::<A>(2, n * k));
    let (a, b, bias) =
        (upload(device, &a), upload(device, &b), upload(device, &normals::<A>(3, n)));
    let mut out = upload(device, &normals::<A>(4, m * n));
    let product = Product {
        m,
        n,
        k,
        layout: Layout::NT,
        alpha: 0.5,
        write: Write::Accumulate,
        bias: Some(bias.view()),
        limit: None,
        rung: Some(if mma { matmul::Rung::Mma } else { matmul::Rung::Tiled }),
    };
    let options = Options { tile: Some(Tile::Small), ..Options::default() };
    matmul::run_with(device, out.view_mut(), a.view(), b.view(), &product, options)?;
    Ok(bits(&download(device, out.view())))
}

fn norm(device: &Device) -> Result<Bits> {
    let len = 5003;
    let g = upload(device, &normals::<f32>(1, len));
    let mut scratch = upload(device, &vec![f64::NAN; norm::scratch(len)]);
    let sum = norm::squared(device, g.view(), scratch.view_mut())?;
    Ok(vec![sum.to_bits()])
}

fn rows(device: &Device) -> Result<Bits> {
    let (n, c) = (9, 37);
    let x = upload(device, &normals::<f32>(1, n * c));
    let list = upload(device, &[8u32, 0, 3, 5, 1]);
    let mut out = blank::<f32>(device, 5 * c);
    rows::gather_with(Rung::Fast, device, out.view_mut(), x.view(), list.view(), None, c)?;
    Ok(bits(&download(device, out.view())))
}

fn sampling(device: &Device) -> Result<Bits> {
    let (count, v) = (5, 517);
    let logits = upload(device, &normals::<f32>(1, count * v));
    let uniforms = upload(device, &[0.1, 0.34, 0.55, 0.78, 0.93]);
    let mut out = upload(device, &vec![0u32; count]);
    sampling::argmax(device, out.view_mut(), logits.view(), v)?;
    let mut bits: Bits = download(device, out.view()).into_iter().map(u64::from).collect();
    let narrow = Draw { temperature: 0.8, top_k: 40, top_p: 0.9 };
    let all = Draw { temperature: 1.0, top_k: 0, top_p: 1.0 };
    sampling::draw(device, out.view_mut(), logits.view(), uniforms.view(), narrow, v)?;
    bits.extend(download(device, out.view()).into_iter().map(u64::from));
    // Of all tokens, which takes the walk past its first 32.
    sampling::draw(device, out.view_mut(), logits.view(), uniforms.view(), all, v)?;
    bits.extend(download(device, out.view()).into_iter().map(u64::from));
    Ok(bits)
}
