// Embeddings of some rows, forward and backward. Included as `simd.hpp` is.
#pragma once

// Piecewise-linear embeddings of numbers (Gorishniy, Rubachev & Babenko 2022, sec. 3.2).
//
// Of the components of P(x) all are 1 up to the bin that x lies in, and 0 behind it. So P(x) bins
// is the sum of all bins in front, which is looked up, and no more than two that are not whole: the
// bin itself, and the one before, where rounding may leave a little. The gradient of the bins goes
// the same way back: each row adds to one place, and a sum over what lies behind makes the rest.

// Where a number lies: the first bin that may not be whole, and the components of it and the next.
template <class T>
struct Place {
    uint32_t bin;
    T part, next;
};

template <class T>
class PiecewiseFront {
  public:
    // `buffers` are those of the plan.
    PiecewiseFront(const Front& front, const T* buffers) : front_(front), n_bins_(front.n_numbers, 0) {
        if (!front.n_numbers) return;
        left_ = buffers + front.left, per_width_ = buffers + front.per_width;
        for (size_t f = 0; f < front.n_numbers; ++f) {  // those behind are there to fill up
            const T* per_width = per_width_ + f * front.n_bins;
            while (n_bins_[f] < front.n_bins && per_width[n_bins_[f]] > 0) ++n_bins_[f];
        }
    }

    size_t n_sums() const { return front_.n_numbers * front_.n_bins * front_.size; }

    // sums (F, n_bins, size): for each bin, the sum of those in front.
    void sum_bins(const T* bins, T* sums) const {
        const size_t size = front_.size;
        for (size_t f = 0; f < front_.n_numbers; ++f, bins += front_.n_bins * size) {
            T* of = sums + f * front_.n_bins * size;
            std::fill(of, of + size, T(0));
            for (size_t t = 1; t < n_bins_[f]; ++t)
                for (size_t j = 0; j < size; ++j)
                    of[t * size + j] = of[(t - 1) * size + j] + bins[(t - 1) * size + j];
        }
    }

    // Embed the numbers `x` of a row; `places` (F,) is where they lie.
    void embed(const T* x, const T* weight, const T* bias, const T* bins, const T* sums, T* out,
               Place<T>* places) const {
        const size_t size = front_.size;
        for (size_t f = 0; f < front_.n_numbers; ++f, out += size) {
            const Place<T> at = places[f] = place(f, x[f]);
            const T value = x[f], *w = weight + f * size, *b = bias + f * size;
            if (n_bins_[f] == 0) {
                for (size_t j = 0; j < size; ++j) out[j] = b[j] + value * w[j];
                continue;
            }
            const size_t start = (f * front_.n_bins + at.bin) * size;
            const T *bin = bins + start, *next = at.bin + 1 < n_bins_[f] ? bin + size : bin,
                    *sum = sums + start;
            for (size_t j = 0; j < size; ++j)
                out[j] = b[j] + value * w[j] + (sum[j] + at.part * bin[j] + at.next * next[j]);
        }
    }

    // Add the gradients of a row, of which `above` is that of its embeddings. Of `bins` they are
    // complete, and of `sums` (F, n_bins, size) taken down, after `finish`.
    void pull(const T* x, const Place<T>* places, const T* above, T* weight, T* bias, T* bins,
              T* sums) const {
        const size_t size = front_.size;
        for (size_t f = 0; f < front_.n_numbers; ++f, above += size) {
            const T value = x[f];
            T *w = weight + f * size, *b = bias + f * size;
            for (size_t j = 0; j < size; ++j) w[j] += value * above[j], b[j] += above[j];
            if (n_bins_[f] == 0) continue;
            const Place<T> at = places[f];
            const size_t start = (f * front_.n_bins + at.bin) * size;
            T *bin = bins + start, *next = at.bin + 1 < n_bins_[f] ? bin + size : bin,
              *sum = sums + start;
            for (size_t j = 0; j < size; ++j) sum[j] += above[j], bin[j] += at.part * above[j];
            for (size_t j = 0; j < size; ++j) next[j] += at.next * above[j];
        }
    }

    // A bin is whole in all rows that lie behind it.
    void finish(T* bins, T* sums) const {
        const size_t size = front_.size;
        for (size_t f = 0; f < front_.n_numbers; ++f) {
            T *of = sums + f * front_.n_bins * size, *to = bins + f * front_.n_bins * size;
            for (size_t t = n_bins_[f]; t-- > 1;)
                for (size_t j = 0; j < size; ++j) {
                    to[(t - 1) * size + j] += of[t * size + j];
                    of[(t - 1) * size + j] += of[t * size + j];
                }
        }
    }

  private:
    Place<T> place(size_t f, T x) const {
        const size_t n = n_bins_[f];
        if (n == 0) return {0, T(0), T(0)};
        const T *left = left_ + f * front_.n_bins, *per_width = per_width_ + f * front_.n_bins;
        size_t low = 0;  // the last of those that begin at x or before, and one less
        for (size_t t = 2; t < n; ++t) low += left[t] <= x;
        const auto component = [&](size_t t) {
            const T share = (x - left[t]) * per_width[t];
            return share < 0 ? T(0) : share > 1 ? T(1) : share;
        };
        return {uint32_t(low), component(low), low + 1 < n ? component(low + 1) : T(0)};
    }

    const Front& front_;
    std::vector<size_t> n_bins_;  // of each number
    const T *left_ = nullptr, *per_width_ = nullptr;
};

// Vectors of the levels of categories, which are looked up by codes. A code that is no level has
// zeros.
template <class T>
class LevelVectors {
  public:
    // `buffers` are those of the plan.
    LevelVectors(const Front& front, const T* buffers)
        : size_(front.size), n_levels_(front.n_levels), first_(front.n_categories + 1) {
        for (size_t c = 0; front.n_categories && c < first_.size(); ++c)
            first_[c] = buffers[front.first + c];
    }

    void embed(const T* codes, const T* vectors, T* out) const {
        for (size_t c = 0; c + 1 < first_.size(); ++c, out += size_) {
            const size_t level = find(c, codes[c]);
            if (level == kNone)
                std::fill(out, out + size_, T(0));
            else
                std::copy(vectors + level * size_, vectors + (level + 1) * size_, out);
        }
    }

    // Add the gradient of a row, of which `above` is that of its vectors.
    void pull(const T* codes, const T* above, T* vectors) const {
        for (size_t c = 0; c + 1 < first_.size(); ++c, above += size_) {
            const size_t level = find(c, codes[c]);
            if (level != kNone) add(size_, above, vectors + level * size_);
        }
    }

  private:
    size_t find(size_t category, T code) const {
        const T level = first_[category] + code;
        const bool is_level = code >= 0 && level < first_[category + 1] && level < T(n_levels_);
        return is_level ? size_t(level) : kNone;
    }

    size_t size_, n_levels_;
    std::vector<T> first_;
};
