; Drawing, mixing and holding out: no unit twice, no unit lost. Unbounded integers; an order of
; units is a function of places that no two places share a unit in.
;
; Modelled: theory/stream/src/lib.rs: for end in (1..items.len()).rev() {
; Modelled: theory/stream/src/lib.rs: let other = self.below(end + 1);
; Modelled: theory/stream/src/lib.rs: items.swap(end, other);
; Modelled: src/collapse/protocol.rs: urn.truncate(take(&lengths, tokens));
; Modelled: src/collapse/protocol.rs: let rest = take(&pool.synthetic[g - 1], pool.budget.saturating_sub(real));
; Modelled: src/collapse/protocol.rs: let end = units.len() - (units.len() as f64 * share).floor() as usize;
; Modelled: src/collapse/protocol.rs: kept.push(Piece { source: *source, units: units[..end].to_vec() });
; Modelled: src/collapse/protocol.rs: cut.push(Piece { source: *source, units: units[end..].to_vec() });

(declare-const n Int)
(assert (>= n 0))
(define-fun place ((i Int)) Bool (and (<= 0 i) (< i n)))
(define-fun permutes ((a (Array Int Int))) Bool
  (and (forall ((i Int)) (=> (place i) (place (select a i))))
       (forall ((i Int) (j Int)) (=> (and (place i) (place j) (= (select a i) (select a j))) (= i j)))))

; Stream::shuffle: the order begins as i ↦ i and is changed by swaps alone.
(declare-const a (Array Int Int))
(declare-const b (Array Int Int))
(declare-const x Int)
(declare-const y Int)
(echo "witness permutations_exist")
(push) (assert (and (= n 3) (permutes a) (= (select a 0) 2))) (check-sat) (pop)

(echo "step shuffle_starts_as_a_permutation")
(push) (assert (forall ((i Int)) (= (select a i) i))) (assert (not (permutes a))) (check-sat) (pop)

(echo "goal swap_keeps_a_permutation")
(push) (assert (and (permutes a) (place x) (place y)))
(assert (= b (store (store a x (select a y)) y (select a x))))
(assert (not (permutes b))) (check-sat) (pop)

(declare-const unit Int)
(declare-const before Int)
(echo "goal swap_keeps_every_unit")  ; what stood at some place still stands at some place
(push) (assert (and (place x) (place y) (place before) (= (select a before) unit)))
(assert (= b (store (store a x (select a y)) y (select a x))))
(assert (forall ((i Int)) (=> (place i) (not (= (select b i) unit))))) (check-sat) (pop)

; draw: the first `k` of a permuted urn.
(declare-const k Int)
(declare-const i Int)
(declare-const j Int)
(echo "goal draw_repeats_nothing")
(push) (assert (and (permutes a) (<= 0 k n) (<= 0 i) (< i k) (<= 0 j) (< j k) (not (= i j))))
(assert (= (select a i) (select a j))) (check-sat) (pop)

; Protocol::Mix asks the real corpus for `real` tokens and the synthetic text for the rest;
; real ≤ budget is mix_share in mix.v.
(declare-const budget Int)
(declare-const real Int)
(define-fun saturating_sub ((a Int) (b Int)) Int (ite (>= a b) (- a b) 0))
(echo "goal mix_asks_for_the_budget")
(push) (assert (and (<= 0 real) (<= real budget)))
(assert (not (= (+ real (saturating_sub budget real)) budget))) (check-sat) (pop)

; carve: [..end] and [end..] with end = len − ⌊len·share⌋, a share in [0, 1/2].
(declare-const len Int)
(declare-const share Real)
(define-fun end () Int (- len (to_int (* (to_real len) share))))
(echo "witness something_is_carved")
(push) (assert (and (= len 10) (= share 0.25) (= end 8))) (check-sat) (pop)
(echo "step carve_stays_inside")
(push) (assert (and (>= len 0) (<= 0.0 share 0.5) (not (<= 0 end len)))) (check-sat) (pop)
(echo "goal carve_splits_every_piece")
(push) (assert (and (<= 0 end len) (<= 0 i) (< i len)))
(assert (not (xor (< i end) (<= end i)))) (check-sat) (pop)
