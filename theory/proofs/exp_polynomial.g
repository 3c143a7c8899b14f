# The f32 exponential of the CPU tier (src/cpu/real.rs, fn exp of f32): Horner's sum at r.
#
# Given: |R| ≤ 0.3467 and |r − R| ≤ 2.4e−8                        (exp_reduction.g)
#        E, the true e^R, and |T7 − E| ≤ 8e−9 E                    (exponential.v, taylor_seven)
# Shown: |sum − E| ≤ 1.6e−7 E, under 1.4·2^−23; the function promises two units, 2^−22.

# Modelled: src/cpu/real.rs: let mut sum = 1.0 / 5040.0;
# Modelled: src/cpu/real.rs: sum = sum * r + coefficient;

@f = float<ieee_32, ne>;

r = f(r_);
c7 = f(0.000198412698412698412698412698412698);
c6 = f(0.00138888888888888888888888888888889);
c5 = f(0.00833333333333333333333333333333333);
c4 = f(0.0416666666666666666666666666666667);
c3 = f(0.166666666666666666666666666666667);
sum f= ((((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + 0.5) * r + 1) * r + 1;

# The same without rounding, at the true remainder.
t6 = 1 / 5040 * R + 1 / 720;
t5 = t6 * R + 1 / 120;
t4 = t5 * R + 1 / 24;
t3 = t4 * R + 1 / 6;
t2 = t3 * R + 0.5;
t1 = t2 * R + 1;
T7 = t1 * R + 1;

{ |R| <= 0.3467 /\ |r - R| <= 2.4e-8 /\ |T7 -/ E| <= 8e-9 -> |sum -/ E| <= 1.6e-7 }

$ R in 64;
