// Ctrl-C and stop requests: a flag that the trainer asks once a step and all ranks agree on.
#pragma once

namespace chorale {

/// SIGINT, SIGTERM and SIGUSR1 (which mpirun passes on) set the flag; a second one leaves at once with 130. SIGPIPE is ignored.
void catch_signals();
bool stop_requested();

}  // namespace chorale
