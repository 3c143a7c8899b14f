(* The gradients of the loss family with respect to the logits.

   With p = softmax_t z and a loss f(p): ∂f/∂z_k = g(p)·(p_k − [k = t]), g(p) = −p f'(p). *)

(* Modelled: src/loss.rs: let drops = row.p > R::of(
   Modelled: src/loss.rs: row.p * power(row.q,
   Modelled: src/loss.rs: gamma - 1.0) * row.nll,
   Modelled: src/loss.rs: RowLoss { f: weighted(factor, row.nll), a: factor + pull, b: zero }
   Modelled: src/loss.rs: RowLoss { f, a: one - epsilon, b: epsilon } *)

From Coq Require Import Reals Lra Lia Arith.
From Coquelicot Require Import Coquelicot.
From Proofs Require Import sums softmax.
Open Scope R_scope.

(* The logits with the k-th one replaced: a partial derivative is a derivative in x at z_k. *)
Definition put (z : nat -> R) (k : nat) (x : R) (j : nat) : R := if Nat.eqb j k then x else z j.

Lemma put_back z k j : put z k (z k) j = z j.
Proof. unfold put. destruct (Nat.eqb_spec j k); now subst. Qed.

Lemma exp_put_derivative z k j :
  is_derive (fun x => exp (put z k x j)) (z k) (delta j k * exp (z j)).
Proof.
  unfold put, delta. destruct (Nat.eqb_spec j k) as [->|N].
  - rewrite Rmult_1_l. apply is_derive_exp.
  - auto_derive; [easy|ring].
Qed.

Lemma derivative_of_sum v (f : nat -> R -> R) (d : nat -> R) x :
  (forall j, (j < v)%nat -> is_derive (f j) x (d j)) ->
  is_derive (fun x => sum v (fun j => f j x)) x (sum v d).
Proof.
  induction v as [|v IH]; intro H; simpl.
  - auto_derive; [easy|ring].
  - apply (is_derive_plus (fun x => sum v (fun j => f j x))); [apply IH; auto|apply H; auto].
Qed.

Lemma total_derivative v z k :
  (k < v)%nat -> is_derive (fun x => total v (put z k x)) (z k) (exp (z k)).
Proof.
  intro H. rewrite <- (sum_delta v k (fun j => exp (z j)) H).
  apply (derivative_of_sum v (fun j x => exp (put z k x j))).
  intros j _. apply exp_put_derivative.
Qed.

Lemma total_put v z k : total v (put z k (z k)) = total v z.
Proof. apply sum_ext. intros. now rewrite put_back. Qed.

Lemma softmax_put v z k t : softmax v (put z k (z k)) t = softmax v z t.
Proof. unfold softmax. now rewrite total_put, put_back. Qed.

(* ∂p_t/∂z_k = −p_t (p_k − [k = t]). *)
Lemma softmax_derivative v z k t :
  (k < v)%nat ->
  is_derive (fun x => softmax v (put z k x) t) (z k)
    (- softmax v z t * (softmax v z k - delta k t)).
Proof.
  intro Hk. pose proof (total_pos v z ltac:(lia)) as Hpos.
  evar_last.
  - apply (is_derive_div (fun x => exp (put z k x t)) (fun x => total v (put z k x))).
    + apply exp_put_derivative.
    + now apply total_derivative.
    + rewrite total_put. lra.
  - rewrite total_put, put_back, (delta_symmetric t k). unfold softmax.
    simpl. field. lra.
Qed.

(* The chain rule once for every member of the family. *)
Theorem family_gradient v z k t (f : R -> R) (slope : R) :
  (k < v)%nat -> is_derive f (softmax v z t) slope ->
  is_derive (fun x => f (softmax v (put z k x) t)) (z k)
    (- softmax v z t * slope * (softmax v z k - delta k t)).
Proof.
  intros Hk Hf. evar_last.
  - apply (is_derive_comp f (fun x => softmax v (put z k x) t)).
    + rewrite softmax_put. exact Hf.
    + now apply softmax_derivative.
  - unfold scal; simpl; unfold mult; simpl. ring.
Qed.

(* The weight w may be anything that is held constant: a mask, a detached factor. *)
Theorem weighted_ce_gradient v z k t w :
  (k < v)%nat ->
  is_derive (fun x => w * - ln (softmax v (put z k x) t)) (z k)
    (w * (softmax v z k - delta k t)).
Proof.
  intro Hk. pose proof (softmax_pos v z t ltac:(lia)) as Hp. evar_last.
  - apply (family_gradient v z k t (fun p => w * - ln p) (w * - / softmax v z t) Hk).
    auto_derive; [exact Hp|ring].
  - field. lra.
Qed.

(* Cross entropy: ∂(−ln p_t)/∂z_k = p_k − [k = t]. *)
Theorem ce_logit_gradient v z k t :
  (k < v)%nat ->
  is_derive (fun x => - ln (softmax v (put z k x) t)) (z k) (softmax v z k - delta k t).
Proof.
  intro Hk. evar_last.
  - apply (is_derive_ext (fun x => 1 * - ln (softmax v (put z k x) t))).
    + intro x. apply Rmult_1_l.
    + now apply weighted_ce_gradient.
  - ring.
Qed.

(* Truncated cross entropy, [p ≤ γ]·(−ln p), and its gate. *)
Definition gate (gamma p : R) : R := if Rle_dec p gamma then 1 else 0.
Definition tce (gamma p : R) : R := gate gamma p * - ln p.

(* On either side of the threshold the gradient is gate·(p_k − [k = t]). At p = γ the loss jumps
   and has no derivative; the code keeps the token there, as [gate] does. *)
Theorem tce_logit_gradient v z k t gamma :
  (k < v)%nat -> softmax v z t <> gamma ->
  is_derive (fun x => tce gamma (softmax v (put z k x) t)) (z k)
    (gate gamma (softmax v z t) * (softmax v z k - delta k t)).
Proof.
  intros Hk N. set (p := softmax v z t) in *.
  pose proof (softmax_pos v z t ltac:(lia)) as Hp. fold p in Hp.
  enough (Hf : is_derive (tce gamma) p (gate gamma p * - / p)).
  { evar_last; [apply family_gradient; [exact Hk|exact Hf]|]. fold p. field. lra. }
  apply (is_derive_ext_loc (fun x => gate gamma p * - ln x)).
  - assert (He : 0 < Rabs (p - gamma)) by (apply Rabs_pos_lt; lra).
    exists (mkposreal _ He). intros x Hx. unfold tce. f_equal. unfold gate.
    assert (B : Rabs (x - p) < Rabs (p - gamma)) by exact Hx.
    apply Rabs_def2 in B. revert B.
    unfold Rabs. destruct (Rcase_abs (p - gamma)), (Rle_dec p gamma), (Rle_dec x gamma); lra.
  - auto_derive; [exact Hp|ring].
Qed.

(* Focal loss −(1−p)^γ ln p: g(p) = −p f'(p) for 0 < p < 1. *)
Definition focal (gamma p : R) : R := - (Rpower (1 - p) gamma * ln p).
Definition focal_g (gamma p : R) : R :=
  Rpower (1 - p) gamma - gamma * p * Rpower (1 - p) (gamma - 1) * ln p.

Theorem focal_coefficient gamma p :
  0 < p < 1 -> exists slope, is_derive (focal gamma) p slope /\ focal_g gamma p = - p * slope.
Proof.
  intros [Hp H1]. exists (- (focal_g gamma p) / p). split; [|field; lra].
  unfold focal, focal_g, Rpower.
  auto_derive; [repeat split; lra|].
  replace ((gamma - 1) * ln (1 - p)) with (gamma * ln (1 - p) + - ln (1 - p)) by ring.
  rewrite exp_plus, exp_Ropp, exp_ln by lra. unfold Rminus. field. lra.
Qed.

Theorem focal_logit_gradient v z k t gamma :
  (k < v)%nat -> (t < v)%nat -> (1 < v)%nat ->
  is_derive (fun x => focal gamma (softmax v (put z k x) t)) (z k)
    (focal_g gamma (softmax v z t) * (softmax v z k - delta k t)).
Proof.
  intros Hk Ht Hv.
  destruct (focal_coefficient gamma (softmax v z t)) as (slope & Hf & ->).
  - split; [apply softmax_pos; lia|now apply softmax_below_one].
  - now apply family_gradient.
Qed.

(* Label smoothing: (1−ε)(−ln p_t) + (ε/V) Σ_j −ln p_j has the gradient
   (1−ε)(p_k − [k = t]) + ε(p_k − 1/V). *)
Theorem smoothed_logit_gradient v z k t epsilon :
  (k < v)%nat ->
  is_derive
    (fun x => (1 - epsilon) * - ln (softmax v (put z k x) t)
              + sum v (fun j => epsilon / INR v * - ln (softmax v (put z k x) j))) (z k)
    ((1 - epsilon) * (softmax v z k - delta k t) + epsilon * (softmax v z k - / INR v)).
Proof.
  intro Hk. assert (0 < INR v) by (apply lt_0_INR; lia). evar_last.
  - apply (is_derive_plus (fun x => (1 - epsilon) * - ln (softmax v (put z k x) t))).
    + now apply weighted_ce_gradient.
    + apply (derivative_of_sum v (fun j x => epsilon / INR v * - ln (softmax v (put z k x) j))).
      intros j _. now apply weighted_ce_gradient.
  - unfold plus; simpl. f_equal. rewrite sum_scale.
    rewrite (sum_ext v _ (fun j => softmax v z k + - 1 * (delta j k * 1))).
    + rewrite sum_plus, sum_scale, (sum_delta v k (fun _ => 1)), sum_const by easy. field. lra.
    + intros. rewrite (delta_symmetric k k0). ring.
Qed.

(* Σ_k g·(p_k − [k = t]) = 0: no gradient moves all logits together. *)
Theorem gradient_sums_to_zero v z t g :
  (t < v)%nat -> sum v (fun k => g * (softmax v z k - delta k t)) = 0.
Proof.
  intro Ht. rewrite sum_scale.
  rewrite (sum_ext v _ (fun k => softmax v z k + - 1 * (delta k t * 1))).
  - rewrite sum_plus, sum_scale, (sum_delta v t (fun _ => 1)), softmax_sums_to_one; [ring|lia|easy].
  - intros. ring.
Qed.
