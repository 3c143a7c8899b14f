(* Recursive training of a categorical law: draw n tokens from the model, pool them with the older
   text, refit, again. The expectation is the finite sum over all samples, so nothing is assumed
   about probability.

     E H(p_t) = H(p_0) Π_k (1 − n_k/N_k²),   H(p) = 1 − Σ p²,

   for blocks of n_k tokens that bring the pool to N_k. *)

(* Modelled: theory/collapse/src/recursion.rs: model.draw(&mut pool, synthetic, bias, stream);
   Modelled: theory/collapse/src/categorical.rs: let probabilities = pool.iter().map(|&c| (c as f64 + self.smoothing) / total).collect();
   Modelled: theory/collapse/src/conservation.rs: kept * (1.0 - block as f64 / (pool as f64 * pool as f64)) *)

From Coq Require Import Reals Lra Lia Arith List.
From Proofs Require Import sums.
Open Scope R_scope.

Section vocabulary.

Variable v : nat.

(* E F over samples of n independent tokens with the law p. *)
Fixpoint expect (p : nat -> R) (n : nat) (F : list nat -> R) : R :=
  match n with
  | O => F nil
  | S n => sum v (fun k => p k * expect p n (fun s => F (k :: s)))
  end.

(* How often token i occurs. *)
Fixpoint count (i : nat) (s : list nat) : R :=
  match s with nil => 0 | k :: s => delta i k + count i s end.

Definition gini (p : nat -> R) : R := 1 - sum v (fun i => p i * p i).

(* The refitted model: the old pool has the share 1 − w, the block of n tokens the share w. *)
Definition refit (w : R) (n : nat) (p : nat -> R) (s : list nat) (i : nat) : R :=
  (1 - w) * p i + w * (count i s / INR n).

Definition sample (n : nat) (s : list nat) : Prop :=
  length s = n /\ Forall (fun k => (k < v)%nat) s.

Lemma expect_ext p n : forall F G,
  (forall s, sample n s -> F s = G s) -> expect p n F = expect p n G.
Proof.
  induction n as [|n IH]; intros F G H; simpl; [apply H; now split|].
  apply sum_ext. intros k Hk. f_equal. apply IH. intros s [Hl Hs].
  apply H. split; simpl; [lia|now constructor].
Qed.

Lemma expect_plus p n : forall F G,
  expect p n (fun s => F s + G s) = expect p n F + expect p n G.
Proof.
  induction n as [|n IH]; intros F G; simpl; [easy|].
  rewrite <- sum_plus. apply sum_ext. intros. rewrite IH. ring.
Qed.

Lemma expect_scale p n c : forall F, expect p n (fun s => c * F s) = c * expect p n F.
Proof.
  induction n as [|n IH]; intro F; simpl; [easy|].
  rewrite <- sum_scale. apply sum_ext. intros. rewrite IH. ring.
Qed.

Lemma expect_sum p n w : forall F : nat -> list nat -> R,
  expect p n (fun s => sum w (fun i => F i s)) = sum w (fun i => expect p n (F i)).
Proof.
  intro F. induction w as [|w IH]; simpl.
  - pose proof (expect_scale p n 0 (fun _ => 0)) as H.
    rewrite Rmult_0_l in H. simpl. transitivity (expect p n (fun _ => 0 * 0)); [|exact H].
    apply expect_ext. intros. ring.
  - now rewrite expect_plus, IH.
Qed.

Section law.

Variable p : nat -> R.
Hypothesis one : sum v p = 1.

Lemma average c : sum v (fun k => p k * c) = c.
Proof.
  rewrite (sum_ext v _ (fun k => c * p k)) by (intros; ring).
  rewrite sum_scale, one. ring.
Qed.

Lemma expect_const n c : expect p n (fun _ => c) = c.
Proof.
  induction n as [|n IH]; simpl; [easy|].
  transitivity (sum v (fun k => p k * c)); [|apply average].
  apply sum_ext. intros. now rewrite IH.
Qed.

(* E c_i = n p_i. *)
Lemma count_mean n i : (i < v)%nat -> expect p n (count i) = INR n * p i.
Proof.
  intro Hi. induction n as [|n IH]; [simpl; ring|].
  rewrite S_INR. simpl. rewrite (sum_ext v _ (fun k => delta k i * p k + p k * (INR n * p i))).
  - rewrite sum_plus, sum_delta, average by easy. ring.
  - intros k _. rewrite expect_plus, expect_const, IH, (delta_symmetric i k). ring.
Qed.

(* E c_i² = n p_i + n(n−1) p_i²: the multinomial's second moment. *)
Lemma count_second_moment n i :
  (i < v)%nat ->
  expect p n (fun s => count i s * count i s)
  = INR n * p i + INR n * (INR n - 1) * (p i * p i).
Proof.
  intro Hi. induction n as [|n IH]; [simpl; ring|].
  rewrite S_INR. simpl.
  rewrite (sum_ext v _ (fun k => delta k i * ((1 + 2 * (INR n * p i)) * p k)
    + p k * (INR n * p i + INR n * (INR n - 1) * (p i * p i)))).
  - rewrite sum_plus, sum_delta, average by easy. ring.
  - intros k _.
    rewrite (expect_ext p n _ (fun s => delta k i + (2 * delta k i * count i s
                                                     + count i s * count i s))).
    + rewrite !expect_plus, expect_scale, expect_const, IH, count_mean by easy. ring.
    + intros s _. rewrite (delta_symmetric k i). unfold delta.
      destruct (Nat.eqb i k); ring.
Qed.

(* One generation: E H(p') = H(p)(1 − w²/n). *)
Theorem one_step_variance w n :
  (0 < n)%nat ->
  expect p n (fun s => gini (refit w n p s)) = gini p * (1 - w * w / INR n).
Proof.
  intro Hn. assert (0 < INR n) by now apply lt_0_INR.
  unfold gini at 1, Rminus at 1.
  rewrite (expect_ext p n _ (fun s => 1 + - 1 * sum v (fun i => refit w n p s i * refit w n p s i)))
    by (intros; ring).
  rewrite expect_plus, expect_const, expect_scale, expect_sum.
  rewrite (sum_ext v _ (fun i => (1 - w * w / INR n) * (p i * p i) + w * w / INR n * p i)).
  - rewrite sum_plus, !sum_scale, one. unfold gini. field. lra.
  - intros i Hi. unfold refit.
    rewrite (expect_ext p n _ (fun s => (1 - w) * (1 - w) * (p i * p i)
      + (2 * w * (1 - w) * p i / INR n * count i s
         + w * w / (INR n * INR n) * (count i s * count i s)))) by (intros; field; lra).
    rewrite !expect_plus, !expect_scale, expect_const, count_mean, count_second_moment by easy.
    field. lra.
Qed.

Lemma counts_sum n s : sample n s -> sum v (fun i => count i s) = INR n.
Proof.
  revert n. induction s as [|k s IH]; intros n [Hl Hs]; simpl in Hl; subst n.
  - simpl. rewrite sum_const. ring.
  - rewrite S_INR. simpl. inversion Hs; subst. rewrite sum_plus.
    rewrite (sum_ext v (fun i => delta i k) (fun i => delta i k * 1)) by (intros; ring).
    rewrite (sum_delta v k (fun _ => 1)), (IH (length s)) by (easy || now split). ring.
Qed.

(* The refitted model is a law again. *)
Lemma refit_sums_to_one w n s : (0 < n)%nat -> sample n s -> sum v (refit w n p s) = 1.
Proof.
  intros Hn Hs. assert (0 < INR n) by now apply lt_0_INR. unfold refit.
  rewrite (sum_ext v _ (fun i => (1 - w) * p i + w / INR n * count i s)) by (intros; field; lra).
  rewrite sum_plus, !sum_scale, one, (counts_sum n s Hs). field. lra.
Qed.

End law.

(* A schedule: per generation the size n of the block and its share w = n/N of the pool. *)
Fixpoint after (schedule : list (nat * R)) (p : nat -> R) (F : (nat -> R) -> R) : R :=
  match schedule with
  | nil => F p
  | (n, w) :: later => expect p n (fun s => after later (refit w n p s) F)
  end.

Fixpoint kept (schedule : list (nat * R)) : R :=
  match schedule with nil => 1 | (n, w) :: later => (1 - w * w / INR n) * kept later end.

(* E H_t = H_0 Π (1 − w_k²/n_k), and w²/n = n/N². *)
Theorem variance_after_schedule schedule :
  Forall (fun block => (0 < fst block)%nat) schedule ->
  forall p, sum v p = 1 -> after schedule p gini = gini p * kept schedule.
Proof.
  induction schedule as [|[n w] later IH]; intros Hn p one; simpl; [ring|].
  inversion Hn as [|? ? Hn0 Hlater]; subst. simpl in Hn0.
  rewrite (expect_ext p n _ (fun s => kept later * gini (refit w n p s))).
  - rewrite expect_scale, one_step_variance by easy. ring.
  - intros s Hs. rewrite IH; [ring|easy|now apply refit_sums_to_one].
Qed.

Lemma share_is_block_over_pool n N :
  (0 < n)%nat -> (0 < N)%nat ->
  let w := INR n / INR N in w * w / INR n = INR n / (INR N * INR N).
Proof.
  intros Hn HN. apply lt_0_INR in Hn, HN. cbv zeta. field. lra.
Qed.

(* Replace, w = 1: E H_t = H_0 (1 − 1/n)^t. *)
Theorem replace_decay n t p :
  (0 < n)%nat -> sum v p = 1 ->
  after (repeat (n, 1) t) p gini = gini p * (1 - / INR n) ^ t.
Proof.
  intros Hn one. rewrite variance_after_schedule; [|now apply Forall_forall; intros x ->%repeat_spec|easy].
  f_equal. induction t as [|t IH]; simpl; [easy|]. rewrite IH. f_equal.
  apply lt_0_INR in Hn. field. lra.
Qed.

End vocabulary.
