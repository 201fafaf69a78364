// The one-dimensional transforms Bᵀ d, Aᵀ z and G g, a register for each number: every lane its own map or filter.
//
// The matrices are known when this is compiled, so the sums unroll into what is not zero. Points come in pairs (p, q),
// and a pair shares its work. With S(x) the product of the other finite points' (x − p_l), its rows of Bᵀ are the
// coefficients of S(x) (x − q) and of S(x) (x − p): the same two sums Σ s_i d_{i+1} and Σ s_i d_i, met with different
// factors. Where q = −p, the columns of Aᵀ and the rows of G meet in sums and differences too.
#pragma once

#include <type_traits>

#include "simd/floats.h"
#include "winograd/points.h"

namespace striate::STRIATE_ISA_NAMESPACE {

template <int M, int R, typename At = Points<M + R - 1>>
struct Transform {
    static constexpr int outputs = M, taps = R, size = M + R - 1;

    // Products of the algorithm whose filters are taken, and which of them is product j of this one.
    static constexpr int products = size;
    static constexpr int place(int j) { return j; }

    // The matrices in floats; for the points in use all of them are exact.
    struct Tables {
        float bt[size][size] = {}, at[M][size] = {};
        float shared[size][size] = {};  // S of the pair that begins here
        float point[size] = {};
        float powers[size][R] = {};  // G without its divisor
        float divisor[size] = {};
        bool mirrored[size] = {};  // of the first of a pair: q = −p
    };

    static constexpr bool is_first(int j) { return j % 2 == 1 && j + 1 < size - 1; }
    static constexpr bool is_second(int j) { return j >= 2 && is_first(j - 1); }

    static constexpr Tables tables_of(const CookToom<M, R>& exact, const Fraction (&points)[size - 1]) {
        Tables tables;
        for (int j = 0; j < size; ++j) {
            const bool finite = j < size - 1;
            for (int i = 0; i < size; ++i) tables.bt[j][i] = static_cast<float>(exact.bt[j][i].value());
            for (int i = 0; i < M; ++i) tables.at[i][j] = static_cast<float>(exact.at[i][j].value());
            for (int k = 0; k < R; ++k) {
                tables.powers[j][k] =
                    static_cast<float>((finite ? exact.g[j][k] / exact.g[j][0] : exact.g[j][k]).value());
            }
            tables.divisor[j] = finite ? static_cast<float>((Fraction(1) / exact.g[j][0]).value()) : 1.0f;
            if (finite) tables.point[j] = static_cast<float>(points[j].value());
            if (!is_first(j)) continue;
            tables.mirrored[j] = points[j + 1] == -points[j];
            Fraction rest = 0;  // bt[j] divided by (x − q), from its highest coefficient down
            for (int i = size - 1; i > 0; --i) {
                rest = exact.bt[j][i] + points[j + 1] * rest;
                tables.shared[j][i - 1] = static_cast<float>(rest.value());
            }
        }
        return tables;
    }

    static constexpr Tables tables = tables_of(cook_toom<M, R, At>, At::finite);

    // out = Bᵀ in.
    static inline __attribute__((always_inline)) void input(const Floats (&in)[size], Floats (&out)[size]) {
        input_rows<0>(in, out);
    }

    // out = Aᵀ in.
    static inline __attribute__((always_inline)) void output(const Floats (&in)[size], Floats (&out)[M]) {
        Floats met[size];  // z_j, or for a mirrored pair its sum and its difference
        meet<0>(in, met);
        output_rows<0>(met, out);
    }

    // out[j] = divisor[j] · (G in)[j].
    static inline __attribute__((always_inline)) void filter(const Floats (&in)[R], Floats (&out)[size]) {
        filter_rows<0>(in, out);
    }

private:
    template <bool>
    struct Begun {};

    // sum + coefficient · x, where `begun` says whether there is a sum yet.
    static inline __attribute__((always_inline)) Floats plus(Floats sum, bool begun, float coefficient, Floats x) {
        if (!begun) return coefficient == 1.0f ? x : x * all(coefficient);
        if (coefficient == 1.0f) return sum + x;
        if (coefficient == -1.0f) return sum - x;
        return multiply_add(all(coefficient), x, sum);
    }

    enum class Row { bt, shared, power };

    static constexpr float coefficient(Row row, int j, int i) {
        return row == Row::bt ? tables.bt[j][i] : row == Row::shared ? tables.shared[j][i] : tables.powers[j][i];
    }

    // Σ coefficient(Of, J, i) · in[i + Shift] over i = I, I − Step, … ≥ 0: from the highest, which for Bᵀ is 1.
    template <Row Of, int J, int I, int Step, int Shift, bool Has, int Length>
    static inline __attribute__((always_inline)) Floats sum_of(const Floats (&in)[Length], Floats sum, Begun<Has>) {
        if constexpr (I < 0) {
            return sum;
        } else if constexpr (coefficient(Of, J, I) == 0.0f) {
            return sum_of<Of, J, I - Step, Step, Shift>(in, sum, Begun<Has>{});
        } else {
            return sum_of<Of, J, I - Step, Step, Shift>(in, plus(sum, Has, coefficient(Of, J, I), in[I + Shift]),
                                                        Begun<true>{});
        }
    }

    template <int J>
    static inline __attribute__((always_inline)) void input_rows(const Floats (&in)[size], Floats (&out)[size]) {
        if constexpr (J < size) {
            if constexpr (is_first(J)) {
                const Floats low = sum_of<Row::shared, J, size - 2, 1, 0>(in, zeros(), Begun<false>{});
                const Floats high = sum_of<Row::shared, J, size - 2, 1, 1>(in, zeros(), Begun<false>{});
                out[J] = plus(high, true, -tables.point[J + 1], low);
                out[J + 1] = plus(high, true, -tables.point[J], low);
            } else if constexpr (!is_second(J)) {
                out[J] = sum_of<Row::bt, J, size - 1, 1, 0>(in, zeros(), Begun<false>{});
            }
            input_rows<J + 1>(in, out);
        }
    }

    template <int J>
    static inline __attribute__((always_inline)) void meet(const Floats (&in)[size], Floats (&met)[size]) {
        if constexpr (J < size) {
            if constexpr (tables.mirrored[J]) {
                met[J] = in[J] + in[J + 1];
                met[J + 1] = in[J] - in[J + 1];
                meet<J + 2>(in, met);
            } else {
                met[J] = in[J];
                meet<J + 1>(in, met);
            }
        }
    }

    template <int I>
    static inline __attribute__((always_inline)) void output_rows(const Floats (&met)[size], Floats (&out)[M]) {
        if constexpr (I < M) {
            out[I] = sum_of_column<I, 0>(met, zeros(), Begun<false>{});
            output_rows<I + 1>(met, out);
        }
    }

    // Σ at[I][j] · met[j] over the points j from J on; an odd power of a mirrored pair takes the difference.
    template <int I, int J, bool Has>
    static inline __attribute__((always_inline)) Floats sum_of_column(const Floats (&met)[size], Floats sum,
                                                                      Begun<Has>) {
        if constexpr (J >= size) {
            return sum;
        } else if constexpr (tables.at[I][J] == 0.0f) {
            return sum_of_column<I, J + 1>(met, sum, Begun<Has>{});
        } else if constexpr (tables.mirrored[J]) {
            return sum_of_column<I, J + 2>(met, plus(sum, Has, tables.at[I][J], met[I % 2 == 0 ? J : J + 1]),
                                           Begun<true>{});
        } else {
            return sum_of_column<I, J + 1>(met, plus(sum, Has, tables.at[I][J], met[J]), Begun<true>{});
        }
    }

    template <int J>
    static inline __attribute__((always_inline)) void filter_rows(const Floats (&in)[R], Floats (&out)[size]) {
        if constexpr (J < size) {
            if constexpr (tables.mirrored[J] && R > 1) {
                const Floats even = sum_of<Row::power, J, (R - 1) / 2 * 2, 2, 0>(in, zeros(), Begun<false>{});
                const Floats odd = sum_of<Row::power, J, R / 2 * 2 - 1, 2, 0>(in, zeros(), Begun<false>{});
                out[J] = even + odd;
                out[J + 1] = even - odd;
                filter_rows<J + 2>(in, out);
            } else {
                out[J] = sum_of<Row::power, J, R - 1, 1, 0>(in, zeros(), Begun<false>{});
                filter_rows<J + 1>(in, out);
            }
        }
    }
};

// S outputs from the filters of F(M, R): F(S, R) at the first of its points, and infinity.
//
// Filters differ by a factor, F(M, R) dividing by distances to more points, which the pixels make good.
template <int M, int S, int R>
struct ShortTransform : Transform<S, R, FirstPoints<M, S, R>> {
    using Own = Transform<S, R, FirstPoints<M, S, R>>;

    static constexpr int products = M + R - 1;
    static constexpr int place(int j) { return j < Own::size - 1 ? j : products - 1; }

    static inline __attribute__((always_inline)) void input(const Floats (&in)[Own::size], Floats (&out)[Own::size]) {
        Own::input(in, out);
        scale<0>(out);
    }

private:
    static constexpr float factor(int j) {
        const Fraction own = cook_toom<S, R, FirstPoints<M, S, R>>.g[j][0], full = cook_toom<M, R>.g[j][0];
        return static_cast<float>((own / full).value());
    }

    template <int J>
    static inline __attribute__((always_inline)) void scale(Floats (&out)[Own::size]) {
        if constexpr (J < Own::size - 1) {
            constexpr float by = factor(J);
            out[J] = out[J] * all(by);
            scale<J + 1>(out);
        }
    }
};

// F(M, R)'s short tiles; long ones, if it has none.
template <int M, int R>
using ShortTransformOf =
    std::conditional_t<short_outputs(M) == M, Transform<M, R>, ShortTransform<M, short_outputs(M), R>>;

// An axis on which the filter has one tap: nothing to transform.
template <>
struct Transform<1, 1> {
    static constexpr int outputs = 1, taps = 1, size = 1, products = 1;
    static constexpr int place(int j) { return j; }
    struct Tables {
        float at[1][1], powers[1][1], divisor[1];
    };
    static constexpr Tables tables{{{1.0f}}, {{1.0f}}, {1.0f}};

    static inline __attribute__((always_inline)) void input(const Floats (&in)[1], Floats (&out)[1]) { out[0] = in[0]; }
    static inline __attribute__((always_inline)) void output(const Floats (&in)[1], Floats (&out)[1]) {
        out[0] = in[0];
    }
    static inline __attribute__((always_inline)) void filter(const Floats (&in)[1], Floats (&out)[1]) {
        out[0] = in[0];
    }
};

// A table of what Of::of<Down, Along, ShortDown, ShortAlong> is for every F(m, r) that winograd_takes.
template <typename Of>
class ForEachTransform {
    using One = Transform<1, 1>;

    template <int M, int R>
    static constexpr auto square =
        Of::template of<Transform<M, R>, Transform<M, R>, ShortTransformOf<M, R>, ShortTransformOf<M, R>>;
    template <int M, int R>
    static constexpr auto along = Of::template of<One, Transform<M, R>, One, ShortTransformOf<M, R>>;
    template <int M, int R>
    static constexpr auto down = Of::template of<Transform<M, R>, One, ShortTransformOf<M, R>, One>;

public:
    static constexpr decltype(square<2, 3>) table[] = {
        square<2, 2>, square<4, 2>, square<5, 2>, square<6, 2>, square<2, 3>, square<4, 3>, square<5, 3>, square<6, 3>,
        square<2, 5>, square<4, 5>, square<2, 7>, along<2, 3>,  along<4, 3>,  along<5, 3>,  along<6, 3>,  along<2, 5>,
        along<4, 5>,  along<6, 5>,  along<2, 7>,  along<4, 7>,  along<6, 7>,  down<2, 3>,   down<4, 3>,   down<5, 3>,
        down<6, 3>,   down<2, 5>,   down<4, 5>,   down<6, 5>,   down<2, 7>,   down<4, 7>,   down<6, 7>,
    };
};

}  // namespace striate::STRIATE_ISA_NAMESPACE
