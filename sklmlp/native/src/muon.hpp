// Muon: momentum, drawn to an orthogonal matrix (Jordan et al. 2024). Included as `simd.hpp` is.
//
// The iteration X <- a X + b X (X^T X) + c X (X^T X)^2 works on the taller way round of a matrix,
// (high, wide). X^T X and its square are symmetric, of which half is computed. Shards share the
// columns of these and the rows of X, and meet after each product.
#pragma once

template <class T>
class Muon {
  public:
    Muon(const Options& options, size_t n_shards)
        : momentum_(T(options.momentum)),
          weight_decay_(options.weight_decay),
          n_shards_(n_shards),
          panels_(n_shards * packed_size<T>()) {
        for (const Part& part : options.parts)
            if (part.is_matrix()) matrices_.emplace_back(part, n_shards);
    }

    // One step of all matrices; `moved(offset, from, to)` is told of the rows of the matrix at an
    // offset that have new values.
    template <class Moved>
    void step(Team& team, double rate, T* flat, const T* gradient, T* momentum, Moved&& moved) {
        if (matrices_.empty()) return;
        const auto each = [&](auto&& act) {
            team.each(n_shards_, [&](size_t s) {
                for (Iterate& m : matrices_) act(m, s);
            });
        };
        each([&](Iterate& m, size_t s) { look_ahead(m, s, gradient, momentum); });
        each([&](Iterate& m, size_t s) { normalize(m, s); });
        for (int turn = 0; turn < kTurns; ++turn) {
            each([&](Iterate& m, size_t s) { multiply_gram(m, s); });
            each([&](Iterate& m, size_t s) { evaluate_polynomial(m, s); });
            each([&](Iterate& m, size_t s) { apply_polynomial(m, s); });
            for (Iterate& m : matrices_) m.x.swap(m.next);
        }
        each([&](Iterate& m, size_t s) {
            const size_t from = m.part.rows * s / n_shards_, to = m.part.rows * (s + 1) / n_shards_;
            update(m, rate * m.part.factor, from, to, flat);
            moved(m.part.offset, from, to);
        });
    }

  private:
    static constexpr int kTurns = 5;
    // of the odd polynomial that draws singular values towards 1
    static constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
    static constexpr size_t kColumns = kTileVectors * Simd<T>::lanes;  // of a panel

    struct Iterate {
        Part part;
        bool is_turned;  // the matrix lies as (wide, high)
        size_t high, wide, stride;
        std::vector<T> x, next;           // (high, wide)
        std::vector<T> gram, polynomial;  // (wide, wide)
        std::vector<double> squares;

        Iterate(const Part& part, size_t n_shards)
            : part(part),
              is_turned(part.rows < part.columns),
              high(std::max(part.rows, part.columns)),
              wide(std::min(part.rows, part.columns)),
              stride((wide + 15) / 16 * 16 + 16),  // no power of two
              x(high * stride),
              next(high * stride),
              gram(wide * stride),
              polynomial(wide * stride),
              squares(n_shards) {}

        T& at(size_t i, size_t j) { return is_turned ? x[j * stride + i] : x[i * stride + j]; }
    };

    // Rows of the momentum, and X as Nesterov's look-ahead.
    void look_ahead(Iterate& m, size_t s, const T* gradient, T* momentum) const {
        const size_t columns = m.part.columns;
        const T fresh = T(1) - momentum_;
        double squares = 0;
        for (size_t i = m.part.rows * s / n_shards_; i < m.part.rows * (s + 1) / n_shards_; ++i) {
            const T* g = gradient + m.part.offset + i * columns;
            T* v = momentum + m.part.offset + i * columns;
            for (size_t j = 0; j < columns; ++j) {
                v[j] += fresh * (g[j] - v[j]);
                const T ahead = v[j] + fresh * (g[j] - v[j]);
                squares += double(ahead) * double(ahead);
                m.at(i, j) = ahead;
            }
        }
        m.squares[s] = squares;
    }

    void normalize(Iterate& m, size_t s) const {
        double squares = 0;
        for (double part : m.squares) squares += part;
        const T norm = T(std::sqrt(squares)) + T(1e-7);
        for (size_t i = m.high * s / n_shards_; i < m.high * (s + 1) / n_shards_; ++i)
            for (size_t j = 0; j < m.wide; ++j) m.x[i * m.stride + j] /= norm;
    }

    // X^T X: of each panel of columns what is on and below the diagonal, and its mirror image.
    void multiply_gram(Iterate& m, size_t s) {
        each_panel(m, s, [&](size_t j, size_t width, T* panel) {
            const T* x = m.x.data() + j;
            product(m.wide - j, width, m.high, Matrix<T>{x, 1, m.stride}, Matrix<T>{x, m.stride, 1},
                    &m.gram[j * m.stride + j], m.stride, false, panel);
            mirror(m.gram.data(), m, j, width);
        });
    }

    // a I + b G + c G^2 of the Gram matrix G
    void evaluate_polynomial(Iterate& m, size_t s) {
        each_panel(m, s, [&](size_t j, size_t width, T* panel) {
            const T* g = m.gram.data() + j;
            product(m.wide - j, width, m.wide, Matrix<T>{g + (j * m.stride - j), m.stride, 1},
                    Matrix<T>{g, m.stride, 1}, &m.polynomial[j * m.stride + j], m.stride, false,
                    panel);
            for (size_t i = j; i < m.wide; ++i) {
                T* to = &m.polynomial[i * m.stride + j];
                for (size_t q = 0; q < width; ++q) to[q] = T(kC) * to[q] + T(kB) * g[i * m.stride + q];
                if (i - j < width) to[i - j] += T(kA);
            }
            mirror(m.polynomial.data(), m, j, width);
        });
    }

    void apply_polynomial(Iterate& m, size_t s) {
        const size_t from = m.high * s / n_shards_, to = m.high * (s + 1) / n_shards_;
        product(to - from, m.wide, m.wide, Matrix<T>{&m.x[0] + from * m.stride, m.stride, 1},
                Matrix<T>{m.polynomial.data(), m.stride, 1}, &m.next[0] + from * m.stride, m.stride,
                false, panel(s));
    }

    // Rows [from, to): W <- (1 - rate decay) W - rate sqrt(max(1, n_out / n_in)) X
    void update(Iterate& m, double rate, size_t from, size_t to, T* flat) const {
        const size_t columns = m.part.columns;
        const double ratio = double(columns) / double(m.part.rows);
        const T keep = T(1 - rate * weight_decay_), by = T(rate * std::sqrt(std::max(1.0, ratio)));
        for (size_t i = from; i < to; ++i) {
            T* w = flat + m.part.offset + i * columns;
            for (size_t j = 0; j < columns; ++j) w[j] = w[j] * keep - by * m.at(i, j);
        }
    }

    template <class Act>
    void each_panel(const Iterate& m, size_t s, Act&& act) {
        for (size_t j = s * kColumns; j < m.wide; j += n_shards_ * kColumns)
            act(j, std::min(kColumns, m.wide - j), panel(s));
    }

    // Rows j to j + width right of the diagonal, from the columns below it.
    static void mirror(T* square, const Iterate& m, size_t j, size_t width) {
        for (size_t i = j + width; i < m.wide; ++i)
            for (size_t q = 0; q < width; ++q)
                square[(j + q) * m.stride + i] = square[i * m.stride + j + q];
    }

    T* panel(size_t s) { return panels_.data() + s * packed_size<T>(); }

    const T momentum_;
    const double weight_decay_;
    const size_t n_shards_;
    std::vector<T> panels_;
    std::vector<Iterate> matrices_;
};
