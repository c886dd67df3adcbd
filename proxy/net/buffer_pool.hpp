#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace fieldgate::net {

// Large buffers of one thread, lent to whoever streams a reply at the moment. One read and one write of up to
// 256 KB make large replies cheap; an idle session owns none.
class BufferPool {
 public:
    static constexpr std::size_t small_bytes = std::size_t{64} * 1024;
    static constexpr std::size_t large_bytes = std::size_t{256} * 1024;

    class Loan {
     public:
        Loan(Loan&& other) noexcept
            : pool_(other.pool_), bytes_(std::move(other.bytes_)), byte_count_(other.byte_count_) {}
        Loan& operator=(Loan&&) = delete;
        ~Loan() {
            if (bytes_) pool_.take_back(std::move(bytes_), byte_count_);
        }
        std::span<std::uint8_t> bytes() { return {bytes_.get(), byte_count_}; }

     private:
        friend BufferPool;
        Loan(BufferPool& pool, std::unique_ptr<std::uint8_t[]> bytes, std::size_t byte_count)
            : pool_(pool), bytes_(std::move(bytes)), byte_count_(byte_count) {}
        BufferPool& pool_;
        std::unique_ptr<std::uint8_t[]> bytes_;
        std::size_t byte_count_;
    };

    Loan lend(std::size_t wanted_bytes) {
        const std::size_t byte_count = wanted_bytes > small_bytes ? large_bytes : small_bytes;
        auto& spare = spare_of(byte_count);
        if (spare.empty())
            return {*this, std::make_unique_for_overwrite<std::uint8_t[]>(byte_count), byte_count};
        Loan loan(*this, std::move(spare.back()), byte_count);
        spare.pop_back();
        return loan;
    }

 private:
    using Spare = std::vector<std::unique_ptr<std::uint8_t[]>>;
    static constexpr std::size_t spare_max = 8;  // of each size; more are freed

    Spare& spare_of(std::size_t byte_count) { return byte_count == small_bytes ? small_ : large_; }
    void take_back(std::unique_ptr<std::uint8_t[]> bytes, std::size_t byte_count) {
        auto& spare = spare_of(byte_count);
        if (spare.size() < spare_max) spare.push_back(std::move(bytes));
    }

    Spare small_;
    Spare large_;
};

}  // namespace fieldgate::net
