; Packing a stream into blocks loses and repeats no token. Unbounded integers; usize overflow is
; outside the model (a stream has fewer than 2^63 tokens).
;
; Modelled: src/train/blocks.rs: if tokens.len() <= t {
; Modelled: src/train/blocks.rs: (self.tokens.len() - 1) / self.t
; Modelled: src/train/blocks.rs: let start = block * self.t;
; Modelled: src/train/blocks.rs: tokens.extend_from_slice(&self.tokens[start..start + self.t]);
; Modelled: src/train/blocks.rs: targets.extend_from_slice(&self.tokens[start + 1..start + self.t + 1]);

(declare-const len Int)    ; tokens of the stream
(declare-const t Int)      ; inputs per block
(declare-const count Int)  ; the quotient (len − 1) / t, by its definition
(assert (and (>= t 1) (> len t)))
(assert (and (<= (* count t) (- len 1)) (< (- len 1) (+ (* count t) t))))

(declare-const i Int)      ; two blocks
(declare-const j Int)
(declare-const place Int)  ; a place of the stream
(define-fun block ((i Int)) Bool (and (<= 0 i) (< i count)))
(define-fun input ((i Int) (place Int)) Bool (and (<= (* i t) place) (< place (+ (* i t) t))))
(define-fun target ((i Int) (place Int)) Bool (input i (- place 1)))

(echo "witness blocks_exist")
(push) (assert (and (= len 11) (= t 4) (block i) (block j) (not (= i j)) (input i place)))
(check-sat) (pop)

(echo "step at_least_one_block")
(push) (assert (not (>= count 1))) (check-sat) (pop)

(echo "goal blocks_stay_inside")  ; no slice is out of range
(push) (assert (and (block i) (not (<= (+ (* i t) t 1) len)))) (check-sat) (pop)

(echo "goal no_input_twice")
(push) (assert (and (block i) (block j) (< i j) (input i place) (input j place)))
(check-sat) (pop)

(echo "goal no_target_twice")
(push) (assert (and (block i) (block j) (< i j) (target i place) (target j place)))
(check-sat) (pop)

; Every place before count·t is an input: of block i = place / t.
(echo "goal no_input_lost")
(push)
(assert (and (<= 0 place) (< place (* count t))))
(assert (and (<= (* i t) place) (< place (+ (* i t) t))))
(assert (not (and (block i) (input i place))))
(check-sat) (pop)

(echo "goal no_target_lost")
(push)
(assert (and (<= 1 place) (<= place (* count t))))
(assert (and (<= (* i t) (- place 1)) (< (- place 1) (+ (* i t) t))))
(assert (not (and (block i) (target i place))))
(check-sat) (pop)

(echo "goal tail_is_shorter_than_a_block")  ; targets that no block predicts
(push) (assert (not (and (<= 0 (- len 1 (* count t))) (< (- len 1 (* count t)) t))))
(check-sat) (pop)
