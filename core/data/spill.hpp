// Files without a name for what does not fit into memory: they vanish with the last descriptor, also after a crash.
#pragma once
#include <string>

namespace chorale {

/// `wanted`, else TMPDIR, else /tmp.
std::string spill_directory(const std::string& wanted);

/// The descriptor of a fresh unlinked file in spill_directory(wanted), the caller's to close. Throws IoError with the directory.
int open_spill(const std::string& wanted);

}  // namespace chorale
