// What every backend must do when ranks disagree, do not come, or give up.
#include <chrono>
#include <thread>

#include <chorale/core/base/error.hpp>

#include "backend_suite.hpp"

namespace chorale::contract {
namespace {

using namespace std::chrono_literals;

void must_name(const std::string& text, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    if (text.find(word) == std::string::npos) throw Broken("the error does not say '" + word + "': " + text);
}

/// The CommError that `body` ends with.
template <class Body>
CommError error_of(Body body) {
  try {
    body();
  } catch (const CommError& error) {
    return error;
  }
  throw Broken("no CommError came");
}

void reduce_floats(Communicator& comm, std::int64_t n, Label label) {
  std::vector<float> data(static_cast<std::size_t>(n), 1.0f);
  comm.all_reduce(buffer_of(std::span(data)), Reduce::sum, label).wait();
}

bool is_last(const Communicator& comm) { return comm.rank() == comm.size() - 1; }
std::string rank_text(int rank) { return "rank " + std::to_string(rank); }

/// The text puts the last rank beside some other one, with what each of them is at.
void must_name_two(Communicator& comm, const std::string& text, std::vector<std::string> words) {
  words.push_back("disagree: rank ");
  words.push_back(", " + rank_text(comm.size() - 1) + " is at ");
  must_name(text, words);
}

void labels_differ(Communicator& comm) {
  const CommError error = error_of([&] { reduce_floats(comm, 10, is_last(comm) ? "their gradient" : "my gradient"); });
  must_name_two(comm, error.what(), {"my gradient", "their gradient", "#1"});
  error_of([&] { comm.barrier("after").wait(); });  // a dead communicator stays dead
}

void sizes_differ(Communicator& comm) {
  const CommError error = error_of([&] { reduce_floats(comm, is_last(comm) ? 4711 : 4712, "grad"); });
  must_name_two(comm, error.what(), {"4711", "4712", "grad"});
}

void verbs_differ(Communicator& comm) {
  const CommError error = error_of([&] {
    if (is_last(comm))
      comm.barrier("x").wait();
    else
      reduce_floats(comm, 100000, "x");
  });
  must_name_two(comm, error.what(), {"barrier", "all_reduce"});
}

void types_differ(Communicator& comm) {
  const CommError error = error_of([&] {
    if (is_last(comm)) {
      std::vector<std::int32_t> data(4712);  // as many bytes
      comm.all_reduce(buffer_of(std::span(data)), Reduce::sum, "grad").wait();
    } else {
      reduce_floats(comm, 4712, "grad");
    }
  });
  must_name_two(comm, error.what(), {"f32", "i32", "grad"});
}

void reductions_differ(Communicator& comm) {
  const CommError error = error_of([&] {
    float x = 1;
    comm.all_reduce(buffer_of(std::span(&x, 1)), is_last(comm) ? Reduce::max : Reduce::sum, "norm").wait();
  });
  must_name_two(comm, error.what(), {"sum", "max", "norm"});
}

void roots_differ(Communicator& comm) {
  const CommError error = error_of([&] {
    std::vector<float> data(1000);
    comm.broadcast(buffer_of(std::span(data)), is_last(comm) ? 1 : 0, "plan").wait();
  });
  must_name_two(comm, error.what(), {"broadcast", "plan", "root 0", "root 1"});
}

void parts_differ(Communicator& comm) {
  const auto n = static_cast<std::size_t>(comm.size());
  std::vector<std::int64_t> counts(n, 5);
  if (is_last(comm)) counts[0] = 4, counts[n - 1] = 6;  // as many in all
  std::vector<double> input(static_cast<std::size_t>(counts[static_cast<std::size_t>(comm.rank())])), output(5 * n);
  const CommError error =
      error_of([&] { comm.all_gather(buffer_of(std::span(input)), buffer_of(std::span(output)), counts, "rows").wait(); });
  must_name_two(comm, error.what(), {"all_gather", "rows"});
}

void counts_differ(Communicator& comm) {
  const auto n = static_cast<std::size_t>(comm.size());
  std::vector<std::int64_t> send(n, 2), receive(n, 2);
  if (is_last(comm)) send[0] = 3;
  std::vector<float> input(2 * n + (is_last(comm) ? 1 : 0)), output(2 * n);
  const CommError error =
      error_of([&] { comm.all_to_all(buffer_of(std::span(input)), send, buffer_of(std::span(output)), receive, "swap").wait(); });
  must_name(error.what(), {"swap", "rank 0", rank_text(comm.size() - 1), "12", "8"});
}

void message_differs(Communicator& comm) {
  if (comm.rank() > 1) return;
  comm.set_timeout_ms(2000);
  std::vector<float> data(100000);  // more than a ring holds, so the sender is still there when the receiver objects
  const bool sends = comm.rank() == 0;
  const CommError error = error_of([&] {
    if (sends)
      comm.send(buffer_of(std::span(data)), 1, "sent").wait(), comm.barrier("never").wait();
    else
      comm.recv(buffer_of(std::span(data)), 0, "wanted").wait();
  });
  if (!sends) must_name(error.what(), {"rank 0", "rank 1", "sent", "wanted"});
}

void deadline_fires(Communicator& comm) {
  reduce_floats(comm, 100, "before");
  comm.set_timeout_ms(400);
  const int missing = comm.size() - 1;
  if (comm.rank() == missing) {
    std::this_thread::sleep_for(2s);
    error_of([&] { reduce_floats(comm, 100, "grad 7"); });
    return;
  }
  const auto start = std::chrono::steady_clock::now();
  const CommError error = error_of([&] { reduce_floats(comm, 100, "grad 7"); });
  if (std::chrono::steady_clock::now() - start < 350ms) throw Broken("the deadline fired too early");
  must_name(error.what(), {"all_reduce", "grad 7", "#2"});
  must_name(error.what(), {rank_text(missing)});
  if (error.rank != missing) throw Broken("the error carries rank " + std::to_string(error.rank));
}

void abort_unblocks(Communicator& comm) {
  comm.set_timeout_ms(3000);
  comm.barrier("together").wait();
  if (is_last(comm)) {
    std::this_thread::sleep_for(100ms);
    comm.abort("the disk is full");
  }
  const bool same_node = comm.node_index() == comm.node_count() - 1;
  const CommError error = error_of([&] { reduce_floats(comm, 50000, "pending"); });
  if (same_node) must_name(error.what(), {"the disk is full", rank_text(comm.size() - 1)});
  const CommError later = error_of([&] { comm.barrier("later").wait(); });
  if (same_node) must_name(later.what(), {"the disk is full"});
}

void abort_from_another_thread(Communicator& comm) {
  comm.set_timeout_ms(3000);
  comm.barrier("together").wait();
  std::thread other;
  if (comm.rank() == 0) other = std::thread([&] { std::this_thread::sleep_for(50ms), comm.abort("stop asked for"); });
  error_of([&] {
    if (is_last(comm)) std::this_thread::sleep_for(200ms);
    comm.barrier("pending").wait();
    std::this_thread::sleep_for(300ms);  // the abort may have come after this barrier
    comm.barrier("next").wait();
  });
  if (other.joinable()) other.join();
}

}  // namespace

std::vector<Check> failing_checks() {
  return {
      {"different labels are named on every rank", labels_differ, 2},
      {"different sizes are named on every rank", sizes_differ, 2},
      {"different verbs are named on every rank", verbs_differ, 2},
      {"counts that do not mirror each other are named", counts_differ, 2},
      {"a message of another label is refused", message_differs, 2},
      {"the deadline names who has not come", deadline_fires, 2},
      {"abort unblocks every rank", abort_unblocks, 2},
      {"abort may come from another thread", abort_from_another_thread, 2},
      {"different types of as many bytes are named on every rank", types_differ, 2},
      {"different reductions are named on every rank", reductions_differ, 2},
      {"different roots are named on every rank", roots_differ, 2},
      {"different parts of as many elements are named on every rank", parts_differ, 2},
  };
}

}  // namespace chorale::contract
