(* Softmax and log-sum-exp over a vocabulary of any size v, and the statistics of one row that the
   fused classifier keeps.

     lse z = ln Σ_j e^(z_j),   softmax_k z = e^(z_k) / Σ_j e^(z_j). *)

(* Modelled: src/cpu/classifier.rs: let (p, q) = (own / total, rest / total);
   Modelled: src/cpu/classifier.rs: true => -(-q).ln_1p(),
   Modelled: src/cpu/classifier.rs: false => log_total - (at_target - most), *)

From Coq Require Import Reals Lra Lia Arith.
From Proofs Require Import sums.
Open Scope R_scope.

Definition total (v : nat) (z : nat -> R) : R := sum v (fun j => exp (z j)).
Definition softmax (v : nat) (z : nat -> R) (k : nat) : R := exp (z k) / total v z.
Definition lse (v : nat) (z : nat -> R) : R := ln (total v z).

Lemma total_pos v z : (0 < v)%nat -> 0 < total v z.
Proof.
  intro H. unfold total. apply Rlt_le_trans with (exp (z 0%nat)); [apply exp_pos|].
  apply (term_le_sum v 0%nat (fun j => exp (z j))); auto.
  intros. left. apply exp_pos.
Qed.

Lemma softmax_pos v z k : (0 < v)%nat -> 0 < softmax v z k.
Proof. intro H. apply Rdiv_lt_0_compat; [apply exp_pos|now apply total_pos]. Qed.

(* Σ_k p_k = 1. *)
Lemma softmax_sums_to_one v z : (0 < v)%nat -> sum v (softmax v z) = 1.
Proof.
  intro H. pose proof (total_pos v z H).
  rewrite (sum_ext v _ (fun k => / total v z * exp (z k))).
  - rewrite sum_scale. unfold total in *. field. lra.
  - intros. unfold softmax. field. lra.
Qed.

(* With two tokens or more, no probability reaches one. *)
Lemma softmax_below_one v z k : (1 < v)%nat -> (k < v)%nat -> softmax v z k < 1.
Proof.
  intros Hv Hk. pose proof (total_pos v z ltac:(lia)).
  assert (exists j, (j < v)%nat /\ j <> k) as (j & Hj & N).
  { destruct (Nat.eq_dec k 0); [exists 1%nat|exists 0%nat]; lia. }
  assert (exp (z k) + exp (z j) <= total v z).
  { unfold total.
    rewrite <- (sum_delta v k (fun i => exp (z i)) Hk).
    rewrite <- (sum_delta v j (fun i => exp (z i)) Hj), <- sum_plus.
    apply sum_le. intros i _. pose proof (exp_pos (z i)).
    destruct (Nat.eq_dec i k) as [->|Nk].
    - rewrite delta_same, delta_other by lia. lra.
    - rewrite (delta_other i k Nk). unfold delta. destruct (Nat.eqb i j); lra. }
  pose proof (exp_pos (z j)). apply (Rmult_lt_reg_r (total v z)); [easy|].
  unfold softmax. field_simplify; lra.
Qed.

Lemma total_shift v z c : total v (fun j => z j + c) = exp c * total v z.
Proof.
  unfold total. rewrite <- sum_scale. apply sum_ext. intros. rewrite exp_plus. ring.
Qed.

(* softmax (z + c) = softmax z: subtracting the maximum changes nothing. *)
Theorem softmax_shift_invariant v z c k :
  (0 < v)%nat -> softmax v (fun j => z j + c) k = softmax v z k.
Proof.
  intro H. unfold softmax. rewrite total_shift, exp_plus.
  pose proof (total_pos v z H). pose proof (exp_pos c). field. lra.
Qed.

(* lse (z + c) = lse z + c. *)
Theorem lse_shift v z c : (0 < v)%nat -> lse v (fun j => z j + c) = lse v z + c.
Proof.
  intro H. unfold lse. rewrite total_shift, ln_mult, ln_exp;
  [ring|apply exp_pos|now apply total_pos].
Qed.

Lemma ln_le x y : 0 < x -> x <= y -> ln x <= ln y.
Proof. intros H [L|E]; [left; now apply ln_increasing|subst; lra]. Qed.

(* max z ≤ lse z ≤ max z + ln V. *)
Theorem lse_bounds v z top :
  (top < v)%nat -> (forall j, (j < v)%nat -> z j <= z top) ->
  z top <= lse v z <= z top + ln (INR v).
Proof.
  intros Ht Hm. assert (Hv : 0 < INR v) by (apply lt_0_INR; lia). unfold lse. split.
  - rewrite <- (ln_exp (z top)) at 1. apply ln_le; [apply exp_pos|].
    apply (term_le_sum v top (fun j => exp (z j))); auto.
    intros. left. apply exp_pos.
  - rewrite <- (ln_exp (z top)). rewrite Rplus_comm, <- ln_mult; [|easy|apply exp_pos].
    apply ln_le; [apply total_pos; lia|]. rewrite <- sum_const. apply sum_le.
    intros j Hj. destruct (Hm j Hj) as [L|E]; [left; now apply exp_increasing|rewrite E; lra].
Qed.

Lemma lse_monotone_shift v z w d :
  (0 < v)%nat -> (forall j, (j < v)%nat -> z j <= w j + d) -> lse v z <= lse v w + d.
Proof.
  intros Hv H. rewrite <- lse_shift by easy. apply ln_le; [now apply total_pos|].
  apply sum_le. intros j Hj.
  destruct (H j Hj) as [L|E]; [left; now apply exp_increasing|rewrite E; lra].
Qed.

(* Logits that are wrong by at most d make lse wrong by at most d. *)
Theorem lse_lipschitz v z w d :
  (0 < v)%nat -> (forall j, (j < v)%nat -> Rabs (z j - w j) <= d) ->
  Rabs (lse v z - lse v w) <= d.
Proof.
  intros Hv H.
  assert (two_sides : forall j, (j < v)%nat -> z j <= w j + d /\ w j <= z j + d).
  { intros j Hj. specialize (H j Hj). revert H. unfold Rabs.
    destruct (Rcase_abs (z j - w j)); lra. }
  apply Rabs_le. split.
  - enough (lse v w <= lse v z + d) by lra. apply lse_monotone_shift; auto.
    intros j Hj. now apply two_sides.
  - enough (lse v z <= lse v w + d) by lra. apply lse_monotone_shift; auto.
    intros j Hj. now apply two_sides.
Qed.

(* What the classifier keeps of a row, with e_k = e^(z_k − m) for any m:
   rest = Σ_{k≠t} e_k, own = e_t, p = own/(rest + own), q = rest/(rest + own). *)
Definition own (z : nat -> R) (m : R) (t : nat) : R := exp (z t - m).
Definition rest (v : nat) (z : nat -> R) (m : R) (t : nat) : R :=
  sum v (fun k => (1 - delta k t) * exp (z k - m)).

Lemma rest_plus_own v z m t :
  (t < v)%nat -> rest v z m t + own z m t = total v (fun j => z j - m).
Proof.
  intro H. unfold rest, own, total.
  rewrite <- (sum_delta v t (fun k => exp (z k - m)) H), <- sum_plus.
  apply sum_ext. intros. ring.
Qed.

(* p is the softmax of the target, q its complement, and both forms of the loss are −ln p. *)
Theorem row_statistics v z m t :
  (t < v)%nat ->
  let sum := rest v z m t + own z m t in
  let p := own z m t / sum in
  let q := rest v z m t / sum in
  p = softmax v z t /\ q = 1 - p /\ - ln (1 + - q) = - ln p /\
  ln sum - (z t - m) = - ln p.
Proof.
  intros Ht. cbv zeta. rewrite (rest_plus_own v z m t Ht).
  pose proof (total_pos v (fun j => z j - m) ltac:(lia)) as Hpos.
  pose proof (rest_plus_own v z m t Ht) as Hsum. unfold own in *.
  pose proof (exp_pos (z t - m)).
  assert (Hq : rest v z m t / total v (fun j => z j - m)
               = 1 - exp (z t - m) / total v (fun j => z j - m)).
  { apply (Rmult_eq_reg_r (total v (fun j => z j - m))); [|lra]. field_simplify; lra. }
  repeat split.
  - rewrite <- (softmax_shift_invariant v z (- m) t) by lia. reflexivity.
  - exact Hq.
  - rewrite Hq. f_equal. f_equal. ring.
  - unfold Rdiv. rewrite ln_mult, ln_Rinv, ln_exp; try easy; [ring|].
    now apply Rinv_0_lt_compat.
Qed.
