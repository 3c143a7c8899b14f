; The loops that hand rows on take every row once. Unbounded integers; a loop is an invariant with a
; base and a step.
;
; Modelled: src/train/fit.rs: if self.next == self.order.len() {
; Modelled: src/train/fit.rs: self.epoch += 1;
; Modelled: src/train/fit.rs: self.request.train.push(self.order[self.next], &mut tokens, &mut targets);
; Modelled: src/train/fit.rs: self.next += 1;
; Modelled: src/cpu/classifier.rs: for start in (0..n).step_by(most) {
; Modelled: src/cpu/classifier.rs: let end = n.min(start + most);
; Modelled: src/cpu/classifier.rs: let fresh = &mut logits[waiting.len() * v..][..(end - start) * v];
; Modelled: src/cpu/classifier.rs: logits.copy_within((first + offset) * v..(first + offset + 1) * v, to * v);
; Modelled: src/cpu/classifier.rs: if waiting.len() >= most || (end == n && !waiting.is_empty()) {
; Modelled: src/collapse/stream.rs: let full = match block {
; Modelled: src/collapse/stream.rs: if full || place == tokens.len() {
; Modelled: src/collapse/stream.rs: units.push(start..place);
; Modelled: src/collapse/stream.rs: start = place;

; RowOrder::take: after s rows the state is (epoch, next) with s = epoch·count + next.
(declare-const count Int)
(declare-const s Int)
(declare-const epoch Int)
(declare-const next Int)
(assert (>= count 1))
(define-fun taken ((s Int) (epoch Int) (next Int)) Bool
  (and (= s (+ (* epoch count) next)) (<= 0 next count)))
(define-fun turned () Bool (= next count))
(define-fun epoch2 () Int (ite turned (+ epoch 1) epoch))  ; the epoch and the place in its order
(define-fun at () Int (ite turned 0 next))                 ; that row number s is read from

(echo "step rows_start")
(push) (assert (not (taken 0 0 0))) (check-sat) (pop)
(echo "goal row_lies_in_its_epoch")  ; so row s is entry s mod count of epoch s div count
(push) (assert (taken s epoch next))
(assert (not (and (= s (+ (* epoch2 count) at)) (<= 0 at) (< at count)))) (check-sat) (pop)
(echo "step rows_go_on")
(push) (assert (taken s epoch next)) (assert (not (taken (+ s 1) epoch2 (+ at 1))))
(check-sat) (pop)
(declare-const s2 Int)
(declare-const at2 Int)
(echo "goal no_block_twice_in_an_epoch")
(push) (assert (and (= s (+ (* epoch count) at)) (= s2 (+ (* epoch count) at2)) (not (= s s2))))
(assert (= at at2)) (check-sat) (pop)

; forward_backward: chunks of `most` rows; kept rows wait at the front of a buffer of 2·most rows.
(declare-const n Int)
(declare-const most Int)
(declare-const start Int)
(declare-const waiting Int)  ; before the chunk
(declare-const to Int)       ; during the chunk
(declare-const offset Int)
(assert (and (>= n 1) (>= most 1) (<= most n)))
(assert (and (<= 0 start) (< start n)))
(define-fun end () Int (ite (< n (+ start most)) n (+ start most)))
(define-fun below ((waiting Int)) Bool (and (<= 0 waiting) (< waiting most)))

(echo "witness a_chunk_exists")
(push) (assert (and (= n 7) (= most 3) (= start 6) (below waiting) (> waiting 0))) (check-sat) (pop)
(echo "step chunks_have_rows_and_follow_on")
(push) (assert (not (and (< start end) (or (= end n) (= end (+ start most)))))) (check-sat) (pop)
(echo "goal fresh_rows_fit")
(push) (assert (and (below waiting) (not (<= (+ waiting (- end start)) (* 2 most)))))
(check-sat) (pop)
; A kept row moves to `to`, at or before its own place, so no row is overwritten before it is read.
(define-fun behind ((to Int) (offset Int)) Bool (and (<= 0 to) (<= to (+ waiting offset))))
(echo "step compaction_starts")
(push) (assert (and (below waiting) (not (behind waiting 0)))) (check-sat) (pop)
(echo "step compaction_goes_on")
(push) (assert (and (below waiting) (behind to offset) (<= 0 offset) (< offset (- end start))))
(assert (not (and (behind (+ to 1) (+ offset 1)) (behind to (+ offset 1))))) (check-sat) (pop)
(declare-const later Int)
(echo "goal unread_rows_are_safe")
(push) (assert (and (behind to offset) (< offset later) (= to (+ waiting later)))) (check-sat) (pop)
(define-fun flushed () Bool (or (>= to most) (and (= end n) (not (= to 0)))))
(define-fun left () Int (ite flushed 0 to))
(echo "step waiting_rows_stay_below_a_chunk")
(push) (assert (and (<= 0 to) (not (below left)))) (check-sat) (pop)
(echo "goal no_row_left_waiting")
(push) (assert (and (<= 0 to) (= end n) (not (= left 0)))) (check-sat) (pop)

; Text::new: units tile the tokens. Before the turn of `place` the units cover [0, start).
(declare-const length Int)
(declare-const place Int)
(declare-const from Int)
(declare-const full Bool)
(define-fun tiled ((place Int) (from Int)) Bool
  (and (<= 1 place) (<= 0 from) (< from place) (=> (> place length) (= from length))))
(define-fun cut () Bool (or full (= place length)))
(define-fun from2 () Int (ite cut place from))
(assert (>= length 1))
(echo "step units_start")
(push) (assert (not (tiled 1 0))) (check-sat) (pop)
(echo "step units_go_on_without_gap")
(push) (assert (and (tiled place from) (<= place length) (not (tiled (+ place 1) from2))))
(check-sat) (pop)
(echo "step units_are_not_empty")
(push) (assert (and (tiled place from) cut (not (< from place)))) (check-sat) (pop)
(echo "goal units_cover_every_token")
(push) (assert (and (tiled (+ length 1) from) (not (= from length)))) (check-sat) (pop)
(declare-const block Int)
(echo "goal no_unit_is_longer_than_a_block")
(push) (assert (and (>= block 1) (= full (= (- place from) block)) (<= (- place from) block)))
(assert (not (<= (- (+ place 1) from2) block))) (check-sat) (pop)
