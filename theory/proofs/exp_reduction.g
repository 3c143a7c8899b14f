# The f32 exponential of the CPU tier (src/cpu/real.rs, fn exp of f32): from x to r = x − n ln 2.
#
# Given: LN2, to eleven digits (exponential.v, ln_two_digits).
# Shown for every f32 x in [−87.31, 88.722832]: the true remainder R = x − n ln 2 has |R| ≤ 0.3467, and
# the computed r is within 2.4e−8 of it.

# Modelled: src/cpu/real.rs: const LN_2_HIGH: f32 = 0.693_359_4;
# Modelled: src/cpu/real.rs: const LN_2_LOW: f32 = -2.121_944_4e-4;
# Modelled: src/cpu/real.rs: const ROUND: f32 = 12_582_912.0;
# Modelled: src/cpu/real.rs: let shifted = clamped * LOG2_E + ROUND;
# Modelled: src/cpu/real.rs: let n = shifted - ROUND;
# Modelled: src/cpu/real.rs: let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;

@f = float<ieee_32, ne>;

x = f(x_);
LOG2E = f(1.44269504088896340735992468100189214);
HIGH = 0x1.63p-1;
LOW = f(-2.1219444e-4);
ROUND = 12582912;

y = f(x * LOG2E);
shifted = f(y + ROUND);
n = f(shifted - ROUND);
high = f(n * HIGH);
low = f(n * LOW);
near = f(x - high);
r = f(near - low);

R = x - n * LN2;

{ x in [-87.31, 88.722832] /\ LN2 in [0.69314718055, 0.69314718057]
  -> |R| <= 0.3467 /\ |r - R| <= 2.4e-8 }

# n is the nearest integer to y: the two last bits of 1.5·2^23 + y are its units.
n - y -> (n - (shifted - ROUND)) + (shifted - (y + ROUND));
R -> x * (1 - LOG2E * LN2) - ((n - y) + (y - x * LOG2E)) * LN2;
r - R -> (r - (near - low)) + (near - (x - high)) - (high - n * HIGH) - (low - n * LOW)
         + n * (LN2 - HIGH - LOW);
near -> R + (near - (x - high)) - (high - n * HIGH) + n * (LN2 - HIGH);
