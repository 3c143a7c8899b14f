(* How long the logit gradient of a kept token is, for any law p on v ≥ 2 tokens:

     (1−p_t)·√(V/(V−1)) ≤ ‖p − e_t‖₂ ≤ (1−p_t)·√2. *)

From Coq Require Import Reals Lra Lia Arith.
From Proofs Require Import sums softmax.
Open Scope R_scope.

Definition norm v (x : nat -> R) : R := sqrt (sum v (fun k => x k * x k)).

Section law.

Variables (v t : nat) (p : nat -> R).
Hypothesis two : (1 < v)%nat.
Hypothesis target : (t < v)%nat.
Hypothesis nonneg : forall k, (k < v)%nat -> 0 <= p k.
Hypothesis one : sum v p = 1.

(* The wrong tokens' probabilities; their sum is 1 − p_t. *)
Let wrong k := (1 - delta k t) * p k.

Lemma wrong_sum : sum v wrong = 1 - p t.
Proof.
  unfold wrong. rewrite (sum_ext v _ (fun k => p k + - 1 * (delta k t * p k))).
  - rewrite sum_plus, sum_scale, sum_delta, one by easy. ring.
  - intros. ring.
Qed.

(* ‖p − e‖² = (1 − p_t)² + Σ_{k≠t} p_k². *)
Lemma square_splits :
  sum v (fun k => (p k - delta k t) * (p k - delta k t))
  = (1 - p t) * (1 - p t) + sum v (fun k => wrong k * wrong k).
Proof.
  rewrite <- (sum_delta v t (fun k => (1 - p k) * (1 - p k)) target), <- sum_plus.
  apply sum_ext. intros. unfold wrong, delta. destruct (Nat.eqb k t); ring.
Qed.

Lemma wrong_bounds k : (k < v)%nat -> 0 <= wrong k <= 1 - p t.
Proof.
  intro Hk. assert (forall j, (j < v)%nat -> 0 <= wrong j).
  { intros j Hj. unfold wrong, delta. specialize (nonneg j Hj). destruct (Nat.eqb j t); lra. }
  split; auto. rewrite <- wrong_sum. now apply (term_le_sum v k wrong).
Qed.

Lemma square_above : sum v (fun k => wrong k * wrong k) <= (1 - p t) * (1 - p t).
Proof.
  rewrite <- wrong_sum at 2. rewrite <- sum_scale. apply sum_le. intros k Hk.
  destruct (wrong_bounds k Hk). now apply Rmult_le_compat_r.
Qed.

(* Cauchy–Schwarz over the V − 1 wrong tokens, as a sum of squares about their mean. *)
Lemma square_below :
  (1 - p t) * (1 - p t) / (INR v - 1) <= sum v (fun k => wrong k * wrong k).
Proof.
  assert (1 < INR v) by (change 1 with (INR 1); now apply lt_INR).
  set (m := (1 - p t) / (INR v - 1)).
  assert (P : 0 <= sum v (fun k => (1 - delta k t) * ((p k - m) * (p k - m)))).
  { apply sum_nonneg. intros k _. unfold delta. destruct (Nat.eqb k t); [lra|]. rewrite Rminus_0_r, Rmult_1_l. apply Rle_0_sqr. }
  rewrite (sum_ext v _ (fun k => wrong k * wrong k + (- 2 * m * wrong k
             + (m * m * 1 + - (m * m) * (delta k t * 1))))) in P.
  - rewrite !sum_plus, !sum_scale, wrong_sum, (sum_delta v t (fun _ => 1)), sum_const in P by easy.
    replace ((1 - p t) * (1 - p t) / (INR v - 1)) with (2 * m * (1 - p t) - m * m * (INR v - 1)).
    + lra.
    + unfold m. field. lra.
  - intros k _. unfold wrong, delta. destruct (Nat.eqb k t); ring.
Qed.

Lemma norm_bounds :
  (1 - p t) * sqrt (INR v / (INR v - 1)) <= norm v (fun k => p k - delta k t)
  <= (1 - p t) * sqrt 2.
Proof.
  assert (1 < INR v) by (change 1 with (INR 1); now apply lt_INR).
  assert (0 <= 1 - p t) by (pose proof (wrong_bounds t target); lra).
  assert (Hs : forall c, 0 <= c ->
            (1 - p t) * sqrt c = sqrt ((1 - p t) * (1 - p t) * c)).
  { intros c Hc. rewrite sqrt_mult_alt by nra. now rewrite sqrt_square. }
  unfold norm. rewrite square_splits. split.
  - rewrite Hs by (left; apply Rdiv_lt_0_compat; lra). apply sqrt_le_1_alt.
    pose proof square_below.
    replace ((1 - p t) * (1 - p t) * (INR v / (INR v - 1)))
      with ((1 - p t) * (1 - p t) + (1 - p t) * (1 - p t) / (INR v - 1)) by (field; lra).
    lra.
  - rewrite Hs by lra. apply sqrt_le_1_alt. pose proof square_above. lra.
Qed.

End law.

(* For the softmax of any logits. *)
Theorem gradient_norm_bounds v z t :
  (1 < v)%nat -> (t < v)%nat ->
  let p := softmax v z in
  (1 - p t) * sqrt (INR v / (INR v - 1)) <= norm v (fun k => p k - delta k t)
  <= (1 - p t) * sqrt 2.
Proof.
  intros Hv Ht. apply norm_bounds; auto.
  - intros. left. apply softmax_pos. lia.
  - apply softmax_sums_to_one. lia.
Qed.

(* A token that TCE keeps, p_t ≤ γ, never has a vanishing gradient. *)
Theorem kept_gradient_norm v z t gamma :
  (1 < v)%nat -> (t < v)%nat -> softmax v z t <= gamma ->
  (1 - gamma) * sqrt (INR v / (INR v - 1))
  <= norm v (fun k => softmax v z k - delta k t).
Proof.
  intros Hv Ht Hg. pose proof (gradient_norm_bounds v z t Hv Ht) as [L _].
  eapply Rle_trans; [|exact L]. apply Rmult_le_compat_r; [apply sqrt_pos|lra].
Qed.
