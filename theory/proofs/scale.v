(* The last step of the f32 exponential: value = sum · 2^half · 2^(n − half), with n the integer and
   sum ≈ e^R, so that sum·2^n ≈ e^x. Where nothing is subnormal the products are exact, and for x in
   [−87.31, 88.722832] nothing is subnormal and nothing overflows. *)

(* Modelled: src/cpu/real.rs: let value = sum * scale(half) * scale(bits - half);
   Modelled: src/cpu/real.rs: let value = if self < -87.3 { 0.0 } else { value }; *)

From Coq Require Import Reals ZArith Lra Lia.
From Flocq Require Import Core Mult_error.
From Proofs Require Import exponential lanes.
Open Scope R_scope.

(* A product by a power of two is exact unless it falls below 2^−126. *)
Theorem scaling_is_exact s k :
  f32 s -> bpow radix2 (-126) <= Rabs (s * bpow radix2 k) ->
  fl (s * bpow radix2 k) = s * bpow radix2 k.
Proof.
  intros Hs H. apply fl_exact.
  destruct (Req_dec s 0) as [->|N]; [rewrite Rmult_0_l; apply f32_zero|].
  apply mult_bpow_exact_FLT; [exact Hs|].
  assert (E : (-126 < mag radix2 (s * bpow radix2 k))%Z) by now apply mag_gt_bpow.
  rewrite mag_mult_bpow in E by exact N. lia.
Qed.

Lemma power_of_two k : bpow radix2 k = exp (IZR k * ln 2).
Proof. apply bpow_exp. Qed.

(* Two units in the last place below e^x is still above 2^−126. *)
Theorem exp_stays_normal x :
  - 87.31 <= x -> bpow radix2 (-126) <= (1 - / 4194304) * exp x.
Proof.
  intro H. pose proof ln_two_digits. rewrite power_of_two.
  pose proof (exp_pos (-126 * ln 2)).
  replace x with (-126 * ln 2 + (x + 126 * ln 2)) by ring. rewrite exp_plus.
  assert (1 + (x + 126 * ln 2) <= exp (x + 126 * ln 2)) by (left; apply exp_ineq1; lra).
  nra.
Qed.

(* Two units above e^x is still below 2^128. *)
Theorem exp_stays_finite x :
  x <= 88.722832 -> (1 + / 4194304) * exp x < bpow radix2 128.
Proof.
  intro H. pose proof ln_two_digits. rewrite power_of_two. pose proof (exp_pos x).
  replace (128 * ln 2) with (x + (128 * ln 2 - x)) by ring. rewrite exp_plus.
  assert (1 + (128 * ln 2 - x) < exp (128 * ln 2 - x)) by (apply exp_ineq1; lra).
  nra.
Qed.
