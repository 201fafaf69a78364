// Products of a matrix that is known when this is compiled with registers: every lane its own vector.
//
// Sums unroll into what is not zero, and ±1 into sums and differences. Rows (or columns) that are one another's mirror,
// entry i of the one being (−1)^i times that of the other, as those of a pair of points ±p are, share their halves.
#pragma once

#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

template <int Rows, int Columns>
struct Matrix {
    static constexpr int rows = Rows, columns = Columns;
    float at[Rows][Columns];
};

// The matrices that backward to weights takes beside Bᵀ: A and Gᵀ of a Transform, whose floats are exact.
template <typename Filtering>
inline constexpr auto a_matrix = [] {
    Matrix<Filtering::size, Filtering::outputs> matrix{};
    for (int j = 0; j < Filtering::size; ++j) {
        for (int i = 0; i < Filtering::outputs; ++i) matrix.at[j][i] = Filtering::tables.at[i][j];
    }
    return matrix;
}();

template <typename Filtering>
inline constexpr auto gt_matrix = [] {
    Matrix<Filtering::taps, Filtering::size> matrix{};
    for (int j = 0; j < Filtering::size; ++j) {
        for (int i = 0; i < Filtering::taps; ++i) {
            matrix.at[i][j] = Filtering::tables.powers[j][i] / Filtering::tables.divisor[j];
        }
    }
    return matrix;
}();

template <const auto& matrix>
class Product {
    static constexpr int rows = matrix.rows, columns = matrix.columns;

public:
    // out = matrix · in, by pairs of rows.
    static inline __attribute__((always_inline)) void by_rows(const Floats (&in)[columns], Floats (&out)[rows]) {
        rows_from<0>(in, out);
    }

    // out = matrix · in, by pairs of columns.
    static inline __attribute__((always_inline)) void by_columns(const Floats (&in)[columns], Floats (&out)[rows]) {
        Floats met[columns];  // in[j], or for a pair its sum and its difference
        meet_from<0>(in, met);
        met_rows_from<0>(met, out);
    }

private:
    // partner[j]: of the first of a pair the second, of the second the first, of any other −1.
    template <int Count>
    struct Pairs {
        int partner[Count];

        constexpr bool is_first(int j) const { return partner[j] > j; }
        constexpr bool is_second(int j) const { return partner[j] >= 0 && partner[j] < j; }
    };

    template <int Count, typename Mirrored>
    static constexpr Pairs<Count> pairs_of(Mirrored mirrored) {
        Pairs<Count> pairs{};
        for (int j = 0; j < Count; ++j) pairs.partner[j] = -1;
        for (int j = 0; j < Count; ++j) {
            for (int other = j + 1; other < Count; ++other) {
                if (pairs.partner[j] < 0 && pairs.partner[other] < 0 && mirrored(j, other)) {
                    pairs.partner[j] = other, pairs.partner[other] = j;
                }
            }
        }
        return pairs;
    }

    // A row (or column) of which only even (or odd) entries differ from zero is no pair's: it would be its own mirror.
    static constexpr Pairs<rows> row_pairs = pairs_of<rows>([](int j, int other) {
        bool mirrored = true, odd = false;
        for (int i = 0; i < columns; ++i) {
            mirrored &= matrix.at[other][i] == (i % 2 == 0 ? matrix.at[j][i] : -matrix.at[j][i]);
            odd |= i % 2 == 1 && matrix.at[j][i] != 0;
        }
        return mirrored && odd;
    });
    static constexpr Pairs<columns> column_pairs = pairs_of<columns>([](int j, int other) {
        bool mirrored = true, odd = false;
        for (int i = 0; i < rows; ++i) {
            mirrored &= matrix.at[i][other] == (i % 2 == 0 ? matrix.at[i][j] : -matrix.at[i][j]);
            odd |= i % 2 == 1 && matrix.at[i][j] != 0;
        }
        return mirrored && odd;
    });

    // sum + coefficient · x, where `Begun` says whether there is a sum yet.
    template <bool Begun>
    static inline __attribute__((always_inline)) Floats plus(Floats sum, float coefficient, Floats x) {
        if (!Begun) return coefficient == 1.0f ? x : x * all(coefficient);
        if (coefficient == 1.0f) return sum + x;
        if (coefficient == -1.0f) return sum - x;
        return multiply_add(all(coefficient), x, sum);
    }

    // Σ row J · in over the columns I, I + Step, …
    template <int J, int I, int Step, bool Begun = false>
    static inline __attribute__((always_inline)) Floats sum(const Floats (&in)[columns], Floats so_far = zeros()) {
        if constexpr (I >= columns) {
            return so_far;
        } else if constexpr (matrix.at[J][I] == 0.0f) {
            return sum<J, I + Step, Step, Begun>(in, so_far);
        } else {
            return sum<J, I + Step, Step, true>(in, plus<Begun>(so_far, matrix.at[J][I], in[I]));
        }
    }

    template <int J>
    static inline __attribute__((always_inline)) void rows_from(const Floats (&in)[columns], Floats (&out)[rows]) {
        if constexpr (J < rows) {
            if constexpr (row_pairs.is_first(J)) {
                const Floats even = sum<J, 0, 2>(in), odd = sum<J, 1, 2>(in);
                out[J] = even + odd;
                out[row_pairs.partner[J]] = even - odd;
            } else if constexpr (!row_pairs.is_second(J)) {
                out[J] = sum<J, 0, 1>(in);
            }
            rows_from<J + 1>(in, out);
        }
    }

    template <int J>
    static inline __attribute__((always_inline)) void meet_from(const Floats (&in)[columns], Floats (&met)[columns]) {
        if constexpr (J < columns) {
            if constexpr (column_pairs.is_first(J)) {
                constexpr int other = column_pairs.partner[J];
                met[J] = in[J] + in[other];
                met[other] = in[J] - in[other];
            } else if constexpr (!column_pairs.is_second(J)) {
                met[J] = in[J];
            }
            meet_from<J + 1>(in, met);
        }
    }

    template <int I>
    static inline __attribute__((always_inline)) void met_rows_from(const Floats (&met)[columns], Floats (&out)[rows]) {
        if constexpr (I < rows) {
            out[I] = met_sum<I, 0>(met);
            met_rows_from<I + 1>(met, out);
        }
    }

    // An even row takes a pair's sum, an odd one its difference.
    template <int I, int J, bool Begun = false>
    static inline __attribute__((always_inline)) Floats met_sum(const Floats (&met)[columns], Floats so_far = zeros()) {
        if constexpr (J >= columns) {
            return so_far;
        } else if constexpr (column_pairs.is_second(J) || matrix.at[I][J] == 0.0f) {
            return met_sum<I, J + 1, Begun>(met, so_far);
        } else {
            constexpr int taken = column_pairs.is_first(J) && I % 2 == 1 ? column_pairs.partner[J] : J;
            return met_sum<I, J + 1, true>(met, plus<Begun>(so_far, matrix.at[I][J], met[taken]));
        }
    }
};

}  // namespace striate::STRIATE_ISA_NAMESPACE
