#include <chorale/core/data/feature_hash.hpp>

#include <xxhash.h>

namespace chorale {

std::uint64_t hash_text(std::string_view text) { return XXH64(text.data(), text.size(), 0); }

}  // namespace chorale
