(* The two facts about e^r that the error analysis of the f32 exponential starts from: what Taylor's
   polynomial to r^7 leaves out, and eleven digits of ln 2. *)

(* Modelled: src/cpu/real.rs: for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] { *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

(* Horner's form, as real.rs evaluates it. *)
Definition taylor7 (r : R) : R :=
  (((((((1 / 5040) * r + 1 / 720) * r + 1 / 120) * r + 1 / 24) * r + 1 / 6) * r + 1 / 2) * r + 1)
  * r + 1.

Definition ratio (r : R) : R := taylor7 r * exp (- r).

(* d/dr (T₇ e^(−r)) = −e^(−r) r⁷/7!. *)
Lemma ratio_derivative r : is_derive ratio r (- (r ^ 7 / 5040) * exp (- r)).
Proof. unfold ratio, taylor7. auto_derive; [easy|]. field. Qed.

Lemma exp_small x : Rabs x <= 0.3467 -> exp x <= 1.54.
Proof.
  intro H. assert (x <= 0.3467) by (revert H; unfold Rabs; destruct (Rcase_abs x); lra).
  assert (exp x <= exp 0.3467).
  { destruct (Rle_lt_or_eq_dec x 0.3467) as [L|E]; [easy|left; now apply exp_increasing|].
    rewrite E. lra. }
  assert (1 + - 0.3467 <= exp (- 0.3467)) by (left; apply exp_ineq1; lra).
  assert (exp 0.3467 * exp (- 0.3467) = 1).
  { rewrite <- exp_plus. replace (0.3467 + - 0.3467) with 0 by lra. apply exp_0. }
  pose proof (exp_pos 0.3467). nra.
Qed.

(* c between 0 and r: c⁷ has the sign of r. *)
Lemma odd_power_sign c r : Rmin 0 r <= c <= Rmax 0 r -> 0 <= c ^ 7 * r /\ Rabs c <= Rabs r.
Proof.
  replace (c ^ 7 * r) with ((c ^ 3) * (c ^ 3) * (c * r)) by ring. pose proof (Rle_0_sqr (c ^ 3)) as S.
  unfold Rsqr in S. unfold Rmin, Rmax. destruct (Rle_dec 0 r); intro H;
  (split; [apply Rmult_le_pos; [exact S|nra]|]);
  unfold Rabs; destruct (Rcase_abs c), (Rcase_abs r); lra.
Qed.

(* −1.54 r⁸/8! ≤ T₇(r)/e^r − 1 ≤ 0 for |r| ≤ 0.3467. *)
Lemma taylor_ratio r :
  Rabs r <= 0.3467 -> - (1.54 * r ^ 8 / 40320) <= ratio r - 1 <= 0.
Proof.
  intro Hr. assert (R0 : ratio 0 = 1).
  { unfold ratio, taylor7. rewrite Ropp_0, exp_0. field. }
  split.
  - pose (g := fun x => ratio x + 1.54 * x ^ 8 / 40320).
    assert (Dg : forall x, is_derive g x (x ^ 7 / 5040 * (1.54 - exp (- x)))).
    { intro x. unfold g. evar_last.
      - apply (is_derive_plus ratio); [apply ratio_derivative|].
        auto_derive; [easy|reflexivity].
      - unfold plus; simpl. field. }
    destruct (MVT_gen g 0 r (fun x => x ^ 7 / 5040 * (1.54 - exp (- x)))) as (c & Hc & E).
    { intros x _. apply Dg. }
    { intros x _. apply continuity_pt_filterlim. apply (ex_derive_continuous g).
      eexists. apply Dg. }
    destruct (odd_power_sign c r Hc) as [S B].
    assert (exp (- c) <= 1.54) by (apply exp_small; rewrite Rabs_Ropp; lra).
    assert (0 <= g r - g 0).
    { rewrite E, Rminus_0_r.
      replace (c ^ 7 / 5040 * (1.54 - exp (- c)) * r)
        with (c ^ 7 * r * ((1.54 - exp (- c)) / 5040)) by field.
      apply Rmult_le_pos; lra. }
    unfold g in H0. rewrite R0 in H0. simpl (0 ^ 8) in H0. lra.
  - destruct (MVT_gen ratio 0 r (fun x => - (x ^ 7 / 5040) * exp (- x))) as (c & Hc & E).
    { intros x _. apply ratio_derivative. }
    { intros x _. apply continuity_pt_filterlim. apply (ex_derive_continuous ratio).
      eexists. apply ratio_derivative. }
    destruct (odd_power_sign c r Hc) as [S _]. rewrite R0 in E. rewrite E, Rminus_0_r.
    replace (- (c ^ 7 / 5040) * exp (- c) * r) with (- (c ^ 7 * r * (exp (- c) / 5040))) by field.
    enough (0 <= c ^ 7 * r * (exp (- c) / 5040)) by lra.
    pose proof (exp_pos (- c)). apply Rmult_le_pos; lra.
Qed.

Lemma ratio_times_exp r : taylor7 r = ratio r * exp r.
Proof.
  unfold ratio. rewrite Rmult_assoc, <- exp_plus, Rplus_opp_l, exp_0. ring.
Qed.

(* |T₇(r) − e^r| ≤ 8·10⁻⁹ e^r on the interval that real.rs reduces to. *)
Theorem taylor_seven r :
  Rabs r <= 0.3467 -> Rabs (taylor7 r - exp r) <= 8e-9 * exp r.
Proof.
  intro Hr. pose proof (taylor_ratio r Hr) as [L U]. pose proof (exp_pos r).
  rewrite ratio_times_exp.
  replace (ratio r * exp r - exp r) with ((ratio r - 1) * exp r) by ring.
  rewrite Rabs_mult, (Rabs_pos_eq (exp r)) by lra. apply Rmult_le_compat_r; [lra|].
  assert (Hs : 0 <= r * r <= 0.3467 * 0.3467).
  { revert Hr. unfold Rabs. destruct (Rcase_abs r); intro; nra. }
  assert (0 <= r ^ 8 <= 0.00020876).
  { replace (r ^ 8) with (r * r * (r * r) * (r * r * (r * r))) by ring.
    assert (0 <= r * r * (r * r) <= 0.0144485) by nra. nra. }
  apply Rabs_le. lra.
Qed.

Lemma exp_sixteenth y : exp y = (exp (y / 16)) ^ 16.
Proof. simpl. rewrite Rmult_1_r, <- !exp_plus. f_equal. field. Qed.

Lemma sixteenth_power x : x ^ 16 = (((x ^ 2) ^ 2) ^ 2) ^ 2.
Proof. ring. Qed.

(* Near zero Taylor's polynomial is good to 16 digits. *)
Lemma exp_between r : 0 <= r <= 0.04333 ->
  taylor7 r <= exp r <= taylor7 r + 6e-16 * exp r.
Proof.
  intro Hr. assert (Ha : Rabs r <= 0.3467) by (rewrite Rabs_pos_eq; lra).
  pose proof (taylor_ratio r Ha) as [L U]. pose proof (exp_pos r). rewrite ratio_times_exp.
  assert (Hs : 0 <= r * r <= 0.0018775) by nra.
  assert (0 <= r ^ 8 <= 1.2427e-11).
  { replace (r ^ 8) with (r * r * (r * r) * (r * r * (r * r))) by ring.
    assert (0 <= r * r * (r * r) <= 3.5251e-6) by nra. nra. }
  split; nra.
Qed.

(* Eleven digits of ln 2. *)
Theorem ln_two_digits : 0.69314718055 <= ln 2 <= 0.69314718057.
Proof.
  split.
  - rewrite <- (ln_exp 0.69314718055). left. apply ln_increasing; [apply exp_pos|].
    rewrite exp_sixteenth, sixteenth_power. set (e := exp (0.69314718055 / 16)).
    assert (H0 : 0 <= e <= 1.04427378242677).
    { unfold e. replace (0.69314718055 / 16) with 0.043321698784375 by lra.
      pose proof (exp_between 0.043321698784375 ltac:(lra)) as [_ H].
      pose proof (exp_pos 0.043321698784375). unfold taylor7 in H. lra. }
    assert (H1 : 0 <= e ^ 2 <= 1.09050773266392) by (simpl; nra).
    assert (H2 : 0 <= (e ^ 2) ^ 2 <= 1.18920711499981) by (set (x := e ^ 2) in *; simpl; nra).
    assert (H3 : 0 <= ((e ^ 2) ^ 2) ^ 2 <= 1.41421356236618)
      by (set (x := (e ^ 2) ^ 2) in *; simpl; nra).
    set (x := ((e ^ 2) ^ 2) ^ 2) in *. simpl. nra.
  - rewrite <- (ln_exp 0.69314718057). left. apply ln_increasing; [lra|].
    rewrite exp_sixteenth, sixteenth_power. set (e := exp (0.69314718057 / 16)).
    assert (H0 : 1.04427378242806 <= e).
    { unfold e. replace (0.69314718057 / 16) with 0.043321698785625 by lra.
      pose proof (exp_between 0.043321698785625 ltac:(lra)) as [H _]. unfold taylor7 in H. lra. }
    assert (H1 : 1.09050773266660 <= e ^ 2) by (simpl; nra).
    assert (H2 : 1.18920711500564 <= (e ^ 2) ^ 2) by (set (x := e ^ 2) in *; simpl; nra).
    assert (H3 : 1.41421356238003 <= ((e ^ 2) ^ 2) ^ 2)
      by (set (x := (e ^ 2) ^ 2) in *; simpl; nra).
    set (x := ((e ^ 2) ^ 2) ^ 2) in *. simpl. nra.
Qed.
