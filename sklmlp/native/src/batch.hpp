// A batch of rows, as it goes through a network. Included as `simd.hpp` is.
#pragma once

template <class T>
struct Batch {
    // Dense rows `x`, or CSR rows by number.
    const T* x = nullptr;
    const Rows* sparse = nullptr;
    const int64_t* order = nullptr;  // of the batch's rows in the table; null: from `first` on
    size_t first = 0, n_rows = 0, n_shards = 1;
    bool in_training = false;  // dropout and statistics of the batch
    uint64_t dropout_seed = 0;
    uint32_t step = 0;

    T* gathered = nullptr;  // (capacity, n_features), rows `gathered_stride` apart; or null
    size_t gathered_stride = 0;
    void* gathered_y = nullptr;  // (capacity, n_targets) of T, or (capacity,) of int64_t
    T* row_losses = nullptr;     // (capacity,)
    T* row_scales = nullptr;     // (capacity,)
    const void* y = nullptr;
    bool has_row_scales = false;
    T scale = T(1);

    // Take rows of a table as they follow each other.
    void look_at(const Rows& rows, size_t begin, size_t n, size_t width) {
        first = begin, n_rows = n;
        if (rows.is_sparse()) {
            sparse = &rows;
            return;
        }
        x = gathered ? gathered : static_cast<const T*>(rows.dense) + begin * width;
        for (size_t i = 0; gathered && i < n; ++i)
            rows.copy(begin + i, width, gathered + i * gathered_stride);
    }

    size_t begin_of(size_t s) const { return n_rows * s / n_shards; }
    size_t row_of(size_t i) const { return order ? size_t(order[i]) : first + i; }
};
