; The splits of `fractions` are a partition of the real units, for any number of units of any
; positive length. P k is the number of tokens in the first k units; induction over k is made
; explicit, as a base and a step. Unbounded integers: total·g below 2^64 is assumed.
;
; Modelled: src/collapse/protocol.rs: let bound = |g: usize| take(pool.real, total * g / pool.generations);
; Modelled: src/collapse/protocol.rs: bound(g)..bound(g + 1)
; Modelled: src/collapse/protocol.rs: let missing = units.iter().take_while(|&&len| {
; Modelled: src/collapse/protocol.rs: let before = sum;
; Modelled: src/collapse/protocol.rs: sum += len;
; Modelled: src/collapse/protocol.rs: before < tokens

(declare-const n Int)             ; units
(declare-fun len (Int) Int)       ; their lengths
(declare-fun P (Int) Int)         ; prefix sums
(assert (>= n 0))
(assert (forall ((k Int)) (! (=> (and (<= 0 k) (< k n)) (>= (len k) 1)) :pattern ((len k)))))
(assert (= (P 0) 0))
(assert (forall ((k Int)) (! (=> (and (<= 0 k) (< k n)) (= (P (+ k 1)) (+ (P k) (len k))))
                             :pattern ((P k) (len k)))))

; The loop of `take`: it has passed the first k units and goes on while their sum is below tokens.
(declare-const tokens Int)
(declare-const k Int)
(declare-const sum Int)
(define-fun passed ((k Int) (sum Int)) Bool
  (and (<= 0 k n) (= sum (P k)) (forall ((j Int)) (=> (and (<= 0 j) (< j k)) (< (P j) tokens)))))

(echo "step take_starts")
(push) (assert (not (passed 0 0))) (check-sat) (pop)

(echo "step take_goes_on")
(push) (assert (and (passed k sum) (< k n) (< sum tokens)))
(assert (not (passed (+ k 1) (+ sum (len k))))) (check-sat) (pop)

; What `take` returns, by the two goals above: all units before it are needed, it is the end or
; the sum suffices.
(define-fun takes ((tokens Int) (k Int)) Bool
  (and (<= 0 k n) (or (= k n) (>= (P k) tokens))
       (forall ((j Int)) (=> (and (<= 0 j) (< j k)) (< (P j) tokens)))))

(echo "goal take_ends")
(push) (assert (and (passed k sum) (or (= k n) (not (< sum tokens))) (not (takes tokens k))))
(check-sat) (pop)

(echo "witness two_units")
(push) (assert (and (= n 2) (= (len 0) 1) (= (len 1) 2) (= tokens 2) (takes tokens k)))
(check-sat) (pop)

; P rises strictly: from j to any later k, by induction over k.
(declare-const j Int)
(echo "step prefix_sums_rise")
(push)
(assert (and (<= 0 j) (<= j k) (< k n)))
(assert (or (= j k) (< (P j) (P k))))  ; base j = k, or the hypothesis
(assert (not (< (P j) (P (+ k 1))))) (check-sat) (pop)
(assert (forall ((j Int) (k Int)) (! (=> (and (<= 0 j) (< j k) (<= k n)) (< (P j) (P k)))
                                     :pattern ((P j) (P k)))))

(declare-const more Int)
(declare-const k2 Int)
(echo "goal take_is_monotone")
(push) (assert (and (takes tokens k) (takes more k2) (<= tokens more) (not (<= k k2))))
(check-sat) (pop)

(echo "goal take_overshoots_by_less_than_its_last_unit")
(push) (assert (and (takes tokens k) (> k 0) (= j (- k 1))))
(assert (not (< (P k) (+ tokens (len j))))) (check-sat) (pop)

; The bounds of the splits: B g = take(total·g / generations).
(declare-const generations Int)
(declare-fun B (Int) Int)
(declare-fun share (Int) Int)  ; the quotient total·g / generations, by its definition
(assert (>= generations 1))
(assert (forall ((g Int)) (! (and (<= (* (share g) generations) (* (P n) g))
                                  (< (* (P n) g) (+ (* (share g) generations) generations)))
                             :pattern ((share g)))))
(assert (forall ((g Int)) (! (=> (<= 0 g generations) (takes (share g) (B g))) :pattern ((B g)))))

(echo "step first_split_starts_at_zero")
(push) (assert (not (= (B 0) 0))) (check-sat) (pop)

(echo "step last_split_ends_at_the_end")
(push) (assert (>= (P n) 0))
(assert (not (= (B generations) n))) (check-sat) (pop)

(declare-const g Int)
(declare-const unit Int)
(echo "step splits_do_not_run_backwards")
(push) (assert (and (<= 0 g) (< g generations) (>= (P n) 0)))
(assert (not (<= (B g) (B (+ g 1))))) (check-sat) (pop)

; With rising bounds from 0 to n every unit lies in exactly one split. Existence by induction over
; g: a unit below B(g + 1) lies in a split up to g.
(define-fun within ((g Int) (unit Int)) Bool (and (<= (B g) unit) (< unit (B (+ g 1)))))
(declare-fun somewhere (Int Int) Bool)  ; in one of the splits before g
(assert (forall ((g Int) (unit Int))
  (! (= (somewhere (+ g 1) unit) (or (somewhere g unit) (within g unit)))
     :pattern ((somewhere g unit) (B g)))))
(echo "goal no_unit_lost")
(push) (assert (<= 0 g)) (assert (=> (< unit (B g)) (somewhere g unit)))
(assert (and (< unit (B (+ g 1))) (not (somewhere (+ g 1) unit)))) (check-sat) (pop)

; Rising bounds, from one g to any later one by the goal above and transitivity.
(declare-const h Int)
(echo "goal no_unit_twice")
(push) (assert (<= (B (+ g 1)) (B h))) (assert (and (within g unit) (within h unit)))
(check-sat) (pop)
