// Ctrl-C and stop requests: a flag that the trainer asks once a step and all ranks agree on.
#pragma once

namespace chorale {

/// SIGINT, SIGTERM, SIGHUP (a terminal that closes, unless nohup ignores it) and SIGUSR1 (which mpirun passes on) are counted. SIGPIPE is
/// ignored. leaves: the second one ends this process at once with 130, and a SIGINT within 2 s even where no step ends by then (a large
/// file is being read); a checkpoint that takes longer is lost, the one before is kept. Otherwise the caller has limits of its own.
void catch_signals(bool leaves);
bool stop_requested();
int stop_requests();

}  // namespace chorale
