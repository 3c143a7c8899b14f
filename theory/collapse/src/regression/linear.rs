//! The linear model with Gaussian inputs, fitted by least squares or ridge regression.

use crate::gaussian::chi_squared;
use crate::model::{Model, picks};
use crate::refusal::{Refusal, require};
use fortifai_stream::Stream;
use nalgebra::{DMatrix, DVector};

/// Inputs `x ~ N(0, AA′)` with labels `y = x′w + σε`, and how `w` is fitted.
///
/// ```
/// use fortifai_collapse::{Recursion, recursion, regression::Linear};
/// let truth = Linear::new(&[1.0, -0.5, 2.0], 0.7, 0.0);
/// let models = recursion::chain(&truth, &Recursion::replace(20), 4, 1, 0)?;
/// assert!(truth.risk(&models[4]) > 0.0);
/// // Four dimensions cannot be fitted to three rows.
/// let wide = Linear::new(&[1.0; 4], 0.7, 0.0);
/// assert!(recursion::chain(&wide, &Recursion::replace(3), 1, 1, 0).is_err());
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// The weights `w`.
    pub weights: DVector<f64>,
    /// The label noise `σ`; it is known and not fitted.
    pub noise: f64,
    /// The ridge `λ`: fits minimise `|y − Xw|²/T + λ|w|²`. None is least squares.
    pub penalty: f64,
    /// `A`, a square root of the inputs' covariance; isotropic inputs have none.
    factor: Option<DMatrix<f64>>,
}

impl Linear {
    /// The model with isotropic inputs.
    pub fn new(weights: &[f64], noise: f64, penalty: f64) -> Self {
        Self { weights: DVector::from_column_slice(weights), noise, penalty, factor: None }
    }

    /// The same with inputs `x = A z`, `z ~ N(0, I)`.
    ///
    /// # Panics
    /// If `A` is not square with a row for every weight.
    #[must_use]
    pub fn with_factor(self, factor: DMatrix<f64>) -> Self {
        let d = self.weights.len();
        assert_eq!(factor.shape(), (d, d), "Linear::with_factor: the shape of A");
        Self { factor: Some(factor), ..self }
    }

    /// `|w − w_0|²_Σ` of another model, `self` being the truth.
    pub fn risk(&self, other: &Self) -> f64 {
        let error = &other.weights - &self.weights;
        match &self.factor {
            None => error.norm_squared(),
            Some(factor) => factor.tr_mul(&error).norm_squared(),
        }
    }

    /// One input.
    pub fn input(&self, stream: &mut Stream) -> DVector<f64> {
        let normal = DVector::from_fn(self.weights.len(), |_, _| stream.normal());
        match &self.factor {
            None => normal,
            Some(factor) => factor * normal,
        }
    }
}

/// `X′X` and `X′y` of the rows so far, and the rows themselves where a subsample will be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// How many rows.
    pub count: usize,
    /// `X′X`.
    pub gram: DMatrix<f64>,
    /// `X′y`.
    pub moment: DVector<f64>,
    rows: Option<Vec<(DVector<f64>, f64)>>,
}

impl Pool {
    /// No rows of `d` inputs.
    pub fn new(d: usize) -> Self {
        Self { count: 0, gram: DMatrix::zeros(d, d), moment: DVector::zeros(d), rows: None }
    }

    /// Adds a row.
    pub fn add(&mut self, input: DVector<f64>, label: f64) {
        self.count += 1;
        self.gram.ger(1.0, &input, &input, 1.0);
        self.moment.axpy(label, &input, 1.0);
        if let Some(rows) = &mut self.rows {
            rows.push((input, label));
        }
    }
}

impl Model for Linear {
    type Pool = Pool;

    fn pool(&self) -> Pool {
        Pool::new(self.weights.len())
    }

    fn pool_of_samples(&self) -> Pool {
        Pool { rows: Some(Vec::new()), ..self.pool() }
    }

    /// By the exact law of its statistics, unless the pool keeps rows or there are fewer rows than
    /// dimensions: `X′X = CC′` with `C = AL` and Bartlett's triangle `L` (`χ_{T−i}` on the
    /// diagonal, standard normals below), and `X′y = CC′w + σCz`. `bias` multiplies `σ²`.
    fn draw(&self, pool: &mut Pool, count: usize, bias: f64, stream: &mut Stream) {
        let (d, noise) = (self.weights.len(), bias.sqrt() * self.noise);
        if pool.rows.is_some() || count < d {
            for _ in 0..count {
                let input = self.input(stream);
                let label = input.dot(&self.weights) + noise * stream.normal();
                pool.add(input, label);
            }
            return;
        }
        let mut root = DMatrix::zeros(d, d);
        for row in 0..d {
            for column in 0..row {
                root[(row, column)] = stream.normal();
            }
            root[(row, row)] = chi_squared(count - row, stream).sqrt();
        }
        if let Some(factor) = &self.factor {
            root = factor * root;
        }
        let mut labels = root.tr_mul(&self.weights);
        labels.iter_mut().for_each(|label| *label += noise * stream.normal());
        pool.count += count;
        pool.gram += &root * root.transpose();
        pool.moment += root * labels;
    }

    fn subsample(
        &self,
        pool: &Pool,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Pool {
        let rows = pool.rows.as_ref().expect("Linear::subsample: the pool keeps rows");
        let mut picked = self.pool();
        for place in picks(rows.len(), count, with_replacement, stream) {
            let (input, label) = rows[place].clone();
            picked.add(input, label);
        }
        picked
    }

    /// `w = (X′X + λT)⁻¹ X′y` by Cholesky's factors.
    fn fit(&self, pool: &Pool) -> Result<Self, Refusal> {
        let d = self.weights.len();
        if self.penalty == 0.0 {
            require(pool.count >= d, "the number of rows", pool.count, &format!("T ≥ d = {d}"))?;
        }
        let mut gram = pool.gram.clone();
        let penalty = self.penalty * pool.count as f64;
        (0..d).for_each(|index| gram[(index, index)] += penalty);
        let Some(root) = gram.cholesky() else {
            return Err(Refusal::new(format!(
                "The {} rows determine no weights, but X'X + lambda·T of full rank is needed.",
                pool.count
            )));
        };
        Ok(Self { weights: root.solve(&pool.moment), ..self.clone() })
    }
}
