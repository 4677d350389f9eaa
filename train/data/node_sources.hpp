// The files of a table, opened on every rank; a packed one is unpacked once a node.
#pragma once
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/data/source.hpp>

namespace chorale {

/// Collective. Rank 0 expands the names of data.file, so that all open the same files in the same order; the first rank of a node unpacks
/// what is gzip, the others of the node map its unpacked file. Throws the same DataError or IoError on all ranks, also when a rank
/// finds files of other sizes than rank 0.
std::vector<Source> open_node_sources(Communicator& comm, const std::vector<std::string>& files, const std::string& spill_directory);

}  // namespace chorale
