#include <chorale/train/data/together.hpp>

#include <chrono>
#include <future>
#include <limits>
#include <new>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/preprocess_bytes.hpp>

namespace chorale {

namespace {

struct Outcome {
  std::int32_t code = 0;  // 0: went well
  std::int64_t position = std::numeric_limits<std::int64_t>::max();
  std::string text;
};

Bytes packed(const Outcome& outcome) {
  Bytes bytes;
  put(bytes, outcome.code);
  put(bytes, outcome.position);
  put_text(bytes, outcome.text);
  return bytes;
}

Outcome unpacked(std::span<const std::byte> bytes) {
  Outcome outcome;
  outcome.code = take<std::int32_t>(bytes);
  outcome.position = take<std::int64_t>(bytes);
  outcome.text = take_text(bytes);
  return outcome;
}

[[noreturn]] void rethrow(const Outcome& outcome) {
  switch (static_cast<ExitCode>(outcome.code)) {
    case ExitCode::usage:
      throw UsageError(outcome.text);
    case ExitCode::data:
      throw DataError(outcome.text);
    case ExitCode::checkpoint:
      throw CheckpointError(outcome.text);
    case ExitCode::io:
      throw IoError(outcome.text);
    case ExitCode::interrupted:
      throw Interrupted(outcome.text);
    default:
      throw InternalError(outcome.text);
  }
}

Outcome run(const std::function<void(std::int64_t& position)>& work) {
  Outcome outcome;
  std::int64_t position = 0;
  const auto failed = [&](ExitCode code, const std::string& text) { outcome = {static_cast<std::int32_t>(code), position, text}; };
  try {
    work(position);
  } catch (const CommError&) {
    throw;
  } catch (const Error& error) {
    failed(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    failed(ExitCode::io, "[data] no memory is left on a rank; use fewer ranks a node, or a smaller data.memory");
  } catch (const std::exception& error) {
    failed(ExitCode::internal, std::string("[data] ") + error.what());
  }
  return outcome;
}

void conclude(Communicator& comm, Label label, const Outcome& mine) {
  Outcome first;
  for (const auto& bytes : all_gather_bytes(comm, packed(mine), label)) {
    Outcome other = unpacked(bytes);
    if (other.code != 0 && (first.code == 0 || other.position < first.position)) first = std::move(other);
  }
  if (first.code != 0) rethrow(first);
}

}  // namespace

void together(Communicator& comm, Label label, const std::function<void(std::int64_t& position)>& work) {
  conclude(comm, label, run(work));
}

void together_slowly(Communicator& comm, Label label, const std::function<void(std::int64_t& position)>& work) {
  std::future<Outcome> outcome = std::async(std::launch::async, [&] { return run(work); });
  for (std::uint8_t working = 1; working;) {
    working = outcome.wait_for(std::chrono::seconds(1)) != std::future_status::ready;
    comm.all_reduce(buffer_of(std::span(&working, 1)), Reduce::max, label).wait();
  }
  conclude(comm, label, outcome.get());
}

}  // namespace chorale
