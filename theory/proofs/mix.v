(* The share of `mix:α`: round(α·budget) in f64, half away from zero, never exceeds the budget.
   The budget is below 2^53 tokens, so that it is an f64 exactly. *)

(* Modelled: src/collapse/protocol.rs: let real = (alpha * pool.budget as f64).round() as usize; *)

From Coq Require Import Reals ZArith Lra Lia.
From Flocq Require Import Core.
Open Scope R_scope.

Definition fl64 : R -> R := round radix2 (FLT_exp (-1074) 53) ZnearestE.

#[local] Instance prec_positive : Prec_gt_0 53 := eq_refl.

Lemma integer_is_exact budget : (0 <= budget < 2 ^ 53)%Z -> fl64 (IZR budget) = IZR budget.
Proof.
  intro H. apply round_generic; [apply valid_rnd_N|]. apply generic_format_FLT.
  exists (Float radix2 budget 0); simpl; [unfold F2R; simpl; ring| |lia].
  rewrite Z.abs_eq by lia. apply H.
Qed.

(* protocol.rs, Protocol::Mix: (alpha * pool.budget as f64).round() as usize. *)
Definition share (alpha : R) (budget : Z) : Z := ZnearestA (fl64 (alpha * IZR budget)).

Theorem mix_share alpha budget :
  (0 <= budget < 2 ^ 53)%Z -> 0 <= alpha <= 1 -> (0 <= share alpha budget <= budget)%Z.
Proof.
  intros Hb Ha. assert (0 <= IZR budget) by now apply IZR_le.
  assert (0 <= fl64 (alpha * IZR budget) <= IZR budget) as [L U].
  { split.
    - rewrite <- (round_0 radix2 (FLT_exp (-1074) 53) ZnearestE).
      apply round_le; [apply FLT_exp_valid; easy|apply valid_rnd_N|nra].
    - rewrite <- (integer_is_exact budget Hb) at 2.
      apply round_le; [apply FLT_exp_valid; easy|apply valid_rnd_N|nra]. }
  unfold share. split.
  - pose proof (Zrnd_le ZnearestA 0 _ L) as M. now rewrite (Zrnd_IZR ZnearestA) in M.
  - pose proof (Zrnd_le ZnearestA _ (IZR budget) U) as M. now rewrite (Zrnd_IZR ZnearestA) in M.
Qed.
