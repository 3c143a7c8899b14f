(* Accumulate: the k-th generation pools k blocks of n tokens, so the share of the variance kept is

     Π_{k≤t} (1 − 1/(n k²)),

   which falls in t but never below a positive constant. *)

From Coq Require Import Reals Lra Lia Arith List.
From Proofs Require Import sums recursion.
Open Scope R_scope.

Fixpoint product (n t : nat) : R :=
  match t with O => 1 | S t => product n t * (1 - / (INR n * (INR (S t) * INR (S t)))) end.

(* The blocks 1, …, t with their shares 1/k. *)
Fixpoint blocks (n t : nat) : list (nat * R) :=
  match t with O => nil | S t => blocks n t ++ (n, / INR (S t)) :: nil end.

Lemma kept_app a b : kept (a ++ b) = kept a * kept b.
Proof. induction a as [|[n w] a IH]; simpl; [ring|rewrite IH; ring]. Qed.

Lemma kept_blocks n t : (0 < n)%nat -> kept (blocks n t) = product n t.
Proof.
  intro Hn. apply lt_0_INR in Hn. induction t as [|t IH]; [easy|].
  assert (0 < INR (S t)) by (apply lt_0_INR; lia).
  change (blocks n (S t)) with (blocks n t ++ (n, / INR (S t)) :: nil).
  rewrite kept_app, IH. cbn [kept product]. f_equal. field. lra.
Qed.

(* E H_t = H_0 Π_{k≤t} (1 − 1/(n k²)). *)
Theorem accumulate_decay v n t p :
  (0 < n)%nat -> sum v p = 1 ->
  after v (blocks n t) p (gini v) = gini v p * product n t.
Proof.
  intros Hn one. rewrite variance_after_schedule, kept_blocks; auto.
  induction t as [|t IH]; simpl; [constructor|].
  apply Forall_app. split; [easy|]. now constructor.
Qed.

Section bounds.

Variable n : nat.
Hypothesis positive : (0 < n)%nat.

Lemma n_pos : 1 <= INR n.
Proof. change 1 with (INR 1). apply le_INR. lia. Qed.

Lemma square_pos t : 1 <= INR (S t) * INR (S t).
Proof.
  assert (1 <= INR (S t)) by (change 1 with (INR 1); apply le_INR; lia). nra.
Qed.

Lemma factor_bounds t : 0 <= 1 - / (INR n * (INR (S t) * INR (S t))) < 1.
Proof.
  pose proof n_pos. pose proof (square_pos t).
  assert (1 <= INR n * (INR (S t) * INR (S t))) by nra.
  assert (0 < / (INR n * (INR (S t) * INR (S t)))) by (apply Rinv_0_lt_compat; lra).
  assert (/ (INR n * (INR (S t) * INR (S t))) <= / 1) by (apply Rinv_le_contravar; lra).
  lra.
Qed.

Lemma product_in_unit t : 0 <= product n t <= 1.
Proof.
  induction t as [|t IH]; cbn [product]; [lra|].
  pose proof (factor_bounds t). split; [apply Rmult_le_pos; lra|].
  rewrite <- (Rmult_1_r 1). apply Rmult_le_compat; lra.
Qed.

(* The variance kept never rises. *)
Theorem accumulate_decreases t : product n (S t) <= product n t.
Proof.
  cbn [product]. pose proof (product_in_unit t). pose proof (factor_bounds t).
  rewrite <- (Rmult_1_r (product n t)) at 2. apply Rmult_le_compat_l; lra.
Qed.

(* Π ≥ 1 − (1/n) Σ 1/k² ≥ 1 − (1/n)(2 − 1/t). *)
Theorem accumulate_bound t :
  (0 < t)%nat -> 1 - / INR n * (2 - / INR t) <= product n t.
Proof.
  intro Ht. pose proof n_pos. assert (0 < / INR n) by (apply Rinv_0_lt_compat; lra).
  induction t as [|t IH]; [lia|].
  destruct (Nat.eq_dec t 0) as [->|N].
  - cbn [product]. simpl INR. rewrite !Rmult_1_r, Rinv_1. lra.
  - specialize (IH ltac:(lia)). cbn [product].
    assert (H1 : 1 <= INR t) by (change 1 with (INR 1); apply le_INR; lia).
    pose proof (product_in_unit t) as [_ P1]. pose proof (square_pos t) as Hs.
    set (x := / (INR n * (INR (S t) * INR (S t)))).
    assert (Hx : x = / INR n * / (INR (S t) * INR (S t))).
    { unfold x. apply Rinv_mult. }
    assert (0 < / (INR (S t) * INR (S t))) by (apply Rinv_0_lt_compat; lra).
    assert (0 <= x) by (rewrite Hx; nra).
    assert (product n t - x <= product n t * (1 - x)) by nra.
    (* 1/(t+1)² ≤ 1/t − 1/(t+1) *)
    assert (/ (INR (S t) * INR (S t)) <= / INR t - / INR (S t)).
    { rewrite S_INR in *.
      replace (/ INR t - / (INR t + 1)) with (/ (INR t * (INR t + 1))) by (field; lra).
      apply Rinv_le_contravar; nra. }
    assert (x <= / INR n * (/ INR t - / INR (S t))) by (rewrite Hx; apply Rmult_le_compat_l; lra).
    lra.
Qed.

(* Π_{2≤k≤t} (1 − 1/k²) = (t+1)/(2t) > 1/2 makes a bound that is positive for every n ≥ 2. *)
Theorem accumulate_stays_positive t :
  (2 <= n)%nat -> (0 < t)%nat ->
  (1 - / INR n) / 2 < product n t /\ 0 < (1 - / INR n) / 2.
Proof.
  intros Hn Ht. assert (2 <= INR n) by (change 2 with (INR 2); now apply le_INR).
  assert (Hi : 0 < / INR n <= / 2).
  { split; [apply Rinv_0_lt_compat; lra|apply Rinv_le_contravar; lra]. }
  split; [|lra].
  enough ((1 - / INR n) * ((INR t + 1) / (2 * INR t)) <= product n t).
  { apply lt_0_INR in Ht. assert (1 / 2 < (INR t + 1) / (2 * INR t)).
    { apply (Rmult_lt_reg_r (2 * INR t)); [lra|]. field_simplify; lra. }
    nra. }
  induction t as [|t IH]; [lia|].
  destruct (Nat.eq_dec t 0) as [->|N].
  - cbn [product]. simpl INR. rewrite !Rmult_1_r. lra.
  - specialize (IH ltac:(lia)). cbn [product].
    assert (H1 : 1 <= INR t) by (change 1 with (INR 1); apply le_INR; lia).
    pose proof (product_in_unit t).
    replace ((INR (S t) + 1) / (2 * INR (S t)))
      with ((INR t + 1) / (2 * INR t) * (1 - / (INR (S t) * INR (S t))))
      by (rewrite S_INR; field; lra).
    rewrite <- Rmult_assoc.
    assert (Hs : 1 <= INR (S t) * INR (S t)) by apply square_pos.
    assert (/ (INR (S t) * INR (S t)) <= / 1) by (apply Rinv_le_contravar; lra).
    apply Rmult_le_compat; [|lra|exact IH|].
    + apply Rmult_le_pos; [lra|]. left. apply Rdiv_lt_0_compat; lra.
    + enough (/ (INR n * (INR (S t) * INR (S t))) <= / (INR (S t) * INR (S t))) by lra.
      apply Rinv_le_contravar; nra.
Qed.

End bounds.
