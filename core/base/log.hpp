// Where words for people and machines go. core, comm and train only know this sink; the launcher decides what becomes of a line.
#pragma once
#include <string>
#include <string_view>

namespace chorale {

enum class LogLevel { debug, info, warning, error };

/// May be called from any thread of the rank that owns it.
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view text) = 0;
  void info(std::string_view text) { write(LogLevel::info, text); }
  void warning(std::string_view text) { write(LogLevel::warning, text); }
  void error(std::string_view text) { write(LogLevel::error, text); }
};

/// Drops everything: for libraries and tests.
class SilentLog : public Log {
 public:
  void write(LogLevel, std::string_view) override {}
};

}  // namespace chorale
