// Ctrl-C and stop requests: a flag that the trainer asks once a step and all ranks agree on.
#pragma once
#include <csignal>

#include <chorale/train/stop.hpp>

namespace chorale {

/// SIGINT and SIGHUP (a terminal that closes, unless nohup ignores it) ask for an end, also SIGTERM from an mpirun; SIGTERM, SIGUSR1 and
/// SIGUSR2 (Slurm's --signal; mpirun passes the last two on) for a checkpoint from which the run goes on later. SIGPIPE is ignored. leaves:
/// the second request of an end ends this process at once with 130, and a SIGINT within 2 s even where no step ends by then (a large file
/// is being read); a checkpoint that takes longer is lost, the one before is kept. Otherwise the caller has limits of its own.
void catch_signals(bool leaves);

/// While it lives TERM ends this process at once: a rank that has not met the others has nothing to save, and a launcher that sends it
/// means that another one has gone, or that time is up.
class TermEnds {
 public:
  TermEnds();
  ~TermEnds();
  TermEnds(const TermEnds&) = delete;
  TermEnds& operator=(const TermEnds&) = delete;

 private:
  struct sigaction caught_ = {};
};
/// What signals, or the process that watches the run, have asked for so far.
Stop requested_stop();
bool stop_requested();
/// Ctrl-C and the like; the second one is impatient.
int interrupts();
/// The process that watches the run has heard it. Any thread.
void request_stop(Stop stop);

}  // namespace chorale
