# The f32 exponential of the CPU tier (src/cpu/real.rs, fn exp of f32), statement by statement, for
# every f32 x in [-87.3, 88.7].
#
# Given:  E, the true e^R, with |T7(R) - E| <= 8e-9 E   (exponential.v, taylor_seven)
#         LN2, to eleven digits                         (exponential.v, ln_two_digits)
# Shown:  |sum - E| <= 2^-22 E, two units in the last place.
# Beyond Gappa: e^x = 2^n e^R since R = x - n ln 2, and the last two products scale by powers of
# two, which is exact because the result is neither subnormal nor too large.

@f = float<ieee_32, ne>;

x = f(x_);
LOG2E = f(1.44269504088896340735992468100189214);
HIGH = 0x1.63p-1;                  # 0x3f318000
LOW = f(-2.1219444e-4);
ROUND = 12582912;

shifted f= x * LOG2E + ROUND;
n = shifted - ROUND;               # exact: an integer
r f= (x - n * HIGH) - n * LOW;

c7 = f(0.000198412698412698412698412698412698);
c6 = f(0.00138888888888888888888888888888889);
c5 = f(0.00833333333333333333333333333333333);
c4 = f(0.0416666666666666666666666666666667);
c3 = f(0.166666666666666666666666666666667);
sum f= ((((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + 0.5) * r + 1) * r + 1;

# Without rounding.
R = x - n * LN2;
T7 = ((((((1 / 5040 * R + 1 / 720) * R + 1 / 120) * R + 1 / 24) * R + 1 / 6) * R + 0.5) * R + 1) * R + 1;

{ x in [-87.3, 88.7] /\ LN2 in [0.69314718055, 0.69314718057] /\ |T7 -/ E| <= 8e-9 /\ E in [0.5, 2]
  -> |R| <= 0.3467 /\ |r - R| <= 1b-24 /\ |sum -/ E| <= 1b-22 }
