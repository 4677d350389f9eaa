// Ctrl-C and stop requests: a flag that the trainer asks once a step and all ranks agree on.
#pragma once

namespace chorale {

/// SIGINT, SIGTERM, SIGHUP (a terminal that closes, unless nohup ignores it) and SIGUSR1 (which mpirun passes on) set the flag; a second
/// one leaves at once with 130. SIGPIPE is ignored. limited: after a SIGINT the process ends within 2 s even where no step ends by then (a
/// large file is being read); a checkpoint that takes longer is lost, the one before is kept.
void catch_signals(bool limited);
bool stop_requested();

}  // namespace chorale
