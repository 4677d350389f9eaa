#include "backend_calls.hpp"

#include <numeric>

#include "backend_suite.hpp"
#include "backend_values.hpp"

namespace chorale::contract {
namespace {

using Counts = std::vector<std::int64_t>;

std::int64_t sum(const Counts& counts) { return std::accumulate(counts.begin(), counts.end(), std::int64_t{0}); }

/// n over all ranks, uneven, and with ranks that have nothing when n is small.
Counts parts(std::int64_t n, int size) {
  Counts out;
  for (int r = 0; r < size; ++r) out.push_back(n * (r + 1) * (r + 1) / (size * size) - n * r * r / (size * size));
  return out;
}

template <class T>
class Exercise {
 public:
  Exercise(Communicator& comm, const Call& call) : comm_(comm), call_(call) {}

  void run() {
    switch (call_.verb) {
      case Verb::all_reduce:
        return all_reduce();
      case Verb::reduce_scatter:
        return reduce_scatter();
      case Verb::all_gather:
        return all_gather();
      case Verb::all_to_all:
        return all_to_all();
      case Verb::broadcast:
        return broadcast();
      case Verb::messages:
        return messages();
      case Verb::barrier:
        return comm_.barrier(call_.label).wait();
    }
  }

 private:
  /// Room for n elements, misaligned as asked; freed when the exercise ends, right after the call.
  Buffer room(std::int64_t n) {
    const std::int64_t all = n + call_.offset;
    if (call_.shared) {
      shared_.push_back(comm_.allocate(all, Element<T>::dtype));
      return shared_.back().mine.part(call_.offset, n);
    }
    plain_.emplace_back(static_cast<std::size_t>(all));
    return buffer(plain_.back()).part(call_.offset, n);
  }
  Buffer filled(std::int64_t n, int as_rank, std::int64_t first = 0) {
    const Buffer out = room(n);
    for (std::int64_t i = 0; i < n; ++i) out.as<T>()[i] = value<T>(as_rank, first + i);
    return out;
  }
  /// Every element, or a sample of many.
  template <class Expected>
  void check(Buffer got, std::int64_t first, std::int64_t count, Expected expected) {
    const std::int64_t step = count > 20000 ? 997 : 1;
    for (std::int64_t i = 0; i < count; i += std::min(step, std::max<std::int64_t>(1, count - 1 - i)))
      if (!(got.as<T>()[first + i] == expected(i))) throw Broken(call_.text() + ": wrong element " + std::to_string(first + i));
  }
  T reduced_at(std::int64_t i) const { return Element<T>::back(reduced<T>(0, comm_.size(), i, Reduce::sum)); }
  std::int64_t before(const Counts& counts, int rank) const {
    return std::accumulate(counts.begin(), counts.begin() + rank, std::int64_t{0});
  }

  void all_reduce() {
    const Buffer data = filled(call_.n, comm_.rank());
    comm_.all_reduce(data, Reduce::sum, call_.label).wait();
    check(data, 0, call_.n, [&](std::int64_t i) { return reduced_at(i); });
  }
  void reduce_scatter() {
    const Counts counts = parts(call_.n, comm_.size());
    const std::int64_t mine = counts[static_cast<std::size_t>(comm_.rank())], first = before(counts, comm_.rank());
    const Buffer input = filled(call_.n, comm_.rank()), output = room(mine);
    comm_.reduce_scatter(input, output, counts, Reduce::sum, call_.label).wait();
    check(output, 0, mine, [&](std::int64_t i) { return reduced_at(first + i); });
  }
  void all_gather() {
    const Counts counts = parts(call_.n, comm_.size());
    const Buffer input = filled(counts[static_cast<std::size_t>(comm_.rank())], comm_.rank()), output = room(call_.n);
    comm_.all_gather(input, output, counts, call_.label).wait();
    for (int r = 0; r < comm_.size(); ++r)
      check(output, before(counts, r), counts[static_cast<std::size_t>(r)], [&](std::int64_t i) { return value<T>(r, i); });
  }
  void all_to_all() {
    const int size = comm_.size(), me = comm_.rank();
    const auto count = [&](int from, int to) { return call_.n * ((from + 2 * to) % 3) / (2 * size); };
    Counts send, receive;
    for (int r = 0; r < size; ++r) send.push_back(count(me, r)), receive.push_back(count(r, me));
    const Buffer input = room(sum(send)), output = room(sum(receive));
    for (int r = 0; r < size; ++r)
      for (std::int64_t i = 0; i < send[static_cast<std::size_t>(r)]; ++i) input.as<T>()[before(send, r) + i] = value<T>(me * size + r, i);
    comm_.all_to_all(input, send, output, receive, call_.label).wait();
    for (int r = 0; r < size; ++r)
      check(output, before(receive, r), receive[static_cast<std::size_t>(r)], [&](std::int64_t i) { return value<T>(r * size + me, i); });
  }
  void broadcast() {
    const int root = static_cast<int>(call_.n % comm_.size());
    const Buffer data = filled(call_.n, comm_.rank());
    comm_.broadcast(data, root, call_.label).wait();
    check(data, 0, call_.n, [&](std::int64_t i) { return value<T>(root, i); });
  }
  void messages() {
    const int next = (comm_.rank() + 1) % comm_.size(), last = (comm_.rank() + comm_.size() - 1) % comm_.size();
    const Buffer output = filled(call_.n, comm_.rank()), input = room(call_.n);
    Work sending = comm_.send(output, next, call_.label);
    comm_.recv(input, last, call_.label).wait();
    sending.wait();
    check(input, 0, call_.n, [&](std::int64_t i) { return value<T>(last, i); });
  }

  Communicator& comm_;
  const Call& call_;
  std::vector<std::vector<T>> plain_;
  std::vector<SharedMemory> shared_;
};

}  // namespace

const char* name(Verb verb) {
  constexpr const char* kNames[] = {"all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "messages", "barrier"};
  return kNames[static_cast<int>(verb)];
}

std::string Call::text() const {
  return std::string(contract::name(verb)) + " of " + std::to_string(n) + " x " + std::string(chorale::name(dtype)) + " at offset " +
         std::to_string(offset) + (shared ? " of allocated memory" : "");
}

void exercise(Communicator& comm, const Call& call) {
  switch (call.dtype) {
    case DType::f32:
      return Exercise<float>(comm, call).run();
    case DType::f64:
      return Exercise<double>(comm, call).run();
    case DType::bf16:
      return Exercise<Bf16>(comm, call).run();
    case DType::i32:
      return Exercise<std::int32_t>(comm, call).run();
    case DType::i64:
      return Exercise<std::int64_t>(comm, call).run();
    default:
      return Exercise<std::uint8_t>(comm, call).run();
  }
}

}  // namespace chorale::contract
