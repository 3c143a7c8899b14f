(* Finite sums over a vocabulary 0, 1, …, v − 1 of any size v. *)

From Coq Require Import Reals Lra Lia Arith.
Open Scope R_scope.

Fixpoint sum (v : nat) (f : nat -> R) : R :=
  match v with O => 0 | S v => sum v f + f v end.

(* [k = t], one or zero. *)
Definition delta (k t : nat) : R := if Nat.eqb k t then 1 else 0.

Lemma delta_same t : delta t t = 1.
Proof. unfold delta. now rewrite Nat.eqb_refl. Qed.

Lemma delta_other k t : k <> t -> delta k t = 0.
Proof. intro H. unfold delta. now rewrite (proj2 (Nat.eqb_neq k t) H). Qed.

Lemma delta_symmetric k t : delta k t = delta t k.
Proof. unfold delta. now rewrite Nat.eqb_sym. Qed.

Lemma sum_ext v f g : (forall k, (k < v)%nat -> f k = g k) -> sum v f = sum v g.
Proof.
  induction v as [|v IH]; intro H; simpl; [easy|].
  rewrite IH, H; auto.
Qed.

Lemma sum_plus v f g : sum v (fun k => f k + g k) = sum v f + sum v g.
Proof. induction v as [|v IH]; simpl; [ring|rewrite IH; ring]. Qed.

Lemma sum_scale v c f : sum v (fun k => c * f k) = c * sum v f.
Proof. induction v as [|v IH]; simpl; [ring|rewrite IH; ring]. Qed.

Lemma sum_const v c : sum v (fun _ => c) = INR v * c.
Proof. induction v as [|v IH]; [simpl; ring|]. rewrite S_INR. simpl. rewrite IH. ring. Qed.

Lemma sum_le v f g : (forall k, (k < v)%nat -> f k <= g k) -> sum v f <= sum v g.
Proof.
  induction v as [|v IH]; intro H; simpl; [lra|].
  apply Rplus_le_compat; [apply IH; auto|apply H; auto].
Qed.

Lemma sum_nonneg v f : (forall k, (k < v)%nat -> 0 <= f k) -> 0 <= sum v f.
Proof.
  intro H. replace 0 with (sum v (fun _ => 0)).
  - apply sum_le. exact H.
  - rewrite sum_const. ring.
Qed.

Lemma sum_abs v f : Rabs (sum v f) <= sum v (fun k => Rabs (f k)).
Proof.
  induction v as [|v IH]; simpl; [rewrite Rabs_R0; lra|].
  eapply Rle_trans; [apply Rabs_triang|lra].
Qed.

Lemma sum_delta_beyond v t f : (v <= t)%nat -> sum v (fun k => delta k t * f k) = 0.
Proof.
  induction v as [|v IH]; intro H; simpl; [easy|].
  rewrite IH by lia. rewrite delta_other by lia. ring.
Qed.

(* Σ_k [k = t] f_k = f_t. *)
Lemma sum_delta v t f : (t < v)%nat -> sum v (fun k => delta k t * f k) = f t.
Proof.
  induction v as [|v IH]; intro H; [lia|]. simpl.
  destruct (Nat.eq_dec t v) as [->|N].
  - rewrite sum_delta_beyond, delta_same by lia. ring.
  - rewrite IH, delta_other by lia. ring.
Qed.

(* One term is at most the sum of terms that are not negative. *)
Lemma term_le_sum v t f :
  (t < v)%nat -> (forall k, (k < v)%nat -> 0 <= f k) -> f t <= sum v f.
Proof.
  intros Ht H. rewrite <- (sum_delta v t f Ht). apply sum_le. intros k Hk.
  specialize (H k Hk). unfold delta. destruct (Nat.eqb k t); lra.
Qed.

(* Two finite sums may be exchanged. *)
Lemma sum_swap v w (f : nat -> nat -> R) :
  sum v (fun i => sum w (fun j => f i j)) = sum w (fun j => sum v (fun i => f i j)).
Proof.
  induction v as [|v IH]; simpl.
  - rewrite sum_const. ring.
  - rewrite IH, <- sum_plus. now apply sum_ext.
Qed.
