// What can go wrong, by who can mend it. An error carries the exit code that the program ends with.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace chorale {

/// What the codes mean to scripts, supervisors and people.
enum class ExitCode : int {
  done = 0,
  usage = 64,
  data = 65,
  checkpoint = 66,
  internal = 70,
  io = 74,
  comm = 75,
  owned = 76,
  requeue = 99,
  interrupted = 130,
};

/// Base of all. The text names operation, values and remedy; what rises may gain context in front.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& text) : std::runtime_error(text), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

struct UsageError : Error {
  explicit UsageError(const std::string& text) : Error(ExitCode::usage, text) {}
};
struct DataError : Error {
  explicit DataError(const std::string& text) : Error(ExitCode::data, text) {}
};
struct CheckpointError : Error {
  explicit CheckpointError(const std::string& text) : Error(ExitCode::checkpoint, text) {}
};
struct InternalError : Error {
  explicit InternalError(const std::string& text) : Error(ExitCode::internal, text) {}
};
/// A shape or type that an operation cannot take: a caller's mistake.
struct ShapeError : Error {
  explicit ShapeError(const std::string& text) : Error(ExitCode::usage, text) {}
};
/// A full disk, a failed read or write; the text carries the path.
struct IoError : Error {
  explicit IoError(const std::string& text) : Error(ExitCode::io, text) {}
};
/// NaN or infinity where numbers must be finite. All ranks may throw it, in the same words: is_own where they arose on this one.
struct NumericError : Error {
  explicit NumericError(const std::string& text, bool is_own_ = true) : Error(ExitCode::internal, text), is_own(is_own_) {}
  bool is_own;
};
/// A peer's failure: which rank saw or caused it, in which collective, at which number of it.
struct CommError : Error {
  CommError(int rank_, std::string op_, std::uint64_t sequence_, const std::string& text)
      : Error(ExitCode::comm, text), rank(rank_), op(std::move(op_)), sequence(sequence_) {}
  int rank;
  std::string op;
  std::uint64_t sequence;
  bool is_late = false;  // `rank` had not come by the deadline
};
/// Another attempt owns the run directory; nothing of it may be touched.
struct OwnedError : Error {
  explicit OwnedError(const std::string& text) : Error(ExitCode::owned, text) {}
};
/// Ctrl-C or a stop request.
struct Interrupted : Error {
  explicit Interrupted(const std::string& text) : Error(ExitCode::interrupted, text) {}
};

}  // namespace chorale
