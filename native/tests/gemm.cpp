// The matrix product against a double loop: random sizes and strides, every way in which A, B and C may come.
//
//     striate_gemm [--isa NAME] [--shapes N] [--seed S]
//
// Each within γ_{k+3} (|A||B| + |C| + |bias| + |residual|) (Higham 2002, (3.5)), the same bits for 1, 2 and 3 threads,
// and nothing written between C's rows or beyond the workspace.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gemm/gemm.h"
#include "memory/arena.h"

using namespace striate;

namespace {

class Random {
public:
    explicit Random(unsigned seed) : engine_(seed) {}
    std::int64_t in(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
    }
    bool coin() { return in(0, 1) == 1; }
    std::vector<float> floats(std::int64_t count) {
        std::normal_distribution<float> normal;
        std::vector<float> values(static_cast<std::size_t>(count));
        for (float& value : values) value = normal(engine_);
        return values;
    }

private:
    std::mt19937 engine_;
};

// A matrix somewhere in memory: as it is, transposed, every second column, or from the last row up.
struct Stored {
    std::vector<float> values;
    Matrix matrix;
    Stored(Random& random, std::int64_t rows, std::int64_t columns) : values(random.floats(2 * rows * columns + 4)) {
        const float* first = values.data() + 1;
        switch (random.in(0, 3)) {
            case 0: matrix = {first, columns + 1, 1}; break;
            case 1: matrix = {first, 1, rows}; break;
            case 2: matrix = {first, 2 * columns, 2}; break;
            default: matrix = {first + (rows > 0 ? rows - 1 : 0) * columns, -columns, 1};
        }
    }
    float at(std::int64_t i, std::int64_t j) const { return matrix.data[i * matrix.row + j * matrix.column]; }
};

struct Source {
    const Stored& stored;
    std::int64_t width;
    bool of_a;
    static void pack(const void* context, std::int64_t k, std::int64_t k_count, std::int64_t first, std::int64_t count,
                     float* panel) {
        const Source& s = *static_cast<const Source*>(context);
        for (std::int64_t p = 0; p < k_count; ++p) {
            for (std::int64_t i = 0; i < s.width; ++i) {
                const std::int64_t at = first + i;
                panel[p * s.width + i] = i >= count ? 0.0f : s.of_a ? s.stored.at(at, k + p) : s.stored.at(k + p, at);
            }
        }
    }
};

std::int64_t side(Random& random) {
    switch (random.in(0, 4)) {
        case 0: return random.in(0, 3);
        case 1: return random.in(100, 700);
        default: return random.in(1, 70);
    }
}

// Where C's values lie: `count` rows or columns, each `step` apart in its run.
Runs runs(Random& random, std::int64_t count, std::int64_t step, std::int64_t& span) {
    Runs r;
    if (random.coin()) {
        span = count * step;
        return r;
    }
    r.length = random.coin() ? 16 : random.in(1, 50);
    r.jump = r.length * step + random.in(0, 3);
    span = (count + r.length - 1) / r.length * r.jump;
    return r;
}

bool check(Random& random, Isa isa, int number) {
    Gemm g{};
    g.m = side(random), g.n = side(random), g.k = random.in(0, 9) == 0 ? random.in(700, 1100) : side(random);
    if (number % 16 == 0) g.m = random.in(4020, 4200), g.n = random.in(1, 40), g.k = random.in(1, 300);
    if (number % 16 == 1) g.n = random.in(4020, 4200), g.m = random.in(1, 40), g.k = random.in(1, 300);
    const Stored a(random, g.m, g.k), b(random, g.k, g.n);
    g.a = a.matrix, g.b = b.matrix;
    std::int64_t column_span = 0, row_span = 0;
    g.c_columns = runs(random, g.n, 1, column_span);
    // whole runs of columns one after another in each row, or (as in the blocked layout) rows within a run of columns
    if (g.c_columns.jump > 0 && random.coin()) {
        g.c_row = g.c_columns.length + random.in(0, 2);
        g.c_rows = runs(random, g.m, g.c_row, row_span);
        g.c_columns.jump = row_span;
        row_span *= (g.n + g.c_columns.length - 1) / g.c_columns.length;
    } else {
        g.c_row = column_span + random.in(0, 3);
        g.c_rows = runs(random, g.m, g.c_row, row_span);
    }
    const std::int64_t size = row_span + column_span + 64;
    const auto offset = [&](std::int64_t i, std::int64_t j) {
        return 1 + i / g.c_rows.length * g.c_rows.jump + i % g.c_rows.length * g.c_row +
               j / g.c_columns.length * g.c_columns.jump + j % g.c_columns.length;
    };
    const std::vector<float> before = random.floats(size), residual = random.floats(size);
    const std::vector<float> row_bias = random.floats(g.m), column_bias = random.floats(g.n);
    g.accumulate = random.coin();
    if (random.coin()) g.epilogue.row_bias = row_bias.data();
    if (random.coin()) g.epilogue.column_bias = column_bias.data();
    if (random.coin()) g.epilogue.residual = residual.data() + 1;
    g.epilogue.relu = random.coin();
    const Source from_a{a, gemm_tile(isa).rows, true}, from_b{b, gemm_tile(isa).columns, false};
    const Floats64 packed_a = aligned_floats(gemm_packed_a_floats(g.m, g.k, isa));
    const Floats64 packed_b = aligned_floats(gemm_packed_b_floats(g.n, g.k, isa));
    const std::int64_t how_a = random.in(0, 2), how_b = random.in(0, 2);
    if (how_a == 1) gemm_pack_a(g.a, g.m, g.k, packed_a.get(), isa, 2), g.packed_a = packed_a.get();
    if (how_b == 1) gemm_pack_b(g.b, g.n, g.k, packed_b.get(), isa, 2), g.packed_b = packed_b.get();
    if (how_a == 2) g.a_panels = {Source::pack, &from_a};
    if (how_b == 2) g.b_panels = {Source::pack, &from_b};
    if (how_a != 0) g.a = {};
    if (how_b != 0) g.b = {};

    std::vector<float> first;
    std::string problem;
    for (const int threads : {1, 2, 3}) {
        const std::int64_t floats = gemm_workspace(g.m, g.n, g.k, isa, threads);
        const Floats64 workspace = aligned_floats(floats + 1);
        for (std::int64_t i = 0; i < floats; ++i) workspace[i] = NAN;
        workspace[floats] = 12345.0f;
        std::vector<float> c = before;
        g.c = c.data() + 1;
        gemm(g, workspace.get(), isa, threads);
        if (workspace[floats] != 12345.0f) problem = "wrote beyond its workspace";
        if (threads == 1) first = c;
        if (std::memcmp(c.data(), first.data(), c.size() * sizeof(float)) != 0)
            problem = "other bits for other threads";
    }
    double worst = 0;
    std::vector<bool> written(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < g.m; ++i) {
        for (std::int64_t j = 0; j < g.n; ++j) {
            const auto at = static_cast<std::size_t>(offset(i, j));
            double sum = 0, total = 0;
            const auto add = [&](double term) { sum += term, total += std::fabs(term); };
            for (std::int64_t p = 0; p < g.k; ++p) add(static_cast<double>(a.at(i, p)) * b.at(p, j));
            if (g.accumulate) add(before[at]);
            if (g.epilogue.row_bias != nullptr) add(row_bias[static_cast<std::size_t>(i)]);
            if (g.epilogue.column_bias != nullptr) add(column_bias[static_cast<std::size_t>(j)]);
            if (g.epilogue.residual != nullptr) add(residual[at]);
            if (g.epilogue.relu && sum < 0) sum = 0;
            const double bound = static_cast<double>(g.k + 5) * 0x1p-24 * total;
            const double error = std::fabs(first[at] - sum);
            if (!(error <= bound))
                problem = "off by " + std::to_string(error) + " where " + std::to_string(bound) + " is allowed";
            if (bound > 0) worst = std::max(worst, error / bound);
            written[at] = true;
        }
    }
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (!written[i] && first[i] != before[i]) problem = "wrote between C's values";
    }
    if (problem.empty()) return true;
    std::printf("FAIL %s, case %d: %ld × %ld × %ld, A %ld, B %ld, runs of %ld rows and %ld columns: %s\n", name(isa),
                number, static_cast<long>(g.m), static_cast<long>(g.n), static_cast<long>(g.k),
                static_cast<long>(how_a), static_cast<long>(how_b), static_cast<long>(g.c_rows.length),
                static_cast<long>(g.c_columns.length), problem.c_str());
    return false;
}

}  // namespace

int main(int count, char** words) {
    std::vector<Isa> isas = available_isas();
    int shapes = 400;
    unsigned seed = 1;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string word = words[i];
        if (word == "--isa") isas = {isa_named(words[i + 1], word)};
        if (word == "--shapes") shapes = std::atoi(words[i + 1]);
        if (word == "--seed") seed = static_cast<unsigned>(std::atoi(words[i + 1]));
    }
    int passed = 0, failed = 0;
    for (const Isa isa : isas) {
        Random random(seed);
        for (int i = 0; i < shapes; ++i) (check(random, isa, i) ? passed : failed) += 1;
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
