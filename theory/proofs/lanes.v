(* Rounding error of the f32 sum in the order of the CPU tier: element i is added to lane i mod 16,
   and the sixteen lanes are added as a tree. For every length n, with m = ⌈n/16⌉ and u = 2^−24,

     |computed − Σ x_i| ≤ ((1 + u)^(m + 3) − 1) Σ |x_i|.

   The format is IEEE single precision with subnormal numbers, rounding to nearest, ties to even.
   Overflow is outside the model: the exponent has no upper end. *)

(* Modelled: src/cpu/lanes.rs: pub const LANES: usize = 16;
   Modelled: src/cpu/lanes.rs: let eight: [R; 8] = std::array::from_fn(|i| lanes[i] + lanes[i + 8]);
   Modelled: src/cpu/lanes.rs: let four: [R; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
   Modelled: src/cpu/lanes.rs: (four[0] + four[2]) + (four[1] + four[3])
   Modelled: src/cpu/classifier.rs: z[target] = R::zero();
   Modelled: src/cpu/classifier.rs: let rest = lanes::sum(z);
   Modelled: src/cpu/classifier.rs: let total = rest + own; *)

From Coq Require Import Reals Lra Lia Arith ZArith.
From Flocq Require Import Core Plus_error Relative.
From Proofs Require Import sums.
Open Scope R_scope.

Definition f32 : R -> Prop := generic_format radix2 (FLT_exp (-149) 24).
Definition fl : R -> R := round radix2 (FLT_exp (-149) 24) ZnearestE.
Definition u : R := / 16777216.

#[local] Instance prec_positive : Prec_gt_0 24 := eq_refl.

(* u = 2^−24. *)
Lemma unit_roundoff : u_ro radix2 24 = u.
Proof. unfold u_ro, u. simpl. lra. Qed.

Lemma fl_format x : f32 (fl x).
Proof. apply generic_format_round; [apply FLT_exp_valid; easy|apply valid_rnd_N]. Qed.

Lemma fl_exact x : f32 x -> fl x = x.
Proof. intro H. apply round_generic; [apply valid_rnd_N|exact H]. Qed.

Lemma f32_zero : f32 0.
Proof. apply generic_format_0. Qed.

(* One addition, subnormal numbers included: fl(x + y) = (x + y)(1 + δ) with |δ| ≤ u. *)
Lemma add_rounds_once x y : f32 x -> f32 y -> Rabs (fl (x + y) - (x + y)) <= u * Rabs (x + y).
Proof.
  intros Hx Hy.
  destruct (FLT_plus_error_N_ex radix2 (-149) 24 (fun z => negb (Z.even z)) x y Hx Hy)
    as (d & Hd & E).
  change (fl (x + y) = (x + y) * (1 + d)) in E. rewrite E.
  replace ((x + y) * (1 + d) - (x + y)) with (d * (x + y)) by ring.
  rewrite Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos|].
  eapply Rle_trans; [exact Hd|]. rewrite <- unit_roundoff.
  apply u_rod1pu_ro_le_u_ro.
Qed.

(* A computed value after at most d roundings on each way through: its error is ((1+u)^d − 1) times
   the sum of the absolute values. *)
Definition growth (d : nat) : R := (1 + u) ^ d - 1.
Definition approximates (d : nat) (computed exact mass : R) : Prop :=
  f32 computed /\ Rabs exact <= mass /\ Rabs (computed - exact) <= growth d * mass.

Lemma growth_step d : growth (S d) = growth d * (1 + u) + u.
Proof. unfold growth. simpl. ring. Qed.

Lemma u_small : 0 < u < 1 / 1000.
Proof. unfold u. lra. Qed.

Lemma growth_nonneg d : 0 <= growth d.
Proof.
  pose proof u_small. induction d as [|d IH]; [unfold growth; simpl; lra|].
  rewrite growth_step. nra.
Qed.

Lemma growth_monotone c d : (c <= d)%nat -> growth c <= growth d.
Proof.
  pose proof u_small. induction 1; [lra|]. rewrite growth_step.
  pose proof (growth_nonneg m). nra.
Qed.

Lemma approximates_weaken c d x y z : (c <= d)%nat -> approximates c x y z -> approximates d x y z.
Proof.
  intros Hcd (Hf & Hm & He). repeat split; auto. eapply Rle_trans; [exact He|].
  apply Rmult_le_compat_r; [|now apply growth_monotone].
  eapply Rle_trans; [apply Rabs_pos|exact Hm].
Qed.

Lemma approximates_exactly x : f32 x -> approximates 0 x x (Rabs x).
Proof.
  intro H. repeat split; auto; [lra|]. unfold growth. simpl.
  replace (x - x) with 0 by ring. rewrite Rabs_R0. lra.
Qed.

(* Adding two such values costs one more rounding. *)
Lemma approximates_add d x y a b ma mb :
  approximates d x a ma -> approximates d y b mb ->
  approximates (S d) (fl (x + y)) (a + b) (ma + mb).
Proof.
  intros (Fx & Ma & Ea) (Fy & Mb & Eb). split; [apply fl_format|].
  pose proof (Rabs_triang a b). split; [lra|].
  pose proof (add_rounds_once x y Fx Fy) as Er.
  replace (fl (x + y) - (a + b)) with (fl (x + y) - (x + y) + (x - a) + (y - b)) by ring.
  assert (Rabs (x + y) <= Rabs (x - a) + Rabs (y - b) + Rabs a + Rabs b).
  { replace (x + y) with (x - a + (y - b) + a + b) by ring.
    eapply Rle_trans; [apply Rabs_triang|].
    apply Rplus_le_compat_r. eapply Rle_trans; [apply Rabs_triang|].
    apply Rplus_le_compat_r, Rabs_triang. }
  pose proof (Rabs_triang (fl (x + y) - (x + y) + (x - a)) (y - b)).
  pose proof (Rabs_triang (fl (x + y) - (x + y)) (x - a)).
  pose proof u_small. pose proof (growth_nonneg d). rewrite growth_step.
  assert (u * Rabs (x + y) <= u * ((growth d + 1) * (ma + mb))).
  { apply Rmult_le_compat_l; [lra|]. lra. }
  lra.
Qed.

(* Adding an exact term to a chain that has begun. *)
Lemma approximates_extend d x a ma y :
  approximates d x a ma -> f32 y ->
  approximates (S d) (fl (x + y)) (a + y) (ma + Rabs y).
Proof.
  intros H Hy. apply approximates_add; [exact H|].
  apply (approximates_weaken 0); [lia|]. now apply approximates_exactly.
Qed.

(* The code's loops, over chunks of sixteen and the rest, add the elements in order, element i to
   lane i mod 16. The same walk counts the terms and adds them without rounding. *)
Definition add_at {A} (lanes : nat -> A) (i : nat) (f : A -> A) (l : nat) : A :=
  if Nat.eqb l (i mod 16) then f (lanes l) else lanes l.

Fixpoint walk {A} (zero : A) (add : A -> nat -> A) (n : nat) : nat -> A :=
  match n with
  | O => fun _ => zero
  | S n => add_at (walk zero add n) n (fun lane => add lane n)
  end.

Definition lanes (x : nat -> R) := walk 0 (fun lane i => fl (lane + x i)).
Definition unrounded (x : nat -> R) := walk 0 (fun lane i => lane + x i).
Definition mass (x : nat -> R) := unrounded (fun i => Rabs (x i)).
Definition terms := walk O (fun lane _ => S lane).

(* lanes.rs, fn tree. *)
Definition tree (add : R -> R -> R) (lane : nat -> R) : R :=
  let eight i := add (lane i) (lane (i + 8)%nat) in
  let four i := add (eight i) (eight (i + 4)%nat) in
  add (add (four 0%nat) (four 2%nat)) (add (four 1%nat) (four 3%nat)).

(* lanes.rs, fn sum. *)
Definition lane_sum (x : nat -> R) (n : nat) : R := tree (fun a b => fl (a + b)) (lanes x n).

Lemma terms_bound n l : (l < 16)%nat -> (terms n l <= (n + 15) / 16)%nat.
Proof.
  intro Hl. assert (E : terms n l = ((n + 15 - l) / 16)%nat).
  { induction n as [|n IH].
    - change (terms 0 l) with 0%nat. symmetry. apply Nat.div_small. lia.
    - cbn [terms walk]. unfold add_at. fold terms. unfold terms in *.
      pose proof (Nat.div_mod_eq n 16). pose proof (Nat.mod_upper_bound n 16 ltac:(lia)).
      pose proof (Nat.div_mod_eq (n + 15 - l) 16).
      pose proof (Nat.mod_upper_bound (n + 15 - l) 16 ltac:(lia)).
      pose proof (Nat.div_mod_eq (S n + 15 - l) 16).
      pose proof (Nat.mod_upper_bound (S n + 15 - l) 16 ltac:(lia)).
      destruct (Nat.eqb_spec l (n mod 16)); rewrite IH; lia. }
  rewrite E. apply Nat.div_le_mono; lia.
Qed.

(* The first addition to a lane, 0 + x, is exact: a lane of c terms has rounded c − 1 times. *)
Lemma lane_error x n l :
  (forall i, (i < n)%nat -> f32 (x i)) ->
  (terms n l = 0%nat -> lanes x n l = 0 /\ unrounded x n l = 0) /\
  approximates (Nat.pred (terms n l)) (lanes x n l) (unrounded x n l) (mass x n l).
Proof.
  induction n as [|n IH]; intro H.
  - split; [easy|]. pose proof (approximates_exactly 0 f32_zero) as A.
    rewrite Rabs_R0 in A. exact A.
  - destruct (IH ltac:(auto)) as (Z & A). specialize (H n ltac:(lia)).
    unfold mass, lanes, unrounded, terms in *. cbn [walk]. unfold add_at.
    destruct (Nat.eqb l (n mod 16)); [|now split].
    split; [easy|]. cbn [Nat.pred].
    destruct (walk 0%nat (fun lane _ => S lane) n l) as [|c] eqn:E.
    + destruct (Z eq_refl) as (Z1 & Z2). rewrite Z1, Z2 in *.
      rewrite !Rplus_0_l, fl_exact by exact H.
      destruct A as (_ & M & _). rewrite Rabs_R0 in M.
      destruct (approximates_exactly _ H) as (F & M' & E').
      repeat split; [exact F|lra|]. unfold growth in *. simpl in *. lra.
    + now apply approximates_extend.
Qed.

Lemma tree_error d x a m :
  (forall l, (l < 16)%nat -> approximates d (x l) (a l) (m l)) ->
  approximates (S (S (S (S d)))) (tree (fun a b => fl (a + b)) x) (tree Rplus a) (tree Rplus m).
Proof.
  intro H. unfold tree. repeat apply approximates_add; apply H; lia.
Qed.

Lemma tree_is_sum a : tree Rplus a = sum 16 a.
Proof. unfold tree. simpl. ring. Qed.

Lemma lanes_hold_every_term x n : sum 16 (unrounded x n) = sum n x.
Proof.
  induction n as [|n IH]; [unfold unrounded; simpl; ring|].
  change (sum (S n) x) with (sum n x + x n). rewrite <- IH. pose proof (Nat.mod_upper_bound n 16 ltac:(lia)) as Hm.
  rewrite <- (sum_delta 16 (n mod 16) (fun _ => x n) Hm), <- sum_plus.
  apply sum_ext. intros l _. unfold unrounded. cbn [walk]. unfold add_at, delta.
  destruct (Nat.eqb l (n mod 16)); ring.
Qed.

(* The sum of n ≥ 1 numbers in the order of lanes.rs. *)
Theorem lane_sum_error x n :
  (0 < n)%nat -> (forall i, (i < n)%nat -> f32 (x i)) ->
  approximates ((n + 15) / 16 + 3) (lane_sum x n) (sum n x) (sum n (fun i => Rabs (x i))).
Proof.
  intros Hn H. rewrite <- (lanes_hold_every_term x n).
  rewrite <- (lanes_hold_every_term (fun i => Rabs (x i)) n).
  rewrite <- !tree_is_sum.
  assert (1 <= (n + 15) / 16)%nat by (apply Nat.div_le_lower_bound; lia).
  apply (approximates_weaken (S (S (S (S (Nat.pred ((n + 15) / 16))))))); [lia|].
  apply tree_error. intros l Hl. apply (approximates_weaken (Nat.pred (terms n l))).
  - apply Nat.pred_le_mono. now apply terms_bound.
  - apply lane_error. exact H.
Qed.

(* classifier.rs, fn one_row: the target's exponential is set aside as zero, the others are summed
   in lanes, and it is added last. *)
Definition row_total (e : nat -> R) (n t : nat) : R :=
  fl (lane_sum (fun k => if Nat.eqb k t then 0 else e k) n + e t).

(* If every stored exponential is within ε relative and η absolute of the true one, so is the total
   up to the roundings of the sum:
   |total − Σ E_k| ≤ ((1+u)^(m+4)(1+ε) − 1) Σ E_k + (1+u)^(m+4) n η. *)
Theorem row_total_error e truth n t eps eta :
  (t < n)%nat -> 0 <= eps -> 0 <= eta ->
  (forall k, (k < n)%nat ->
     f32 (e k) /\ 0 <= e k /\ 0 <= truth k /\ Rabs (e k - truth k) <= eps * truth k + eta) ->
  let g := (1 + u) ^ ((n + 15) / 16 + 4) in
  Rabs (row_total e n t - sum n truth)
  <= (g * (1 + eps) - 1) * sum n truth + g * (INR n * eta).
Proof.
  intros Ht Heps Heta H g.
  set (x := fun k => if Nat.eqb k t then 0 else e k).
  assert (Fx : forall k, (k < n)%nat -> f32 (x k)).
  { intros k Hk. unfold x. destruct (Nat.eqb k t); [apply f32_zero|now apply H]. }
  pose proof (approximates_extend _ _ _ _ (e t)
    (lane_sum_error x n ltac:(lia) Fx) (proj1 (H t Ht))) as (_ & _ & E).
  fold (row_total e n t) in E. change (fl (lane_sum x n + e t)) with (row_total e n t) in E.
  replace (S ((n + 15) / 16 + 3)) with ((n + 15) / 16 + 4)%nat in E by lia.
  assert (Habs : sum n (fun i => Rabs (x i)) = sum n x).
  { apply sum_ext. intros k Hk. apply Rabs_pos_eq. unfold x.
    destruct (Nat.eqb k t); [lra|now apply H]. }
  assert (Hsum : sum n x + e t = sum n e).
  { rewrite <- (sum_delta n t e Ht), <- sum_plus. apply sum_ext. intros k _.
    unfold x, delta. destruct (Nat.eqb k t); ring. }
  rewrite Habs, (Rabs_pos_eq (e t)), Hsum in E by now apply H.
  assert (Hd : Rabs (sum n e - sum n truth) <= eps * sum n truth + INR n * eta).
  { replace (sum n e - sum n truth) with (sum n (fun k => e k + - 1 * truth k))
      by (rewrite sum_plus, sum_scale; ring).
    eapply Rle_trans; [apply sum_abs|].
    rewrite <- sum_scale, <- sum_const, <- sum_plus. apply sum_le. intros k Hk.
    replace (e k + -1 * truth k) with (e k - truth k) by ring. now apply H. }
  pose proof (growth_nonneg ((n + 15) / 16 + 4)) as Hg.
  unfold growth in E, Hg. fold g in E, Hg.
  replace (row_total e n t - sum n truth)
    with (row_total e n t - sum n e + (sum n e - sum n truth)) by ring.
  eapply Rle_trans; [apply Rabs_triang|].
  assert (sum n e <= (1 + eps) * sum n truth + INR n * eta).
  { pose proof (Rle_abs (sum n e - sum n truth)). lra. }
  assert ((g - 1) * sum n e <= (g - 1) * ((1 + eps) * sum n truth + INR n * eta))
    by (apply Rmult_le_compat_l; lra).
  lra.
Qed.
