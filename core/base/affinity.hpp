// The cores that this process may run on.
#pragma once
#include <set>
#include <string>

namespace chorale {

/// Physical cores of the calling thread's affinity mask, as "package.core": hardware threads of one core count once. Never empty.
std::set<std::string> own_cores();

}  // namespace chorale
